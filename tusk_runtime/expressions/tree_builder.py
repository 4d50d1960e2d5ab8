"""Builds the syntax tree while the parser reduces rules, and keeps it within the limits."""

# ruff: noqa: D102 - the rules stand in grammar/expressions.lark

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.limits import MAX_DEPTH, MAX_NODES
from tusk_runtime.expressions.templates import Wrong
from tusk_runtime.language.words import Word

Children = list[Any]

_ESCAPE = re.compile(r"""\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[nrtbf0'"\\/])""")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0"}


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)


class TreeBuilder:
    """Turns the parser's reductions into nodes, bottom up, so that no limit is checked by recursion."""

    def begin(self, base: int) -> None:
        self.base = base
        self.nodes = 0

    def make(
        self, kind: Callable[..., Any], first: Any, last: Any, below: Sequence[s.Syntax], *parts: Any
    ) -> Any:
        """A node from its first to its last token or node."""
        start = first.start if isinstance(first, s.Syntax) else first.start_pos + self.base
        end = last.end if isinstance(last, s.Syntax) else last.end_pos + self.base
        depth = size = 1
        for node in below:
            size += node.size
            if node.depth >= depth:
                depth = node.depth + 1
        if depth > MAX_DEPTH:
            raise Wrong(
                codes.TOO_DEEP,
                start,
                end,
                f"this nests deeper than {MAX_DEPTH} levels",
                "compute parts in fields of their own",
            )
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise Wrong(
                codes.TOO_LARGE,
                start,
                end,
                f"this expression has more than {MAX_NODES} parts",
                "compute parts in fields of their own",
            )
        return kind(start, end, depth, size, *parts)

    # One method per rule of the grammar, or per alias in it. `c` are the children, tokens included.

    def start(self, c: Children) -> Any:
        return c[0]

    def conditional(self, c: Children) -> Any:
        return self.make(s.Conditional, c[0], c[4], (c[0], c[2], c[4]), c[0], c[2], c[4])

    def any_of(self, c: Children) -> Any:
        return self.make(s.Logic, c[0], c[-1], c[::2], "or", c[::2])

    def all_of(self, c: Children) -> Any:
        return self.make(s.Logic, c[0], c[-1], c[::2], "and", c[::2])

    def negation(self, c: Children) -> Any:
        return self.make(s.Not, c[0], c[1], c[1:], c[1])

    def compare(self, c: Children) -> Any:
        operands, rest, op = [c[0]], [], ""
        for child in c[1:]:
            if isinstance(child, s.Syntax):
                operands.append(child)
                rest.append((op, child))
                op = ""
            else:
                op = f"{op} {child.text}".strip()
        return self.make(s.Compare, c[0], c[-1], operands, c[0], rest)

    def coalesce(self, c: Children) -> Any:
        return self.make(s.Coalesce, c[0], c[-1], c[::2], c[::2])

    def chain(self, c: Children) -> Any:
        rest = [(c[i].text, c[i + 1]) for i in range(1, len(c), 2)]
        self.nodes += len(rest)
        return self.make(s.Chain, c[0], c[-1], c[::2], c[0], rest)

    def filter(self, c: Children) -> Any:
        name, others = c[2], c[4] if len(c) > 3 else []
        arguments = [c[0], *others]
        return self.make(
            s.Call, c[0], c[-1], arguments, name.text, name.start_pos + self.base, arguments, True
        )

    def sign(self, c: Children) -> Any:
        return self.make(s.Sign, c[0], c[1], c[1:], c[0].text, c[1])

    def member(self, c: Children) -> Any:
        return self.make(s.Member, c[0], c[2], c[:1], c[0], c[2].text, c[2].start_pos + self.base, False)

    def optional_member(self, c: Children) -> Any:
        return self.make(s.Member, c[0], c[2], c[:1], c[0], c[2].text, c[2].start_pos + self.base, True)

    def method(self, c: Children) -> Any:
        return self.make(s.Method, c[0], c[-1], c[:1], c[0], c[2].text, c[2].start_pos + self.base)

    def index(self, c: Children) -> Any:
        return self.make(s.Index, c[0], c[3], (c[0], c[2]), c[0], c[2])

    def slice(self, c: Children) -> Any:
        middle = next(i for i, child in enumerate(c) if getattr(child, "type", "") == "COLON")
        first = c[2] if middle == 3 else None
        last = c[middle + 1] if len(c) == middle + 3 else None
        below = [node for node in (c[0], first, last) if node is not None]
        return self.make(s.Slice, c[0], c[-1], below, c[0], first, last)

    def name(self, c: Children) -> Any:
        return self.make(s.Name, c[0], c[0], (), c[0].text)

    def call(self, c: Children) -> Any:
        return self.make(s.Call, c[0], c[3], c[2], c[0].text, c[0].start_pos + self.base, c[2], False)

    def true(self, c: Children) -> Any:
        return self.make(s.Literal, c[0], c[0], (), True)

    def false(self, c: Children) -> Any:
        return self.make(s.Literal, c[0], c[0], (), False)

    def null(self, c: Children) -> Any:
        return self.make(s.Literal, c[0], c[0], (), None)

    def integer(self, c: Children) -> Any:
        if len(c[0].text) > 60:
            self.too_many_digits(c[0])
        return self.make(s.Literal, c[0], c[0], (), int(c[0].text))

    def decimal(self, c: Children) -> Any:
        if len(c[0].text) > 60 or (re.search(r"[eE][+-]?\d{4}", c[0].text)):
            self.too_many_digits(c[0])
        return self.make(s.Literal, c[0], c[0], (), Decimal(c[0].text))

    def too_many_digits(self, token: Word) -> None:
        start, end = token.start_pos + self.base, token.end_pos + self.base
        raise Wrong(codes.NUMBER_SIZE, start, end, "a number of so many digits", "write at most 38 digits")

    def text(self, c: Children) -> Any:
        inner = c[0].text[1:-1]
        return self.make(
            s.Literal, c[0], c[0], (), _ESCAPE.sub(_unescape, inner) if "\\" in inner else str(inner)
        )

    def group(self, c: Children) -> Any:
        # Brackets cost nothing: they neither nest nor count.
        inner = c[1]
        return s.Group(c[0].start_pos + self.base, c[2].end_pos + self.base, inner.depth, inner.size, inner)

    def list(self, c: Children) -> Any:
        items = [child for child in c if isinstance(child, s.Syntax)]
        return self.make(s.ListOf, c[0], c[-1], items, items)

    def comprehension(self, c: Children) -> Any:
        return self._comprehension(c[0], c[-1], c[1], c[2:-1])

    def generator(self, c: Children) -> Any:
        last = c[-1].tests[-1] if c[-1].tests else c[-1].items
        return [self._comprehension(c[0], last, c[0], c[1:])]

    def _comprehension(self, first: Any, last: Any, element: s.Syntax, loops: Sequence[s.Loop]) -> Any:
        below = [element, *(node for loop in loops for node in (loop.items, *loop.tests))]
        return self.make(s.Comprehension, first, last, below, element, loops)

    def loop(self, c: Children) -> Any:
        return s.Loop(c[1].text, c[1].start_pos + self.base, c[3], c[5::2])

    def map(self, c: Children) -> Any:
        pairs = [child for child in c if isinstance(child, s.Pair)]
        return self.make(s.MapOf, c[0], c[-1], [pair.value for pair in pairs], pairs)

    def pair(self, c: Children) -> Any:
        token = c[0]
        key = _ESCAPE.sub(_unescape, token.text[1:-1]) if token.type == "TEXT" else token.text
        return s.Pair(key, token.start_pos + self.base, token.end_pos + self.base, c[2])

    def arguments(self, c: Children) -> Any:
        return [child for child in c if isinstance(child, s.Syntax)]
