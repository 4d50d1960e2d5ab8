"""`unique` of aggregates, on every store: kept in the command's own transaction, whoever writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from apps import application

from tests.conformance.conftest import Backend
from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import SystemClock
from tusk_runtime.errors import Refused, RuleBroken, Unavailable
from tusk_runtime.events import Caller
from tusk_runtime.model.application import Application
from tusk_runtime.store.protocol import Store, StreamId

ANN = Caller("ann")
TEXT = """
[events.Joined]
fields: { email: "string?", team: "string?", number: "decimal?" }

[events.Moved]
fields: { email: "string?", team: "string?", number: "decimal?" }

[events.Seen]
fields: {}

[aggregates.Member]
state: { email: "string?", team: "string?", number: "decimal?", seen: "integer = 0" }
on: {
  Joined: { email: "{{ data.email }}", team: "{{ data.team }}", number: "{{ data.number }}" },
  Moved: { email: "{{ data.email }}", team: "{{ data.team }}", number: "{{ data.number }}" },
  Seen: { seen: "{{ state.seen + 1 }}" }
}
id: "string"
#UNIQUE

[commands.Join]
aggregate: "Member"
fields: { email: "string?", team: "string?", number: "decimal?" }
creates: true
emit: "Joined"

[commands.Move]
aggregate: "Member"
fields: { email: "string?", team: "string?", number: "decimal?" }
emit: "Moved"

[commands.See]
aggregate: "Member"
emit: "Seen"
"""


def app(unique: str = 'unique: ["email", ["team", "number"]]') -> Application:
    return application(TEXT.replace("#UNIQUE", unique))


async def started(store: Store, unique: str | None = None) -> CommandBus:
    bus = CommandBus(store.events, app() if unique is None else app(unique), SystemClock())
    await bus.start()
    return bus


@pytest.fixture
async def bus(store: Store) -> AsyncIterator[CommandBus]:
    bus = await started(store)
    yield bus
    await bus.stop()


async def join(bus: CommandBus, id_: str, **fields: Any) -> Any:
    return await bus.execute("Join", fields, aggregate_id=id_, caller=ANN)


async def move(bus: CommandBus, id_: str, **fields: Any) -> Any:
    return await bus.execute("Move", fields, aggregate_id=id_, caller=ANN)


class TestOneWriter:
    async def test_the_same_value_is_refused_with_the_fields_name(self, bus: CommandBus) -> None:
        await join(bus, "a", email="x@example.com")
        with pytest.raises(RuleBroken, match="another Member has the same `email`") as raised:
            await join(bus, "b", email="x@example.com")
        assert "x@example.com" not in str(raised.value)

    async def test_it_is_free_again_when_it_changed(self, bus: CommandBus) -> None:
        await join(bus, "a", email="x")
        await move(bus, "a", email="y")
        await join(bus, "b", email="x")
        with pytest.raises(RuleBroken):
            await move(bus, "a", email="x")
        await move(bus, "b", email=None)
        await move(bus, "a", email="x")

    async def test_ones_own_value_may_be_set_again(self, bus: CommandBus) -> None:
        await join(bus, "a", email="x")
        await move(bus, "a", email="x")
        await bus.execute("See", {}, aggregate_id="a", caller=ANN)

    async def test_null_is_no_value(self, bus: CommandBus) -> None:
        for id_ in "abc":
            await join(bus, id_, team="red", number=None)

    async def test_several_fields_are_compared_together(self, bus: CommandBus) -> None:
        await join(bus, "a", team="red", number="1")
        await join(bus, "b", team="red", number="2")
        await join(bus, "c", team="blue", number="1")
        with pytest.raises(RuleBroken, match="the same `team` and `number`"):
            await join(bus, "d", team="red", number="1.00")

    async def test_the_refusal_is_the_answer_to_the_same_command_for_ever(self, bus: CommandBus) -> None:
        await join(bus, "a", email="x")
        again: dict[str, Any] = {"aggregate_id": "b", "command_id": b"1" * 16, "caller": ANN}
        with pytest.raises(RuleBroken):
            await bus.execute("Join", {"email": "x"}, **again)
        await move(bus, "a", email="y")
        with pytest.raises(RuleBroken):
            await bus.execute("Join", {"email": "x"}, **again)

    async def test_one_group_hands_a_value_on_in_the_order_of_its_commands(self, bus: CommandBus) -> None:
        await join(bus, "a", email="x")
        results = await asyncio.gather(
            join(bus, "b", email="x"),
            move(bus, "a", email="y"),
            join(bus, "c", email="x"),
            join(bus, "d", email="x"),
            return_exceptions=True,
        )
        assert [isinstance(result, RuleBroken) for result in results] == [True, False, False, True]


class TestManyWriters:
    async def test_of_64_that_want_one_value_one_gets_it(self, bus: CommandBus) -> None:
        for round_ in range(8):
            results = await asyncio.gather(
                *(join(bus, f"{round_}-{n}", email=f"x{round_}") for n in range(64)), return_exceptions=True
            )
            assert sum(isinstance(result, RuleBroken) for result in results) == 63
            assert sum(not isinstance(result, BaseException) for result in results) == 1

    async def test_64_writers_in_two_processes_never_share_a_value(
        self, backend: Backend, store: Store, bus: CommandBus, tmp_path: Path
    ) -> None:
        """Each moves its member from value to value; afterwards no two hold the same, and none is lost."""
        others = []
        buses = [bus]
        if "shared" in backend.capabilities:
            others = [await backend.make(tmp_path)]
            await others[0].open()
            buses.append(await started(others[0]))
        outcomes = {"accepted": 0, "refused": 0}

        async def write(number: int) -> None:
            random, own = Random(number), buses[number % len(buses)]
            await join(own, f"m{number}")
            for _ in range(8):
                wanted = random.choice([None, *(f"x{value}" for value in range(56))])
                try:
                    await move(own, f"m{number}", email=wanted)
                    outcomes["accepted"] += 1
                except RuleBroken:
                    outcomes["refused"] += 1

        await asyncio.gather(*(write(number) for number in range(64)))

        # The log alone says whether a value ever had two holders.
        holding: dict[str, str] = {}
        emails: dict[str, str | None] = {}
        for event in await store.events.read(limit=10_000):
            email = await email_of(bus, store, event.aggregate_id, event.version)
            before = emails.get(event.aggregate_id)
            if before is not None and before != email:
                del holding[before]
            if email is not None:
                assert holding.setdefault(email, event.aggregate_id) == event.aggregate_id
            emails[event.aggregate_id] = email
        assert outcomes["refused"] > 20
        assert outcomes["accepted"] > 100
        free = next(f"x{value}" for value in range(57) if f"x{value}" not in holding)
        await join(bus, "last", email=free)
        for number, own in enumerate(buses[1:]):
            await own.stop()
            await others[number].close()


async def email_of(bus: CommandBus, store: Store, id_: str, version: int) -> str | None:
    events = await store.events.read_stream(StreamId("Member", id_), until_version=version)
    found: str | None = bus.fold("Member", events).values["email"]
    return found


class TestWhatIsThereAlready:
    async def test_it_counts_when_the_line_is_added(self, store: Store) -> None:
        bus = await started(store, "")
        await asyncio.gather(*(join(bus, f"m{n}", email=f"x{n}") for n in range(700)))
        await move(bus, "m1", email="other")
        await bus.swap(app())
        with pytest.raises(RuleBroken):
            await join(bus, "b", email="x699")
        await join(bus, "b", email="x1")
        await bus.stop()

    async def test_two_that_hold_the_same_are_named_and_nothing_changes(self, store: Store) -> None:
        bus = await started(store, "")
        await join(bus, "a", email="x")
        await join(bus, "b", email="x")
        with pytest.raises(
            Unavailable, match=r"`unique` of Member cannot be kept: a and b have the same `email`"
        ):
            await bus.swap(app())
        await join(bus, "c", email="x")
        await move(bus, "b", email="y")
        await move(bus, "c", email="z")
        await bus.swap(app())
        with pytest.raises(RuleBroken):
            await join(bus, "d", email="x")
        await bus.stop()

    async def test_so_they_are_at_the_start(self, store: Store) -> None:
        bus = await started(store, "")
        await join(bus, "a", email="x")
        await join(bus, "b", email="x")
        await bus.stop()
        with pytest.raises(Unavailable, match="a and b"):
            await started(store)

    async def test_another_definition_of_the_state_begins_anew(self, store: Store) -> None:
        bus = await started(store)
        await join(bus, "a", email="X")
        lower = TEXT.replace("#UNIQUE", 'unique: "email"').replace(
            "{{ data.email }}", "{{ lower(data.email ?? '') }}"
        )
        await bus.swap(application(lower))
        with pytest.raises(RuleBroken):
            await join(bus, "b", email="x")
        await bus.swap(app())
        await join(bus, "b", email="x")
        await bus.stop()

    async def test_without_the_line_nothing_is_kept(self, store: Store) -> None:
        bus = await started(store)
        await join(bus, "a", email="x")
        await bus.swap(app(""))
        await join(bus, "b", email="x")
        assert await store.events.promises() == {}
        await bus.stop()

    async def test_what_others_write_while_it_is_read_counts(
        self, backend: Backend, store: Store, tmp_path: Path
    ) -> None:
        backend.require("shared")
        other = await backend.make(tmp_path)
        await other.open()
        first, second = await started(store, ""), await started(other, "")
        await asyncio.gather(*(join(first, f"m{n}", email=f"x{n}") for n in range(500)))
        written: list[int] = []

        async def write() -> None:
            number = 0
            while True:
                await join(second, f"o{number}", email=f"y{number}")
                await move(second, f"m{number}", email=f"z{number}")
                written.append(number)
                number += 1

        writing = asyncio.create_task(write())
        while len(written) < 3:
            await asyncio.sleep(0.01)
        await first.swap(app())
        with pytest.raises(Unavailable, match="restart this one"):
            await writing
        for number in (written[0], written[-1]):
            for taken in (f"y{number}", f"z{number}"):
                with pytest.raises(RuleBroken):
                    await join(first, "p", email=taken)
            await join(first, f"p{number}", email=f"x{number}")
        await second.swap(app())
        with pytest.raises(RuleBroken):
            await join(second, "q", email="x499")
        await first.stop()
        await second.stop()
        await other.close()


async def test_a_group_that_is_refused_leaves_its_neighbours_alone(bus: CommandBus) -> None:
    await join(bus, "a", email="x")
    results = await asyncio.gather(
        join(bus, "b", email="x"),
        join(bus, "c", email="y"),
        move(bus, "a", email="x"),
        return_exceptions=True,
    )
    assert [isinstance(result, Refused) for result in results] == [True, False, False]


def test_equal_numbers_are_one_value() -> None:
    from tusk_runtime.aggregates.uniqueness import _digest

    assert _digest([Decimal("1.50")]) == _digest([Decimal("1.5")])
    assert _digest([Decimal("-0.0")]) == _digest([Decimal("0")])
    assert _digest([Decimal("100")]) == _digest([Decimal("1E+2")])
    assert _digest([2.0]) == _digest([2])
    assert _digest(["ab", "c"]) != _digest(["a", "bc"])
    assert _digest([True]) != _digest([1])
