"""Topics that lose what was published to them: an alarm that stays, events that wait, and how they are filled again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_server import KafkaServer
from stage import ANN, Stage, read, versions_of
from support import until

from tusk_runtime.failpoints import set_points

LOST = "lost records that were published"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tusk_runtime.bus.kafka.CALL_SECONDS", 5.0)
    monkeypatch.setattr("tusk_runtime.bus.losses.CALL_SECONDS", 5.0)
    monkeypatch.setattr("tusk_runtime.bus.kafka.SEND_SECONDS", 5.0)
    monkeypatch.setattr("tusk_runtime.bus.losses.SURE_SECONDS", 0.2)
    yield
    set_points("")


async def deleted(address: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    await asyncio.to_thread(admin.delete_topics([topic])[topic].result, 30)


async def made(address: str, topic: str, partitions: int = 3) -> None:
    """Make a topic, as soon as that is possible after it was deleted."""
    admin = AdminClient({"bootstrap.servers": address})
    async with asyncio.timeout(20):
        while True:
            try:
                await asyncio.to_thread(
                    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result, 30
                )
            except Exception:
                await asyncio.sleep(0.1)
            else:
                return


async def filled(stage: Stage, address: str, position: int, versions: list[int]) -> None:
    """Published again from a position on: then these versions of the aggregate `a` are there, in order."""
    await stage.runtime.republish(position, caller=ANN)
    await stage.published()
    found = await asyncio.to_thread(read, address, f"{stage.prefix}.money", len(versions), quiet=0.3)
    assert versions_of(found) == {"a": versions}


async def test_a_broker_that_lost_its_data(
    stage: Stage, kafka_server: KafkaServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where nothing is published meanwhile. Commands go on, what is new waits, and stands behind the rest."""
    await stage.start(kafka_server.address)
    await stage.open("a")
    await stage.deposit("a", 5)
    await stage.published()
    kafka_server.kill()
    kafka_server.format()
    kafka_server.start()
    began = time.monotonic()
    part = await stage.until(lambda part: LOST in part.error)
    assert time.monotonic() - began < 10
    assert f"`{stage.prefix}.accounts`, `{stage.prefix}.money`" in part.error
    assert "`tusk republish --from 1`" in part.error
    alarms = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert alarms == [
        f"the topic `{stage.prefix}.accounts` lost records: it had 1",
        f"the topic `{stage.prefix}.money` lost records: it had 5",
    ]
    await stage.deposit("a", 2)
    await asyncio.sleep(2)
    part = await stage.relay()
    assert LOST in part.error
    assert part.lag == 2
    topics = await asyncio.to_thread(
        AdminClient({"bootstrap.servers": kafka_server.address}).list_topics, timeout=10
    )
    assert not [name for name in topics.topics if name.startswith(stage.prefix)]
    # The relay tries again all the time, and knows already where it stood when somebody moves it back.
    set_points("follower.claimed:delay=2")
    caplog.clear()
    await until(lambda: "follower.claimed: delay" in caplog.messages, "it tries again")
    await filled(stage, kafka_server.address, 1, list(range(2, 9)))
    assert not (await stage.relay()).error


async def test_a_topic_that_somebody_made_anew(stage: Stage, kafka: str) -> None:
    """Told by the first records that arrive there, if not before; these are the only ones that overtake others."""
    await stage.start(kafka)
    await stage.open("a")
    await stage.deposit("a", 3)
    await stage.published()
    await deleted(kafka, f"{stage.prefix}.money")
    await made(kafka, f"{stage.prefix}.money")
    await stage.deposit("a", 50)
    await stage.until(lambda part: LOST in part.error)
    await stage.runtime.republish(1, caller=ANN)
    await stage.published()
    found = versions_of(await asyncio.to_thread(read, kafka, f"{stage.prefix}.money", 53, quiet=0.3))
    assert sorted(found["a"]) == list(range(2, 55))


async def test_the_alarm_stays_over_restarts(stage: Stage, kafka: str) -> None:
    """Also if the topic is lost while nothing runs, and made anew; it goes on from where somebody says."""
    await stage.start(kafka)
    await stage.open("a")
    await stage.deposit("a", 3)
    await stage.published()
    await stage.runtime.stop()
    await deleted(kafka, f"{stage.prefix}.money")
    await made(kafka, f"{stage.prefix}.money")
    for _ in range(2):
        await stage.start(kafka)
        await stage.deposit("a")
        part = await stage.until(lambda part: LOST in part.error)
        assert f"`{stage.prefix}.money` lost" in part.error
        await stage.runtime.stop()
    await stage.start(kafka)
    await stage.until(lambda part: LOST in part.error)
    await filled(stage, kafka, 5, [5, 6])  # what was lost is given up
    await stage.again(kafka)
    await stage.deposit("a")
    await stage.published()


async def test_it_is_no_loss_that_records_grow_old(stage: Stage, kafka: str) -> None:
    """A topic that forgets its first records, as `retention` says, ends where it did."""
    await stage.start(kafka)
    await stage.open("a")
    await stage.deposit("a", 3)
    await stage.published()
    admin = AdminClient({"bootstrap.servers": kafka})
    parts = [TopicPartition(f"{stage.prefix}.money", partition, -1) for partition in range(3)]
    for each in (await asyncio.to_thread(admin.delete_records, parts)).values():
        await asyncio.to_thread(each.result, 10)
    await stage.again(kafka)
    await stage.deposit("a")
    await stage.published()
