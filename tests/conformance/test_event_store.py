"""What every event log and ledger promises."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from apps import ACCOUNT, application

from tests.conformance.conftest import Backend
from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import Conflict, Earlier, StoreError, StoreUnavailable
from tusk_runtime.events import Caller, StoredEvent, event_id_of, new_id
from tusk_runtime.store.protocol import Decision, EventStore, NewEvent, Recorded, Store, StreamId

META = b'{"user_id":"u-1"}'


def decision(
    aggregate_id: str = "a",
    expected: int = 0,
    *types: str,
    aggregate_type: str = "Order",
    command_id: bytes | None = None,
    correlation_id: bytes | None = None,
    timestamp: int = 1_000,
    refusal: bytes | None = None,
    fingerprint: int = 7,
    data: bytes | None = None,
) -> Decision:
    return Decision(
        command_id=command_id or new_id(),
        fingerprint=fingerprint,
        aggregate_type=aggregate_type,
        aggregate_id=aggregate_id,
        expected_version=expected,
        timestamp=timestamp,
        metadata=META,
        events=[NewEvent(name, data or b'{"n":%d}' % number) for number, name in enumerate(types)],
        correlation_id=correlation_id,
        refusal=refusal,
    )


def positions(events: Sequence[StoredEvent]) -> list[int]:
    return [event.position for event in events]


async def fill(events: EventStore) -> list[Recorded]:
    """Six events: a gets Placed, Paid, Shipped; b Placed, Paid; a payment p with a's id a Booked."""
    cause = b"c" * 16
    return [
        *await events.append([decision("a", 0, "Placed", "Paid", timestamp=10)]),
        *await events.append([decision("b", 0, "Placed", timestamp=20, correlation_id=cause)]),
        *await events.append(
            [
                decision("a", 2, "Shipped", timestamp=30, correlation_id=cause),
                decision("a", 0, "Booked", aggregate_type="Payment", timestamp=30),
                decision("b", 1, "Paid", timestamp=40),
            ]
        ),
    ]


class TestAppend:
    async def test_an_event_comes_back_as_it_was_written(self, events: EventStore) -> None:
        cause = new_id()
        wanted = decision("Ä-1", 0, "Placed", "Paid", correlation_id=cause, timestamp=1_700_000_000_000_001)

        [recorded] = await events.append([wanted])

        first, second = await events.read_stream(StreamId("Order", "Ä-1"))
        assert second == StoredEvent(
            position=recorded.position,
            event_id=event_id_of(wanted.command_id, 1),
            type="Paid",
            aggregate_type="Order",
            aggregate_id="Ä-1",
            version=2,
            timestamp=1_700_000_000_000_001,
            command_id=wanted.command_id,
            correlation_id=cause,
            data=b'{"n":1}',
            metadata=META,
        )
        assert first.event_id == event_id_of(wanted.command_id, 0)
        assert first.position < second.position

    async def test_without_a_correlation_it_is_the_command_itself(self, events: EventStore) -> None:
        wanted = decision("a", 0, "Placed")
        await events.append([wanted])
        [event] = await events.read()
        assert event.correlation_id == wanted.command_id

    async def test_an_empty_store_has_no_head(self, events: EventStore) -> None:
        assert await events.head() == 0
        assert await events.read() == []
        assert await events.count(0) == 0
        assert await events.scan(0, 10, types=None, fields=("data",)) == []

    async def test_an_empty_batch_is_fine(self, events: EventStore) -> None:
        assert list(await events.append([])) == []
        assert await events.head() == 0

    async def test_the_answer_is_the_ledger_row(self, events: EventStore) -> None:
        wanted = decision("a", 0, "Placed", "Paid", fingerprint=2**64 - 1)
        [recorded] = await events.append([wanted])
        assert recorded == Recorded(
            wanted.command_id, 2**64 - 1, "Order", "a", 2, await events.head(), 2, None
        )
        assert await events.recorded([wanted.command_id, new_id()]) == {wanted.command_id: recorded}

    async def test_refused_and_eventless_commands_are_in_the_ledger(self, events: EventStore) -> None:
        await events.append([decision("a", 0, "Placed")])
        refused = decision("a", 1, refusal=b'{"kind":"rule-broken"}')
        nothing = decision("a", 1)
        nobody = decision("never-seen", 0, refusal=b"{}")

        answers = await events.append([refused, nothing, nobody])

        assert [answer.count for answer in answers] == [0, 0, 0]
        assert [answer.version for answer in answers] == [1, 1, 0]
        assert [answer.position for answer in answers] == [1, 1, 1]
        assert [answer.refusal for answer in answers] == [b'{"kind":"rule-broken"}', None, b"{}"]
        assert await events.head() == 1
        found = await events.recorded([refused.command_id, nothing.command_id, nobody.command_id])
        assert list(found.values()) == list(answers) or set(found.values()) == set(answers)
        # An aggregate that only ever refused does not exist, and can still begin.
        await events.append([decision("never-seen", 0, "Placed")])

    async def test_several_decisions_on_one_aggregate(self, events: EventStore) -> None:
        answers = await events.append(
            [
                decision("a", 0, "Placed"),
                decision("a", 1, "Changed", "Changed"),
                decision("a", 3, refusal=b"{}"),
                decision("a", 3, "Paid"),
            ]
        )
        assert [answer.version for answer in answers] == [1, 3, 3, 4]
        stored = await events.read_stream(StreamId("Order", "a"))
        assert [event.version for event in stored] == [1, 2, 3, 4]

    async def test_the_same_id_under_another_type_is_another_aggregate(self, events: EventStore) -> None:
        await events.append(
            [decision("a", 0, "Placed"), decision("a", 0, "Booked", aggregate_type="Payment")]
        )
        assert len(await events.read_stream(StreamId("Order", "a"))) == 1
        assert len(await events.read_stream(StreamId("Payment", "a"))) == 1

    async def test_a_batch_larger_than_any_statement(self, events: EventStore) -> None:
        batch = [decision(f"a-{number}", 0, *["Placed"] * (number % 4)) for number in range(1500)]
        answers = await events.append(batch)
        assert [answer.count for answer in answers] == [number % 4 for number in range(1500)]
        assert await events.head() == await events.count(0) == sum(number % 4 for number in range(1500))
        assert len(await events.recorded([each.command_id for each in batch])) == 1500
        streams = await events.read_streams([StreamId("Order", f"a-{number}") for number in range(1500)])
        assert [len(found) for found in streams.values()] == [number % 4 for number in range(1500)]

    @pytest.mark.parametrize("aggregate_id", ["", "a\1b", "'; DROP TABLE tusk_events", '"', "🦕" * 200])
    async def test_any_text_is_an_id(self, events: EventStore, aggregate_id: str) -> None:
        await events.append([decision("a", 0, "Placed"), decision(aggregate_id, 0, "Placed")])
        stream = StreamId("Order", aggregate_id)
        assert [event.aggregate_id for event in await events.read_stream(stream)] == [aggregate_id]
        assert len((await events.read_streams([stream]))[stream]) == 1
        assert len(await events.read(aggregate_id=aggregate_id)) == 1
        fields = await events.scan(0, 10, types=None, fields=("aggregate_id",))
        assert [row[2] for row in fields] == ["a", aggregate_id]
        await events.append([decision(aggregate_id, 1, "Paid")])

    async def test_an_id_that_cannot_be_kept_writes_nothing(
        self, backend: Backend, events: EventStore
    ) -> None:
        batch = [decision("a", 0, "Placed"), decision("a\0b", 0, "Placed")]
        if "any text" in backend.capabilities:
            await events.append(batch)
            return
        with pytest.raises(StoreError):
            await events.append(batch)
        assert await events.head() == 0
        await events.append(batch[:1])

    async def test_data_is_kept_byte_by_byte(self, events: EventStore) -> None:
        texts = ['{"a":"Grüße 🦕"}'.encode(), b'{ "a" :\t1.50,\n"b": null }', b'"\\u0000"', b"[]"]
        await events.append([decision(str(n), 0, "Placed", data=text) for n, text in enumerate(texts)])
        assert [event.data for event in await events.read()] == texts
        assert [row[2] for row in await events.scan(0, 10, types=None, fields=("data",))] == texts

    async def test_data_that_is_no_json_does_no_harm(self, events: EventStore) -> None:
        odd = b'{"a":"\x1e"}\x1e'
        await events.append([decision("a", 0, "Placed", "Placed", data=odd)])
        assert [event.data for event in await events.read()] == [odd, odd]


class TestConflict:
    @pytest.mark.parametrize("expected", [0, 1, 3, 100])
    async def test_an_aggregate_at_another_version(self, events: EventStore, expected: int) -> None:
        await events.append([decision("a", 0, "Placed", "Paid")])
        with pytest.raises(Conflict):
            await events.append([decision("a", expected, "Shipped")])
        assert await events.head() == 2
        await events.append([decision("a", 2, "Shipped")])

    @pytest.mark.parametrize("expected", [0, 3])
    async def test_it_holds_for_decisions_without_events(self, events: EventStore, expected: int) -> None:
        await events.append([decision("a", 0, "Placed")])
        with pytest.raises(Conflict):
            await events.append([decision("a", expected, refusal=b"{}")])

    async def test_an_aggregate_that_does_not_exist(self, events: EventStore) -> None:
        with pytest.raises(Conflict):
            await events.append([decision("a", 1, "Paid")])
        assert await events.head() == 0

    @pytest.mark.parametrize("broken", [0, 1, 2])
    async def test_all_or_nothing(self, events: EventStore, broken: int) -> None:
        await events.append([decision("a", 0, "Placed")])
        batch = [decision("b", 0, "New"), decision("c", 0, "New"), decision("d", 0, "New")]
        batch[broken] = decision("a", 5, "Paid")
        with pytest.raises(Conflict):
            await events.append(batch)

        assert positions(await events.read()) == [1]
        assert await events.recorded([each.command_id for each in batch]) == {}
        # What failed has left nothing behind, neither in the store nor in what it remembers.
        batch[broken] = decision("a", 1, "Paid")
        answers = await events.append(batch)
        assert [answer.position for answer in answers] == [2, 3, 4]

    async def test_a_command_id_that_was_used(self, events: EventStore) -> None:
        used = decision("a", 0, "Placed")
        await events.append([used])
        again = decision("b", 0, "Placed", command_id=used.command_id)
        with pytest.raises(Conflict):
            await events.append([decision("c", 0, "Placed"), again])
        assert await events.head() == 1
        assert (await events.recorded([used.command_id]))[used.command_id].aggregate_id == "a"
        await events.append([decision("b", 0, "Placed"), decision("c", 0, "Placed")])
        assert positions(await events.read()) == [1, 2, 3]

    async def test_a_command_id_of_a_refused_command(self, events: EventStore) -> None:
        used = decision("a", 0, refusal=b"{}")
        await events.append([used])
        with pytest.raises(Conflict):
            await events.append([decision("a", 0, "Placed", command_id=used.command_id)])

    async def test_a_command_id_twice_in_a_batch(self, events: EventStore) -> None:
        one = decision("a", 0, "Placed")
        with pytest.raises(Conflict):
            await events.append([one, decision("b", 0, "Placed", command_id=one.command_id)])
        assert await events.head() == 0

    async def test_of_many_at_once_one_wins(self, events: EventStore) -> None:
        async def attempt(number: int) -> bool:
            try:
                await events.append([decision("a", 0, f"By{number}")])
            except Conflict:
                return False
            return True

        won = await asyncio.gather(*(attempt(number) for number in range(20)))
        assert sum(won) == 1
        assert await events.head() == 1


class TestConcurrency:
    async def test_readers_see_positions_in_order_without_gaps(
        self, backend: Backend, events: EventStore
    ) -> None:
        writers, rounds, batch = 8, 25, 3
        finished = asyncio.Event()

        async def write(writer: int) -> None:
            for version in range(rounds):
                await events.append(
                    [decision(f"{writer}-{n}", version, f"Type{version % 5}") for n in range(batch)]
                )

        async def follow() -> list[int]:
            seen: list[int] = []
            while not finished.is_set() or len(seen) < await events.head():
                rows = await events.scan(seen[-1] if seen else 0, 50, types=None, fields=("version",))
                seen += [row[0] for row in rows]
                await asyncio.sleep(0)
            return seen

        async def write_all() -> None:
            await asyncio.gather(*(write(writer) for writer in range(writers)))
            finished.set()

        first, second, _ = await asyncio.gather(follow(), follow(), write_all())
        assert first == second == list(range(1, writers * rounds * batch + 1))

    async def test_a_cancelled_caller_leaves_the_store_whole(self, events: EventStore) -> None:
        task = asyncio.create_task(_append(events, decision("a", 0, "Placed")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        [recorded] = await events.append([decision("b", 0, "Placed")])
        assert positions(await events.read()) == list(range(1, recorded.position + 1))


async def _append(events: EventStore, *batch: Decision) -> None:
    await events.append(batch)


class TestRead:
    async def test_in_order_and_by_pages(self, events: EventStore) -> None:
        await fill(events)
        assert positions(await events.read()) == [1, 2, 3, 4, 5, 6]
        assert positions(await events.read(2, 3)) == [3, 4, 5]
        assert positions(await events.read(6)) == []
        assert positions(await events.read(99)) == []
        assert positions(await events.read(limit=0)) == []

    async def test_backwards(self, events: EventStore) -> None:
        await fill(events)
        assert positions(await events.read(limit=2, backwards=True)) == [6, 5]
        assert positions(await events.read(5, 2, backwards=True)) == [4, 3]
        assert positions(await events.read(1, backwards=True)) == []
        assert positions(await events.read(99, 1, backwards=True)) == [6]

    async def test_by_type(self, events: EventStore) -> None:
        await fill(events)
        assert positions(await events.read(types=["Paid"])) == [2, 6]
        assert positions(await events.read(types=["Shipped", "Booked", "Unknown"])) == [4, 5]
        assert positions(await events.read(types=["Unknown"])) == []
        assert positions(await events.read(types=[])) == []
        assert positions(await events.read(types={"Paid"}, backwards=True, limit=1)) == [6]

    async def test_by_aggregate(self, events: EventStore) -> None:
        await fill(events)
        assert positions(await events.read(aggregate_id="a")) == [1, 2, 4, 5]
        assert positions(await events.read(1, 2, aggregate_id="a")) == [2, 4]
        assert positions(await events.read(5, 2, aggregate_id="a", backwards=True)) == [4, 2]
        assert positions(await events.read(aggregate_id="nobody")) == []

    async def test_by_correlation(self, events: EventStore) -> None:
        recorded = await fill(events)
        assert positions(await events.read(correlation_id=b"c" * 16)) == [3, 4]
        # A command that follows from none correlates with itself; one that follows from another does not.
        assert positions(await events.read(correlation_id=recorded[0].command_id)) == [1, 2]
        assert positions(await events.read(correlation_id=recorded[1].command_id)) == []
        assert positions(await events.read(correlation_id=new_id())) == []

    async def test_a_correlation_covers_the_command_and_what_follows(self, events: EventStore) -> None:
        first = decision("a", 0, "Placed")
        await events.append([first, decision("b", 0, "Placed")])
        await events.append([decision("c", 0, "Placed", correlation_id=first.command_id)])
        found = await events.read(correlation_id=first.command_id)
        assert positions(found) == [1, 3]
        assert positions(await events.read(1, correlation_id=first.command_id)) == [3]

    async def test_filters_together(self, events: EventStore) -> None:
        await fill(events)
        assert positions(await events.read(types=["Paid"], aggregate_id="b")) == [6]
        assert positions(await events.read(aggregate_id="b", correlation_id=b"c" * 16)) == [3]
        assert (
            positions(await events.read(3, types=["Placed"], aggregate_id="b", correlation_id=b"c" * 16))
            == []
        )

    async def test_types(self, store: Store) -> None:
        """Every type that occurs is among them; what else is there names aggregates."""
        assert await store.events.types() in ([], set())
        await fill(store.events)
        await store.events.append([decision("c", 0, "Placed@2", "Sent@12")])
        wanted = {"Placed", "Paid", "Shipped", "Booked", "Placed@2", "Sent@12"}
        assert wanted <= set(await store.events.types()) <= wanted | {"Order", "Payment"}

    async def test_count(self, events: EventStore) -> None:
        await fill(events)
        assert await events.count(0) == 6
        assert await events.count(4) == 2
        assert await events.count(99) == 0
        assert await events.count(0, ["Paid", "Placed"]) == 4
        assert await events.count(2, ["Paid"]) == 1
        assert await events.count(0, ["Unknown"]) == 0


class TestReadStream:
    ORDER_A = StreamId("Order", "a")

    async def test_bounds(self, events: EventStore) -> None:
        await fill(events)

        async def versions(**bounds: int) -> list[int]:
            return [event.version for event in await events.read_stream(self.ORDER_A, **bounds)]

        assert await versions() == [1, 2, 3]
        assert await versions(after_version=1) == [2, 3]
        assert await versions(after_version=3) == []
        assert await versions(until_version=2) == [1, 2]
        assert await versions(after_version=1, until_version=2) == [2]
        assert await versions(limit=1) == [1]
        assert await versions(after_version=1, limit=1) == [2]
        assert await versions(until=10) == [1, 2]
        assert await versions(until=29) == [1, 2]
        assert await versions(until=30) == [1, 2, 3]
        assert await versions(until=9) == []

    async def test_a_clock_that_was_set_back_makes_no_hole(self, events: EventStore) -> None:
        await events.append([decision("a", 0, "Placed", timestamp=10)])
        await events.append([decision("a", 1, "Paid", timestamp=30)])
        await events.append([decision("a", 2, "Shipped", timestamp=20)])
        found = await events.read_stream(self.ORDER_A, until=25)
        assert [event.version for event in found] == [1]

    async def test_an_aggregate_that_does_not_exist(self, events: EventStore) -> None:
        await fill(events)
        for stream in (StreamId("Order", "x"), StreamId("Unknown", "a")):
            assert list(await events.read_stream(stream)) == []
            assert await events.read_streams([stream]) == {stream: []}

    async def test_several_at_once(self, events: EventStore) -> None:
        await fill(events)
        a, b, p, none = self.ORDER_A, StreamId("Order", "b"), StreamId("Payment", "a"), StreamId("Order", "x")
        found = await events.read_streams([b, none, a, p])
        assert {stream: positions(each) for stream, each in found.items()} == {
            b: [3, 6], none: [], a: [1, 2, 4], p: [5],
        }  # fmt: skip
        found = await events.read_streams({a, b}, {a: 1, b: 1})
        assert {stream: positions(each) for stream, each in found.items()} == {a: [2, 4], b: [6]}
        assert await events.read_streams([]) == {}

    async def test_they_equal_the_log(self, events: EventStore) -> None:
        await fill(events)
        found = await events.read_streams([self.ORDER_A])
        assert list(found[self.ORDER_A]) == list(await events.read_stream(self.ORDER_A))
        assert [event for event in await events.read() if event.aggregate_type == "Order"][:2] == list(
            found[self.ORDER_A]
        )[:2]


class TestScan:
    async def test_everything(self, events: EventStore) -> None:
        await fill(events)
        rows = await events.scan(0, 10, types=None, fields=())
        assert [tuple(row) for row in rows] == [
            (1, "Placed"), (2, "Paid"), (3, "Placed"), (4, "Shipped"), (5, "Booked"), (6, "Paid"),
        ]  # fmt: skip

    async def test_types_become_their_index(self, events: EventStore) -> None:
        await fill(events)
        rows = await events.scan(0, 10, types=["Unknown", "Paid", "Placed"], fields=())
        assert [tuple(row) for row in rows] == [(1, 2), (2, 1), (3, 2), (6, 1)]
        assert await events.scan(0, 10, types=["Unknown"], fields=("data",)) == []
        assert await events.scan(0, 10, types=[], fields=("data",)) == []

    async def test_pages(self, events: EventStore) -> None:
        await fill(events)
        assert [row[0] for row in await events.scan(0, 2, types=None, fields=())] == [1, 2]
        assert [row[0] for row in await events.scan(2, 2, types=["Paid", "Booked"], fields=())] == [5, 6]
        assert await events.scan(6, 2, types=None, fields=()) == []

    async def test_every_field_is_that_of_the_event(self, events: EventStore) -> None:
        await fill(events)
        stored = await events.read()
        for field in StoredEvent._fields:
            rows = await events.scan(0, 10, types=None, fields=(field,))
            assert [row[2] for row in rows] == [getattr(event, field) for event in stored], field
        rows = await events.scan(0, 10, types=["Paid"], fields=StoredEvent._fields)
        assert [row[2:] for row in rows] == [tuple(event) for event in stored if event.type == "Paid"]

    async def test_a_type_that_appears_later(self, events: EventStore) -> None:
        assert await events.scan(0, 10, types=["Placed", "Late"], fields=()) == []
        await events.append([decision("a", 0, "Placed")])
        assert len(await events.scan(0, 10, types=["Placed", "Late"], fields=())) == 1
        await events.append([decision("b", 0, "Late", "Placed")])
        assert await events.scan(1, 10, types=["Placed", "Late"], fields=()) == [(2, 1), (3, 0)]


class TestWaiting:
    async def test_what_is_there_needs_no_waiting(self, events: EventStore) -> None:
        await events.append([decision("a", 0, "Placed")])
        assert await asyncio.wait_for(events.wait_beyond(0, 60), 1) == 1

    async def test_a_commit_wakes_everybody(self, events: EventStore) -> None:
        waiting = [asyncio.create_task(events.wait_beyond(0, 60)) for _ in range(3)]
        beyond = asyncio.create_task(events.wait_beyond(1, 60))
        await asyncio.sleep(0.01)
        await events.append([decision("a", 0, "Placed")])
        assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [1, 1, 1]
        assert not beyond.done()
        await events.append([decision("a", 1, "Paid")])
        assert await asyncio.wait_for(beyond, 1) == 2

    async def test_it_times_out(self, events: EventStore) -> None:
        began = time.monotonic()
        assert await events.wait_beyond(0, 0.05) == 0
        assert 0.04 < time.monotonic() - began < 2
        assert await events.wait_beyond(0, 0) == 0

    async def test_refusals_wake_nobody(self, events: EventStore) -> None:
        waiting = asyncio.create_task(events.wait_beyond(0, 0.05))
        await events.append([decision("a", 0, refusal=b"{}")])
        assert await waiting == 0

    async def test_a_waiter_may_be_cancelled(self, events: EventStore) -> None:
        waiting = asyncio.create_task(events.wait_beyond(0, 60))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await events.append([decision("a", 0, "Placed")])

    async def test_closing_ends_it(self, backend: Backend, tmp_path: Path) -> None:
        store = await backend.make(tmp_path)
        await store.open()
        waiting = asyncio.create_task(store.events.wait_beyond(0, 60))
        await asyncio.sleep(0.01)
        await store.close()
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(waiting, 1)


class TestLife:
    async def test_a_closed_store_says_so(self, backend: Backend, tmp_path: Path) -> None:
        store = await backend.make(tmp_path)
        await store.open()
        await store.close()
        await store.close()
        with pytest.raises(StoreUnavailable):
            await store.events.append([decision("a", 0, "Placed")])
        with pytest.raises(StoreUnavailable):
            await store.events.read()
        with pytest.raises(StoreUnavailable):
            await store.events.wait_beyond(0, 1)
        with pytest.raises(StoreUnavailable):
            await store.read_models.tables()

    async def test_closing_finishes_what_was_begun(self, backend: Backend, tmp_path: Path) -> None:
        backend.require("durable")
        store = await backend.make(tmp_path)
        await store.open()
        tasks = [asyncio.create_task(_append(store.events, decision(str(n), 0, "Placed"))) for n in range(20)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*tasks)
        await self._reopened(backend, tmp_path, 20)

    async def test_it_says_what_it_is(self, store: Store) -> None:
        assert store.description

    async def test_reopening_continues(self, backend: Backend, tmp_path: Path) -> None:
        backend.require("durable")
        store = await backend.make(tmp_path)
        await store.open()
        recorded = await fill(store.events)
        before = await store.events.read()
        await store.close()

        store = await self._reopened(backend, tmp_path, 6, close=False)
        assert await store.events.read() == before
        assert await store.events.recorded([each.command_id for each in recorded]) == {
            each.command_id: each for each in recorded
        }
        with pytest.raises(Conflict):
            await store.events.append([decision("a", 4, "Returned")])
        answers = await store.events.append(
            [decision("a", 3, "Returned"), decision("new", 0, "Placed"), decision("a", 1, "Paid",
             aggregate_type="Payment")]
        )  # fmt: skip
        assert [answer.position for answer in answers] == [7, 8, 9]
        assert [answer.version for answer in answers] == [4, 1, 2]
        await store.close()

    async def _reopened(self, backend: Backend, folder: Path, head: int, close: bool = True) -> Store:
        store = await backend.make(folder)
        await store.open()
        assert await store.events.head() == head
        if close:
            await store.close()
        return store


class TestLedger:
    async def test_in_the_order_of_positions(self, events: EventStore) -> None:
        """Commands without events stand behind the one whose event they found; among them ids decide."""
        early, late = b"\x01" * 16, b"\xfe" * 16
        begin = decision("a", 0, refusal=b'{"no":1}', command_id=late, fingerprint=2**64 - 1)
        batch = [
            decision("a", 0, "Placed", "Paid", command_id=b"\xff" * 16),
            decision("b", 0, "Placed", command_id=b"\x02" * 16),
            decision("b", 1, command_id=b"\x03" * 16),
            decision("a", 2, command_id=early),
        ]
        rows = [*await events.append([begin]), *await events.append(batch)]
        rows += await events.append([decision("c", 0, "Placed", command_id=b"\x04" * 16)])
        wanted = [rows[0], rows[1], rows[2], rows[4], rows[3], rows[5]]
        assert [row.position for row in wanted] == [0, 2, 3, 3, 3, 4]
        assert list(await events.ledger()) == wanted
        for start in range(len(wanted)):
            assert list(await events.ledger(wanted[start], 2)) == wanted[start + 1 : start + 3]
        assert list(await events.ledger(limit=4)) == wanted[:4]

    async def test_an_empty_one(self, events: EventStore) -> None:
        assert list(await events.ledger()) == []

    async def test_page_by_page(self, events: EventStore) -> None:
        dice = random.Random(7)
        rows: list[Recorded] = []
        versions = [0] * 5
        for _ in range(40):
            batch = []
            for _ in range(dice.randrange(1, 6)):
                number, count = dice.randrange(5), dice.choice([0, 0, 1, 3])
                batch.append(decision(str(number), versions[number], *["Placed"] * count))
                versions[number] += count
            rows += await events.append(batch)
        rows.sort(key=lambda row: row.place)
        found: list[Recorded] = []
        while page := await events.ledger(found[-1] if found else None, 7):
            assert len(page) <= 7
            found += page
        assert found == rows


class TestTime:
    async def test_in_order_no_event_is_of_an_earlier_time_than_the_newest(self, events: EventStore) -> None:
        await events.append([decision("a", 0, "Placed", timestamp=10)], in_order=True)
        await events.append([decision("a", 1, "Paid", timestamp=10)], in_order=True)
        with pytest.raises(Earlier) as raised:
            await events.append([decision("a", 2, "Sent", timestamp=9)], in_order=True)
        assert raised.value.newest == 10
        assert await events.head() == 2
        await events.append([decision("a", 2, "Sent", timestamp=11)], in_order=True)

    async def test_what_writes_no_event_makes_nothing_later(self, events: EventStore) -> None:
        await events.append([decision("a", 0, timestamp=50)], in_order=True)
        await events.append([decision("a", 0, "Placed", timestamp=10)], in_order=True)

    async def test_otherwise_any_time_is_taken(self, events: EventStore) -> None:
        await events.append([decision("a", 0, "Placed", timestamp=10)])
        await events.append([decision("a", 1, "Paid", timestamp=-5)])
        with pytest.raises(Earlier) as raised:
            await events.append([decision("a", 2, "Sent", timestamp=-6)], in_order=True)
        assert raised.value.newest == -5

    async def test_processes_whose_clocks_differ_write_one_order(
        self, backend: Backend, store: Store, tmp_path: Path
    ) -> None:
        """One is an hour behind, and its events are of the other one's time."""
        backend.require("shared")
        other = await backend.make(tmp_path)
        await other.open()
        buses = [
            CommandBus(one.events, application(ACCOUNT), VirtualClock(now))
            for one, now in ((store, 7_200_000_000), (other, 3_600_000_000))
        ]
        for bus in buses:
            await bus.start()
        await buses[0].execute("Open", {"owner": "ann"}, aggregate_id="first", caller=Caller("ann"))
        await asyncio.gather(
            *(
                buses[number % 2].execute(
                    "Open", {"owner": "ann"}, aggregate_id=f"{number}", caller=Caller("ann")
                )
                for number in range(60)
            )
        )
        assert {event.timestamp for event in await store.events.read()} == {7_200_000_000}
        for bus in buses:
            await bus.stop()
        await other.close()
