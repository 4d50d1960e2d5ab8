"""Appending: a batch of decisions becomes one statement that is a transaction of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg

from tusk_runtime.errors import Earlier, OutcomeUnknown, StoreUnavailable, Superseded, Taken
from tusk_runtime.failpoints import hit
from tusk_runtime.store.postgres import promises
from tusk_runtime.store.postgres.batch import PARAMETERS, Batch, Key
from tusk_runtime.store.postgres.connecting import FAILURES, Address, close, connect, lost, reason, translated
from tusk_runtime.store.postgres.names import EARLIER, SUPERSEDED, TAKEN, WENT_BACK, Names
from tusk_runtime.store.protocol import Decision, Fill, Recorded, Reservation, StreamId
from tusk_runtime.store.recent import keep_recent
from tusk_runtime.store.waiting import Head

KNOWN_STREAMS = 65_536
"""How many aggregates' numbers and versions are kept in memory: those used last."""
HOLD_MILLISECONDS = 5000
"""How long a process may rest while it holds the lock, before the server ends its connection."""


class Appender:
    """Writes to the log over a connection of its own, one batch after the other.

    What it knows by heart are numbers of names and streams, which never change, and versions, which are
    those of its own last write: the database compares them, since others may write, too. With the
    connection all of it is forgotten, for it may have been another server's.
    """

    def __init__(self, address: Address, names: Names, head: Head) -> None:
        self._address = address
        self._connection: asyncpg.Connection | None = None
        self._head = head
        self._turn = asyncio.Lock()
        self._closed = False
        self._running: set[asyncio.Task[list[Recorded]]] = set()
        self._names: dict[str, int] = {}
        self._streams: dict[Key, tuple[int, int]] = {}
        self._kept: dict[str, dict[bytes, int]] = {}
        self._sql = names
        self._append_sql = f"SELECT head, streams FROM {names.append} ({PARAMETERS})"  # noqa: S608
        self._hold = f"SET idle_session_timeout = {HOLD_MILLISECONDS}; SELECT pg_advisory_lock({names.lock})"
        self._let_go = f"SELECT pg_advisory_unlock({names.lock}); SET idle_session_timeout = 0"
        self._add_names = f"INSERT INTO {names.names} (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
        self._all_names = f"SELECT name, id FROM {names.names}"  # noqa: S608

    async def append(self, batch: Sequence[Decision], in_order: bool = False) -> list[Recorded]:
        """Write all decisions in one durable transaction; see `EventStore.append`."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        # A caller that gives up must not leave the connection in the middle of something.
        task = asyncio.ensure_future(self._append_in_turn(batch, in_order))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold the store's lock over several statements; see `EventStore.alone`.

        It belongs to the session, so that the transactions within take it, too. A process that stands still
        meanwhile loses it with its connection.
        """
        async with self._turn:
            connection = await self._connected()
            try:
                await connection.execute(self._hold)
            except FAILURES as error:
                self._drop_connection()
                raise translated(error, "nothing was written") from error
        try:
            yield
        finally:
            async with self._turn:
                if not connection.is_closed():
                    try:
                        await connection.execute(self._let_go)
                    except FAILURES:
                        self._drop_connection()

    async def keep(self, wanted: Mapping[str, Collection[bytes]], fill: Fill) -> None:
        """Keep these promises for some types of aggregates; see `EventStore.promise`."""
        async with self._turn:
            connection = await connect(self._address)
            try:
                kept = await promises.keep(connection, self._sql, wanted, fill)
            finally:
                await close(connection)
            self._kept |= {name: kept.get(name, {}) for name in wanted}

    async def close(self) -> None:
        """Finish what was begun, and close the connection."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        connection, self._connection = self._connection, None
        await close(connection)

    async def _append_in_turn(self, batch: Sequence[Decision], in_order: bool) -> list[Recorded]:
        async with self._turn:
            connection = await self._connected()
            await self._learn_names(connection, batch)
            return await self._append(connection, batch, in_order)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._forget()
            try:
                self._connection = await connect(self._address)
            except FAILURES as error:
                raise translated(error, "the database cannot be reached") from error
        return self._connection

    async def _append(
        self, connection: asyncpg.Connection, batch: Sequence[Decision], in_order: bool
    ) -> list[Recorded]:
        written = Batch(batch, self._names, self._streams, self._kept)
        await hit("append.before_commit")  # the statement commits itself
        try:
            head, streams = await connection.fetchrow(
                self._append_sql, self._head.position, in_order, *written.parameters()
            )
        except asyncpg.PostgresError as error:
            self._forget_versions(batch)
            if error.sqlstate == EARLIER:
                raise Earlier(int(str(error))) from error
            if error.sqlstate == SUPERSEDED:
                raise Superseded(written.types) from error
            if error.sqlstate == TAKEN:
                raise Taken(await self._holders(connection, written)) from error
            if error.sqlstate == WENT_BACK:
                # Another server than before, or one that was restored.
                self._drop_connection()
                raise StoreUnavailable(f"the database lost events: {error}") from error
            if lost(error):
                self._drop_connection()
                raise OutcomeUnknown(f"the commit may or may not have happened: {error}") from error
            raise translated(error, "nothing was written") from error
        except FAILURES as error:
            self._forget_versions(batch)
            self._drop_connection()
            if not lost(error):  # a value that cannot be sent
                raise translated(error, "nothing was written") from error
            raise OutcomeUnknown(f"the commit may or may not have happened: {reason(error)}") from error
        keep_recent(self._streams, written.touched(streams), KNOWN_STREAMS)
        if written.count:
            self._head.advance(head + written.count)
        return written.answers(head)

    async def _holders(self, connection: asyncpg.Connection, batch: Batch) -> dict[Reservation, StreamId]:
        if batch.changes is None:
            return {}
        try:
            return await promises.holders(connection, self._sql, batch.numbers, batch.changes.free)
        except FAILURES as error:
            if lost(error):
                self._drop_connection()
            raise translated(error, "nothing was written") from error

    async def _learn_names(self, connection: asyncpg.Connection, batch: Iterable[Decision]) -> None:
        """Give numbers to names that are new: in a transaction before, since a name alone does no harm."""
        used = {event.type for decision in batch for event in decision.events}
        used.update(decision.aggregate_type for decision in batch)
        missing = sorted(used - self._names.keys())
        if not missing:
            return
        try:
            await connection.execute(self._add_names, missing)
            self._names = dict(await connection.fetch(self._all_names))
        except FAILURES as error:
            if lost(error):
                self._drop_connection()
            raise translated(error, "nothing was written") from error

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        self._forget()

    def _forget(self) -> None:
        self._names.clear()
        self._streams.clear()

    def _forget_versions(self, batch: Iterable[Decision]) -> None:
        for decision in batch:
            self._streams.pop((decision.aggregate_type, decision.aggregate_id), None)
