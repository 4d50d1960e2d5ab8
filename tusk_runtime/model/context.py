"""What the readers of declarations share: the sections, the named types, and what was built so far."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tusk_runtime.language.diagnostics import Code, Problems, Severity, did_you_mean, known_here, nearest
from tusk_runtime.language.document import Entry, MapNode, ScalarNode
from tusk_runtime.language.parse import MOST_ERRORS
from tusk_runtime.language.source import Span
from tusk_runtime.model import codes
from tusk_runtime.model.application import Aggregate, Command, EventType, Projection, Query
from tusk_runtime.model.consuming import Consumer
from tusk_runtime.model.named_types import NamedTypes
from tusk_runtime.model.names import check_name
from tusk_runtime.model.own_events import SWITCHES
from tusk_runtime.model.reader import DESCRIPTION, wrong_type
from tusk_runtime.model.sections import Section


class Kind(NamedTuple):
    """A kind of declaration: what one is called, and the problem of naming one that is not there."""

    one: str
    unknown: Code


KINDS: Mapping[str, Kind] = {
    "events": Kind("event", codes.UNDECLARED_EVENT),
    "aggregates": Kind("aggregate", codes.UNDECLARED_AGGREGATE),
    "commands": Kind("command", codes.UNDECLARED_COMMAND),
    "projections": Kind("projection", codes.UNDECLARED_PROJECTION),
    "queries": Kind("query", codes.UNDECLARED_QUERY),
}


UNNAMED: Mapping[str, str] = {"consumers": "consumer", "tests": "test"}
"""The kinds of declarations that nothing names, and what one is called."""


class TooManyErrors(Exception):
    """So much is wrong that the rest is not looked at."""


class FirstProblems(Problems):
    """Problems up to a number of errors: the one that reaches it raises TooManyErrors.

    Those with a code in `uncounted` may be as many as there are. What is unknown is compared with all that is
    known, which takes too long for as many unknown names as a hostile file can hold.
    """

    def __init__(self, uncounted: Collection[str] = ()) -> None:
        super().__init__()
        self._uncounted = uncounted
        self._errors = 0

    def _add(self, code: Code, severity: Severity, *rest: Any) -> None:
        super()._add(code, severity, *rest)
        self._errors += severity == "error" and code.id not in self._uncounted
        if self._errors >= MOST_ERRORS:
            raise TooManyErrors


@dataclass(slots=True)
class Building:
    """An application that is being built: what is declared, and all problems found.

    `head` is the file's start.
    """

    head: Span
    sections: Mapping[str, Section]
    problems: Problems
    types: NamedTypes
    events: dict[str, EventType] = field(default_factory=dict)
    aggregates: dict[str, Aggregate] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    projections: dict[str, Projection] = field(default_factory=dict)
    queries: dict[str, Query] = field(default_factory=dict)
    consumers: dict[str, Consumer] = field(default_factory=dict)
    broken: set[tuple[str, str]] = field(default_factory=set)
    """Kind and name of what is declared but could not be read: naming it is no second error."""

    guesses: int = 0
    """How many unknown names were compared with the known ones so far."""

    handled: dict[str, set[str]] = field(default_factory=dict)
    """Aggregate → the events that its `on` names."""

    _appliers: dict[str, list[str]] | None = None

    def declarations(self, kind: str) -> Iterator[tuple[Entry, MapNode]]:
        """The declarations of a kind, `[kind.Name]` or nested in `[kind]`, that are maps with good names."""
        one = KINDS[kind].one if kind in KINDS else UNNAMED[kind]
        section = self.sections.get(kind)
        for entry in section.node if section is not None else ():
            node = entry.node
            if isinstance(node, ScalarNode) and node.value is None:
                node = MapNode({}, entry.key_span)
            if isinstance(node, MapNode):
                # The names of tests are only ever shown.
                if kind == "tests" or check_name(
                    self.problems, entry, f"{_a(one)} {one}", column=kind == "projections"
                ):
                    yield entry, node
                else:
                    self.broken.add((kind, entry.key))
            elif entry.key != DESCRIPTION.name:
                self.broken.add((kind, entry.key))
                wrong_type(self.problems, node, f"the {one} `{entry.key}`", "a map of its keys `{ … }`")

    def appliers(self, event: str) -> list[str]:
        """The aggregates that apply an event, once all handlers are read."""
        if self._appliers is None:
            self._appliers = {}
            for aggregate in self.aggregates:
                for handled in self.handled.get(aggregate, ()):
                    self._appliers.setdefault(handled, []).append(aggregate)
        return self._appliers.get(event, [])

    def guess(self, name: str, known: Iterable[str]) -> str | None:
        """The known name that was probably meant; only the first of very many unknown ones are compared."""
        self.guesses += 1
        return nearest(name, known) if self.guesses <= MOST_ERRORS else None

    def find(self, kind: str, name: str, span: Span) -> Any:
        """The declaration of a kind and name, or None with a problem noted.

        A misspelled name is told once and then taken for the one that was meant.
        """
        known: Mapping[str, Any] = getattr(self, kind)
        if name in known:
            return known[name]
        if (kind, name) in self.broken:
            return None
        one, code = KINDS[kind]
        candidates = [*known, *(broken for k, broken in self.broken if k == kind)]
        guess = self.guess(name, candidates)
        if kind == "events" and name in SWITCHES:
            advice = f"the runtime gives it where [event_types] says `{SWITCHES[name]}: true`"
            self.problems.error(code, span, f"the runtime does not give `{name}` here", help=advice)
            return None
        advice = f"declare it: `[{kind}.{name}]`"
        if guess is not None:
            advice = f"did you mean `{guess}`?"
        elif listed := known_here(candidates):
            advice = f"{listed}; or {advice}"
        self.problems.error(code, span, f"no {one} `{name}` is declared", help=advice)
        return known.get(guess) if guess is not None else None


def _a(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def suggest(word: str, known: Mapping[str, object] | list[str] | tuple[str, ...], owner: str) -> str:
    """What to write in place of a name that `owner` does not have."""
    names = list(known)
    if not names:
        return f"{owner} has none: declare it first, or remove this"
    return did_you_mean(word, names) or f"name one that {owner} has, such as `{names[0]}`"
