"""What a page of documentation consists of, whatever it is written as.

Texts are plain; what stands between backticks in them is shown as code, and leads to where that is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

WRITTEN_BY = "<!-- Written by tusk docs. -->"
"""Stands in every page, so that the next run knows what it may overwrite."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; an `anchor` is what links lead to."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a head; a cell may have several lines."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Code:
    """A piece of a file; `label` says what it shows."""

    text: str
    label: str = ""


Block = Heading | Text | Table | Code


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its file's name without the suffix, its title, a line about it, and what stands on it."""

    name: str
    title: str
    about: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Book:
    """Pages that belong together, the first of them the one to begin with.

    `links` says which page and anchor tell about a word.
    """

    title: str
    pages: Sequence[Page]
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def code(text: str) -> str:
    """A text as code, on one line."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`" if text.strip() else ""


def codes(texts: Sequence[str]) -> str:
    """Several texts as code."""
    return ", ".join(code(text) for text in texts)
