"""Cuts the text into statements: section heads, keys, items, and the indentation around them."""

from __future__ import annotations

import re

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.syntax_tree import Name
from tusk_runtime.language.tokens import DEEPEST, Token
from tusk_runtime.language.value_lexer import ValueLexer, found


class Lexer(ValueLexer):
    """Gives the tokens of a source, one statement (with the lines its brackets span) at a time."""

    def __init__(self, source: Source, problems: Problems) -> None:
        super().__init__(source, problems)
        self.done = False
        self.tabs: list[int] = []  # where indentations hold a tab
        self._angles: list[tuple[int, Token]] = []  # the open `name >` blocks: level and sign

    # ---- statements -------------------------------------------------------------------------------

    def statement(self) -> list[Token]:
        """The tokens of the next statement, with the changes of indentation before it.

        At the end of the text these are the changes of indentation only, and `done` is set.
        """
        tokens: list[Token] = []
        at_start = not self.position
        start, column = self._next_line()
        if start >= len(self.text):
            self._indent(0, start, tokens)
            self.done = True
            return tokens
        text = self.text
        first = text[start]
        if at_start and first == "{":
            self.value(start, -1, tokens)  # a JSON object, whose members may stand in any column
            return tokens
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
                    self.value(start, column, tokens)
                elif self._indent(2 * column, start, tokens):
                    self._pair(match, column, tokens)
                return tokens
        closes = first == "<" and self._patterns.end.match(text, start + 1) is not None
        if not self._indent(2 * column, start, tokens, closes=closes):
            return tokens
        match = self._patterns.pair.match(text, start)
        if match is not None:
            self._pair(match, column, tokens)
        elif closes and self._angles and self._angles[-1][0] == 2 * column:
            self._angles.pop()
            self._sign("CLOSE", start, tokens)
        elif match := self._patterns.angle.match(text, start):
            tokens.append(self._key(match))
            self._sign("OPEN", match.start("OPEN"), tokens)
            self._angles.append((2 * column, tokens[-2]))
        elif match := self._patterns.brace.match(text, start):
            tokens.append(self._key(match))
            self.value(match.end(), column, tokens)
        elif not column and (match := self._patterns.import_.match(text, start)):
            tokens.append(Token("IMPORT", start, match.end(), self.source))
            self.value(self._skip_spaces(match.end()), column, tokens)
        else:
            self._odd("ODD_LINE", start, tokens)
        return tokens

    def _next_line(self) -> tuple[int, int]:
        """The offset of the next thing that is not blank or a comment, and its column from 0."""
        match = found(self._patterns.blank.match(self.text, self.position))
        start = match.end()
        white = match[1]
        if white and "\t" in white and start < len(self.text):
            offset = match.start(1) + white.index("\t")
            if not self.tabs or offset > self.tabs[-1]:
                self.tabs.append(offset)
            return start, len(white.expandtabs(4))
        return start, len(white)

    def _indent(self, level: int, start: int, tokens: list[Token], *, closes: bool = False) -> bool:
        """Compare the level of a line with the blocks that are open. False if the line cannot be read.

        `closes`: the line is the `<` of a block.
        """
        levels = self.levels
        if self._angles:
            self._close_angles(level, start, tokens, closes)
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
            left = self._dedent(start, tokens)
        if levels[-1] != level:
            # A key in the column of list items is a mix of both, not a wrong column.
            self._odd("KEY_IN_LIST" if left == level + 1 else "UNEVEN", start, tokens)
        return levels[-1] == level

    def forget_blocks(self, count: int) -> None:
        """Keep only the first `name >` blocks open: recovery has dropped the others."""
        del self._angles[count:]

    def _dedent(self, start: int, tokens: list[Token]) -> int:
        tokens.append(Token("DEDENT", start, start, self.source))
        return self.levels.pop()

    def _sign(self, kind: str, start: int, tokens: list[Token]) -> None:
        """The `>` or `<` of a block, which ends its line."""
        tokens.append(Token(kind, start, start + 1, self.source))
        end = found(self._patterns.end.match(self.text, start + 1)).end()
        tokens.append(Token("NEWLINE", start + 1, end, self.source))
        self.position = end

    def _close_angles(self, level: int, start: int, tokens: list[Token], closes: bool) -> None:
        """Close the `name >` blocks that a line of this level cannot be part of, and tell of each."""
        while self._angles and level <= self._angles[-1][0]:
            if closes and level == self._angles[-1][0]:
                return
            inner, sign = self._angles.pop()
            while self.levels[-1] > inner:
                self._dedent(start, tokens)
            tokens.append(Token("CLOSE", start, start, self.source))
            tokens.append(Token("NEWLINE", start, start, self.source))
            self._problems.error(
                codes.UNCLOSED_BLOCK,
                Span(self.source, sign.start, sign.end),
                "this block is not closed",
                help="close it with `<` on a line of its own, in the column of its name",
                label="no `<` for this",
            )

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
            name = found(self._patterns.name.match(self.text, position))
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
        if not start and (span.text == "[" or inner[:1] in tuple('{["-0123456789')):
            self._problems.error(
                codes.JSON_DOCUMENT,
                span,
                "a JSON list has no keys",
                help="write it under a key: `name: [ … ]`; a whole file may be one JSON object `{ … }`",
            )
            self.position = len(self.text)
            return
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

    def _pair(self, match: re.Match[str], column: int, tokens: list[Token]) -> None:
        tokens.append(self._key(match))
        tokens.append(Token("ASSIGN", match.start("ASSIGN"), match.end("ASSIGN"), self.source))
        self.value(match.end(), column, tokens)

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
            following = self._next_line()[0]
            if closes and 2 * column <= level and not self.text.startswith(("]", "}", ")", "<"), following):
                return  # the block has ended; what follows may be the next one

    def skip_section(self) -> None:
        """Pass over everything up to the next section head."""
        while True:
            start, column = self._next_line()
            at_head = column == 0 and self.text.startswith("[", start)
            if start >= len(self.text) or (at_head and self._patterns.head.match(self.text, start)):
                return
            self.position = self.text.index("\n", start) + 1
