"""Stored events as lines for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from tusk_runtime.events import StoredEvent
from tusk_runtime.language.report import display_width, printable
from tusk_runtime.model.application import Application
from tusk_runtime.web.encoding import time_text
from tusk_runtime.web.masking import Masks

PIPED_COLUMNS = 200
"""How long a line becomes where there is no terminal."""


def lines_of(events: Sequence[StoredEvent], application: Application, masks: Masks) -> list[str]:
    """A line for each event, cut to the width of the terminal."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_COLUMNS
    heads = [
        (
            str(event.position),
            time_text(event.timestamp),
            printable(application.stored.shown(event.type)[0]),
            printable(f"{event.aggregate_type} {event.aggregate_id}"),
            f"v{event.version}",
        )
        for event in events
    ]
    widths = [max(map(display_width, column)) for column in zip(*heads, strict=True)]
    lines = []
    for event, head in zip(events, heads, strict=True):
        cells = [cell + " " * (width - display_width(cell)) for cell, width in zip(head, widths, strict=True)]
        cells[0] = head[0].rjust(widths[0])
        data = printable(masks.data(event).decode("utf-8", "replace"))
        lines.append(_cut("  ".join((*cells, data)), columns))
    return lines


def _cut(line: str, columns: int) -> str:
    if display_width(line) <= columns:
        return line
    kept, width = [], 1
    for character in line:
        width += display_width(character)
        if width > columns:
            break
        kept.append(character)
    return "".join(kept) + "…"
