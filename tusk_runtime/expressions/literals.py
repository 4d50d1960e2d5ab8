"""Literals, which take the type that they meet, and the conversions between types."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.code import Code, constant
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.types import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    MAX_INTEGER,
    MIN_INTEGER,
    NULL,
    NUMBER,
    STRING,
    Record,
    Type,
    assignable,
    how_to_write,
)
from tusk_runtime.types.kinds import ABSENT
from tusk_runtime.types.reading import Reader
from tusk_runtime.types.values import check_decimal, show

if TYPE_CHECKING:
    from tusk_runtime.expressions.checker import Checker

_TEXT_LITERALS = frozenset({"enum", "date", "datetime", "duration", "uuid", "email", "url"})
"""The kinds that a text literal may stand for."""


def is_literal(node: s.Syntax) -> bool:
    """Whether a node is a literal, which waits for the type beside it."""
    node = s.ungroup(node)
    if isinstance(node, s.Sign):
        node = s.ungroup(node.operand)
    if isinstance(node, s.ListOf):
        return all(is_literal(item) for item in node.items)
    return isinstance(node, s.Literal)


def adapts(code: Code) -> bool:
    """Whether the code is of a literal."""
    return code.literal is not ABSENT


def literal(c: Checker, syntax: s.Syntax, value: Any, expected: Type | None) -> Code:
    """The code of a literal where a type is expected, or of its own type."""
    if value is None:
        return Code(constant(None, c.globals), NULL, syntax, None)
    if isinstance(value, bool):
        return Code(constant(value, c.globals), BOOLEAN, syntax, value)
    if isinstance(value, str):
        return _text(c, syntax, value, expected)
    kind = expected.kind if expected is not None else ""
    if isinstance(value, int) and kind != "decimal" and kind != "number":
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            return c.error(
                codes.NUMBER_SIZE, syntax, "an integer has 64 bits", "write it with a point for a decimal"
            )
        return Code(constant(value, c.globals), INTEGER, syntax, value)
    if kind == "number":
        binary = float(value)
        if not isfinite(binary):
            return c.error(
                codes.NUMBER_SIZE, syntax, "a number ends at about 1.8e308", "write a smaller number"
            )
        return Code(constant(binary, c.globals), NUMBER, syntax, binary)
    try:
        exact = check_decimal(Decimal(value))
    except ValueError as error:
        return c.error(codes.NUMBER_SIZE, syntax, str(error), "write fewer digits")
    return Code(constant(exact, c.globals), DECIMAL, syntax, exact)


def _text(c: Checker, syntax: s.Syntax, value: str, expected: Type | None) -> Code:
    if expected is None or expected.kind not in _TEXT_LITERALS:
        return Code(constant(value, c.globals), STRING, syntax, value)
    if expected.kind == "enum":
        if value not in expected.values:
            guess = nearest(value[:100], expected.values)
            known = ", ".join(f"`{v}`" for v in expected.values[:12])
            hint = f"did you mean `{guess}`?" if guess else f"the values are {known}"
            return c.error(
                codes.LITERAL, syntax, f"{show(value, 40)} is not a value of {_enum_name(expected)}", hint
            )
        return Code(constant(value, c.globals), expected.required(), syntax, value)
    plain = Type(expected.kind)
    reader = Reader()
    result = reader.read(plain, value)
    if reader.issues:
        return c.error(codes.LITERAL, syntax, f"this {reader.issues[0].message}", how_to_write(plain))
    return Code(constant(result, c.globals), plain, syntax, result)


def _enum_name(type_: Type) -> str:
    text = str(type_.required())
    return text if len(text) <= 60 else "the enum"


def number(c: Checker, code: Code, kind: str) -> Code | None:
    """A literal of digits as a decimal or number, or None if it is none."""
    if isinstance(code.literal, bool) or not isinstance(code.literal, int | Decimal):
        return None
    value = Decimal(code.literal) if kind == "decimal" else float(code.literal)
    return Code(constant(value, c.globals), DECIMAL if kind == "decimal" else NUMBER, code.syntax, value)


def fits(code: Code, target: Type) -> bool:
    """Whether a value is assignable to a type, where a literal such as `0.5` may also be a number."""
    if assignable(code.type, target):
        return True
    return isinstance(code.literal, Decimal) and target.kind == "number"


def converter(source: Type, target: Type) -> Callable[[Any], Any] | None:
    """A function that widens values of one type to another, or None where they are the same in Python."""
    convert = _converter(source, target)
    if convert is None or not source.optional:
        return convert
    inner = convert
    return lambda value: None if value is None else inner(value)


def _converter(source: Type, target: Type) -> Callable[[Any], Any] | None:
    if source.kind == "integer" and target.kind == "decimal":
        return Decimal
    if source.kind == "integer" and target.kind == "number":
        return float
    if target.kind == "json" and source.kind != "json":
        from tusk_runtime.expressions.operations import to_plain

        return to_plain
    if source.kind == "json" and target.kind != "json":
        from tusk_runtime.expressions.operations import json_reader

        return json_reader(target)
    if source.item is not None and target.item is not None:
        item = converter(source.item, target.item)
        if item is None:
            return None
        if source.kind == "list":
            return lambda value: [item(member) for member in value]
        return lambda value: {key: item(member) for key, member in value.items()}
    if source.record is not None and target.record is not None:
        return _record_converter(source.record, target.record)
    return None


def _record_converter(source: Record, target: Record) -> Callable[[Any], Any] | None:
    if source is target:
        return None
    given, wanted = source.fields, target.fields
    converters = {name: converter(given[name].type, wanted[name].type) for name in wanted if name in given}
    defaults = {
        name: None if field.default is ABSENT else field.default
        for name, field in wanted.items()
        if name not in given
    }
    changes = {name: convert for name, convert in converters.items() if convert is not None}
    if not changes and not defaults:
        return None
    return lambda value: {
        **defaults,
        **value,
        **{name: convert(value[name]) for name, convert in changes.items()},
    }
