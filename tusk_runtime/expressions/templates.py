"""Texts with expressions in them: where each `{{ … }}` begins and ends."""

from __future__ import annotations

import re
from typing import NamedTuple

from tusk_runtime.expressions import codes
from tusk_runtime.language.diagnostics import Code


class Wrong(Exception):
    """A problem in an expression, with its place in the text and what to write."""

    def __init__(self, code: Code, start: int, end: int, message: str, help: str) -> None:  # noqa: A002
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
