"""Reads quoted texts: escapes, the indentation of text blocks, and where each character stood."""

from __future__ import annotations

import re

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Source, Span

_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([\s\S]?))"
)
_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def read_text(source: Source, start: int, end: int, problems: Problems) -> ScalarNode:
    """The node of the quoted text between two offsets, quotes included."""
    text = source.text
    span = Span(source, start, end)
    if text.startswith('"""', start):
        return _read_block(source, span, problems)
    body = text[start + 1 : end - 1]
    if text[start] == "'" or "\\" not in body:
        return ScalarNode(body, span, True, start + 1)
    characters: list[str] = []
    offsets: list[int] = []
    _unescape(source, start + 1, end - 1, characters, offsets, problems)
    offsets.append(end - 1)
    return ScalarNode("".join(characters), span, True, offsets)


def reindented(source: Source, start: int, end: int, indent: int, margin: int) -> str:
    """The text block between two offsets with its lines moved to a margin; it means the same.

    `indent` is where its end stands if that has a line of its own.
    """
    lines, common = _block_lines(source, start + 3, end - 3)
    if len(lines) == 1:
        return source.text[start:end]
    moved = ["" if _is_blank(source, lines[0]) else source.text[slice(*lines[0])]]
    for begin, stop in lines[1:]:
        blank = _is_blank(source, (begin, stop))
        moved.append("" if blank else " " * margin + source.text[begin + common : stop])
    closing = "" if moved[-1] else " " * indent
    return '"""' + "\n".join(moved) + closing + '"""'


def _block_lines(source: Source, start: int, end: int) -> tuple[list[tuple[int, int]], int]:
    """Where each line of a text block begins and ends, and the indentation common to all but the first."""
    lines: list[tuple[int, int]] = []
    position = start
    while True:
        newline = source.text.find("\n", position, end)
        lines.append((position, newline if newline >= 0 else end))
        if newline < 0:
            break
        position = newline + 1
    margins = [_margin(source, line) for line in lines[1:] if not _is_blank(source, line)]
    return lines, min(margins, default=0)


def _read_block(source: Source, span: Span, problems: Problems) -> ScalarNode:
    """A text block: first and last line are left out if blank, the common indentation is removed."""
    end = span.end - 3
    lines, common = _block_lines(source, span.start + 3, end)
    opened_with_text = not _is_blank(source, lines[0])
    if len(lines) > 1 and _is_blank(source, lines[-1]):
        lines.pop()
    if not opened_with_text and lines:
        lines.pop(0)

    characters: list[str] = []
    offsets: list[int] = []
    for number, (begin, stop) in enumerate(lines):
        if number:
            characters.append("\n")
            offsets.append(lines[number - 1][1])
        if _is_blank(source, (begin, stop)):
            continue
        if number or not opened_with_text:
            begin += common
        if source.text[stop - 1] == "\r":
            stop -= 1
        _unescape(source, begin, stop, characters, offsets, problems)
    offsets.append(lines[-1][1] if lines else end)
    return ScalarNode("".join(characters), span, True, offsets)


def _is_blank(source: Source, line: tuple[int, int]) -> bool:
    text = source.text[line[0] : line[1]]
    return not text or text.isspace()


def _margin(source: Source, line: tuple[int, int]) -> int:
    text = source.text[line[0] : line[1]]
    return len(text) - len(text.lstrip(" \t"))


def _unescape(
    source: Source, start: int, end: int, characters: list[str], offsets: list[int], problems: Problems
) -> None:
    """Add the characters between two offsets, escapes replaced, and the offset of each.

    Of several bad escapes the first one is told, since one change to the text mends them all.
    """
    found = Problems()
    _replace(source, start, end, characters, offsets, found)
    if len(found):
        first, *more = found
        note = f", and {len(more)} more in this text" if more else ""
        problems.extend([first._replace(message=first.message + note)])


def _replace(
    source: Source, start: int, end: int, characters: list[str], offsets: list[int], problems: Problems
) -> None:
    position = start
    for match in _ESCAPE.finditer(source.text, start, end):
        begin, stop = match.span()
        characters.append(source.text[position:begin])
        offsets.extend(range(position, begin))
        character = _character(source, match, problems)
        characters.append(character)
        offsets.extend([begin] * len(character))
        position = stop
    characters.append(source.text[position:end])
    offsets.extend(range(position, end))


def _character(source: Source, match: re.Match[str], problems: Problems) -> str:
    high, low, single, simple = match.groups()
    span = Span(source, match.start(), match.end())
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00))
    if single:
        value = int(single, 16)
        if value == 0 or 0xD800 <= value <= 0xDFFF:
            what = "NUL" if value == 0 else "half a character"
            problems.error(
                codes.BAD_ESCAPE, span, f"`{match[0]}` is {what}, which a text cannot hold", help="remove it"
            )
            return "\ufffd"
        return chr(value)
    if simple in _SIMPLE:
        return _SIMPLE[simple]
    if simple in ("\n", ""):
        problems.error(
            codes.BAD_ESCAPE,
            Span(source, match.start(), match.start() + 1),
            "a backslash at the end of the line escapes nothing",
            help="write two backslashes, or remove it",
        )
        return match[0]
    note = " or four hexadecimal digits behind `\\u`" if simple == "u" else ", or use single quotes"
    problems.error(
        codes.BAD_ESCAPE,
        span,
        f"`\\{simple}` is not an escape",
        help=f"for a backslash write `\\\\{simple}`{note}",
        label='known are \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX',
    )
    return match[0]
