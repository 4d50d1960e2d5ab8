"""Types as JSON Schema, as OpenAPI 3.1 and AsyncAPI take it."""

from __future__ import annotations

from typing import Any

import orjson

from tusk_runtime.types.codecs import to_json
from tusk_runtime.types.kinds import ABSENT, MAX_INTEGER, MIN_INTEGER, Field, Record, Type
from tusk_runtime.types.personal import MASK, holds_pii

PII: dict[str, Any] = {
    "x-pii": True,
    "description": "Personal data: masked wherever it is shown but in the answers to commands and queries.",
}
"""What the schema of personal data says of it."""

_FORMATS = {"email": "email", "url": "uri", "uuid": "uuid"}
_BASE: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer", "minimum": MIN_INTEGER, "maximum": MAX_INTEGER},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "duration": {"type": "string", "format": "duration"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "json": {},
    "null": {"type": "null"},
}


MASKED: dict[str, Any] = {
    "x-pii": True,
    "enum": [MASK, None],
    "description": f"Personal data, shown as `{MASK}`.",
}
"""The schema of personal data where it is masked."""


def json_schema(type_: Type, *, masked: bool = False) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a type's JSON form, everything inline; `masked`: as it is shown."""
    if masked and type_.pii:
        return dict(MASKED)
    schema = _schema(type_, masked)
    if type_.optional and type_.kind not in ("json", "null"):
        schema = _nullable(schema)
    if type_.pii:
        schema |= PII
    return schema


def _schema(type_: Type, masked: bool) -> dict[str, Any]:
    match type_.kind:
        case "string" | "email" | "url" | "uuid":
            schema: dict[str, Any] = {"type": "string"}
            if type_.kind in _FORMATS:
                schema["format"] = _FORMATS[type_.kind]
            if type_.pattern is not None:
                schema["pattern"] = f"^(?:{type_.pattern})$"
            return _bounded(schema, type_, "minLength", "maxLength")
        case "enum":
            return {"type": "string", "enum": list(type_.values)}
        case "decimal":
            places = "" if type_.places is None else rf"{{1,{type_.places}}}" if type_.places else None
            point = "" if places is None else rf"(?:\.\d{places or '+'})?"
            schema = {"type": ["string", "number"], "format": "decimal", "pattern": rf"^-?\d+{point}$"}
            return _bounded(schema, type_, "minimum", "maximum")
        case "list":
            schema = {"type": "array", "items": json_schema(type_.entry, masked=masked)}
            if type_.unique:
                schema["uniqueItems"] = True
            return _bounded(schema, type_, "minItems", "maxItems")
        case "map":
            schema = {"type": "object", "additionalProperties": json_schema(type_.entry, masked=masked)}
            return _bounded(schema, type_, "minProperties", "maxProperties")
        case "record" if type_.record is not None:
            return record_schema(type_.record, masked=masked)
        case "integer" | "number":
            return _bounded(dict(_BASE[type_.kind]), type_, "minimum", "maximum")
        case "bytes":
            return _bounded(dict(_BASE["bytes"]), type_, "minLength", "maxLength")
        case "datetime" | "date" | "duration":
            # JSON Schema itself knows no order of times; these names are the usual ones for it.
            return _bounded(dict(_BASE[type_.kind]), type_, "formatMinimum", "formatMaximum")
    return dict(_BASE[type_.kind])


def record_schema(record: Record, *, masked: bool = False) -> dict[str, Any]:
    """The JSON Schema of an object with a record's fields and no others."""
    schema: dict[str, Any] = {
        "type": "object",
        "title": record.name,
        "properties": {name: _field(field, masked) for name, field in record.fields.items()},
        "additionalProperties": False,
    }
    required = [name for name, field in record.fields.items() if field.required]
    if required:
        schema["required"] = required
    return schema


def _field(field: Field, masked: bool) -> dict[str, Any]:
    schema = json_schema(field.type, masked=masked)
    if field.default is not ABSENT and not (masked and holds_pii(field.type)):
        schema["default"] = _plain(field.default)
    return schema


def _bounded(schema: dict[str, Any], type_: Type, low: str, high: str) -> dict[str, Any]:
    if type_.min is not None:
        schema[low] = _bound(type_.kind, type_.min)
    if type_.max is not None:
        schema[high] = _bound(type_.kind, type_.max)
    return schema


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type")
    if "enum" in schema:
        return {**schema, "type": [kinds, "null"], "enum": [*schema["enum"], None]}
    return {**schema, "type": [*(kinds if isinstance(kinds, list) else [kinds]), "null"]}


def _bound(kind: str, value: Any) -> Any:
    if kind == "bytes":
        return 4 * -(-value // 3)  # the characters of so many bytes in base64
    if kind in ("datetime", "date", "duration"):
        return _plain(value)
    return value if isinstance(value, int | float) else float(value)


def _plain(value: Any) -> Any:
    return orjson.loads(to_json(value))
