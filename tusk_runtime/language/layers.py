"""A file's own content over that of the files that it imports: where names are looked up, and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Entry, MapNode, Node
from tusk_runtime.language.source import Source


@dataclass(eq=False, slots=True)
class Layer:
    """What one file says, resolved; `imports` are the layers below it, the nearest last.

    `variables` are those that the file defines, wherever they stand in it.
    """

    source: Source
    root: MapNode
    imports: tuple[Layer, ...] = ()
    variables: dict[str, Entry] = field(default_factory=dict)

    _below: tuple[Layer, ...] = ()

    def below(self) -> tuple[Layer, ...]:
        """Every layer that this one sees: itself, then each in front of those that it imports itself."""
        if not self._below:
            self._below = tuple(reversed(_in_order(self)))
        return self._below

    def variable(self, name: str) -> Entry | None:
        """The variable of this name that is seen from here."""
        for layer in self.below():
            entry = layer.variables.get(name)
            if entry is not None:
                return entry
        return None

    def find(self, path: Sequence[str]) -> Node | None:
        """The value under a path of keys that is seen from here."""
        for layer in self.below():
            node = descend(layer.root, path)
            if node is not None:
                return node
        return None


def descend(node: Node | None, path: Sequence[str]) -> Node | None:
    """The value under a path of keys in a node, or None."""
    for key in path:
        node = node.get(key) if isinstance(node, MapNode) else None
    return node


def merged(top: Layer, problems: Problems) -> MapNode:
    """The content of a layer over that of all layers below it.

    Maps are merged; any other value, lists too, replaces the one from a file that was imported. Two files
    that give the same key, neither of which imports the other, are told of.
    """
    if not top.imports:
        return top.root
    result = MapNode({}, top.root.span, {})
    for layer in reversed(top.below()):
        _overlay(result, layer.root, layer, problems)
    return result


def _in_order(top: Layer) -> list[Layer]:
    """Every layer once, each behind those that it imports."""
    order: list[Layer] = []
    done: set[int] = set()
    waiting: list[tuple[Layer, bool]] = [(top, False)]
    while waiting:
        layer, ready = waiting.pop()
        if ready:
            order.append(layer)
        elif id(layer) not in done:
            done.add(id(layer))
            waiting.append((layer, True))
            waiting.extend((below, False) for below in reversed(layer.imports))
    return order


def _overlay(target: MapNode, own: MapNode, layer: Layer, problems: Problems) -> None:
    if own.variables and target.variables is not None:
        target.variables.update(own.variables)
    for entry in own:
        before = target.entries.get(entry.key)
        node = entry.node
        if isinstance(node, MapNode):
            both = before is not None and isinstance(before.node, MapNode)
            copy = before.node if both and before is not None else MapNode({}, node.span, {})
            assert isinstance(copy, MapNode)  # noqa: S101 - for the type checker: `both` says so
            _overlay(copy, node, layer, problems)
            node = MapNode(copy.entries, node.span, copy.variables)
            if not both:
                _replaces(before, entry, layer, problems)
        else:
            _replaces(before, entry, layer, problems)
        target.entries[entry.key] = Entry(entry.key, entry.key_span, node)


def _replaces(before: Entry | None, entry: Entry, layer: Layer, problems: Problems) -> None:
    """Tell of a value that replaces one of a file that its own file does not import."""
    if before is None:
        return
    first = before.key_span.source
    if first is entry.key_span.source or any(below.source is first for below in layer.below()):
        return
    problems.error(
        codes.DUPLICATE_KEY,
        entry.key_span,
        f"`{entry.key}` is given by two imported files, {first.name} and {entry.key_span.file}",
        help="remove one of the two, or let one file import the other: its values then win",
        label="given again",
        related=[(before.key_span, "first given here")],
    )
