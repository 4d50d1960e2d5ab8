"""`[event_types]`: which events the runtime gives of its own accord."""

from __future__ import annotations

from collections.abc import Mapping

from tusk_runtime.language.source import Span
from tusk_runtime.model.application import EventType
from tusk_runtime.model.codes import NOT_YET, SAME_NAME
from tusk_runtime.model.context import Building
from tusk_runtime.model.own_events import AUDIT_EVENTS, AUDIT_STREAM, SYSTEM_EVENTS, SYSTEM_STREAM
from tusk_runtime.model.reader import DESCRIPTION, LATER_HELP, Key, Reader
from tusk_runtime.types import Record

FLAG = "`true` or `false`"
KEYS = (
    DESCRIPTION,
    Key("domain_events", FLAG, "The events that commands give; `true`."),
    Key("integration_events", FLAG, "Whether events leave the application; `true`."),
    Key(
        "system_events",
        FLAG,
        "Whether the runtime tells in the log what becomes of it, in a stream of its own for each start: "
        + ", ".join(f"`{name}`" for name in SYSTEM_EVENTS)
        + "; `false`.",
    ),
    Key(
        "audit_events",
        FLAG,
        "Whether it tells of every command what became of it, who sent it, and why it was refused, and who "
        "had dead letters handled again or dropped, in a stream of its own for each start: "
        + ", ".join(f"`{name}`" for name in AUDIT_EVENTS)
        + "; `false`.",
    ),
)


def read(b: Building) -> None:
    """Add the runtime's own events to `b.events`, which are read already."""
    section = b.sections.get("event_types")
    if section is None:
        return
    reader = Reader(section.node, KEYS, "[event_types]", b.problems, section.head)
    for key in ("domain_events", "integration_events"):
        if not reader.flag(key, default=True):
            b.problems.error(
                NOT_YET,
                reader.value_span(key),
                f"`{key}: false` in [event_types] is not available yet",
                help=LATER_HELP,
            )
    for key, events in (("system_events", SYSTEM_EVENTS), ("audit_events", AUDIT_EVENTS)):
        if reader.flag(key):
            _add(b, events, reader.span_of(key))


def _add(b: Building, events: Mapping[str, tuple[str, Record]], span: Span) -> None:
    for name, (description, fields) in events.items():
        declared = b.events.get(name)
        if declared is not None and declared.declared:
            b.problems.error(
                SAME_NAME,
                declared.span,
                f"the event `{name}` is one of the runtime's own",
                help="give this one another name, or leave the runtime's out in [event_types]",
                related=[(span, "asked for here")],
            )
            continue
        category = declared.category if declared is not None else None
        b.events[name] = EventType(name, fields, category, description, span, own=True)


def check(b: Building) -> None:
    """See that no aggregate has the name of a stream of the runtime's own events."""
    for stream, first in ((AUDIT_STREAM, "CommandAccepted"), (SYSTEM_STREAM, "RuntimeStarted")):
        event, aggregate = b.events.get(first), b.aggregates.get(stream)
        if aggregate is not None and event is not None and event.own:
            b.problems.error(
                SAME_NAME,
                aggregate.span,
                f"`{stream}` is what the runtime calls the streams of its own events",
                help="give the aggregate another name, or leave the runtime's events out in [event_types]",
                related=[(event.span, "asked for here")],
            )
