"""The syntax tree of an expression. Offsets count in the text that holds the expression, the end excluded."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(slots=True, eq=False)
class Syntax:
    """Any node: where it stands, how deep the tree below it is, and how many nodes it has."""

    start: int
    end: int
    depth: int
    size: int


@dataclass(slots=True, eq=False)
class Literal(Syntax):
    """A text, a number, true, false or null."""

    value: bool | int | Decimal | str | None


@dataclass(slots=True, eq=False)
class Name(Syntax):
    """A name of the scope, or of a loop around."""

    id: str


@dataclass(slots=True, eq=False)
class Member(Syntax):
    """`target.key`, or `target?.key` where null and missing give null."""

    target: Syntax
    key: str
    key_start: int
    optional: bool


@dataclass(slots=True, eq=False)
class Index(Syntax):
    """`target[key]`."""

    target: Syntax
    key: Syntax


@dataclass(slots=True, eq=False)
class Slice(Syntax):
    """`target[first:last]`, the last excluded."""

    target: Syntax
    first: Syntax | None
    last: Syntax | None


@dataclass(slots=True, eq=False)
class Sign(Syntax):
    """`-x` or `+x`."""

    op: str
    operand: Syntax


@dataclass(slots=True, eq=False)
class Chain(Syntax):
    """Operators of one precedence, from left to right: `a + b - c`."""

    first: Syntax
    rest: list[tuple[str, Syntax]]


@dataclass(slots=True, eq=False)
class Compare(Syntax):
    """`a < b`, or `a < b < c`, which means `a < b and b < c`."""

    first: Syntax
    rest: list[tuple[str, Syntax]]


@dataclass(slots=True, eq=False)
class Logic(Syntax):
    """`a and b and c` or `a or b or c`."""

    op: str
    operands: list[Syntax]


@dataclass(slots=True, eq=False)
class Not(Syntax):
    """`not x`."""

    operand: Syntax


@dataclass(slots=True, eq=False)
class Conditional(Syntax):
    """`then if test else other`."""

    then: Syntax
    test: Syntax
    other: Syntax


@dataclass(slots=True, eq=False)
class Coalesce(Syntax):
    """`a ?? b ?? c`: the first that is there and not null."""

    operands: list[Syntax]


@dataclass(slots=True, eq=False)
class Group(Syntax):
    """An expression in round brackets, kept to see what the writer grouped."""

    inner: Syntax


@dataclass(slots=True, eq=False)
class Call(Syntax):
    """`name(arguments)`, or a filter `first | name(others)`."""

    name: str
    name_start: int
    arguments: list[Syntax]
    is_filter: bool


@dataclass(slots=True, eq=False)
class Method(Syntax):
    """`target.name(…)`, which the language has not; kept so that the message can say what to write."""

    target: Syntax
    name: str
    name_start: int


@dataclass(slots=True, eq=False)
class ListOf(Syntax):
    """`[a, b]`."""

    items: list[Syntax]


@dataclass(slots=True, eq=False)
class Pair:
    """One entry of a map."""

    key: str
    start: int
    end: int
    value: Syntax


@dataclass(slots=True, eq=False)
class MapOf(Syntax):
    """`{'a': 1}`."""

    pairs: list[Pair]


@dataclass(slots=True, eq=False)
class Loop:
    """`for name in items if test if …`."""

    name: str
    name_start: int
    items: Syntax
    tests: list[Syntax]


@dataclass(slots=True, eq=False)
class Comprehension(Syntax):
    """`[element for …]`, or the same without brackets as an only argument."""

    element: Syntax
    loops: list[Loop]


def ungroup(node: Syntax) -> Syntax:
    """The node without round brackets around it."""
    while isinstance(node, Group):
        node = node.inner
    return node
