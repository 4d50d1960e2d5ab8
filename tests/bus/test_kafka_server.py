"""The brokers that tests run on are real: two foreign clients agree on them, and they lose nothing when they are killed."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_server import KafkaServer, private_kafka, require_kafka
from support import ROOT, until

SECONDS = 10


def unused(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def topic_on(address: str) -> str:
    """A new topic of one partition."""
    name = unused("topic")
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(SECONDS)
    return name


@asynccontextmanager
async def producer_on(address: str, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, acks="all", **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@contextmanager
def consumer_on(address: str, topic: str, group: str = "") -> Iterator[Consumer]:
    """Reads as a member of a group, behind what it committed; else the whole topic."""
    options = {"bootstrap.servers": address, "group.id": group or "none", "enable.auto.commit": False}
    consumer = Consumer({**options, "auto.offset.reset": "earliest"})
    if group:
        consumer.subscribe([topic])
    else:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    try:
        yield consumer
    finally:
        consumer.close()


def taken(consumer: Consumer, count: int) -> list[Message]:
    """The next messages; an error of the broker fails the test."""
    found = [consumer.poll(SECONDS) for _ in range(count)]
    assert all(message is not None and message.error() is None for message in found), found
    return found


def end_of(address: str, topic: str) -> int:
    """How many records the topic has had."""
    with consumer_on(address, topic) as consumer:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), SECONDS)[1]


@pytest.fixture(scope="module")
def one_for_all() -> Iterator[KafkaServer]:
    """One broker to disturb, since each takes seconds to start."""
    with private_kafka() as server:
        yield server


@pytest.fixture
def disturbed(one_for_all: KafkaServer) -> KafkaServer:
    """That broker, running, whatever the test before did to it."""
    if not one_for_all.answers():
        one_for_all.kill()
        one_for_all.start()
    return one_for_all


async def test_another_client_reads_what_aiokafka_wrote(kafka):
    topic = topic_on(kafka)
    async with producer_on(kafka) as producer:
        kept = await producer.send_and_wait(
            topic,
            b"value",
            key=b"key",
            headers=[("one", b"1"), ("one", b"2")],
            timestamp_ms=1_700_000_000_000,
        )
    with consumer_on(kafka, topic) as consumer:
        (message,) = taken(consumer, 1)
    assert (message.key(), message.value(), message.offset()) == (b"key", b"value", kept.offset)
    assert message.headers() == [("one", b"1"), ("one", b"2")]
    assert message.timestamp()[1] == 1_700_000_000_000


@pytest.mark.parametrize("compression", ["gzip", "lz4", "snappy", "zstd"])
async def test_another_client_reads_what_aiokafka_compressed(kafka, compression):
    topic = topic_on(kafka)
    async with producer_on(kafka, compression_type=compression) as producer:
        await producer.send_and_wait(topic, b"value" * 1000)
    with consumer_on(kafka, topic) as consumer:
        assert [message.value() for message in taken(consumer, 1)] == [b"value" * 1000]


async def test_a_topic_that_nobody_made_is_refused_and_not_made(kafka):
    topic = unused("topic")
    async with producer_on(kafka, request_timeout_ms=1000) as producer:
        with pytest.raises(UnknownTopicOrPartitionError):
            await producer.send_and_wait(topic, b"value")
    assert topic not in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=SECONDS).topics


async def test_the_broker_refuses_too_large_a_record(kafka):
    topic = topic_on(kafka)
    async with producer_on(kafka, max_request_size=4_000_000) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, b"x" * 2_000_000)
    assert end_of(kafka, topic) == 0


async def test_a_killed_broker_comes_back_with_its_messages_and_its_groups(disturbed):
    topic, group, address = topic_on(disturbed.address), unused("group"), disturbed.address
    async with producer_on(address) as producer:
        for value in b"one", b"two", b"three":
            await producer.send_and_wait(topic, value)
    with consumer_on(address, topic, group) as consumer:
        consumer.commit(taken(consumer, 2)[-1], asynchronous=False)

    killed = disturbed.pid
    disturbed.kill()
    assert not disturbed.answers()
    disturbed.start()

    assert disturbed.address == address
    assert disturbed.pid != killed
    assert end_of(address, topic) == 3
    with consumer_on(address, topic, group) as consumer:
        assert [message.value() for message in taken(consumer, 1)] == [b"three"]


async def test_a_frozen_broker_answers_nothing_until_it_thaws(disturbed):
    topic = topic_on(disturbed.address)
    async with producer_on(disturbed.address) as producer:
        await producer.send_and_wait(topic, b"before")
        disturbed.freeze()
        assert not disturbed.answers()
        sent = asyncio.ensure_future(producer.send_and_wait(topic, b"meanwhile"))
        assert await asyncio.wait([sent], timeout=0.5) == (set(), {sent})
        disturbed.thaw()
        await asyncio.wait_for(sent, SECONDS)
    assert end_of(disturbed.address, topic) == 2


def test_a_frozen_broker_can_be_stopped_and_one_that_does_not_start_says_why(disturbed):
    disturbed.freeze()
    disturbed.stop()
    assert not disturbed.answers()
    with socket.socket() as other:
        other.bind(("127.0.0.1", disturbed.port))
        with pytest.raises(RuntimeError, match=r"(?s)does not start.*Address already in use"):
            disturbed.start()


def test_a_setting_that_kafka_refuses_is_told():
    with (
        pytest.raises(RuntimeError, match=r"(?s)cannot be made.*num\.io\.threads"),
        private_kafka("num.io.threads=x"),
    ):
        pass


async def test_a_broker_ends_with_the_process_that_started_it(tmp_path):
    require_kafka()
    program = (
        "import os, signal\nfrom kafka_server import private_kafka\nwith private_kafka() as server:\n"
        "    print(server.pid, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "tests", env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    broker = int(killed.stdout)
    await until(lambda: not Path("/proc", str(broker)).exists(), "the broker has ended")
