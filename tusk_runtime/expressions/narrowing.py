"""What a condition tells about null: which paths are certainly there where it was true, and where it was
false.
"""

from __future__ import annotations

from tusk_runtime.expressions import syntax as s

Fact = tuple[str | int, ...]
"""A path that is not null."""

Facts = tuple[frozenset[Fact], frozenset[Fact]]

NOTHING: frozenset[Fact] = frozenset()


def path_of(node: s.Syntax) -> Fact | None:
    """The path that a node reads, such as `("state", "lines", 0)`, or None for anything else."""
    parts: list[str | int] = []
    node = s.ungroup(node)
    while not isinstance(node, s.Name):
        if isinstance(node, s.Member):
            parts.append(node.key)
        elif (
            isinstance(node, s.Index)
            and isinstance(node.key, s.Literal)
            and isinstance(node.key.value, str | int)
            and not isinstance(node.key.value, bool)
        ):
            parts.append(node.key.value)
        else:
            return None
        node = s.ungroup(node.target)
    return (node.id, *reversed(parts))


def facts(node: s.Syntax) -> Facts:
    """The paths that are not null where the condition is true, and those where it is false."""
    node = s.ungroup(node)
    match node:
        case s.Not():
            when_true, when_false = facts(node.operand)
            return when_false, when_true
        case s.Logic():
            sides = [facts(operand) for operand in node.operands]
            all_true = frozenset().union(*(true for true, _ in sides))
            all_false = frozenset().union(*(false for _, false in sides))
            one_true = frozenset.intersection(*(true for true, _ in sides))
            one_false = frozenset.intersection(*(false for _, false in sides))
            return (all_true, one_false) if node.op == "and" else (one_true, all_false)
        case s.Compare() if len(node.rest) == 1:
            op, right = node.rest[0]
            return _compared(node.first, op, right)
    return NOTHING, NOTHING


def _compared(left: s.Syntax, op: str, right: s.Syntax) -> Facts:
    if _is_null(left):
        left, right = right, left
    if _is_null(right):
        there = _there(left)
        return (there, NOTHING) if op == "!=" else (NOTHING, there) if op == "==" else (NOTHING, NOTHING)
    # What equals a literal is not null.
    other = (
        left
        if isinstance(s.ungroup(right), s.Literal)
        else right
        if isinstance(s.ungroup(left), s.Literal)
        else None
    )
    if other is not None:
        there = _there(other)
        return (there, NOTHING) if op == "==" else (NOTHING, there) if op == "!=" else (NOTHING, NOTHING)
    return NOTHING, NOTHING


def _is_null(node: s.Syntax) -> bool:
    node = s.ungroup(node)
    return isinstance(node, s.Literal) and node.value is None


def _there(node: s.Syntax) -> frozenset[Fact]:
    """The facts that follow from a node not being null: itself, and for `a?.b` also `a`."""
    found = set()
    node = s.ungroup(node)
    while (path := path_of(node)) is not None:
        found.add(path)
        if not isinstance(node, s.Member | s.Index):
            break
        node = s.ungroup(node.target)
    return frozenset(found)
