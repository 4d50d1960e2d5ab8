"""What every store promises about the values that an aggregate holds alone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import Backend
from tests.conformance.test_event_store import decision
from tusk_runtime.errors import Conflict, Superseded, Taken
from tusk_runtime.store.protocol import Decision, EventStore, Held, Reservation, StreamId

EMAIL, NAME = b"e" * 16, b"n" * 16


def value(text: str, definition: bytes = EMAIL) -> Reservation:
    return Reservation(definition, text.encode().ljust(16, b"."))


def changing(
    decided: Decision,
    *,
    takes: Collection[Reservation] = (),
    lets_go: Collection[Reservation] = (),
) -> Decision:
    decided.reserves, decided.releases = list(takes), list(lets_go)
    return decided


async def nothing(definitions: Collection[bytes]) -> Held:
    return {key: {} for key in definitions}


@pytest.fixture
async def kept(events: EventStore) -> EventStore:
    await events.promise({"Order": [EMAIL, NAME]}, nothing)
    return events


async def test_a_value_has_one_holder(kept: EventStore) -> None:
    await kept.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
    with pytest.raises(Taken) as raised:
        await kept.append([changing(decision("b", 0, "Placed"), takes=[value("x"), value("y")])])
    assert raised.value.holders == {value("x"): StreamId("Order", "a")}
    assert await kept.head() == 1
    # Nothing of it was written, so `y` is free.
    await kept.append([changing(decision("b", 0, "Placed"), takes=[value("y")])])


async def test_the_same_value_under_another_promise_is_another(kept: EventStore) -> None:
    await kept.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
    await kept.append([changing(decision("b", 0, "Placed"), takes=[value("x", NAME)])])


async def test_a_value_that_was_let_go_is_free(kept: EventStore) -> None:
    await kept.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
    await kept.append([changing(decision("a", 1, "Moved"), takes=[value("y")], lets_go=[value("x")])])
    await kept.append([changing(decision("b", 0, "Placed"), takes=[value("x")])])
    with pytest.raises(Taken) as raised:
        await kept.append([changing(decision("c", 0, "Placed"), takes=[value("y")])])
    assert raised.value.holders == {value("y"): StreamId("Order", "a")}


async def test_a_batch_may_hand_a_value_on(kept: EventStore) -> None:
    await kept.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
    await kept.append(
        [
            changing(decision("a", 1, "Moved"), lets_go=[value("x")]),
            changing(decision("b", 0, "Placed"), takes=[value("x")]),
            changing(decision("b", 1, "Moved"), lets_go=[value("x")]),
            changing(decision("c", 0, "Placed"), takes=[value("x")]),
        ]
    )
    with pytest.raises(Taken) as raised:
        await kept.append([changing(decision("d", 0, "Placed"), takes=[value("x")])])
    assert raised.value.holders == {value("x"): StreamId("Order", "c")}


async def test_to_hold_a_value_for_a_moment_it_has_to_be_free(kept: EventStore) -> None:
    await kept.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
    batch = [
        changing(decision("b", 0, "Placed"), takes=[value("x")]),
        changing(decision("b", 1, "Moved"), lets_go=[value("x")]),
    ]
    with pytest.raises(Taken):
        await kept.append(batch)
    assert await kept.head() == 1


async def test_a_batch_cannot_give_a_value_twice(kept: EventStore) -> None:
    with pytest.raises(Conflict):
        await kept.append(
            [
                changing(decision("a", 0, "Placed"), takes=[value("x")]),
                changing(decision("b", 0, "Placed"), takes=[value("x")]),
            ]
        )
    assert await kept.head() == 0


async def test_what_was_refused_reserves_nothing(kept: EventStore) -> None:
    first = changing(decision("a", 0, "Placed"), takes=[value("x")])
    await kept.append([first])
    with pytest.raises(Conflict):
        await kept.append([changing(decision("a", 0, "Placed"), takes=[value("y")])])
    await kept.append([changing(decision("b", 0, "Placed"), takes=[value("y")])])


async def test_many_values_at_once(kept: EventStore) -> None:
    batch = [changing(decision(f"a{n}", 0, "Placed"), takes=[value(f"x{n}")]) for n in range(400)]
    await kept.append(batch)
    wanted = [changing(decision(f"b{n}", 0, "Placed"), takes=[value(f"x{n}")]) for n in range(400)]
    with pytest.raises(Taken) as raised:
        await kept.append(wanted)
    assert raised.value.holders == {value(f"x{n}"): StreamId("Order", f"a{n}") for n in range(400)}


class TestPromise:
    async def test_nothing_is_promised_at_first(self, events: EventStore) -> None:
        assert await events.promises() == {}

    async def test_without_a_promise_nothing_can_be_held(self, events: EventStore) -> None:
        with pytest.raises(Superseded, match="`Order`"):
            await events.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
        assert await events.head() == 0

    async def test_it_is_filled_with_what_is_there(self, events: EventStore) -> None:
        await events.append(
            [decision("a", 0, "Placed"), decision("a", 0, "Booked", aggregate_type="Payment")]
        )
        asked: list[Collection[bytes]] = []

        async def fill(definitions: Collection[bytes]) -> Held:
            asked.append(set(definitions))
            return {EMAIL: {value("x").digest: "a"}}

        await events.promise({"Order": [EMAIL]}, fill)

        assert asked == [{EMAIL}]
        assert {name: set(each) for name, each in (await events.promises()).items()} == {"Order": {EMAIL}}
        with pytest.raises(Taken) as raised:
            await events.append([changing(decision("b", 0, "Placed"), takes=[value("x")])])
        assert raised.value.holders == {value("x"): StreamId("Order", "a")}

    async def test_only_what_is_new_is_filled(self, kept: EventStore) -> None:
        await kept.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
        asked: list[Collection[bytes]] = []

        async def fill(definitions: Collection[bytes]) -> Held:
            asked.append(set(definitions))
            return {b"z" * 16: {}}

        await kept.promise({"Order": [EMAIL, b"z" * 16]}, fill)
        assert asked == [{b"z" * 16}]
        assert set((await kept.promises())["Order"]) == {EMAIL, b"z" * 16}
        with pytest.raises(Taken):
            await kept.append([changing(decision("b", 0, "Placed"), takes=[value("x")])])
        with pytest.raises(Superseded):
            await kept.append([changing(decision("b", 0, "Placed"), takes=[value("x", NAME)])])

    async def test_what_is_dropped_begins_anew(self, kept: EventStore) -> None:
        await kept.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
        await kept.promise({"Order": []}, nothing)
        assert await kept.promises() == {}
        await kept.append([decision("b", 0, "Placed")])
        await kept.promise({"Order": [EMAIL]}, nothing)
        await kept.append([changing(decision("c", 0, "Placed"), takes=[value("x")])])

    async def test_if_filling_fails_nothing_changes(self, kept: EventStore) -> None:
        async def fail(definitions: Collection[bytes]) -> Held:
            raise ValueError("two of them hold the same")

        with pytest.raises(ValueError, match="the same"):
            await kept.promise({"Order": [b"z" * 16]}, fail)
        assert set((await kept.promises())["Order"]) == {EMAIL, NAME}
        await kept.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])

    async def test_it_outlives_the_process(self, backend: Backend, tmp_path: Path) -> None:
        backend.require("durable")
        first = await backend.make(tmp_path)
        await first.open()
        await first.events.promise({"Order": [EMAIL]}, nothing)
        await first.events.append([changing(decision("a", 0, "Placed"), takes=[value("x")])])
        await first.close()

        second = await backend.make(tmp_path)
        await second.open()
        await second.events.promise({"Order": [EMAIL]}, nothing)
        with pytest.raises(Taken) as raised:
            await second.events.append([changing(decision("b", 0, "Placed"), takes=[value("x")])])
        assert raised.value.holders == {value("x"): StreamId("Order", "a")}
        await second.close()


class TestSeveralProcesses:
    async def test_one_that_knows_of_other_promises_cannot_append(
        self, backend: Backend, kept: EventStore, tmp_path: Path
    ) -> None:
        backend.require("shared")
        other = await backend.make(tmp_path)
        await other.open()
        with pytest.raises(Superseded, match="`Order`"):
            await other.events.append([decision("a", 0, "Placed")])
        await other.events.append([decision("a", 0, "Booked", aggregate_type="Payment")])
        await other.events.promise({"Order": [EMAIL]}, nothing)
        await other.events.append([decision("a", 0, "Placed")])
        with pytest.raises(Superseded):
            await kept.append([changing(decision("a", 1, "Paid"), takes=[value("x")])])
        await other.close()

    async def test_a_value_goes_to_one_of_them(
        self, backend: Backend, kept: EventStore, tmp_path: Path
    ) -> None:
        backend.require("shared")
        others: list[Any] = [await backend.make(tmp_path) for _ in range(3)]
        for other in others:
            await other.open()
            await other.events.promise({"Order": [EMAIL, NAME]}, nothing)

        async def take(store: EventStore, own: int, n: int) -> bool:
            try:
                await store.append([changing(decision(f"{own}-{n}", 0, "Placed"), takes=[value(f"x{n}")])])
            except Taken:
                return False
            return True

        stores = [kept, *(other.events for other in others)]
        for n in range(20):
            taken = await asyncio.gather(*(take(store, own, n) for own, store in enumerate(stores)))
            assert sum(taken) == 1
        for other in others:
            await other.close()

    async def test_nobody_appends_while_a_promise_is_filled(
        self, backend: Backend, events: EventStore, tmp_path: Path
    ) -> None:
        backend.require("shared")
        other = await backend.make(tmp_path)
        await other.open()
        appended: list[asyncio.Task[Any]] = []

        async def fill(definitions: Collection[bytes]) -> Held:
            appended.append(asyncio.create_task(other.events.append([decision("a", 0, "Placed")])))
            await asyncio.sleep(0.2)
            assert await events.head() == 0
            return {key: {} for key in definitions}

        await events.promise({"Order": [EMAIL]}, fill)
        with pytest.raises(Superseded):
            await appended[0]
        await other.close()
