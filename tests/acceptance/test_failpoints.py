"""Killed at any fail point, or failing there, an application loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

import bank
import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from support import Connection, DidNotStart, Lost, Server, until

from tusk_runtime.failpoints import NAMES, VARIABLE

OFTEN = 12
"""At what time something happens at a point: when there is something to lose."""
SELDOM = {"relay.prepared": 1, "follower.claimed": 2, "follower.released": 2, "follower.settled": 2} | {
    name: 2 for name in NAMES if name.startswith("reload.")
}
"""The same for points that are reached once for each start, edit, or letter that is handled again."""
GROUPS = {prefix: list(names) for prefix, names in groupby(NAMES, lambda name: name.partition(".")[0])}
SECONDS = 30.0


def at_times(name: str, act: str) -> str:
    return f"{name}:{act}@{SELDOM.get(name, OFTEN)}"


class Bank:
    """The bank in a folder of its own, which outlives its processes."""

    def __init__(self, folder: Path, serve: Callable[..., Server], brokers: str | None) -> None:
        self.brokers = brokers
        self.prefix = f"bank-{uuid.uuid4().hex[:12]}"
        self._file = bank.BankFile(
            folder / "bank.tsk",
            "" if brokers is None else bank.ON_KAFKA.format(brokers=brokers, prefix=self.prefix),
        )
        self._serve = serve
        self.load = bank.Load(seed=7)
        self.server = self.with_points("")

    def with_points(self, points: str) -> Server:
        """The next process, with fail points set."""
        self._edits = 0
        self.server = self._serve(self._file.path, environment={VARIABLE: points})
        return self.server

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """A time in which commands are sent, the file is edited, and dead letters are handled again."""
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(each)
            for each in (self.load.run(self.server, stop), self._edit(stop), self._retry(stop))
        ]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def _edit(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(0.2)
            if self._answered() == self._edits:
                self._file.edit()
                self._edits += 1

    def _answered(self) -> int:
        """How many edits this process has taken or refused."""
        printed = self.server.printed()
        return printed.count(" is live\n") + printed.count("not applied; ")

    async def _retry(self, stop: asyncio.Event) -> None:
        connection = self.server.connection()
        try:
            while not stop.is_set():
                await asyncio.sleep(0.3)
                await self._retry_some(connection)
        except Lost:
            pass

    async def _retry_some(self, connection: Connection) -> None:
        letters = (await connection.json("/api/dead-letters?standing=refused&limit=3"))["letters"]
        if letters:
            body = b'{"positions": %a}' % [letter["position"] for letter in letters]
            await connection.request("POST", "/api/dead-letters/Clerk/retry", body)

    async def holds(self) -> None:
        """Everything that was promised holds, of the process that runs and of its predecessors."""
        found, events = await bank.check(self.load, self.server, await self._last_edit())
        if self.brokers is not None:
            found += await asyncio.to_thread(self._topics, events)
        assert found == []
        assert Counter(event["event_type"] for event in events)["Deposited"] > 5, (
            "there was something to lose"
        )

    async def _last_edit(self) -> int:
        """Edit once more, whatever became of the edits before. Gives the generation, which is live."""
        await until(lambda: self._answered() == self._edits, "the edits before are answered", SECONDS)
        self._file.edit()
        self._edits += 1
        await until(lambda: self._answered() == self._edits, "the last edit is answered", SECONDS)
        return self._file.generation

    def _topics(self, events: Sequence[bank.Event]) -> list[str]:
        """Each topic holds exactly the events that are routed there, first appearances of a key in order."""
        found = []
        for topic in sorted(set(bank.ROUTED.values())):
            wanted = {e["event_id"]: e for e in events if bank.ROUTED[e["event_type"]] == topic}
            messages = messages_of(str(self.brokers), f"{self.prefix}.{topic}")
            first = list(dict.fromkeys(dict(each.headers())["event_id"].decode() for each in messages))
            if set(first) != wanted.keys():
                found.append(f"{topic} holds {len(first)} events, wanted {len(wanted)}")
                continue
            by_key: dict[str, list[int]] = defaultdict(list)
            for event_id in first:
                by_key[wanted[event_id]["aggregate_id"]].append(wanted[event_id]["version"])
            found += [f"{topic}: {key} is out of order" for key, at in by_key.items() if at != sorted(at)]
        return found


def messages_of(address: str, topic: str) -> list[Message]:
    """All messages of a topic, those of a partition in their order."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": uuid.uuid4().hex})
    try:
        partitions = [
            TopicPartition(topic, each) for each in consumer.list_topics(topic, 10).topics[topic].partitions
        ]
        count = 0
        for each in partitions:
            each.offset, end = consumer.get_watermark_offsets(each, 10)
            count += end - each.offset
        consumer.assign(partitions)
        found = [consumer.poll(10) for _ in range(count)]
        assert all(each is not None and each.error() is None for each in found)
        return found
    finally:
        consumer.close()


@pytest.fixture
def the_bank(tmp_path: Path, serve: Callable[..., Server], request: pytest.FixtureRequest) -> Bank:
    """On Kafka where the relay is meant."""
    named = request.node.callspec.params
    on_kafka = "relay" in (named.get("group"), named.get("name", "").partition(".")[0])
    return Bank(tmp_path, serve, request.getfixturevalue("kafka") if on_kafka else None)


@pytest.mark.parametrize("name", NAMES)
async def test_killed_at_a_point_it_goes_on_as_if_nothing_was(the_bank: Bank, name: str) -> None:
    """Under load, and with edits; the next process brings to an end what this one has begun."""
    server = the_bank.with_points(at_times(name, "kill"))
    try:
        await server.start()
        async with the_bank.busy():
            await server.ended(SECONDS)
    except DidNotStart:
        pass  # some are reached before it answers
    assert server.process is not None
    assert server.process.returncode == -signal.SIGKILL, server.printed()
    assert f"{name}: kill" in server.printed()

    await the_bank.with_points("").start()
    async with the_bank.busy():
        await asyncio.sleep(0.3)
    await the_bank.holds()


@pytest.mark.parametrize("group", GROUPS)
async def test_an_error_at_a_point_is_lived_through(the_bank: Bank, group: str) -> None:
    """All points of a group fail in one process, which stays, and brings everything to an end."""
    names = [name for name in GROUPS[group] if NAMES[name].error is not None]
    server = the_bank.with_points(",".join(at_times(name, "error") for name in names))
    await server.start()
    async with the_bank.busy():
        await until(
            lambda: all(f"{name}: error" in server.printed() for name in names),
            "all of them fail",
            SECONDS,
            0.1,
        )
        await asyncio.sleep(0.3)
    await the_bank.holds()
    assert server.process is not None
    assert server.process.poll() is None


async def test_a_point_that_is_not_there_stops_the_start(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    """With the nearest name, and all that are known."""
    server = serve(bank.BankFile(tmp_path / "bank.tsk").path, environment={VARIABLE: "append.commited:kill"})
    with pytest.raises(DidNotStart, match="exit code 1:") as stopped:
        await server.start()
    assert "did you mean `append.committed`?" in str(stopped.value)
    assert all(f"`{name}`" in str(stopped.value) for name in NAMES)
