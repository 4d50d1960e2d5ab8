"""`emit` of a command: the events that it gives, and where their fields come from."""

from __future__ import annotations

from collections.abc import Iterator

from tusk_runtime.expressions import Expression, Place, Scope, compile_value
from tusk_runtime.expressions.codes import PERSONAL
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import Emit, EventType
from tusk_runtime.model.codes import NO_SOURCE, UNDECLARED_EVENT, UNDECLARED_FIELD, UNKNOWN_KEY
from tusk_runtime.model.context import Building, suggest
from tusk_runtime.model.loops import AS, FOR_EACH, WHEN, read_condition, read_loop
from tusk_runtime.model.named_types import is_open
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.model.scopes import partial, record_type
from tusk_runtime.types import ABSENT, JSON, TEXTS, Field, Record, assignable, exposed, personal

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
        data = _data(b, event, data_node, scope, command, what, span)
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


def _data(
    b: Building, event: EventType, node: MapNode | None, scope: Scope, command: Record, what: str, span: Span
) -> Expression | None:
    """The event's data: what is named, and what the command's fields of the same name fill."""
    fields = event.fields.fields
    before = len(b.problems)
    entries: dict[str, Entry] = {}
    for entry in node or ():
        name: str | None = entry.key
        if entry.key not in fields and is_open(event.fields):
            continue
        if entry.key not in fields:
            b.problems.error(
                UNDECLARED_FIELD,
                entry.key_span,
                f"the event `{event.name}` has no field `{entry.key}`",
                help=suggest(entry.key, fields, f"the event `{event.name}`"),
                related=[(event.span, "declared here")],
            )
            name = nearest(entry.key, [f for f in fields if node is not None and f not in node])
        if name is not None:
            entries[name] = Entry(name, entry.key_span, entry.node)
    for field in fields.values():
        if field.name in entries:
            continue
        source = command.fields.get(field.name)
        if source is None and field.required and not is_open(command):
            _no_source(b, event, field, command, what, span)
        elif source is not None and exposed(source.type, field.type) is not None:
            _not_marked(b, event, field, source, what, span)
        elif source is not None and assignable(source.type, field.type):
            filled = ScalarNode(f"{{{{ command.{field.name} }}}}", span, quoted=True)
            entries[field.name] = Entry(field.name, span, filled)
        elif source is not None:
            _no_fit(b, event, field, source, what, span)
    data = compile_value(
        MapNode(entries, node.span if node is not None else span),
        scope,
        b.problems,
        record_type(partial(event.fields, entries)),
    )
    return data if len(b.problems) == before else None


def _no_source(b: Building, event: EventType, field: Field, command: Record, what: str, span: Span) -> None:
    guess = nearest(field.name, command.fields)
    if guess is not None:
        advice = f'write `data: {{ {field.name}: "{{{{ command.{guess} }}}}" }}`, or give both the same name'
    else:
        declared = f'`{field.name}: "{field.type}"`'
        advice = f"write `data: {{ {field.name}: … }}`, or give the command the field {declared}"
    b.problems.error(
        NO_SOURCE,
        span,
        f"`{field.name}` of the event `{event.name}` has no source: `data` does not name it, and {what} "
        "has no field of that name",
        help=advice,
        related=[(event.span, "declared here")],
    )


def _not_marked(b: Building, event: EventType, field: Field, source: Field, what: str, span: Span) -> None:
    name = field.name
    part = exposed(source.type, field.type)
    if part is not None and part.path:
        problem = f"whose `{part.path}` is personal data, and in the event's it is not marked `pii`"
        advice = f"mark `{part.path.rpartition('.')[2]}` of `{part.record}`, too"
    else:
        problem = "which is personal data, and the event's is not marked `pii`"
        advice = f'mark it: `{name}: "{personal(field.type)}"`'
        if source.type.kind in TEXTS and field.type.kind == "string":
            advice += f', or give a part of it: `data: {{ {name}: "{{{{ mask(command.{name}) }}}}" }}`'
    b.problems.error(
        PERSONAL,
        span,
        f"`{name}` of the event `{event.name}` is filled from the field of {what}, {problem}",
        help=advice,
        related=[(event.span, "declared here")],
    )


def _no_fit(b: Building, event: EventType, field: Field, source: Field, what: str, span: Span) -> None:
    name = field.name
    if assignable(source.type.required(), field.type):
        problem = "may be null, and the event's may not"
        advice = f'write `data: {{ {name}: "{{{{ command.{name} ?? … }}}}" }}` with a value for that case'
    else:
        problem = f"is {source.type}, and the event's is {field.type}"
        advice = f'give both the same type, or write `data: {{ {name}: "{{{{ … }}}}" }}`'
    b.problems.error(
        NO_SOURCE,
        span,
        f"`{name}` of the event `{event.name}` is filled from the field of {what}, which {problem}",
        help=advice,
        related=[(event.span, "declared here")],
    )
