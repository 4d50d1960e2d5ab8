"""Prints a tree of plain values as a `.tsk` text that gives the same tree when it is loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tusk_runtime.language.parse import UNSEEN

_KEY = re.compile(r"\$?\w[\w-]*\Z", re.ASCII)
_SPECIAL = re.compile(r"@(?=[A-Za-z_])|\$(?=\{)|#(?=\{)")
_WIDEST = 100
_MOST_PARTS = 8  # so that nine levels, for any text there is, stay below the operators that are allowed


def print_tree(tree: Mapping[str, Any]) -> str:
    """The text of a whole document: values first, then a section for each map."""
    lines: list[str] = []
    for key, value in tree.items():
        if not isinstance(value, Mapping):
            lines.extend(_pair(key, value, ""))
    for key, value in tree.items():
        if isinstance(value, Mapping):
            lines.extend(["", f"[{_key(key)}]"] if lines else [f"[{_key(key)}]"])
            for inner, item in value.items():
                lines.extend(_pair(inner, item, ""))
    return "".join(f"{line}\n" for line in lines)


def _pair(key: str, value: Any, indent: str) -> Iterator[str]:
    head = f"{indent}{_key(key)}:"
    flat = _flat(value)
    if len(head) + len(flat) < _WIDEST or not value or not isinstance(value, Mapping | list):
        yield f"{head} {flat}"
        return
    yield head
    if isinstance(value, Mapping):
        for inner, item in value.items():
            yield from _pair(inner, item, indent + "  ")
    else:
        for item in value:
            yield f"{indent}  - {_flat(item)}"


def _flat(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)}: {_flat(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        text = str(value)
        return text if "." in text or "E" in text else f"{text}.0"
    return _text(value) if isinstance(value, str) else str(value)


def _key(key: str) -> str:
    return key if _KEY.match(key) else _quoted(key)


def _text(text: str) -> str:
    """A quoted text. What would be replaced in it is cut in two, since nothing else keeps it."""
    parts: list[str] = []
    start = 0
    for match in _SPECIAL.finditer(text):
        parts.append(text[start : match.end()])
        start = match.end()
    parts.append(text[start:])
    if len(parts) > 1 and "'" not in text and text.isprintable() and "@env" not in text:
        return f"'{text}'"
    return _joined([_quoted(part) for part in parts])


def _joined(parts: Sequence[str]) -> str:
    """A sum of texts, in brackets within brackets: one expression has few operators."""
    while len(parts) > _MOST_PARTS:
        groups = [parts[start : start + _MOST_PARTS] for start in range(0, len(parts), _MOST_PARTS)]
        parts = [f"({' + '.join(group)})" for group in groups]
    return " + ".join(parts)


def _quoted(text: str) -> str:
    """A text in double quotes, in which everything can be seen."""
    return UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
