"""`[aggregates.*]`: state, and how events change it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from tusk_runtime.expressions import compile_value
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.model.application import Aggregate, Command, EventType, Fold, Unique
from tusk_runtime.model.codes import BAD_MACHINE, BAD_VALUE, STATE_NOT_SET, UNDECLARED_FIELD
from tusk_runtime.model.context import Building, suggest
from tusk_runtime.model.declarations.events import RESERVED
from tusk_runtime.model.definitions import definition_hash, event_definition
from tusk_runtime.model.named_types import BROKEN, NO_KEYS, is_open, read_fields
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.model.scopes import event_data, fold_scope, nullable, partial, record_type
from tusk_runtime.types import ABSENT, UUID, Field, Record, Type
from tusk_runtime.types import codes as type_codes

KEYS = (
    DESCRIPTION,
    Key("state", "map of types", "The fields of the state."),
    Key("on", "event → fields", "How each event changes the state; `{}`: not at all."),
    Key("machine", "field", "The state field, an enum, whose values `from` of the commands names."),
    Key("id", "type", "The type of the aggregate's id; `uuid` where nothing is said."),
    Key(
        "unique",
        "fields, or lists of them",
        "No two aggregates of the type hold the same values; a list in the list is one over several fields. "
        "Null is no value.",
    ),
    Key(
        "snapshot_every",
        "number",
        "A snapshot of the state every so many events, so that a long history need not be read again; 0 is "
        "none.",
    ),
)
HINT = "the fields of an aggregate stand in `state: { … }`"
ID_KINDS = ("uuid", "string", "integer", "enum", "email", "url", "date")
"""The kinds of types that ids have."""


class Head(NamedTuple):
    """An aggregate whose `on` is still to be read."""

    aggregate: Aggregate
    reader: Reader
    folds: dict[str, Fold]


def read(b: Building) -> list[Head]:
    """Read all aggregates into `b.aggregates`, their `on` left empty for `read_handlers`."""
    heads = []
    for entry, node in b.declarations("aggregates"):
        reader = Reader(node, KEYS, f"the aggregate `{entry.key}`", b.problems, entry.key_span, HINT)
        state = read_fields(reader, "state", entry.key, b.types, reserved=RESERVED)
        machine = _machine(b, reader, state)
        if machine is not None:
            type_ = state.fields[machine].type
            if state.fields[machine].default is ABSENT:
                first = Field(machine, type_, type_.values[0])
                state = type(state)(state.name, {**state.fields, machine: first})
        elif "machine" in reader:
            b.broken.add(("machines", entry.key))
        initial: dict[str, Any] = {
            name: None if field.default is ABSENT else field.default for name, field in state.fields.items()
        }
        folds: dict[str, Fold] = {}
        definition = _definition(b, reader, state)
        aggregate = Aggregate(
            entry.key,
            _id(b, reader),
            state,
            initial,
            folds,
            machine,
            _unique(reader, state, definition),
            reader.integer("snapshot_every", 0, 0, 1_000_000),
            definition,
            reader.text("description"),
            entry.key_span,
        )
        b.aggregates[entry.key] = aggregate
        b.handled[entry.key] = set()
        heads.append(Head(aggregate, reader, folds))
    return heads


def _id(b: Building, reader: Reader) -> Type:
    node = reader.node_of("id")
    if node is None:
        return UUID
    found = None
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        found = b.types.parse(node, b.problems)
        if found is None:
            return UUID
    if found is None or found.type.kind not in ID_KINDS or found.type.optional or found.default is not ABSENT:
        wrong_type(
            b.problems,
            node,
            f"`id` of {reader.what}",
            "a plain type in quotes",
            'write the type of the id, without `?` and default: `"uuid"`, `"string"` or `"integer"`',
        )
        return UUID
    if found.type.pii:
        b.problems.error(
            type_codes.ERASURE,
            node.span,
            f"the id of {reader.what} is personal data, and an id stands in every event and is never erased",
            help='take an id of its own, such as `id: "uuid"`, and keep this one in the state, marked `pii`',
        )
        return replace(found.type, pii=False)
    return found.type


def _machine(b: Building, reader: Reader, state: Record) -> str | None:
    name = reader.text("machine")
    if not name:
        return None
    if name not in state.fields:
        if is_open(state):
            return None
        guess = nearest(name, state.fields)
        b.problems.error(
            BAD_MACHINE,
            reader.value_span("machine"),
            f"{reader.what} has no state field `{name}`",
            help=f"did you mean `{guess}`?"
            if guess
            else f'declare it in `state`: `{name}: "enum(new, …) = new"`',
        )
        if guess is None:
            return None
        name = guess
    type_ = state.fields[name].type
    if type_ is BROKEN:
        return None
    if type_.kind != "enum" or type_.optional:
        b.problems.error(
            BAD_MACHINE,
            reader.value_span("machine"),
            f"the state field `{name}` is of type {type_}, and a machine needs an enum",
            help=f'declare it as `{name}: "enum(new, …) = new"`',
        )
        return None
    if type_.pii:
        b.problems.error(
            type_codes.ERASURE,
            reader.value_span("machine"),
            f"the state field `{name}` is personal data, and the state of a machine is told to whoever asks",
            help="take the mark off, or name another field",
        )
    return name


def _definition(b: Building, reader: Reader, state: Record) -> str:
    """The hash of all that decides what the state is."""
    said = {key: node.plain() for key in ("on", "machine") if (node := reader.node_of(key)) is not None}
    applied = said.get("on") or ()
    events = [event_definition(event) for name, event in sorted(b.events.items()) if name in applied]
    return definition_hash(said, repr(state), events)


def _unique(reader: Reader, state: Record, definition: str) -> tuple[Unique, ...]:
    node = reader.node_of("unique")
    found: dict[tuple[str, ...], None] = {}
    for item in () if node is None else items_of(node):
        names = [name for part in items_of(item) if (name := _unique_field(reader, state, part)) is not None]
        if names:
            found[tuple(dict.fromkeys(names))] = None
    return tuple(
        Unique(fields, bytes.fromhex(definition_hash("unique", definition, fields))) for fields in found
    )


def _unique_field(reader: Reader, state: Record, node: Node) -> str | None:
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        wrong_type(
            reader.problems, node, f"`unique` of {reader.what}", "fields of the state, or lists of them"
        )
        return None
    name = node.value
    field = state.fields.get(name)
    if field is None:
        if is_open(state):
            return None
        reader.problems.error(
            UNDECLARED_FIELD,
            node.span,
            f"{reader.what} has no state field `{name}`",
            help=suggest(name, state.fields, "the state"),
        )
        return nearest(name, state.fields)
    if field.type is not BROKEN and field.type.kind in NO_KEYS:
        reader.problems.error(
            BAD_VALUE,
            node.span,
            f"the state field `{name}` is of type {field.type}, and cannot be unique",
            help="name a field that holds one plain value, such as a text or a number",
        )
        return None
    return name


def read_handlers(b: Building, heads: list[Head]) -> None:
    """Read `on` of all aggregates; the commands, which say what can come first, are read already."""
    for head in heads:
        first = first_events(b, head.aggregate.name)
        on = head.reader.map("on", "a map of events and what they change")
        if on is None and "on" in head.reader:
            b.broken.add(("handlers", head.aggregate.name))
        for entry in on or ():
            event: EventType | None = b.find("events", entry.key, entry.key_span)
            b.handled[head.aggregate.name].add(event.name if event is not None else entry.key)
            _handler(b, head, entry, event, first)
        _check_first(b, head, first)


def first_events(b: Building, aggregate: str) -> dict[str, Command]:
    """The events that can be an aggregate's first, each with a command that gives it."""
    found: dict[str, Command] = {}
    for command in b.commands.values():
        if command.aggregate != aggregate or command.creates == "never":
            continue
        for emit in command.emit:
            found.setdefault(emit.event, command)
            if emit.when is None and emit.for_each is None:
                break
    return found


def _handler(
    b: Building, head: Head, entry: Entry, event: EventType | None, first: dict[str, Command]
) -> None:
    aggregate, what = head.aggregate, head.reader.what
    changes = entry.node
    if isinstance(changes, ScalarNode) and changes.value is None:
        changes = MapNode({}, changes.span)
    if not isinstance(changes, MapNode):
        wrong_type(
            b.problems, changes, f"`{entry.key}` in `on` of {what}", "a map of state fields, `{}` for none"
        )
        return
    known: dict[str, Entry] = {}
    fields = aggregate.state.fields
    for change in changes:
        name: str | None = change.key
        if change.key not in fields and is_open(aggregate.state):
            continue
        if change.key not in fields:
            b.problems.error(
                UNDECLARED_FIELD,
                change.key_span,
                f"{what} has no state field `{change.key}`",
                help=suggest(change.key, fields, "the state"),
            )
            name = nearest(change.key, [field for field in fields if field not in changes])
        if name is not None:
            known[name] = Entry(name, change.key_span, change.node)
    if event is None:
        return
    # What is not set yet is null while an event is applied that can be the first.
    visible = nullable(aggregate.state) if event.name in first else aggregate.state
    scope = fold_scope(event_data(event.fields, event.declared), visible, aggregate.id)
    expected = record_type(partial(aggregate.state, known))
    expression = compile_value(MapNode(known, changes.span), scope, b.problems, expected)
    if expression is not None:
        head.folds[event.name] = Fold(event.name, expression, frozenset(known))


def _check_first(b: Building, head: Head, first: dict[str, Command]) -> None:
    """Every event that can come first sets every state field that nothing else sets."""
    state = head.reader.node_of("state")
    for name, field in head.aggregate.state.fields.items():
        for event, command in first.items():
            fold = head.folds.get(event)
            if not field.required or fold is None or name in fold.fields:
                continue
            b.problems.error(
                STATE_NOT_SET,
                state.entries[name].key_span if isinstance(state, MapNode) else head.reader.head,
                f"`{event}` can be the first event of `{head.aggregate.name}`, and does not set `{name}`",
                help=f"set it in `on: {{ {event}: {{ {name}: … }} }}`, or declare it with `?` or a default",
                related=[(command.span, f"`{command.name}` may create the aggregate")],
            )
            break
