"""Calls that convert, where the type of the argument decides how."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.builders.common import (
    Expected,
    parameter_of,
    zone_argument,
)
from tusk_runtime.expressions.calls import (
    wrong_argument,
)
from tusk_runtime.expressions.checker import Checker
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.library import conversions
from tusk_runtime.expressions.logic import coalesce
from tusk_runtime.types import (
    NUMERIC,
    STRING,
    TEXTS,
    Type,
)
from tusk_runtime.types.generate import name
from tusk_runtime.types.values import format_datetime, format_decimal, format_duration

TEXT_FUNCTIONS: dict[str, Callable[[Any], str]] = {
    "integer": str,
    "boolean": conversions.boolean_text,
    "decimal": format_decimal,
    "datetime": format_datetime,
    "date": conversions.date_text,
    "duration": format_duration,
    "number": repr,
}
"""How single values become text."""


def text_node(c: Checker, code: Code) -> ast.expr | None:
    """The code of the text of a single value, or None for lists, maps and records."""
    kind = code.type.kind
    if kind in TEXTS:
        return code.node
    if kind == "json":
        return c.budgeted(conversions.string_of_json, code.node)
    if kind in TEXT_FUNCTIONS:
        return c.operation(TEXT_FUNCTIONS[kind], code.node, title=f"text of {kind}")
    return None


def instead_of_text(type_: Type, text: str) -> str:
    """What to write for the text of a list, a map or a record."""
    joined = f" or `join({text}, ', ')`" if type_.item is not None and type_.item.kind in TEXTS else ""
    return f"write `to_json({text})`{joined}"


def string(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`string(x)`."""
    code = c.close(c.settled(c.visit(call.arguments[0]), "made a text"))
    if not code.known:
        return c.unknown(call)
    node = text_node(c, code)
    if node is None:
        text = c.text_of(call.arguments[0])
        message = f"{code.type} has no text of its own"
        return c.error(codes.TYPE, call.arguments[0], message, instead_of_text(code.type, text))
    if node is code.node:
        return Code(node, STRING, call, missing=code.missing)
    return Code(node, STRING, call, missing=code.missing)


def conversion(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`integer(x)` and its kin."""
    kind = call.name
    zone = None
    if kind in ("date", "datetime"):
        zone = zone_argument(c, call, 1)
        if zone is None:
            return c.unknown(call)
    code = c.visit(call.arguments[0])
    if not code.known:
        return c.unknown(call)
    code = c.close(c.settled(code, "converted"))
    if not code.known:
        return c.unknown(call)
    if code.type.kind == kind and kind != "decimal":
        return Code(code.node, code.type, call, missing=code.missing)
    parameter = parameter_of(call, 0)
    groups = {"numeric": NUMERIC, "text": TEXTS, "moment": {"date", "datetime"}}
    allowed = {k for part in parameter.text.split("|") for k in groups.get(part, {part})}
    if code.type.kind not in allowed:
        return wrong_argument(c, code, parameter.text.removesuffix("|json"), call)
    result = Type(kind)  # type: ignore[arg-type]
    if kind == "date":
        return Code(
            c.operation(conversions.date_of, code.node, zone or name("")), result, call, missing=code.missing
        )
    if kind == "datetime":
        return Code(
            c.operation(conversions.datetime_of, code.node, zone or name("")),
            result,
            call,
            missing=code.missing,
        )
    if code.type.kind == "decimal" and kind == "decimal":
        return Code(code.node, code.type, call, rounded=code.rounded, missing=code.missing)
    function = getattr(conversions, kind)
    return Code(c.operation(function, code.node, title=f"as {kind}"), result, call, missing=code.missing)


def default(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`default(x, y)` is `x ?? y`."""
    return coalesce(c, call, call.arguments, expected)
