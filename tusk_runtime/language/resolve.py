"""From a syntax tree to a layer: sections merged, double keys found, operators and variables carried out."""

from __future__ import annotations

from collections.abc import Sequence

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Entry, MapNode
from tusk_runtime.language.layers import Layer
from tusk_runtime.language.scope import Scope
from tusk_runtime.language.source import Span
from tusk_runtime.language.surroundings import Surroundings
from tusk_runtime.language.syntax_tree import Section, SyntaxTree
from tusk_runtime.language.tokens import DEEPEST
from tusk_runtime.language.unseen import Unseen
from tusk_runtime.language.values import Values

IMPORT_KEY = "import"


def resolve(
    tree: SyntaxTree, surroundings: Surroundings, problems: Problems, imports: Sequence[Layer] = ()
) -> Layer:
    """Turn a syntax tree into a layer over those that it imports.

    What could not be resolved is null, with an error in `problems`.
    """
    root = MapNode({}, Span(tree.source, 0, 0))
    layer = Layer(tree.source, root, tuple(imports))
    values = Values(Scope(layer), surroundings, problems, Unseen(tree))
    values.fill(root, [pair for pair in tree.pairs if pair.key.text != IMPORT_KEY])
    for section in tree.sections:
        _section(values, root, section)
    return layer


def _section(values: Values, root: MapNode, section: Section) -> None:
    path = section.path
    if len(path) > DEEPEST:
        values.error(codes.TOO_DEEP, section.span, f"more than {DEEPEST} levels", "shorten the path")
        path = path[:1]
    target = root
    around = [root]
    for depth, name in enumerate(path):
        entry = target.entries.get(name.text)
        if entry is None:
            entry = Entry(name.text, name.span, MapNode({}, section.span))
            target.entries[name.text] = entry
        if not isinstance(entry.node, MapNode):
            place = ".".join(part.text for part in path[: depth + 1])
            values.error(
                codes.SECTION_CONFLICT,
                name.span,
                f"`{place}` is a value already, and cannot be a section",
                "rename the section or the key",
                related=[(entry.key_span, "given as a value here")],
            )
            # Its keys are checked all the same, in a map that nobody sees.
            target = MapNode({}, section.span)
            break
        target = entry.node
        around.append(target)
    values.scope.open = around[:-1] if target is around[-1] else around
    values.fill(target, section.pairs)
    values.scope.open = [root]
