"""`[events.*]` and `[event_categories]`: what can happen."""

from __future__ import annotations

from tusk_runtime.language.document import Entry, MapNode, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import EventType
from tusk_runtime.model.codes import CATEGORY_UNDECLARED, OLDER_NAME, SAME_NAME
from tusk_runtime.model.context import Building
from tusk_runtime.model.named_types import read_fields
from tusk_runtime.model.names import check_name
from tusk_runtime.model.own_events import SWITCHES
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.types import Record, erasable, lasting
from tusk_runtime.types import codes as type_codes

STEP_KEYS = (
    DESCRIPTION,
    Key("set", "map of fields", "Fields that are computed from `data`, the fields as they were, as json."),
    Key("rename", "old name → new name", "Fields that have another name."),
    Key("remove", "names", "Fields that are no more."),
    Key("add", "map of fields", "Fields that are new, with what older events have there."),
)
"""The keys of one step of an upcast."""

KEYS = (
    DESCRIPTION,
    Key("fields", "map of types", "The fields of the event's data."),
    Key("category", "name", "The category of the event, as a line in `[event_categories]`."),
    Key("kind", "`domain` or `integration`", "An integration event is a contract with others.", later=True),
    Key(
        "publish",
        "`true` or `false`",
        "`false` keeps the event inside, though its category is published; `true`.",
    ),
    Key("subject", "expression", "Whose personal data the event holds.", later=True),
    Key(
        "version",
        "number",
        "The version of the fields, from 1; a change that older events do not fit raises it.",
    ),
    Key(
        "upcast",
        "version → step",
        "What leads from a version to the next: `1: { … }` from version 1 to 2. `{}` changes nothing.",
        keys=STEP_KEYS,
    ),
    Key("was", "name", "An older name of the event, under which some are stored."),
)
HINT = "the fields of an event stand in `fields: { … }`"
MOST_VERSIONS = 1000
RESERVED = frozenset({"aggregate_id"})
"""What stands beside the fields, and so is no field."""


def read(b: Building) -> dict[str, Reader]:
    """Read all events into `b.events`, their `upcast` left to `upcasts`. Gives the readers by name."""
    readers: dict[str, Reader] = {}
    categories = _categories(b)
    older: dict[str, Span] = {}
    for entry, node in b.declarations("events"):
        reader = Reader(node, KEYS, f"the event `{entry.key}`", b.problems, entry.key_span, HINT)
        readers[entry.key] = reader
        record = read_fields(reader, "fields", entry.key, b.types, reserved=RESERVED)
        _check_erasable(b, reader, record)
        category, span = categories.pop(entry.key, ("", entry.key_span))
        own = reader.text("category")
        if own and category and own != category:
            _two_categories(b, entry.key, (own, reader.value_span("category")), (category, span))
        b.events[entry.key] = EventType(
            entry.key,
            record,
            own or category or None,
            reader.text("description"),
            entry.key_span,
            version=_version(b, reader, entry.key),
            was=_older_name(b, reader, older),
            publish=reader.flag("publish", default=True),
        )
    declared = list(b.events)
    for name, span in older.items():
        if name in b.events:
            b.problems.error(
                OLDER_NAME,
                span,
                f"`was: {name}` is the name of an event that is declared",
                help="name what this event was called once; an event that is still written keeps its name",
                related=[(b.events[name].span, "the event")],
            )
    for name, (category, span) in categories.items():
        if ("events", name) in b.broken:
            continue
        if name in SWITCHES:  # the runtime's own, if it is asked for them
            b.events[name] = EventType(name, Record(name, {}), category, "", span, declared=False)
            continue
        guess = b.guess(name, declared)
        b.problems.warning(
            CATEGORY_UNDECLARED,
            span,
            f"the event `{name}` of the category `{category}` is not declared: its data is taken as json",
            help=f"did you mean `{guess}`?" if guess else f"declare it: `[events.{name}]`",
        )
        b.events[name] = EventType(name, Record(name, {}), category, "", span, declared=False)
    return readers


def _version(b: Building, reader: Reader, event: str) -> int:
    before = len(b.problems)
    version = reader.integer("version", 1, 1, MOST_VERSIONS)
    if len(b.problems) > before:
        b.broken.add(("versions", event))
    return version


def _older_name(b: Building, reader: Reader, older: dict[str, Span]) -> str | None:
    """The name in `was`; `older` gathers those of all events and where they stand."""
    name, span = reader.text("was"), reader.value_span("was")
    if not name:
        return None
    if not check_name(b.problems, Entry(name, span, MapNode({}, span)), "an event"):
        return None
    if name in older:
        b.problems.error(
            OLDER_NAME,
            span,
            f"`{name}` is the older name of two events",
            help="what is stored under a name is of one event: remove it from the other",
            related=[(older[name], "named first here")],
        )
        return None
    older[name] = span
    return name


def _check_erasable(b: Building, reader: Reader, record: Record) -> None:
    """After an erasure a personal text reads `[erased]`, and anything else is null."""
    node = reader.node_of("fields")
    for name, field in record.fields.items():
        found = lasting(field.type)
        if found is None or not isinstance(node, MapNode):
            continue
        part = f"`{found.path}` in `{name}`" if found.path else f"`{name}`"
        last = found.path.rpartition(".")[2] or name
        where = "at its declaration" if found.path else "here"
        b.problems.error(
            type_codes.ERASURE,
            node.entries[name].node.span,
            f"{part} of {reader.what} is personal data that could not be erased",
            label="neither text nor optional",
            help=f"after an erasure anything but a text is null, so write `?` {where}: "
            f'`{last}: "{erasable(found.type)}"`',
        )


def _categories(b: Building) -> dict[str, tuple[str, Span]]:
    """Event → its category and where that is said."""
    found: dict[str, tuple[str, Span]] = {}
    section = b.sections.get("event_categories")
    for entry in section.node if section is not None else ():
        if entry.key == DESCRIPTION.name:
            continue
        for item in items_of(entry.node):
            if not (isinstance(item, ScalarNode) and isinstance(item.value, str)):
                wrong_type(b.problems, item, f"the category `{entry.key}`", "a list of event names")
                continue
            before = found.setdefault(item.value, (entry.key, item.span))
            if before[0] != entry.key:
                _two_categories(b, item.value, (entry.key, item.span), before)
    return found


def _two_categories(b: Building, event: str, one: tuple[str, Span], other: tuple[str, Span]) -> None:
    b.problems.error(
        SAME_NAME,
        one[1],
        f"the event `{event}` is in two categories: `{one[0]}` and `{other[0]}`",
        help="an event is in one category only: remove it from the other",
        related=[(other[1], f"in `{other[0]}` here")],
    )
