"""The parts of lists, maps and records that are written out in the file."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from tusk_runtime.expressions import operations
from tusk_runtime.expressions.checker import unique
from tusk_runtime.expressions.code import Value, constant
from tusk_runtime.expressions.fitting import Place
from tusk_runtime.types import ABSENT, Field, Record, Type, personal
from tusk_runtime.types.constraints import violation


def display_of(nodes: dict[str, ast.expr]) -> ast.expr:
    """The code of a map with these values."""
    return ast.Dict([ast.Constant(key) for key in nodes], list(nodes.values()))


def default_node(value: Any, constants: dict[str, Any]) -> ast.expr:
    """The code of a field's default, made anew for each value; null where there is none."""
    if value is ABSENT:
        return ast.Constant(None)
    if isinstance(value, list):
        return ast.List([default_node(member, constants) for member in value], ast.Load())
    if isinstance(value, dict):
        return display_of({key: default_node(member, constants) for key, member in value.items()})
    return constant(value, constants)


def constrained(display: ast.expr, expected: Type, constants: dict[str, Any]) -> Value:
    """A list or map whose parts are right, taken through the constraints of the whole."""
    if expected.min is None and expected.max is None and not expected.unique:
        return Value(display, expected.required())
    whole = Type(
        expected.kind, min=expected.min, max=expected.max, unique=expected.unique, item=expected.item
    )

    def check(value: Any) -> Any:
        if problem := violation(whole, value):
            raise ValueError(problem)
        return value

    title = unique("constraints")
    constants[title] = operations.checked(check)
    call = ast.Call(ast.Name(title, ast.Load()), [display], [])
    return Value(call, expected.required())


def place_of(record: Record, field: Field) -> Place:
    """A field as the place that a value goes to."""
    name = f"the column `{field.name}`" if record.name == "row" else f"`{field.name}` of `{record.name}`"
    advice = f'mark it where it is declared: `{field.name}: "{_marked(field.type)}"`'
    return Place(f"{name} is not marked `pii`", advice)


def _marked(type_: Type) -> Type:
    """The type with the mark where an event, too, could have it: on the entries, not on the list."""
    if type_.item is not None:
        return replace(type_, item=_marked(type_.item))
    return personal(type_)
