"""What a page of documentation consists of, whatever it is written as.

Texts are plain; what stands between backticks in them is shown as code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, which links lead to by its anchor."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a head. A cell of several lines is several texts."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Code:
    """A piece of a file, or of a shell; `label` says what it shows."""

    text: str
    label: str = ""


Block = Heading | Text | Table | Code


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its file's name without the suffix, its title, one line about it, and what stands on it."""

    name: str
    title: str
    about: str
    blocks: Sequence[Block]
