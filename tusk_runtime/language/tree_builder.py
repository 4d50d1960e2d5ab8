"""One method per rule of grammar/tsk.lark: from tokens to the syntax tree."""

from __future__ import annotations

from typing import Any, NamedTuple

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


class _Section(NamedTuple):
    """A section, and the imports that stand among its keys."""

    section: Section
    imports: tuple[Import, ...]


class TreeBuilder:
    """Called while a text is parsed, with the children of each rule.

    It keeps no state, so one parser serves all files: the tokens carry names, nodes and their source.
    What was broken and recovered from is None, and left out by the rule around it.
    """

    def start(self, children: list[Any]) -> tuple[tuple[Pair, ...], tuple[Section, ...], tuple[Import, ...]]:
        """The keys above the first section, the sections, and the imports wherever they stand."""
        pairs = tuple([child for child in children if isinstance(child, Pair)])
        imports = [child for child in children if isinstance(child, Import)]
        sections: list[Section] = []
        for child in children:
            if isinstance(child, _Section):
                sections.append(child.section)
                imports.extend(child.imports)
        return pairs, tuple(sections), tuple(imports)

    def document(
        self, children: list[Any]
    ) -> tuple[tuple[Pair, ...], tuple[Section, ...], tuple[Import, ...]]:
        """One JSON object."""
        document: MapValue = children[0]
        return document.pairs, (), ()

    def section(self, children: list[Any]) -> _Section:
        """A head, perhaps an indented block, perhaps keys in the first column."""
        path, span = children[0]
        pairs: list[Pair] = []
        for child in children[1:]:
            if isinstance(child, Pair):
                pairs.append(child)
            elif isinstance(child, MapValue):
                pairs.extend(child.pairs)
        imports = tuple([child for child in children if isinstance(child, Import)])
        return _Section(Section(path, tuple(pairs), span), imports)

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
        return Pair(name, children[3]._replace(span=name.span))

    def brace_pair(self, children: list[Any]) -> Pair:
        """`key { … }`."""
        return Pair(children[0], children[1])

    brace_member = brace_pair

    def angle_pair(self, children: list[Any]) -> Pair:
        """`key > … <`."""
        name: Name = children[0]
        pairs = children[3].pairs if isinstance(children[3], MapValue) else ()
        return Pair(name, MapValue(pairs, name.span))

    def import_line(self, children: list[Any]) -> Import:
        """`@import "path"`."""
        sign, path = children[0], children[1]
        return Import(path.value, Span(sign.value, sign.start, path.end))

    def broken(self, _: list[Any]) -> None:
        """What recovery left of a statement or a member."""
        return

    def block_map(self, children: list[Any]) -> MapValue:
        """Indented keys. The rule around them knows their span."""
        pairs = tuple([child for child in children[1:-1] if child is not None])
        return MapValue(pairs, _span(children[0], children[0]))

    def block_list(self, children: list[Any]) -> ListValue:
        """Indented items."""
        items = tuple([child for child in children[1:-1] if child is not None])
        return ListValue(items, _span(children[0], children[0]))

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
        dash, block = children[0], children[-1]
        span = Span(dash.value, dash.start, dash.end)
        if isinstance(block, MapValue) and block.pairs:
            first, last = block.pairs[0], block.pairs[-1]
            # The span of a block is its key, which then stands behind its values' end.
            span = first.key.span.to(max(last.value.span, last.key.span, key=lambda one: one.end))
        elif isinstance(block, ListValue) and block.items:
            span = block.items[0].span.to(block.items[-1].span)
        value: Value = block._replace(span=span)
        return value

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
