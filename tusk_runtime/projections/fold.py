"""A page of events folded into rows in memory, so that each row is read and written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from tusk_runtime.clock import to_datetime
from tusk_runtime.errors import TuskError
from tusk_runtime.events import StoredEvent
from tusk_runtime.expressions import Expression, explain
from tusk_runtime.model.application import Application, EventType, Operation, Projection
from tusk_runtime.model.envelope import event_value, meta_value
from tusk_runtime.model.upcasting import Chain, chain_of
from tusk_runtime.projections.conditions import Predicate
from tusk_runtime.store.protocol import Column, Row, TableSpec
from tusk_runtime.types import Type, decoder, from_column, shown, to_column

Key = tuple[Any, ...]
"""The encoded values of a row's key columns."""

ROW = 1
"""Where `row` stands among the arguments: data, row, event, now, meta, and beside a `for_each` item, loop."""


class ProjectionFailed(TuskError):
    """An event could not be applied. `position` is the event's."""

    def __init__(self, position: int, error: Exception) -> None:
        self.position = position
        super().__init__(f"the event at position {position} could not be applied: {error}")


class Call(NamedTuple):
    """One operation on one event, for one element. `key` is None where `where` finds the rows."""

    operation: CompiledOperation
    arguments: list[Any]
    identity: bytes
    key: Key | None
    position: int


class RowCodec:
    """Rows as dicts of run-time values ↔ rows as tuples of encoded values."""

    def __init__(self, projection: Projection) -> None:
        self._to = [(name, to_column(field.type)) for name, field in projection.columns.fields.items()]
        self._from = [(name, from_column(field.type)) for name, field in projection.columns.fields.items()]
        self._key = [(name, to_column(projection.columns.fields[name].type)) for name in projection.key]
        self._key_width = len(projection.key)
        self._required = [not field.type.optional for field in projection.columns.fields.values()]

    def key_of(self, values: Mapping[str, Any]) -> Key:
        """The encoded key of the given values. Decimals that are equal give the same key."""
        key = []
        for name, encode in self._key:
            value = values[name]
            if isinstance(value, Decimal):
                value = Decimal(f"{value.normalize():f}")
            key.append(value if encode is None or value is None else encode(value))
        return tuple(key)

    def key_of_row(self, row: Row) -> Key:
        """The key of an encoded row: its first columns."""
        return row[: self._key_width]

    def encode(self, row: Mapping[str, Any]) -> Row:
        """The row in the order of the table's columns, values encoded."""
        return tuple(
            [
                value if (value := row[name]) is None or encode is None else encode(value)
                for name, encode in self._to
            ]
        )

    def required_null(self, row: Row) -> str | None:
        """The first column of an encoded row that is null and may not be, if there is one."""
        for (name, _), value, required in zip(self._to, row, self._required, strict=True):
            if value is None and required:
                return name
        return None

    def decode(self, row: Row) -> dict[str, Any]:
        """The row as run-time values."""
        return {
            name: value if value is None or decode is None else decode(value)
            for (name, decode), value in zip(self._from, row, strict=True)
        }


class CompiledOperation:
    """An operation, ready to be applied."""

    def __init__(self, operation: Operation, projection: Projection, codec: RowCodec) -> None:
        self.kind = operation.kind
        self.where = operation.where
        self.predicate = Predicate(operation.where, projection.columns) if operation.where else None
        self._codec = codec
        self._key = _function(operation.key)
        self._values = _function(operation.values)
        self._when = _function(operation.when)
        self._for_each = _function(operation.for_each)
        self._defaults = projection.defaults
        self._key_types = [projection.columns.fields[name].type for name in projection.key]

    def calls(self, arguments: list[Any], identity: bytes, position: int, found: list[Call]) -> None:
        """Add the calls for one event."""
        if self._for_each is None:
            found.append(Call(self, arguments, identity, self._key_for(arguments, identity), position))
            return
        for index, item in enumerate(self._for_each(*arguments, identity), 1):
            inner = [*arguments, item, {"index": index}]
            found.append(Call(self, inner, identity, self._key_for(inner, identity), position))

    def _key_for(self, arguments: list[Any], identity: bytes) -> Key | None:
        return self._codec.key_of(self._key(*arguments, identity)) if self._key is not None else None

    def wanted(self, call: Call) -> list[Any]:
        """The values that the columns of `where` are compared with."""
        return self.predicate.values(call.arguments, call.identity) if self.predicate is not None else []

    def change(
        self, call: Call, row: dict[str, Any] | None, wanted: Sequence[Any]
    ) -> tuple[bool, dict[str, Any] | None]:
        """Whether the operation takes place, and the row after it (None: there is none)."""
        if row is None and self.kind in ("update", "delete"):
            return False, None
        if row is not None and self.predicate is not None and not self.predicate.holds(row, wanted):
            return False, row
        arguments = [*call.arguments]
        before = row
        if before is None:
            before = {**self._defaults, **self._key(*arguments, call.identity)} if self._key else {}
        arguments[ROW] = before
        if self._when is not None and not self._when(*arguments, call.identity):
            return False, row
        if self.kind == "delete":
            return True, None
        if self.kind == "insert" and row is not None:
            key = ", ".join(shown(*part, 40) for part in zip(self._key_types, call.key or (), strict=False))
            raise TuskError(f"insert: a row with the key {key} is there already; `upsert` would change it")
        if self._values is None:
            return True, before
        return True, {**before, **self._values(*arguments, call.identity)}


class Handler(NamedTuple):
    """What happens on a type of stored events: how an older version becomes the declared one, how the data is
    decoded, the operations on it, and those that take it as JSON.
    """

    event: EventType
    upcast: Chain | None
    decode: Callable[[Any], Any] | None
    typed: Sequence[CompiledOperation]
    as_json: Sequence[CompiledOperation]


class Folder:
    """A projection compiled: which events it reads, which parts of them, and how they change rows."""

    def __init__(self, projection: Projection, application: Application) -> None:
        self.projection = projection
        self.codec = RowCodec(projection)
        self.table = table_of(projection)
        self.types: list[str] = []
        self._handlers: list[Handler] = []
        for name in projection.on:
            handler = self._handler(application.events[name])
            for stored, version in application.stored.of(name).items():
                self.types.append(stored)
                self._handlers.append(handler._replace(upcast=chain_of(handler.event, version)))
        roots = {
            path[0]
            for operations in projection.on.values()
            for operation in operations
            for expression in _expressions(operation)
            for path in expression.reads
        }
        roots.update(*(handler.upcast.roots for handler in self._handlers if handler.upcast is not None))
        self._needs_event, self._needs_now, self._needs_meta = (
            name in roots for name in ("event", "now", "meta")
        )
        if self._needs_event or self._needs_meta:
            self.fields: tuple[str, ...] = StoredEvent._fields[1:]
        elif self._needs_now:
            self.fields = ("data", "event_id", "timestamp")
        else:
            self.fields = ("data", "event_id")
        # A scanned tuple begins with the position and the index of the type.
        self._at = {name: index for index, name in enumerate(self.fields, 2)}

    def _handler(self, event: EventType) -> Handler:
        operations = self.projection.on[event.name]
        compiled = [(o.raw, CompiledOperation(o, self.projection, self.codec)) for o in operations]
        decode = decoder(Type("record", record=event.fields)) if event.declared else None
        typed, as_json = [c for raw, c in compiled if not raw], [c for raw, c in compiled if raw]
        return Handler(event, None, decode, typed, as_json)

    def calls(self, page: Sequence[tuple[Any, ...]]) -> list[Call]:
        """All operations of a page of scanned events, in order. Raises ProjectionFailed."""
        found: list[Call] = []
        data_at, id_at = self._at["data"], self._at["event_id"]
        for event in page:
            _, upcast, decode, typed, as_json = self._handlers[event[1]]
            try:
                data = orjson.loads(event[data_at])
                context = self._context(event)
                if upcast is not None:
                    data = upcast(data, *context, event[id_at])
                for operation in as_json:
                    operation.calls([data, None, *context], event[id_at], event[0], found)
                if typed:
                    arguments = [data if decode is None else decode(data), None, *context]
                    for operation in typed:
                        operation.calls(arguments, event[id_at], event[0], found)
            except Exception as error:
                failure = explain(error) if upcast is None else upcast.explain(error)
                raise ProjectionFailed(event[0], failure) from error
        return found

    def _context(self, event: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        """The values of event, now and meta, as far as any expression reads them."""
        now = to_datetime(event[self._at["timestamp"]]) if self._needs_now else None
        if not (self._needs_event or self._needs_meta):
            return None, now, None
        stored = StoredEvent(event[0], *event[2:])
        return (
            event_value(stored, self._handlers[event[1]].event) if self._needs_event else None,
            now,
            meta_value(stored) if self._needs_meta else None,
        )


class Overlay:
    """The rows that a page touches: as the table has them, and as the page leaves them."""

    def __init__(self, codec: RowCodec) -> None:
        self._codec = codec
        self._rows: dict[Key, dict[str, Any] | None] = {}
        self._dirty: dict[Key, int] = {}

    def missing(self, calls: Sequence[Call]) -> list[Key]:
        """The keys that must be fetched before these calls can be applied."""
        rows = self._rows
        return list(
            dict.fromkeys([call.key for call in calls if call.key is not None and call.key not in rows])
        )

    def add(self, asked: Sequence[Key], stored: Sequence[Row]) -> None:
        """Take over what the table holds for keys that were asked for."""
        for key in asked:
            self._rows.setdefault(key, None)
        for row in stored:
            self._rows[self._codec.key_of_row(row)] = self._codec.decode(row)

    def add_found(self, stored: Sequence[Row]) -> None:
        """Take over rows that a scan found; those known already are newer here."""
        for row in stored:
            key = self._codec.key_of_row(row)
            if key not in self._rows:
                self._rows[key] = self._codec.decode(row)

    def apply(self, call: Call) -> None:
        """Apply an operation to its row, or to all rows that its `where` fits. Raises ProjectionFailed."""
        rows = self._rows
        keys = [call.key] if call.key is not None else [key for key, row in rows.items() if row is not None]
        try:
            wanted = call.operation.wanted(call)
            for key in keys:
                changed, row = call.operation.change(call, rows[key], wanted)
                if changed:
                    rows[key] = row
                    self._dirty[key] = call.position
        except Exception as error:
            raise ProjectionFailed(call.position, explain(error)) from error

    def writes(self) -> tuple[list[Row], list[Key]]:
        """The rows to upsert and the keys to delete. Raises ProjectionFailed for one that cannot be."""
        upserts, deletes = [], []
        for key, position in self._dirty.items():
            row = self._rows[key]
            if row is None:
                deletes.append(key)
                continue
            encoded = self._codec.encode(row)
            if None in encoded and (null := self._codec.required_null(encoded)) is not None:
                error = f"it leaves null in the column `{null}`, which is not optional"
                raise ProjectionFailed(position, TuskError(error))
            upserts.append(encoded)
        return upserts, deletes


def table_of(projection: Projection) -> TableSpec:
    """The table that a projection keeps: the key's columns first."""
    columns = [
        Column(name, field.type.kind, field.type.optional)
        for name, field in projection.columns.fields.items()
    ]
    return TableSpec(projection.table, columns, projection.key, projection.indexes)


def _function(expression: Expression | None) -> Callable[..., Any] | None:
    return expression.function if expression is not None else None


def _expressions(operation: Operation) -> list[Expression]:
    found = [operation.key, operation.values, operation.when, operation.for_each]
    found += [condition.value for condition in operation.where]
    return [expression for expression in found if expression is not None]
