"""Events ↔ states: how events are encoded, decoded, and applied to the state of an aggregate."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tusk_runtime.clock import to_datetime
from tusk_runtime.events import StoredEvent
from tusk_runtime.expressions import IDENTITY, ExpressionFailed, explain
from tusk_runtime.model.application import Aggregate, Application, EventType, Fold
from tusk_runtime.model.envelope import event_value, meta_value
from tusk_runtime.model.upcasting import Chain, chain_of
from tusk_runtime.types import Type, decoder, to_json


@dataclass(slots=True)
class State:
    """The state of an aggregate after `version` events; 0: it does not exist. `values` is never changed in
    place. `broken` is why the events could not be folded: no command can be decided then."""

    version: int
    values: Mapping[str, Any]
    broken: ExpressionFailed | None = None


class EventCodec:
    """Turns the data of one type of event into JSON and back."""

    def __init__(self, event: EventType) -> None:
        self.declared = event.declared
        self._decode: Callable[[Any], Any] | None = (
            decoder(Type("record", record=event.fields)) if event.declared else None
        )
        self._complete = dict.fromkeys(event.fields.fields)
        self._optional = [name for name, field in event.fields.fields.items() if field.type.optional]

    def complete(self, data: dict[str, Any]) -> dict[str, Any]:
        """The data with every field of the event, None where it is absent."""
        return {**self._complete, **data} if self._optional else data

    def encode(self, data: Mapping[str, Any]) -> bytes:
        """The JSON text; what is null is left out."""
        for name in self._optional:
            if data.get(name) is None:
                data = {name: value for name, value in data.items() if value is not None}
                break
        return to_json(data)

    def decode(self, data: bytes) -> Any:
        """Run-time values from the JSON text."""
        value = orjson.loads(data)
        return self._decode(value) if self._decode is not None else value

    def take(self, data: Any) -> Any:
        """Run-time values from what orjson gives."""
        return self._decode(data) if self._decode is not None else data


class Applier:
    """One line of an aggregate's `on`, with what it needs of the envelope known beforehand."""

    def __init__(self, fold: Fold, codec: EventCodec, event: EventType) -> None:
        roots = {path[0] for path in fold.changes.reads}
        self.codec = codec
        self._event = event
        self._changes = fold.changes.function
        self._constant: Mapping[str, Any] | None = None
        if fold.changes.constant:
            self._constant = self._changes(None, None, None, None, None, b"")
        self._needs_event = "event" in roots
        self._needs_now = "now" in roots
        self._needs_meta = "meta" in roots
        # `uuid()` derives from the event's id, which only the envelope knows.
        derives = any(
            isinstance(node, ast.Name) and node.id == IDENTITY for node in ast.walk(fold.changes.body)
        )
        self.sees_envelope = self._needs_event or self._needs_now or self._needs_meta or derives

    def apply_data(self, values: Mapping[str, Any], data: Any) -> Mapping[str, Any]:
        """The values after an event of whose envelope nothing is needed."""
        if self._constant is not None:
            return {**values, **self._constant} if self._constant else values
        return {**values, **self._changes(data, values, None, None, None, b"")}

    def apply(self, values: Mapping[str, Any], data: Any, event: StoredEvent) -> Mapping[str, Any]:
        """The values after an event."""
        if not self.sees_envelope:
            return self.apply_data(values, data)
        changes = self._changes(
            data,
            values,
            event_value(event, self._event) if self._needs_event else None,
            to_datetime(event.timestamp) if self._needs_now else None,
            meta_value(event) if self._needs_meta else None,
            event.event_id,
        )
        return {**values, **changes}


class Folder:
    """Folds the events of one type of aggregate into its state."""

    def __init__(
        self, aggregate: Aggregate, application: Application, codecs: Mapping[str, EventCodec]
    ) -> None:
        self.aggregate = aggregate
        self._stored = application.stored
        self._by_event = {
            name: Applier(fold, codecs[name], application.events[name]) for name, fold in aggregate.on.items()
        }
        self._appliers: dict[str, Applier] = {}
        self._older: dict[str, tuple[Applier, Chain]] = {}
        for name, applier in self._by_event.items():
            for stored, version in application.stored.of(name).items():
                chain = chain_of(application.events[name], version)
                if chain is None:
                    self._appliers[stored] = applier
                else:
                    self._older[stored] = applier, chain
        self.initial = State(0, dict(aggregate.initial))

    def fold(self, state: State, events: Iterable[StoredEvent]) -> State:
        """The state after more events. An event that the declaration does not name changes nothing.

        Raises ExpressionFailed.
        """
        values, version = state.values, state.version
        for event in events:
            applier = self._appliers.get(event.type)
            if applier is not None:
                try:
                    values = applier.apply(values, applier.codec.decode(event.data), event)
                except Exception as error:
                    raise explain(error) from error
            else:
                values = self._apply_older(values, event)
            version = event.version
        return State(version, values)

    def _apply_older(self, values: Mapping[str, Any], event: StoredEvent) -> Mapping[str, Any]:
        """The values after an event that is not of the declared version. Raises ExpressionFailed."""
        older = self._older.get(event.type)
        if older is not None:
            applier, chain = older
            try:
                return applier.apply(values, applier.codec.take(chain.of(event)), event)
            except Exception as error:
                raise chain.explain(error) from error
        declared = self._stored.without_path(event.type)
        if declared is not None and declared.name in self.aggregate.on:
            # Another process has a newer declaration: what it wrote cannot be left out of a decision.
            message = f"`{event.type}` is stored, and of version {declared.version} it cannot be read"
            raise ExpressionFailed(message, declared.span)
        return values

    def applier(self, event: str) -> Applier:
        """What the declaration of the aggregate says of an event."""
        return self._by_event[event]


def codecs_of(application: Application) -> dict[str, EventCodec]:
    """A codec for each event of an application."""
    return {name: EventCodec(event) for name, event in application.events.items()}
