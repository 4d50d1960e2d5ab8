"""Lays the tokens of a text out anew: every token stays, the white space between them is written afresh."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tusk_runtime.language.output_lines import OutputLine, join_lines
from tusk_runtime.language.source import Source
from tusk_runtime.language.texts import reindented
from tusk_runtime.language.tokens import CLOSERS, OPENERS, OPERATORS, Token

STEP = 2
"""Columns of indentation for each level."""

_BREAK_OR_COMMENT = re.compile(r"\n|#[^\n]*+")
_BLANK = frozenset({"NEWLINE", "LINE"})
_ATTACHED = frozenset({"COMMA", "ASSIGN", "RSQB", "RPAR", "METHOD", "MEMBER", "DOT"})  # to what stands before
_PREFIXES = frozenset({"LSQB", "LPAR", "NOT", "DOT"})  # attached to what stands behind
_CONTINUING = OPERATORS - {"NOT"}


class _Block(NamedTuple):
    """An open block: the column in which it stands in the source, and its indentation in the output."""

    column: int
    indent: int


class _Bracket(NamedTuple):
    """An open bracket, and the indentation of the line that opened it."""

    type: str
    indent: int


class _Comment(NamedTuple):
    """A comment on a line of its own. `blank`: a blank line stands before it."""

    column: int
    text: str
    blank: bool


def laid_out(source: Source, tokens: Sequence[Token]) -> str:
    """The text of a source in its one form, from its tokens, in which there is no mistake.

    Line ends stay where they are.
    """
    return _Layout(source).run(tokens)


class _Layout:
    """One run over the tokens.

    Between two tokens stand white space and comments only. A gap without a line end becomes one space or
    none; one with a line end gets the indentation of what follows.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = source.text + "\n"  # the last line may have no end
        self._lines: list[OutputLine] = []
        self._before: Token | None = None  # the last token written
        self._comma: Token | None = None  # a comma that is not yet written
        self._brackets: list[_Bracket] = []
        self._blocks = [_Block(0, 0)]
        self._opened = False  # whether a block begins behind the last token
        self._closed: list[_Block] = []  # the blocks that end behind the last token, the innermost first
        self._in_head = False  # whether the last statement is a section head
        self._indent = 0  # where the text of the current line begins, behind its dashes

    def run(self, tokens: Sequence[Token]) -> str:
        """The laid out text."""
        for token in tokens:
            self._take(token)
        comments, _ = self._gap(len(self._text))  # behind the last token
        self._own_comments(comments, _Block(0, 0))
        return join_lines(self._lines)

    def _take(self, token: Token) -> None:
        kind = token.type
        if kind == "INDENT":
            # What stands under a section head is not indented.
            step = 0 if self._in_head else STEP
            column = self._column(token.start)
            self._blocks.append(_Block(column, self._blocks[-1].indent + step))
            self._opened = True
        elif kind == "DEDENT":
            self._closed.append(self._blocks.pop())
        elif kind == "COMMA":
            self._comma = token
        elif kind not in _BLANK:
            # A comma behind the last member says nothing, since line ends separate members as well.
            if self._comma is not None and kind not in CLOSERS:
                self._write(self._comma)
            self._comma = None
            self._write(token)

    def _write(self, token: Token) -> None:
        comments, blank = self._gap(token.start)
        before, kind = self._before, token.type
        if before is None or blank is not None:
            self._begin_line(token, comments, bool(blank))
        elif self._is_spaced(before, token):
            self._lines[-1].parts.append(" ")
        if kind in OPENERS:
            self._brackets.append(_Bracket(kind, self._indent))
        elif kind in CLOSERS:
            self._brackets.pop()
        self._lines[-1].parts.append(self._text_of(token))
        if kind == "DASH":
            self._indent += STEP
        self._before = token
        self._opened = False
        self._closed = []

    def _text_of(self, token: Token) -> str:
        """What stands in the source, but for the sign of a key and the margins of text blocks."""
        if token.type == "ASSIGN":
            return "=" if self._in_call() else ":"
        if token.type == "TEXT_BLOCK":
            return reindented(self._source, token.start, token.end, self._indent, self._indent + STEP)
        return self._text[token.start : token.end]

    def _is_spaced(self, before: Token, token: Token) -> bool:
        """Whether a space stands between two tokens of a line."""
        if before.type in _PREFIXES or token.type in _ATTACHED:
            return False
        if before.type == "ASSIGN":
            return not self._in_call()
        if token.type == "LPAR":
            return before.type not in ("OPERATOR", "METHOD")
        return before.type != "LBRACE" or token.type != "RBRACE"

    def _in_call(self) -> bool:
        """Whether `name=` is an argument here."""
        return bool(self._brackets) and self._brackets[-1].type == "LPAR"

    # ---- lines ------------------------------------------------------------------------------------

    def _begin_line(self, token: Token, comments: list[_Comment], blank: bool) -> None:
        """Write the comments in front of a token, and begin its line."""
        before = self._before
        within = bool(self._brackets)
        if within:
            indent = self._brackets[-1].indent + STEP
            if before is not None and (before.type in _CONTINUING or token.type in _CONTINUING):
                indent += STEP
            comment_block = _Block(0, indent)
            if token.type in CLOSERS:
                indent = self._brackets[-1].indent
        else:
            indent = self._blocks[-1].indent
            comment_block = _Block(self._column(token.start), indent)
        begins = before is not None and (
            before.type in OPENERS or before.type == "OPEN" or (self._opened and not self._in_head)
        )
        if begins:  # no blank line behind what opens a block
            if comments:
                comments[0] = comments[0]._replace(blank=False)
            else:
                blank = False
        if not within:
            self._in_head = token.type == "LSQB"
        first = len(self._lines)
        attached = self._own_comments(comments, comment_block)
        if token.type in CLOSERS or token.type == "CLOSE":
            blank = False
        self._lines.append(OutputLine(indent, blank=blank and bool(self._lines)))
        if self._in_head and not within and before is not None:
            self._set_off(first + len(comments) - attached)
        self._indent = indent

    def _set_off(self, first: int) -> None:
        """A blank line before a section head, and before the comments right above it."""
        line = len(self._lines) - 1
        while line > first and not self._lines[line].blank:
            line -= 1
        self._lines[line].blank = True

    def _own_comments(self, comments: list[_Comment], following: _Block) -> int:
        """Write comments that have lines of their own; how many at the end belong to what follows.

        At the end of a block, one that stands further right than what follows belongs to the block.
        """
        attached = 0
        for comment in comments:
            last = self._lines[-1] if self._lines else None
            blank = comment.blank and last is not None
            if last is not None and last.comment and last.column == comment.column and not blank:
                # It goes on with the comment above, in the same column.
                self._lines.append(OutputLine(0, comment=comment.text, column=comment.column))
                attached = 0
                continue
            block = self._block_of(comment, following)
            attached = attached + 1 if block is following else 0
            self._lines.append(OutputLine(block.indent, [comment.text], blank=blank))
        return attached

    def _block_of(self, comment: _Comment, following: _Block) -> _Block:
        """The block to which a comment on its own line belongs."""
        if self._brackets or self._opened or comment.column <= following.column:
            return following
        blocks = self._closed
        if self._before is not None and self._before.type in ("ASSIGN", "OPEN", "DASH"):
            # A block in which only comments stand.
            outer = self._closed[0] if self._closed else self._blocks[-1]
            indent = self._indent + (0 if self._before.type == "DASH" else STEP)
            blocks = [_Block(outer.column + 1, indent), *self._closed]
        return next((block for block in blocks if comment.column >= block.column), following)

    # ---- gaps -------------------------------------------------------------------------------------

    def _gap(self, end: int) -> tuple[list[_Comment], bool | None]:
        """What stands behind the last token, up to `end`.

        The comment at the end of its line is written, those on lines of their own are the answer, and
        whether a blank line follows them: None if there is no line end at all.
        """
        text, start = self._text, 0 if self._before is None else self._before.end
        if text.find("\n", start, end) < 0:
            return [], None
        comments: list[_Comment] = []
        breaks = 0 if self._lines else 1
        for match in _BREAK_OR_COMMENT.finditer(text, start, end):
            if match[0] == "\n":
                breaks += 1
                continue
            column = self._column(match.start())
            if breaks:
                comments.append(_Comment(column, match[0].rstrip(), breaks > 1))
            else:
                self._lines[-1].comment = match[0].rstrip()
                self._lines[-1].column = column
            breaks = 0
        return comments, breaks > 1

    def _column(self, offset: int) -> int:
        return offset - self._text.rfind("\n", 0, offset) - 1
