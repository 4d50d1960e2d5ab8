"""An application whose consumers read topics of Kafka, for tests."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection
from decimal import Decimal
from pathlib import Path

from apps import ACCOUNT, application
from confluent_kafka import Consumer as Reader
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tusk_runtime.events import Caller
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.running.service import PartStatus
from tusk_runtime.store.protocol import Store
from tusk_runtime.store.sqlite import SqliteStore

ANN = Caller("ann")
SECONDS = 20.0
PARTITIONS = 3
CONSUMERS = """
[consumers.Fee]
description: "Half of what comes in."
group: "GROUP-fee"
on: { Deposited: { send: "Withdraw", with: { amount: "{{ 10 / data.amount }}" }, when: "{{ data.amount >= 20 }}" } }
[consumers.Clerk]
group: "GROUP-clerk"
on: { Deposited: { log: "seen {{ event.aggregate_id }} {{ event.version }}" } }
"""
BANK = """
[consumers.Bank]
group: "GROUP-bank"
topics: ["GROUP-inbox"]
accept: [
  { when: "{{ message.type == 'deposit' }}", message: { account: "string", amount: "decimal(places=2)" }, send: "Deposit", with: { aggregate_id: "{{ message.account }}" } },
  { when: "{{ message.type == 'note' }}", ignore: true }
]
"""


Sent = tuple[str | None, bytes | str, dict[str, str]]
"""Key, value and headers of a message that somebody else writes."""


class Bank:
    """An application on a store, with topics and groups of its own, which outlives its runtimes."""

    def __init__(self, address: str, folder: Path, consumers: str = CONSUMERS) -> None:
        self.address = address
        self.name = f"bank-{uuid.uuid4().hex[:12]}"
        self.consumers = consumers
        self.folder = folder
        self._running: list[Runtime] = []

    @property
    def runtime(self) -> Runtime:
        """What was started last."""
        return self._running[-1]

    @property
    def inbox(self) -> str:
        """The topic that others write to."""
        return f"{self.name}-inbox"

    async def start(self, store: Store | None = None, more: str = "") -> Runtime:
        """One more process, as it were; the store is SQLite, which has room for one, if none is given."""
        text = f"""{ACCOUNT}{self.consumers.replace("GROUP", self.name)}
[event_categories]
money: ["Deposited"]
[event_store]
streaming: "kafka"
[store_config]
kafka: {{ brokers: "{self.address}", topic_prefix: "{self.name}", partitions: {PARTITIONS} }}
{more}
"""
        runtime = Runtime(application(text), store or SqliteStore(self.folder / "store.db"))
        await runtime.start()
        self._running.append(runtime)
        return runtime

    async def stop(self) -> None:
        """All that was started and not stopped yet."""
        while self._running:
            await self._running.pop().stop()

    async def open(self, *accounts: str) -> None:
        for account in accounts:
            await self.runtime.execute("Open", {"owner": "ann"}, aggregate_id=account, caller=ANN)

    async def deposit(self, account: str, amount: str = "1", count: int = 1) -> None:
        for _ in range(count):
            await self.runtime.execute("Deposit", {"amount": amount}, aggregate_id=account, caller=ANN)

    async def balance(self, account: str) -> Decimal:
        found: Decimal = (await self.runtime.aggregate("Account", account)).state["balance"]
        return found

    async def part(self, name: str, runtime: Runtime | None = None) -> PartStatus:
        parts = (await (runtime or self.runtime).status()).parts
        return next(part for part in parts if part.name == name)

    async def until(
        self, name: str, holds: Callable[[PartStatus], bool], seconds: float = SECONDS
    ) -> PartStatus:
        """The status of a part when it is so."""
        part = await self.part(name)
        try:
            async with asyncio.timeout(seconds):
                while not holds(part := await self.part(name)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"after {seconds} s: {part}") from None
        return part

    async def settled(self, seconds: float = 3 * SECONDS) -> None:
        """Wait until everything that is stored was published, and all that is in topics was handled."""
        async with asyncio.timeout(seconds):
            while True:
                head = await self.runtime._store.events.head()
                runners = self.runtime._followers.runners.values()
                handled = all([await runner.wait_for(head, 5) for runner in runners])
                if handled and head == await self.runtime._store.events.head():
                    return

    def make_inbox(self, partitions: int = PARTITIONS) -> None:
        """Make the topic that others write to."""
        make_topic(self.address, self.inbox, partitions)

    def write(self, *messages: Sent) -> None:
        """Write messages to the inbox, as somebody else does."""
        self.write_to(self.inbox, *messages)

    def write_to(self, topic: str, *messages: Sent) -> None:
        """Write messages to any topic."""
        write_to(self.address, topic, *messages)

    def commit(self, group: str, topic: str, offset: int) -> None:
        """Tell Kafka that a group is at an offset of the first partition, as its tools do."""
        reader = Reader({"bootstrap.servers": self.address, "group.id": group})
        try:
            reader.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        finally:
            reader.close()

    def committed(self, group: str, topic: str, partitions: int = PARTITIONS) -> dict[int, int]:
        """By partition the offset that Kafka knows of a group, where it knows one."""
        reader = Reader({"bootstrap.servers": self.address, "group.id": group})
        wanted = [TopicPartition(topic, number) for number in range(partitions)]
        try:
            found = reader.committed(wanted, timeout=10)
        finally:
            reader.close()
        return {each.partition: each.offset for each in found if each.offset >= 0}


def make_topic(address: str, topic: str, partitions: int, *messages: Sent) -> None:
    """Make a topic, with messages in it."""
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
    write_to(address, topic, *messages)


def write_to(address: str, topic: str, *messages: Sent) -> None:
    """Write messages to a topic."""
    producer = Producer({"bootstrap.servers": address, "message.max.bytes": 8_000_000})
    for key, value, headers in messages:
        producer.produce(topic, value, key, headers=list(headers.items()))
    producer.flush(30)


def seen_by(lines: Collection[str]) -> dict[str, list[int]]:
    """By account the versions of which the clerk wrote a line, in their order."""
    found: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        if line.startswith("Clerk: seen "):
            _, _, account, version = line.split()
            found[account].append(int(version))
    return dict(found)
