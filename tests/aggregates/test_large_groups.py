"""Large groups of commands: in halves that do not touch each other, and answered whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal

import pytest
from apps import ACCOUNT, application
from flaky_store import Flaky

from tusk_runtime.aggregates.bus import LARGE_BATCH, CommandBus
from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import Conflict, StoreUnavailable, Unavailable
from tusk_runtime.events import Caller
from tusk_runtime.running.backends import memory_store
from tusk_runtime.store.protocol import Decision, Store, StreamId

ANN = Caller("ann")


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = memory_store()
    await store.open()
    yield store
    await store.close()


async def balance(bus: CommandBus, store: Store, account: str = "a") -> Decimal:
    events = await store.events.read_stream(StreamId("Account", account))
    return bus.fold("Account", events).values["balance"]


async def test_of_many_one_half_is_decided_while_the_other_is_written(store: Store) -> None:
    """The halves have no aggregate in common, and one that fails does not touch the other."""
    log, begun, halves, overlaps = Flaky(store.events), asyncio.Event(), [], []
    bus = CommandBus(log, application(ACCOUNT), VirtualClock(0))  # type: ignore[arg-type]
    await bus.start()

    async def append(batch: list[Decision], **options: bool) -> object:
        halves.append({each.aggregate_id for each in batch})
        if len(halves) == 1:
            with suppress(TimeoutError):
                overlaps.append(await asyncio.wait_for(begun.wait(), 5))
            raise StoreUnavailable("full")
        begun.set()
        return await store.events.append(batch, **options)

    log.append = append  # type: ignore[method-assign]
    accounts = [f"a{number}" for number in range(LARGE_BATCH // 2)]
    answers = await asyncio.gather(
        *(bus.execute("Open", {"owner": "ann"}, aggregate_id=each, caller=ANN) for each in accounts),
        *(bus.execute("Deposit", {"amount": "1"}, aggregate_id=each, caller=ANN) for each in accounts),
        return_exceptions=True,
    )
    await bus.stop()
    failed, written = halves
    assert overlaps == [True]
    assert failed | written == set(accounts)
    assert failed.isdisjoint(written)
    for account, opened, deposited in zip(accounts, answers, answers[len(accounts) :], strict=False):
        if account in failed:
            assert isinstance(opened, Unavailable)
            assert isinstance(deposited, Unavailable)
        else:
            assert (opened[0].version, deposited[0].version) == (1, 2)  # type: ignore[index]
            assert await balance(bus, store, account) == 1


@pytest.mark.parametrize("why", ["audited", "slow"])
async def test_many_are_one_group(why: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the audit is one stream, or a transaction takes long, all are written together."""
    text = ACCOUNT if why == "slow" else f"{ACCOUNT}\n[event_types]\naudit_events: true\n"
    if why == "slow":
        monkeypatch.setattr("tusk_runtime.aggregates.bus.SLOW_SECONDS", -1)
    log, sizes = Flaky(store.events), []
    bus = CommandBus(log, application(text), VirtualClock(0))  # type: ignore[arg-type]
    await bus.start()

    async def append(batch: list[Decision], **options: bool) -> object:
        sizes.append(sum(each.aggregate_type == "Account" for each in batch))
        return await store.events.append(batch, **options)

    log.append = append  # type: ignore[method-assign]
    await asyncio.gather(
        *(
            bus.execute("Open", {"owner": "ann"}, aggregate_id=f"a{number}", caller=ANN)
            for number in range(LARGE_BATCH)
        )
    )
    await bus.stop()
    assert sizes[0] == LARGE_BATCH


async def test_large_groups_that_fail(store: Store) -> None:
    """Each command is answered once, and after each failure the states are right."""
    log = Flaky(store.events)
    bus = CommandBus(log, application(ACCOUNT), VirtualClock(0))  # type: ignore[arg-type]
    await bus.start()
    await bus.execute("Open", {"owner": "ann"}, aggregate_id="a", caller=ANN)

    async def client() -> list[int]:
        return [
            (await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", caller=ANN))[0].version
            for _ in range(5)
        ]

    log.plan = [None, Conflict("again"), None, StoreUnavailable("full")]
    answers = await asyncio.gather(*(client() for _ in range(200)), return_exceptions=True)
    await bus.stop()
    written = [version for each in answers if isinstance(each, list) for version in each]
    assert len(written) == len(set(written))
    assert all(isinstance(each, Unavailable) for each in answers if not isinstance(each, list))
    versions = [event.version for event in await store.events.read(limit=5000)]
    assert versions == list(range(1, len(versions) + 1))
    assert await balance(bus, store) == len(versions) - 1
