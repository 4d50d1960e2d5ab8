"""Snapshots on every store: a cache of states, never more than that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from apps import application

from tests.conformance.conftest import Backend
from tests.conformance.test_event_store import decision
from tusk_runtime.aggregates import snapshots as module
from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import SystemClock
from tusk_runtime.events import Caller
from tusk_runtime.model.application import Application
from tusk_runtime.store.protocol import EventStore, Snapshot, Store, StreamId

A, B, P = StreamId("Order", "a"), StreamId("Order", "b"), StreamId("Payment", "a")
ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture
async def filled(events: EventStore) -> EventStore:
    await events.append(
        [
            decision("a", 0, "Placed", "Paid", "Sent"),
            decision("b", 0, "Placed"),
            decision("a", 0, "Booked", aggregate_type="Payment"),
        ]
    )
    return events


class TestOfTheStore:
    async def test_it_comes_back(self, filled: EventStore) -> None:
        saved = [Snapshot(A, ONE, 2, b'{"x":1}'), Snapshot(P, TWO, 1, b"{}")]
        await filled.save_snapshots(saved)
        assert await filled.snapshots([A, B, P, StreamId("Order", "x")]) == {A: saved[0], P: saved[1]}
        assert await filled.snapshots([]) == {}
        await filled.save_snapshots([])

    async def test_the_newer_one_of_a_definition_stays(self, filled: EventStore) -> None:
        await filled.save_snapshots([Snapshot(A, ONE, 3, b"new")])
        await filled.save_snapshots([Snapshot(A, ONE, 2, b"old")])
        assert (await filled.snapshots([A]))[A].state == b"new"

    async def test_the_last_definition_takes_the_place(self, filled: EventStore) -> None:
        await filled.save_snapshots([Snapshot(A, ONE, 3, b"one")])
        await filled.save_snapshots([Snapshot(A, TWO, 2, b"two")])
        assert await filled.snapshots([A]) == {A: Snapshot(A, TWO, 2, b"two")}

    async def test_those_of_a_definition_can_be_dropped(self, filled: EventStore) -> None:
        await filled.save_snapshots([Snapshot(A, ONE, 3, b"one"), Snapshot(B, TWO, 1, b"two")])
        await filled.drop_snapshots(ONE)
        assert list(await filled.snapshots([A, B])) == [B]

    async def test_only_aggregates_that_exist_have_one(self, filled: EventStore) -> None:
        await filled.save_snapshots([Snapshot(StreamId("Order", "x"), ONE, 3, b"one")])
        assert await filled.snapshots([StreamId("Order", "x")]) == {}

    async def test_many_at_once_and_by_two_at_once(self, events: EventStore) -> None:
        await events.append([decision(f"a{n}", 0, "Placed") for n in range(600)])
        streams = [StreamId("Order", f"a{n}") for n in range(600)]
        one = [Snapshot(stream, ONE, 1, b"s") for stream in streams]
        await asyncio.gather(events.save_snapshots(one), events.save_snapshots(one[::-1]))
        assert len(await events.snapshots(streams)) == 600


TEXT = """
[events.Opened]
fields: { owner: "string?", tags: "list<string>", limit: "decimal", at: "datetime" }

[events.Paid]
fields: { amount: "decimal" }

[aggregates.Account]
state: { owner: "string?", tags: "list<string> = []", limit: "decimal = 5", at: "datetime?", sum: "decimal = 0", note: "string?" }
on: {
  Opened: { owner: "{{ data.owner }}", tags: "{{ data.tags }}", limit: "{{ data.limit }}", at: "{{ data.at }}" },
  Paid: { sum: "{{ state.sum + data.amount }}" }
}
id: "string"
snapshot_every: 10

[commands.Open]
aggregate: "Account"
fields: { owner: "string?", tags: "list<string> = ['x']", limit: "decimal = 1.50", at: "datetime = @date('2026-01-01T00:00:00Z')" }
creates: true
emit: "Opened"

[commands.Pay]
aggregate: "Account"
fields: { amount: "decimal" }
require: [{ check: "{{ state.limit == 1.5 and state.note == null }}", message: "no" }]
emit: "Paid"
""".replace(" = @date('2026-01-01T00:00:00Z')", "")
WHEN = "2026-01-01T00:00:00Z"
ACCOUNT = StreamId("Account", "a")


def app(change: str = "", to: str = "") -> Application:
    assert change in TEXT
    return application(TEXT.replace(change, to) if change else TEXT)


class Watched:
    """A store's events that remembers how many of each aggregate were read at once."""

    def __init__(self, events: EventStore) -> None:
        self.events = events
        self.counts: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.events, name)

    async def read_streams(self, streams: Any, after: Any) -> Any:
        found = await self.events.read_streams(streams, after)
        self.counts += [len(each) for each in found.values()]
        return found


async def started(events: Any, application: Application | None = None) -> CommandBus:
    bus = CommandBus(events, application or app(), SystemClock())
    await bus.start()
    return bus


@pytest.fixture
async def bus(store: Store) -> AsyncIterator[CommandBus]:
    bus = await started(store.events)
    yield bus
    await bus.stop()


async def pay(bus: CommandBus, times: int, id_: str = "a") -> None:
    for _ in range(times):
        await bus.execute("Pay", {"amount": "1.25"}, aggregate_id=id_, caller=Caller("ann"))


async def opened(bus: CommandBus, id_: str = "a") -> None:
    await bus.execute("Open", {"at": WHEN}, aggregate_id=id_, caller=Caller("ann"))


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


class TestOfTheBus:
    async def test_one_is_saved_at_each_multiple(self, store: Store, bus: CommandBus) -> None:
        await opened(bus)
        await pay(bus, 8)
        await asyncio.sleep(0.05)
        assert await store.events.snapshots([ACCOUNT]) == {}
        await pay(bus, 1)
        await until(lambda: bus.snapshots.saved == 1)
        assert (await store.events.snapshots([ACCOUNT]))[ACCOUNT].version == 10
        await pay(bus, 14)
        await until(lambda: bus.snapshots.saved == 2)
        assert (await store.events.snapshots([ACCOUNT]))[ACCOUNT].version == 20

    async def test_only_what_stands_behind_it_is_read_and_the_state_is_the_same(
        self, store: Store, bus: CommandBus
    ) -> None:
        await opened(bus)
        await pay(bus, 13)
        await until(lambda: bus.snapshots.saved == 1)
        watched = Watched(store.events)
        again = await started(watched)
        # Its rule looks at a decimal of the state, and at a null.
        await pay(again, 1)
        assert watched.counts == [4]
        await until(lambda: again.snapshots.audited == 1)
        assert again.snapshots.error == ""
        [state] = (await again._states.of([ACCOUNT], again.handlers)).values()
        assert state == again.fold("Account", await store.events.read_stream(ACCOUNT))
        assert state.version == 15
        await again.stop()

    async def test_another_definition_does_not_take_it(self, store: Store, bus: CommandBus) -> None:
        await opened(bus)
        await pay(bus, 10)
        await until(lambda: bus.snapshots.saved == 1)
        watched = Watched(store.events)
        again = await started(watched, app("state.sum + data.amount", "state.sum + 2 * data.amount"))
        await pay(again, 1)
        assert watched.counts == [11]
        await pay(again, 8)
        await until(lambda: again.snapshots.saved == 1)
        await again.stop()

    async def test_an_edit_goes_on_with_its_own(self, store: Store, bus: CommandBus) -> None:
        await opened(bus)
        await pay(bus, 10)
        await bus.swap(app("state.sum + data.amount", "state.sum + 2 * data.amount"))
        await pay(bus, 10)
        await until(lambda: bus.snapshots.saved == 2)
        assert b'"sum":"47.50"' in (await store.events.snapshots([ACCOUNT]))[ACCOUNT].state

    async def test_one_that_is_wrong_is_found_and_none_is_used_any_more(
        self, store: Store, bus: CommandBus
    ) -> None:
        await opened(bus)
        await pay(bus, 10)
        await until(lambda: bus.snapshots.saved == 1)
        true = (await store.events.snapshots([ACCOUNT]))[ACCOUNT]
        false = true._replace(version=11, state=true.state.replace(b'"sum":"11.25"', b'"sum":"99"'))
        assert false.state != true.state
        await store.events.save_snapshots([false])

        again = await started(store.events)
        await pay(again, 1)
        await until(lambda: again.snapshots.error and not again.snapshots._dropped)
        assert again.snapshots.error == (
            "the snapshot of Account a differs from what its events say: none is used"
        )
        assert await store.events.snapshots([ACCOUNT]) == {}
        [state] = (await again._states.of([ACCOUNT], again.handlers)).values()
        assert state == again.fold("Account", await store.events.read_stream(ACCOUNT))
        await pay(again, 10)
        assert await store.events.snapshots([ACCOUNT]) == {}
        await again.stop()

    async def test_one_that_cannot_be_read_is_not_used(self, store: Store, bus: CommandBus) -> None:
        await opened(bus)
        await pay(bus, 10)
        await until(lambda: bus.snapshots.saved == 1)
        true = (await store.events.snapshots([ACCOUNT]))[ACCOUNT]
        await store.events.save_snapshots([true._replace(version=11, state=b"[")])
        again = await started(store.events)
        await pay(again, 1)
        await until(lambda: again.snapshots.error and not again.snapshots._dropped)
        assert "cannot be read" in again.snapshots.error
        assert await store.events.snapshots([ACCOUNT]) == {}
        await again.stop()

    async def test_one_of_64_is_compared(self, store: Store, bus: CommandBus) -> None:
        for number in range(65):
            await opened(bus, f"a{number}")
        await asyncio.gather(*(pay(bus, 9, f"a{number}") for number in range(65)))
        await until(lambda: bus.snapshots.saved == 65)
        await until(lambda: bus.snapshots.audited == 2)
        assert module.AUDITED == 64

    async def test_a_store_that_fails_hurts_no_command(
        self, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tusk_runtime.errors import StoreUnavailable

        store = await backend.make(tmp_path)
        await store.open()

        class Failing(Watched):
            async def save_snapshots(self, snapshots: Any) -> None:
                self.counts.append(-1)
                raise StoreUnavailable("no room")

        monkeypatch.setattr(module, "PAUSE", 0.01)
        failing = Failing(store.events)
        bus = await started(failing)
        await opened(bus)
        await pay(bus, 25)
        await until(lambda: -1 in failing.counts)
        await pay(bus, 1)
        assert bus.snapshots.error == ""
        await bus.stop()
        await store.close()
