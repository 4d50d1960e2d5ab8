"""A compiled expression, and functions fused out of several."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tusk_runtime.expressions.failures import SITES, explain, locate
from tusk_runtime.expressions.scope import IDENTITY
from tusk_runtime.language.source import Span
from tusk_runtime.types import Type, holds_pii
from tusk_runtime.types.generate import build_function

Path = tuple[str, ...]


@dataclass(slots=True, eq=False)
class Expression:
    """A checked value of the file: a literal, a `{{ }}`, a text with some, or a list or map of these.

    Called with the values of its scope's names in their order and with `identity`, the 16 bytes of the id
    of the command or event, it gives the value or raises ExpressionFailed. Python compiles it on the first
    call. `reads` are the paths that it reads.

    To fuse many into one function, use `body` (its free names are those of the scope, `identity`, and the
    keys of `globals`) and `fuse`.
    """

    type: Type
    span: Span
    parameters: tuple[str, ...]
    body: ast.expr
    globals: Mapping[str, Any]
    reads: frozenset[Path]
    constant: bool
    _function: Callable[..., Any] | None = field(default=None, repr=False)

    @property
    def personal(self) -> bool:
        """Whether its value holds personal data."""
        return holds_pii(self.type)

    @property
    def function(self) -> Callable[..., Any]:
        """The bare function: positional values, `identity` last. What it raises is for `explain`."""
        if self._function is None:
            self._function = fuse(
                "expression", (*self.parameters, IDENTITY), [ast.Return(self.body)], self.globals
            )
        return self._function

    def __call__(self, *values: Any, identity: bytes = b"") -> Any:
        """The value for these inputs. Raises ExpressionFailed."""
        try:
            return (self._function or self.function)(*values, identity)
        except Exception as error:
            raise explain(error) from error


def fuse(
    name: str, parameters: Sequence[str], body: list[ast.stmt], namespace: Mapping[str, Any]
) -> Callable[..., Any]:
    """One function out of statements that hold the bodies of expressions.

    `namespace` is the union of their `globals` and of whatever else the statements name. What the function
    raises is turned into an ExpressionFailed at its place by `explain`.
    """
    filename, sites = locate(body)
    return build_function(name, parameters, body, {**namespace, SITES: sites}, filename=filename)
