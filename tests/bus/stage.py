"""What the tests of publishing share: an application on a store of its own, and what stands on its topics."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from apps import ACCOUNT, application
from confluent_kafka import Consumer, KafkaError, Message

from tusk_runtime.events import Caller, StoredEvent
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.running.service import PartStatus
from tusk_runtime.store.sqlite import SqliteStore

ANN = Caller("ann")
SECONDS = 20.0


def text_of(address: str, prefix: str, more: str = "") -> str:
    return f"""{ACCOUNT}
[event_categories]
accounts: ["Opened", "Closed"]
money: ["Deposited"]
[event_store]
streaming: "kafka"
[store_config]
kafka: {{ brokers: "{address}", topic_prefix: "{prefix}", partitions: 3 {more} }}
"""


def read(
    address: str, topic: str, count: int, seconds: float = SECONDS, *, quiet: float = 1.0
) -> list[Message]:
    """All messages of a topic: at least `count`, and those that come in the seconds `quiet` after these."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[Message] = []
    try:
        while len(found) < count:
            message = consumer.poll(seconds)
            assert message is not None, f"{len(found)} of {count} messages"
            if message.error() is None:
                found.append(message)
            else:
                assert message.error().code() != KafkaError.UNKNOWN_TOPIC_OR_PART, message.error()
        while (message := consumer.poll(quiet)) is not None:
            found.append(message)
    finally:
        consumer.close()
    return found


def versions_of(messages: list[Message]) -> dict[str, list[int]]:
    """By key the versions of its events, in the order in which they first came."""
    found: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        version = int(dict(message.headers())["aggregate_version"])
        if version not in found[message.key().decode()]:
            found[message.key().decode()].append(version)
    return dict(found)


class Stage:
    """An application on a store of its own, which outlives its runtimes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"test-{uuid.uuid4().hex[:12]}"
        self.consumers = ""
        self.runtime: Runtime

    async def start(self, address: str, more: str = "") -> None:
        store = SqliteStore(self.folder / "store.db")
        self.runtime = Runtime(application(text_of(address, self.prefix, more) + self.consumers), store)
        await self.runtime.start()

    async def again(self, address: str, more: str = "") -> None:
        """Stop, and start with a corrected file."""
        await self.runtime.stop()
        await self.start(address, more)

    async def open(self, *accounts: str) -> None:
        for account in accounts:
            await self.runtime.execute("Open", {"owner": "ann"}, aggregate_id=account, caller=ANN)

    async def deposit(self, account: str, count: int = 1, **more: str) -> None:
        for _ in range(count):
            await self.runtime.execute("Deposit", {"amount": "1", **more}, aggregate_id=account, caller=ANN)

    async def relay(self) -> PartStatus:
        return next(part for part in (await self.runtime.status()).parts if part.name == "@relay")

    async def until(self, holds: Callable[[PartStatus], bool], seconds: float = SECONDS) -> PartStatus:
        async with asyncio.timeout(seconds):
            while not holds(part := await self.relay()):
                await asyncio.sleep(0.05)
        return part

    async def published(self, seconds: float = SECONDS) -> None:
        await self.until(lambda part: part.lag == 0 and not part.error, seconds)

    async def events(self, type_: str) -> list[StoredEvent]:
        return [
            event for event in await self.runtime._store.events.read(limit=100_000) if event.type == type_
        ]
