"""The store in a SQLite file: for one process, durable, with nothing to install."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Concatenate, ParamSpec, TypeVar

import apsw

from tusk_runtime.errors import StartFailed, StoreUnavailable
from tusk_runtime.events import StoredEvent
from tusk_runtime.store import read_tables
from tusk_runtime.store.delivery_tables import TableDeliveries
from tusk_runtime.store.protocol import (
    NOWHERE,
    Checkpoint,
    Decision,
    Dialect,
    Fill,
    Held,
    Migration,
    Recorded,
    Row,
    Snapshot,
    StreamId,
    TableSpec,
)
from tusk_runtime.store.reservations import differences
from tusk_runtime.store.sqlite import snapshots
from tusk_runtime.store.sqlite.appending import Appender
from tusk_runtime.store.sqlite.files import (
    PAGES_BETWEEN_CHECKPOINTS,
    ProcessLock,
    check_readable,
    checkpoint,
    connect_reader,
    connect_writer,
    prepare,
)
from tusk_runtime.store.sqlite.lanes import Lane, hurry_switches
from tusk_runtime.store.sqlite.promises import promises
from tusk_runtime.store.sqlite.reading import Reader
from tusk_runtime.store.waiting import Head

__all__ = ["SqliteStore"]

T = TypeVar("T")
P = ParamSpec("P")

QUERY_THREADS = 2
LOG_THREADS = 2
POLL_SECONDS = 0.1
"""How often a store that another process writes to is asked for new events."""

SMALL_BATCH = 32
"""Decisions that may be written on the loop: with more, the loop has better things to do meanwhile."""
QUICK_SECONDS = 0.001
"""While transactions take longer than this, none is made on the loop: a slow disk must not stop it."""


class SqliteStore:
    """A log, its ledger and the read models in one SQLite database that one process has open at a time.

    One thread writes. Those who read have threads of their own, in lanes, so that a slow query of a user
    does not hold up the commands: one lane for what commands need, one for followers of the log, and one
    for the read models.
    """

    shared = False

    def __init__(self, path: Path | str) -> None:
        """Name a database; nothing is touched before `open`."""
        self._given = Path(path)
        self._path = self._given.resolve()
        self._lock = ProcessLock(self._path)
        self._head = Head()
        self._writer = _Writer(self._path, self._head)
        reader = partial(connect_reader, self._path)
        self._lanes = {
            "commands": Lane("commands", reader),
            "log": Lane("log", reader, LOG_THREADS),
            "queries": Lane("queries", reader, QUERY_THREADS),
        }
        self.events = SqliteEvents(self._writer, self._lanes["commands"], self._lanes["log"], self._head)
        self.read_models = SqliteReadModels(self._writer, self._lanes["queries"])
        self.deliveries = TableDeliveries(self._lanes["log"].run, self._writer.settle)

    @property
    def description(self) -> str:
        """What and where it is: `sqlite .tusk/shop.db`."""
        return f"sqlite {self._given}"

    async def open(self, *, read_only: bool = False) -> None:
        """Take the file for this process, and make or check its schema. Raises StartFailed.

        For reading only, nothing is taken: another process may have it, and write.
        """
        if read_only:
            if not self._path.exists():
                raise StartFailed(f"there is no database `{self._given}` yet", "start the application once")
            check_readable(self._path)
            self._writer.read_only = True
            return
        try:
            prepare(self._path)
            self._lock.acquire()
        except OSError as error:
            raise StartFailed(f"`{self._path}` cannot be opened: {error.strerror}") from error
        hurry_switches()
        try:
            await self._writer.open()
        except BaseException:
            await self.close()
            raise

    async def migrate(self, *, apply: bool = True) -> Migration:
        """Bring the own tables to the present schema, after a copy of the file. Raises StartFailed."""
        from tusk_runtime.store.sqlite.migrating import migrate

        return await asyncio.to_thread(migrate, self._path, apply=apply)

    async def close(self) -> None:
        """Finish what is being written, and let go of the file. A store cannot be opened again."""
        self._head.close()
        for lane in self._lanes.values():
            await lane.close()
        # Last, so that its connection folds the write-ahead log into the database.
        await self._writer.close()
        self._lock.release()


class _Writer:
    """The connection that writes, for events and read models alike, and the thread that it belongs to."""

    def __init__(self, path: Path, head: Head) -> None:
        self._lane = Lane("writer", partial(connect_writer, path))
        self._appender = Appender()
        self._head = head
        self._pages = 0
        self.read_only = False

    async def open(self) -> None:
        await self._lane.run(self._open)

    async def close(self) -> None:
        await self._lane.close()

    async def append(self, batch: Sequence[Decision], in_order: bool) -> list[Recorded]:
        self._check_writable()
        lane = self._lane
        if len(batch) <= SMALL_BATCH and self._appender.seconds < QUICK_SECONDS and lane.idle:
            answers = lane.run_here(self._append, batch, in_order)
        else:
            answers = await lane.run(self._append, batch, in_order)
        self._tidy_up()
        return answers

    async def keep(self, wanted: Mapping[str, Collection[bytes]], held: Held) -> None:
        self._check_writable()
        await self._lane.run(self._appender.keep, wanted, held)

    async def run(
        self, work: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do something that may be lost with the power, since it can be computed again."""
        self._check_writable()
        result = await self._lane.run(self._relaxed, lambda connection: work(connection, *args, **kwargs))
        self._tidy_up()
        return result

    async def settle(
        self, work: Callable[Concatenate[apsw.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do something in one transaction, durable when this returns."""
        self._check_writable()
        result = await self._lane.run(self._durably, lambda connection: work(connection, *args, **kwargs))
        self._tidy_up()
        return result

    def _check_writable(self) -> None:
        if self.read_only:
            raise StoreUnavailable("the store is open for reading only")

    def _open(self, connection: apsw.Connection) -> None:
        connection.set_wal_hook(self._committed)
        self._appender.refresh(connection)
        self._head.advance(self._appender.head)

    def _append(
        self, connection: apsw.Connection, batch: Sequence[Decision], in_order: bool
    ) -> list[Recorded]:
        answers = self._appender.append(connection, batch, in_order)
        if self._appender.head != self._head.position:
            self._head.advance(self._appender.head)
        return answers

    def _relaxed(self, connection: apsw.Connection, work: Callable[[apsw.Connection], T]) -> T:
        self._appender.refresh(connection)
        self._appender.set_durable(connection, False)
        return work(connection)

    def _durably(self, connection: apsw.Connection, work: Callable[[apsw.Connection], T]) -> T:
        with self._appender.durably(connection):
            return work(connection)

    def _committed(self, connection: apsw.Connection, database: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def _tidy_up(self) -> None:
        """Bring a long write-ahead log into the database: on the thread, and while nobody waits for it.

        SQLite would do it inside some commit, which then takes a hundred times as long.
        """
        if self._pages >= PAGES_BETWEEN_CHECKPOINTS:
            self._pages = 0
            with suppress(StoreUnavailable):  # closed meanwhile, and closing does the same
                self._lane.put(checkpoint)


class SqliteEvents:
    """The log and the ledger; the contract is `EventStore`."""

    def __init__(self, writer: _Writer, commands: Lane, log: Lane, head: Head) -> None:
        self._writer = writer
        self._commands = commands
        self._log = log
        self._head = head
        self._reader = Reader()

    async def append(self, batch: Sequence[Decision], *, in_order: bool = False) -> Sequence[Recorded]:
        """Write all decisions in one transaction, durable when this returns."""
        return await self._writer.append(batch, in_order)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """A time in which only this store appends, as always: no other process has the file."""
        yield

    async def promises(self) -> Mapping[str, Collection[bytes]]:
        """The promises that are kept, by type of aggregates."""
        return await self._commands.run(promises)

    async def promise(self, wanted: Mapping[str, Collection[bytes]], fill: Fill) -> None:
        """Keep these promises for some types of aggregates from now on, and no others for them."""
        gone, new = differences(wanted, await self.promises())
        if gone or new:
            await self._writer.keep(wanted, await fill(new) if new else {})

    async def recorded(self, command_ids: Collection[bytes]) -> Mapping[bytes, Recorded]:
        """The ledger rows of those of the commands that have one."""
        return await self._commands.run(self._reader.recorded, command_ids)

    async def ledger(self, after: Recorded | None = None, limit: int = 1000) -> Sequence[Recorded]:
        """At most `limit` rows of the ledger behind one, in the order of their places."""
        return await self._log.run(self._reader.ledger, after, limit)

    async def read_streams(
        self, streams: Collection[StreamId], after: Mapping[StreamId, int] = NOWHERE
    ) -> Mapping[StreamId, Sequence[StoredEvent]]:
        """All events of each of the aggregates, behind a version where one is named, in order."""
        return await self._commands.run(self._reader.streams, streams, after)

    async def snapshots(self, streams: Collection[StreamId]) -> Mapping[StreamId, Snapshot]:
        """The snapshots of those of the aggregates that have one."""
        return await self._commands.run(snapshots.find, streams)

    async def save_snapshots(self, new: Collection[Snapshot]) -> None:
        """Keep snapshots in the place of older ones."""
        await self._writer.run(snapshots.save, new)

    async def drop_snapshots(self, definition: bytes) -> None:
        """Forget all snapshots of a definition."""
        await self._writer.run(snapshots.drop, definition)

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
        return await self._commands.run(
            self._reader.stream, stream, after_version, until_version, until, limit
        )

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
        return await self._log.run(
            self._reader.log, after, limit, types, aggregate_id, correlation_id, backwards
        )

    async def at(self, positions: Collection[int]) -> Sequence[StoredEvent]:
        """The events at these positions, in order."""
        return await self._log.run(self._reader.at, positions)

    async def scan(
        self, after: int, limit: int, *, types: Sequence[str] | None, fields: Sequence[str]
    ) -> Sequence[tuple[Any, ...]]:
        """At most `limit` events behind a position as bare tuples."""
        return await self._log.run(self._reader.scan, after, limit, types, fields)

    async def head(self) -> int:
        """The position of the newest event, 0 for an empty store."""
        if self._writer.read_only:  # another process may have written meanwhile
            self._head.reach(await self._log.run(self._reader.head))
        return self._head.position

    async def types(self) -> Collection[str]:
        """Names among which are the types of all stored events."""
        return await self._log.run(self._reader.names)

    async def count(self, after: int, types: Collection[str] | None = None) -> int:
        """How many events stand behind a position."""
        if types is None:
            return max(0, await self.head() - max(0, after))  # positions have no holes here
        return await self._log.run(self._reader.count, after, types)

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Wait until the head is beyond a position, or for `timeout` seconds. Returns the head."""
        if not self._writer.read_only:
            return await self._head.wait_beyond(position, timeout)
        deadline = monotonic() + timeout
        while (head := await self.head()) <= position and monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)  # another process sends no sign
        return head


class SqliteReadModels:
    """The tables of read models; the contract is `ReadModels`."""

    dialect: Dialect = "sqlite"

    def __init__(self, writer: _Writer, queries: Lane) -> None:
        self._writer = writer
        self._queries = queries

    async def create(self, table: TableSpec, checkpoint: Checkpoint) -> int:
        """Make the table and its checkpoint unless they are there. Returns the checkpoint's position."""
        return await self._writer.run(read_tables.create, table, checkpoint)

    async def drop(self, table: str) -> None:
        """Remove a table and its checkpoint, if they are there."""
        await self._writer.run(read_tables.drop, table)

    async def tables(self) -> Mapping[str, Checkpoint]:
        """All read-model tables with their checkpoints."""
        return await self._queries.run(read_tables.tables)

    async def fetch(self, table: TableSpec, keys: Sequence[Row]) -> Sequence[Row]:
        """The rows with these keys, those that exist."""
        return await self._queries.run(read_tables.fetch, table, keys)

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
        await self._writer.run(read_tables.write, table, upserts, deletes, expected, position)

    async def select(self, sql: str, parameters: Sequence[Any], *, timeout: float) -> Sequence[Row]:
        """Run a read-only statement. Raises Unavailable past `timeout` seconds."""
        deadline = monotonic() + timeout
        return await self._queries.run(read_tables.select, sql, parameters, deadline, timeout)
