"""Many clients on one aggregate, on every store: each command is decided on the state that it says it saw."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from apps import WITNESSED, application

from tests.conformance.conftest import Backend
from tests.conformance.test_event_store import decision
from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import SystemClock
from tusk_runtime.errors import RuleBroken
from tusk_runtime.events import Caller, new_id
from tusk_runtime.store.protocol import Store


async def test_64_clients_on_one_aggregate(backend: Backend, store: Store, tmp_path: Path) -> None:
    """On a store that is shared they are in four processes, none of which starves."""
    stores = [store]
    if "shared" in backend.capabilities:
        stores += [await backend.make(tmp_path) for _ in range(3)]
        for other in stores[1:]:
            await other.open()
    buses = [CommandBus(each.events, application(WITNESSED), SystemClock()) for each in stores]
    for bus in buses:
        await bus.start()
    await buses[0].execute("Open", {}, aggregate_id="a", caller=Caller())
    answers: dict[bytes, str] = {}
    amounts: dict[bytes, int] = {}

    async def client(own: int) -> None:
        for turn in range(8):
            key, amount = new_id(), (own * 7 + turn * 3) % 11 - 6
            try:
                await buses[own % len(buses)].execute(
                    "Move", {"amount": amount}, aggregate_id="a", command_id=key, caller=Caller()
                )
                answers[key] = ""
            except RuleBroken as refusal:
                answers[key] = refusal.message
                amounts[key] = amount

    await asyncio.gather(*(client(own) for own in range(64)))

    balances = [0]
    moved = (await store.events.read(limit=10_000))[1:]
    for event in moved:
        data = orjson.loads(event.data)
        assert data["seen"] == balances[-1]
        balances.append(balances[-1] + data["amount"])
    assert min(balances) >= 0
    assert {event.command_id for event in moved} == {key for key, told in answers.items() if not told}
    ledger = await store.events.recorded(list(answers))
    for key, told in answers.items():
        if told:
            assert int(told) == balances[ledger[key].version - 1]
            assert int(told) + amounts[key] < 0
    assert len(answers) == 512
    for bus in buses:
        await bus.stop()
    for other in stores[1:]:
        await other.close()


async def test_others_wait_while_one_is_alone(backend: Backend, store: Store, tmp_path: Path) -> None:
    backend.require("shared")
    other = await backend.make(tmp_path)
    await other.open()
    async with store.events.alone():
        waiting = asyncio.create_task(other.events.append([decision("a", 0, "Placed")]))
        await asyncio.sleep(0.2)
        assert await store.events.head() == 0
        await store.events.append([decision("a", 0, "Paid")])
        assert not waiting.done()
    with pytest.raises(Exception, match="another writer was first"):
        await waiting
    await other.events.append([decision("a", 1, "Placed")])
    await other.close()


async def test_alone_it_appends_as_ever(store: Store) -> None:
    async with store.events.alone():
        await store.events.append([decision("a", 0, "Placed")])
        await store.events.append([decision("a", 1, "Paid")])
    await store.events.append([decision("a", 2, "Sent")])
    assert await store.events.head() == 3
