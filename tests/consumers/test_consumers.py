"""Consumers: every event handled, in order by aggregate, once in effect, and nothing lost that fails."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from decimal import Decimal

import orjson
import pytest
from apps import ACCOUNT, application

from tusk_runtime.clock import VirtualClock
from tusk_runtime.events import Caller, StoredEvent, id_text
from tusk_runtime.following.follower import Follower
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.deliveries import Letter
from tusk_runtime.store.protocol import Store

ANN = Caller("ann", (), "north")
GREETING = """
[consumers.Greeting]
on: { Opened: { send: "Deposit", with: { amount: "1" } } }
"""
FEE = """
[consumers.Fee]
on: { Deposited: { send: "Withdraw", with: { amount: "1" }, when: "{{ data.amount > 10 }}" } }
"""
# Parks what was deposited as 13, and takes 1 from everything else.
UNLUCKY = """
[consumers.Fee]
on: { Deposited: { send: "Withdraw", with: { amount: "{{ 1 / (data.amount - 13) * (data.amount - 13) }}" } } }
"""
START = 1_000_000


class Stage:
    """A runtime on a store that outlives it, and what the consumers left there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = VirtualClock(START)
        self.runtime: Runtime

    async def start(self, *parts: str) -> None:
        self.runtime = Runtime(application("\n".join((ACCOUNT, *parts))), self.store, self.clock)
        await self.runtime.start()

    async def edit(self, *parts: str) -> None:
        await self.runtime.apply(application("\n".join((ACCOUNT, *parts))))

    async def run(self, command: str, account: str = "a", **fields: str) -> None:
        await self.runtime.execute(command, fields, aggregate_id=account, caller=ANN)

    async def settled(self) -> None:
        await self.runtime.settle()

    async def balance(self, account: str = "a") -> Decimal:
        found: Decimal = (await self.runtime.aggregate("Account", account)).state["balance"]
        return found

    async def events(self, account: str | None = None) -> list[StoredEvent]:
        return list(await self.store.events.read(limit=10_000, aggregate_id=account))

    async def letters(self, consumer: str = "Fee") -> list[Letter]:
        return list(await self.store.deliveries.letters(consumer))

    def runner(self, consumer: str = "Fee") -> Follower:
        return self.runtime._followers.runners[consumer]

    async def mark(self, standing: str, *letters: Letter, consumer: str = "Fee") -> None:
        places = [(letter.source, letter.position) for letter in letters]
        await self.store.deliveries.mark(consumer, places, standing)  # type: ignore[arg-type]
        await self.settled()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage(memory_store())
    yield stage
    await stage.runtime.stop()


async def test_an_event_sends_a_command(stage: Stage) -> None:
    """To its own aggregate, with what it follows from, in the name of the consumer."""
    await stage.start(GREETING)
    await stage.run("Open", owner="ann")
    await stage.settled()
    opened, deposited = await stage.events("a")
    assert await stage.balance() == 1
    assert deposited.correlation_id == opened.correlation_id
    meta = orjson.loads(deposited.metadata)
    assert meta["causation_id"] == id_text(opened.event_id)
    assert (meta["user_id"], meta["tenant_id"]) == ("consumer Greeting", "north")


async def test_a_condition_leaves_an_event_out(stage: Stage) -> None:
    """`when` decides on the event's data."""
    await stage.start(FEE)
    await stage.run("Open", owner="ann")
    await stage.run("Deposit", amount="10")
    await stage.run("Deposit", amount="20")
    await stage.settled()
    assert await stage.balance() == 29


async def test_one_command_for_each_element(stage: Stage) -> None:
    """`for_each` sends several, each once, also where the same is sent twice."""
    await stage.start(
        "[consumers.Greeting]\n"
        'on: { Opened: [{ send: "Deposit", for_each: "{{ [1, 2, 3] }}", as: "n", when: "{{ n != 2 }}", '
        'with: { amount: "{{ n }}" } }, { send: "Deposit", with: { amount: "1" } }] }'
    )
    await stage.run("Open", owner="ann")
    await stage.settled()
    assert [orjson.loads(event.data).get("amount") for event in await stage.events()] == [
        None,
        "1.00",
        "3.00",
        "1.00",
    ]


async def test_a_line_in_the_log(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """`log` writes with its level."""
    await stage.start(
        '[consumers.Teller]\non: { Opened: { log: { level: "warning", message: "{{ data.owner }} came" } } }'
    )
    with caplog.at_level(logging.WARNING, "tusk.consumers"):
        await stage.run("Open", owner="ann")
        await stage.settled()
    assert [record.getMessage() for record in caplog.records] == ["Teller: ann came"]


async def test_a_refused_command_may_be_ignored(stage: Stage) -> None:
    """`on_refused: ignore` goes on with the next action."""
    await stage.start(
        '[consumers.Fee]\non_refused: "ignore"\n'
        'on: { Opened: [{ send: "Withdraw", with: { amount: "5" } }, { send: "Deposit", with: { amount: "7" } }] }'
    )
    await stage.run("Open", owner="ann")
    await stage.settled()
    assert await stage.balance() == 7
    assert await stage.letters() == []
