"""What the builders of calls share."""

from __future__ import annotations

import ast
from typing import Any

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.calls import (
    literal_argument,
    visit_argument,
    wrong_argument,
)
from tusk_runtime.expressions.checker import Checker
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.library import times
from tusk_runtime.expressions.registry import FUNCTIONS, Function
from tusk_runtime.expressions.signatures import Parameter
from tusk_runtime.types import (
    JSON,
    NUMERIC,
    Type,
)
from tusk_runtime.types.generate import name

Expected = Type | None

ORDERED = NUMERIC | {"datetime", "date", "duration", "string", "email", "url", "uuid"}
"""The kinds that can be sorted."""


def function_of(call: s.Call) -> Function:
    """The function that a call names."""
    return FUNCTIONS[call.name]


def parameter_of(call: s.Call, index: int, signature: int = 0) -> Parameter:
    """A parameter of the function that a call names."""
    return function_of(call).signatures[signature].parameters[index]


def bare(type_: Type) -> Type:
    """The type without constraints."""
    return Type(type_.kind, places=type_.places, values=type_.values)


def list_argument(c: Checker, call: s.Call, hint: Expected = None) -> Code:
    """The first argument, which must be a list."""
    node = call.arguments[0]
    if hint is not None and not isinstance(node, s.Comprehension):
        hint = None
    code = visit_argument(c, node, hint)
    if not code.known:
        return code
    code = c.settled(code, f"given to `{call.name}`")
    if code.known and code.type.kind == "json":
        code = c.convert(code, Type("list", item=JSON))
    if code.known and code.type.kind != "list":
        return wrong_argument(c, code, "list<T>", call)
    return code


def zone_argument(c: Checker, call: s.Call, index: int) -> ast.expr | None:
    """The time zone that is written out as a last argument, or that of the scope."""
    zone: Any = c.scope.timezone
    if index < len(call.arguments):
        zone = literal_argument(c, call.arguments[index], "a time zone", call)
        if zone is None:
            return None
    try:
        value = times.time_zone(str(zone))
    except ValueError as error:
        place = call.arguments[index] if index < len(call.arguments) else call
        c.error(codes.PATTERN, place, str(error), "write a name such as `Europe/Berlin`")
        return None
    title = f"zone {zone}"
    c.globals[title] = value
    return name(title)
