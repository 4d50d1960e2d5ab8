"""Where the names in a file are looked up: variables and keys that stand above, or in imported files."""

from __future__ import annotations

from collections.abc import Sequence

from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import Entry, ListNode, MapNode, Node, ScalarNode
from tusk_runtime.language.layers import Layer, descend
from tusk_runtime.language.tokens import DEEPEST

MOST_VALUES = 100_000
LONGEST_TEXT = 8 * 1024 * 1024


class Scope:
    """The names that can be seen at one place of a file, while it is resolved from top to bottom.

    `open` are the maps that are being filled, the file itself first. `grown` counts the values, `written`
    the characters, that variables have brought in.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.open: list[MapNode] = [layer.root]
        self.grown = 0
        self.written = 0

    def find(self, path: Sequence[str]) -> Node | None:
        """The value of `$name.key` and `${name.key}`: of a variable, else of a key in one of the maps around,
        the nearest first, else of a path from the top of this file or of one that it imports."""
        entry = self.layer.variable(path[0])
        if entry is not None:
            return descend(entry.node, path[1:])
        for node in reversed(self.open):
            found = descend(node, path)
            if found is not None:
                return found
        return self.layer.find(path)

    def is_variable(self, name: str) -> bool:
        """Whether a variable of this name can be seen."""
        return self.layer.variable(name) is not None

    def define(self, target: MapNode, entry: Entry) -> None:
        """Take a `$name: value` of the map `target`. It is seen from here on, in all of the file."""
        if target.variables is None:
            target.variables = {}
        target.variables[entry.key] = entry
        self.layer.variables[entry.key[1:]] = entry

    def suggestion(self, path: Sequence[str]) -> str:
        """The name that was probably meant; empty if there is none."""
        around = self.find(path[:-1]) if len(path) > 1 else None
        if isinstance(around, MapNode):
            guess = nearest(path[-1], around.entries)
            return ".".join([*path[:-1], guess]) if guess else ""
        names = {name for layer in self.layer.below() for name in layer.variables}
        names.update(key for node in self.open for key in node.entries)
        guess = nearest(path[0], sorted(names))
        return ".".join([guess, *path[1:]]) if guess else ""

    def grow(self, node: Node) -> Node | None:
        """A copy of a value for one more place, where it can be merged into; None if it gets too much."""
        if isinstance(node, ScalarNode):
            return node
        if self.grown <= MOST_VALUES:
            self.grown += _size(node)
        return _copied(node) if self.grown <= MOST_VALUES else None


def _copied(node: Node) -> Node:
    """The same values in maps and lists of their own.

    Variables stay where they are defined: they are seen from everywhere, and a map that shared its
    definitions with a copy inside it would hold itself.
    """
    if isinstance(node, MapNode):
        entries = {e.key: Entry(e.key, e.key_span, _copied(e.node)) for e in node}
        return MapNode(entries, node.span)
    if isinstance(node, ListNode):
        return ListNode(tuple([_copied(item) for item in node]), node.span)
    return node


def _size(node: Node) -> int:
    """How many values a value holds; more than can be held if they stand too deep in each other."""
    count = 0
    level: list[Node] = [node]
    for _ in range(DEEPEST):
        count += len(level)
        inner: list[Node] = []
        for one in level:
            if isinstance(one, MapNode):
                inner.extend(entry.node for entry in one)
            elif isinstance(one, ListNode):
                inner.extend(one)
        if not inner:
            return count
        level = inner
    return MOST_VALUES + 1
