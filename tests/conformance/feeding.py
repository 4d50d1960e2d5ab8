"""An application whose consumers are fed by the store's log, or by topics of Kafka: a test need not know by which."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from apps import ACCOUNT, application

from tests.conformance.conftest import Backend
from tusk_runtime.bus.membership import source_of
from tusk_runtime.bus.subscription import Subscription
from tusk_runtime.clock import VirtualClock
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.errors import Unavailable
from tusk_runtime.events import Caller, StoredEvent
from tusk_runtime.following.follower import Follower
from tusk_runtime.following.runner import Runner
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.running.service import PartStatus
from tusk_runtime.store.deliveries import Letter
from tusk_runtime.store.protocol import Store

Feed = Literal["log", "topics"]

ANN = Caller("ann", (), "north")
SECONDS = 30.0
PARTITIONS = 3
TOPICS = """
[event_categories]
{categories}
[event_store]
streaming: "kafka"
[store_config]
kafka: {{ brokers: "{address}", topic_prefix: "{prefix}", partitions: {partitions} }}
"""


class Stage:
    """A runtime on a store that outlives it, and what its consumers left there. `GROUP` in the text of a
    consumer is a name that nobody else uses on the broker."""

    def __init__(self, feed: Feed, backend: Backend, folder: Path, address: str) -> None:
        self.feed = feed
        self.backend = backend
        self.name = f"stage-{uuid.uuid4().hex[:12]}"
        self.clock = VirtualClock(time.time_ns() // 1000)
        self._folder = folder
        self.address = address
        self.categories = 'accounts: ["Opened", "Deposited"]'
        self._consumers: Sequence[str] = ()
        self._published = False
        self._store: Store | None = None
        self.runtime: Runtime

    # ---- what runs ----------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    def text(self, *consumers: str) -> str:
        """The file."""
        about = TOPICS.format(
            categories=self.categories, address=self.address, prefix=self.name, partitions=PARTITIONS
        )
        text = "\n".join((ACCOUNT, *consumers, about if self._published else ""))
        return text.replace("GROUP", self.name)

    async def start(self, *consumers: str) -> None:
        """Start with these consumers; a store that is not durable is the one that was there before."""
        if self._store is None or "durable" in self.backend.capabilities:
            self._store = await self.backend.make(self._folder)
        self._consumers, self._published = consumers, self.feed == "topics"
        self.runtime = Runtime(application(self.text(*consumers)), self._store, self.clock)
        await self.runtime.start()

    async def stop(self) -> None:
        if hasattr(self, "runtime"):
            await self.runtime.stop()

    async def restart(self, *consumers: str, feed: Feed | None = None) -> None:
        """Stop, and start with the same consumers, or with others, fed as before, or in another way."""
        await self.stop()
        self.feed = feed or self.feed
        await self.start(*(consumers or self._consumers))

    async def edit(self, *consumers: str) -> None:
        self._consumers = consumers
        await self.runtime.apply(application(self.text(*consumers)))

    async def kill(self, consumer: str) -> None:
        """End what runs a consumer, without a word to the store or to Kafka of how far it was."""
        runner = self.runner(consumer)
        assert isinstance(runner, Follower | Subscription)
        tasks = [runner._task]
        if isinstance(runner, Subscription):
            tasks += [track.task for track in runner._tracks.values()]
            runner._tracks.clear()
        for task in filter(None, tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def forget(self, consumer: str) -> None:
        """Let a consumer stand where it began."""
        runner, deliveries = self.runner(consumer), self.store.deliveries
        sources = [source_of(each) for each in runner._tracks] if isinstance(runner, Subscription) else []
        await runner.stop()
        for source in sources:
            claim = await deliveries.take(runner.group, source, b"somebody else")
            await deliveries.save(runner.group, claim.epoch, -1, source=source)
        if not sources:
            found = await deliveries.claim(runner.group, b"somebody else", 60, begin=0)
            assert found is not None
            await deliveries.save(runner.group, found.epoch, 0)
            await deliveries.release(runner.group, b"somebody else")
        await runner.start(0)

    def runner(self, consumer: str = "Fee") -> Runner:
        """What runs a consumer."""
        behind = " of topics" if self.feed == "topics" else ""
        return self.runtime._followers.runners[f"{consumer}{behind}"]

    def actor(self, consumer: str) -> Actor:
        """What acts for a consumer."""
        runner: Any = self.runner(consumer)
        found = runner.hands._actor if self.feed == "log" else runner._handed.__self__.actor
        assert isinstance(found, Actor)
        return found

    # ---- what is done, and what is there afterwards ------------------------------------------------------

    async def open(self, *accounts: str) -> None:
        for account in accounts:
            await self.run("Open", account, owner="ann")

    async def deposit(self, account: str, *amounts: str) -> None:
        for amount in amounts:
            await self.run("Deposit", account, amount=amount)

    async def run(self, command: str, account: str = "a", **fields: str) -> None:
        await self.runtime.execute(command, fields, aggregate_id=account, caller=ANN)

    async def settled(self) -> None:
        """Wait until all that is stored was handled, or its consumer has stopped."""
        async with asyncio.timeout(SECONDS):
            settled, head = -1, await self.store.events.head()
            while settled < head:  # consumers send commands, which give events
                for runner in self.runtime._followers.runners.values():
                    runner.look()
                    while not await runner.wait_for(head, SECONDS) and not runner.progress(head).failed:
                        pass
                settled, head = head, await self.store.events.head()

    async def balances(self, *accounts: str) -> list[Decimal]:
        return [(await self.runtime.aggregate("Account", each)).state["balance"] for each in accounts]

    async def events(self, kind: str) -> list[StoredEvent]:
        return [event for event in await self.store.events.read(limit=10_000) if event.type == kind]

    async def letters(self, consumer: str = "Fee") -> list[Letter]:
        return list(await self.store.deliveries.letters(f"{self.name}-{consumer.lower()}"))

    async def standings(self, consumer: str = "Fee") -> list[str]:
        return [letter.standing for letter in await self.letters(consumer)]

    async def mark(self, standing: Literal["retry", "drop"], *letters: Letter, consumer: str = "Fee") -> None:
        """Ask for letters to be handled again or dropped, and wait for it."""
        places = [(letter.source, letter.position) for letter in letters]
        await self.store.deliveries.mark(f"{self.name}-{consumer.lower()}", places, standing)
        await self.settled()

    async def part(self, consumer: str = "Fee") -> PartStatus:
        return next(part for part in (await self.runtime.status()).parts if part.name == consumer)

    async def until(
        self, holds: Callable[[PartStatus], bool | Awaitable[bool]], consumer: str = "Fee"
    ) -> PartStatus:
        """The status of a consumer when it is so."""
        async with asyncio.timeout(SECONDS):
            while not holds(part := await self.part(consumer)):
                await asyncio.sleep(0.02)
        return part

    def told(self, letters: str = "") -> str:
        """What the status of a consumer says with such letters."""
        here = f"{PARTITIONS} partitions here" if self.feed == "topics" else ""
        return ", ".join(filter(None, (letters, here)))

    def place(self, letter: Letter) -> str:
        """How errors call the place of a letter."""
        if self.feed == "log":
            return f"position {letter.position}"
        return f"offset {letter.position} of {letter.source}"

    async def saved(self, consumer: str) -> int:
        """How many events, or messages, count as handled in the store."""
        runner = self.runner(consumer)
        if isinstance(runner, Subscription):
            return sum(track.lane._saved + 1 for track in runner._tracks.values())
        return (await self.store.deliveries.progress())[runner.group]


async def gone(*_: object, **__: object) -> None:
    """In place of something that needs the database."""
    raise Unavailable("the database is gone")
