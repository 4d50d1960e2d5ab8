"""Validates commands, parameters and messages: foreign data in, run-time values or all problems out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from tusk_runtime.errors import Invalid
from tusk_runtime.types.constraints import violation
from tusk_runtime.types.kinds import ABSENT, MAX_INTEGER, MIN_INTEGER, Field, Record, Type
from tusk_runtime.types.patterns import compile_pattern
from tusk_runtime.types.reading import Extra, Reader, fresh, plain_json, read_decimal
from tusk_runtime.types.values import (
    EMAIL,
    URL,
    parse_bytes,
    parse_date,
    parse_datetime,
    parse_duration,
    with_places,
)

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


class Validator:
    """Turns foreign data into the fields of a record.

    Data in its canonical form is decided by pydantic's core in one call. Whatever that turns down is read
    once more by `Reader`, which converts what is exact ("12" for 12) and says in words what is wrong.
    The pydantic schema is built on first use.
    """

    __slots__ = ("_extra", "_fast", "record")

    def __init__(self, record: Record, extra: Extra = "forbid") -> None:
        self.record = record
        self._extra: Extra = extra
        self._fast: Callable[[Any], dict[str, Any]] | None = None

    def python(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Every field of the record as a run-time value, from JSON-like or run-time values.

        Raises Invalid; its details hold `errors`: all problems, each with `field`, `message`, `help`.
        """
        decide = self._fast or self._build()
        try:
            return decide(data)
        except ValueError:  # pydantic's ValidationError is one
            return self._explain(data)

    def json(self, data: bytes | str) -> dict[str, Any]:
        """The same from a JSON text in UTF-8."""
        try:
            document = orjson.loads(data or b"{}")
        except orjson.JSONDecodeError as error:
            message = f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            raise Invalid(f"the body {message}", errors=[{"field": "", "message": message}]) from None
        return self.python(document)

    def _build(self) -> Callable[[Any], dict[str, Any]]:
        from pydantic_core import SchemaValidator

        schema = _record_schema(self.record, self._extra, {})
        self._fast = SchemaValidator(schema).validate_python
        return self._fast

    def _explain(self, data: Any) -> dict[str, Any]:
        reader = Reader(self._extra)
        result = reader.record(self.record, data)
        if not reader.issues:
            return result  # type: ignore[no-any-return]
        first = reader.issues[0].text
        more = len(reader.issues) - 1
        message = first + (f" (and {more} more)" if more else "")
        errors = [
            {"field": i.field, "message": i.message, **({"help": i.help} if i.help else {})}
            for i in reader.issues[:100]
        ]
        raise Invalid(message, errors=errors)


def _record_schema(record: Record, extra: Extra, known: dict[int, CoreSchema]) -> CoreSchema:
    from pydantic_core import core_schema as cs

    fields = {
        name: cs.typed_dict_field(_field_schema(field, extra, known), required=field.required)
        for name, field in record.fields.items()
    }
    return cs.typed_dict_schema(fields, extra_behavior=extra, strict=False)


def _field_schema(field: Field, extra: Extra, known: dict[int, CoreSchema]) -> CoreSchema:
    from pydantic_core import core_schema as cs

    schema = _schema(field.type, extra, known)
    if field.default is not ABSENT:
        if field.type.optional:
            # Null means absent here, which only the slow reader tells apart: let it have those.
            schema = _schema(field.type.required(), extra, known)
        if isinstance(field.default, list | dict):
            return cs.with_default_schema(schema, default_factory=lambda: fresh(field.default))
        return cs.with_default_schema(schema, default=field.default)
    if field.type.optional:
        return cs.with_default_schema(schema, default=None)
    return schema


def _schema(type_: Type, extra: Extra, known: dict[int, CoreSchema]) -> CoreSchema:
    from pydantic_core import core_schema as cs

    schema: CoreSchema
    match type_.kind:
        case "record" if type_.record is not None:
            # The same record object in several places shares one schema, so that the work stays linear.
            schema = known.get(id(type_.record)) or _record_schema(type_.record, extra, known)
            known[id(type_.record)] = schema
        case "list":
            item = _schema(type_.entry, extra, known)
            schema = cs.list_schema(item, min_length=type_.min, max_length=type_.max, strict=True)
            schema = _then_violation(type_, schema) if type_.unique else schema
        case "map":
            schema = cs.dict_schema(
                cs.str_schema(strict=True, min_length=0),
                _schema(type_.entry, extra, known),
                min_length=type_.min,
                max_length=type_.max,
                strict=True,
            )
            schema = _then_violation(type_, schema) if type_.unique else schema
        case _:
            schema = _scalar_schema(type_)
    return cs.nullable_schema(schema) if type_.optional else schema


def _scalar_schema(type_: Type) -> CoreSchema:
    from pydantic_core import core_schema as cs

    match type_.kind:
        case "string" | "email" | "url":
            shape = {"email": EMAIL, "url": URL}.get(type_.kind)
            pattern = shape or type_.pattern
            text = cs.str_schema(
                strict=True,
                min_length=type_.min,
                max_length=type_.max,
                pattern=compile_pattern(pattern).whole if pattern else _NO_ZERO,
                regex_engine="rust-regex",
            )
            if not pattern:
                return text
            schema = cs.chain_schema([text, cs.str_schema(pattern=_NO_ZERO, regex_engine="rust-regex")])
            return _then_violation(type_, schema) if shape and type_.pattern else schema
        case "uuid":
            canonical = r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"
            plain = cs.str_schema(strict=True, pattern=canonical, regex_engine="rust-regex")
            return _then_violation(type_, plain) if type_.min or type_.max or type_.pattern else plain
        case "enum":
            return cs.literal_schema(list(type_.values))
        case "integer":
            low = MIN_INTEGER if type_.min is None else type_.min
            high = MAX_INTEGER if type_.max is None else type_.max
            return cs.int_schema(strict=True, ge=low, le=high)
        case "number":
            return cs.float_schema(strict=True, ge=type_.min, le=type_.max, allow_inf_nan=False)
        case "boolean":
            return cs.bool_schema(strict=True)
    return cs.no_info_plain_validator_function(_plain_reader(type_))


def _plain_reader(type_: Type) -> Callable[[Any], Any]:
    """A function for the kinds that pydantic reads otherwise than we do. Its errors need no words."""
    if type_.kind == "decimal":
        return _decimal_reader(type_)
    if type_.kind == "json":
        return plain_json
    parse = _PARSERS[type_.kind]
    bounded = type_.min is not None or type_.max is not None

    def read(value: Any) -> Any:
        if type(value) is not str:
            raise ValueError
        result = parse(value)
        if bounded and violation(type_, result):
            raise ValueError
        return result

    return read


_NO_ZERO = r"\A[^\x00]*\z"
"""What has no character U+0000. To match at all, pydantic looks for halves of surrogate pairs, too."""

_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "datetime": parse_datetime,
    "date": parse_date,
    "duration": parse_duration,
    "bytes": parse_bytes,
}

_PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?").fullmatch


def _decimal_reader(type_: Type) -> Callable[[Any], Decimal]:
    """The spellings that nearly all data has, in few steps; `read_decimal` for the others."""
    places, low, high = type_.places, type_.min, type_.max
    # Where the point must stand, from the right, so that the digits are right as they are.
    point = -(places + 1) if places else 0

    def read(value: Any) -> Decimal:
        if (
            type(value) is str
            and _PLAIN_DECIMAL(value)
            and (places is None or value[point : point + 1] == ".")
        ):
            result = Decimal(value)
        elif type(value) is int and -(10**18) < value < 10**18:
            result = Decimal(value) if places is None else with_places(Decimal(value), places)
        else:
            result = read_decimal(type_, value)
        if (low is not None and result < low) or (high is not None and result > high):
            raise ValueError
        return result

    return read


def _then_violation(type_: Type, schema: CoreSchema) -> CoreSchema:
    from pydantic_core import core_schema as cs

    def check(value: Any) -> Any:
        if violation(type_, value):
            raise ValueError
        return value

    return cs.no_info_after_validator_function(check, schema)
