"""Compares what is stored with what is declared: every stored version of an event must be readable."""

from __future__ import annotations

from collections.abc import Sequence

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.model.application import Application
from tusk_runtime.model.stored_versions import tell_no_path
from tusk_runtime.store.protocol import EventStore


async def without_path(application: Application, events: EventStore) -> Sequence[Diagnostic]:
    """What is stored and cannot be read as the declared version; nothing where all is well.

    It reads the names of types only, unless something may be wrong.
    """
    problems = Problems()
    for stored in sorted(await events.types()):
        event = application.stored.without_path(stored)
        if event is None:
            continue
        first = await events.read(limit=1, types=[stored])
        if first:  # else it is the name of something else
            tell_no_path(problems, event, stored, await events.count(0, [stored]), first[0].position)
    return problems.sorted()


async def check_stored_versions(application: Application, events: EventStore) -> None:
    """Raises InvalidConfiguration for what is stored and cannot be read as the declared version."""
    found = await without_path(application, events)
    if found:
        raise InvalidConfiguration(found)
