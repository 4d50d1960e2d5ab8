"""Calls over texts and numbers whose patterns and modes are written out, and ids."""

from __future__ import annotations

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.builders.common import (
    Expected,
    bare,
    parameter_of,
)
from tusk_runtime.expressions.calls import (
    argument,
    literal_argument,
)
from tusk_runtime.expressions.checker import Checker
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.library import identity, numbers, texts
from tusk_runtime.expressions.scope import IDENTITY
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.types import (
    BOOLEAN,
    INTEGER,
    UUID,
    Type,
)
from tusk_runtime.types.generate import name
from tusk_runtime.types.patterns import compile_pattern


def matches(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`matches(s, 'RE2')`; the pattern is written out and compiled at load."""
    pattern = literal_argument(c, call.arguments[1], "a pattern", call)
    code = argument(c, call.arguments[0], parameter_of(call, 0), call, {})
    if pattern is None or not code.known:
        return c.unknown(call)
    try:
        compiled = compile_pattern(str(pattern))
    except ValueError as error:
        return c.error(
            codes.PATTERN,
            call.arguments[1],
            f"not a regular expression: {error}",
            "write an RE2 expression for the whole text, such as `[A-Z]{3}`",
        )
    c.shared.budgeted = True
    node = c.operation(texts.matcher(compiled), name("tusk budget"), code.node, title=f"matches {pattern}")
    return Code(node, BOOLEAN, call, missing=code.missing)


def absolute(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`abs(n)`."""
    code = argument(c, call.arguments[0], parameter_of(call, 0), call, {})
    if not code.known:
        return c.unknown(call)
    function = numbers.absolute_integer if code.type.kind == "integer" else numbers.absolute
    node = c.operation(function, code.node)
    return Code(node, bare(code.type), call, rounded=code.rounded, missing=code.missing)


def rounded(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`round(n)`, `round(n, places)`, `round(n, places, mode)`."""
    code = argument(c, call.arguments[0], parameter_of(call, 0), call, {})
    mode = "half_up"
    if len(call.arguments) > 2:
        mode = literal_argument(c, call.arguments[2], "a mode", call)
        if mode is not None and mode not in numbers.MODES:
            return c.error(
                codes.ARGUMENTS,
                call.arguments[2],
                f"there is no mode `{mode}`",
                did_you_mean(str(mode), numbers.MODES),
            )
    if not code.known or mode is None:
        return c.unknown(call)
    if len(call.arguments) == 1:
        node = c.operation(numbers.rounder(mode), code.node, title=f"round {mode}")
        return Code(node, INTEGER, call, missing=code.missing)
    places = argument(c, call.arguments[1], parameter_of(call, 1), call, {})
    if not places.known:
        return c.unknown(call)
    node = c.operation(numbers.places_rounder(mode), code.node, places.node, title=f"round places {mode}")
    result = Type(code.type.kind)
    if code.type.kind == "decimal" and isinstance(places.literal, int) and 0 <= places.literal <= 38:
        result = Type("decimal", places=places.literal)
    return Code(node, result, call, missing=code.missing or places.missing)


def uuid(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`uuid(parts…)`."""
    nodes, missing = [], False
    for node in call.arguments:
        code = c.close(c.settled(c.visit(node), "a part of an id"))
        if not code.known:
            return c.unknown(call)
        if code.type.kind in ("list", "map", "record"):
            text = c.text_of(node)
            return c.error(
                codes.TYPE, node, "the parts of an id are single values", f"write `to_json({text})`"
            )
        nodes.append(code.node)
        missing = missing or code.missing
    c.shared.constant = False
    c.shared.identity = True
    return Code(c.operation(identity.derived_uuid, name(IDENTITY), *nodes), UUID, call, missing=missing)
