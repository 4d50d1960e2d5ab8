"""An Application: everything that one `.tsk` declares, checked and ready to be wired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from tusk_runtime.events import split_type, stored_type
from tusk_runtime.expressions import Expression
from tusk_runtime.language.diagnostics import Diagnostic
from tusk_runtime.language.document import Document, Node
from tusk_runtime.language.source import Span
from tusk_runtime.model.configuration import Settings
from tusk_runtime.model.consuming import Consumer
from tusk_runtime.types import Record, Type

Creates = Literal["always", "never", "either"]
Operator = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "between", "contains", "startswith", "is_null"
]
OPERATORS: tuple[Operator, ...] = (
    "eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "between", "contains", "startswith", "is_null",
)  # fmt: skip


class Upcast(NamedTuple):
    """What leads the data of an event from one version to the next, all of it JSON.

    `set` is computed from the data as it was. Then `rename` gives fields their new names, those of `remove`
    go, those of `add` come where they are absent, and at last what `set` gave is put in; null leaves out.
    """

    set: Mapping[str, Expression]
    rename: Mapping[str, str]
    remove: frozenset[str]
    add: Mapping[str, Any]


class EventType(NamedTuple):
    """A declared event. One that is only named in a category has `declared` False and json data.

    `version` is that of the fields, `was` an older name. `upcast` holds by version the step from there to the
    next one, and `reading` is a hash of all that decides how older ones are read, empty if there is nothing.
    `own` marks those that the runtime gives of its own accord. Without `publish` it stays inside, though its
    category may be published.
    """

    name: str
    fields: Record
    category: str | None
    description: str
    span: Span
    declared: bool = True
    version: int = 1
    was: str | None = None
    upcast: Mapping[int, Upcast] = MappingProxyType({})
    reading: str = ""
    own: bool = False
    publish: bool = True

    @property
    def stored_type(self) -> str:
        """The type under which it is written."""
        return stored_type(self.name, self.version)

    @property
    def oldest(self) -> int:
        """The oldest version from which steps lead to the declared one without a gap."""
        oldest = self.version
        while oldest - 1 in self.upcast:
            oldest -= 1
        return oldest


class Fold(NamedTuple):
    """What an event does to a state or a row: `changes` gives a dict of the fields that it names."""

    event: str
    changes: Expression
    fields: frozenset[str]


class Unique(NamedTuple):
    """State fields of which no two aggregates of a type hold the same values; null is no value.

    `definition` is the hash of these fields and of all that decides what the state is: the values that are
    held are known by it.
    """

    fields: tuple[str, ...]
    definition: bytes


class Aggregate(NamedTuple):
    """A declared aggregate. `initial` is the state before the first event, None where a field has no default.

    `machine` names the state field that `from` of the commands looks at, `initial_state` its first value.
    `definition` is the hash of all that decides what the state is. A snapshot is taken every so many events;
    0: none.
    """

    name: str
    id: Type
    state: Record
    initial: Mapping[str, Any]
    on: Mapping[str, Fold]
    machine: str | None
    unique: tuple[Unique, ...]
    snapshot_every: int
    definition: str
    description: str
    span: Span

    @property
    def initial_state(self) -> str | None:
        """The machine's state of an aggregate that does not exist."""
        return self.initial[self.machine] if self.machine else None


class Rule(NamedTuple):
    """A line of `require`: the condition that must hold, and what to say where it does not."""

    check: Expression
    message: Expression | str


class Emit(NamedTuple):
    """An event that a command gives: `data` once, or once for each element of `for_each`.

    `defaults` are those of the event's fields that `data` does not give.
    """

    event: str
    data: Expression
    defaults: Mapping[str, Any]
    when: Expression | None
    for_each: Expression | None
    span: Span


class Command(NamedTuple):
    """A declared command. `id` computes the aggregate's id where the declaration says how."""

    name: str
    aggregate: str
    fields: Record
    id: Expression | None
    from_states: tuple[str, ...]
    creates: Creates
    allow: Expression | None
    require: tuple[Rule, ...]
    emit: tuple[Emit, ...]
    internal: bool
    description: str
    span: Span

    @property
    def needs_aggregate_id(self) -> bool:
        """Whether the caller must say which aggregate is meant."""
        return self.id is None and self.creates == "never"

    @property
    def takes_aggregate_id(self) -> bool:
        """Whether the caller may say which aggregate is meant."""
        return self.id is None


class Condition(NamedTuple):
    """One condition of a `where`: a column, an operator, and the value that it is compared with.

    `value` gives a list for in, not_in and between, a boolean for is_null. `omit_if_null`: the condition is
    just one optional parameter, and falls away where that was not given.
    """

    column: str
    operator: Operator
    value: Expression
    omit_if_null: bool = False


class Operation(NamedTuple):
    """What a projection does on an event.

    `key` gives the dict of key columns (None: the rows of `where` are addressed); `where` holds the
    conditions beyond the key; `values` gives the dict of named columns that are not of the key. `raw`: the
    expressions see the event's data as stored json (`"*"` takes events of any type).
    """

    kind: Literal["insert", "upsert", "update", "delete"]
    key: Expression | None
    values: Expression | None
    where: tuple[Condition, ...]
    when: Expression | None
    for_each: Expression | None
    raw: bool
    span: Span


class Projection(NamedTuple):
    """A declared projection. `definition` is the hash of all that decides its rows; `table` derives from it.

    `columns` holds all columns, the key's first; `defaults` the row that is not there yet.
    """

    name: str
    key: tuple[str, ...]
    columns: Record
    defaults: Mapping[str, Any]
    indexes: tuple[tuple[str, ...], ...]
    on: Mapping[str, tuple[Operation, ...]]
    definition: str
    description: str
    span: Span

    @property
    def table(self) -> str:
        """The physical name: definitions live beside each other."""
        return f"{self.name[:40]}__{self.definition[:12]}"


class Search(NamedTuple):
    """Every word of `text` must be in one of the columns, in any case."""

    columns: tuple[str, ...]
    text: Expression


class Query(NamedTuple):
    """A declared query over a projection."""

    name: str
    params: Record
    projection: str
    where: tuple[Condition, ...]
    search: Search | None
    select: Mapping[str, Expression] | None
    columns: Record
    order_by: tuple[tuple[str, bool], ...]
    limit: int
    total: bool
    returns: Literal["many", "one", "scalar"]
    allow: Expression | None
    description: str
    span: Span


class Step(NamedTuple):
    """A line of a test's `when`: a command, an event, a message of the topic `name`, or time that passes."""

    kind: Literal["command", "event", "message", "after"]
    name: str
    fields: Node | None
    span: Span


class Expected(NamedTuple):
    """A line of a test's `then` that names something: an event, a state, a projection, a query; or what
    leaves the application, by its kind: `http`, `email`, `publish`, `call`."""

    name: str
    node: Node
    span: Span


class GivenAnswer(NamedTuple):
    """What an address answers in a test: a status, any JSON, and headers with names in small letters."""

    status: int
    json: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TestCase:
    """A declared test: given events, when something happens, then this must be so."""

    __test__ = False  # pytest: not a test class

    name: str
    given: tuple[Step, ...]
    when: tuple[Step, ...]
    events: tuple[Expected, ...] | None
    includes: tuple[Expected, ...]
    rejected: Node | None
    state: tuple[Expected, ...]
    rows: tuple[Expected, ...]
    query: tuple[Expected, ...]
    dead_letters: Expected | None
    calls: tuple[Expected, ...] | None
    answers: Mapping[str, tuple[GivenAnswer, ...]]
    now: int
    by: Mapping[str, Any] | None
    span: Span


class StoredType(NamedTuple):
    """What a type of stored events stands for: a declared event, in one of its versions."""

    event: EventType
    version: int


class StoredTypes:
    """What the types of stored events mean: the one place that knows of versions and older names."""

    def __init__(self, events: Mapping[str, EventType]) -> None:
        self._names = {event.was: event for event in events.values() if event.was is not None} | dict(events)
        self._of: dict[str, dict[str, int]] = {name: {} for name in events}
        self._known: dict[str, StoredType] = {}
        for name, event in self._names.items():
            for version in range(event.version, event.oldest - 1, -1):
                stored = stored_type(name, version)
                self._of[event.name][stored] = version
                self._known[stored] = StoredType(event, version)

    def get(self, stored: str) -> StoredType | None:
        """The declared event and the version, if it can be read as the declared one."""
        return self._known.get(stored)

    def of(self, event: str) -> Mapping[str, int]:
        """The types under which a declared event may be stored, and the version that each stands for."""
        return self._of[event]

    def shown(self, stored: str) -> tuple[str, int]:
        """The name and the version that people see; of what is declared no more, those that it had."""
        found = self._known.get(stored)
        if found is not None:
            return found.event.name, found.version
        name, version = split_type(stored)
        return (self._names[name].name if name in self._names else name), version

    def without_path(self, stored: str) -> EventType | None:
        """The declared event if this is a version of it that cannot become the declared one."""
        return None if stored in self._known else self._names.get(split_type(stored)[0])

    def renamed(self) -> dict[str, str]:
        """The types that are not the name of the event that they stand for, with that name."""
        return {stored: t.event.name for stored, t in self._known.items() if stored != t.event.name}


class Application(NamedTuple):
    """Everything that one file declares, by name, cross-checked. `warnings` did not stop the load."""

    settings: Settings
    types: Mapping[str, Type]
    events: Mapping[str, EventType]
    aggregates: Mapping[str, Aggregate]
    commands: Mapping[str, Command]
    projections: Mapping[str, Projection]
    queries: Mapping[str, Query]
    consumers: Mapping[str, Consumer]
    tests: Mapping[str, TestCase]
    document: Document
    stored: StoredTypes
    warnings: Sequence[Diagnostic] = ()

    def gives(self, event: str) -> bool:
        """Whether the runtime gives this event of its own accord."""
        found = self.events.get(event)
        return found is not None and found.own

    @property
    def name(self) -> str:
        """The application's name."""
        return self.settings.name

    @property
    def version(self) -> str:
        """The application's version, as the file says."""
        return self.settings.version
