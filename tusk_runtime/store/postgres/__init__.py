"""The store in PostgreSQL: for as many processes as are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Literal

from tusk_runtime.encryption import Encryption, context_of
from tusk_runtime.errors import StartFailed, Unavailable
from tusk_runtime.events import StoredEvent
from tusk_runtime.store.deliveries import STANDINGS, Claim, Letter, Standing
from tusk_runtime.store.postgres import deliveries, snapshots
from tusk_runtime.store.postgres.connecting import FAILURES, Address, close, connect, translated
from tusk_runtime.store.postgres.encryption import KEY, told
from tusk_runtime.store.postgres.link import Link
from tusk_runtime.store.postgres.opening import advice_for, made_or_checked, place_of, why
from tusk_runtime.store.postgres.promises import promises
from tusk_runtime.store.postgres.read_tables import select
from tusk_runtime.store.postgres.reading import Reader
from tusk_runtime.store.protocol import (
    NOWHERE,
    Checkpoint,
    Decision,
    Dialect,
    Fill,
    Migration,
    Recorded,
    Row,
    Snapshot,
    StreamId,
    TableSpec,
)

__all__ = ["PostgresStore"]

POOL_SIZE = 10


class PostgresStore:
    """A log, its ledger and the read models in a schema of a PostgreSQL database, for many processes.

    Each process appends over one connection, in groups; an advisory lock of the database puts the processes
    in a row. Everything else reads over a pool.
    """

    shared = True

    def __init__(
        self,
        dsn: str,
        *,
        table: str | None = None,
        partitions: int = 0,
        pool_size: int = POOL_SIZE,
        encryption: Encryption | None = None,
    ) -> None:
        """Name a database; nothing is touched before `open`.

        `dsn` is a `postgresql://` URL; `table` is what the table of events is called (`tusk_events`), and
        `partitions` over how many it is spread where it is made. Without `encryption` the URL says whether
        connections are encrypted.
        """
        self._dsn = dsn
        self._encryption = encryption
        self._table = table
        self._partitions = partitions
        self._pool_size = pool_size
        self._link = Link()
        self.events = PostgresEvents(self._link)
        self.read_models = PostgresReadModels(self._link)
        self.deliveries = PostgresDeliveries(self._link)

    @property
    def description(self) -> str:
        """What and where it is: `postgresql db.example:5432/shop`."""
        return f"postgresql {place_of(self._dsn)}"

    async def open(self, *, read_only: bool = False) -> None:
        """Connect, and make or check the schema. Raises StartFailed."""
        place, address = place_of(self._dsn), self._address()
        try:
            connection = await connect(address)
            try:
                names = await made_or_checked(
                    connection, self._table, None if read_only else self._partitions, place
                )
                head = await Reader(names).head(connection)
            finally:
                await close(connection)
            await self._link.open(address, names, head, self._pool_size, read_only=read_only)
        except (*FAILURES, ValueError) as error:
            raise self._failed(error) from None

    async def migrate(self, *, apply: bool = True) -> Migration:
        """Bring the own tables to the present schema, in one transaction. Raises StartFailed."""
        from tusk_runtime.store.postgres.migrating import migrate

        place, address = place_of(self._dsn), self._address()
        try:
            connection = await connect(address)
            try:
                return await migrate(connection, self._table, place, apply=apply)
            finally:
                await close(connection)
        except (*FAILURES, ValueError) as error:
            raise self._failed(error) from None

    async def close(self) -> None:
        """Finish what is being written, and close all connections. A store cannot be opened again."""
        await self._link.close()

    def _failed(self, error: BaseException) -> StartFailed:
        about = told(error, self._encryption) if self._encryption else None
        message, advice = about or (why(error), advice_for(error))
        return StartFailed(f"the database {place_of(self._dsn)}: {message}", advice)

    def _address(self) -> Address:
        return Address(self._dsn, context_of(self._encryption, KEY) if self._encryption else None)


class PostgresEvents:
    """The log and the ledger; the contract is `EventStore`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def append(self, batch: Sequence[Decision], *, in_order: bool = False) -> Sequence[Recorded]:
        """Write all decisions in one transaction, durable when this returns."""
        return await self._link.appender.append(batch, in_order)

    def alone(self) -> AbstractAsyncContextManager[None]:
        """A time in which only this store appends."""
        return self._link.appender.alone()

    async def promises(self) -> Mapping[str, Collection[bytes]]:
        """The promises that are kept, by type of aggregates."""
        return await self._link.read(promises, self._link.parts.names)

    async def promise(self, wanted: Mapping[str, Collection[bytes]], fill: Fill) -> None:
        """Keep these promises for some types of aggregates from now on, and no others for them."""
        try:
            await self._link.appender.keep(wanted, fill)
        except FAILURES as error:
            raise translated(error, "nothing was changed") from error

    async def recorded(self, command_ids: Collection[bytes]) -> Mapping[bytes, Recorded]:
        """The ledger rows of those of the commands that have one."""
        return await self._link.read(self._link.parts.reader.recorded, command_ids)

    async def ledger(self, after: Recorded | None = None, limit: int = 1000) -> Sequence[Recorded]:
        """At most `limit` rows of the ledger behind one, in the order of their places."""
        return await self._link.read(self._link.parts.reader.ledger, after, limit)

    async def read_streams(
        self, streams: Collection[StreamId], after: Mapping[StreamId, int] = NOWHERE
    ) -> Mapping[StreamId, Sequence[StoredEvent]]:
        """All events of each of the aggregates, behind a version where one is named, in order."""
        return await self._link.read(self._link.parts.reader.streams, streams, after)

    async def snapshots(self, streams: Collection[StreamId]) -> Mapping[StreamId, Snapshot]:
        """The snapshots of those of the aggregates that have one."""
        return await self._link.read(snapshots.find, self._link.parts.names, streams)

    async def save_snapshots(self, new: Collection[Snapshot]) -> None:
        """Keep snapshots in the place of older ones."""
        await self._link.write(snapshots.save, self._link.parts.names, new)

    async def drop_snapshots(self, definition: bytes) -> None:
        """Forget all snapshots of a definition."""
        await self._link.write(snapshots.drop, self._link.parts.names, definition)

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

    async def at(self, positions: Collection[int]) -> Sequence[StoredEvent]:
        """The events at these positions, in order."""
        return await self._link.read(self._link.parts.reader.at, positions)

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

    async def types(self) -> Collection[str]:
        """Names among which are the types of all stored events."""
        return await self._link.read(self._link.parts.reader.names)

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

    def __init__(self, link: Link) -> None:
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


class PostgresDeliveries:
    """The progress of consumers and their dead letters; the contract is `Deliveries`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def claim(self, consumer: str, holder: bytes, seconds: float, *, begin: int) -> Claim | None:
        """Take a consumer, or keep it, for so many seconds; None while another holder has it."""
        return await self._link.settle(
            deliveries.claim, self._link.parts.names, consumer, holder, seconds, begin
        )

    async def take(self, consumer: str, source: str, holder: bytes) -> Claim:
        """Take a partition of a topic, whoever had it."""
        return await self._link.settle(deliveries.take, self._link.parts.names, consumer, source, holder)

    async def release(self, consumer: str, holder: bytes) -> None:
        """Let another holder take the consumer at once."""
        await self._link.settle(deliveries.release, self._link.parts.names, consumer, holder)

    async def save(
        self,
        consumer: str,
        epoch: int,
        position: int,
        *,
        source: str = "",
        letters: Collection[Letter] = (),
        done: Collection[tuple[str, int]] = (),
        seen: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Move the progress, keep letters and versions, and forget other letters, all or nothing."""
        await self._link.settle(
            deliveries.save,
            self._link.parts.names,
            consumer,
            epoch,
            position,
            source,
            letters,
            done,
            seen,
        )

    async def seen(self, consumer: str, keys: Collection[str]) -> Mapping[str, int]:
        """Key → version of the last event of it that was handled."""
        return await self._link.read(deliveries.seen, self._link.parts.names, consumer, keys)

    async def letters(
        self,
        consumer: str,
        *,
        source: str | None = None,
        standing: Collection[Standing] = STANDINGS,
        key: str | None = None,
        after: tuple[str, int] = ("", -1),
        limit: int = 1000,
        messages: bool = True,
    ) -> Sequence[Letter]:
        """At most `limit` letters of a consumer behind a source and position, in that order."""
        return await self._link.read(
            deliveries.letters,
            self._link.parts.names,
            consumer,
            source,
            standing,
            key,
            after,
            limit,
            messages,
        )

    async def mark(
        self,
        consumer: str,
        letters: Collection[tuple[str, int]],
        standing: Literal["retry", "drop"],
    ) -> int:
        """Ask whoever runs the consumer to do that with those of the letters that may be marked."""
        return await self._link.settle(deliveries.mark, self._link.parts.names, consumer, letters, standing)

    async def rewind(self, consumer: str, position: int) -> bool:
        """Move the progress back; whoever has the consumer learns of it by the epoch."""
        return await self._link.settle(deliveries.rewind, self._link.parts.names, consumer, position)

    async def counts(self) -> Mapping[str, Mapping[Standing, int]]:
        """How many letters each consumer has, by how they stand."""
        return await self._link.read(deliveries.counts, self._link.parts.names)

    async def progress(self) -> Mapping[str, int]:
        """How far each consumer that was ever claimed has come."""
        return await self._link.read(deliveries.progress, self._link.parts.names)
