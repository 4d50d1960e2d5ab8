"""Messages that come from outside in a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from tusk_runtime.consumers.failures import NotTaken
from tusk_runtime.consumers.reading import MESSAGE_IDS, MessageReader
from tusk_runtime.errors import NotAccepted
from tusk_runtime.expressions import ExpressionFailed
from tusk_runtime.following.messages import Message
from tusk_runtime.language.document import MapNode
from tusk_runtime.model.application import Application, Step
from tusk_runtime.testing.values import person, prepared
from tusk_runtime.types import Record, Type, to_json


def message_of(step: Step, number: int, application: Application, now: int) -> Message:
    """The message of a step, at a time in microseconds; its `number` tells it apart where no header does.

    A text is a uuid where a rule that takes the message reads one. Raises NotAccepted if JSON has no such
    value.
    """
    said: dict[str, Any] = step.fields.plain() if isinstance(step.fields, MapNode) else {}
    headers = dict(said.get("headers") or {})
    if not any(headers.get(name) for name in MESSAGE_IDS):
        headers[MESSAGE_IDS[0]] = person(f"message {number}")
    key = said.get("key")
    message = Message(
        step.name,
        0,
        number,
        None if key is None else key.encode(),
        _json(said.get("value")),
        now // 1000,
        tuple((name, text.encode()) for name, text in headers.items()),
    )
    value = said.get("value")
    for record in _read(message, application):
        value = prepared(value, Type("record", record=record))
    return message._replace(value=_json(value))


def _json(value: Any) -> bytes:
    try:
        return to_json(value)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise NotAccepted(f"the value of the message is none that JSON has: {error}") from None


def _read(message: Message, application: Application) -> Iterator[Record]:
    """The fields that consumers read out of a message."""
    for consumer in application.consumers.values():
        if message.topic in consumer.accepted_topics:
            try:
                rule = MessageReader(consumer).rule(message)
            except (NotTaken, ExpressionFailed):
                continue
            if rule.message is not None:
                yield rule.message
