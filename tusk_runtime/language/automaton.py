"""Runs LALR tables over tokens that are fed bit by bit, so that a caller can recover from a mistake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeVar

from tusk_runtime.language.grammar import Rule, tables


class HasType(Protocol):
    """What the automaton needs to know of a token."""

    type: str


_Token = TypeVar("_Token", bound=HasType)

Build = Callable[[list[Any]], Any]
"""What a rule makes of its values."""


class Grammar(NamedTuple):
    """The tables of a grammar, and what its rules make."""

    rows: list[dict[str, int]]
    rules: list[tuple[int, Build, str]]
    """How many values, what is made of them, the rule's name."""
    start: int
    end: int


def grammar(name: str, builder: Callable[[str], Build]) -> Grammar:
    """The grammar of a file such as `tsk.lark`; `builder` gives for the name of a rule what it makes."""
    found = tables(name)
    rules = [(rule.size, _build(rule, builder), rule.origin) for rule in found.rules]
    return Grammar(found.rows, rules, found.start, found.end)


def _build(rule: Rule, builder: Callable[[str], Build]) -> Build:
    """What a rule makes of its values: what Lark makes of them when it parses by itself."""
    if rule.single and rule.size == 1 and not rule.inlined:
        return itemgetter(0)
    build = _themselves if rule.name.startswith("_") else builder(rule.name)
    return _inlining(build, rule) if rule.inlined else build


def _themselves(values: list[Any]) -> list[Any]:
    """What a rule such as `_arguments` makes: its values take its place in the rule around it."""
    return values


def _inlining(build: Build, rule: Rule) -> Build:
    inlined, single = frozenset(rule.inlined), rule.single

    def build_flat(values: list[Any]) -> Any:
        flat: list[Any] = []
        for index, value in enumerate(values):
            if index not in inlined:
                flat.append(value)
            elif flat:
                flat += value
            else:
                # Nobody else holds the list. To copy one that grows by one each time would be quadratic.
                flat = value
        return flat[0] if single and len(flat) == 1 else build(flat)

    return build_flat


class Automaton:
    """An LALR parser in the middle of a text.

    `values` are what was read and not yet put together: tokens, and what the rules made of them.
    `states` has one element more.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._rows, self._rules, start, self._end = grammar
        self.states = [start]
        self.values: list[Any] = []

    def feed(self, tokens: Sequence[HasType], start: int = 0) -> int:
        """Take tokens from the index `start` on, up to one that is unexpected, whose index is returned."""
        rows, rules, states, values = self._rows, self._rules, self.states, self.values
        row = rows[states[-1]]
        for index in range(start, len(tokens)):
            token = tokens[index]
            kind = token.type
            while True:
                action = row.get(kind)
                if action is None:
                    return index
                if action >= 0:
                    states.append(action)
                    values.append(token)
                    row = rows[action]
                    break
                size, build, rule = rules[~action]
                if size:
                    children = values[-size:]
                    del states[-size:]
                    del values[-size:]
                else:
                    children = []
                values.append(build(children))
                state = rows[states[-1]][rule]
                states.append(state)
                row = rows[state]
        return len(tokens)

    def finish(self, tokens: Sequence[_Token]) -> _Token | None:
        """Take the rest of the text, whose last token is of type `$END`.

        Returns the first token that is unexpected, else None: `values[0]` is what was read.
        """
        accepted = self.feed(tokens)
        return None if self.states[-1] == self._end else tokens[accepted]

    def expected(self) -> set[str]:
        """The types of tokens that may come next."""
        return {name for name in self._rows[self.states[-1]] if name.isupper()}

    def pop(self) -> None:
        """Forget what was read last."""
        self.states.pop()
        self.values.pop()

    def cut(self, count: int) -> None:
        """Forget all but the first `count` values."""
        del self.states[count + 1 :]
        del self.values[count:]
