"""A network that swallows all that goes in one direction: nobody is told, and all goes on by itself afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from kafka_server import KafkaServer, private_kafka

from tests.bus.topics import Bank, seen_by

HOLE_SECONDS = 8.0
NAME = "BEHIND"
"""The listener of the broker that is reached through the network in between."""


class Network:
    """What stands between clients and a port: what goes `to` it or comes `from` it stays away while it says so.

    Nothing is lost within a connection, as with TCP: what was held up arrives when it is over.
    """

    def __init__(self) -> None:
        self.port = self.upstream = 0
        self._open = {"to": asyncio.Event(), "from": asyncio.Event()}
        for each in self._open.values():
            each.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut everything."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.contextmanager
    def swallowing(self, direction: str) -> Iterator[None]:
        """A time in which nothing gets through in one direction."""
        self._open[direction].clear()
        try:
            yield
        finally:
            self._open[direction].set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = [writer]
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
            ends.append(up_writer)
            ways = (
                asyncio.create_task(self._pass_on(reader, up_writer, "to")),
                asyncio.create_task(self._pass_on(up_reader, writer, "from")),
            )
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in ends:
                each.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str
    ) -> None:
        while data := await reader.read(65536):
            await self._open[direction].wait()
            writer.write(data)
            await writer.drain()


@pytest.fixture(scope="module")
def behind() -> Iterator[KafkaServer]:
    with private_kafka(listeners={NAME: "PLAINTEXT"}) as server:
        yield server


@pytest.fixture
async def network(behind: KafkaServer) -> AsyncIterator[Network]:
    """The network in front of a broker, which tells clients to come through it."""
    found = Network()
    await found.start()
    found.upstream = behind.ports[NAME]
    behind.settings = []
    behind.stop()
    text = (behind.folder / "server.properties").read_text()
    told = next(line for line in text.splitlines() if line.startswith("advertised.listeners="))
    behind.settings = [told.replace(f"localhost:{behind.ports[NAME]}", f"127.0.0.1:{found.port}")]
    behind.start()
    yield found
    await found.stop()


@pytest.mark.parametrize("direction", ["to", "from"])
async def test_one_direction_is_swallowed(
    network: Network, tmp_path: Path, direction: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Commands go on; relay and consumers go on when it is over: each event is handled once, in order."""
    caplog.set_level("INFO", "tusk.consumers")
    bank = Bank(f"127.0.0.1:{network.port}", tmp_path)
    try:
        await bank.start()
        await bank.open("a", "b")
        await bank.deposit("a", "20", 3)
        await bank.settled()
        began, told, anew = time.monotonic(), 0.0, 0.0
        runner = bank.runtime._followers.runners["Clerk of topics"]
        client = runner._client  # type: ignore[attr-defined]
        with network.swallowing(direction):
            while time.monotonic() - began < HOLE_SECONDS:
                await bank.deposit("a", "20")
                await bank.deposit("b", "20")
                if not told and (await bank.part("Clerk")).error:
                    told = time.monotonic() - began
                if not anew and runner._client is not client:  # type: ignore[attr-defined]
                    anew = time.monotonic() - began
                await asyncio.sleep(1)
            events = await bank.runtime._store.events.read(limit=100_000)
            assert not [each for each in events if each.type == "Withdrawn" and each.aggregate_id == "b"]
        over = time.monotonic()
        await bank.deposit("a", "20")
        await bank.settled()
        print(
            f"{direction}: told after {told:.1f} s, client anew after {anew:.1f} s, all handled {time.monotonic() - over:.1f} s after it is over"
        )
        assert time.monotonic() - over < 20
        seen = seen_by([record.getMessage() for record in caplog.records])
        for account in ("a", "b"):
            events = await bank.runtime._store.events.read(limit=100_000)
            mine = [each for each in events if each.aggregate_id == account and each.type == "Deposited"]
            assert list(dict.fromkeys(seen[account])) == [each.version for each in mine]
            assert await bank.balance(account) == len(mine) * Decimal("19.50")
    finally:
        await bank.stop()
