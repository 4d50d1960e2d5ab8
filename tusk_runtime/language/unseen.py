"""Says why a name cannot be seen: it stands below, it is part of a loop, or it is misspelt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tusk_runtime.language import codes
from tusk_runtime.language.document import MapNode, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.language.syntax_tree import (
    Call,
    Conditional,
    ListValue,
    MapValue,
    Member,
    Named,
    Operation,
    Pair,
    SyntaxTree,
    Value,
    Variable,
)

if TYPE_CHECKING:
    from tusk_runtime.language.values import Values

INTERPOLATED = re.compile(r"\$\{([^{}\n]*+)\}")
_MOST_LOOPS = 10_000
"""How many definitions are followed to find a loop."""


@dataclass(slots=True)
class Unseen:
    """Looks through a whole file for what was missed. `defining` is the key whose value is being resolved."""

    tree: SyntaxTree
    defining: Pair | None = None
    _definitions: dict[str, Pair] | None = None
    _told: set[str] = field(default_factory=set)  # the variables of loops

    def tell(self, values: Values, path: Sequence[str], span: Span, written: str) -> None:
        """Tell that nothing of the name `path`, written so at `span`, can be seen from there."""
        if values.full:
            return  # to find out why takes longer than to find that it is so
        name = path[0]
        text = ".".join(path)
        loop = self._loop(name)
        below = self._defined().get(name)
        if values.scope.find([name]) is not None:
            message = f"`${name}` has no `{'.'.join(path[1:])}`"
        elif loop:
            if not self._told.isdisjoint(loop):
                return  # one mistake, which is told where the loop is entered
            self._told.update(loop)
            chain = " → ".join(f"`${each}`" for each in loop)
            values.error(
                codes.VARIABLE_CYCLE,
                span,
                f"these values need each other: {chain}",
                "write one of them as it is",
                related=[(self._defined()[loop[1]].key.span, "defined here")] if len(loop) > 2 else (),
            )
            return
        elif below is not None:
            values.error(
                codes.VARIABLE,
                span,
                f"`{written}` is defined below, and not yet here",
                "move its definition above this line",
                related=[(below.key.span, "defined here")],
            )
            return
        else:
            message = f"nothing above is called `{text}`"
        values.error(codes.VARIABLE, span, message, _advice(values, path, written))

    def _defined(self) -> dict[str, Pair]:
        """The first definition of each variable of the file."""
        if self._definitions is None:
            self._definitions = {}
            pairs = [*self.tree.pairs, *(pair for section in self.tree.sections for pair in section.pairs)]
            for pair in _pairs(pairs):
                if pair.key.text.startswith("$"):
                    self._definitions.setdefault(pair.key.text[1:], pair)
        return self._definitions

    def _loop(self, name: str) -> list[str]:
        """The names on the way from the variable that is being defined over `name` back to it."""
        if self.defining is None or not self.defining.key.text.startswith("$"):
            return []
        start = self.defining.key.text[1:]
        came_from = {name: start}
        waiting = [name]
        while waiting and len(came_from) < _MOST_LOOPS:
            at = waiting.pop()
            if at == start:
                chain = [start]
                while len(chain) == 1 or chain[-1] != start:
                    chain.append(came_from[chain[-1]])
                return chain[::-1]
            pair = self._defined().get(at)
            for used in _uses(pair.value) if pair is not None else ():
                if used not in came_from:
                    came_from[used] = at
                    waiting.append(used)
        return []


def _advice(values: Values, path: Sequence[str], written: str) -> str:
    name = path[0]
    if name.isupper() and len(path) == 1:
        return f"a variable of the environment is `@env('{name}')`"
    base = values.scope.find(path[:-1]) if len(path) > 1 else None
    if base is not None and not isinstance(base, MapNode):
        return f"only a map has keys: use `${'.'.join(path[:-1])}` as it is"
    guess = values.scope.suggestion(path)
    if guess:
        return f"did you mean `{'${' + guess + '}' if written.startswith('${') else '$' + guess}`?"
    if written.startswith("${"):
        return f"define it above: `${name}: …`; in single quotes `{written}` is plain text"
    return f"define it above: `${name}: …`, or write the text in quotes"


def _pairs(pairs: Sequence[Pair]) -> Iterator[Pair]:
    for pair in pairs:
        yield pair
        if isinstance(pair.value, MapValue):
            yield from _pairs(pair.value.pairs)


def _uses(value: Value | Named) -> Iterator[str]:
    """The variables that a value uses."""
    match value:
        case Variable():
            yield value.path[0]
        case ScalarNode():
            if value.quoted and isinstance(value.value, str) and "${" in value.value:
                for match in INTERPOLATED.finditer(value.value):
                    yield match[1].partition(".")[0].strip()
        case ListValue():
            for item in value.items:
                yield from _uses(item)
        case MapValue():
            for pair in value.pairs:
                yield from _uses(pair.value)
        case Call() | Member():
            if isinstance(value, Member):
                yield from _uses(value.of)
            for argument in value.arguments or ():
                yield from _uses(argument)
        case Named():
            yield from _uses(value.value)
        case Operation():
            if value.left is not None:
                yield from _uses(value.left)
            yield from _uses(value.right)
        case Conditional():
            for part in (value.condition, value.yes, value.no):
                yield from _uses(part)
