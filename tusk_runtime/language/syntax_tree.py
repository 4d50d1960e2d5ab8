"""What the text says, rule by rule, before operators, sections and double keys are looked at."""

from __future__ import annotations

from dataclasses import dataclass

from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Source, Span


@dataclass(frozen=True, slots=True)
class Name:
    """A key or a part of a section head. `span` includes quotes, `text` does not."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Named:
    """An argument `name=value` of a call."""

    name: Name
    value: Value


@dataclass(frozen=True, slots=True)
class Call:
    """An operator call `@name(arguments)`; `name` is without the `@`."""

    name: str
    arguments: tuple[Value | Named, ...]
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class Member:
    """`.name` or `.name(arguments)` behind a call; `arguments` is None without brackets."""

    of: Call | Member
    name: str
    arguments: tuple[Value | Named, ...] | None
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class Reference:
    """`@name.part` without brackets; `name` is without the `@`."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Variable:
    """The use of a variable, `$name` or, of a map in it, `$name.key`; `path` is without the `$`."""

    path: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Operation:
    """`left operator right`; of `!` there is only the right side."""

    operator: str
    left: Value | None
    right: Value
    span: Span
    operator_span: Span


@dataclass(frozen=True, slots=True)
class Conditional:
    """`condition ? yes : no`."""

    condition: Value
    yes: Value
    no: Value
    span: Span


@dataclass(frozen=True, slots=True)
class ListValue:
    """`[a, b]` or a block of `- items`."""

    items: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class MapValue:
    """`{ a: 1 }` or an indented block of keys. The span of a block is the key above it."""

    pairs: tuple[Pair, ...]
    span: Span


Value = ScalarNode | ListValue | MapValue | Call | Member | Reference | Variable | Operation | Conditional
"""A literal is already the node that the document holds; its text may still contain operators."""


@dataclass(frozen=True, slots=True)
class Pair:
    """`key: value`."""

    key: Name
    value: Value


@dataclass(frozen=True, slots=True)
class Import:
    """`@import "path"`."""

    path: ScalarNode
    span: Span


@dataclass(frozen=True, slots=True)
class Section:
    """`[a.b]` and what stands under it. `span` is the head."""

    path: tuple[Name, ...]
    pairs: tuple[Pair, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class SyntaxTree:
    """A whole file: the keys above the first section, the sections in the order of the text, the imports."""

    source: Source
    pairs: tuple[Pair, ...]
    sections: tuple[Section, ...]
    imports: tuple[Import, ...] = ()
