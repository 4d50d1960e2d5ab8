"""Killed at any fail point, or failing there, an application loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import groupby
from pathlib import Path

import bank
import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from postgres_server import schema_for
from support import Connection, DidNotStart, Lost, Server, until

from tusk_runtime.failpoints import NAMES, VARIABLE

OFTEN = 12
"""At what time something happens at a point: when there is something to lose."""
SELDOM = {"relay.prepared": 1, "follower.settled": 2}
"""The same for points that are reached once for each start, or each time that letters are handled again."""
EDITED = ("reload.", "follower.claimed", "follower.released")
"""Points that are reached by edits. For the others there is none, since an edit also fills a projection anew."""
GROUPS = {prefix: list(names) for prefix, names in groupby(NAMES, lambda name: name.partition(".")[0])}
SECONDS = 30.0


def at_times(name: str, act: str) -> str:
    return f"{name}:{act}@{SELDOM.get(name, 2 if name.startswith(EDITED) else OFTEN)}"


def edits_after(*names: str) -> float:
    """From what second on the file is edited: what is not reached without is reached with it."""
    return 0.2 if any(name.startswith(EDITED) for name in names) else 8.0


class Bank:
    """The bank in a folder of its own, which outlives its processes."""

    def __init__(
        self,
        folder: Path,
        serve: Callable[..., Server],
        brokers: str | None = None,
        database: str | None = None,
    ) -> None:
        self.brokers = brokers
        self.prefix = f"bank-{uuid.uuid4().hex[:12]}"
        more = "" if brokers is None else bank.ON_KAFKA.format(brokers=brokers, prefix=self.prefix)
        self._file = bank.BankFile(
            folder / "bank.tsk",
            more if database is None else more + bank.ON_POSTGRESQL,
            f"{self.prefix}-clerk",
        )
        self._environment = {} if database is None else {"DATABASE_URL": database}
        self._serve = serve
        self.load = bank.Load(seed=7)
        self.with_points("")

    def with_points(self, points: str) -> Server:
        """The next process, with fail points set."""
        self._live = self._file.generation
        self.server = self._serve(self._file.path, environment={VARIABLE: points, **self._environment})
        return self.server

    @contextlib.asynccontextmanager
    async def busy(self, edits_after: float) -> AsyncIterator[None]:
        """A time in which commands are sent, letters are handled again, and from some second on edits are made."""
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(each)
            for each in (self.load.run(self.server, stop), self._edit(stop, edits_after), self._retry(stop))
        ]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def _edit(self, stop: asyncio.Event, after: float) -> None:
        """One edit after the other. Whatever becomes of one, all that follows the log goes on."""
        connection = self.server.connection()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), after)
        try:
            while not stop.is_set():
                await self._edit_once()
                await self._goes_on(connection)
        except Lost:
            pass

    async def _edit_once(self) -> None:
        """Edit the file, and note whether that is live then."""
        answered = self._answered()
        self._file.edit()
        await until(lambda: self._answered() > answered or self._gone, "an edit is answered", SECONDS)
        if self.server.printed().rfind(" is live\n") > self.server.printed().rfind(": not applied;"):
            self._live = self._file.generation

    @property
    def _gone(self) -> bool:
        return self.server.process is None or self.server.process.poll() is not None

    def _answered(self) -> int:
        """How many edits this process has taken or refused."""
        printed = self.server.printed()
        return printed.count(" is live\n") + printed.count(": not applied;")

    async def _goes_on(self, connection: Connection) -> None:
        """Wait until all that follows the log has come to where it ends now."""
        head = (await connection.json("/api/status"))["head"]

        async def there() -> bool:
            return bank.behind(await connection.json("/api/status"), head) == []

        await until(there, "all goes on after an edit", SECONDS)

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
            body = json.dumps({"positions": [letter["place"] for letter in letters]}).encode()
            await connection.request("POST", "/api/dead-letters/Clerk/retry", body)

    async def holds(self) -> None:
        """Everything that was promised holds, of the process that runs and of its predecessors."""
        found, events = await bank.check(self.load, self.server, self._live)
        if self.brokers is not None:
            found += await asyncio.to_thread(self._topics, events)
        assert found == []
        assert Counter(event["event_type"] for event in events)["Deposited"] > 5, (
            "there was something to lose"
        )

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
    """On Kafka where what speaks with it is meant."""
    named = request.node.callspec.params
    group = named.get("group") or named["name"].partition(".")[0]
    on_kafka = group in ("relay", "subscription")
    return Bank(tmp_path, serve, request.getfixturevalue("kafka") if on_kafka else None)


@pytest.mark.parametrize("name", NAMES)
async def test_killed_at_a_point_it_goes_on_as_if_nothing_was(the_bank: Bank, name: str) -> None:
    """Under load, and with edits; the next process brings to an end what this one has begun."""
    server = the_bank.with_points(at_times(name, "kill"))
    try:
        await server.start()
        async with the_bank.busy(edits_after(name)):
            await server.ended(SECONDS)
    except DidNotStart:
        pass  # some are reached before it answers
    assert server.process is not None
    assert server.process.returncode == -signal.SIGKILL, server.printed()
    assert f"{name}: kill" in server.printed()

    await the_bank.with_points("").start()
    async with the_bank.busy(SECONDS):
        await asyncio.sleep(0.3)
    await the_bank.holds()


@pytest.mark.parametrize("group", GROUPS)
async def test_an_error_at_a_point_is_lived_through(the_bank: Bank, group: str) -> None:
    """All points of a group fail in one process, which stays, and brings everything to an end."""
    await live_through(the_bank, [name for name in GROUPS[group] if NAMES[name].error is not None])


async def test_an_error_of_postgresql_is_lived_through(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """The points that stand in the store, and those around its commit."""
    database = await schema_for("18", tmp_path)
    names = [name for name in NAMES if name in GROUPS["append"] or name.endswith(".before_commit")]
    await live_through(Bank(tmp_path, serve, database=database), names)


async def live_through(the_bank: Bank, names: Sequence[str]) -> None:
    """Let all points fail under load."""
    server = the_bank.with_points(",".join(at_times(name, "error") for name in names))
    await server.start()
    async with the_bank.busy(edits_after(*names)):
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
