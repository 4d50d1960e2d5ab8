"""Messages from outside become commands: which rule takes one, what it says, and which id it has.

The command's id derives from the consumer's group, the topic, and the id of the message: the ledger is the
inbox, in which each message takes effect once, however often it arrives.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tusk_runtime.clock import to_datetime
from tusk_runtime.consumers.failures import ActionFailed, FinalFailure, NotTaken
from tusk_runtime.consumers.performing import Arguments, fields_of, text_of, value_of
from tusk_runtime.consumers.sending import SendCommand, anew
from tusk_runtime.errors import IdReused, Invalid, Refused
from tusk_runtime.events import OUTSIDE, Caller, Cause, id_from, id_text
from tusk_runtime.expressions import ExpressionFailed, Missing, explain
from tusk_runtime.failpoints import hit
from tusk_runtime.following.messages import Message
from tusk_runtime.model.application import Application
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

log = logging.getLogger("tusk.consumers")


class Accepted(NamedTuple):
    """A message that became a command: which, under which id, and what sending it gave."""

    command: str
    command_id: bytes
    answer: Any


class _Rule(NamedTuple):
    """A rule, with what it needs looked up beforehand."""

    accept: Accept
    validate: Callable[[Mapping[str, Any]], dict[str, Any]] | None


class _Call(NamedTuple):
    """A command that a message means, without its id: that derives from `origin`."""

    command: str
    fields: Mapping[str, Any]
    target: str | None
    origin: bytes
    cause: Cause


class Acceptor:
    """Takes the messages of the topics of one consumer."""

    def __init__(
        self, consumer: Consumer, application: Application, send: SendCommand, most: int = MOST
    ) -> None:
        """No message may be of more than `most` bytes."""
        self.consumer = consumer
        self._most = most
        self._send = send
        self._rules = [
            _Rule(each, None if each.message is None else Validator(each.message, "ignore").python)
            for each in consumer.accept
        ]
        self._caller = Caller(f"consumer {consumer.name}", (), None)

    async def accept(self, message: Message, again: int = 0) -> Accepted | None:
        """Send the command that a message means; one that was refused is sent `again` so many times.

        Gives None for one that is ignored, or whose refusal is. Raises ActionFailed if it cannot become a
        command, or if that is refused; Unavailable or OutcomeUnknown if nothing can be said.
        """
        try:
            call = self._call(message)
            return None if call is None else await self._sent(call, again)
        except (Refused, ExpressionFailed, FinalFailure) as error:
            raise ActionFailed(0, error) from error

    async def _sent(self, call: _Call, again: int) -> Accepted | None:
        async def once(number: int) -> Accepted:
            command_id = id_from(call.origin + b"\0%d" % number)
            answer = await self._send(
                call.command,
                call.fields,
                aggregate_id=call.target,
                command_id=command_id,
                caller=self._caller,
                cause=call.cause,
            )
            return Accepted(call.command, command_id, answer)

        await hit("consumer.before_action")
        try:
            accepted = await anew(once, again)
        except IdReused as reused:
            raise IdReused(
                f"a message of the same id came before, and gave another command or other fields than this "
                f"`{call.command}`",
                refused=reused.refused,
            ) from reused
        except Refused as refusal:
            if self.consumer.on_refused == "dead_letter":
                raise
            log.info("%s: `%s` was refused: %s", self.consumer.name, call.command, refusal.message)
            return None
        await hit("consumer.after_action")
        return accepted

    def _call(self, message: Message) -> _Call | None:
        """The command that a message means. Raises NotTaken or ExpressionFailed."""
        value, headers = self._value(message), headers_of(message)
        cause = cause_of(headers)
        origin = self._origin(message, _id_of(message, headers))
        moment = _time_of(message)
        context = (headers, _text(message.key), message.topic, moment, moment, self._meta(cause))
        rule = self._rule(message.topic, (value, *context, id_from(origin)))
        accept = rule.accept
        if accept.command is None or accept.fields is None:
            return None
        hidden = rule.validate is None  # nobody said what of it may be personal data
        if rule.validate is not None:
            value = self._fields(rule.validate, value, message.topic)
        if accept.id is not None:
            found = value_of(accept.id.function, (value, *context, id_from(origin)), hidden=hidden)
            origin = self._origin(message, f"id\0{text_of(found)}")
        arguments = (value, *context, id_from(origin))
        fields = fields_of(accept.fields.function, arguments, hidden=hidden)
        target = None
        if accept.target is not None:
            target = text_of(value_of(accept.target.function, arguments, hidden=hidden))
        return _Call(accept.command, fields, target, origin, cause)

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
            "user_id": self._caller.user_id,
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
        return f"{self.consumer.group}\0{message.topic}\0{what}".encode()


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
