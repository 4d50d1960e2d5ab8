"""The dates of `@date`: PHP's and C's formats, and spans of time such as `30d`."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import datetime, timedelta

_FORMATS: dict[str, Callable[[datetime], str]] = {
    "Y": lambda t: f"{t.year:04d}",
    "y": lambda t: f"{t.year % 100:02d}",
    "o": lambda t: f"{t.isocalendar().year:04d}",
    "m": lambda t: f"{t.month:02d}",
    "n": lambda t: str(t.month),
    "M": lambda t: f"{t:%b}",
    "F": lambda t: f"{t:%B}",
    "t": lambda t: str(monthrange(t.year, t.month)[1]),
    "d": lambda t: f"{t.day:02d}",
    "j": lambda t: str(t.day),
    "S": lambda t: "th" if t.day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(t.day % 10, "th"),
    "D": lambda t: f"{t:%a}",
    "l": lambda t: f"{t:%A}",
    "N": lambda t: str(t.isoweekday()),
    "w": lambda t: str(t.isoweekday() % 7),
    "z": lambda t: str(t.timetuple().tm_yday - 1),
    "W": lambda t: f"{t.isocalendar().week:02d}",
    "H": lambda t: f"{t.hour:02d}",
    "G": lambda t: str(t.hour),
    "h": lambda t: f"{(t.hour + 11) % 12 + 1:02d}",
    "g": lambda t: str((t.hour + 11) % 12 + 1),
    "A": lambda t: "AM" if t.hour < 12 else "PM",
    "a": lambda t: "am" if t.hour < 12 else "pm",
    "i": lambda t: f"{t.minute:02d}",
    "s": lambda t: f"{t.second:02d}",
    "v": lambda t: f"{t.microsecond // 1000:03d}",
    "u": lambda t: f"{t.microsecond:06d}",
    "e": lambda t: "UTC",
    "T": lambda t: "UTC",
    "P": lambda t: "+00:00",
    "O": lambda t: "+0000",
    "Z": lambda t: "0",
    "U": lambda t: str(int(t.timestamp())),
    "c": lambda t: t.isoformat(timespec="seconds"),
    "r": lambda t: f"{t:%a, %d %b %Y %H:%M:%S} +0000",
}
"""What the letters of a format mean, as in PHP's `date`."""

_LETTERS = re.compile(r"\\(.)|(.)", re.DOTALL)
_SPAN = re.compile(r"(\d{1,9})\s*(ms|mo|s|m|h|d|w|y)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def format_date(moment: datetime, pattern: str) -> str:
    """A moment in UTC as a text: by PHP's letters (a backslash keeps one), or by `%Y-%m-%d` and its like.

    Raises ValueError for a pattern with `%` that cannot be used.
    """
    if "%" in pattern:
        return moment.strftime(pattern)
    parts: list[str] = []
    for escaped, letter in _LETTERS.findall(pattern):
        parts.append(escaped or (_FORMATS[letter](moment) if letter in _FORMATS else letter))
    return "".join(parts)


def moved(moment: datetime, span: str, sign: int) -> datetime:
    """A moment plus (or, with -1, minus) a span: `30s`, `5m`, `7d`, `2w`, `1mo`, `1y`, or several together.

    A day that the month does not have becomes its last one. Raises ValueError for what is no span, and
    OverflowError for what leaves the calendar.
    """
    text = span.strip()
    position = 0
    while position < len(text):
        match = _SPAN.match(text, position)
        if match is None:
            break
        count, unit = int(match[1]) * sign, match[2]
        if unit in _UNITS:
            moment += timedelta(seconds=count * _UNITS[unit])
        else:
            moment = _months_later(moment, count * (12 if unit == "y" else 1))
        position = match.end()
    if not text or position < len(text):
        raise ValueError(span)
    return moment


def _months_later(moment: datetime, count: int) -> datetime:
    months = moment.year * 12 + moment.month - 1 + count
    year, month = months // 12, months % 12 + 1
    if not 1 <= year <= 9999:
        raise OverflowError("year out of range")
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
