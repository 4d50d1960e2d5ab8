"""What is told of stored events that the declaration cannot read."""

from __future__ import annotations

from tusk_runtime.events import split_type
from tusk_runtime.language.diagnostics import Problems, define
from tusk_runtime.model.application import EventType

NO_PATH = define(
    "TSK500",
    "stored events that the declaration cannot read",
    "The store holds events of a version from which no steps of `upcast` lead to the declared one, or of one "
    "above it. Nothing that is stored ever changes, so that the declaration has to say how it is read. An "
    "edit is refused, and the application that runs goes on.",
)


def tell_no_path(problems: Problems, event: EventType, stored: str, events: int, first: int) -> None:
    """Note that so many events are stored under a type that cannot be read, the first one at a position."""
    version = split_type(stored)[1]
    what = (
        f"`{stored}` at position {first}"
        if events == 1
        else f"{events:,} `{stored}`, from position {first} on"
    )
    if version > event.version:
        message = (
            f"the store holds {what}: version {version}, and `{event.name}` is declared in {event.version}"
        )
        advice = (
            f"declare `version: {version}` with its fields; to go back to older fields, declare them as "
            f"version {version + 1}, with a step {version} of `upcast` that leads there"
        )
    else:
        gap = event.oldest - 1
        message = (
            f"the store holds {what}: version {version}, and nothing leads from {gap} to {gap + 1}; "
            f"`{event.name}` is declared in {event.version}"
        )
        advice = (
            f"say in step {gap} what became of the fields: `upcast: {{ {gap}: {{ … }} }}`, "
            f"`{gap}: {{}}` if older events fit as they are"
        )
    problems.error(NO_PATH, event.span, message, help=advice)
