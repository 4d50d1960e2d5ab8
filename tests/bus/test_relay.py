"""The relay: what is stored leaves for Kafka, at least once, in order by aggregate, and nothing else does."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime
from itertools import count, islice
from pathlib import Path

import orjson
import pytest
from aiokafka.partitioner import murmur2
from apps import ACCOUNT, application
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic
from kafka_server import KafkaServer
from stage import ANN, SECONDS, Stage, read, text_of, versions_of

from tusk_runtime.clock import to_datetime
from tusk_runtime.errors import NotFound, StartFailed
from tusk_runtime.events import id_text
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.build import build
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.sqlite import SqliteStore


async def test_events_leave_with_all_that_there_is_to_know(stage: Stage, kafka: str) -> None:
    """Each to the topic of its category, by the key of its aggregate, the envelope in headers."""
    await stage.start(kafka)
    await stage.open("a")
    await stage.deposit("a")
    await stage.published()
    (message,) = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 1)
    (event,) = await stage.events("Deposited")
    assert (message.key(), orjson.loads(message.value())) == (b"a", {"amount": "1.00"})
    assert message.timestamp()[1] == event.timestamp // 1000
    headers = {name: value.decode() for name, value in message.headers()}
    assert headers == {
        "event_id": id_text(event.event_id),
        "event_type": "Deposited",
        "event_version": "1",
        "aggregate_type": "Account",
        "aggregate_version": "2",
        "position": "2",
        "timestamp": to_datetime(event.timestamp).isoformat(),
        "correlation_id": id_text(event.correlation_id),
        "causation_id": id_text(event.command_id),
        "content-type": "application/json",
        "traceparent": f"00-{event.correlation_id.hex()}-{event.event_id[:8].hex()}-01",
    }
    assert datetime.fromisoformat(headers["timestamp"]).utcoffset() is not None
    description = await asyncio.to_thread(AdminClient({"bootstrap.servers": kafka}).list_topics, timeout=10)
    topics = {name for name in description.topics if name.startswith(stage.prefix)}
    assert topics == {f"{stage.prefix}.accounts", f"{stage.prefix}.money"}
    assert len(description.topics[f"{stage.prefix}.money"].partitions) == 3


async def test_each_event_leaves_in_order_by_aggregate(stage: Stage, kafka: str) -> None:
    """Once, where nothing goes wrong, also over a restart of the application."""
    accounts = [f"a{number}" for number in range(20)]
    await stage.start(kafka)
    await stage.open(*accounts)
    await asyncio.gather(*(stage.deposit(account, 10) for account in accounts))
    await stage.published()
    await stage.runtime.stop()
    await stage.start(kafka)
    await asyncio.gather(*(stage.deposit(account, 10) for account in accounts))
    await stage.published()
    messages = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 400)
    assert len(messages) == 400
    assert versions_of(messages) == {account: list(range(2, 22)) for account in accounts}


async def test_a_broker_that_dies_delays_and_loses_nothing(
    stage: Stage, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands go on meanwhile, the health says what is wrong, and all arrives in order when it is back."""
    monkeypatch.setattr("tusk_runtime.bus.kafka.CALL_SECONDS", 3.0)
    monkeypatch.setattr("tusk_runtime.bus.kafka.SEND_SECONDS", 4.0)
    await stage.start(kafka_server.address)
    accounts = [f"a{number}" for number in range(5)]
    await stage.open(*accounts)
    stop = asyncio.Event()

    async def load(account: str) -> int:
        count = 0
        while not stop.is_set():
            await stage.deposit(account)
            count += 1
            await asyncio.sleep(0.01)
        return count

    clients = [asyncio.create_task(load(account)) for account in accounts]
    for seconds in (0.1, 1.0):
        await asyncio.sleep(0.5)
        kafka_server.kill()
        await asyncio.sleep(seconds)
        kafka_server.start()
    kafka_server.kill()
    await stage.until(lambda part: kafka_server.address in part.error, 60)
    kafka_server.start()
    await stage.until(lambda part: not part.error, 60)
    stop.set()
    counts = dict(zip(accounts, await asyncio.gather(*clients), strict=True))
    await stage.published(60)
    messages = await asyncio.to_thread(
        read, kafka_server.address, f"{stage.prefix}.money", sum(counts.values())
    )
    assert versions_of(messages) == {account: list(range(2, 2 + count)) for account, count in counts.items()}


async def test_a_broker_that_is_not_there_yet(stage: Stage, kafka_server: KafkaServer) -> None:
    """The application starts without it, and what waited leaves when it comes."""
    kafka_server.stop()
    await stage.start(kafka_server.address)
    await stage.open("a")
    await stage.deposit("a", 3)
    part = await stage.until(lambda part: bool(part.error))
    assert f"Kafka at {kafka_server.address}" in part.error
    assert part.lag == 4
    kafka_server.start()
    await stage.published(60)
    assert len(await asyncio.to_thread(read, kafka_server.address, f"{stage.prefix}.money", 3)) == 3


async def test_a_record_that_is_too_large_stops_its_aggregate_only(stage: Stage, kafka: str) -> None:
    """Later events of the aggregate wait behind it, and follow when somebody drops it."""
    await stage.start(kafka, ', max_record_size: "2KiB"')
    await stage.open("a", "b")
    await stage.deposit("a")
    await stage.deposit("a", note="x" * 3000)
    await stage.deposit("a")
    await stage.deposit("b")
    await stage.published()
    assert (await stage.relay()).detail == "1 parked, 1 behind"
    store = stage.runtime._store
    first, _ = await store.deliveries.letters("@relay")
    assert "2,048" in orjson.loads(first.error)["message"]
    before = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 2)
    assert versions_of(before) == {"a": [2], "b": [2]}
    await store.deliveries.mark("@relay", [(first.source, first.position)], "drop")
    await stage.until(lambda part: not part.detail)
    after = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 3)
    assert versions_of(after) == {"a": [2, 4], "b": [2]}


async def test_a_record_that_only_the_broker_refuses(stage: Stage, kafka: str) -> None:
    """A topic that takes less than it did: of a batch the one record is found, and the others arrive."""
    await stage.start(kafka)
    names = (f"a{number}" for number in count())
    one, two, three = islice((name for name in names if murmur2(name.encode()) % 3 == 0), 3)
    await stage.open(one, two, three)
    await stage.published()
    topic = ConfigResource(
        ConfigResource.Type.TOPIC,
        f"{stage.prefix}.money",
        incremental_configs=[
            ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin = AdminClient({"bootstrap.servers": kafka})
    await asyncio.to_thread(admin.incremental_alter_configs([topic])[topic].result, 30)
    noise = random.Random(1)  # which does not become smaller
    large = "".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(2000))
    await asyncio.gather(
        stage.deposit(one), stage.deposit(two, note=large), stage.deposit(three), stage.deposit(one)
    )
    await stage.published()
    assert (await stage.relay()).detail == "1 parked"
    messages = await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 3)
    assert versions_of(messages) == {one: [2, 3], three: [2]}


async def test_a_topic_with_other_partitions_is_told(stage: Stage, kafka: str) -> None:
    """It would break the order by aggregate: nothing is published, and the health says what to write."""
    topic = f"{stage.prefix}.money"
    admin = AdminClient({"bootstrap.servers": kafka})
    await asyncio.to_thread(admin.create_topics([NewTopic(topic, 2, 1)])[topic].result, 30)
    await stage.start(kafka)
    await stage.open("a")
    part = await stage.until(lambda part: bool(part.error))
    assert f"the topic `{topic}` has 2 partitions, and the file says 3" in part.error
    assert "`partitions: 2`" in part.error


async def test_where_nothing_is_published_there_is_no_relay(stage: Stage, kafka: str) -> None:
    """An application without categories still may read topics, and publish to those of others."""
    store = SqliteStore(stage.folder / "store.db")
    text = f'{ACCOUNT}\n[event_store]\nstreaming: "kafka"\n[store_config]\nkafka: {{ brokers: "{kafka}" }}\n'
    stage.runtime = Runtime(application(text), store)
    await stage.runtime.start()
    await stage.open("a")
    assert "@relay" not in {part.name for part in (await stage.runtime.status()).parts}
    with pytest.raises(NotFound, match="no event has a topic"):
        await stage.runtime.republish(1, caller=ANN)


async def test_a_lost_topic_is_filled_again(stage: Stage, kafka: str) -> None:
    """Made anew, it gets every record that it had, with the same ids."""
    await stage.start(kafka)
    await stage.open("a")
    await stage.deposit("a", 5)
    await stage.published()
    topic, admin = f"{stage.prefix}.money", AdminClient({"bootstrap.servers": kafka})
    before = await asyncio.to_thread(read, kafka, topic, 5)
    await asyncio.to_thread(admin.delete_topics([topic])[topic].result, 30)
    assert await stage.runtime.republish(2, dry_run=True, caller=ANN) == 5
    assert await stage.runtime.republish(2, caller=ANN) == 5
    await stage.published()

    async def there() -> bool:
        return topic in (await asyncio.to_thread(admin.list_topics, timeout=10)).topics

    async with asyncio.timeout(SECONDS):
        while not await there():
            await asyncio.sleep(0.2)
    after = await asyncio.to_thread(read, kafka, topic, 5)
    assert [each.headers() for each in after] == [each.headers() for each in before]


async def test_without_kafka_nothing_is_published_again(tmp_path: Path) -> None:
    """It is told, and not passed over."""
    runtime = Runtime(application(ACCOUNT), SqliteStore(tmp_path / "store.db"))
    await runtime.start()
    with pytest.raises(NotFound, match="`streaming` of"):
        await runtime.republish(1, caller=ANN)
    await runtime.stop()


async def test_a_certificate_that_is_not_there_is_told_at_start(tmp_path: Path) -> None:
    """With the place in the file; it was looked for beside that, wherever the process was started."""
    text, file = (
        text_of("127.0.0.1:9092", "test", ', tls: { ca: "not-here.pem" }'),
        str(tmp_path / "bank.tsk"),
    )
    problems = Problems()
    bank = build(load_text(text, file, {}, problems), file, problems)
    with pytest.raises(StartFailed) as caught:
        Runtime(bank, SqliteStore(tmp_path / "store.db"))
    assert f"`ca` in `tls` of `kafka`: `{tmp_path}/not-here.pem` cannot be read" in caught.value.message
    assert "begins at the folder of the .tsk" in caught.value.help
