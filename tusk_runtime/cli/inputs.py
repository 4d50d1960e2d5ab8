"""JSON files given to verbs: the value in one, and the parts of an event as the API gives it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tusk_runtime.cli.output import stop_failed
from tusk_runtime.errors import Invalid
from tusk_runtime.expressions import META
from tusk_runtime.types import DATETIME, INTEGER, JSON, STRING, UUID, Field, Record, Validator

LARGEST = 64 * 1024 * 1024
"""Bytes that a file may have."""

_NOBODY = "00000000-0000-0000-0000-000000000000"
_ENVELOPE = Record(
    "the event",
    {
        "event_id": Field("event_id", UUID, _NOBODY),
        "event_type": Field("event_type", STRING),
        "event_version": Field("event_version", INTEGER.or_null()),
        "aggregate_id": Field("aggregate_id", STRING, ""),
        "aggregate_type": Field("aggregate_type", STRING, ""),
        "version": Field("version", INTEGER, 1),
        "timestamp": Field("timestamp", DATETIME.or_null()),
        "position": Field("position", INTEGER, 1),
        "category": Field("category", STRING.or_null()),
        "data": Field("data", JSON),
        "metadata": Field("metadata", JSON, {}),
    },
)


class Event(NamedTuple):
    """An event out of a file. `envelope` is the value of `event`; None where the file holds only data.

    `version` is that of the data, None where the file does not say it.
    """

    data: Any
    metadata: Any
    envelope: dict[str, Any] | None
    version: int | None = None


def read_json(path: str, what: str) -> Any:
    """The value in a JSON file, `-` for what comes in; ends the process where there is none."""
    place = _place(path)
    try:
        with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        stop_failed(f"{what} cannot be read from {place}: {getattr(error, 'strerror', None) or error}")
    if len(content) > LARGEST:
        stop_failed(f"{what} in {place} has more than {LARGEST // 1024**2} MiB")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        stop_failed(f"{what} in {place} is not JSON: {error.msg} (line {error.lineno}, column {error.colno})")


def _place(path: str) -> str:
    return "standard input" if path == "-" else path


def read_event(path: str) -> Event:
    """An event as `GET /api/events` gives it, alone or as the only one of a page, or only its data."""
    value = read_json(path, "the event")
    if isinstance(value, dict) and isinstance(page := value.get("events"), list) and "next_after" in value:
        if len(page) != 1:
            stop_failed(f"{_place(path)} holds a page of {len(page)} events; give one, as with `limit=1`")
        value = page[0]
    if not isinstance(value, dict):
        stop_failed(f"{_place(path)} holds no event: write the envelope, or its data, as a JSON object")
    if not ("event_type" in value and "data" in value):
        return Event(value, {}, None)
    envelope = conform(_ENVELOPE, value, f"the event in {_place(path)}")
    version = envelope.pop("event_version")
    return Event(envelope.pop("data"), envelope.pop("metadata"), envelope, version)


def meta_of(metadata: Any) -> dict[str, Any]:
    """The value of `meta`: what an event's metadata says, null in all else."""
    record = META.record
    assert record is not None  # noqa: S101 - it is one
    given = metadata if isinstance(metadata, dict) else {}
    return conform(record, {"roles": [], **given}, "the event's metadata")


def conform(record: Record, value: Any, what: str) -> dict[str, Any]:
    """A JSON value as a record's run-time values; ends the process where it does not fit."""
    if not isinstance(value, Mapping):
        stop_failed(f"{what} is no JSON object")
    try:
        return Validator(record, "ignore").python(value)
    except Invalid as error:
        stop_failed(f"{what} does not fit: {error}")
