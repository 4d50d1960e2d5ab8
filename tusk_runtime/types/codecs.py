"""Between run-time values and what is stored: JSON of events, columns of read models."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from tusk_runtime.types import generate as g
from tusk_runtime.types.kinds import ABSENT, Record, Type
from tusk_runtime.types.reading import fresh
from tusk_runtime.types.values import (
    decimal_of_float,
    format_bytes,
    format_datetime,
    format_decimal,
    format_duration,
    parse_bytes,
    parse_date,
    parse_datetime,
    parse_duration,
)

Codec = Callable[[Any], Any]

_MICROSECOND = timedelta(microseconds=1)
_JSON_OPTIONS = orjson.OPT_UTC_Z


def encode_default(value: Any) -> Any:
    """What orjson does not know: decimals as text with their places, durations in ISO 8601, bytes as
    base64.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, bytes):
        return format_bytes(value)
    raise TypeError(f"a {type(value).__name__} is no run-time value")


def to_json(value: Any) -> bytes:
    """The JSON text of a run-time value in UTF-8; datetimes are in UTC with `Z`."""
    return orjson.dumps(value, default=encode_default, option=_JSON_OPTIONS)


# Reading stored JSON


def _decimal(value: Any) -> Decimal:
    if isinstance(value, float):
        return decimal_of_float(value)
    return Decimal(value)


def _datetime(value: str) -> datetime:
    # What we wrote ourselves ends in Z, and Python's own reader takes it much faster.
    if value[-1] == "Z":
        return datetime.fromisoformat(value)
    return parse_datetime(value)


_DECODERS: Mapping[str, Codec] = {
    "decimal": _decimal,
    "number": float,
    "datetime": _datetime,
    "date": parse_date,
    "duration": parse_duration,
    "bytes": parse_bytes,
}
"""The kinds whose run-time value is not what orjson gives."""


def decoder(type_: Type) -> Codec | None:
    """A function from stored JSON (as orjson gives it) to the run-time value; None where nothing is to do.

    It trusts what was validated before it was stored, but not its shape: a record gets every field of its
    type (null or the default where it is absent, so that older data can be read), fields that the type
    does not know are dropped, and null stays null.
    """
    return _Decoders().of(type_)


class _Decoders:
    """Builds decoders; each record once, however often it is used."""

    def __init__(self) -> None:
        self._records: dict[int, Codec] = {}

    def of(self, type_: Type) -> Codec | None:
        if type_.record is not None:
            return self._record(type_.record)
        if type_.item is not None:
            return self._container(type_)
        convert = _DECODERS.get(type_.kind)
        return None if convert is None else _or_null(convert)

    def _container(self, type_: Type) -> Codec | None:
        item = self.of(type_.entry)
        if item is None:
            return None
        if type_.kind == "list":
            return lambda value: None if value is None else [item(member) for member in value]
        return lambda value: None if value is None else {key: item(member) for key, member in value.items()}

    def _record(self, record: Record) -> Codec:
        known = self._records.get(id(record))
        if known is None:
            known = self._records[id(record)] = self._build(record)
        return known

    def _build(self, record: Record) -> Codec:
        """A generated function: `None if v is None else {"a": v.get("a"), "b": decode_b(v.get("b", 1)),
        …}`.
        """
        namespace: dict[str, Any] = {}
        keys: list[ast.expr | None] = []
        members: list[ast.expr] = []
        for i, (name, field) in enumerate(record.fields.items()):
            convert = self.of(field.type)
            arguments: list[ast.expr] = [g.constant(name)]
            value: ast.expr = ast.Call(g.name("get"), arguments, [])
            if convert is not None:
                namespace[f"decode {i}"] = convert
                value = g.call(f"decode {i}", value)
            if field.default is not ABSENT:
                # Asked by `in` first: a default is a run-time value already and must not be decoded.
                namespace[f"default {i}"] = field.default
                default: ast.expr = g.name(f"default {i}")
                if isinstance(field.default, list | dict):
                    namespace["fresh"] = fresh
                    default = g.call("fresh", default)
                held = ast.Compare(g.constant(name), [ast.In()], [g.name("value")])
                value = ast.IfExp(held, value, default)
            keys.append(g.constant(name))
            members.append(value)
        nothing = ast.Compare(g.name("value"), [ast.Is()], [g.constant(None)])
        body: list[ast.stmt] = [
            ast.If(nothing, [ast.Return(g.constant(None))], []),
            ast.Assign(
                [ast.Name("get", ast.Store())], ast.Attribute(g.name("value"), "get", ast.Load()), lineno=1
            ),
            ast.Return(ast.Dict(keys, members)),
        ]
        return g.build_function(f"decode_{record.name}", ["value"], body, namespace, filename="<decoder>")


def _or_null(convert: Codec) -> Codec:
    return lambda value: None if value is None else convert(value)


# Columns


def datetime_to_column(value: datetime) -> str:
    """Fixed width, so that the order of the texts is the order of the moments."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _json_to_column(value: Any) -> str:
    return to_json(value).decode()


_TO_COLUMN: Mapping[str, Codec] = {
    "decimal": format_decimal,
    "boolean": int,
    "datetime": datetime_to_column,
    "date": date.isoformat,
    "duration": lambda value: value // _MICROSECOND,
    "list": _json_to_column,
    "map": _json_to_column,
    "record": _json_to_column,
    "json": _json_to_column,
}

_FROM_COLUMN: Mapping[str, Codec] = {
    "decimal": Decimal,
    "number": float,
    "boolean": bool,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "duration": lambda value: value * _MICROSECOND,
    "json": orjson.loads,
}


def to_column(type_: Type) -> Codec | None:
    """A function from a run-time value to what a column keeps; None where that is the same. Null stays
    null.
    """
    convert = _TO_COLUMN.get(type_.kind)
    return None if convert is None else _or_null(convert)


def from_column(type_: Type) -> Codec | None:
    """A function from what a column keeps to the run-time value; None where that is the same. Null stays
    null.
    """
    if type_.kind in ("list", "map", "record"):
        decode = decoder(type_)
        if decode is None:
            return _or_null(orjson.loads)
        return lambda value: None if value is None else decode(orjson.loads(value))
    convert = _FROM_COLUMN.get(type_.kind)
    return None if convert is None else _or_null(convert)


__all__ = [
    "datetime_to_column",
    "decoder",
    "encode_default",
    "format_datetime",
    "from_column",
    "to_column",
    "to_json",
]
