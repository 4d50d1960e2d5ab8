"""The lines that the formatter writes, and the columns of the comments at their ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_GAP = "  "  # before a comment at the end of a line


@dataclass(slots=True)
class OutputLine:
    """One line, or the several of a text block.

    `comment` stands behind the code; `column` is where it stood in the source, and `blank` tells whether a
    blank line goes before. A comment on a line of its own is code here, unless it goes on with the one above.
    """

    indent: int
    parts: list[str] = field(default_factory=list)
    comment: str = ""
    column: int = 0
    blank: bool = False

    @property
    def code(self) -> str:
        """The parts together."""
        return "".join(self.parts)

    @property
    def width(self) -> int:
        """Where the code ends in its last line."""
        code = self.code
        newline = code.rfind("\n")
        return len(code) - newline - 1 if newline >= 0 else self.indent + len(code)


def join_lines(lines: Sequence[OutputLine]) -> str:
    """The text of lines. Comments that stood in one column of neighbouring lines stand in one again."""
    parts: list[str] = []
    for group in _aligned(lines):
        column = max(line.width for line in group) if len(group) > 1 else 0
        for line in group:
            if line.blank:
                parts.append("\n")
            if line.parts:
                parts.append(" " * line.indent)
                parts += line.parts
            if line.comment:
                parts.append(" " * ((column - line.width) if column else 0) + _GAP + line.comment)
            parts.append("\n")
    return "".join(parts)


def _aligned(lines: Sequence[OutputLine]) -> Iterator[list[OutputLine]]:
    """The lines in groups whose comments were aligned."""
    group: list[OutputLine] = []
    for line in lines:
        if group and not _is_aligned(group[-1], line):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _is_aligned(above: OutputLine, line: OutputLine) -> bool:
    both = bool(above.comment and line.comment) and above.column == line.column
    return both and not line.blank and "\n" not in line.code
