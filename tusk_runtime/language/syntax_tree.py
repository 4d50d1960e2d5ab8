"""What the text says, rule by rule, before operators, sections and double keys are looked at."""

from __future__ import annotations

from typing import NamedTuple

from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Source, Span


class Name(NamedTuple):
    """A key or a part of a section head. `span` includes quotes, `text` does not."""

    text: str
    span: Span


class Named(NamedTuple):
    """An argument `name=value` of a call."""

    name: Name
    value: Value


class Call(NamedTuple):
    """An operator call `@name(arguments)`; `name` is without the `@`."""

    name: str
    arguments: tuple[Value | Named, ...]
    span: Span
    name_span: Span


class Member(NamedTuple):
    """`.name` or `.name(arguments)` behind a call; `arguments` is None without brackets."""

    of: Call | Member
    name: str
    arguments: tuple[Value | Named, ...] | None
    span: Span
    name_span: Span


class Reference(NamedTuple):
    """`@name.part` without brackets; `name` is without the `@`."""

    name: str
    span: Span


class Variable(NamedTuple):
    """The use of a variable, `$name` or, of a map in it, `$name.key`; `path` is without the `$`."""

    path: tuple[str, ...]
    span: Span


class Operation(NamedTuple):
    """`left operator right`; of `!` there is only the right side."""

    operator: str
    left: Value | None
    right: Value
    span: Span
    operator_span: Span


class Conditional(NamedTuple):
    """`condition ? yes : no`."""

    condition: Value
    yes: Value
    no: Value
    span: Span


class ListValue(NamedTuple):
    """`[a, b]` or a block of `- items`."""

    items: tuple[Value, ...]
    span: Span


class MapValue(NamedTuple):
    """`{ a: 1 }` or an indented block of keys. The span of a block is the key above it."""

    pairs: tuple[Pair, ...]
    span: Span


Value = ScalarNode | ListValue | MapValue | Call | Member | Reference | Variable | Operation | Conditional
"""A literal is already the node that the document holds; its text may still contain operators."""


class Pair(NamedTuple):
    """`key: value`."""

    key: Name
    value: Value


class Import(NamedTuple):
    """`@import "path"`."""

    path: ScalarNode
    span: Span


class Section(NamedTuple):
    """`[a.b]` and what stands under it. `span` is the head."""

    path: tuple[Name, ...]
    pairs: tuple[Pair, ...]
    span: Span


class SyntaxTree(NamedTuple):
    """A whole file: the keys above the first section, the sections in the order of the text, the imports."""

    source: Source
    pairs: tuple[Pair, ...]
    sections: tuple[Section, ...]
    imports: tuple[Import, ...] = ()
