"""Shows problems to a person, in the form of rustc, and to a machine, as JSON."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence

from tusk_runtime.language.diagnostics import Diagnostic
from tusk_runtime.language.source import Span

_WIDEST = 120  # columns of a source line that are shown
_RESET = "\x1b[0m"
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "frame": "\x1b[1;34m", "strong": "\x1b[1m"}


def render(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """All problems as text, each with its source line, and a summary in the last line.

    Ends with a line break; empty if there are no problems. `colour` adds ANSI escapes. Control characters
    of the source never reach the terminal.
    """
    found = list(diagnostics)
    if not found:
        return ""
    parts = [render_one(diagnostic, colour=colour) for diagnostic in found]
    return "\n".join([*parts, summary(found)]) + "\n"


def render_one(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """One problem as text, ending with a line break."""
    paint = _Paint(colour)
    severity = diagnostic.severity
    head = paint(severity, f"{severity}[{diagnostic.code}]") + paint(
        "strong", f": {printable(diagnostic.message)}"
    )
    places = [(diagnostic.span, diagnostic.label, "^")]
    places += [(related.span, related.label, "-") for related in diagnostic.related]
    gutter = max(len(str(span.line)) for span, _, _ in places)
    lines = [head]
    for number, (span, label, mark) in enumerate(places):
        arrow = "-->" if number == 0 else ":::"
        lines.append(
            " " * gutter + paint("frame", f"{arrow} ") + f"{printable(span.file)}:{span.line}:{span.column}"
        )
        if span.source.text:
            lines += _snippet(span, label, mark, gutter, paint, severity)
        elif label:
            lines.append(" " * gutter + paint("frame", " = ") + printable(label))
    if diagnostic.help:
        lines.append(
            " " * gutter + paint("frame", " = ") + paint("strong", "help") + f": {printable(diagnostic.help)}"
        )
    return "\n".join(lines) + "\n"


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """How many there are: `2 errors, 1 warning`, or `no problems`."""
    counts = {"error": 0, "warning": 0}
    for diagnostic in diagnostics:
        counts[diagnostic.severity] += 1
    parts = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
    return ", ".join(parts) or "no problems"


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """`{"diagnostics": [...]}`, each as Diagnostic.as_json gives it."""
    document = {"diagnostics": [diagnostic.as_json() for diagnostic in diagnostics]}
    return json.dumps(document, ensure_ascii=False, indent=2)


class _Paint:
    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, name: str, text: str) -> str:
        return f"{_COLOURS[name]}{text}{_RESET}" if self._colour else text


def _snippet(span: Span, label: str, mark: str, gutter: int, paint: _Paint, severity: str) -> list[str]:
    """The source line of a span, and the marks under it, to the end of the line at most."""
    number, column = span.source.position(span.start)
    line = span.source.line(number)
    first = column - 1
    last = min(first + max(span.end - span.start, 1), max(len(line), first + 1))
    # Of a long line only the surroundings of the span are shown.
    left = max(0, first - _WIDEST // 2) if len(line) > _WIDEST else 0
    right = min(len(line), left + _WIDEST)
    last = max(min(last, right), first + 1)
    text = ("…" if left else "") + printable(line[left:right]) + ("…" if right < len(line) else "")
    indent = display_width(("…" if left else "") + printable(line[left:first]))
    marks = mark * max(1, display_width(printable(line[first:last])))
    bar = " " * (gutter + 1) + paint("frame", "|")
    colour = severity if mark == "^" else "frame"
    under = " " * indent + paint(colour, marks + (f" {printable(label)}" if label else ""))
    return [bar, paint("frame", f"{number:>{gutter}} |") + f" {text}".rstrip(), f"{bar} {under}"]


def printable(text: str) -> str:
    """The text with tabs as four spaces and `�` for what would act on a terminal or cannot be seen."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character == "\t":
        return "    "
    category = unicodedata.category(character)
    return "\ufffd" if category in ("Cc", "Cf", "Cs", "Zl", "Zp") else character


def display_width(text: str) -> int:
    """The columns that a terminal needs for a text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
