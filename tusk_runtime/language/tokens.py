"""Tokens, and the patterns that the lexer looks for, put together from the terminals of the grammar."""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import Any

from tusk_runtime.language.grammar import alternatives, compiled

OPENERS = frozenset({"LSQB", "LBRACE", "LPAR"})
CLOSERS = frozenset({"RSQB", "RBRACE", "RPAR"})
OPERATORS = frozenset({"QUESTION", "COLON", "OR", "AND", "COMPARISON", "PLUS", "NOT"})
BRACKETS = {"[": "LSQB", "{": "LBRACE", "(": "LPAR", "]": "RSQB", "}": "RBRACE", ")": "RPAR"}
SCALARS = (
    "STRING",
    "RAW",
    "TEXT_BLOCK",
    "INTEGER",
    "DECIMAL",
    "BOOLEAN",
    "NULL",
    "YES_NO",
    "ODD_NUMBER",
    "WORD",
)

DEEPEST = 64
"""How many blocks and brackets may stand in each other."""


class Token:
    """A terminal of the grammar by its type, or, by a type the grammar does not know, a mistake.

    `value` is a Name for keys, a ScalarNode for literals, else the source.
    """

    __slots__ = ("end", "start", "type", "value")

    def __init__(self, type: str, start: int, end: int, value: Any) -> None:  # noqa: A002 - Lark's name
        self.type = type
        self.start = start
        self.end = end
        self.value = value

    def __repr__(self) -> str:
        return f"Token({self.type}, {self.start}, {self.end})"


_TAIL = r"[ \t\r]*+(?:(?<=[ \t\r])#[^\n]*+)?\n"
_OPERATOR = r"(?:[=!<>]=|&&|\|\||\+(?![\d.])|[<>?:])"
# A literal without quotes ends before a bracket, a comma, the line's end, a comment, or an operator.
_STOP = rf"(?=[ \t\r]*+(?:[,\]}})\n]|(?<=[ \t\r])(?:#|{_OPERATOR}(?=[\s\w\"'$@(\[{{!+-]))))"


class Patterns:
    """The terminals of the grammar, put together for the places where the lexer looks for them.

    Each is compiled when it is first needed: a small file has only some of the forms.
    """

    @cached_property
    def blank(self) -> re.Pattern[str]:
        """Empty lines and comments, and the indentation of the line behind them."""
        return re.compile(r"(?:[ \t\r]*+(?:#[^\n]*+)?\n)*+([ \t\r]*+)")

    @cached_property
    def pair(self) -> re.Pattern[str]:
        """A key and its sign."""
        return compiled(f"{self._key}(?P<ASSIGN><<ASSIGN>>)[ \\t\\r]*+")

    @cached_property
    def item_pair(self) -> re.Pattern[str]:
        """The same behind a dash, where `a:b` is a word."""
        return compiled(f"{self._key}(?P<ASSIGN><<ASSIGN>>)(?=[\\s\"'\\[{{])[ \\t\\r]*+")

    @cached_property
    def brace(self) -> re.Pattern[str]:
        """A key and, without a sign, the brace of its block."""
        return compiled(rf"(?!(?:loop|unsafe|try|finally|else|do|begin)\b){self._key}(?=\{{(?![{{%]))")

    @cached_property
    def angle(self) -> re.Pattern[str]:
        """`name >` at the end of a line."""
        return compiled(f"{self._key}(?P<OPEN><<OPEN>>){_TAIL}")

    @cached_property
    def import_(self) -> re.Pattern[str]:
        """`@import` in front of a path."""
        return compiled(r"<<IMPORT>>(?=[ \t]++[\"'])")

    @cached_property
    def named(self) -> re.Pattern[str]:
        """`name=` in a call."""
        return re.compile(f"{alternatives('KEY')}[ \\t]*+(?P<ASSIGN>=)(?![=>])[ \\t\\r]*+")

    @cached_property
    def scalar(self) -> re.Pattern[str]:
        """A literal that ends its line."""
        return re.compile(f"(?:{alternatives(*SCALARS)}){_TAIL}")

    @cached_property
    def head(self) -> re.Pattern[str]:
        """A section head."""
        name = r"(?:<<KEY>>|<<STRING>>|<<RAW>>)[ \t]*+"
        return compiled(rf"\[[ \t]*+{name}(?:\.[ \t]*+{name})*+\]{_TAIL}")

    @cached_property
    def name(self) -> re.Pattern[str]:
        """A part of a section head."""
        return re.compile(alternatives("KEY", "STRING", "RAW"))

    @cached_property
    def any(self) -> re.Pattern[str]:
        """Whatever may stand in a value."""
        return re.compile(
            r"[ \t\r]*+(?:"
            r"(?P<LINE>(?:(?<=[ \t\r])#[^\n]*+)?\n(?:[ \t\r]*+(?:#[^\n]*+)?\n)*+)"
            r"|(?P<COMMA>,)|(?P<TEMPLATE>\{\{|\{%)|(?P<BRACKET_OPEN>[\[{(])|(?P<BRACKET_CLOSE>[\]})])"
            f"|{alternatives('STRING', 'RAW', 'TEXT_BLOCK')}"
            f"|(?:{alternatives(*SCALARS[3:])}){_STOP}"
            f"|{alternatives('OPERATOR', 'REFERENCE', 'VARIABLE')}"
            f"|{alternatives('OR', 'AND', 'COMPARISON', 'PLUS', 'NOT', 'QUESTION', 'COLON')}"
            r"|(?P<QUOTES>''')|(?P<UNTERMINATED>[\"'])"
            r"|(?P<ODD>[^\s,\[\]{}()\"'](?:[^\s,\[\]{}()\"']|(?<=\w)'(?=\w))*+|\s))"
        )

    @cached_property
    def attached(self) -> re.Pattern[str]:
        """What may follow a call without a space."""
        return re.compile(alternatives("METHOD", "MEMBER"))

    @cached_property
    def operator(self) -> re.Pattern[str]:
        """An operator that continues an expression."""
        return re.compile(rf"[ \t\r]*+{_OPERATOR}")

    @cached_property
    def end(self) -> re.Pattern[str]:
        """What may follow a value."""
        return re.compile(_TAIL)

    @cached_property
    def _key(self) -> str:
        return f"(?:{alternatives('KEY', 'STRING', 'RAW')})[ \\t]*+"


@cache
def patterns() -> Patterns:
    """The patterns, shared by all files."""
    return Patterns()
