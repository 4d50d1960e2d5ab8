"""Hearing of new events: told by the database, and asked for now and then in case that was missed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import asyncpg

from tusk_runtime.store.postgres.connecting import FAILURES, Address, close, connect, reason
from tusk_runtime.store.postgres.names import Names
from tusk_runtime.store.postgres.reading import Reader
from tusk_runtime.store.waiting import Head

POLL_SECONDS = 1.0
"""How late an event is seen whose notification was lost."""

log = logging.getLogger("tusk.store")


class Listener:
    """A connection that listens, and connects anew for as long as it takes."""

    def __init__(self, address: Address, names: Names, reader: Reader, head: Head) -> None:
        self._address = address
        self._channel = names.channel
        self._reader = reader
        self._head = head
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._run(), name="store listener")

    async def close(self) -> None:
        """Stop listening."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        up = True
        while True:
            connection: asyncpg.Connection | None = None
            try:
                connection = await connect(self._address, read_only=True)
                if not up:
                    log.info("the database is back")
                up = True
                await self._listen(connection)
            except FAILURES as error:
                if up:
                    log.warning("the database does not answer: %s", reason(error))
                up = False
            finally:
                await close(connection)
            await asyncio.sleep(POLL_SECONDS)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        await connection.add_listener(self._channel, self._told)
        while True:
            # Also the sign of life that finds out about a connection that is dead.
            self._head.reach(await self._reader.head(connection))
            await asyncio.sleep(POLL_SECONDS)

    def _told(self, connection: Any, process: int, channel: str, payload: str) -> None:
        self._head.reach(int(payload))
