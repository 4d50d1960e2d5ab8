"""The names that expressions see, by place."""

from __future__ import annotations

from collections.abc import Collection

from tusk_runtime.expressions import LOOP, META, NOW, Scope, aggregate_type, event_type
from tusk_runtime.model.named_types import BROKEN, is_open
from tusk_runtime.types import DATETIME, JSON, STRING, TEXTS, Field, Record, Type


def record_type(record: Record) -> Type:
    """The type of a record's values."""
    return BROKEN if is_open(record) else Type("record", record=record)


def event_data(fields: Record, declared: bool) -> Type:
    """The type of `data` of an event."""
    return record_type(fields) if declared else JSON


def id_type(id_: Type) -> Type:
    """The type of an aggregate's id in expressions: what is stored is a text."""
    return id_ if id_.kind in TEXTS or id_ is BROKEN else STRING


def command_scope(command: Record, state: Type, id_: Type) -> Scope:
    """In commands: `command state aggregate now meta`."""
    return Scope(
        {
            "command": record_type(command),
            "state": state,
            "aggregate": aggregate_type(id_type(id_)),
            "now": NOW,
            "meta": META,
        }
    )


def command_id_scope(command: Record) -> Scope:
    """In a command's `id`: `command now meta`."""
    return Scope({"command": record_type(command), "now": NOW, "meta": META})


def fold_scope(data: Type, state: Record, id_: Type) -> Scope:
    """In an aggregate's `on`: `data state event now meta`."""
    event = event_type(id_type(id_))
    return Scope({"data": data, "state": record_type(state), "event": event, "now": NOW, "meta": META})


def projection_scope(data: Type, row: Record, id_: Type) -> Scope:
    """In a projection's `on`: `data row event now meta`."""
    event = event_type(id_type(id_))
    return Scope({"data": data, "row": record_type(row), "event": event, "now": NOW, "meta": META})


def consumer_scope(data: Type, id_: Type) -> Scope:
    """In an action of a consumer: `data event now meta`."""
    return Scope({"data": data, "event": event_type(id_type(id_)), "now": NOW, "meta": META})


def message_scope(message: Type) -> Scope:
    """In a rule of `accept`: `message headers key topic timestamp now meta`."""
    return Scope(
        {
            "message": message,
            "headers": Type("map", item=STRING),
            "key": STRING.or_null(),
            "topic": STRING,
            "timestamp": DATETIME,
            "now": NOW,
            "meta": META,
        }
    )


def upcast_scope(data: Type, id_: Type) -> Scope:
    """In a step of an event's `upcast`: `data event now meta`."""
    return Scope({"data": data, "event": event_type(id_type(id_)), "now": NOW, "meta": META})


def without_row(scope: Scope) -> Scope:
    """The same scope for what says which row is meant: every name in its place, `row` without fields."""
    return Scope({**scope.names, "row": record_type(Record("row", {}))})


def params_scope(params: Record) -> Scope:
    """In a query's `where`: `params now meta`."""
    return Scope({"params": record_type(params), "now": NOW, "meta": META})


def row_scope(row: Record, params: Record) -> Scope:
    """In a query's `select`: `row params now meta`."""
    return Scope({"row": record_type(row), "params": record_type(params), "now": NOW, "meta": META})


def with_item(scope: Scope, name: str, item: Type) -> Scope:
    """The scope beside a `for_each`: the element under its name, and `loop`."""
    return Scope({**scope.names, name: item, "loop": LOOP})


def partial(record: Record, names: Collection[str]) -> Record:
    """The record of only these fields, each required: what a map of named fields gives."""
    fields = {name: Field(name, field.type) for name, field in record.fields.items() if name in names}
    return Record(record.name, fields)  # only what is known: never an open one


def nullable(record: Record, keep: Collection[str] = ()) -> Record:
    """The record with null in every field that has no default, except in those of `keep`."""
    return type(record)(
        record.name,
        {
            name: Field(name, field.type.or_null()) if field.required and name not in keep else field
            for name, field in record.fields.items()
        },
    )
