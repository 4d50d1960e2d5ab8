"""Pages as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from tusk_runtime.cli.pages.blocks import WRITTEN_BY, Block, Book, Code, Heading, Page, Table, Text

_SPECIAL = re.compile(r"[\\*_#\[\]<>&|~!`]")
_CODE = re.compile(r"(`[^`\n]+`)")


def markdown(book: Book, page: Page) -> str:
    """A page as one Markdown text."""

    def link(word: str) -> str:
        target = book.links.get(word.strip("`"))
        if target is None or target[0] == page.name:
            return word
        return f"[{word}]({target[0]}.md#{target[1]})"

    def inline(text: str) -> str:
        return _inline(text, link)

    parts = [WRITTEN_BY, f"# {escaped(page.title)}", *([inline(page.about)] if page.about else [])]
    if page is book.pages[0]:
        parts.append("\n".join(f"- [{escaped(p.title)}]({p.name}.md)" for p in book.pages[1:]))
    return "\n\n".join([*parts, *(_block(block, inline) for block in page.blocks)]) + "\n"


def _block(block: Block, inline: Callable[[str], str]) -> str:
    match block:
        case Heading():
            anchor = f'<a id="{block.anchor}"></a>\n\n' if block.anchor else ""
            return f"{anchor}{'#' * block.level} {escaped(block.text)}"
        case Text():
            return inline(block.text)
        case Table():
            # `table` escapes the bar, also within code.
            rows = [
                ["<br>".join(inline(line).replace("\\|", "|") for line in cell.split("\n")) for cell in row]
                for row in block.rows
            ]
            return table([escaped(cell) for cell in block.head], rows)
        case Code():
            label = f"{escaped(block.label)}:\n\n" if block.label else ""
            fence = "`" * (max((len(run) for run in re.findall(r"`{3,}", block.text)), default=2) + 1)
            return f"{label}{fence}text\n{block.text.strip(chr(10))}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the cells are Markdown, and only what would end a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def escaped(text: str) -> str:
    """A plain text as Markdown, in which nothing but code has a meaning."""
    return _inline(text, lambda word: word)


def _inline(text: str, link: Callable[[str], str]) -> str:
    return "".join(
        link(part) if _CODE.fullmatch(part) else _SPECIAL.sub(r"\\\g<0>", part) for part in _CODE.split(text)
    )
