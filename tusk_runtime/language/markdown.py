"""The fenced blocks of a Markdown text, each as a source whose places are those of the guide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tusk_runtime.language.source import Source

OWN_LANGUAGES = frozenset({"tsk", "tusk", "tusklang"})
"""What stands behind the fence of a block that is configuration, whatever is in it."""

FRAGMENT = "fragment"
"""The word behind the language of a block that is only a piece of a file."""

_DEEPEST = 64  # quotes and list items in each other, so that no line takes more than its length

_INDENT = "[ ]{0,3}"
_QUOTE = re.compile(rf"{_INDENT}>[ ]?")
_ITEM = re.compile(rf"({_INDENT}(?:[-+*]|\d{{1,9}}[.)]))(?:([ \t]+)|$)")
_OPENING = re.compile(rf"({_INDENT})(`{{3,}}(?=[^`]*$)|~{{3,}})(.*)$")
_CLOSING = re.compile(rf"{_INDENT}(`{{3,}}|~{{3,}})[ \t]*$")
_HEADING = re.compile(rf"{_INDENT}#{{1,6}}[ \t]+(.*)$")
_UNDERLINE = re.compile(rf"{_INDENT}(?:=+|-+)[ \t]*$")
_COMMENT = re.compile(rf"{_INDENT}<!--")
_RULE = re.compile(rf"{_INDENT}(?:(?:-[ \t]*){{3,}}|(?:\*[ \t]*){{3,}}|(?:_[ \t]*){{3,}})$")
_ENDS_PARAGRAPH = re.compile("|".join(p.pattern for p in (_OPENING, _HEADING, _COMMENT, _RULE)))
_INFO_WORD = re.compile(r"[\w+#-]+(?:\.[\w+#-]+)*")


class Line(NamedTuple):
    """A line of an excerpt, the number it has in the guide, and how many characters went in front of it."""

    text: str
    number: int
    margin: int = 0


@dataclass(frozen=True, eq=False)
class Excerpt(Source):
    """Lines taken out of a larger source, whose positions it gives, and whose lines are shown."""

    origin: Source = field(repr=False)
    lines: tuple[Line, ...] = field(repr=False)

    @classmethod
    def of(cls, origin: Source, lines: Iterable[Line]) -> Excerpt:
        """The excerpt of these lines, of which there is at least one."""
        kept = tuple(lines)
        return cls(origin.name, "\n".join(line.text for line in kept), origin, kept)

    def position(self, offset: int) -> tuple[int, int]:
        """The line and the column in the guide of an offset in this text."""
        index, column = super().position(offset)
        line = self.lines[min(index, len(self.lines)) - 1]
        return line.number, line.margin + column

    def line(self, number: int) -> str:
        """A line of the guide."""
        return self.origin.line(number)

    def index(self, offset: int) -> int:
        """The line of an offset by its place among `lines`."""
        return self.text.count("\n", 0, offset)


class Fence(NamedTuple):
    """A fenced block: its number in the guide from 1, what stands behind its fence, and its text.

    `line` is the line of the opening fence, `heading` the heading above it. A block without a closing fence
    ends with the text, the list item or the quote that it stands in.
    """

    number: int
    language: str
    words: tuple[str, ...]
    heading: str
    line: int
    closed: bool
    source: Excerpt

    @property
    def is_own(self) -> bool:
        """Whether its language says that it is configuration."""
        return self.language in OWN_LANGUAGES

    @property
    def is_fragment(self) -> bool:
        """Whether it is only a piece of a file."""
        return not self.is_own or FRAGMENT in self.words


def fences(guide: Source) -> list[Fence]:
    """The fenced blocks of a CommonMark text, in its order, those in lists and quotes as well."""
    return list(_Reader(guide).run())


class _Reader:
    """Walks over the lines of a guide, and knows which list items and quotes are open.

    An open container is the number of columns that its lines are indented by; a quote is 0.
    """

    def __init__(self, guide: Source) -> None:
        self._guide = guide
        self._containers: list[int] = []
        self._heading = ""
        self._count = 0

    def run(self) -> Iterator[Fence]:
        opening: re.Match[str] | None = None
        first, inner = 0, list[Line]()
        paragraph, in_comment = "", False
        for number, line in enumerate(self._guide.text.split("\n"), 1):
            depth, position = self._continued(line)
            if opening is not None:
                is_inside = depth == len(self._containers)
                closed = is_inside and _closes(opening[2], line[position:])
                if is_inside and not closed:
                    inner.append(_without_indent(line, number, position, len(opening[1])))
                    continue
                yield self._fence(opening, first, inner, closed=closed)
                opening = None
                if closed:
                    continue
            begun, position = _begun(line, position)
            rest = line[position:]
            # A paragraph goes on in the next line even without the marks in front of it.
            if not (paragraph and not begun and rest.strip() and not _ENDS_PARAGRAPH.match(rest)):
                self._containers[depth:] = begun
            if in_comment or _COMMENT.match(rest):
                in_comment = "-->" not in rest
                paragraph = ""
                continue
            opening = _OPENING.match(rest)
            if opening is not None:
                first, inner, paragraph = number, [], ""
            else:
                paragraph = self._look_for_heading(rest, paragraph)
        if opening is not None:
            yield self._fence(opening, first, inner, closed=False)

    def _fence(self, opening: re.Match[str], first: int, inner: list[Line], *, closed: bool) -> Fence:
        self._count += 1
        words = tuple(_INFO_WORD.findall(opening[3].lower()))
        # Without any line, what is missing is missing at the fence itself.
        source = Excerpt.of(self._guide, inner or [Line("", first)])
        language = words[0] if words else ""
        return Fence(self._count, language, words[1:], self._heading, first, closed, source)

    def _look_for_heading(self, text: str, paragraph: str) -> str:
        """Keep a heading; the last line of the paragraph that may go on behind this line."""
        match = _HEADING.match(text)
        if match is not None:
            text = match[1].strip()
            bare = text.rstrip("#")
            self._heading = bare.rstrip() if bare[-1:] in ("", " ", "\t") else text
            return ""
        if paragraph and _UNDERLINE.match(text):
            self._heading = paragraph
            return ""
        return "" if _RULE.match(text) else text.strip()

    def _continued(self, line: str) -> tuple[int, int]:
        """How many of the open containers a line continues, and the offset behind their marks."""
        position = 0
        for depth, width in enumerate(self._containers):
            if width == 0:
                match = _QUOTE.match(line, position)
                if match is None:
                    return depth, position
                position = match.end()
                continue
            behind, missing = _skip_columns(line, position, width)
            if missing and line[behind:].strip():
                return depth, position
            position = behind
        return len(self._containers), position


def _begun(line: str, position: int) -> tuple[list[int], int]:
    """The containers that begin in a line, and the offset behind their marks."""
    begun: list[int] = []
    while len(begun) < _DEEPEST:
        quote = _QUOTE.match(line, position)
        if quote is not None:
            begun.append(0)
            position = quote.end()
            continue
        item = None if _RULE.match(line, position) else _ITEM.match(line, position)
        if item is None:
            break
        # Of more than four spaces only one belongs to the mark; the others indent a block of code.
        space = item[2] or " "
        width = len(space) if len(space) <= 4 and "\t" not in space else 1
        begun.append(len(item[1]) + width)
        position = min(item.end(1) + width, len(line))
    return begun, position


def _closes(opened: str, text: str) -> bool:
    match = _CLOSING.match(text)
    return match is not None and match[1][0] == opened[0] and len(match[1]) >= len(opened)


def _without_indent(line: str, number: int, position: int, indent: int) -> Line:
    """A line of a block, without the spaces that its fence is indented by too."""
    margin = position
    while margin < min(position + indent, len(line)) and line[margin] == " ":
        margin += 1
    return Line(line[margin:], number, margin)


def _skip_columns(line: str, position: int, columns: int) -> tuple[int, int]:
    """The offset behind so many columns of white space, and how many columns were missing."""
    while columns > 0 and line[position : position + 1] in (" ", "\t") and position < len(line):
        columns -= 4 if line[position] == "\t" else 1
        position += 1
    return position, max(columns, 0)


def stripped(lines: Sequence[Line]) -> list[Line]:
    """Lines without the blank ones at both ends."""
    kept = [index for index, line in enumerate(lines) if line.text.strip()]
    return list(lines[kept[0] : kept[-1] + 1]) if kept else []
