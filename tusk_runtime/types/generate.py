"""Makes Python functions from syntax trees, without exec."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any


def build_function(
    name: str,
    parameters: Sequence[str],
    body: list[ast.stmt],
    namespace: Mapping[str, Any],
    *,
    filename: str = "<generated>",
) -> Callable[..., Any]:
    """A function with these positional parameters and this body.

    `namespace` holds every other name that the body uses. It becomes the function's globals as a copy.
    Nodes without positions take those of their parents.
    """
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(arg=p) for p in parameters], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    definition = ast.FunctionDef(name=name, args=arguments, body=body, decorator_list=[])
    definition.lineno, definition.col_offset = 1, 0
    module = ast.fix_missing_locations(ast.Module(body=[definition], type_ignores=[]))
    code = compile(module, filename, "exec", dont_inherit=True)
    inner = next(c for c in code.co_consts if isinstance(c, CodeType))
    return FunctionType(inner, {"__builtins__": {}, **namespace})


def name(id_: str) -> ast.Name:
    """The value of a variable. Names need not be identifiers, so that they cannot meet the user's."""
    return ast.Name(id_, ast.Load())


def call(function: str, *arguments: ast.expr) -> ast.Call:
    """A call of a function by name."""
    return ast.Call(name(function), list(arguments), [])


def constant(value: str | int | float | bool | None) -> ast.Constant:
    """A constant that Python's own compiler knows."""
    return ast.Constant(value)


def item(target: ast.expr, key: ast.expr) -> ast.Subscript:
    """`target[key]`."""
    return ast.Subscript(target, key, ast.Load())
