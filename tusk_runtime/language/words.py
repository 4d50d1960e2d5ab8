"""Cuts a text into the terminals of its grammar, for the grammars that need no lexer of their own."""

from __future__ import annotations

import re
from collections.abc import Callable

from tusk_runtime.language.grammar import tables


class Word:
    """A terminal in a text. Positions count characters."""

    __slots__ = ("end_pos", "start_pos", "text", "type")

    def __init__(self, type_: str, text: str, start: int, end: int) -> None:
        self.type, self.text, self.start_pos, self.end_pos = type_, text, start, end


def words_of(grammar: str) -> Callable[[str], list[Word]]:
    """What cuts a text by the terminals of a grammar, such as `types.lark`.

    The words end with one of type `$END`; or with a character that begins none, which has the type "".
    """
    found = tables(grammar)
    # Keywords are read as names first, so that `orders` is never `or` and `ders`.
    keywords = found.words
    groups = [
        f"(?:{pattern})" if name in found.ignored else f"(?P<{name}>{pattern})"
        for name, pattern in found.terminals.items()
        if name not in keywords.values()
    ]
    match_one = re.compile("|".join(groups)).match

    def cut(text: str) -> list[Word]:
        words: list[Word] = []
        at, end = 0, len(text)
        while at < end:
            match = match_one(text, at)
            if match is None:
                words.append(Word("", text[at], at, at + 1))
                return words
            kind = match.lastgroup
            if kind is not None:
                word = match[0]
                words.append(Word(keywords.get(word, kind), word, at, match.end()))
            at = match.end()
        words.append(Word("$END", "", end, end))
        return words

    return cut
