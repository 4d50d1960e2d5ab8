"""Cuts the text into tokens, one statement at a time: indentation, line ends, brackets and words."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.grammar import alternatives, compiled
from tusk_runtime.language.literals import read_literal
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.syntax_tree import Name
from tusk_runtime.language.texts import read_text

OPENERS = frozenset({"LSQB", "LBRACE", "LPAR"})
CLOSERS = frozenset({"RSQB", "RBRACE", "RPAR"})

DEEPEST = 64
"""How many blocks and brackets may stand in each other."""

_BRACKETS = {"[": "LSQB", "{": "LBRACE", "(": "LPAR", "]": "RSQB", "}": "RBRACE", ")": "RPAR"}


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


class _Patterns(NamedTuple):
    """The terminals of the grammar, put together for the places where the lexer looks for them."""

    blank: re.Pattern[str]  # empty lines and comments, and the indentation of the line behind them
    pair: re.Pattern[str]  # a key and its sign
    item_pair: re.Pattern[str]  # the same behind a dash, where `a:b` is a word
    scalar: re.Pattern[str]  # a literal that ends its line
    head: re.Pattern[str]
    name: re.Pattern[str]
    any: re.Pattern[str]  # whatever may stand in a value
    end: re.Pattern[str]  # what may follow a value


_SCALARS = (
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


@cache
def _patterns() -> _Patterns:
    tail = r"[ \t\r]*+(?:(?<=[ \t\r])#[^\n]*+)?\n"
    stop = r"(?=[ \t\r]*+(?:[,\]})\n]|(?<=[ \t\r])#))"
    key = f"(?:{alternatives('KEY', 'STRING', 'RAW')})[ \\t]*+"
    name = r"(?:<<KEY>>|<<STRING>>|<<RAW>>)[ \t]*+"
    return _Patterns(
        blank=re.compile(r"(?:[ \t\r]*+(?:#[^\n]*+)?\n)*+([ \t\r]*+)"),
        pair=compiled(f"{key}(?P<ASSIGN><<ASSIGN>>)[ \\t\\r]*+"),
        item_pair=compiled(f"{key}(?P<ASSIGN><<ASSIGN>>)(?=[\\s\"'\\[{{])[ \\t\\r]*+"),
        scalar=re.compile(f"(?:{alternatives(*_SCALARS)}){tail}"),
        head=compiled(rf"\[[ \t]*+{name}(?:\.[ \t]*+{name})*+\]{tail}"),
        name=re.compile(alternatives("KEY", "STRING", "RAW")),
        any=re.compile(
            r"[ \t\r]*+(?:"
            r"(?P<LINE>(?:(?<=[ \t\r])#[^\n]*+)?\n(?:[ \t\r]*+(?:#[^\n]*+)?\n)*+)"
            r"|(?P<COMMA>,)|(?P<TEMPLATE>\{\{|\{%)|(?P<OPEN>[\[{(])|(?P<CLOSE>[\]})])"
            f"|{alternatives('STRING', 'RAW', 'TEXT_BLOCK')}"
            f"|(?:{alternatives(*_SCALARS[3:])}){stop}"
            f"|{alternatives('OPERATOR')}"
            r"|(?P<UNTERMINATED>[\"'][^\n]*+)"
            r"|(?P<ODD>[^\s,\[\]{}()\"'](?:[^\s,\[\]{}()\"']|(?<=\w)'(?=\w))*+|\s))"
        ),
        end=re.compile(tail),
    )


class Lexer:
    """Gives the tokens of a source, one statement (with the lines its brackets span) at a time.

    Lexical mistakes that do not disturb the structure (`yes`, `007`, `"\\d"`) are told here, and the token
    is given as if it were right. Other mistakes become tokens that the grammar does not know.
    """

    def __init__(self, source: Source, problems: Problems) -> None:
        self.source = source
        self.text = source.text if source.text.endswith("\n") else source.text + "\n"
        self.position = 0
        self.done = False
        self.levels = [0]
        self.tabs: list[int] = []  # where indentations hold a tab
        self._problems = problems
        self._patterns = _patterns()
        self._block_open = True  # whether an unclosed `'''` may still find its end

    # ---- statements -------------------------------------------------------------------------------

    def statement(self) -> list[Token]:
        """The tokens of the next statement, with the changes of indentation before it.

        At the end of the text these are the changes of indentation only, and `done` is set.
        """
        tokens: list[Token] = []
        start, column = self._next_line()
        if start >= len(self.text):
            self._indent(0, start, tokens)
            self.done = True
            return tokens
        text = self.text
        first = text[start]
        if first == "[" and (column == 0 or self._patterns.head.match(text, start)):
            self._head(start, column, tokens)
            return tokens
        while first == "-" and text[start + 1].isspace():
            if not self._indent(2 * column + 1, start, tokens):
                return tokens
            tokens.append(Token("DASH", start, start + 1, self.source))
            behind = self._skip_spaces(start + 1)
            column += behind - start
            start = behind
            first = text[start]
            if first != "-" or not text[start + 1].isspace():
                match = self._patterns.item_pair.match(text, start)
                if match is None:
                    self._value(start, column, tokens)
                elif self._indent(2 * column, start, tokens):
                    self._pair(match, column, tokens)
                return tokens
        if not self._indent(2 * column, start, tokens):
            return tokens
        match = self._patterns.pair.match(text, start)
        if match is None:
            self._odd("ODD_LINE", start, tokens)
        else:
            self._pair(match, column, tokens)
        return tokens

    def _next_line(self) -> tuple[int, int]:
        """The offset of the next thing that is not blank or a comment, and its column from 0."""
        match = _found(self._patterns.blank.match(self.text, self.position))
        start = match.end()
        white = match[1]
        if white and "\t" in white and start < len(self.text):
            offset = match.start(1) + white.index("\t")
            if not self.tabs or offset > self.tabs[-1]:
                self.tabs.append(offset)
            return start, len(white.expandtabs(4))
        return start, len(white)

    def _indent(self, level: int, start: int, tokens: list[Token]) -> bool:
        """Compare the level of a line with the blocks that are open. False if the line cannot be read."""
        levels = self.levels
        if level == levels[-1]:
            return True
        if level > levels[-1]:
            tokens.append(Token("INDENT", start, start, self.source))
            levels.append(level)
            if len(levels) > DEEPEST:
                self._odd("TOO_DEEP", start, tokens)
            return len(levels) <= DEEPEST
        left = level
        while levels[-1] > level:
            left = levels.pop()
            tokens.append(Token("DEDENT", start, start, self.source))
        if levels[-1] != level:
            # A key in the column of list items is a mix of both, not a wrong column.
            self._odd("KEY_IN_LIST" if left == level + 1 else "UNEVEN", start, tokens)
        return levels[-1] == level

    def _odd(self, kind: str, start: int, tokens: list[Token]) -> None:
        """The rest of the line as one token that the grammar does not know."""
        end = self.text.index("\n", start)
        tokens.append(Token(kind, start, self._trim(start, end), self.source))
        tokens.append(Token("NEWLINE", end, end + 1, self.source))
        self.position = end + 1

    def _head(self, start: int, column: int, tokens: list[Token]) -> None:
        self._indent(0, start, tokens)
        match = self._patterns.head.match(self.text, start)
        if match is None:
            self._odd_head(start, tokens)
            return
        tokens.append(Token("LSQB", start, start + 1, self.source))
        position = start + 1
        while True:
            position = self._skip_spaces(position)
            character = self.text[position]
            if character == "]":
                break
            if character == ".":
                tokens.append(Token("DOT", position, position + 1, self.source))
                position += 1
                continue
            name = _found(self._patterns.name.match(self.text, position))
            tokens.append(self._key(name))
            position = name.end()
        tokens.append(Token("RSQB", position, position + 1, self.source))
        tokens.append(Token("NEWLINE", position + 1, match.end(), self.source))
        self.position = match.end()
        if column:
            self._problems.error(
                codes.BAD_SECTION_HEAD,
                Span(self.source, start, position + 1),
                "a section head stands in the first column",
                help="remove the space in front, or write the section as an indented map: `name:`",
            )

    def _odd_head(self, start: int, tokens: list[Token]) -> None:
        """Tell of a head that cannot be read; what stands under it is read as a section all the same."""
        end = self.text.index("\n", start)
        span = Span(self.source, start, self._trim(start, end))
        inner = span.text.strip("[] \t")
        if span.text.startswith("[["):
            advice = f"a list of maps is a key with items: `{inner}:` and `- key: value` under it"
        elif "]" not in span.text:
            advice = "close the head: `[name]`"
        elif not inner:
            advice = "give the section a name: `[name]`"
        elif not span.text.endswith("]"):
            advice = "write nothing behind the head, or a comment: `[name]  # …`"
        else:
            advice = f'write `[name]` or `[outer.inner]`; other names stand in quotes: `["{inner}"]`'
        self._problems.error(
            codes.BAD_SECTION_HEAD, span, f"`{span.text}` is not a section head", help=advice
        )
        tokens.append(Token("LSQB", start, start + 1, self.source))
        tokens.append(Token("KEY", start, span.end, Name(span.text, span)))
        tokens.append(Token("RSQB", span.end, span.end, self.source))
        tokens.append(Token("NEWLINE", end, end + 1, self.source))
        self.position = end + 1

    def _key(self, match: re.Match[str]) -> Token:
        start, end = match.span("KEY")
        if start >= 0:
            return Token("KEY", start, end, Name(match["KEY"], Span(self.source, start, end)))
        kind = "STRING" if match["STRING"] is not None else "RAW"
        start, end = match.span(kind)
        return Token(kind, start, end, read_text(self.source, start, end, self._problems))

    def _pair(self, match: re.Match[str], column: int, tokens: list[Token]) -> None:
        tokens.append(self._key(match))
        tokens.append(Token("ASSIGN", match.start("ASSIGN"), match.end("ASSIGN"), self.source))
        self._value(match.end(), column, tokens)

    # ---- values -----------------------------------------------------------------------------------

    def _value(self, start: int, column: int, tokens: list[Token]) -> None:
        """The value behind a key or a dash, up to the end of its line."""
        match = self._patterns.scalar.match(self.text, start)
        if match is not None:
            kind = match.lastgroup or ""
            token = self._literal(kind, *match.span(kind))
            tokens.append(token)
            tokens.append(Token("NEWLINE", token.end, match.end(), self.source))
            self.position = match.end()
        else:
            self._brackets(start, column, tokens)

    def _brackets(self, position: int, column: int, tokens: list[Token]) -> None:
        """Any value, over lines as long as a bracket is open."""
        text, patterns = self.text, self._patterns
        opened: list[Token] = []
        at_member = False
        while True:
            if at_member:
                member = patterns.pair.match(text, self._skip_spaces(position))
                at_member = False
                if member is not None:
                    tokens.append(self._key(member))
                    tokens.append(Token("ASSIGN", member.start("ASSIGN"), member.end("ASSIGN"), self.source))
                    position = member.end()
            match = _found(patterns.any.match(text, position))
            kind = match.lastgroup or ""
            start, position = match.span(kind)
            if kind == "LINE":
                if not opened:
                    tokens.append(Token("NEWLINE", start, position, self.source))
                    self.position = position
                    return
                following = self._skip_spaces(position)
                if following >= len(text) or (
                    following - position <= column and self._is_statement(following, following - position)
                ):
                    self._unclosed(opened[-1], start, position, tokens)
                    return
                if text[following] not in ",]})" and tokens[-1].type not in (
                    "COMMA",
                    "LSQB",
                    "LBRACE",
                    "LPAR",
                ):
                    tokens.append(Token("LINE", start, start + 1, self.source))
                at_member = opened[-1].type == "LBRACE"
            elif kind == "COMMA":
                tokens.append(Token("COMMA", start, position, self.source))
                at_member = bool(opened) and opened[-1].type == "LBRACE"
            elif kind == "OPEN":
                token = Token(_BRACKETS[text[start]], start, position, self.source)
                tokens.append(token)
                opened.append(token)
                at_member = token.type == "LBRACE"
                if len(opened) + len(self.levels) > DEEPEST:
                    self._odd("TOO_DEEP", start, tokens)
                    return
            elif kind == "CLOSE":
                tokens.append(Token(_BRACKETS[text[start]], start, position, self.source))
                if opened:
                    opened.pop()
            elif kind in _SCALARS:
                tokens.append(self._literal(kind, start, position))
            elif kind == "OPERATOR":
                tokens.append(Token("OPERATOR", start, position, self.source))
            else:
                position = self._mistake(kind, start, position, tokens)

    def _mistake(self, kind: str, start: int, end: int, tokens: list[Token]) -> int:
        """A token that the grammar does not know, and the offset behind it."""
        text = self.text
        if kind == "TEMPLATE":
            line_end = text.index("\n", start)
            close = text.find("}}" if text[start + 1] == "{" else "%}", start, line_end)
            end = close + 2 if close >= 0 else self._trim(start, line_end)
        elif kind == "UNTERMINATED":
            end = self._trim(start, end)
            if text.startswith("'''", start):
                kind = "RAW_BLOCK"
                close = text.find("'''", start + 3) if self._block_open else -1
                self._block_open = close >= 0
                end = close + 3 if close >= 0 else end
        tokens.append(Token(kind, start, end, self.source))
        return end

    def _is_statement(self, start: int, column: int) -> bool:
        """Whether what stands here is a section head or a key, so that an open bracket was forgotten."""
        if self.text[start] == "[":
            return column == 0 and self._patterns.head.match(self.text, start) is not None
        return self._patterns.pair.match(self.text, start) is not None

    def _unclosed(self, opener: Token, start: int, position: int, tokens: list[Token]) -> None:
        tokens.append(Token("UNCLOSED", opener.start, opener.end, self.source))
        tokens.append(Token("NEWLINE", start, start + 1, self.source))
        self.position = position

    def _literal(self, kind: str, start: int, end: int) -> Token:
        node = read_literal(kind, self.source, start, end, self._problems)
        return Token("WORD" if kind in ("YES_NO", "ODD_NUMBER") else kind, start, end, node)

    # ---- recovery ---------------------------------------------------------------------------------

    def skip_block(self, level: int) -> None:
        """Pass over the lines that belong to a broken statement: deeper ones, and closing brackets."""
        while True:
            start, column = self._next_line()
            if start >= len(self.text):
                return
            first = self.text[start]
            is_item = first == "-" and self.text[start + 1].isspace()
            end = self.text.index("\n", start)
            closes = first in "]})" or self.text[start:end].rstrip() == "<"
            if 2 * column + is_item <= level and not closes:
                return
            for quotes in ('"""', "'''"):
                if self.text.count(quotes, start, end) % 2:
                    close = self.text.find(quotes, end)
                    end = self.text.index("\n", close) if close >= 0 else end
            self.position = end + 1

    def skip_section(self) -> None:
        """Pass over everything up to the next section head."""
        while True:
            start, column = self._next_line()
            at_head = column == 0 and self.text.startswith("[", start)
            if start >= len(self.text) or (at_head and self._patterns.head.match(self.text, start)):
                return
            self.position = self.text.index("\n", start) + 1

    def _skip_spaces(self, position: int) -> int:
        text = self.text
        while position < len(text) and text[position] in " \t\r":
            position += 1
        return position

    def _trim(self, start: int, end: int) -> int:
        """The end of a line without the white space and the comment at its end."""
        line = self.text[start:end]
        comment = re.search(r"[ \t]#", line) if '"' not in line and "'" not in line else None
        return start + len((line[: comment.start()] if comment else line).rstrip(" \t\r"))


def _found(match: re.Match[str] | None) -> re.Match[str]:
    """A match of a pattern that matches anywhere."""
    if match is None:
        raise AssertionError("a pattern of the lexer has a hole")
    return match
