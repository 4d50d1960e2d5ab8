"""Puts a text into its one form, and proves that it still says the same."""

from __future__ import annotations

from typing import Any

from tusk_runtime.errors import TuskError
from tusk_runtime.language.collector import collector_paused
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.files import source_of
from tusk_runtime.language.layout import laid_out
from tusk_runtime.language.parse import parse
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.syntax_tree import SyntaxTree
from tusk_runtime.language.tokens import Token


class NotFaithful(TuskError):
    """The formatter would have changed what a text says, or is never done with it: a fault of its own."""


@collector_paused()
def formatted(source: Source, problems: Problems) -> str | None:
    """The text of a source in its one form; None, with the errors in `problems`, if it cannot be read.

    Nothing but the syntax matters: no variable is looked up, and no import is read.
    """
    found = Problems()
    tokens: list[Token] = []
    tree = parse(source, found, tokens)
    if found.has_errors:
        problems.extend(found)
        return None
    text = laid_out(source, tokens)
    if text != source.text:
        _prove(tree, text)
    return text


def _prove(tree: SyntaxTree, text: str) -> None:
    """Read a formatted text again: it says the same, and its form is final."""
    source, found, tokens = source_of(text, tree.source.name), Problems(), list[Token]()
    again = parse(source, found, tokens)
    if found.has_errors or not says_the_same(tree, again) or laid_out(source, tokens) != text:
        raise NotFaithful(source.name)


def says_the_same(one: Any, other: Any) -> bool:
    """Whether two syntax trees, or parts of them, differ in nothing but the places of things."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Span | Source):
        return True
    if isinstance(one, ScalarNode):
        return one.quoted == other.quoted and says_the_same(one.value, other.value)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(says_the_same, one, other))
    return bool(one == other)
