"""What a store promises: the event log with its ledger of commands, and the tables of read models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from tusk_runtime.events import StoredEvent
from tusk_runtime.store.deliveries import Deliveries


class NewEvent(NamedTuple):
    """An event to be written. `data` is its JSON text in UTF-8."""

    type: str
    data: bytes


class Reservation(NamedTuple):
    """A value that one aggregate of its type holds alone.

    `definition` says which promise this is (`Unique` of the model), `digest` is one of 16 bytes over the
    value: what is held may be personal, and outlives an erasure.
    """

    definition: bytes
    digest: bytes


@dataclass(slots=True)
class Decision:
    """What became of one command: its events, or the refusal, and what the ledger keeps of it.

    `expected_version` is the version of the aggregate that the command was decided on (0: it does not exist).
    `fingerprint` is an unsigned 64-bit number over the command's name and fields, so that another command
    under the same id is noticed. `timestamp` is in microseconds since 1970 UTC. `correlation_id` is None
    where it equals `command_id`. `metadata` and `refusal` are JSON texts in UTF-8; `refusal` is None for a
    command that was accepted, and then `events` may still be empty ("accepted, nothing to do").
    `releases` are values that the aggregate holds no longer, `reserves` those that it holds from now on.
    """

    command_id: bytes
    fingerprint: int
    aggregate_type: str
    aggregate_id: str
    expected_version: int
    timestamp: int
    metadata: bytes
    events: Sequence[NewEvent] = ()
    correlation_id: bytes | None = None
    refusal: bytes | None = None
    reserves: Sequence[Reservation] = ()
    releases: Sequence[Reservation] = ()


class Recorded(NamedTuple):
    """A row of the ledger: the first answer to a command.

    `version` is the aggregate's after the command, `position` that of the command's last event, or, if it
    had none, of the log's head when it was decided; `count` the number of its events.
    """

    command_id: bytes
    fingerprint: int
    aggregate_type: str
    aggregate_id: str
    version: int
    position: int
    count: int  # type: ignore[assignment]  # a tuple's method, which nobody misses
    refusal: bytes | None

    @property
    def place(self) -> tuple[int, bool, bytes]:
        """What orders the ledger: the position, and at one the command that wrote it before those without
        events, and those by their ids."""
        return self.position, self.count == 0, self.command_id


def place_behind(row: Recorded | None) -> tuple[int, bytes]:
    """The position behind which commands with events follow on a row of the ledger (None: the beginning), and
    with it the id behind which those without follow."""
    if row is None:
        return -1, b""
    return row.position, b"" if row.count else row.command_id


class StreamId(NamedTuple):
    """An aggregate: its type and its id."""

    aggregate_type: str
    aggregate_id: str


class Snapshot(NamedTuple):
    """The state of an aggregate at a version, encoded, and the hash of the definition that folded it."""

    stream: StreamId
    definition: bytes
    version: int
    state: bytes


Held = Mapping[bytes, Mapping[bytes, str]]
"""Definition → digest of a value → the id of the aggregate that holds it."""
NOWHERE: Mapping[StreamId, int] = {}
"""From the first version on."""
Fill = Callable[[Collection[bytes]], Awaitable[Held]]
"""Gives what is held under some definitions."""


class EventStore(Protocol):
    """The log of all events, in one global order, with the ledger of commands.

    Positions become visible in order: whoever has read up to a position never finds a smaller one later.
    Methods raise StoreUnavailable when the store cannot be read or written (nothing was written then), and
    OutcomeUnknown when a commit may or may not have happened.
    """

    async def append(self, batch: Sequence[Decision], *, in_order: bool = False) -> Sequence[Recorded]:
        """Write all decisions, their events and their ledger rows, in one transaction, durably.

        Returns a ledger row for each, in order. Several decisions may be about one aggregate: each
        expects the version that the one before it leaves. Raises Conflict, and writes nothing, if an
        aggregate is not at its expected version or a command id is in the ledger already; Taken if a value
        that a decision reserves is held by another aggregate; Superseded if other promises are kept for a
        type of the batch than those that this store was last told to keep; with `in_order`, Earlier if the
        newest event of the log is of a later time than the decisions, which all have one.
        """
        ...

    def alone(self) -> AbstractAsyncContextManager[None]:
        """A time in which only this store appends: what is read within it is still so when it is written.

        For the rare case that others were first: they wait meanwhile, so it has to be short.
        """
        ...

    async def promises(self) -> Mapping[str, Collection[bytes]]:
        """The promises that are kept, by the type of aggregates that each is about."""
        ...

    async def promise(self, wanted: Mapping[str, Collection[bytes]], fill: Fill) -> None:
        """Keep these promises for some types of aggregates from now on, and no others for them.

        `fill` is asked for the values that are held under the definitions that are new, while nobody else
        can append; the caller must not append before this returns. If it raises, nothing changes.
        """
        ...

    async def recorded(self, command_ids: Collection[bytes]) -> Mapping[bytes, Recorded]:
        """The ledger rows of those of the commands that have one."""
        ...

    async def ledger(self, after: Recorded | None = None, limit: int = 1000) -> Sequence[Recorded]:
        """At most `limit` rows of the ledger behind one, in the order of their places."""
        ...

    async def read_streams(
        self, streams: Collection[StreamId], after: Mapping[StreamId, int] = NOWHERE
    ) -> Mapping[StreamId, Sequence[StoredEvent]]:
        """All events of each of the aggregates, in order: those behind a version, where `after` names one.

        Each one that was asked for is in the answer, with no events if it does not exist.
        """
        ...

    async def snapshots(self, streams: Collection[StreamId]) -> Mapping[StreamId, Snapshot]:
        """The snapshots of those of the aggregates that have one, of whatever definition."""
        ...

    async def save_snapshots(self, snapshots: Collection[Snapshot]) -> None:
        """Keep snapshots of aggregates that exist, at most one for each: in the place of one of another
        definition, or of a smaller version. They are a cache, and may be lost with the power.
        """
        ...

    async def drop_snapshots(self, definition: bytes) -> None:
        """Forget all snapshots of a definition."""
        ...

    async def read_stream(
        self,
        stream: StreamId,
        *,
        after_version: int = 0,
        until_version: int | None = None,
        until: int | None = None,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events of one aggregate, in order, up to a version or a time (µs), both included."""
        ...

    async def read(
        self,
        after: int = 0,
        limit: int = 1000,
        *,
        types: Collection[str] | None = None,
        aggregate_id: str | None = None,
        correlation_id: bytes | None = None,
        backwards: bool = False,
    ) -> Sequence[StoredEvent]:
        """At most `limit` events behind a position, in the order of positions.

        `backwards` gives the newest ones first, and `after` then means "before" (0: from the head).
        """
        ...

    async def at(self, positions: Collection[int]) -> Sequence[StoredEvent]:
        """The events at these positions, in order; where there is none, none is given."""
        ...

    async def scan(
        self, after: int, limit: int, *, types: Sequence[str] | None, fields: Sequence[str]
    ) -> Sequence[tuple[Any, ...]]:
        """The cheap form of `read` for projections: at most `limit` events as bare tuples.

        Each tuple holds the position, then the index of the event's type in `types` (its name where
        `types` is None: all events), then the named fields of StoredEvent.
        """
        ...

    async def head(self) -> int:
        """The position of the newest event, 0 for an empty store."""
        ...

    async def types(self) -> Collection[str]:
        """Names among which are the types of all stored events.

        It is cheap: nothing of the log is read. So others may be among them, such as those of aggregates.
        """
        ...

    async def count(self, after: int, types: Collection[str] | None = None) -> int:
        """How many events stand behind a position."""
        ...

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Wait until the head is beyond a position, or for `timeout` seconds. Returns the head.

        Raises StoreUnavailable if the store is closed, also while waiting.
        """
        ...


class Column(NamedTuple):
    """A column of a read-model table. `kind` is a kind of `tusk_runtime.types` and decides how it is kept."""

    name: str
    kind: str
    optional: bool = False


@dataclass(frozen=True)
class TableSpec:
    """A read-model table: `name` is the physical name; keys and columns hold encoded values.

    Encoded values, by kind: texts, dates (ISO) and datetimes (ISO, UTC, with six digits of microseconds and
    `Z`) as text; decimals as text in a collation that orders them as numbers; integers and durations
    (microseconds) as integers; booleans as 0 and 1; numbers as floats; bytes as bytes; lists, maps,
    records and json as JSON text.
    """

    name: str
    columns: Sequence[Column]
    key: Sequence[str]
    indexes: Sequence[Sequence[str]] = field(default=())


Row = tuple[Any, ...]
"""A row in the order of the table's columns, values encoded."""


class Checkpoint(NamedTuple):
    """How far a reader of the log has come. `definition` is the hash of what it computes."""

    name: str
    definition: str
    position: int


Dialect = Literal["sqlite", "postgresql"]
"""The SQL that a database understands."""


class ReadModels(Protocol):
    """The tables that projections keep, with their checkpoints in the same transactions."""

    @property
    def dialect(self) -> Dialect:
        """The SQL that `select` understands; parameters are written `?` in each."""
        ...

    async def create(self, table: TableSpec, checkpoint: Checkpoint) -> int:
        """Make the table and its checkpoint (at `checkpoint.position`) unless they are there.

        Returns the position of the checkpoint that holds.
        """
        ...

    async def drop(self, table: str) -> None:
        """Remove a table and the checkpoint that it belongs to, if they are there."""
        ...

    async def tables(self) -> Mapping[str, Checkpoint]:
        """All read-model tables with their checkpoints."""
        ...

    async def fetch(self, table: TableSpec, keys: Sequence[Row]) -> Sequence[Row]:
        """The rows with these keys (values encoded, in the order of `table.key`), those that exist."""
        ...

    async def write(
        self,
        table: TableSpec,
        upserts: Sequence[Row],
        deletes: Sequence[Row],
        *,
        expected: int,
        position: int,
    ) -> None:
        """Remove keys, write rows, and move the checkpoint from `expected` to `position`, all or nothing.

        Raises Conflict, and writes nothing, if the checkpoint is not at `expected`: another writer is ahead.
        """
        ...

    async def select(self, sql: str, parameters: Sequence[Any], *, timeout: float) -> Sequence[Row]:
        """Run a read-only statement with positional parameters. Raises Unavailable past `timeout` seconds."""
        ...


class Migration(NamedTuple):
    """What brings, or brought, the store's own tables from the schema `found` to the present one.

    No `statements`: they have it already. `backup` is a copy of what was before, where one was made.
    """

    found: int
    statements: Sequence[str] = ()
    backup: str = ""


class Store(Protocol):
    """A database that is open: the log and the read models in one, so that both can share a transaction."""

    @property
    def events(self) -> EventStore:
        """The event log."""
        ...

    @property
    def read_models(self) -> ReadModels:
        """The tables of read models."""
        ...

    @property
    def deliveries(self) -> Deliveries:
        """The progress of consumers, and their dead letters."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes may have it open, with other declarations than ours."""
        ...

    @property
    def description(self) -> str:
        """What and where it is, for people, without secrets: `sqlite .tusk/shop.db`."""
        ...

    async def open(self, *, read_only: bool = False) -> None:
        """Connect, and make or check the schema. Raises StartFailed with what to do.

        With `read_only` nothing is made, and whatever would write raises StoreUnavailable: so it may be
        opened beside the process that runs the application. StartFailed also says that nothing is there yet.
        """
        ...

    async def migrate(self, *, apply: bool = True) -> Migration:
        """Bring the own tables of a store that is not open to the present schema, all or nothing.

        Without `apply` nothing is changed. Raises StartFailed with what to do.
        """
        ...

    async def close(self) -> None:
        """Finish what is being written, and let go of everything."""
        ...
