"""Document → Application: every section read, everything cross-checked, all problems in one go."""

from __future__ import annotations

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Document
from tusk_runtime.model import checks, settings
from tusk_runtime.model.application import Application
from tusk_runtime.model.codes import NOTHING_DECLARED
from tusk_runtime.model.context import Building
from tusk_runtime.model.declarations import aggregates, commands, events, projections, queries, tests
from tusk_runtime.model.follow_ups import without_follow_ups
from tusk_runtime.model.named_types import NamedTypes
from tusk_runtime.model.sections import find_sections


def build(document: Document, file: str, problems: Problems | None = None) -> Application:
    """The application that a document declares; `file` names it where `[runtime]` does not.

    Raises InvalidConfiguration with everything that is wrong, also what `problems` holds already.
    """
    problems = problems if problems is not None else Problems()
    found = Problems()
    sections = find_sections(document.root, found)
    if not sections and not found and not problems:
        source = document.root.span.source
        found.error(
            NOTHING_DECLARED,
            source.span(0, len(source.line(1))),
            "the file declares nothing",
            help="write a section, such as `[events]`; `tusk new` writes a file to begin with",
        )
    types = NamedTypes(sections["types"].node if "types" in sections else None, found)
    b = Building(document.root.span, sections, found, types)
    for name in types:
        _ = types[name]  # what is wrong with a type is told even if nothing uses it
    events.read(b)
    heads = aggregates.read(b)
    commands.read(b)
    # Which events can be an aggregate's first decides what their handlers can see of the state.
    aggregates.read_handlers(b, heads)
    projections.read(b)
    queries.read(b)
    cases = tests.read(b)
    what = settings.read(b, file)
    checks.check(b)
    problems.extend(without_follow_ups(found, problems, document.root))
    problems.raise_if_errors()
    checks.check_use(b, problems)
    return Application(
        what,
        dict(types),
        b.events,
        b.aggregates,
        b.commands,
        b.projections,
        b.queries,
        cases,
        document,
        tuple(problems.sorted()),
    )
