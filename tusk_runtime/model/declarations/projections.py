"""`[projections.*]`: tables that follow the log."""

from __future__ import annotations

from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import Entry, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import EventType, Operation, Projection
from tusk_runtime.model.codes import NO_KEY, UNDECLARED_COLUMN
from tusk_runtime.model.context import Building, suggest
from tusk_runtime.model.declarations.operations import OPERATION_KEYS, Rows, read_operations
from tusk_runtime.model.definitions import definition_hash, event_definition
from tusk_runtime.model.named_types import BROKEN, NO_KEYS, is_open, read_fields
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.model.scopes import event_data
from tusk_runtime.types import ABSENT, JSON, STRING, Record, Type, holds_pii, personal

KEYS = (
    DESCRIPTION,
    Key("key", "column, or list of columns", "The columns that tell the rows apart.", required=True),
    Key("columns", "map of types", "The columns of a row.", required=True),
    Key("index", "columns, or lists of them", "Indexes for queries; a list in the list is one over several."),
    Key("mode", "`real_time`", "When events are applied."),
    Key(
        "on",
        "event → operations",
        'What each event does to the rows; `"*"` is every event.',
        keys=OPERATION_KEYS,
    ),
)
HINT = "the columns of a projection stand in `columns: { … }`"


def read(b: Building) -> None:
    """Read all projections into `b.projections`."""
    for entry, node in b.declarations("projections"):
        reader = Reader(node, KEYS, f"the projection `{entry.key}`", b.problems, entry.key_span, HINT)
        reader.choice("mode", "real_time", ["real_time"], ["batch", "inline"])
        columns = read_fields(reader, "columns", "row", b.types, what="column")
        key = _key(reader, columns) if "columns" in reader else ()
        if not key:
            b.broken.add(("projections", entry.key))
            continue
        ordered = {name: columns.fields[name] for name in (*key, *columns.fields)}
        columns = type(columns)("row", ordered)
        on = _on(b, Rows(b, reader.what, columns, key, {}), reader)
        plain = node.plain()
        plain.pop("description", None)
        events = [event_definition(b.events[name]) for name in sorted(on)]
        ids = sorted((a.name, repr(a.id)) for a in b.aggregates.values() if not on.keys().isdisjoint(a.on))
        b.projections[entry.key] = Projection(
            entry.key,
            key,
            columns,
            {name: None if field.default is ABSENT else field.default for name, field in ordered.items()},
            _indexes(reader, columns),
            on,
            definition_hash(plain, repr(columns), events, ids),
            reader.text("description"),
            entry.key_span,
        )


def _key(reader: Reader, columns: Record) -> tuple[str, ...]:
    names: list[str] = []
    for node in reader.texts("key", "a column, or a list of columns"):
        name = str(node.value)
        field = columns.fields.get(name)
        if field is None:
            _unknown_column(reader, name, node.span, columns)
            names.extend(guess for guess in [nearest(name, columns.fields)] if guess is not None)
            continue
        names.append(name)
        if field.type is BROKEN:
            continue  # told already
        if field.type.optional or (field.type.kind in NO_KEYS and field.default is ABSENT):
            what = "may be null" if field.type.optional else f"is of type {field.type}"
            reader.problems.error(
                NO_KEY,
                node.span,
                f"the column `{name}` {what}, and cannot be a key of {reader.what}",
                help=f'declare it as a plain type without `?`, such as `{name}: "string"`',
            )
    return tuple(dict.fromkeys(names))


def _indexes(reader: Reader, columns: Record) -> tuple[tuple[str, ...], ...]:
    node = reader.node_of("index")
    found = []
    for item in () if node is None else items_of(node):
        names = []
        for part in items_of(item):
            name = part.value if isinstance(part, ScalarNode) else None
            if isinstance(name, str) and name in columns.fields:
                names.append(name)
            elif isinstance(name, str):
                _unknown_column(reader, name, part.span, columns)
            else:
                wrong_type(reader.problems, part, f"`index` of {reader.what}", "columns, or lists of columns")
        if names:
            found.append(tuple(names))
    return tuple(found)


def _unknown_column(reader: Reader, name: str, span: Span, columns: Record) -> None:
    if is_open(columns):
        return
    reader.problems.error(
        UNDECLARED_COLUMN,
        span,
        f"{reader.what} has no column `{name}`",
        help=suggest(name, columns.fields, reader.what),
    )


def _on(b: Building, rows: Rows, reader: Reader) -> dict[str, tuple[Operation, ...]]:
    found: dict[str, tuple[Operation, ...]] = {}
    for entry in reader.map("on", "a map of events and what they do") or ():
        if entry.key == "*":
            # The data of an event of any type may be that of one which holds personal data.
            holds = any(holds_pii(Type("record", record=event.fields)) for event in b.events.values())
            data = personal(JSON) if holds else JSON
            operations = read_operations(rows, entry, data, id_of(b, "*"), raw=True)
            names = list(b.events)
        else:
            found_event: EventType | None = b.find("events", entry.key, entry.key_span)
            if found_event is None:
                continue
            name, declared = found_event.name, found_event.declared
            meant = Entry(name, entry.key_span, entry.node)
            data = event_data(found_event.fields, declared)
            operations = read_operations(rows, meant, data, id_of(b, name), raw=not declared)
            names = [name]
        for name in names:
            found[name] = (*found.get(name, ()), *operations)
    _check_one_aggregate(b, rows)
    return found


def _owners(b: Building, event: str) -> list[str]:
    """The aggregates that an event belongs to: those that apply it; any event is of any."""
    if event == "*":
        return list(b.aggregates)
    return b.appliers(event)


def id_of(b: Building, event: str) -> Type:
    """The type of `event.aggregate_id`: that of the aggregates that apply the event, else a string."""
    ids = [b.aggregates[name].id for name in _owners(b, event)]
    if not ids:
        return BROKEN  # no aggregate applies it, which is told where it is emitted
    return ids[0] if all(id_ == ids[0] for id_ in ids) else STRING


def _check_one_aggregate(b: Building, rows: Rows) -> None:
    """Operations without a named key belong to one aggregate type."""
    first: tuple[str, str] | None = None
    for event, span in rows.implicit.items():
        for owner in _owners(b, event):
            if first is None:
                first = event, owner
            elif owner != first[1] and event == first[0]:
                rows.b.problems.error(
                    NO_KEY,
                    span,
                    f"`{event}` in `on` of {rows.what} is of `{first[1]}` and of `{owner}`, so the id of "
                    "the event's aggregate does not say which row is meant",
                    help=f"name `{rows.key[0]}` in the map or in `where`",
                )
                return
            elif owner != first[1]:
                b.problems.error(
                    NO_KEY,
                    span,
                    f"the rows of {rows.what} are those of `{first[1]}`, and `{event}` belongs to `{owner}`",
                    help=f"say which row is meant: name `{rows.key[0]}` in the map or in `where`",
                    related=[(rows.implicit[first[0]], f"an event of `{first[1]}`")],
                )
                return
