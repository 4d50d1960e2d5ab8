"""Older events, read as the declared version: nothing that is stored ever changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from tusk_runtime.clock import to_datetime
from tusk_runtime.events import StoredEvent
from tusk_runtime.expressions import ExpressionFailed, explain
from tusk_runtime.model.application import EventType, Upcast
from tusk_runtime.model.envelope import event_value, meta_value
from tusk_runtime.types import to_json

Data = dict[str, Any]
"""The data of an event as JSON: what orjson gives."""


class Chain:
    """The steps from an older version of an event to the declared one. `roots` are the names they read."""

    def __init__(self, event: EventType, version: int) -> None:
        self._event = event
        self._version = version
        self._steps = [event.upcast[number] for number in range(version, event.version)]
        self.roots = frozenset(
            path[0] for step in self._steps for value in step.set.values() for path in value.reads
        )

    def __call__(
        self, data: Data, event: Data | None, now: datetime | None, meta: Data | None, identity: bytes
    ) -> Data:
        """The data as the declared version has it. What is not among `roots` may be None.

        What an expression raises is for `explain`.
        """
        for step in self._steps:
            data = _advance(step, data, event, now, meta, identity)
        return data

    def of(self, stored: StoredEvent) -> Data:
        """The data of a stored event as the declared version has it."""
        return self(
            orjson.loads(stored.data),
            event_value(stored, self._event) if "event" in self.roots else None,
            to_datetime(stored.timestamp) if "now" in self.roots else None,
            meta_value(stored) if "meta" in self.roots else None,
            stored.event_id,
        )

    def explain(self, error: Exception) -> ExpressionFailed:
        """What an exception means that an event of this version led to, with a place in any case."""
        failure = explain(error)
        if failure.span is not None:
            return failure
        name, declared = self._event.name, self._event.version
        message = f"`{name}` of version {self._version} does not become version {declared}: {failure.message}"
        return ExpressionFailed(message, self._event.span, failure.values)


def chain_of(event: EventType, version: int) -> Chain | None:
    """The chain from a version of an event; None from the declared one, where nothing is to do."""
    return None if version == event.version else Chain(event, version)


def _advance(step: Upcast, data: Data, *context: Any) -> Data:
    computed = {name: value.function(data, *context) for name, value in step.set.items()}
    gone = step.rename.keys() | step.remove
    after = {name: value for name, value in data.items() if name not in gone}
    after.update({new: data[old] for old, new in step.rename.items() if old in data})
    for name, value in step.add.items():
        if after.get(name) is None:
            after[name] = value
    for name, value in computed.items():
        if value is None:
            after.pop(name, None)
        else:
            after[name] = as_json(value)
    return after


def as_json(value: Any) -> Any:
    """A run-time value as the JSON that an event would hold."""
    if isinstance(value, str | bool | int | None):
        return value
    return orjson.loads(to_json(value))
