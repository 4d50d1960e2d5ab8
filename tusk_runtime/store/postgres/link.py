"""The connections of an open store: one that appends, one that listens, and two pools."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

import asyncpg

from tusk_runtime.errors import OutcomeUnknown, StoreUnavailable
from tusk_runtime.store.postgres.appending import Appender
from tusk_runtime.store.postgres.connecting import FAILURES, Address, lost, make_pool, reason, translated
from tusk_runtime.store.postgres.listening import Listener
from tusk_runtime.store.postgres.names import Names
from tusk_runtime.store.postgres.read_tables import ReadTables
from tusk_runtime.store.postgres.reading import Reader
from tusk_runtime.store.waiting import Head

T = TypeVar("T")
P = ParamSpec("P")

WRITERS = 4
"""Connections that write anything but events at the same time."""
ACQUIRE_SECONDS = 10.0
CLOSE_SECONDS = 5.0

_DEAD = (asyncpg.PostgresConnectionError, asyncpg.InternalClientError)


class _Open(NamedTuple):
    """What an open store consists of."""

    names: Names
    reader: Reader
    tables: ReadTables
    appender: Appender
    listener: Listener
    readers: asyncpg.Pool
    writers: asyncpg.Pool


class Link:
    """The connections of a store, while it is open."""

    def __init__(self) -> None:
        self.head = Head()
        self._open: _Open | None = None
        self._read_only = False

    @property
    def parts(self) -> _Open:
        """What the store consists of. Raises StoreUnavailable if it is not open."""
        if self._open is None:
            raise StoreUnavailable("the store is closed")
        return self._open

    @property
    def appender(self) -> Appender:
        """What writes to the log. Raises StoreUnavailable if the store is not open for it."""
        self._check_writable()
        return self.parts.appender

    async def open(
        self, address: Address, names: Names, head: int, pool_size: int, *, read_only: bool = False
    ) -> None:
        """Begin with a log that ends at `head`."""
        self._read_only = read_only
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
        """Finish what is being written, and close everything."""
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
            except FAILURES:
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
        self._check_writable()
        try:
            async with self.parts.writers.acquire(timeout=ACQUIRE_SECONDS) as connection:
                return await work(connection, *args, **kwargs)
        except FAILURES as error:
            raise translated(error, "the database cannot be written") from error

    async def settle(
        self,
        work: Callable[Concatenate[asyncpg.Connection, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `write`, for what nobody can compute again: raises OutcomeUnknown if it may have happened."""

        async def tried(connection: asyncpg.Connection) -> T:
            try:
                return await work(connection, *args, **kwargs)
            except FAILURES as error:
                if not lost(error):
                    raise
                raise OutcomeUnknown(f"the commit may or may not have happened: {reason(error)}") from error

        return await self.write(tried)

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreUnavailable("the store is open for reading only")
