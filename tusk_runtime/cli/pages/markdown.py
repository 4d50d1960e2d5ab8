"""Pages as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tusk_runtime.cli.pages.blocks import Block, Code, Heading, Page, Table, Text

_SPECIAL = re.compile(r"[\\*_#\[\]<>&|~!]")
_CODE = re.compile(r"(`[^`\n]+`)")


def markdown(page: Page) -> str:
    """A page as one Markdown text."""
    parts = [f"# {escaped(page.title)}", *([escaped(page.about)] if page.about else [])]
    return "\n\n".join([*parts, *(_block(block) for block in page.blocks)]) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escaped(block.text)}"
        case Text():
            return escaped(block.text)
        case Table():
            rows = [[_cell(cell) for cell in row] for row in block.rows]
            return table([escaped(cell) for cell in block.head], rows)
        case Code():
            label = f"{escaped(block.label)}:\n\n" if block.label else ""
            fence = "`" * (max((len(run) for run in re.findall(r"`{3,}", block.text)), default=2) + 1)
            return f"{label}{fence}tsk\n{block.text.strip(chr(10))}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the cells are Markdown, and only what would end a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    # `table` escapes the bar, also within code.
    return "<br>".join(escaped(line).replace("\\|", "|") for line in text.split("\n"))


def escaped(text: str) -> str:
    """A plain text as Markdown: only what stands between backticks has a meaning."""
    parts = _CODE.split(text)
    return "".join(part if _CODE.fullmatch(part) else _SPECIAL.sub(r"\\\g<0>", part) for part in parts)
