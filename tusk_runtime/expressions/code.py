"""What the checker knows about a part of an expression: its Python code, its type, and what is still owed."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from tusk_runtime.expressions.syntax import Syntax
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.types.kinds import ABSENT, UNKNOWN, Type


class Site(NamedTuple):
    """Where the code of a Python node comes from: a text of the file and a part of it.

    `personal`: its value holds personal data, which no report of a failure shows.
    """

    node: ScalarNode
    start: int
    end: int
    personal: bool = False

    def is_at(self, other: Site) -> bool:
        """Whether both are the same part of the same text."""
        return self[:3] == other[:3]


@dataclass(slots=True)
class Code:
    """A checked part of an expression.

    `literal` is the value of a literal (ABSENT for anything else), which still takes the type it meets.
    `open`: integer or number arithmetic whose range is not checked yet; that is done once, where the value
    leaves arithmetic. `rounded`: it comes from a quotient, so further digits are rounded, not refused.
    `missing`: it may fail because a key or an index is not there, which `??` settles.
    """

    node: ast.expr
    type: Type
    syntax: Syntax
    literal: Any = ABSENT
    open: bool = False
    rounded: bool = False
    missing: bool = False

    @property
    def known(self) -> bool:
        """Whether its type could be told."""
        return self.type is not UNKNOWN


class Value(NamedTuple):
    """The code of a whole value of the file, and its type."""

    node: ast.expr
    type: Type


def constant(value: Any, constants: dict[str, Any]) -> ast.expr:
    """The code of a constant. Those that Python's compiler does not know get a name made of their value."""
    if value is None or isinstance(value, bool | int | float | str):
        return ast.Constant(value)
    kind = type(value).__name__
    text = value.isoformat() if isinstance(value, date | datetime) else str(value)
    if not isinstance(value, Decimal | date | timedelta):
        kind, text = "constant", str(id(value))
    name = f"{kind} {text}"
    constants[name] = value
    return ast.Name(name, ast.Load())
