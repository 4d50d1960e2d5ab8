"""One method per rule of grammar/tsk.lark: from tokens to the syntax tree."""

from __future__ import annotations

from typing import Any

from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.language.syntax_tree import Call, ListValue, MapValue, Name, Pair, Section, Value


class TreeBuilder:
    """Called by Lark while it parses, with the children of each rule.

    It keeps no state, so one parser serves all files: the tokens carry names, nodes and their source.
    What was broken and recovered from is None, and left out by the rule around it.
    """

    def start(self, children: list[Any]) -> tuple[tuple[Pair, ...], tuple[Section, ...]]:
        """The keys above the first section, and the sections."""
        pairs = tuple(child for child in children if isinstance(child, Pair))
        return pairs, tuple(child for child in children if isinstance(child, Section))

    def section(self, children: list[Any]) -> Section:
        """A head, perhaps an indented block, perhaps keys in the first column."""
        path, span = children[0]
        pairs: list[Pair] = []
        for child in children[1:]:
            if isinstance(child, Pair):
                pairs.append(child)
            elif child is not None:
                pairs.extend(child)
        return Section(path, tuple(pairs), span)

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

    def call(self, children: list[Any]) -> Call:
        """`@name(arguments)`."""
        operator = children[0]
        arguments = tuple(child for child in children if isinstance(child, Value))
        source = children[1].value
        return Call(
            source.text[operator.start + 1 : operator.end],
            arguments,
            Span(source, operator.start, children[-1].end),
            Span(source, operator.start, operator.end),
        )


def _block(block: tuple[Pair, ...] | list[Value], span: Span) -> MapValue | ListValue:
    return MapValue(block, span) if isinstance(block, tuple) else ListValue(tuple(block), span)
