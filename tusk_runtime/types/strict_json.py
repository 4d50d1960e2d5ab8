"""Strict JSON: what others write is read as the one thing that it means, or not at all.

orjson alone takes a doubled key in silence, of which the last wins, and rounds an integer that is too large.
A byte order mark in front says nothing, and is passed over.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from tusk_runtime.types.kinds import MAX_INTEGER, MIN_INTEGER
from tusk_runtime.types.reading import MAX_JSON_DEPTH
from tusk_runtime.types.values import show

MOST = 1024 * 1024
"""Bytes of a text that is read, unless it is said otherwise."""
_BOM = b"\xef\xbb\xbf"
# A string that never ends runs to the end of the text, so that the search starts once and stays linear.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NUMBERS = re.compile(rb"-?[0-9]++(?P<rest>(?:\.[0-9]*+)?+(?:[eE][+-]?+[0-9]*+)?+)")
_RUNS = re.compile(rb"[0-9]{19,}")
_NO_NUMBERS = re.compile(rb"\b(?:NaN|Infinity)\b")
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ONE_DIGIT = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * len(str(MAX_INTEGER))
_ESCAPED_COLON = re.compile(rb"\\u003[aA]")
_BLANKS = b" \t\r\n"
_TOO_DEEP = f"nests deeper than {MAX_JSON_DEPTH} levels"
_TOO_LARGE = "holds an integer of more than 64 bits: write it as a text, in quotes"


class BadJson(ValueError):
    """A text that is not read. The message goes on after the name of the text: `holds the key "a" twice`."""


def read_json(content: bytes, most: int = MOST) -> Any:
    """The value of a JSON text in UTF-8 of at most so many bytes, with integers of 64 bits.

    Raises BadJson, which quotes hardly anything of the text.
    """
    if len(content) > most:
        raise BadJson(f"is {len(content)} bytes long; {most} are taken")
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if not content.startswith(_BOM):
            raise BadJson(_why(content, error)) from None
        content = content.removeprefix(_BOM)
        value = _behind_mark(content)
    if nests_deeper(content, MAX_JSON_DEPTH):
        raise BadJson(_TOO_DEEP)
    try:
        again = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:  # an integer of more than 53 bits
        _compare(content, orjson.dumps(value))
        return value
    # What is written again as it came has lost no key and no digit, and this is how nearly all is written.
    if content != again and content.translate(None, _BLANKS) != again.translate(None, _BLANKS):
        _compare(content, again)
    return value


def _behind_mark(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadJson(_why(content, error)) from None


def _compare(content: bytes, again: bytes) -> None:
    """Refuse what was lost between a text and its value, written `again`. Raises BadJson."""
    if _LONG in content.translate(_ONE_DIGIT) and _holds_large_integer(content):
        raise BadJson(_TOO_LARGE)
    # Each pair of an object has one colon, and all other colons stand in strings. Of a doubled key the first
    # value is gone, and with it at least one colon; but one that was written as an escape comes back as one.
    if content.count(b":") != again.count(b":") or _ESCAPED_COLON.search(content):
        _refuse_doubled(content)


def nests_deeper(content: bytes, limit: int) -> bool:
    """Whether JSON nests deeper than that, found before anything recurses over it."""
    if content.count(b"[") + content.count(b"{") <= limit:
        return False
    # Each round takes the innermost level away, at the speed of memory: no Python code per bracket. A run of
    # more opening ones than levels may still come says it at once.
    brackets = _STRINGS.sub(b"", content).translate(_ONE_KIND, _NOT_BRACKETS)
    for level in range(limit):
        if b"[" * (limit - level + 1) in brackets:
            return True
        brackets = brackets.replace(b"[]", b"")
    # What is left without a pair in it is unbalanced: for the decoder to explain, with the position.
    return b"[]" in brackets


def _holds_large_integer(content: bytes) -> bool:
    # Digits that are not too many anywhere, in texts and fractions neither: this is how ids of 19 look.
    if all(_fits(found[0]) for found in _RUNS.finditer(content)):
        return False
    for found in _NUMBERS.finditer(_STRINGS.sub(b'""', content)):
        digits = found[0].removeprefix(b"-")
        if found["rest"] or len(digits) < len(_LONG):
            continue
        if len(digits) > len(_LONG) or not MIN_INTEGER <= int(found[0]) <= MAX_INTEGER:
            return True
    return False


def _fits(digits: bytes) -> bool:
    return len(digits) == len(_LONG) and int(digits) <= MAX_INTEGER


def _refuse_doubled(content: bytes) -> None:
    """Read once more, slowly, with an eye on the keys. Raises BadJson if one is doubled."""

    def members(pairs: list[tuple[str, Any]]) -> None:
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise BadJson(f"holds the key {show(key, 40)} twice in one object")
            seen.add(key)

    json.loads(content, object_pairs_hook=members)


def _why(content: bytes, error: orjson.JSONDecodeError) -> str:
    """Why a text is no JSON, in words that name the usual mistakes."""
    if not content.strip():
        return "is empty: write `null` where there is nothing"
    try:
        content.decode()
    except UnicodeDecodeError as wrong:
        return f"is no UTF-8: the byte 0x{content[wrong.start]:02x} at position {wrong.start}"
    if nests_deeper(content, MAX_JSON_DEPTH) or "depth limit" in error.msg:
        return _TOO_DEEP
    if found := _NO_NUMBERS.search(_STRINGS.sub(b'""', content)):
        return f"holds {found[0].decode()}, which JSON has not: write `null`, or leave it out"
    if "surrogate" in error.msg:
        return (
            f"holds half of a surrogate pair, which is no text, at line {error.lineno}, column {error.colno}"
        )
    if _holds_large_integer(content):
        return _TOO_LARGE
    if "infinity" in error.msg:
        return f"holds a number that is too large, at line {error.lineno}, column {error.colno}"
    return f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
