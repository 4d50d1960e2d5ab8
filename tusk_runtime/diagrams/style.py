"""What all diagrams share: the colours of the kinds, and names that are safe to print."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tusk_runtime.model.topology import Kind

LONGEST = 48
"""The characters of a name that a diagram shows."""


class Colours(NamedTuple):
    """Fill and line, on a light ground and on a dark one."""

    fill: str
    line: str
    dark_fill: str
    dark_line: str


COLOURS: Mapping[Kind, Colours] = {
    "command": Colours("#dceafc", "#3b78c2", "#16283f", "#5b93d6"),
    "aggregate": Colours("#fdf3c4", "#b08a0e", "#38300f", "#c9a52e"),
    "event": Colours("#ffe2c9", "#c66a17", "#402610", "#e08a3c"),
    "consumer": Colours("#eaddf8", "#8250b8", "#2f1f42", "#a67ad6"),
    "saga": Colours("#eaddf8", "#8250b8", "#2f1f42", "#a67ad6"),
    "stream": Colours("#eaddf8", "#8250b8", "#2f1f42", "#a67ad6"),
    "schedule": Colours("#eaddf8", "#8250b8", "#2f1f42", "#a67ad6"),
    "projection": Colours("#dbf2dc", "#35863c", "#15331a", "#59ab61"),
    "view": Colours("#dbf2dc", "#35863c", "#15331a", "#59ab61"),
    "query": Colours("#d7f1f3", "#23818a", "#113236", "#4aa9b3"),
}
"""The colours of event storming: commands blue, events orange, what decides yellow, what reacts lilac, what
is read green."""

# Control characters, half pairs and non-characters: what no format holds, and no terminal should see.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """The text on one line, with a mark in place of each character that cannot be shown."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\n", " ").replace("\t", " "))


def short(name: str) -> str:
    """A name as a diagram shows it."""
    name = printable(name)
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
