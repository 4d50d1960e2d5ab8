"""`emit` of a command: the events that it gives, and where their fields come from."""

from __future__ import annotations

from collections.abc import Iterator

from tusk_runtime.expressions import Place, Scope, compile_value
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.model.application import Emit, EventType
from tusk_runtime.model.codes import UNDECLARED_EVENT, UNKNOWN_KEY
from tusk_runtime.model.context import Building
from tusk_runtime.model.declarations.filling import Filled, Front, fill
from tusk_runtime.model.loops import AS, FOR_EACH, WHEN, read_condition, read_loop
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.types import ABSENT, JSON, Record

EMIT_KEYS = (
    DESCRIPTION,
    Key("event", "name", "The event.", required=True),
    Key("data", "map of fields", "Its fields; what is not named is filled from the command's."),
    WHEN,
    FOR_EACH,
    AS,
)


def read_emits(b: Building, command: Reader, scope: Scope, fields: Record) -> Iterator[Emit]:
    """The events of a command's `emit`, those that are right."""
    node = command.node_of("emit")
    for item in () if node is None else items_of(node):
        emit = _emit(b, item, scope, fields, command.what)
        if emit is not None:
            yield emit


def _emit(b: Building, node: Node, scope: Scope, command: Record, what: str) -> Emit | None:
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        node = MapNode({"event": Entry("event", node.span, node)}, node.span)
    if not isinstance(node, MapNode):
        wrong_type(
            b.problems, node, f"`emit` of {what}", 'an event\'s name, or `{ event: "Name", data: { … } }`'
        )
        return None
    names = [entry for entry in node if entry.key in b.events]
    if names and "event" not in node:
        name = names[0].key
        b.problems.error(
            UNKNOWN_KEY,
            names[0].key_span,
            f"`emit` of {what} names the event `{name}` as a key",
            help=f'write `{{ event: "{name}", data: {{ … }} }}`',
        )
        return None
    reader = Reader(node, EMIT_KEYS, f"`emit` of {what}", b.problems, node.span)
    text = reader.text("event")
    event: EventType | None = b.find("events", text, reader.value_span("event")) if text else None
    if event is None:
        return None
    if event.own:
        b.problems.error(
            UNDECLARED_EVENT,
            reader.value_span("event"),
            f"`{event.name}` is given by the runtime alone",
            help="emit an event of yours, and let the runtime tell of the command",
        )
        return None
    scope, for_each = read_loop(reader, scope)
    when = read_condition(reader, "when", scope)
    if ("for_each" in reader and for_each is None) or ("when" in reader and when is None):
        return None
    data_node = reader.map("data")
    span = reader.value_span("event")
    if event.declared:
        filled = Filled(event.fields, "event", event.name, event.span, "data")
        front = Front(command, what, "command", "command")
        data = fill(filled, data_node, front, scope, b.problems, span)
    else:
        place = Place(
            f"the event `{event.name}` has no declared fields, which could be marked",
            f"declare it: `[events.{event.name}]`",
        )
        data = compile_value(data_node or MapNode({}, span), scope, b.problems, JSON, place)
    if data is None:
        return None
    named = set(data_node.entries if data_node is not None else ()) | set(command.fields)
    defaults = {
        field.name: field.default
        for field in event.fields.fields.values()
        if field.name not in named and field.default is not ABSENT
    }
    return Emit(event.name, data, defaults, when, for_each, span)
