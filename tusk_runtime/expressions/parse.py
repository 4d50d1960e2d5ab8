"""Text between `{{` and `}}` to a syntax tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from tusk_runtime.expressions import codes, hints
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.limits import MAX_DEPTH, MAX_NODES, MAX_SOURCE
from tusk_runtime.language.diagnostics import Code
from tusk_runtime.language.grammar import lalr_parser

if TYPE_CHECKING:
    from lark import Lark, Token


class Wrong(Exception):
    """A problem in an expression, with its place in the text and what to write."""

    def __init__(self, code: Code, start: int, end: int, message: str, help: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.code, self.start, self.end, self.message, self.help = code, start, end, message, help


class Braces(NamedTuple):
    """Where an expression stands in a text: its inside, without the braces."""

    start: int
    end: int


_NEXT = re.compile(r"""[{}'"]""")


def split(text: str) -> list[str | Braces]:
    """Cut a text into plain parts and expressions. Raises Wrong for braces that do not match."""
    parts: list[str | Braces] = []
    at = 0
    while True:
        opening = text.find("{{", at)
        plain = text[at:] if opening < 0 else text[at:opening]
        if (found := re.search(r"\{%|\{#(?=.*#\})", plain, re.DOTALL)) is not None:
            start = at + found.start()
            close = text.find("%}" if found[0] == "{%" else "#}", start)
            raise Wrong(
                codes.TEMPLATE,
                start,
                close + 2 if close >= 0 else len(text),
                "template statements and comments have no meaning here",
                "write `{{ x if condition else y }}`, or `[f(x) for x in list]` for a loop",
            )
        if plain:
            parts.append(plain)
        if opening < 0:
            return parts
        end = _closing(text, opening + 2)
        parts.append(Braces(opening + 2, end))
        at = end + 2


def _closing(text: str, at: int) -> int:
    """Where the `}}` of an expression stands: outside its quotes, and not the end of maps inside."""
    begin, depth = at, 0
    while (match := _NEXT.search(text, at)) is not None:
        char, at = match[0], match.end()
        if char in "'\"":
            while True:
                close = text.find(char, at)
                if close < 0:
                    raise Wrong(
                        codes.SYNTAX,
                        match.start(),
                        len(text),
                        "a quote that is never closed",
                        f"close it with {char}",
                    )
                slashes = close - len(text[at:close].rstrip("\\")) - at
                at = close + 1
                if slashes % 2 == 0:
                    break
        elif char == "{":
            depth += 1
        elif depth:
            depth -= 1
        elif text[at : at + 1] == "}":
            return at - 1
    raise Wrong(codes.BRACES, begin - 2, begin, "this `{{` is never closed", "close it with `}}`")


def parse(text: str, start: int, end: int) -> s.Syntax:
    """The tree of the expression between two offsets of a text. Raises Wrong."""
    from lark.exceptions import UnexpectedInput, VisitError

    source = text[start:end]
    if len(source) > MAX_SOURCE:
        raise Wrong(
            codes.TOO_LONG,
            start,
            end,
            f"an expression of {len(source):,} characters; {MAX_SOURCE:,} are allowed",
            "compute parts of it in fields of their own",
        )
    if not source.strip():
        raise Wrong(
            codes.SYNTAX,
            start - 2,
            end + 2,
            "an empty expression",
            "write a value, such as `{{ data.total }}`",
        )
    with _LOCK:
        _BUILDER.begin(start)
        try:
            tree: Any = _parser().parse(source)
        except UnexpectedInput as error:
            raise hints.wrong_syntax(Wrong, source, start, error) from None
        except VisitError as error:
            raise error.orig_exc from None
    return tree  # type: ignore[no-any-return]  # what the builder's `start` gives


_LOCK = Lock()
Children = list[Any]

_ESCAPE = re.compile(r"""\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[nrtbf0'"\\/])""")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0"}


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)


class _Builder:
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
                f"nests deeper than {MAX_DEPTH} levels",
                "compute parts in fields of their own",
            )
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise Wrong(
                codes.TOO_LARGE,
                start,
                end,
                f"has more than {MAX_NODES} parts",
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
                op = f"{op} {child}".strip()
        return self.make(s.Compare, c[0], c[-1], operands, c[0], rest)

    def coalesce(self, c: Children) -> Any:
        return self.make(s.Coalesce, c[0], c[-1], c[::2], c[::2])

    def chain(self, c: Children) -> Any:
        rest = [(str(c[i]), c[i + 1]) for i in range(1, len(c), 2)]
        self.nodes += len(rest)
        return self.make(s.Chain, c[0], c[-1], c[::2], c[0], rest)

    def filter(self, c: Children) -> Any:
        name, others = c[2], c[4] if len(c) > 3 else []
        arguments = [c[0], *others]
        return self.make(
            s.Call, c[0], c[-1], arguments, str(name), name.start_pos + self.base, arguments, True
        )

    def sign(self, c: Children) -> Any:
        return self.make(s.Sign, c[0], c[1], c[1:], str(c[0]), c[1])

    def member(self, c: Children) -> Any:
        return self.make(s.Member, c[0], c[2], c[:1], c[0], str(c[2]), c[2].start_pos + self.base, False)

    def optional_member(self, c: Children) -> Any:
        return self.make(s.Member, c[0], c[2], c[:1], c[0], str(c[2]), c[2].start_pos + self.base, True)

    def method(self, c: Children) -> Any:
        return self.make(s.Method, c[0], c[-1], c[:1], c[0], str(c[2]), c[2].start_pos + self.base)

    def index(self, c: Children) -> Any:
        return self.make(s.Index, c[0], c[3], (c[0], c[2]), c[0], c[2])

    def slice(self, c: Children) -> Any:
        middle = next(i for i, child in enumerate(c) if getattr(child, "type", "") == "COLON")
        first = c[2] if middle == 3 else None
        last = c[middle + 1] if len(c) == middle + 3 else None
        below = [node for node in (c[0], first, last) if node is not None]
        return self.make(s.Slice, c[0], c[-1], below, c[0], first, last)

    def name(self, c: Children) -> Any:
        return self.make(s.Name, c[0], c[0], (), str(c[0]))

    def call(self, c: Children) -> Any:
        return self.make(s.Call, c[0], c[3], c[2], str(c[0]), c[0].start_pos + self.base, c[2], False)

    def true(self, c: Children) -> Any:
        return self.make(s.Literal, c[0], c[0], (), True)

    def false(self, c: Children) -> Any:
        return self.make(s.Literal, c[0], c[0], (), False)

    def null(self, c: Children) -> Any:
        return self.make(s.Literal, c[0], c[0], (), None)

    def integer(self, c: Children) -> Any:
        if len(c[0]) > 60:
            self.too_many_digits(c[0])
        return self.make(s.Literal, c[0], c[0], (), int(c[0]))

    def decimal(self, c: Children) -> Any:
        if len(c[0]) > 60 or (re.search(r"[eE][+-]?\d{4}", c[0])):
            self.too_many_digits(c[0])
        return self.make(s.Literal, c[0], c[0], (), Decimal(c[0]))

    def too_many_digits(self, token: Token) -> None:
        start, end = (token.start_pos or 0) + self.base, (token.end_pos or 0) + self.base
        raise Wrong(codes.NUMBER_SIZE, start, end, "a number of so many digits", "a decimal holds 38 digits")

    def text(self, c: Children) -> Any:
        inner = c[0][1:-1]
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
        return s.Loop(str(c[1]), c[1].start_pos + self.base, c[3], c[5::2])

    def map(self, c: Children) -> Any:
        pairs = [child for child in c if isinstance(child, s.Pair)]
        return self.make(s.MapOf, c[0], c[-1], [pair.value for pair in pairs], pairs)

    def pair(self, c: Children) -> Any:
        token = c[0]
        key = _ESCAPE.sub(_unescape, token[1:-1]) if token.type == "TEXT" else str(token)
        return s.Pair(key, token.start_pos + self.base, token.end_pos + self.base, c[2])

    def arguments(self, c: Children) -> Any:
        return [child for child in c if isinstance(child, s.Syntax)]


_BUILDER = _Builder()


@cache
def _parser() -> Lark:
    """The parser, built once per process when the first expression is read.

    All tokens are kept and the nodes are built while parsing: no tree in between, no positions to propagate.
    The basic lexer knows keywords everywhere, so that `orders` is never read as `or` and `ders`.
    """
    builder: Any = _BUILDER
    return lalr_parser(
        "expressions.lark",
        lexer="basic",
        transformer=builder,
        keep_all_tokens=True,
        maybe_placeholders=False,
    )
