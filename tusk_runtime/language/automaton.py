"""Runs Lark's LALR tables over tokens fed statement by statement, so that a caller can recover."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from tusk_runtime.language.grammar import document_parser

_Row = dict[str, Any]
"""By token or rule: the next state, or what to reduce first: how many values, their callback, their rule."""


class HasType(Protocol):
    """What the automaton needs to know of a token."""

    type: str


@cache
def _tables() -> tuple[dict[int, _Row], int]:
    """The rows by state, and the first state."""
    state = document_parser().parse_interactive().parser_state
    conf = state.parse_conf
    rows: dict[int, _Row] = {}
    for number, actions in conf.states.items():
        row = rows[number] = {}
        for name, (action, argument) in actions.items():
            if action.name == "Shift":
                row[str(name)] = argument
            else:
                row[str(name)] = len(argument.expansion), conf.callbacks[argument], str(argument.origin.name)
    return rows, conf.start_state


class Automaton:
    """An LALR parser in the middle of a text.

    `values` are what was read and not yet put together: tokens, and what the rules made of them.
    `states` has one element more.
    """

    def __init__(self) -> None:
        self._rows, start = _tables()
        self.states = [start]
        self.values: list[Any] = []

    def feed(self, tokens: Sequence[HasType], start: int = 0) -> int:
        """Take tokens from the index `start` on, up to one that is unexpected, whose index is returned."""
        rows, states, values = self._rows, self.states, self.values
        row = rows[states[-1]]
        for index in range(start, len(tokens)):
            token = tokens[index]
            kind = token.type
            while True:
                action = row.get(kind)
                if action.__class__ is int:
                    states.append(action)
                    values.append(token)
                    row = rows[action]
                    break
                if action is None:
                    return index
                size, build, rule = action
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

    def finish(self, end: HasType) -> Any:
        """Feed the end of the text, which must be expected. What the start rule made of everything."""
        self.feed([end])
        return self.values[0]

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
