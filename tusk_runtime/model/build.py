"""Document → Application: every section read, everything cross-checked, all problems in one go."""

from __future__ import annotations

from typing import NamedTuple

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.codes import TOO_MANY
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Document
from tusk_runtime.language.parse import MOST_ERRORS
from tusk_runtime.model import checks, event_structure, reactions, settings
from tusk_runtime.model.application import Application, StoredTypes, TestCase
from tusk_runtime.model.codes import NOTHING_DECLARED
from tusk_runtime.model.configuration import Settings
from tusk_runtime.model.context import Building, FirstProblems, TooManyErrors
from tusk_runtime.model.declarations import (
    aggregates,
    commands,
    consumers,
    events,
    own_events,
    projections,
    queries,
    tests,
    upcasts,
)
from tusk_runtime.model.follow_ups import without_follow_ups
from tusk_runtime.model.named_types import NamedTypes
from tusk_runtime.model.sections import find_sections
from tusk_runtime.model.survey import NOT_AVAILABLE, Survey, can_be_judged, only_not_available, unread_of
from tusk_runtime.model.topology import Topology, topology_of


def build(document: Document, file: str, problems: Problems | None = None) -> Application:
    """The application that a document declares; `file` names it where `[runtime]` does not.

    Raises InvalidConfiguration with everything that is wrong, also what `problems` holds already.
    """
    problems = problems if problems is not None else Problems()
    b, cases, what, _ = _read(document, file, problems)
    problems.raise_if_errors()
    return Application(
        what,
        dict(b.types),
        b.events,
        b.aggregates,
        b.commands,
        b.projections,
        b.queries,
        b.consumers,
        cases,
        document,
        StoredTypes(b.events),
        tuple(problems.sorted()),
    )


def outline(document: Document, problems: Problems) -> Topology:
    """The topology of what a document declares, also of what this version does not build yet.

    Raises InvalidConfiguration if anything else is wrong.
    """
    topology = _read(document, "", problems).topology
    if not only_not_available(problems):
        problems.raise_if_errors()
    return topology


class _Read(NamedTuple):
    """All that a document declares, as far as it is right."""

    b: Building
    tests: dict[str, TestCase]
    settings: Settings
    topology: Topology


def _read(document: Document, file: str, problems: Problems) -> _Read:
    """Read every section and note every problem; what they lack as a whole, where they are right."""
    found = FirstProblems(NOT_AVAILABLE)
    try:
        return _read_all(document, file, problems, found)
    except TooManyErrors:
        told = without_follow_ups(found, problems, document.root)
        problems.extend(told)
        if told:
            message = f"more than {MOST_ERRORS} errors; the rest was not checked"
            problems.error(TOO_MANY, told[-1].span, message, help="correct these first")
        raise InvalidConfiguration(problems.sorted()) from None


def _read_all(document: Document, file: str, problems: Problems, found: Problems) -> _Read:
    root = document.root
    sections = find_sections(root, found)
    if not sections and not found and not problems:
        source = root.span.source
        found.error(
            NOTHING_DECLARED,
            source.span(0, len(source.line(1))),
            "the file declares nothing",
            help="write a section, such as `[events]`; `tusk new` writes a file to begin with",
        )
    types = NamedTypes(sections["types"].node if "types" in sections else None, found)
    b = Building(root.span, sections, found, types)
    for name in types:
        _ = types[name]  # what is wrong with a type is told even if nothing uses it
    reactions.announce(b, root)
    readers = events.read(b)
    own_events.read(b)
    heads = aggregates.read(b)
    event_structure.check(b)
    commands.read(b)
    # Which events can be an aggregate's first decides what their handlers can see of the state.
    aggregates.read_handlers(b, heads)
    upcasts.read(b, readers)
    projections.read(b)
    queries.read(b)
    what = settings.read(b, file)
    consumers.read(b, what)
    cases = tests.read(b, what)
    reacting = reactions.read(b, root)
    checks.check(b)
    problems.extend(without_follow_ups(found, problems, root))
    topology = topology_of(b, reacting)
    if can_be_judged(root, problems):
        checks.check_use(Survey(b, root, reacting, topology, unread_of(root, problems), problems))
    return _Read(b, cases, what, topology)
