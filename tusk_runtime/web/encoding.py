"""Run-time values and stored events as JSON texts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tusk_runtime.events import StoredEvent, id_text
from tusk_runtime.following.messages import Copy
from tusk_runtime.running.service import AggregateAnswer, DeadLetter, QueryAnswer, Status
from tusk_runtime.store.deliveries import place_text
from tusk_runtime.types import MASK, encode_default
from tusk_runtime.web.masking import Masks

SHOWN = 64 * 1024
"""Characters of a message that are shown, at most."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def _default(value: Any) -> Any:
    """What the types know to write, and mappings that are not dicts."""
    return dict(value) if isinstance(value, Mapping) else encode_default(value)


def dumps(value: Any) -> bytes:
    """A value as JSON in UTF-8."""
    return orjson.dumps(value, default=_default, option=_OPTIONS)


def dumps_leniently(value: Any) -> bytes:
    """Like `dumps`, for error bodies: what has no JSON form is left out rather than an error of its own."""
    try:
        return orjson.dumps(value, default=_default_or_name, option=_OPTIONS)
    except TypeError:
        # Only a text with a lone surrogate comes here: it cannot be UTF-8 at all.
        return orjson.dumps(_without_surrogates(value), default=_default_or_name, option=_OPTIONS)


def _default_or_name(value: Any) -> Any:
    try:
        return _default(value)
    except TypeError:
        return f"<{type(value).__name__}>"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value


def time_text(microseconds: int) -> str:
    """A time in microseconds since 1970 as ISO 8601 in UTC: `2025-01-31T12:00:00.000000Z`."""
    at = EPOCH + timedelta(microseconds=microseconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond:06d}Z"


def microseconds_of(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 text; without an offset it is UTC. Raises ValueError."""
    # A plus sign that nobody escaped arrives as a blank in a query string.
    head, blank, offset = text.rpartition(" ")
    if blank and "T" in head and offset[:2].isdigit():
        text = f"{head}+{offset}"
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH) // _MICROSECOND


def event_json(event: StoredEvent, masks: Masks) -> bytes:
    """A stored event as one JSON object, under its declared name. Its data is embedded as it is stored, in
    that version and not decoded and encoded, where nothing in it is masked.
    """
    name, version = masks.type_of(event)
    metadata = orjson.loads(event.metadata) if event.metadata else {}
    metadata["command_id"] = id_text(event.command_id)
    metadata["correlation_id"] = id_text(event.correlation_id)
    return orjson.dumps(
        {
            "position": event.position,
            "event_id": id_text(event.event_id),
            "event_type": name,
            "event_version": version,
            "aggregate_type": event.aggregate_type,
            "aggregate_id": event.aggregate_id,
            "version": event.version,
            "timestamp": time_text(event.timestamp),
            "data": orjson.Fragment(masks.data(event)),
            "metadata": metadata,
        }
    )


def query_json(answer: QueryAnswer) -> bytes:
    """The body of `GET /api/queries/{query}`."""
    body: dict[str, Any] = {"rows": answer.rows, "position": answer.position}
    if answer.next_cursor is not None:
        body["next_cursor"] = answer.next_cursor
    if answer.total is not None:
        body["total"] = answer.total
    return dumps(body)


def aggregate_json(answer: AggregateAnswer, masks: Masks) -> bytes:
    """The body of `GET /api/aggregates/{Type}/{id}`."""
    return dumps(
        {
            "aggregate_type": answer.aggregate_type,
            "aggregate_id": answer.aggregate_id,
            "version": answer.version,
            "position": answer.position,
            "state": masks.state(answer),
        }
    )


def dead_letter_json(found: DeadLetter, masks: Masks | None = None) -> dict[str, Any]:
    """A dead letter as an object; with masks its event, too, or its message, null if it is not there."""
    letter = found.letter
    body: dict[str, Any] = {
        "consumer": found.consumer,
        "source": letter.source,
        "position": letter.position,
        "place": place_text((letter.source, letter.position)),
        "key": letter.key,
        "standing": letter.standing,
        "action": letter.action,
        "attempts": letter.attempts,
        "at": time_text(letter.timestamp),
        "error": orjson.Fragment(letter.error),
    }
    if masks is not None:
        event = found.event
        body["event"] = None if event is None else orjson.Fragment(event_json(event, masks))
        body["message"] = None if found.copy is None else _message(found.copy, hidden=masks.foreign)
    return body


def _message(copy: Copy, *, hidden: bool) -> dict[str, Any]:
    """What was kept of a message; `hidden`: but for its key, which is shown as an aggregate's id is."""

    def text(data: bytes | None) -> str | None:
        return MASK if hidden and data is not None else _text(data)

    message = copy.message
    return {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": _message_time(message.timestamp),
        "key": _text(message.key),
        "headers": [{"name": name, "value": text(value)} for name, value in message.headers],
        "value": text(message.value),
        "size": copy.size,
        "whole": copy.whole,
    }


def _text(data: bytes | None) -> str | None:
    """Bytes as a text, its beginning: what is no UTF-8 as `\\xff`."""
    return None if data is None else data.decode("utf-8", "backslashreplace")[:SHOWN]


def _message_time(milliseconds: int) -> str | None:
    """A time that others wrote; None where it is none."""
    try:
        return time_text(milliseconds * 1000) if milliseconds >= 0 else None
    except OverflowError:
        return None


def parts_of(status: Status) -> list[dict[str, Any]]:
    """The running parts as JSON objects."""
    return [
        {
            "name": part.name,
            "kind": part.kind,
            "health": part.health,
            "position": part.position,
            "lag": part.lag,
            "error": part.error,
            "detail": part.detail,
        }
        for part in status.parts
    ]


def status_json(status: Status) -> bytes:
    """The body of `GET /api/status`."""
    return dumps(
        {
            "application": status.application,
            "version": status.version,
            "store": status.store,
            "head": status.head,
            "generation": status.generation,
            "started_at": time_text(status.started_at),
            "parts": parts_of(status),
            "rejected": status.rejected,
            "reload": status.reload,
            "counters": status.counters,
        }
    )
