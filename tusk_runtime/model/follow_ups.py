"""Leaves out the problems that only follow from text that could not be read."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from tusk_runtime.language.diagnostics import Diagnostic
from tusk_runtime.language.document import MapNode
from tusk_runtime.language.source import Span
from tusk_runtime.model import codes

ABSENCES = frozenset(
    code.id
    for code in (
        codes.MISSING_KEY,
        codes.UNDECLARED_EVENT,
        codes.UNDECLARED_AGGREGATE,
        codes.UNDECLARED_COMMAND,
        codes.UNDECLARED_PROJECTION,
        codes.UNDECLARED_QUERY,
        codes.UNDECLARED_COLUMN,
        codes.UNDECLARED_FIELD,
        codes.BAD_MACHINE,
        codes.UNHANDLED_EVENT,
        codes.STATE_NOT_SET,
        codes.NO_SOURCE,
        codes.COLUMN_NOT_SET,
        codes.NO_KEY,
        codes.UNUSED,
        codes.CATEGORY_UNDECLARED,
        codes.BAD_TEST,
    )
) | {"TSK251", "TSK403", "TSK404"}
"""The problems that say that something is not there; unknown types, names and fields of expressions too."""

_QUOTED = re.compile(r"`([^`]+)`")
_WORD = re.compile(r"\w+")


def without_follow_ups(
    found: Iterable[Diagnostic], earlier: Iterable[Diagnostic], root: MapNode
) -> list[Diagnostic]:
    """What was found, without what `earlier` errors explain.

    A declaration with such an error lost some of its text. A problem at the same place is the same
    problem; and what is missed somewhere may have stood in the text that was lost.
    """
    errors = [d.span for d in earlier if d.severity == "error" and d.span.source.text]
    if not errors:
        return list(found)
    starts = _starts(root)
    lost: set[str] = set()
    blocks: set[int] = set()
    for span in errors:
        block = bisect_right(starts, span.start)
        if block not in blocks:
            blocks.add(block)
            begin = starts[block - 1] if block else 0
            end = starts[block] if block < len(starts) else len(span.source.text)
            lost.update(_WORD.findall(span.source.text[begin:end]))
    return [
        d
        for d in found
        if not any(_touch(d.span, span) for span in errors)
        and not (
            d.code in ABSENCES and (bisect_right(starts, d.span.start) in blocks or _names(d.message) & lost)
        )
    ]


def _starts(root: MapNode) -> list[int]:
    """Where the sections and their declarations begin."""
    starts = []
    for section in root:
        starts.append(section.key_span.start)
        if isinstance(section.node, MapNode):
            starts.extend(entry.key_span.start for entry in section.node)
    return sorted(starts)


def _names(message: str) -> set[str]:
    return set(_QUOTED.findall(message))


def _touch(one: Span, other: Span) -> bool:
    return one.start < max(other.end, other.start + 1) and other.start < max(one.end, one.start + 1)
