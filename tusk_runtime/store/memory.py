"""The store in memory: everything of a durable store but the durability, and quick to make for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from heapq import nsmallest
from itertools import islice
from operator import attrgetter
from time import monotonic
from typing import Any

import apsw

from tusk_runtime.errors import Conflict, Earlier, StartFailed, StoreUnavailable, Superseded, Taken
from tusk_runtime.events import StoredEvent, event_id_of
from tusk_runtime.store import read_tables
from tusk_runtime.store.driver import register_decimals, translated
from tusk_runtime.store.memory_deliveries import MemoryDeliveries
from tusk_runtime.store.naming import SCHEMA_VERSION
from tusk_runtime.store.protocol import (
    NOWHERE,
    Checkpoint,
    Decision,
    Dialect,
    Fill,
    Migration,
    Recorded,
    Reservation,
    Row,
    Snapshot,
    StreamId,
    TableSpec,
)
from tusk_runtime.store.reservations import Changes, changes_of, differences
from tusk_runtime.store.waiting import Head

CREATE_CHECKPOINTS = (
    "CREATE TABLE tusk_checkpoints (table_name TEXT PRIMARY KEY, name TEXT NOT NULL, "
    "definition TEXT NOT NULL, position INTEGER NOT NULL) STRICT, WITHOUT ROWID"
)


class MemoryStore:
    """A store that forgets everything when it is closed."""

    shared = False

    def __init__(self) -> None:
        self.events = MemoryEvents()
        self.read_models = MemoryReadModels()
        self.deliveries = MemoryDeliveries()

    @property
    def description(self) -> str:
        """What it is."""
        return "memory"

    async def open(self, *, read_only: bool = False) -> None:
        """Do nothing: a store in memory is ready. Raises StartFailed where it should hold something."""
        if read_only:
            raise StartFailed(
                "a store in memory ends with its process: there is nothing to read",
                "keep the events: [event_store] backend: sqlite, or postgresql",
            )

    async def migrate(self, *, apply: bool = True) -> Migration:
        """Do nothing: nothing is older than the process."""
        return Migration(SCHEMA_VERSION)

    async def close(self) -> None:
        """Forget everything, and let nobody wait any longer."""
        self.events.close()
        self.read_models.close()
        self.deliveries.close()


class MemoryEvents:
    """The log as a list, with the positions of each aggregate; the contract is `EventStore`."""

    def __init__(self) -> None:
        self._log: list[StoredEvent] = []
        self._streams: dict[tuple[str, str], list[StoredEvent]] = {}
        self._ledger: dict[bytes, Recorded] = {}
        self._snapshots: dict[StreamId, Snapshot] = {}
        self._promises: dict[str, set[bytes]] = {}
        self._held: dict[Reservation, StreamId] = {}
        self._head = Head()
        self._closed = False

    def close(self) -> None:
        """Forget all events."""
        self._closed = True
        self._head.close()

    async def append(self, batch: Sequence[Decision], *, in_order: bool = False) -> Sequence[Recorded]:
        """Write all decisions, or none of them."""
        self._check_open()
        if in_order and batch and self._log and batch[0].timestamp < self._log[-1].timestamp:
            raise Earlier(self._log[-1].timestamp)
        events: list[StoredEvent] = []
        answers: dict[bytes, Recorded] = {}
        versions: dict[tuple[str, str], int] = {}
        position = self._head.position
        for decision in batch:
            command_id = decision.command_id
            if command_id in self._ledger or command_id in answers:
                raise Conflict("a command id of the batch is in the ledger already")
            aggregate_type, aggregate_id = key = decision.aggregate_type, decision.aggregate_id
            version = versions.get(key)
            if version is None:
                version = len(self._streams.get(key, ()))
            if version != decision.expected_version:
                raise Conflict(
                    f"{aggregate_type} {aggregate_id} is at version {version}, "
                    f"the decision expects {decision.expected_version}"
                )
            correlation_id = command_id if decision.correlation_id is None else decision.correlation_id
            for ordinal, event in enumerate(decision.events):
                position += 1
                version += 1
                events.append(
                    StoredEvent(
                        position,
                        event_id_of(command_id, ordinal),
                        event.type,
                        aggregate_type,
                        aggregate_id,
                        version,
                        decision.timestamp,
                        command_id,
                        correlation_id,
                        event.data,
                        decision.metadata,
                    )
                )
            versions[key] = version
            answers[command_id] = Recorded(
                command_id,
                decision.fingerprint,
                aggregate_type,
                aggregate_id,
                version,
                position,
                len(decision.events),
                decision.refusal,
            )
        self._reserve(changes_of(batch))
        self._log += events
        for stored in events:
            self._streams.setdefault((stored.aggregate_type, stored.aggregate_id), []).append(stored)
        self._ledger |= answers
        if events:
            self._head.advance(position)
        return list(answers.values())

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """A time in which only this store appends, as always."""
        yield

    def _reserve(self, changes: Changes | None) -> None:
        if changes is None:
            return
        if not changes.definitions <= set().union(*self._promises.values()):
            raise Superseded(changes.types)
        holders = {value: self._held[value] for value in changes.free if value in self._held}
        if holders:
            raise Taken(holders)
        for value in changes.gone:
            self._held.pop(value, None)
        self._held |= changes.held

    async def promises(self) -> Mapping[str, Collection[bytes]]:
        """The promises that are kept, by type of aggregates."""
        self._check_open()
        return {name: set(definitions) for name, definitions in self._promises.items() if definitions}

    async def promise(self, wanted: Mapping[str, Collection[bytes]], fill: Fill) -> None:
        """Keep these promises for some types of aggregates from now on, and no others for them."""
        self._check_open()
        gone, new = differences(wanted, self._promises)
        held = await fill(new) if new else {}
        for value in [value for value in self._held if value.definition in gone]:
            del self._held[value]
        for name, definitions in wanted.items():
            self._promises[name] = set(definitions)
            for definition in new.intersection(definitions):
                for digest, id_ in held[definition].items():
                    self._held[Reservation(definition, digest)] = StreamId(name, id_)

    async def recorded(self, command_ids: Collection[bytes]) -> Mapping[bytes, Recorded]:
        """The ledger rows of those of the commands that have one."""
        self._check_open()
        return {each: self._ledger[each] for each in command_ids if each in self._ledger}

    async def ledger(self, after: Recorded | None = None, limit: int = 1000) -> Sequence[Recorded]:
        """At most `limit` rows of the ledger behind one, in the order of their places."""
        self._check_open()
        rows = (row for row in self._ledger.values() if after is None or row.place > after.place)
        return nsmallest(limit, rows, key=attrgetter("place"))

    async def read_streams(
        self, streams: Collection[StreamId], after: Mapping[StreamId, int] = NOWHERE
    ) -> Mapping[StreamId, Sequence[StoredEvent]]:
        """All events of each of the aggregates, behind a version where one is named, in order."""
        self._check_open()
        return {each: self._streams.get((each[0], each[1]), [])[after.get(each, 0) :] for each in streams}

    async def snapshots(self, streams: Collection[StreamId]) -> Mapping[StreamId, Snapshot]:
        """The snapshots of those of the aggregates that have one."""
        self._check_open()
        return {each: self._snapshots[each] for each in streams if each in self._snapshots}

    async def save_snapshots(self, snapshots: Collection[Snapshot]) -> None:
        """Keep snapshots in the place of older ones."""
        self._check_open()
        for snapshot in snapshots:
            if snapshot.stream not in self._streams:
                continue
            before = self._snapshots.get(snapshot.stream)
            if (
                before is None
                or before.definition != snapshot.definition
                or before.version < snapshot.version
            ):
                self._snapshots[snapshot.stream] = snapshot

    async def drop_snapshots(self, definition: bytes) -> None:
        """Forget all snapshots of a definition."""
        self._check_open()
        kept = {each: found for each, found in self._snapshots.items() if found.definition != definition}
        self._snapshots = kept

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
        self._check_open()
        events: list[StoredEvent] = []
        for event in self._streams.get((stream[0], stream[1]), ()):
            if until is not None and event.timestamp > until:
                break
            if event.version > after_version and (until_version is None or event.version <= until_version):
                events.append(event)
        return events[:limit]

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
        """At most `limit` events behind a position (before it, if backwards)."""
        self._check_open()
        found = (
            event
            for event in self._from(after, backwards)
            if (types is None or event.type in types)
            and (aggregate_id is None or event.aggregate_id == aggregate_id)
            and (correlation_id is None or event.correlation_id == correlation_id)
        )
        return list(islice(found, limit))

    async def at(self, positions: Collection[int]) -> Sequence[StoredEvent]:
        """The events at these positions, in order."""
        self._check_open()
        return [self._log[at - 1] for at in sorted(set(positions)) if 0 < at <= len(self._log)]

    async def scan(
        self, after: int, limit: int, *, types: Sequence[str] | None, fields: Sequence[str]
    ) -> Sequence[tuple[Any, ...]]:
        """At most `limit` events behind a position as bare tuples."""
        self._check_open()
        named = [attrgetter(field) for field in fields]
        if types is None:
            return [
                (event.position, event.type, *(get(event) for get in named))
                for event in islice(self._from(after), limit)
            ]
        index = {name: number for number, name in reversed([*enumerate(types)])}
        wanted = (event for event in self._from(after) if event.type in index)
        return [
            (event.position, index[event.type], *(get(event) for get in named))
            for event in islice(wanted, limit)
        ]

    async def head(self) -> int:
        """The position of the newest event, 0 for an empty store."""
        return self._head.position

    async def types(self) -> Collection[str]:
        """Names among which are the types of all stored events."""
        self._check_open()
        return {event.type for event in self._log}

    async def count(self, after: int, types: Collection[str] | None = None) -> int:
        """How many events stand behind a position."""
        self._check_open()
        if types is None:
            return max(0, len(self._log) - max(0, after))
        return sum(event.type in types for event in self._from(after))

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Wait until the head is beyond a position, or for `timeout` seconds. Returns the head."""
        return await self._head.wait_beyond(position, timeout)

    def _from(self, after: int, backwards: bool = False) -> Iterator[StoredEvent]:
        # The event at position n is the list's item n - 1.
        if backwards:
            before = min(after, len(self._log) + 1) if after > 0 else len(self._log) + 1
            return (self._log[item] for item in range(before - 2, -1, -1))
        return islice(self._log, max(0, after), None)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")


class MemoryReadModels:
    """The tables of read models in a SQLite database of their own; the contract is `ReadModels`."""

    dialect: Dialect = "sqlite"

    def __init__(self) -> None:
        self._opened: apsw.Connection | None = None
        self._closed = False

    def close(self) -> None:
        """Forget all tables."""
        self._closed = True
        if self._opened is not None:
            self._opened.close(force=True)

    async def create(self, table: TableSpec, checkpoint: Checkpoint) -> int:
        """Make the table and its checkpoint unless they are there. Returns the checkpoint's position."""
        with _Translated():
            return read_tables.create(self._connection, table, checkpoint)

    async def drop(self, table: str) -> None:
        """Remove a table and its checkpoint, if they are there."""
        with _Translated():
            read_tables.drop(self._connection, table)

    async def tables(self) -> Mapping[str, Checkpoint]:
        """All read-model tables with their checkpoints."""
        with _Translated():
            return read_tables.tables(self._connection)

    async def fetch(self, table: TableSpec, keys: Sequence[Row]) -> Sequence[Row]:
        """The rows with these keys, those that exist."""
        with _Translated():
            return read_tables.fetch(self._connection, table, keys)

    async def write(
        self,
        table: TableSpec,
        upserts: Sequence[Row],
        deletes: Sequence[Row],
        *,
        expected: int,
        position: int,
    ) -> None:
        """Remove keys, write rows, and move the checkpoint, all or nothing."""
        with _Translated():
            read_tables.write(self._connection, table, upserts, deletes, expected, position)

    async def select(self, sql: str, parameters: Sequence[Any], *, timeout: float) -> Sequence[Row]:
        """Run a read-only statement. Raises Unavailable past `timeout` seconds."""
        connection = self._connection
        with _Translated():
            connection.pragma("query_only", True)
            try:
                return read_tables.select(connection, sql, parameters, monotonic() + timeout, timeout)
            finally:
                connection.pragma("query_only", False)

    @property
    def _connection(self) -> apsw.Connection:
        # Opened when first used: many a test has no read models.
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._opened is None:
            self._opened = apsw.Connection(":memory:")
            self._opened.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
            register_decimals(self._opened)
            self._opened.execute(CREATE_CHECKPOINTS)
        return self._opened


class _Translated:
    """Turns the driver's errors into the store's."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, apsw.Error):
            raise translated(error, "the store") from error
