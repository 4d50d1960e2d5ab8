"""Cuts the value behind a key or a dash into tokens, over as many lines as its brackets span."""

from __future__ import annotations

import re

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.literals import read_literal
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.syntax_tree import Name
from tusk_runtime.language.texts import read_text
from tusk_runtime.language.tokens import BRACKETS, DEEPEST, OPERATORS, SCALARS, Token, patterns

_SCALARS = frozenset(SCALARS)
# A text that goes on over lines, none of which is a key, up to a quote at the end of one.
_SPREAD_TEXT = re.compile(
    r"\"[^\"\n]*+\n(?:(?![ \t]*+[\w-]++[ \t]*+[:=])[^\"\n]*+\n){0,20}+[^\"\n]*+\"(?=[ \t,]*+\n)"
)
MOST_OPERATORS = 64
"""How many operators one expression may have, with those of the brackets around it."""


class ValueLexer:
    """The part of the lexer that reads values; `position` is where the next statement begins.

    Lexical mistakes that do not disturb the structure (`yes`, `007`, `"\\d"`) are told here, and the token
    is given as if it were right. Other mistakes become tokens that the grammar does not know.
    """

    def __init__(self, source: Source, problems: Problems) -> None:
        self.source = source
        self.text = source.text if source.text.endswith("\n") else source.text + "\n"
        self.position = 0
        self.levels = [0]
        self._problems = problems
        self._patterns = patterns()
        self._block_open = True  # whether an unclosed `'''` may still find its end

    def value(self, start: int, column: int, tokens: list[Token]) -> None:
        """The value that begins at an offset, up to the end of its line; its key stands in `column`."""
        match = self._patterns.scalar.match(self.text, start)
        if match is not None:
            kind = match.lastgroup or ""
            token = self._literal(kind, *match.span(kind))
            tokens.append(token)
            tokens.append(Token("NEWLINE", token.end, match.end(), self.source))
            self.position = match.end()
        else:
            self._any_value(start, column, tokens)

    def _any_value(self, position: int, column: int, tokens: list[Token]) -> None:
        """Any value, over lines as long as a bracket is open."""
        text, patterns = self.text, self._patterns
        opened: list[Token] = []
        operators = [0]  # how many stand in each of the open brackets, since the last comma
        at_member = False
        while True:
            if at_member:
                position = self._member(position, opened[-1], tokens)
                at_member = False
            match = found(patterns.any.match(text, position))
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
                if self._separates(following, tokens):
                    tokens.append(Token("LINE", start, start + 1, self.source))
                    operators[-1] = 0
                at_member = opened[-1].type != "LSQB"
            elif kind == "COMMA":
                tokens.append(Token("COMMA", start, position, self.source))
                operators[-1] = 0
                at_member = bool(opened) and opened[-1].type != "LSQB"
            elif kind == "BRACKET_OPEN":
                token = Token(BRACKETS[text[start]], start, position, self.source)
                tokens.append(token)
                opened.append(token)
                operators.append(0)
                at_member = token.type == "LBRACE" or (
                    token.type == "LPAR" and len(tokens) > 1 and tokens[-2].type in ("OPERATOR", "METHOD")
                )
                if len(opened) + len(self.levels) > DEEPEST:
                    self._odd("TOO_DEEP", start, tokens)
                    return
            elif kind == "BRACKET_CLOSE":
                tokens.append(Token(BRACKETS[text[start]], start, position, self.source))
                if opened:
                    opened.pop()
                    operators.pop()
                if text[start] == ")":
                    position = self._attached(position, tokens)
            elif kind in _SCALARS:
                tokens.append(self._literal(kind, start, position))
                self._as_operand(tokens, position)
            elif kind in ("OPERATOR", "REFERENCE", "VARIABLE"):
                tokens.append(Token(kind, start, position, self.source))
            elif kind in OPERATORS:
                tokens.append(Token(kind, start, position, self.source))
                operators[-1] += 1
                if sum(operators) > MOST_OPERATORS:
                    self._odd("TOO_LONG", start, tokens)
                    return
            else:
                position = self._mistake(kind, start, position, tokens)

    # ---- members and operands ---------------------------------------------------------------------

    def _member(self, position: int, opener: Token, tokens: list[Token]) -> int:
        """The key of a member of an object, or the name of an argument, if one stands here."""
        patterns = self._patterns
        place = self._skip_spaces(position)
        if opener.type == "LPAR":
            match = patterns.named.match(self.text, place)
        else:
            match = patterns.pair.match(self.text, place)
            if match is None:
                match = patterns.brace.match(self.text, place)
                if match is not None:
                    tokens.append(self._key(match))
                    return match.end()
        if match is None:
            return position
        tokens.append(self._key(match))
        tokens.append(Token("ASSIGN", match.start("ASSIGN"), match.end("ASSIGN"), self.source))
        return match.end()

    def _key(self, match: re.Match[str]) -> Token:
        start, end = match.span("KEY")
        if start >= 0:
            return Token("KEY", start, end, Name(match["KEY"], Span(self.source, start, end)))
        kind = "STRING" if match["STRING"] is not None else "RAW"
        start, end = match.span(kind)
        return Token(kind, start, end, read_text(self.source, start, end, self._problems))

    def _attached(self, position: int, tokens: list[Token]) -> int:
        """`.name` and `.name(` right behind a call."""
        for _ in range(DEEPEST):
            match = self._patterns.attached.match(self.text, position)
            if match is None:
                break
            kind = match.lastgroup or ""
            tokens.append(Token(kind, match.start(), match.end(), self.source))
            position = match.end()
            if kind == "METHOD":
                break
        return position

    def _as_operand(self, tokens: list[Token], position: int) -> None:
        """Make an operand of the literal just read if an operator stands on either side of it."""
        before = tokens[-2].type if len(tokens) > 1 else ""
        if before in OPERATORS or self._patterns.operator.match(self.text, position):
            tokens[-1].type = "OPERAND"

    def _separates(self, following: int, tokens: list[Token]) -> bool:
        """Whether a line end within brackets separates members; `following` is where the text goes on."""
        last = tokens[-1]
        if last.type in OPERATORS or last.type in ("COMMA", "LSQB", "LBRACE", "LPAR"):
            return False
        if self._patterns.operator.match(self.text, following):
            if last.type in _SCALARS:
                last.type = "OPERAND"
            return False
        return self.text[following] not in ",]})"

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

    # ---- mistakes ---------------------------------------------------------------------------------

    def _mistake(self, kind: str, start: int, end: int, tokens: list[Token]) -> int:
        """A token that the grammar does not know, and the offset behind it."""
        text = self.text
        if kind == "TEMPLATE":
            line_end = text.index("\n", start)
            close = text.find("}}" if text[start + 1] == "{" else "%}", start, line_end)
            end = close + 2 if close >= 0 else self._trim(start, line_end)
        elif kind == "QUOTES":
            kind = "RAW_BLOCK"
            close = text.find("'''", end) if self._block_open else -1
            self._block_open = close >= 0
            end = close + 3 if close >= 0 else self._unterminated(start)
        elif kind == "UNTERMINATED":
            end = self._unterminated(start)
        tokens.append(Token(kind, start, end, self.source))
        return end

    def _unterminated(self, start: int) -> int:
        """The end of a text without its closing quote: of its line, or of lines that look like one text."""
        spread = _SPREAD_TEXT.match(self.text, start)
        return spread.end() if spread is not None else self._trim(start, self.text.index("\n", start))

    def _odd(self, kind: str, start: int, tokens: list[Token]) -> None:
        """The rest of the line as one token that the grammar does not know."""
        end = self.text.index("\n", start)
        tokens.append(Token(kind, start, self._trim(start, end), self.source))
        tokens.append(Token("NEWLINE", end, end + 1, self.source))
        self.position = end + 1

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


def found(match: re.Match[str] | None) -> re.Match[str]:
    """A match of a pattern that matches anywhere."""
    if match is None:
        raise AssertionError("a pattern of the lexer has a hole")
    return match
