"""Tokens, and the patterns that the lexer looks for, put together from the terminals of the grammar."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

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


class Patterns(NamedTuple):
    """The terminals of the grammar, put together for the places where the lexer looks for them."""

    blank: re.Pattern[str]  # empty lines and comments, and the indentation of the line behind them
    pair: re.Pattern[str]  # a key and its sign
    item_pair: re.Pattern[str]  # the same behind a dash, where `a:b` is a word
    brace: re.Pattern[str]  # a key and, without a sign, the brace of its block
    angle: re.Pattern[str]  # `name >` at the end of a line
    import_: re.Pattern[str]
    named: re.Pattern[str]  # `name=` in a call
    scalar: re.Pattern[str]  # a literal that ends its line
    head: re.Pattern[str]
    name: re.Pattern[str]
    any: re.Pattern[str]  # whatever may stand in a value
    attached: re.Pattern[str]  # what may follow a call without a space
    operator: re.Pattern[str]  # an operator that continues an expression
    end: re.Pattern[str]  # what may follow a value


@cache
def patterns() -> Patterns:
    """The patterns, made once."""
    tail = r"[ \t\r]*+(?:(?<=[ \t\r])#[^\n]*+)?\n"
    operator = r"(?:[=!<>]=|&&|\|\||\+(?![\d.])|[<>?:])"
    # A literal without quotes ends before a bracket, a comma, the line's end, a comment, or an operator.
    stop = rf"(?=[ \t\r]*+(?:[,\]}})\n]|(?<=[ \t\r])(?:#|{operator}(?=[\s\w\"'$@(\[{{!+-]))))"
    key = f"(?:{alternatives('KEY', 'STRING', 'RAW')})[ \\t]*+"
    name = r"(?:<<KEY>>|<<STRING>>|<<RAW>>)[ \t]*+"
    return Patterns(
        blank=re.compile(r"(?:[ \t\r]*+(?:#[^\n]*+)?\n)*+([ \t\r]*+)"),
        pair=compiled(f"{key}(?P<ASSIGN><<ASSIGN>>)[ \\t\\r]*+"),
        item_pair=compiled(f"{key}(?P<ASSIGN><<ASSIGN>>)(?=[\\s\"'\\[{{])[ \\t\\r]*+"),
        brace=compiled(rf"(?!(?:loop|unsafe|try|finally|else|do|begin)\b){key}(?=\{{(?![{{%]))"),
        angle=compiled(f"{key}(?P<OPEN><<OPEN>>){tail}"),
        import_=compiled(r"<<IMPORT>>(?=[ \t]++[\"'])"),
        named=re.compile(f"{alternatives('KEY')}[ \\t]*+(?P<ASSIGN>=)(?![=>])[ \\t\\r]*+"),
        scalar=re.compile(f"(?:{alternatives(*SCALARS)}){tail}"),
        head=compiled(rf"\[[ \t]*+{name}(?:\.[ \t]*+{name})*+\]{tail}"),
        name=re.compile(alternatives("KEY", "STRING", "RAW")),
        any=re.compile(
            r"[ \t\r]*+(?:"
            r"(?P<LINE>(?:(?<=[ \t\r])#[^\n]*+)?\n(?:[ \t\r]*+(?:#[^\n]*+)?\n)*+)"
            r"|(?P<COMMA>,)|(?P<TEMPLATE>\{\{|\{%)|(?P<BRACKET_OPEN>[\[{(])|(?P<BRACKET_CLOSE>[\]})])"
            f"|{alternatives('STRING', 'RAW', 'TEXT_BLOCK')}"
            f"|(?:{alternatives(*SCALARS[3:])}){stop}"
            f"|{alternatives('OPERATOR', 'REFERENCE', 'VARIABLE')}"
            f"|{alternatives('OR', 'AND', 'COMPARISON', 'PLUS', 'NOT', 'QUESTION', 'COLON')}"
            r"|(?P<UNTERMINATED>[\"'][^\n]*+)"
            r"|(?P<ODD>[^\s,\[\]{}()\"'](?:[^\s,\[\]{}()\"']|(?<=\w)'(?=\w))*+|\s))"
        ),
        attached=re.compile(alternatives("METHOD", "MEMBER")),
        operator=re.compile(rf"[ \t\r]*+{operator}"),
        end=re.compile(tail),
    )
