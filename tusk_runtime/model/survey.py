"""What the checks over the whole application look at: its declarations, its topology, what was not read."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from tusk_runtime.expressions.codes import NOT_YET as NO_LOOKUP
from tusk_runtime.language.codes import MISSING_VARIABLE
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.document import Entry, ListNode, MapNode, Node
from tusk_runtime.language.source import Source, Span
from tusk_runtime.model.codes import NOT_YET
from tusk_runtime.model.context import Building
from tusk_runtime.model.reactions import Reaction
from tusk_runtime.model.sections import LATER, SECTIONS
from tusk_runtime.model.topology import Topology

NOT_AVAILABLE = frozenset({NOT_YET.id, NO_LOOKUP.id})
"""The codes of what the language has and this version does not: all else of the file may be right."""
DECLARING = frozenset({
    "types", "events", "event_categories", "aggregates", "commands", "projections", "queries",
    "consumers", "sagas", "streams", "schedules", "views", "metrics",
})  # fmt: skip
"""The sections that say what there is and what leads to what; the others set how it runs, or test it."""
_WORD = re.compile(r"\w+")


def only_not_available(problems: Iterable[Diagnostic]) -> bool:
    """Whether nothing is wrong but that this version does not build all of it."""
    return all(d.code in NOT_AVAILABLE for d in problems if d.severity == "error")


def can_be_judged(root: MapNode, problems: Iterable[Diagnostic]) -> bool:
    """Whether the declarations are right, so that what they lack as a whole does not follow from an error.

    What is wrong with a setting or a test, or not available, is no hindrance; what was not read is one.
    """
    errors = [d for d in problems if d.severity == "error" and d.code not in NOT_AVAILABLE]
    if not errors:
        return True
    if any(d.code < "TSK200" and d.code != MISSING_VARIABLE.id for d in errors):
        return False
    starts: dict[Source, list[tuple[int, str]]] = defaultdict(list)
    for section in root:
        inner = section.node if isinstance(section.node, MapNode) else ()
        for entry in (section, *inner):
            starts[entry.key_span.source].append((entry.key_span.start, section.key))
    for found in starts.values():
        found.sort()
    for span in (d.span for d in errors):
        index = bisect_right(starts[span.source], span.start, key=itemgetter(0)) - 1
        section_key = starts[span.source][index][1] if index >= 0 else ""
        if section_key in DECLARING or section_key not in (*SECTIONS, *LATER):
            return False
    return True


@dataclass(slots=True)
class Unread:
    """The text that was refused as not available, and so not read: what it names is not judged.

    `words` are those of each section, `holding` the declarations that have such text inside.
    """

    words: dict[str, set[str]] = field(default_factory=dict)
    holding: set[tuple[str, str]] = field(default_factory=set)

    def mentions(self, name: str, *sections: str) -> bool:
        """Whether text that was not read names it, in these sections or in any."""
        return any(name in self.words.get(section, ()) for section in sections or self.words)


def unread_of(root: MapNode, problems: Iterable[Diagnostic]) -> Unread:
    """What of a document was not read."""
    unread = Unread()
    places = [d.span for d in problems if d.code in NOT_AVAILABLE]
    for section in root if places else ():
        if section.key in LATER:
            unread.words[section.key] = set(_words(section.node))
        for entry in section.node if isinstance(section.node, MapNode) else ():
            first, last = _extent(entry)
            if any(place.source is first.source and first.start <= place.start < last for place in places):
                unread.words.setdefault(section.key, set()).update(_words(entry.node))
                unread.holding.add((section.key, entry.key))
    return unread


class Survey(NamedTuple):
    """An application whose declarations are right, on which the warnings are founded."""

    b: Building
    root: MapNode
    reactions: list[Reaction]
    topology: Topology
    unread: Unread
    problems: Problems

    def place(self, kind: str, name: str, *path: str) -> Span:
        """The place of a key in a declaration, or of the last part of the path that is there."""
        section = self.b.sections.get(kind)
        node: Node | None = section.node if section is not None else None
        span = self.b.head
        for part in (name, *path):
            entry = node.entries.get(part) if isinstance(node, MapNode) else None
            if entry is None:
                break
            node, span = entry.node, entry.key_span
        return span

    def value(self, kind: str, name: str, *path: str) -> Node | None:
        """The value at a path in a declaration, or None."""
        section = self.b.sections.get(kind)
        node: Node | None = section.node if section is not None else None
        for part in (name, *path):
            node = node.get(part) if isinstance(node, MapNode) else None
        return node


def _words(node: Node) -> Iterator[str]:
    """The words of all keys and texts in a value."""
    if isinstance(node, MapNode):
        for entry in node:
            yield from _WORD.findall(entry.key)
            yield from _words(entry.node)
    elif isinstance(node, ListNode):
        for item in node:
            yield from _words(item)
    elif isinstance(node.value, str):
        yield from _WORD.findall(node.value)


def _extent(entry: Entry) -> tuple[Span, int]:
    """Where a declaration begins, and the offset of its end."""

    def end(node: Node) -> int:
        inner: list[int] = []
        if isinstance(node, MapNode):
            inner = [end(entry.node) for entry in node]
        elif isinstance(node, ListNode):
            inner = [end(item) for item in node]
        return max([node.span.end, *inner])

    return entry.key_span, end(entry.node)
