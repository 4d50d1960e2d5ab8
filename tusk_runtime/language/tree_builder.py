"""One method per rule of grammar/tsk.lark: from tokens to the syntax tree."""

from __future__ import annotations

from typing import Any

from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.language.syntax_tree import (
    Call,
    Conditional,
    Import,
    ListValue,
    MapValue,
    Member,
    Name,
    Named,
    Operation,
    Pair,
    Reference,
    Section,
    Value,
    Variable,
)


class TreeBuilder:
    """Called by Lark while it parses, with the children of each rule.

    It keeps no state, so one parser serves all files: the tokens carry names, nodes and their source.
    What was broken and recovered from is None, and left out by the rule around it.
    """

    def start(self, children: list[Any]) -> tuple[tuple[Pair, ...], tuple[Section, ...], tuple[Import, ...]]:
        """The keys above the first section, the sections, and the imports wherever they stand."""
        pairs = tuple([child for child in children if isinstance(child, Pair)])
        imports = [child for child in children if isinstance(child, Import)]
        sections: list[Section] = []
        for child in children:
            if isinstance(child, tuple):
                sections.append(child[0])
                imports.extend(child[1])
        return pairs, tuple(sections), tuple(imports)

    def document(
        self, children: list[Any]
    ) -> tuple[tuple[Pair, ...], tuple[Section, ...], tuple[Import, ...]]:
        """One JSON object."""
        document: MapValue = children[0]
        return document.pairs, (), ()

    def section(self, children: list[Any]) -> tuple[Section, tuple[Import, ...]]:
        """A head, perhaps an indented block, perhaps keys in the first column."""
        path, span = children[0]
        pairs: list[Pair] = []
        for child in children[1:]:
            if isinstance(child, Pair):
                pairs.append(child)
            elif isinstance(child, tuple):
                pairs.extend(child)
        imports = tuple([child for child in children if isinstance(child, Import)])
        return Section(path, tuple(pairs), span), imports

    def head(self, children: list[Any]) -> tuple[tuple[Name, ...], Span]:
        """`[a.b]`."""
        names = tuple(child for child in children if isinstance(child, Name))
        return names, Span(names[0].span.source, children[0].start, children[-2].end)

    def key(self, children: list[Any]) -> Name:
        """A bare or quoted key."""
        value = children[0].value
        return value if isinstance(value, Name) else Name(value.value, value.span)

    name = key

    def value_pair(self, children: list[Any]) -> Pair:
        """`key: value`."""
        return Pair(children[0], children[2])

    def member(self, children: list[Any]) -> Pair:
        """`key: value` within braces."""
        return Pair(children[0], children[2])

    def empty_pair(self, children: list[Any]) -> Pair:
        """`key:` with nothing behind it and nothing under it is null."""
        name: Name = children[0]
        end = children[1].end
        return Pair(name, ScalarNode(None, Span(name.span.source, end, end)))

    def block_pair(self, children: list[Any]) -> Pair:
        """`key:` with a block under it."""
        name: Name = children[0]
        return Pair(name, _block(children[3], name.span))

    def brace_pair(self, children: list[Any]) -> Pair:
        """`key { … }`."""
        return Pair(children[0], children[1])

    brace_member = brace_pair

    def angle_pair(self, children: list[Any]) -> Pair:
        """`key > … <`."""
        name: Name = children[0]
        block = children[3] if isinstance(children[3], tuple) else ()
        return Pair(name, _block(block, name.span))

    def import_line(self, children: list[Any]) -> Import:
        """`@import "path"`."""
        sign, path = children[0], children[1]
        return Import(path.value, Span(sign.value, sign.start, path.end))

    def broken(self, _: list[Any]) -> None:
        """What recovery left of a statement or a member."""
        return

    def block_map(self, children: list[Any]) -> tuple[Pair, ...]:
        """Indented keys."""
        return tuple(child for child in children[1:-1] if child is not None)

    def block_list(self, children: list[Any]) -> list[Value]:
        """Indented items."""
        return [child for child in children[1:-1] if child is not None]

    def value_item(self, children: list[Any]) -> Value:
        """`- value`."""
        value: Value = children[1]
        return value

    def empty_item(self, children: list[Any]) -> ScalarNode:
        """`-` with nothing behind it and nothing under it is null."""
        dash = children[0]
        return ScalarNode(None, Span(dash.value, dash.end, dash.end))

    def block_item(self, children: list[Any]) -> Value:
        """`- key: value` with its further keys, or `-` with a block under it."""
        dash = children[0]
        block = children[-1]
        span = Span(dash.value, dash.start, dash.end)
        if isinstance(block, tuple) and block:
            span = block[0].key.span.to(block[-1].value.span)
            if span.end < block[-1].key.span.end:  # a block's own span is its key
                span = block[0].key.span.to(block[-1].key.span)
        elif block:
            span = block[0].span.to(block[-1].span)
        return _block(block, span)

    def scalar(self, children: list[Any]) -> ScalarNode:
        """A literal, which the lexer has read."""
        node: ScalarNode = children[0].value
        return node

    def element(self, children: list[Any]) -> Value | None:
        """A value in a list or a call, or what recovery left of one."""
        child = children[0]
        return None if getattr(child, "type", "") == "BROKEN" else child

    def list_value(self, children: list[Any]) -> ListValue:
        """`[a, b]`."""
        items = tuple(child for child in children if isinstance(child, Value))
        return ListValue(items, Span(children[0].value, children[0].start, children[-1].end))

    def map_value(self, children: list[Any]) -> MapValue:
        """`{ a: 1 }`."""
        pairs = tuple(child for child in children if isinstance(child, Pair))
        return MapValue(pairs, Span(children[0].value, children[0].start, children[-1].end))

    # ---- expressions ------------------------------------------------------------------------------

    def literal(self, children: list[Any]) -> ScalarNode:
        """A literal beside an operator."""
        node: ScalarNode = children[0].value
        return node

    def variable(self, children: list[Any]) -> Variable:
        """`$name` or `$name.key`."""
        span = _span(children[0], children[0])
        return Variable(tuple(span.text[1:].split(".")), span)

    def reference(self, children: list[Any]) -> Reference:
        """`@name`."""
        span = _span(children[0], children[0])
        return Reference(span.text[1:], span)

    def group(self, children: list[Any]) -> Value:
        """`( value )`."""
        value: Value = children[1]
        return value

    def operation(self, children: list[Any]) -> Operation:
        """`left operator right`."""
        left, sign, right = children
        span = _span(sign, sign)
        return Operation(span.text, left, right, left.span.to(right.span), span)

    def negation(self, children: list[Any]) -> Operation:
        """`!value`."""
        sign, right = children
        span = _span(sign, sign)
        return Operation("!", None, right, span.to(right.span), span)

    def conditional(self, children: list[Any]) -> Conditional:
        """`condition ? yes : no`."""
        condition, _, yes, _, no = children
        return Conditional(condition, yes, no, condition.span.to(no.span))

    def call(self, children: list[Any]) -> Call:
        """`@name(arguments)`."""
        name = _span(children[0], children[0])
        return Call(name.text[1:], _arguments(children), _span(children[0], children[-1]), name)

    def method(self, children: list[Any]) -> Member:
        """`….name(arguments)`."""
        name = _span(children[1], children[1])
        end = _span(children[-1], children[-1])
        return Member(children[0], name.text[1:], _arguments(children[2:]), children[0].span.to(end), name)

    def member_of(self, children: list[Any]) -> Member:
        """`….name`."""
        name = _span(children[1], children[1])
        return Member(children[0], name.text[1:], None, children[0].span.to(name), name)

    def named(self, children: list[Any]) -> Named:
        """`name=value`."""
        return Named(children[0].value, children[2])


def _span(first: Any, last: Any) -> Span:
    """From the start of one token to the end of another."""
    return Span(first.value, first.start, last.end)


def _arguments(children: list[Any]) -> tuple[Value | Named, ...]:
    return tuple([child for child in children if isinstance(child, Value | Named)])


def _block(block: tuple[Pair, ...] | list[Value], span: Span) -> MapValue | ListValue:
    return MapValue(block, span) if isinstance(block, tuple) else ListValue(tuple(block), span)
