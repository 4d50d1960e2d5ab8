"""Stored first, then published, then counted as such: the same attack on builds that do it in another order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from apps import application
from broker_kills import Report, on_topic
from stage import Stage, text_of

from tusk_runtime.bus.kafka import Address, Producer
from tusk_runtime.bus.records import Recorder
from tusk_runtime.bus.relay import Relay
from tusk_runtime.errors import Unavailable
from tusk_runtime.events import StoredEvent, event_id_of, id_text
from tusk_runtime.failpoints import set_points
from tusk_runtime.following.hands import Changes
from tusk_runtime.store.protocol import Decision, Recorded
from tusk_runtime.store.sqlite import SqliteEvents

COMMANDS = 40
POINTS = ",".join(
    [*(f"append.before_commit:error@{each}" for each in (9, 10, 20, 21)), "relay.recorded:error@3"]
)
"""A command is rolled back twice, so that nothing of it stays; and one page is not sent at first."""


@pytest.fixture(autouse=True)
def points() -> Iterator[None]:
    set_points("")
    yield
    set_points("")


async def attacked(stage: Stage, address: str) -> Report:
    """Commands of which some are rolled back, one after the other; then the store is compared with the topic."""
    await stage.start(address)
    await stage.open("a", "b")
    await stage.published()
    set_points(POINTS)
    refused = 0
    for number in range(COMMANDS):
        try:
            await stage.deposit("ab"[number % 2])
        except Unavailable:
            refused += 1
        await asyncio.sleep(0.01)
    set_points("")
    await stage.published()
    await asyncio.sleep(0.3)
    assert refused
    report = Report()
    stored = [
        (each.aggregate_id, each.version, id_text(each.event_id)) for each in await stage.events("Deposited")
    ]
    report.count(stored, await asyncio.to_thread(on_topic, address, f"{stage.prefix}.money"))
    print(report)
    return report


async def test_nothing_is_lost_or_invented(stage: Stage, kafka: str) -> None:
    report = await attacked(stage, kafka)
    assert report.holds
    assert report.events > COMMANDS / 2


async def test_published_before_the_commit(stage: Stage, kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rolled back is on the topic, and no event of the store."""
    known = application(text_of(kafka, stage.prefix))
    recorder, producer = Recorder(known), Producer(Address(known.settings.kafka, None))  # type: ignore[arg-type]
    append = SqliteEvents.append

    async def too_early(self: SqliteEvents, batch: Sequence[Decision], **options: Any) -> Sequence[Recorded]:
        events = [each for decision in batch for each in events_of(decision) if each.type in recorder.types]
        await producer.send([recorder.record(each) for each in events])
        return await append(self, batch, **options)

    async def nothing(self: Relay, page: Sequence[StoredEvent], reached: int) -> Changes:
        return Changes([], [], reached)

    monkeypatch.setattr(SqliteEvents, "append", too_early)
    monkeypatch.setattr(Relay, "handle", nothing)
    try:
        report = await attacked(stage, kafka)
    finally:
        await producer.stop()
    assert report.invented > 0
    assert not report.lost


def events_of(decision: Decision) -> list[StoredEvent]:
    """The events as they will be stored, if they are."""
    return [
        StoredEvent(
            0, event_id_of(decision.command_id, index), new.type, decision.aggregate_type, decision.aggregate_id,
            decision.expected_version + 1 + index, decision.timestamp, decision.command_id,
            decision.correlation_id or decision.command_id, new.data, decision.metadata,
        )
        for index, new in enumerate(decision.events)
    ]  # fmt: skip


async def test_counted_before_it_is_acknowledged(
    stage: Stage, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not sent is behind the progress, and never sent."""
    handle: Callable[..., Any] = Relay.handle
    sending: set[asyncio.Task[None]] = set()
    one = asyncio.Lock()

    async def send(self: Relay, page: Sequence[StoredEvent], reached: int) -> None:
        async with one:
            with contextlib.suppress(Unavailable):
                await handle(self, page, reached)

    async def too_early(self: Relay, page: Sequence[StoredEvent], reached: int) -> Changes:
        sending.add(asyncio.create_task(send(self, page, reached)))
        return Changes([], [], reached)

    monkeypatch.setattr(Relay, "handle", too_early)
    report = await attacked(stage, kafka)
    await asyncio.gather(*sending)
    assert report.lost > 0
    assert not report.invented
