"""`[event_structure]`: the parts of every event, and what their types are."""

from __future__ import annotations

from typing import NamedTuple

from tusk_runtime.language.document import MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.codes import NOT_A_CHOICE, WRONG_ID
from tusk_runtime.model.context import Building
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, either, shape


class _Part(NamedTuple):
    """A part of the event: the types that it can have, and why it can have no other."""

    name: str
    types: tuple[str, ...]
    reason: str
    doc: str


_IDS = ("uuid", "string")
_PARTS = (
    _Part("event_id", _IDS, "the id of an event is a UUID, which is shown as text", "The id of an event."),
    _Part("event_type", ("string",), "an event is of the type that it is declared as", "Its name."),
    _Part(
        "aggregate_id",
        _IDS,
        "the id of an aggregate is kept as text",
        "The id of its aggregate. With `uuid` every aggregate has such an id, with `string` each has one "
        "of the type that its `id` says.",
    ),
    _Part("version", ("integer",), "it counts the events of an aggregate", "Its number in the aggregate."),
    _Part("timestamp", ("datetime",), "it is the time of the command, in UTC", "When it happened."),
    _Part("data", ("json",), "the types of its fields stand in [events]", "Its fields."),
    _Part("metadata", ("json",), "it is what `meta` holds", "Who caused it, and what."),
)
KEYS = (
    DESCRIPTION,
    *(Key(part.name, either(part.types), part.doc, required=True) for part in _PARTS),
)


def check(b: Building) -> None:
    """See that the parts are what they are, and that ids of aggregates are UUIDs where they have to be."""
    section = b.sections.get("event_structure")
    if section is None:
        return
    reader = Reader(section.node, KEYS, "[event_structure]", b.problems, section.head)
    found = {part.name: _type(reader, part) for part in _PARTS}
    if found["aggregate_id"] == "uuid":
        _check_ids(b, reader.value_span("aggregate_id"))


def _type(reader: Reader, part: _Part) -> str | None:
    node = reader.node_of(part.name)
    if node is None:
        return None
    value = node.value if isinstance(node, ScalarNode) else None
    if isinstance(value, str) and value in part.types:
        return value
    reader.problems.error(
        NOT_A_CHOICE,
        node.span,
        f"`{part.name}` in [event_structure] is {shape(node)}, and can only be {either(part.types)}: "
        f"{part.reason}",
        help=f'write `{part.name}: "{part.types[0]}"`',
    )
    return None


def _check_ids(b: Building, place: Span) -> None:
    """Note each aggregate whose id is of another type."""
    for name, aggregate in b.aggregates.items():
        if aggregate.id.kind == "uuid":
            continue
        b.problems.error(
            WRONG_ID,
            _id_span(b.sections["aggregates"].node.entries[name].node) or aggregate.span,
            f"the id of the aggregate `{name}` is of the type `{aggregate.id.kind}`, and [event_structure] "
            "says that all are UUIDs",
            help='write `id: "uuid"`, or `aggregate_id: "string"` in [event_structure]',
            related=[(place, "said here")],
        )


def _id_span(aggregate: Node) -> Span | None:
    entry = aggregate.entries.get("id") if isinstance(aggregate, MapNode) else None
    return entry.node.span if entry else None
