"""Consumers on every store: what outlives a process, and how several processes share one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from apps import ACCOUNT, application

from tests.conformance.conftest import Backend
from tusk_runtime.errors import Conflict
from tusk_runtime.events import Caller
from tusk_runtime.following.follower import Follower
from tusk_runtime.running.runtime import Runtime

ANN = Caller("ann")
FEE = (
    ACCOUNT
    + """
[consumers.Fee]
on: { Deposited: { send: "Withdraw", with: { amount: "{{ 10 / data.amount }}" }, when: "{{ data.amount != 7 }}" } }
"""
)
# Of 20 it takes 0.50; 10 / 0.03 is no amount of money, and parks the account.

Start = Callable[[], Awaitable[Runtime]]


@pytest.fixture
async def start(backend: Backend, tmp_path: Path) -> AsyncIterator[Start]:
    started: list[Runtime] = []

    async def one_more() -> Runtime:
        runtime = Runtime(application(FEE), await backend.make(tmp_path))
        await runtime.start()
        started.append(runtime)
        return runtime

    yield one_more
    for runtime in started:
        await runtime.stop()


async def deposit(runtime: Runtime, account: str, *amounts: str) -> None:
    for amount in amounts:
        await runtime.execute("Deposit", {"amount": amount}, aggregate_id=account, caller=ANN)


async def opened(runtime: Runtime, *accounts: str) -> None:
    for account in accounts:
        await runtime.execute("Open", {"owner": "ann"}, aggregate_id=account, caller=ANN)


async def balance(runtime: Runtime, account: str) -> Decimal:
    found: Decimal = (await runtime.aggregate("Account", account)).state["balance"]
    return found


async def standings(runtime: Runtime) -> list[str]:
    return [letter.standing for letter in await runtime._store.deliveries.letters("Fee")]


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.02)


async def test_one_of_several_processes_has_a_consumer(backend: Backend, start: Start) -> None:
    """The others stand by, say so, and take over as soon as it stops."""
    backend.require("shared")
    first, second = await start(), await start()
    await opened(first, "a")
    await deposit(second, "a", "20")
    await first.settle()
    parts = {part.name: part for part in (await second.status()).parts}
    assert parts["Fee"].detail == "another process runs it"
    await first.stop()
    await deposit(second, "a", "20")

    async def took_over() -> bool:
        return await balance(second, "a") == 39

    await until(took_over)
    kinds = [event.type for event in await second._store.events.read(limit=100)]
    assert kinds.count("Withdrawn") == 2


async def test_a_process_that_stood_still_changes_nothing(
    backend: Backend, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past its lease another one handles its events; what it was about to write is refused."""
    backend.require("shared")
    monkeypatch.setattr("tusk_runtime.following.follower.LEASE_SECONDS", 0.3)
    first = await start()
    await opened(first, "a")
    await first.settle()
    frozen = first._followers.runners["Fee"]
    assert isinstance(frozen, Follower)
    task, lane = frozen._task, frozen._lane
    assert task is not None
    assert lane is not None
    task.cancel()  # without a word: the lease is not given back
    second = await start()
    await deposit(second, "a", "20")

    async def took_over() -> bool:
        return await balance(second, "a") == Decimal("19.5")

    await until(took_over)
    with pytest.raises(Conflict):
        await first._store.deliveries.save("Fee", lane.epoch, 99)
