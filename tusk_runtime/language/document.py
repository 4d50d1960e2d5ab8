"""A Document: plain values, and the place of every one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from tusk_runtime.language.source import Span

UNRESOLVED = "unresolved"
"""The origin of the null that stands where a value could not be resolved, which is told already."""

Scalar = None | bool | int | Decimal | str


class ScalarNode(NamedTuple):
    """A single value.

    Numbers with a point or an exponent are exact Decimals. Durations, sizes and ranges stay text until
    a key that expects one reads them. `quoted` tells `"30"` from `30`. `offsets` maps the characters of a
    text to where they stand in the source: an int when they stand there one after another from that
    offset on, one offset per character (and one for the end) when escapes or indentation come between,
    None when the text was put together while loading. `secret` values are masked wherever they are shown.
    `origin` says where a value comes from that is not written at its place, such as `$name`.
    """

    value: Scalar
    span: Span
    quoted: bool = False
    offsets: int | Sequence[int] | None = None
    secret: bool = False
    origin: str = ""

    def at(self, start: int, end: int) -> Span:
        """The place in the source of the characters `start` to `end` of a text value."""
        if self.offsets is None:
            return self.span
        if isinstance(self.offsets, int):
            return Span(self.span.source, self.offsets + start, self.offsets + end)
        return Span(self.span.source, self.offsets[start], self.offsets[end])

    def plain(self) -> Any:
        """The bare value."""
        return self.value


def unresolved(span: Span) -> ScalarNode:
    """What stands where a value could not be resolved."""
    return ScalarNode(None, span, origin=UNRESOLVED)


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list of nodes."""

    items: tuple[Node, ...]
    span: Span

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)

    def plain(self) -> list[Any]:
        """The list of bare values."""
        return [item.plain() for item in self.items]


class Entry(NamedTuple):
    """A key of a map with the place of the key (the first, where a section is given twice) and its value."""

    key: str
    key_span: Span
    node: Node


@dataclass(slots=True)
class MapNode:
    """Keys and their nodes, in the order of the text. `span` is the head (`[name]`) or the whole object.

    `variables` are the definitions `$name: value` that stand among the keys: they are shown with them, and
    are none of them.
    """

    entries: dict[str, Entry]
    span: Span
    variables: dict[str, Entry] | None = None

    def get(self, key: str) -> Node | None:
        """The node under a key, or None."""
        entry = self.entries.get(key)
        return entry.node if entry else None

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)

    def plain(self) -> dict[str, Any]:
        """The map of bare values, with those of the variables."""
        return {entry.key: entry.node.plain() for entry in self.with_variables()}

    def with_variables(self) -> Iterator[Entry]:
        """The variables, then the keys."""
        if self.variables:
            yield from self.variables.values()
        yield from self.entries.values()


Node = ScalarNode | ListNode | MapNode


class Variable(NamedTuple):
    """One use of an environment variable: its place, and its default as it is written (None: it has none)."""

    name: str
    span: Span
    default: str | None
    secret: bool
    is_set: bool


@dataclass(frozen=True, slots=True)
class Document:
    """A file after loading: sections as nested maps, everything resolved.

    `files` are the absolute paths that were read, in order, with the digests of what stood in them (empty
    where nothing could be read), so that they can be watched. `environment` are the uses of environment
    variables, in the order of the text.
    """

    root: MapNode
    files: Mapping[str, bytes] = field(default_factory=dict)
    environment: tuple[Variable, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The document as one tree of bare values: section → keys."""
        return self.root.plain()

    def locate(self, path: Sequence[str | int]) -> tuple[Span, int]:
        """The place of a path of keys and indexes, and how many of its parts were found.

        The place is that of the last part found (the key of an entry, the whole item of a list), so a
        missing key points at the block that lacks it.
        """
        node: Node = self.root
        span = node.span
        for depth, part in enumerate(path):
            if isinstance(node, MapNode) and isinstance(part, str) and part in node:
                entry = node.entries[part]
                node, span = entry.node, entry.key_span
            elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
                span = node.span
            else:
                return span, depth
        return span, len(path)
