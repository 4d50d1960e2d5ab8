"""The lines of an export: a head, a line for each command with its events, and an end with a digest.

Whatever is exported twice gives the same bytes. So a line is read by writing it again: it is one of ours
only if the same comes out.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from tusk_runtime.events import id_text
from tusk_runtime.store.protocol import Decision, NewEvent, Recorded

FORMAT, VERSION = "tusk-events", 1
LONGEST = 256 * 1024 * 1024
"""Bytes of the longest line that is read."""

_HEX = 16


class Head(NamedTuple):
    """The first line: which positions follow, those behind `after` up to `head`."""

    after: int
    head: int


class End(NamedTuple):
    """The last line: what stood before it. `sha256` is over all of it, in hexadecimal."""

    commands: int
    events: int
    sha256: str


@dataclass(slots=True)
class Command:
    """A command as it was decided, and its row of the ledger."""

    decision: Decision
    recorded: Recorded


Line = Head | Command | End


def written(line: Line) -> bytes:
    """A line without its end. Raises UnicodeDecodeError for data that is no text."""
    match line:
        case Head():
            return orjson.dumps({"format": FORMAT, "version": VERSION, **line._asdict()})
        case End():
            return orjson.dumps({"end": line._asdict()})
    return _command(line.decision, line.recorded)


def _command(decision: Decision, row: Recorded) -> bytes:
    found: dict[str, Any] = {
        "command_id": id_text(row.command_id),
        "fingerprint": f"{row.fingerprint:0{_HEX}x}",
        "aggregate_type": row.aggregate_type,
        "aggregate_id": row.aggregate_id,
        "version": row.version,
        "position": row.position,
    }
    if row.refusal is not None:
        found |= _member("refusal", row.refusal)
    if decision.events:  # otherwise nobody keeps these
        found["timestamp"] = decision.timestamp
        if decision.correlation_id is not None:
            found["correlation_id"] = id_text(decision.correlation_id)
        found |= _member("metadata", decision.metadata)
    found["events"] = [{"type": event.type, **_member("data", event.data)} for event in decision.events]
    return orjson.dumps(found)


def _member(name: str, text: bytes) -> dict[str, Any]:
    """A JSON text: as it is, or as a text within JSON where reading it would change a byte of it."""
    try:
        if orjson.dumps(orjson.loads(text)) == text:
            return {name: orjson.Fragment(text)}
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass  # no JSON, or nested too deeply
    return {f"{name}_text": text.decode()}


def read(text: bytes) -> Line:
    """A line without its end. Raises ValueError, with a reason, for one that no export holds."""
    try:
        found = orjson.loads(text)
        line = _line(found)
        again = written(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg} (column {error.colno})") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(_reason(error)) from None
    if again != text:
        raise ValueError("it was changed: an export writes it in another way")
    return line


def _line(found: Any) -> Line:
    if not isinstance(found, dict):
        raise TypeError("it is no JSON object")
    if "format" in found:
        if found["format"] != FORMAT:
            raise ValueError(f"it is the head of another format, {found['format']!r}")
        if found["version"] != VERSION:
            raise ValueError(
                f"it is version {found['version']} of the format, and this program reads version {VERSION}"
            )
        return Head(_number(found, "after"), _number(found, "head"))
    if "end" in found:
        end = found["end"]
        return End(_number(end, "commands"), _number(end, "events"), str(end["sha256"]))
    return _command_of(found)


def _command_of(found: Mapping[str, Any]) -> Command:
    events = [NewEvent(_text(each, "type"), _bytes(each, "data")) for each in found["events"]]
    refused = "refusal" in found or "refusal_text" in found
    row = Recorded(
        uuid.UUID(found["command_id"]).bytes,
        int(found["fingerprint"], 16),
        _text(found, "aggregate_type"),
        _text(found, "aggregate_id"),
        _number(found, "version"),
        _number(found, "position"),
        len(events),
        _bytes(found, "refusal") if refused else None,
    )
    if row.version < row.count:
        raise ValueError(f"it has {row.count} events, and leaves version {row.version}")
    if events and refused:
        raise ValueError("it was refused, and has events")
    decision = Decision(
        command_id=row.command_id,
        fingerprint=row.fingerprint,
        aggregate_type=row.aggregate_type,
        aggregate_id=row.aggregate_id,
        expected_version=row.version - row.count,
        timestamp=_number(found, "timestamp", least=-(2**63)) if events else 0,
        metadata=_bytes(found, "metadata") if events else b"{}",
        events=events,
        correlation_id=uuid.UUID(found["correlation_id"]).bytes if "correlation_id" in found else None,
        refusal=row.refusal,
    )
    return Command(decision, row)


def _bytes(found: Mapping[str, Any], name: str) -> bytes:
    if name in found:
        return orjson.dumps(found[name])
    return _text(found, f"{name}_text").encode()


def _text(found: Mapping[str, Any], name: str) -> str:
    if not isinstance(found[name], str):
        raise TypeError(f"its `{name}` is no text")
    value: str = found[name]
    return value


def _number(found: Mapping[str, Any], name: str, *, least: int = 0) -> int:
    value = found[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise TypeError(f"its `{name}` is no number that it could be")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no `{error.args[0]}`"
    return str(error) if str(error).startswith("it") else "it is no line of an export"
