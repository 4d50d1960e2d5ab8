"""Leaves out the problems that only follow from text that could not be read."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from tusk_runtime.language.diagnostics import Diagnostic
from tusk_runtime.language.document import MapNode
from tusk_runtime.language.source import Source, Span
from tusk_runtime.model import codes
from tusk_runtime.model.sections import SECTIONS

ABSENCES = frozenset(
    code.id
    for code in (
        codes.MISSING_KEY,
        codes.UNDECLARED_EVENT,
        codes.UNDECLARED_AGGREGATE,
        codes.UNDECLARED_COMMAND,
        codes.UNDECLARED_PROJECTION,
        codes.UNDECLARED_QUERY,
        codes.UNDECLARED_CATEGORY,
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
        codes.NOT_PUBLISHED,
        codes.UNUSED_TOPIC,
        codes.BAD_TEST,
    )
) | {"TSK251", "TSK403", "TSK404"}
"""The problems that say that something is not there; unknown types, names and fields of expressions too."""

POINTING = frozenset(
    code.id
    for code in (
        codes.UNDECLARED_EVENT,
        codes.UNDECLARED_AGGREGATE,
        codes.UNDECLARED_COMMAND,
        codes.UNDECLARED_PROJECTION,
        codes.UNDECLARED_QUERY,
        codes.UNDECLARED_CATEGORY,
        codes.UNDECLARED_COLUMN,
        codes.UNDECLARED_FIELD,
        codes.CATEGORY_UNDECLARED,
        codes.BAD_TEST,
    )
) | {"TSK251", "TSK403", "TSK404"}
"""Those that point at the name that is missed; the others have it in their message."""

FIELDS = frozenset({codes.UNDECLARED_FIELD.id, codes.UNDECLARED_COLUMN.id, codes.BAD_TEST.id, "TSK404"})
"""Those that name a declaration and miss a field in it."""

NOT_UNDERSTOOD = "this value cannot be understood"
"""What expressions say of a value whose parts have a type that could not be read."""

_QUOTED = re.compile(r"`([^`]+)`")
_WORD = re.compile(r"\w+")
_HEAD = re.compile(r"\[(\w+)")
_NEXT_HEAD = re.compile(r"^\[", re.MULTILINE)


def without_follow_ups(
    found: Iterable[Diagnostic], earlier: Iterable[Diagnostic], root: MapNode
) -> list[Diagnostic]:
    """What was found, without what `earlier` errors explain.

    A declaration with such an error lost some of its text. A problem at the same place is the same
    problem; and what is missed somewhere may have stood in the text that was lost.
    """
    told = [d for d in found if d.message != NOT_UNDERSTOOD]
    found = told or list(found)
    damage: dict[Source, _Damage] = {}
    for d in earlier:
        if d.severity == "error" and d.span.source.text:
            if d.span.source not in damage:
                damage[d.span.source] = _Damage(d.span.source, root)
            damage[d.span.source].add(d.span)
    if not damage:
        return found
    lost = set().union(*(one.lost for one in damage.values()))
    incomplete = set().union(*(one.incomplete for one in damage.values()))

    def follows(d: Diagnostic) -> bool:
        here = damage.get(d.span.source)
        if here is not None and here.touches(d.span):
            return True
        if d.code not in ABSENCES:
            return False
        if d.code in FIELDS and not incomplete.isdisjoint(_WORD.findall(d.message)):
            return True
        if d.code in POINTING:
            return d.span.text.strip("\"'") in lost
        return (here is not None and here.is_damaged(d.span)) or not lost.isdisjoint(
            _QUOTED.findall(d.message)
        )

    return [d for d in found if not follows(d)]


class _Damage:
    """What the errors in one file have left unread: `lost` words, and blocks that are `incomplete`."""

    def __init__(self, source: Source, root: MapNode) -> None:
        self.lost: set[str] = set()
        self.incomplete: set[str] = set()
        self._text = source.text
        self._root = root
        self._starts = _starts(source, root)
        self._errors = _Stretches()
        self._blocks: set[int] = set()
        self._heads: set[int] = set()
        self._unreadable = _Stretches()

    def add(self, span: Span) -> None:
        """Take the place of an error."""
        text, starts = self._text, self._starts
        self._errors.add(span.start, span.end)
        if _is_read_head(span, self._root):
            return
        line = text.rfind("\n", 0, span.start) + 1
        if _HEAD.match(text, line):
            if line in self._heads:
                return
            self._heads.add(line)
            # A head that is lost leaves its keys to whatever stands above it.
            behind = _NEXT_HEAD.search(text, line + 1)
            begin, end = line, behind.start() if behind else len(text)
            self._unreadable.add(begin, end)
        else:
            block = bisect_right(starts, span.start)
            if block in self._blocks:
                return
            self._blocks.add(block)
            begin = starts[block - 1] if block else 0
            self.incomplete.update(_WORD.findall(text, begin, text.find("\n", begin))[:1])
            end = starts[block] if block < len(starts) else len(text)
        self.lost.update(_WORD.findall(text, begin, end))

    def touches(self, span: Span) -> bool:
        """Whether something at this place is the same error, or stands under a head that was lost."""
        return self._errors.touch(span.start, span.end) or self._unreadable.touch(span.start, span.start)

    def is_damaged(self, span: Span) -> bool:
        """Whether the declaration at this place lost some of its text."""
        return bisect_right(self._starts, span.start) in self._blocks


class _Stretches:
    """Stretches of a text, put together where they touch, so that one look tells what lies in them."""

    def __init__(self) -> None:
        self._added: list[tuple[int, int]] = []
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """One more stretch; a place between two characters is that of the second."""
        self._added.append((start, max(end, start + 1)))

    def touch(self, start: int, end: int) -> bool:
        """Whether a place lies in one of them, in part at least."""
        if self._added:
            self._put_together()
        before = bisect_right(self._starts, max(end, start + 1) - 1)
        return before > 0 and self._ends[before - 1] > start

    def _put_together(self) -> None:
        stretches = sorted([*zip(self._starts, self._ends, strict=True), *self._added])
        self._starts, self._ends, self._added = [], [], []
        for start, end in stretches:
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)


def _is_read_head(span: Span, root: MapNode) -> bool:
    """Whether an error is about a head that was understood all the same."""
    match = _HEAD.match(span.text)
    return match is not None and match[1] in SECTIONS and span.text.partition("]")[0] in root


def _starts(source: Source, root: MapNode) -> list[int]:
    """Where the sections and their declarations begin in one file."""
    starts = []
    for section in root:
        if section.key_span.source is source:
            starts.append(section.key_span.start)
        if isinstance(section.node, MapNode):
            starts.extend(e.key_span.start for e in section.node if e.key_span.source is source)
    return sorted(starts)
