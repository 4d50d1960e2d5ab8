"""What the phrases of `Key.takes` mean as JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tusk_runtime.model.reader import SIZE_UNITS, Key

Schema = dict[str, Any]
Shape = Callable[[Schema], Schema]
"""The schema of a key's value, made of the schema of the maps in it (any map, if they have no keys)."""

ANY: Schema = {}
TEXT: Schema = {"type": "string", "minLength": 1}
MAP: Schema = {"type": "object"}


def either(*schemas: Schema) -> Schema:
    """One of several."""
    return {"anyOf": list(schemas)}


def several(schema: Schema) -> Schema:
    """A list of them."""
    return {"type": "array", "items": schema}


def many(schema: Schema) -> Schema:
    """One, or a list of them."""
    return either(schema, several(schema))


def named(schema: Schema) -> Schema:
    """A map with names as keys."""
    return {"type": "object", "additionalProperties": schema}


def alone(schema: Schema) -> Shape:
    """What has no map with keys of its own in it."""
    return lambda inner: schema


_SIZE = either(
    {"type": "integer", "minimum": 1},
    {"type": "string", "pattern": rf"^\d{{1,15}}\s*({'|'.join(SIZE_UNITS)})?$"},
)
# A number or a flag from the environment is a text without quotes, which the shown file does not tell apart.
_NUMBER = either({"type": "integer"}, {"type": "string", "pattern": r"^-?\d{1,18}$"})
_ADDRESS = either(
    {"type": "integer", "minimum": 0, "maximum": 65535},
    {"type": "string", "pattern": r"^((\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):)?\d{1,5}$"},
)
_CONDITION: Schema = {"type": "string", "pattern": r"^\s*\{\{[\s\S]*\}\}\s*$"}
_DURATION: Schema = {
    "type": "string",
    "pattern": r"^\s*(P[0-9DTHMSW.]+|(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+)$",
}
_MOMENT: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}.*(Z|z|[+-]\d{2}:?\d{2})$",
}

SHAPES: Mapping[str, Shape] = {
    "text": alone(TEXT),
    "name": alone(TEXT),
    "names": alone(many(TEXT)),
    "path": alone(TEXT),
    "host:port": alone(_ADDRESS),
    "host:port, or a list of them": alone(many(TEXT)),
    "number": alone(_NUMBER),
    "address": alone(TEXT),
    "address, or a list of them": alone(many(TEXT)),
    "any value": alone(ANY),
    "map of texts": alone(MAP),
    "size": alone(_SIZE),
    "datetime": alone(_MOMENT),
    "duration": alone(_DURATION),
    "type": alone(TEXT),
    "field": alone(TEXT),
    "field or expression": alone(TEXT),
    "machine states": alone(many(TEXT)),
    "projection": alone(TEXT),
    "column, or list of columns": alone(many(TEXT)),
    "columns": alone(many(TEXT)),
    "columns, or lists of them": alone(many(many(TEXT))),
    "fields, or lists of them": alone(many(many(TEXT))),
    "columns, or name → expression": alone(either(many(TEXT), MAP)),
    "condition": alone(_CONDITION),
    "expression": alone({"type": ["string", "number", "boolean", "null"]}),
    "list": alone({"type": ["string", "array"]}),
    "`true` or text": alone(either({"const": True}, TEXT)),
    "map": lambda inner: inner,
    "text or map": lambda inner: either(TEXT, inner),
    "flag or map": lambda inner: either({"enum": [True, False, "true", "false"]}, inner),
    "map of types": alone(named(TEXT)),
    "map of fields": alone(MAP),
    "map of columns": alone(MAP),
    "rule, or list of rules": many,
    "version → step": named,
    "old name → new name": alone(named(TEXT)),
    "event → fields": alone(named({"type": ["object", "null"]})),
    "event → operations": lambda inner: named(many(inner)),
    "event → actions": lambda inner: named(many(inner)),
    "events": lambda inner: many(either(TEXT, inner)),
    "commands, events, `message`, `after`": alone(many(either(TEXT, MAP))),
    "events, or a map of expectations": lambda inner: either(inner, TEXT, several(either(TEXT, MAP))),
    "list of aggregates": alone(many(either(TEXT, MAP))),
    "projection → rows": alone(many(either(TEXT, MAP))),
    "query → `params`, `rows`": lambda inner: many(named(inner)),
    "rows": alone(ANY),
    "list of calls": many,
    "address → answer, or a list of them": lambda inner: named(many(inner)),
    "map of any values": alone(MAP),
}
"""All phrases. One that is not here takes anything, which a test refuses."""

_WORDS = re.compile(r"`[^`]+`((, `[^`]+`)* or `[^`]+`)?")


def words(takes: str) -> list[str]:
    """The words of "`many`, `one` or `scalar`"; none for a phrase."""
    return re.findall(r"`([^`]+)`", takes) if _WORDS.fullmatch(takes) else []


def shape(key: Key, inner: Schema) -> Schema:
    """The schema of a key's value; `inner` is that of the map with its keys."""
    choices = words(key.takes)
    if choices:
        flags: list[Any] = [choice == "true" for choice in choices if choice in ("true", "false")]
        return {"enum": flags + choices}
    found = SHAPES.get(key.takes)
    return ANY if found is None else found(inner)
