"""A token that the grammar did not expect, and the text around it."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator

from tusk_runtime.language.diagnostics import Code, Problems
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.tokens import CLOSERS, OPENERS, OPERATORS, Token

LITERALS = frozenset({
    "STRING", "RAW", "TEXT_BLOCK", "INTEGER", "DECIMAL", "BOOLEAN", "NULL", "WORD", "OPERAND", "VARIABLE",
    "REFERENCE", *OPERATORS,
})  # fmt: skip
"""The tokens that a value without brackets consists of."""

# How much of a line is looked at to tell what it is: patterns that look ahead must not meet megabytes.
_LONGEST_LOOK = 500


class Skip(enum.Enum):
    """How far a mistake reaches."""

    MEMBER = "member"
    STATEMENT = "statement"
    SECTION = "section"


class Mistake:
    """The token, the tokens of its statement, and what the grammar would have accepted.

    `opener` is the bracket in which the token stands, if any.
    """

    def __init__(
        self,
        source: Source,
        tokens: list[Token],
        index: int,
        expected: set[str],
        opener: Token | None,
        problems: Problems,
    ) -> None:
        self.source = source
        self.tokens = tokens
        self.index = index
        self.token = tokens[index]
        self.before = tokens[index - 1] if index else tokens[index]
        self.expected = expected
        self.opener = opener
        self.problems = problems
        self.span = source.span(self.token.start, self.token.end)

    def tell(self, code: Code, message: str, advice: str, label: str = "", span: Span | None = None) -> Skip:
        """Note the problem."""
        self.problems.error(code, span or self.span, message, help=advice, label=label)
        return Skip.MEMBER

    def text(self, span: Span) -> str:
        """The text of a span, as far as it is needed to tell what it is."""
        return self.source.text[span.start : min(span.end, span.start + _LONGEST_LOOK)]

    def value(self) -> Span:
        """The whole value around the token, from the first literal in front of it."""
        first = self.index
        while first and self.tokens[first - 1].type in LITERALS:
            first -= 1
        end, depth = self.token.end, 0
        for index in range(self.index, len(self.tokens)):
            token = self.tokens[index]
            if token.type in OPENERS:
                depth += 1
            elif token.type in CLOSERS:
                depth -= 1
                if depth < 0:
                    break
            if token.type in ("LINE", "NEWLINE") or (token.type == "COMMA" and depth == 0 and self.opener):
                break
            end = token.end
        return self.source.span(self.tokens[first].start, max(self.trimmed(end), self.token.end))

    def trimmed(self, end: int) -> int:
        """An offset behind the token, moved before the white space in front of it."""
        text = self.source.text
        end = min(end, len(text))  # the last line need not end
        while end > self.token.start and text[end - 1].isspace():
            end -= 1
        return end

    def backwards(self) -> Iterator[Token]:
        """The tokens in front of this one, the nearest first."""
        for index in range(self.index - 1, -1, -1):
            yield self.tokens[index]

    def key_before(self) -> str:
        """The key to which the token belongs."""
        for token in self.backwards():
            if token.type == "KEY":
                return str(token.value.text)
            if token.type in ("STRING", "RAW"):
                return str(token.value.value)
        return "the key"


def quoted(text: str) -> str:
    """A text as it is written in double quotes, in single ones if that needs no escapes; shortened."""
    if len(text) > 60:
        text = text[:57] + "…"
    if '"' in text and "'" not in text and "\n" not in text:
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)
