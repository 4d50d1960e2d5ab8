"""The runtime's own events on every store: what became of each command, beside the events themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from apps import ACCOUNT, application

from tests.conformance.conftest import Backend
from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import SystemClock
from tusk_runtime.errors import NotFound, OutcomeUnknown, Refused, RuleBroken, StoreUnavailable, Unavailable
from tusk_runtime.events import Caller, StoredEvent
from tusk_runtime.store.protocol import Store
from tusk_runtime.store.verify import verify

ANN = Caller("ann", ("clerk",), "north")
AUDITED = f"[event_types]\naudit_events: true\n\n{ACCOUNT}"
OPEN: dict[str, Any] = {"aggregate_id": "a", "caller": ANN}


async def started(events: Any, text: str = AUDITED) -> CommandBus:
    bus = CommandBus(events, application(text), SystemClock())
    await bus.start()
    return bus


@pytest.fixture
async def bus(store: Store) -> AsyncIterator[CommandBus]:
    bus = await started(store.events)
    yield bus
    await bus.stop()


async def audits(store: Store) -> Sequence[StoredEvent]:
    return [event for event in await store.events.read(limit=10_000) if event.aggregate_type == "Audit"]


def told(event: StoredEvent) -> dict[str, Any]:
    return {"type": event.type, **orjson.loads(event.data)}


async def test_an_accepted_command_is_told_with_who_sent_it(store: Store, bus: CommandBus) -> None:
    await bus.execute("Open", {"owner": "ann"}, command_id=b"1" * 16, **OPEN)
    [audit] = await audits(store)
    assert told(audit) == {
        "type": "CommandAccepted",
        "command": "Open",
        "aggregate_type": "Account",
        "aggregate_id": "a",
        "user_id": "ann",
        "roles": ["clerk"],
        "tenant_id": "north",
        "version": 1,
        "events": 1,
    }
    assert audit.correlation_id == b"1" * 16
    assert [event.type for event in await store.events.read(correlation_id=b"1" * 16)] == [
        "Opened",
        "CommandAccepted",
    ]


async def test_a_refused_one_is_told_with_the_reason(store: Store, bus: CommandBus) -> None:
    await bus.execute("Open", {"owner": "ann"}, **OPEN)
    with pytest.raises(RuleBroken):
        await bus.execute("Withdraw", {"amount": "5"}, **OPEN)
    with pytest.raises(NotFound):
        await bus.execute("Withdraw", {"amount": "5"}, aggregate_id="b", caller=Caller())
    _, rule, unknown = await audits(store)
    assert told(rule) | {
        "type": "CommandRefused",
        "kind": "rule-broken",
        "reason": "not enough money",
    } == told(rule)
    assert told(unknown) == {
        "type": "CommandRefused",
        "command": "Withdraw",
        "aggregate_type": "Account",
        "aggregate_id": "b",
        "roles": [],
        "kind": "not-found",
        "reason": "there is no Account b",
    }


async def test_one_that_nobody_understands_is_told_as_well(store: Store, bus: CommandBus) -> None:
    for name, fields in (("Wthdraw", {}), ("Open", {"owner": 3}), ("x" * 500, {})):
        with pytest.raises(Refused):
            await bus.execute(name, fields, **OPEN)
    found = [told(audit) for audit in await audits(store)]
    assert [(each["command"], each["kind"]) for each in found] == [
        ("Wthdraw", "unknown-name"),
        ("Open", "invalid"),
        ("x" * 100, "unknown-name"),
    ]
    assert all("aggregate_id" not in each for each in found)


async def test_the_answer_to_a_repeated_command_is_no_new_one(store: Store, bus: CommandBus) -> None:
    for _ in range(3):
        await bus.execute("Open", {"owner": "ann"}, command_id=b"1" * 16, **OPEN)
    assert len(await audits(store)) == 1


async def test_many_at_once_are_told_each_once_and_the_log_is_whole(store: Store, bus: CommandBus) -> None:
    await bus.execute("Open", {"owner": "ann"}, **OPEN)
    commands = [
        bus.execute("Deposit" if n % 3 else "Withdraw", {"amount": "1" if n % 3 else "1000"}, **OPEN)
        for n in range(200)
    ]
    await asyncio.gather(*commands, return_exceptions=True)
    found = await audits(store)
    assert [event.version for event in found] == list(range(1, 202))
    assert (await verify(store.events)).problems == []
    assert await store.events.head() == 1 + 133 + 201


async def test_another_process_is_in_nobodys_way(
    backend: Backend, store: Store, bus: CommandBus, tmp_path: Path
) -> None:
    backend.require("shared")
    other = await backend.make(tmp_path)
    await other.open()
    second = await started(other.events)
    await asyncio.gather(
        *(
            one.execute("Open", {"owner": "ann"}, aggregate_id=f"{number}", caller=ANN)
            for number in range(100)
            for one in (bus if number % 2 else second,)
        )
    )
    found = await audits(store)
    assert len(found) == 100
    assert len({event.aggregate_id for event in found}) == 2
    assert (await verify(store.events)).problems == []
    await second.stop()
    await other.close()


class Shaky:
    """A store's events that fails once after it has written, and then once before."""

    def __init__(self, store: Store) -> None:
        self._events = store.events
        self.failures: list[Exception] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    async def append(self, batch: Any, **options: Any) -> Any:
        failure = self.failures.pop() if self.failures else None
        if isinstance(failure, StoreUnavailable):
            raise failure
        recorded = await self._events.append(batch, **options)
        if failure is not None:
            raise failure
        return recorded


async def test_an_unknown_outcome_doubles_nothing(store: Store) -> None:
    shaky = Shaky(store)
    bus = await started(shaky)
    shaky.failures = [OutcomeUnknown("cut")]
    await bus.execute("Open", {"owner": "ann"}, **OPEN)
    await bus.execute("Deposit", {"amount": "1"}, **OPEN)
    shaky.failures = [StoreUnavailable("away")]
    with pytest.raises(Unavailable):
        await bus.execute("Deposit", {"amount": "1"}, **OPEN)
    shaky.failures = [StoreUnavailable("away")]
    with pytest.raises(Unavailable):
        await bus.execute("Nothing", {}, **OPEN)
    await bus.execute("Deposit", {"amount": "1"}, **OPEN)
    found = [told(event)["command"] for event in await audits(store)]
    assert found == ["Open", "Deposit", "Deposit"]
    assert (await verify(store.events)).problems == []
    await bus.stop()


async def test_without_the_section_nothing_is_told(store: Store) -> None:
    bus = await started(store.events, ACCOUNT)
    await bus.execute("Open", {"owner": "ann"}, **OPEN)
    await bus.tell("RuntimeStarted", name="x", version="1")
    assert await store.events.head() == 1
    await bus.stop()


async def test_an_edit_lets_it_begin_and_end(store: Store) -> None:
    bus = await started(store.events, ACCOUNT)
    await bus.swap(application(AUDITED))
    await bus.execute("Open", {"owner": "ann"}, **OPEN)
    await bus.swap(application(ACCOUNT))
    await bus.execute("Deposit", {"amount": "1"}, **OPEN)
    assert [event.type for event in await store.events.read()] == ["Opened", "CommandAccepted", "Deposited"]
    await bus.stop()


async def test_one_that_an_edit_takes_away_is_told(store: Store) -> None:
    """It was taken, and waits while the edit becomes live."""
    bus = await started(store.events)
    without = AUDITED.replace("Close: {", "Shut: {").replace("Closed", "Shut_")
    await bus._between.acquire()
    swapping = asyncio.create_task(bus.swap(application(without)))
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(bus.execute("Close", {}, **OPEN))
    await asyncio.sleep(0.01)
    bus._between.release()
    with pytest.raises(Refused):
        await waiting
    await swapping
    [audit] = await audits(store)
    assert (told(audit)["command"], told(audit)["kind"]) == ("Close", "unknown-name")
    await bus.stop()
