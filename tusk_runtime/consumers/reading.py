"""Messages from outside are read: which rule of `accept` takes one, and which command it means. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tusk_runtime.clock import to_datetime
from tusk_runtime.consumers.failures import NotTaken
from tusk_runtime.consumers.performing import Arguments, fields_of, text_of, value_of
from tusk_runtime.errors import Invalid
from tusk_runtime.events import OUTSIDE, Cause, id_from, id_text
from tusk_runtime.expressions import Missing, explain
from tusk_runtime.following.messages import Message
from tusk_runtime.model.consuming import Accept, Consumer
from tusk_runtime.types import Validator
from tusk_runtime.types.strict_json import MOST, BadJson, read_json

MESSAGE_IDS = ("message-id", "ce_id", "ce-id")
"""The headers that tell messages apart, the first that is there; CloudEvents have the others."""
CORRELATIONS = ("correlation_id", "correlation-id")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TRACE = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


class _Rule(NamedTuple):
    """A rule, with what it needs looked up beforehand."""

    accept: Accept
    validate: Callable[[Mapping[str, Any]], dict[str, Any]] | None


class Call(NamedTuple):
    """A command that a message means. Its id derives from `origin`, which tells messages apart."""

    command: str
    fields: Mapping[str, Any]
    target: str | None
    origin: bytes
    cause: Cause


class MessageReader:
    """Reads the messages of the topics of one consumer; none may be of more than `most` bytes."""

    def __init__(self, consumer: Consumer, most: int = MOST) -> None:
        self._most = most
        self._group = consumer.group
        self._user = f"consumer {consumer.name}"
        self._rules = [
            _Rule(each, None if each.message is None else Validator(each.message, "ignore").python)
            for each in consumer.accept
        ]

    def rule(self, message: Message) -> Accept:
        """The rule that takes a message. Raises NotTaken or ExpressionFailed."""
        headers = headers_of(message)
        context, origin = self._context(message, headers, cause_of(headers))
        return self._rule(message.topic, (self._value(message), *context, id_from(origin))).accept

    def call(self, message: Message) -> Call | None:
        """The command that a message means; None: it is ignored. Raises NotTaken or ExpressionFailed."""
        value, headers = self._value(message), headers_of(message)
        cause = cause_of(headers)
        context, origin = self._context(message, headers, cause)
        arguments = (value, *context, id_from(origin))
        rule = self._rule(message.topic, arguments)
        accept = rule.accept
        if accept.command is None or accept.fields is None:
            return None
        hidden = rule.validate is None  # nobody said what of it may be personal data
        if rule.validate is not None:
            arguments = (self._fields(rule.validate, value, message.topic), *arguments[1:])
        if accept.id is not None:
            found = value_of(accept.id.function, arguments, hidden=hidden)
            origin = self._origin(message, f"id\0{text_of(found)}")
            arguments = (*arguments[:-1], id_from(origin))
        fields = fields_of(accept.fields.function, arguments, hidden=hidden)
        target = None
        if accept.target is not None:
            target = text_of(value_of(accept.target.function, arguments, hidden=hidden))
        return Call(accept.command, fields, target, origin, cause)

    def _context(self, message: Message, headers: Mapping[str, str], cause: Cause) -> tuple[Arguments, bytes]:
        """What expressions see beside `message`, and what tells it apart by itself."""
        moment = _time_of(message)
        meta = self._meta(cause)
        context = (headers, _text(message.key), message.topic, moment, moment, meta)
        return context, self._origin(message, _id_of(message, headers))

    def _value(self, message: Message) -> Any:
        if message.value is None:
            return None
        try:
            return read_json(message.value, self._most)
        except BadJson as error:
            raise NotTaken(f"the value of a message of topic `{message.topic}` {error}") from None

    def _rule(self, topic: str, arguments: Arguments) -> _Rule:
        """The first rule that fits. Raises NotTaken or ExpressionFailed."""
        rules = [rule for rule in self._rules if rule.accept.topic in (None, topic)]
        for rule in rules:
            when = rule.accept.when
            if when is None:
                return rule
            try:
                if when.function(*arguments):
                    return rule
            except Missing:
                continue
            except Exception as error:
                raise explain(error, hidden=True) from error
        if not rules:
            raise NotTaken(f'no rule of `accept` is for topic `{topic}`: write one with `topic: "{topic}"`')
        raise NotTaken(
            f"`when` of no rule for topic `{topic}` fits the message: write a last rule without `when`, with "
            "`ignore: true` if what is left over means nothing"
        )

    def _fields(
        self, validate: Callable[[Mapping[str, Any]], dict[str, Any]], value: Any, topic: str
    ) -> dict[str, Any]:
        try:
            return validate(value)
        except Invalid as invalid:
            raise NotTaken(
                f"a message of topic `{topic}` does not fit: {invalid.message}", invalid.details["errors"]
            ) from None

    def _meta(self, cause: Cause) -> dict[str, Any]:
        correlation = cause.correlation_id
        return {
            "user_id": self._user,
            "roles": [],
            "tenant_id": None,
            "command_id": None,
            "correlation_id": None if correlation is None else id_text(correlation),
            "causation_id": None,
            "saga_id": None,
            "source": None,
            "version": None,
        }

    def _origin(self, message: Message, what: str) -> bytes:
        return f"{self._group}\0{message.topic}\0{what}".encode()


def headers_of(message: Message) -> dict[str, str]:
    """The headers of a message as texts, the last of each name; what is no UTF-8 is written as `\\\\xff`."""
    return {name: _text(value) or "" for name, value in message.headers}


def cause_of(headers: Mapping[str, str]) -> Cause:
    """What a message belongs to, by its headers; nothing, where they hold no id."""
    for name in CORRELATIONS:
        if _UUID.fullmatch(headers.get(name, "")):
            return Cause(bytes.fromhex(headers[name].replace("-", "")))
    trace = _TRACE.fullmatch(headers.get("traceparent", ""))
    return OUTSIDE if trace is None else Cause(bytes.fromhex(trace["trace"]))


def _time_of(message: Message) -> datetime:
    try:
        return to_datetime(message.timestamp * 1000)
    except OverflowError:
        raise NotTaken(
            f"a message of topic `{message.topic}` has the time {message.timestamp}, which is none: "
            "it is in milliseconds since 1970"
        ) from None


def _id_of(message: Message, headers: Mapping[str, str]) -> str:
    """What tells a message apart by itself.

    A topic that was made anew begins at offset 0 again: with its time a message is not taken for another.
    """
    for name in MESSAGE_IDS:
        if found := headers.get(name):
            return f"id\0{found}"
    return f"at\0{message.partition}\0{message.offset}\0{message.timestamp}"


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")
