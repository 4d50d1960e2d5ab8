"""Lines to copy into a shell: a plausible call of each command and query, without the token."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson

from tusk_runtime.model.application import Application, Command, Query
from tusk_runtime.types import Record, Type

_AUTHORIZATION = '-H "Authorization: Bearer $TUSK_TOKEN"'
_BREAK = " \\\n  "
_JSON = "-H 'Content-Type: application/json'"


class Example(NamedTuple):
    """A command or query as the page lists it."""

    name: str
    about: str
    description: str
    curl: str


def examples_of(application: Application, origin: str) -> tuple[Sequence[Example], Sequence[Example]]:
    """The commands that may be sent, and the queries. `origin` is where the page was opened."""
    commands = [
        Example(command.name, command.aggregate, command.description, _command(command, origin))
        for command in application.commands.values()
        if not command.internal
    ]
    queries = [
        Example(query.name, query.projection, query.description, _query(query, origin))
        for query in application.queries.values()
    ]
    return commands, queries


def _command(command: Command, origin: str) -> str:
    body: dict[str, Any] = {"aggregate_id": "an-id"} if command.needs_aggregate_id else {}
    body |= _required(command.fields)
    text = shlex.quote(orjson.dumps(body).decode())
    address = shlex.quote(f"{origin}/api/commands/{quote(command.name)}")
    return _BREAK.join((f"curl {address}", _AUTHORIZATION, _JSON, f"-d {text}"))


def _query(query: Query, origin: str) -> str:
    params = urlencode(
        [
            (name, item if isinstance(item, str) else orjson.dumps(item).decode())
            for name, value in _required(query.params).items()
            for item in (value if isinstance(value, list) else [value])
        ]
    )
    address = f"{origin}/api/queries/{quote(query.name)}" + (f"?{params}" if params else "")
    return _BREAK.join((f"curl {shlex.quote(address)}", _AUTHORIZATION))


def _required(record: Record) -> dict[str, Any]:
    return {name: _value(field.type) for name, field in record.fields.items() if field.required}


_PLAIN: dict[str, Any] = {
    "string": "text",
    "email": "ada@example.com",
    "url": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "decimal": "1.00",
    "boolean": True,
    "json": {},
    "datetime": "2025-01-31T12:00:00Z",
    "date": "2025-01-31",
    "duration": "1h",
    "bytes": "dHVzaw==",
    "null": None,
}


def _value(type_: Type) -> Any:
    """A value in JSON that such a field might have; a pattern is not looked at."""
    match type_.kind:
        case "integer" | "number":
            return type_.min if isinstance(type_.min, int | float) else 1
        case "enum":
            return type_.values[0] if type_.values else "value"
        case "list":
            return [_value(type_.item)] if type_.item is not None else []
        case "map":
            return {}
        case "record":
            return _required(type_.record) if type_.record is not None else {}
        case kind:
            return _PLAIN[kind]
