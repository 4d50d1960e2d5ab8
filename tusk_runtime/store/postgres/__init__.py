"""The store in PostgreSQL: for as many processes as are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar
from urllib.parse import urlsplit

import asyncpg

from tusk_runtime.errors import StartFailed, StoreUnavailable, Unavailable
from tusk_runtime.events import StoredEvent
from tusk_runtime.store.postgres.appending import Appender
from tusk_runtime.store.postgres.connecting import (
    CONNECT_SECONDS,
    FAILURES,
    LOCK_SECONDS,
    Address,
    close,
    connect,
    make_pool,
    translated,
)
from tusk_runtime.store.postgres.listening import Listener
from tusk_runtime.store.postgres.names import SCHEMA_VERSION, Names, names_of
from tusk_runtime.store.postgres.read_tables import ReadTables, select
from tusk_runtime.store.postgres.reading import Reader
from tusk_runtime.store.protocol import Checkpoint, Decision, Dialect, Recorded, Row, StreamId, TableSpec
from tusk_runtime.store.waiting import Head

__all__ = ["PostgresStore"]

T = TypeVar("T")
P = ParamSpec("P")

POOL_SIZE = 10
_DEAD = (asyncpg.PostgresConnectionError, asyncpg.InternalClientError)
WRITERS = 4
"""Connections that write read models at the same time."""
ACQUIRE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
OLDEST_SERVER = 14


class _Open(NamedTuple):
    """What an open store consists of."""

    names: Names
    reader: Reader
    tables: ReadTables
    appender: Appender
    listener: Listener
    readers: asyncpg.Pool
    writers: asyncpg.Pool


class PostgresStore:
    """A log, its ledger and the read models in a schema of a PostgreSQL database, for many processes.

    Each process appends over one connection, in groups; an advisory lock of the database puts the processes
    in a row. Everything else reads over a pool.
    """

    def __init__(
        self,
        dsn: str,
        *,
        table: str | None = None,
        partitions: int = 0,
        pool_size: int = POOL_SIZE,
    ) -> None:
        """Name a database; nothing is touched before `open`.

        `dsn` is a `postgresql://` URL; `table` is what the table of events is called (`tusk_events`), and
        `partitions` over how many it is spread where it is made.
        """
        self._address = Address(dsn)
        self._table = table
        self._partitions = partitions
        self._pool_size = pool_size
        self._link = _Link()
        self.events = PostgresEvents(self._link)
        self.read_models = PostgresReadModels(self._link)

    @property
    def description(self) -> str:
        """What and where it is: `postgresql db.example:5432/shop`."""
        return f"postgresql {_place(self._address.dsn)}"

    async def open(self) -> None:
        """Connect, and make or check the schema. Raises StartFailed."""
        place = _place(self._address.dsn)
        try:
            connection = await connect(self._address)
            try:
                names = await _made_or_checked(connection, self._table, self._partitions, place)
                head = await Reader(names).head(connection)
            finally:
                await close(connection)
            await self._link.open(self._address, names, head, self._pool_size)
        except (*FAILURES, ValueError) as error:
            raise StartFailed(f"the database {place}: {_reason(error)}", _advice(error)) from None

    async def close(self) -> None:
        """Finish what is being written, and close all connections. A store cannot be opened again."""
        await self._link.close()


class _Link:
    """The connections of a store, while it is open."""

    def __init__(self) -> None:
        self.head = Head()
        self._open: _Open | None = None

    @property
    def parts(self) -> _Open:
        """What the store consists of. Raises StoreUnavailable if it is not open."""
        if self._open is None:
            raise StoreUnavailable("the store is closed")
        return self._open

    async def open(self, address: Address, names: Names, head: int, pool_size: int) -> None:
        self.head.advance(head)
        reader = Reader(names)
        listener = Listener(address, names, reader, self.head)
        self._open = _Open(
            names,
            reader,
            ReadTables(names),
            Appender(address, names, self.head),
            listener,
            await make_pool(address, pool_size, read_only=True),
            await make_pool(address, WRITERS, read_only=False),
        )
        listener.start()

    async def close(self) -> None:
        parts, self._open = self._open, None
        self.head.close()
        if parts is None:
            return
        await parts.listener.close()
        await parts.appender.close()
        for pool in (parts.readers, parts.writers):
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await pool.close()
            except (*FAILURES,):
                pool.terminate()

    async def read(
        self,
        work: Callable[Concatenate[asyncpg.Connection, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Ask something over a connection for reading; once more, if the connection turns out to be dead."""
        for attempt in (1, 2):
            try:
                async with self.parts.readers.acquire(timeout=ACQUIRE_SECONDS) as connection:
                    return await work(connection, *args, **kwargs)
            except FAILURES as error:
                if attempt == 1 and isinstance(error, _DEAD):
                    continue
                raise translated(error, "the database cannot be read") from error
        raise AssertionError

    async def write(
        self,
        work: Callable[Concatenate[asyncpg.Connection, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Change read models over a connection for writing."""
        try:
            async with self.parts.writers.acquire(timeout=ACQUIRE_SECONDS) as connection:
                return await work(connection, *args, **kwargs)
        except FAILURES as error:
            raise translated(error, "the database cannot be written") from error


class PostgresEvents:
    """The log and the ledger; the contract is `EventStore`."""

    def __init__(self, link: _Link) -> None:
        self._link = link

    async def append(self, batch: Sequence[Decision]) -> Sequence[Recorded]:
        """Write all decisions in one transaction, durable when this returns."""
        return await self._link.parts.appender.append(batch)

    async def recorded(self, command_ids: Collection[bytes]) -> Mapping[bytes, Recorded]:
        """The ledger rows of those of the commands that have one."""
        return await self._link.read(self._link.parts.reader.recorded, command_ids)

    async def read_streams(
        self, streams: Collection[StreamId], after_version: int = 0
    ) -> Mapping[StreamId, Sequence[StoredEvent]]:
        """All events of each of the aggregates behind a version, in order."""
        return await self._link.read(self._link.parts.reader.streams, streams, after_version)

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
        return await self._link.read(
            self._link.parts.reader.stream, stream, after_version, until_version, until, limit
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
        return await self._link.read(
            self._link.parts.reader.log, after, limit, types, aggregate_id, correlation_id, backwards
        )

    async def scan(
        self, after: int, limit: int, *, types: Sequence[str] | None, fields: Sequence[str]
    ) -> Sequence[tuple[Any, ...]]:
        """At most `limit` events behind a position as bare tuples."""
        return await self._link.read(self._link.parts.reader.scan, after, limit, types, fields)

    async def head(self) -> int:
        """The position of the newest event, 0 for an empty store."""
        head = await self._link.read(self._link.parts.reader.head)
        self._link.head.reach(head)
        return head

    async def count(self, after: int, types: Collection[str] | None = None) -> int:
        """How many events stand behind a position."""
        if types is None:
            return max(0, await self.head() - max(0, after))  # positions have no holes
        return await self._link.read(self._link.parts.reader.count, after, types)

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Wait until the head is beyond a position, or for `timeout` seconds. Returns the head."""
        return await self._link.head.wait_beyond(position, timeout)


class PostgresReadModels:
    """The tables of read models; the contract is `ReadModels`."""

    dialect: Dialect = "postgresql"

    def __init__(self, link: _Link) -> None:
        self._link = link

    async def create(self, table: TableSpec, checkpoint: Checkpoint) -> int:
        """Make the table and its checkpoint unless they are there. Returns the checkpoint's position."""
        return await self._link.write(self._link.parts.tables.create, table, checkpoint)

    async def drop(self, table: str) -> None:
        """Remove a table and its checkpoint, if they are there."""
        await self._link.write(self._link.parts.tables.drop, table)

    async def tables(self) -> Mapping[str, Checkpoint]:
        """All read-model tables with their checkpoints."""
        return await self._link.read(self._link.parts.tables.tables)

    async def fetch(self, table: TableSpec, keys: Sequence[Row]) -> Sequence[Row]:
        """The rows with these keys, those that exist."""
        return await self._link.read(self._link.parts.tables.fetch, table, keys)

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
        await self._link.write(self._link.parts.tables.write, table, upserts, deletes, expected, position)

    async def select(self, sql: str, parameters: Sequence[Any], *, timeout: float) -> Sequence[Row]:
        """Run a read-only statement. Raises Unavailable past `timeout` seconds."""
        pool = self._link.parts.readers
        try:
            async with asyncio.timeout(timeout), pool.acquire() as connection:
                return await select(connection, sql, parameters)
        except TimeoutError:
            raise Unavailable(f"the query took longer than {timeout:g} s and was stopped") from None
        except (*FAILURES, ValueError) as error:
            raise translated(error, "the query failed") from error


async def _made_or_checked(
    connection: asyncpg.Connection, table: str | None, partitions: int, place: str
) -> Names:
    """The names of the store, whose schema is there afterwards. Raises StartFailed."""
    version = connection.get_server_version()
    if version.major < OLDEST_SERVER:
        raise StartFailed(
            f"the database {place} runs PostgreSQL {version.major}",
            f"this program needs version {OLDEST_SERVER} or newer",
        )
    schema = await connection.fetchval("SELECT current_schema()")
    if schema is None:
        raise StartFailed(
            f"the database {place} has none of the schemas that this role looks for tables in",
            "make one, or name one: `?search_path=NAME` at the end of the connection string",
        )
    names = names_of(schema, table)
    async with connection.transaction():
        # Of several processes that start together one makes the tables.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", names.lock)
        there = await connection.fetchrow(
            "SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL", names.meta, names.events
        )
        if not there[0]:
            if there[1]:
                raise StartFailed(
                    f"the table {names.events} in {place} is that of another program",
                    "give another `table_name`, or another database",
                )
            # Imported here: only a new schema needs SQLAlchemy, which takes most of the time to start.
            from tusk_runtime.store.postgres.schema import make_schema

            await make_schema(connection, names, partitions)
            return names
        found = await connection.fetchval(f"SELECT value FROM {names.meta} WHERE key = 'schema'")  # noqa: S608
        if int(found or 0) > SCHEMA_VERSION:
            raise StartFailed(
                f"the tables in {place} were made by a newer version of this program: their schema is "
                f"{found}, and this version knows schemas up to {SCHEMA_VERSION}",
                "upgrade tusk-runtime, or name another database",
            )
    return names


def _place(dsn: str) -> str:
    """Where a database is, without the password."""
    try:
        url = urlsplit(dsn)
        host = f"{url.hostname or 'localhost'}:{url.port or 5432}"
    except ValueError:
        return "of this connection string"
    return f"{host}/{url.path.strip('/') or url.username or ''}"


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # A connection string that cannot be read stands in the message, with its password.
    return "the connection string cannot be read" if isinstance(error, ValueError) else str(error)


def _advice(error: BaseException) -> str:
    for kind, advice in _ADVICE:
        if isinstance(error, kind):
            return advice
    return "see the log of the database server"


_ADVICE: tuple[tuple[type[BaseException], str], ...] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "check the user and the password"),
    (asyncpg.InvalidCatalogNameError, "make the database: createdb NAME"),
    (
        asyncpg.InsufficientPrivilegeError,
        "let a role that may create tables start it once: GRANT CREATE ON SCHEMA",
    ),
    (
        asyncpg.LockNotAvailableError,
        f"another process kept the schema locked for {LOCK_SECONDS:g} s: try again",
    ),
    (asyncpg.TooManyConnectionsError, "raise max_connections of the server, or lower pool_size"),
    (OSError, "start the server, or check the host and the port"),
    (TimeoutError, "check the host, the port, and what stands between"),
    (ValueError, "write it as postgresql://user:password@host:5432/database"),
)
