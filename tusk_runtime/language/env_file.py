"""Reads a file of environment variables, as `--env-file` names it."""

from __future__ import annotations

import re
from pathlib import Path

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import read_file
from tusk_runtime.language.parse import MOST_ERRORS
from tusk_runtime.language.source import Source, Span

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def read_env_file(path: Path, problems: Problems) -> dict[str, str]:
    """The variables in a file; empty, with an error in `problems`, if it cannot be read."""
    source = read_file(path, problems)
    return parse_env(source, problems) if source is not None else {}


def parse_env(source: Source, problems: Problems) -> dict[str, str]:
    """The variables in a text of `NAME=value` lines.

    Values stand bare (up to ` #`), in single quotes (as they are) or in double quotes (with the escapes
    `\\n \\r \\t \\" \\\\ \\$`). Nothing is interpolated, and a value ends with its line.
    """
    values: dict[str, str] = {}
    places: dict[str, Span] = {}
    start = 0
    limit = len(problems) + MOST_ERRORS
    for line in source.text.split("\n"):
        if len(problems) == limit:
            advice = "correct these first"
            message = f"more than {MOST_ERRORS} errors; what follows was not checked"
            problems.error(codes.TOO_MANY, source.span(start, start), message, help=advice)
            break
        _read_line(source, start, line.rstrip("\r"), values, places, problems)
        start += len(line) + 1
    return values


def _read_line(
    source: Source, start: int, line: str, values: dict[str, str], places: dict[str, Span], problems: Problems
) -> None:
    text = line.strip()
    if not text or text.startswith("#"):
        return
    match = _LINE.match(line)
    if match is None:
        left = start + len(line) - len(line.lstrip())
        problems.error(
            codes.BAD_ENV_LINE,
            Span(source, left, left + len(text)),
            "this line gives no variable a value",
            help="write `NAME=value`; names consist of letters, digits and `_`",
            label="expected `NAME=value`",
        )
        return
    name, place = match[1], Span(source, start + match.start(1), start + match.end(1))
    value = _value(source, start + match.end(), line[match.end() :], problems)
    if value is None:
        return
    if name in places:
        problems.error(
            codes.DUPLICATE_ENV,
            place,
            f"`{name}` is given twice: in line {places[name].line} and in line {place.line}",
            help="remove one of the two",
            related=[(places[name], "first given here")],
        )
        return
    values[name], places[name] = value, place


def _value(source: Source, start: int, text: str, problems: Problems) -> str | None:
    quote = text[:1]
    if quote not in ("'", '"') or not quote:
        return re.split(r"(?:^|[ \t])#", text, maxsplit=1)[0].strip()
    pattern = r"'([^']*+)'" if quote == "'" else r'"((?:[^"\\]|\\.)*+)"'
    match = re.match(pattern, text)
    if match is None:
        message, advice = (
            "the value is not closed on its line",
            f"end it with `{quote}`; write `\\n` for a line break",
        )
        problems.error(codes.BAD_ENV_LINE, Span(source, start, start + len(text)), message, help=advice)
        return None
    rest = text[match.end() :].strip()
    if rest and not rest.startswith("#"):
        left = start + match.end() + text[match.end() :].index(rest)
        place = Span(source, left, left + len(rest))
        message = "something follows the quoted value"
        problems.error(codes.BAD_ENV_LINE, place, message, help="put all of it in the quotes, or remove it")
        return None
    if quote == "'":
        return match[1]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), match[1])
