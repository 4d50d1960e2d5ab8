"""What an application takes and gives, as JSON Schema: its commands, events and queries."""

from __future__ import annotations

from tusk_runtime.model.application import Application, Command, EventType, Query
from tusk_runtime.model.shapes import ANY, TEXT, Schema
from tusk_runtime.types import record_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def contracts(application: Application) -> dict[str, dict[str, Schema]]:
    """The schemas by kind and name: of each command's body, each event's data, each query's parameters and
    rows.
    """
    return {
        "commands": {name: _whole(command_schema(c), c) for name, c in application.commands.items()},
        "events": {name: _whole(event_schema(e), e) for name, e in application.events.items()},
        "queries": {name: query_schemas(query) for name, query in application.queries.items()},
    }


def command_schema(command: Command) -> Schema:
    """What the caller gives: the fields, and `aggregate_id` beside them where the caller may say it."""
    fields = record_schema(command.fields)
    if not command.takes_aggregate_id:
        return fields
    required = [*(["aggregate_id"] if command.needs_aggregate_id else []), *fields.get("required", ())]
    properties = {"aggregate_id": TEXT, **fields["properties"]}
    return {**fields, "properties": properties, "required": required}


def event_schema(event: EventType) -> Schema:
    """The data of an event; anything, where it is not declared."""
    return record_schema(event.fields) if event.declared else ANY


def query_schemas(query: Query) -> Schema:
    """What a query is asked with, and what a row of its answer is."""
    return {
        "params": _whole({**record_schema(query.params), "title": f"parameters of {query.name}"}, query),
        "row": _whole({**record_schema(query.columns), "title": f"a row of {query.name}"}, query),
    }


def _whole(schema: Schema, of: Command | EventType | Query) -> Schema:
    about = {"description": of.description} if of.description else {}
    return {"$schema": DIALECT, "title": of.name, **about, **schema}
