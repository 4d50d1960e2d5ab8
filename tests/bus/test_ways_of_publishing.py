"""`[kafka_integration]` and `[event_producer]`: how the relay sends, and what it does with what cannot be sent."""

from __future__ import annotations

import asyncio
import random
import struct
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from apps import application
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from kafka_server import KafkaServer
from test_relay import Stage, read, text_of, versions_of

from tusk_runtime.bus.kafka import Address, Producer
from tusk_runtime.bus.records import Record
from tusk_runtime.model.configuration import Kafka
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.sqlite import SqliteStore

ONE_BY_ONE = "[event_producer]\nbatch_publishing: false"
IN_TURN = '[kafka_integration]\nproducer: "sync"'
ALL_AT_ONCE = "[event_producer]\nasync_producer: true"
STOPPING = "[event_producer]\nerror_handling: false"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    if hasattr(stage, "runtime"):
        await stage.runtime.stop()


async def start(stage: Stage, address: str, way: str, more: str = "", *, publishing: bool = True) -> None:
    """As `Stage.start`, with another section."""
    text = f"{text_of(address, stage.prefix, more)}{way}\n"
    store = SqliteStore(stage.folder / "store.db")
    stage.runtime = Runtime(application(text), store, publishing=publishing)
    await stage.runtime.start()


async def load(stage: Stage, address: str, way: str) -> None:
    """Deposits to many accounts, which are published together."""
    await start(stage, address, way, publishing=False)
    accounts = [f"a{number}" for number in range(20)]
    await stage.open(*accounts)
    await asyncio.gather(*(stage.deposit(account, 5) for account in accounts))
    await stage.runtime.stop()
    await start(stage, address, way)


@pytest.fixture
def overlaps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each batch that the client is given, how many others were not confirmed yet."""
    found: list[int] = []
    waiting = 0
    send_batch = AIOKafkaProducer.send_batch

    def confirmed(_: asyncio.Future[Any]) -> None:
        nonlocal waiting
        waiting -= 1

    async def watched(self: AIOKafkaProducer, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        nonlocal waiting
        found.append(waiting)
        waiting += 1
        future = await send_batch(self, *args, **kwargs)
        future.add_done_callback(confirmed)
        return future

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", watched)
    return found


@pytest.mark.parametrize("way", [IN_TURN, ONE_BY_ONE, "[event_producer]\nasync_producer: false"])
async def test_in_turn_each_batch_is_confirmed_before_the_next(
    stage: Stage, kafka: str, overlaps: list[int], way: str
) -> None:
    """Over all partitions, and everything arrives in order."""
    await load(stage, kafka, way)
    await stage.published()
    assert len(overlaps) > 3
    assert set(overlaps) == {0}
    messages = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 100)
    assert versions_of(messages) == {f"a{number}": [2, 3, 4, 5, 6] for number in range(20)}


async def test_side_by_side_batches_wait_for_none(stage: Stage, kafka: str, overlaps: list[int]) -> None:
    """As it is where nothing is said."""
    await load(stage, kafka, ALL_AT_ONCE)
    await stage.published()
    assert max(overlaps) > 0


def batches_of(server: KafkaServer, topic: str) -> list[int]:
    """How many records each batch in the files of a topic holds."""
    found = []
    for file in sorted((server.folder / "data").glob(f"{topic}-*/*.log")):
        content, at = file.read_bytes(), 0
        while at + 61 <= len(content):
            length, records = (
                struct.unpack_from(">i", content, at + 8)[0],
                struct.unpack_from(">i", content, at + 57)[0],
            )
            if length <= 0:
                break
            found.append(records)
            at += 12 + length
    return found


@pytest.mark.parametrize(("way", "alone"), [(ONE_BY_ONE, True), (ALL_AT_ONCE, False)])
async def test_a_request_for_each_record(
    stage: Stage, kafka_server: KafkaServer, way: str, alone: bool
) -> None:
    """The broker keeps batches as they came: of one record, or of many."""
    await load(stage, kafka_server.address, way)
    await stage.published()
    counts = batches_of(kafka_server, f"{stage.prefix}.money")
    assert sum(counts) == 100
    assert (set(counts) == {1}) is alone


async def test_what_cannot_be_sent_stops_everything(stage: Stage, kafka: str) -> None:
    """Where the file says so: the status tells it, also after a start, until somebody settles it."""
    limit = ', max_record_size: "2KiB"'
    await start(stage, kafka, STOPPING, limit)
    await stage.open("a", "b")
    await stage.deposit("a")
    await stage.deposit("a", note="x" * 3000)
    await stage.deposit("a")
    await stage.deposit("b")
    part = await stage.until(lambda part: part.health == "failed")
    assert part.error.startswith("the event at position 4: the record has 3,")
    assert (part.detail, part.lag) == ("1 parked", 2)
    await stage.runtime.stop()
    await start(stage, kafka, STOPPING, limit)
    await stage.until(lambda part: part.health == "failed")
    await stage.open("c")
    await asyncio.sleep(1.5)
    messages = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 1)
    assert versions_of(messages) == {"a": [2]}
    store = stage.runtime._store
    (letter,) = await store.deliveries.letters("@relay")
    await store.deliveries.mark("@relay", [(letter.source, letter.position)], "drop")
    await stage.until(lambda part: part.health == "running")
    messages = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 3)
    assert versions_of(messages) == {"a": [2, 4], "b": [2]}


async def test_what_can_be_sent_later_is(stage: Stage, kafka: str) -> None:
    """After an edit that allows more, the event that stopped everything is sent, and then the rest."""
    await start(stage, kafka, STOPPING, ', max_record_size: "2KiB"')
    await stage.open("a", "b")
    await stage.deposit("a", note="x" * 3000)
    await stage.deposit("b")
    await stage.until(lambda part: part.health == "failed")
    await stage.runtime.apply(application(f"{text_of(kafka, stage.prefix)}{STOPPING}\n"))
    await stage.until(lambda part: part.health == "failed")
    store = stage.runtime._store
    (letter,) = await store.deliveries.letters("@relay")
    await store.deliveries.mark("@relay", [(letter.source, letter.position)], "retry")
    await stage.until(lambda part: part.health == "running" and not part.detail)
    messages = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 2)
    assert versions_of(messages) == {"a": [2], "b": [2]}


@pytest.mark.parametrize("batching", [True, False])
@pytest.mark.parametrize("pipelined", [True, False])
async def test_refused_records_hold_up_no_others(
    stage: Stage, kafka: str, pipelined: bool, batching: bool
) -> None:
    """Wherever they stand: each is named, and each of the others arrives, in the order of its key."""
    await stage.start(kafka)
    await stage.open("a")
    await stage.published()
    await stage.runtime.stop()
    topic = f"{stage.prefix}.money"
    resource = ConfigResource(
        ConfigResource.Type.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin = AdminClient({"bootstrap.servers": kafka})
    await asyncio.to_thread(admin.incremental_alter_configs([resource])[resource].result, 30)
    noise = random.Random(1)  # which does not become smaller
    keys = [f"k{number % 7}".encode() for number in range(40)]
    large = {3, 4, 11, 25, 39}
    records = [
        Record(
            topic,
            key,
            orjson.dumps([index, noise.randbytes(3000).hex() if index in large else ""]),
            1_000,
            [],
        )
        for index, key in enumerate(keys)
    ]
    settings = Kafka((kafka,), partitions=3, pipelined=pipelined, batching=batching)
    producer = Producer(Address(settings, None))
    try:
        outcomes = await producer.send(records)
    finally:
        await producer.stop()
    assert {index for index, outcome in enumerate(outcomes) if outcome is not None} == large
    found: dict[bytes, list[int]] = defaultdict(list)
    for message in await asyncio.to_thread(read, kafka, topic, 35):
        found[message.key()].append(orjson.loads(message.value())[0])
    assert {index for each in found.values() for index in each} == set(range(40)) - large
    if not pipelined or not batching:
        assert all(each == sorted(set(each)) for each in found.values())
