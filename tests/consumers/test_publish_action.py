"""Messages to topics of others: what arrives, how often, by which id, and what becomes of those that cannot."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from time import time_ns
from typing import Any

import orjson
import pytest
from apps import ACCOUNT, application
from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from kafka_server import KafkaServer, private_kafka

from tusk_runtime.bus.kafka import Address
from tusk_runtime.bus.publishing import Publisher
from tusk_runtime.bus.records import Unpublishable
from tusk_runtime.clock import VirtualClock
from tusk_runtime.consumers.leaving import Publication
from tusk_runtime.consumers.outside import Real, Recorded
from tusk_runtime.errors import StartFailed, Unavailable
from tusk_runtime.events import Caller, StoredEvent, id_text, traceparent
from tusk_runtime.model.configuration import Kafka
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.deliveries import Letter
from tusk_runtime.store.protocol import Store

ANN = Caller("ann", (), "north")
SECONDS = 20.0
SHIP = (
    'on: { Deposited: { publish: { topic: "TOPIC", key: "{{ event.aggregate_id }}", '
    'value: { amount: "{{ data.amount }}" }, headers: { kind: "{{ event.event_type }}" } } } }'
)
PATIENT = 'retry: { attempts: 3, delay: "10s", backoff: "fixed", jitter: false }'


class Stage:
    """A runtime with one consumer, `Shipper`, and a topic of its own, `TOPIC`."""

    def __init__(self) -> None:
        self.topic = f"test_{uuid.uuid4().hex[:12]}"
        self.clock = VirtualClock(time_ns() // 1000)  # brokers refuse the times of a far future
        self.store: Store = memory_store()
        self.runtime: Runtime | None = None
        self.address = ""

    async def make(self, address: str, partitions: int = 3, **config: str) -> None:
        self.address = address
        topic = NewTopic(self.topic, partitions, 1, config=config)
        admin = AdminClient({"bootstrap.servers": address})
        await asyncio.to_thread(admin.create_topics([topic])[self.topic].result, 10)

    async def start(self, address: str, consumer: str, more: str = "", *, publishing: bool = True) -> None:
        self.address = address
        text = (
            f'{ACCOUNT}\n[event_store]\nstreaming: "kafka"\n[store_config]\n'
            f'kafka: {{ brokers: "{address}", {more} }}\n[consumers.Shipper]\n{consumer}\n'
        ).replace("TOPIC", self.topic)
        self.runtime = Runtime(application(text), self.store, self.clock, publishing=publishing)
        await self.runtime.start()
        await self.run("Open", owner="ann")

    async def run(self, command: str, account: str = "a", **fields: str) -> None:
        assert self.runtime is not None
        await self.runtime.execute(command, fields, aggregate_id=account, caller=ANN)

    async def settle(self, seconds: float = SECONDS) -> None:
        """Wait for the consumer, and not for the relay."""
        assert self.runtime is not None
        shipper = self.runtime._followers.runners["Shipper"]
        shipper.look()
        assert await shipper.wait_for(await self.store.events.head(), seconds)

    async def deposit(self, account: str = "a", amount: str = "5", **more: str) -> None:
        await self.run("Deposit", account, amount=amount, **more)
        await self.settle()

    async def passes(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        await self.settle()

    async def events(self, type_: str) -> list[StoredEvent]:
        return [event for event in await self.store.events.read(limit=1000) if event.type == type_]

    async def letters(self) -> list[Letter]:
        return list(await self.store.deliveries.letters("Shipper"))

    async def told(self) -> tuple[str, str]:
        """The standing and the message of the only letter."""
        (letter,) = await self.letters()
        return letter.standing, orjson.loads(letter.error)["message"]

    async def messages(self, count: int) -> list[Message]:
        """All messages of the topic: at least `count`, and those that come in the second after these."""
        return await asyncio.to_thread(self._read, count)

    def _read(self, count: int) -> list[Message]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": uuid.uuid4().hex,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([self.topic])
        found: list[Message] = []
        try:
            while (message := consumer.poll(1.0 if len(found) >= count else SECONDS)) is not None:
                if message.error() is None:
                    found.append(message)
                else:
                    assert message.error().code() != KafkaError.UNKNOWN_TOPIC_OR_PART, message.error()
        finally:
            consumer.close()
        assert len(found) >= count
        return found


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    if stage.runtime is not None:
        await stage.runtime.stop()


def headers_of(message: Message) -> dict[str, str]:
    """The headers of a message, each once."""
    headers = [(name, value.decode()) for name, value in message.headers()]
    assert len(headers) == len(dict(headers))
    return dict(headers)


def value_of(message: Message) -> Any:
    return orjson.loads(message.value())


async def topics_of(address: str) -> set[str]:
    """All topics that there are."""
    admin = AdminClient({"bootstrap.servers": address})
    return set((await asyncio.to_thread(admin.list_topics, timeout=10)).topics)


async def test_a_message_arrives_with_key_value_and_headers(stage: Stage, kafka: str) -> None:
    """The value as JSON, an id of its own, the trace of the event, and the event's time."""
    await stage.make(kafka)
    await stage.start(kafka, SHIP)
    await stage.deposit()
    (message,) = await stage.messages(1)
    (event,) = await stage.events("Deposited")
    assert (message.key(), message.value()) == (b"a", b'{"amount":"5.00"}')
    assert message.timestamp()[1] == event.timestamp // 1000
    headers = headers_of(message)
    assert len(headers.pop("message-id")) == 36
    assert headers == {
        "content-type": "application/json",
        "traceparent": f"00-{event.correlation_id.hex()}-{event.event_id[:8].hex()}-01",
        "kind": "Deposited",
    }
    assert await stage.letters() == []


async def test_headers_of_the_file_win_and_a_key_may_be_absent(stage: Stage, kafka: str) -> None:
    """In small and large letters, each header once; nothing else is put around the value."""
    await stage.make(kafka)
    await stage.start(
        kafka,
        'on: { Deposited: [{ publish: { topic: "TOPIC", value: null, headers: '
        '{ Content-Type: "application/x", traceparent: "mine" } } }] }',
    )
    await stage.deposit()
    (message,) = await stage.messages(1)
    headers = headers_of(message)
    assert (message.key(), message.value()) == (None, b"null")
    assert {name for name in headers if name.lower() == "content-type"} == {"Content-Type"}
    assert (headers["Content-Type"], headers["traceparent"]) == ("application/x", "mine")


async def test_each_message_has_an_id_and_keys_keep_their_order(stage: Stage, kafka: str) -> None:
    """Of two actions and two elements none is alike; what has one key stands in one partition, as it came."""
    await stage.make(kafka)
    await stage.start(
        kafka,
        'on: { Deposited: [{ publish: { topic: "TOPIC", key: "k", value: "{{ item }}" }, for_each: [1, 2] }, '
        '{ publish: { topic: "TOPIC", key: "k", value: 3 } }] }',
    )
    await stage.deposit()
    messages = await stage.messages(3)
    assert [value_of(message) for message in messages] == [1, 2, 3]
    assert len({headers_of(message)["message-id"] for message in messages}) == 3
    assert len({message.partition() for message in messages}) == 1


async def test_what_is_repeated_has_the_same_id(stage: Stage, kafka: str) -> None:
    """What was published is published again when a later action of the same event is tried again from its front."""
    await stage.make(kafka)
    await stage.start(kafka, f'{SHIP}\n{PATIENT}\ntimeout: "5s"')
    assert stage.runtime is not None
    real = stage.runtime._outside
    assert isinstance(real, Real)
    publish, times = real.publish, 0

    async def unanswered(message: Any) -> None:  # it arrives, and its answer takes too long
        nonlocal times
        times += 1
        await publish(message)
        if times == 1:
            raise TimeoutError

    real.publish = unanswered  # type: ignore[method-assign]
    await stage.deposit()
    assert [letter.standing for letter in await stage.letters()] == ["retry"]
    await stage.passes(11)
    assert await stage.letters() == []
    first, second = await stage.messages(2)
    assert headers_of(first) == headers_of(second)
    assert (first.key(), first.value(), first.partition()) == (
        second.key(),
        second.value(),
        second.partition(),
    )


async def test_a_broker_that_dies_delays_and_loses_nothing(stage: Stage, kafka_server: KafkaServer) -> None:
    """What is published meanwhile waits, by the consumer's `retry`, and arrives in its order."""
    await stage.make(kafka_server.address)
    await stage.start(
        kafka_server.address, f'{SHIP}\nretry: {{ attempts: 100, delay: "10s", backoff: "fixed" }}'
    )
    await stage.deposit(amount="1")
    await asyncio.to_thread(kafka_server.kill)
    await stage.deposit(amount="2")
    await stage.deposit(amount="3")
    standing, told = (await stage.letters())[0].standing, orjson.loads((await stage.letters())[0].error)
    assert standing == "retry"
    assert told["message"].startswith(f"Kafka at {kafka_server.address}: ")
    kafka_server.spawn()
    await asyncio.to_thread(kafka_server.wait)
    async with asyncio.timeout(60):
        while await stage.letters():
            await stage.passes(11)
    messages = await stage.messages(3)
    amounts = [value_of(message)["amount"] for message in messages]
    assert list(dict.fromkeys(amounts)) == ["1.00", "2.00", "3.00"]
    ids = {(value_of(message)["amount"], headers_of(message)["message-id"]) for message in messages}
    assert len(ids) == 3


async def test_a_broker_that_stands_still_is_not_waited_for(
    kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message has its time, and the next one another client: one that was cut off may wait for ever."""
    stage = Stage()
    await stage.make(kafka_server.address)
    publisher = Publisher(Address(Kafka((kafka_server.address,)), None))
    try:
        await publisher.publish(stage.topic, None, b"1", time_ns() // 1_000_000, [])
        first = publisher._client
        monkeypatch.setattr("tusk_runtime.bus.publishing.CALL_SECONDS", 1.0)
        kafka_server.freeze()
        while await asyncio.to_thread(kafka_server.answers):  # a signal takes its time
            pass
        with pytest.raises(Unavailable, match="answer"):
            await publisher.publish(stage.topic, None, b"2", time_ns() // 1_000_000, [])
        monkeypatch.undo()
        kafka_server.thaw()
        async with asyncio.timeout(60):
            while True:  # for a moment the broker counts as missed by its own controller
                with contextlib.suppress(Unavailable):
                    await publisher.publish(stage.topic, None, b"3", time_ns() // 1_000_000, [])
                    break
        assert publisher._client is not first
        assert first is not None
        assert first._sender.sender_task.done()
        assert not any(connection.connected() for connection in first.client._conns.values())
    finally:
        await publisher.stop()
    assert {1, 3} <= {value_of(message) for message in await stage.messages(2)}


async def test_a_message_that_is_too_large_is_not_sent(stage: Stage, kafka: str) -> None:
    """It is parked at once, with its size; nobody else waits for it."""
    await stage.make(kafka)
    await stage.start(
        kafka,
        'on: { Deposited: { publish: { topic: "TOPIC", value: "{{ data.note ?? \'\' }}" } } }',
        "max_record_size: 2KB",
    )
    await stage.run("Open", "b", owner="ann")
    await stage.deposit(note="x" * 3000)
    await stage.deposit("b", note="y")
    standing, message = await stage.told()
    assert standing == "parked"
    assert message.startswith(f"the message to `{stage.topic}` has 3,")
    assert "`max_record_size` in `kafka` of [store_config] allows 2,000" in message
    assert [value_of(message) for message in await stage.messages(1)] == ["y"]


async def test_a_message_that_only_the_broker_refuses(stage: Stage, kafka: str) -> None:
    """It is parked at once, and takes none with it that goes to the same partition."""
    await stage.make(kafka, 1, **{"max.message.bytes": "1000"})
    await stage.start(
        kafka,
        'on: { Deposited: { publish: { topic: "TOPIC", value: "{{ data.note ?? \'\' }}" } } }\n'
        "retry: { attempts: 1 }",
    )
    for account in "bcdef":
        await stage.run("Open", account, owner="ann")
    noise = uuid.uuid4().hex + "".join(uuid.uuid4().hex for _ in range(100))
    for account in "abcdef":
        await stage.run("Deposit", account, amount="1", note=noise if account == "c" else account)
    await stage.settle()
    standing, message = await stage.told()
    assert standing == "parked"
    assert message.startswith(f"`{stage.topic}` takes no such message: Kafka at {kafka}: ")
    assert {value_of(message) for message in await stage.messages(5)} == set("abdef")


async def test_refused_messages_take_no_others_with_them(stage: Stage, kafka: str) -> None:
    """Whatever is on its way at the same time arrives: what the client loses by them is sent by another one."""
    await stage.make(kafka, 1, **{"max.message.bytes": "1000"})
    noise = "".join(uuid.uuid4().hex for _ in range(100)).encode()
    publisher = Publisher(Address(Kafka((kafka,)), None))
    try:
        for _ in range(10):
            outcomes = await asyncio.gather(
                *(
                    publisher.publish(
                        stage.topic, None, noise if n in (3, 7) else b"1", time_ns() // 1_000_000, []
                    )
                    for n in range(12)
                ),
                return_exceptions=True,
            )
            refused = {n for n, outcome in enumerate(outcomes) if isinstance(outcome, Unpublishable)}
            assert refused == {3, 7}
            assert [outcome for n, outcome in enumerate(outcomes) if n not in refused] == [None] * 10
    finally:
        await publisher.stop()
    assert len(await stage.messages(100)) >= 100


async def test_a_topic_that_is_not_there_is_waited_for(stage: Stage) -> None:
    """And never made, not even where brokers make what somebody asks for."""
    with private_kafka("auto.create.topics.enable=true") as server:
        await stage.start(server.address, f"{SHIP}\n{PATIENT}")
        await stage.deposit()
        standing, message = await stage.told()
        assert (standing, message) == (
            "retry",
            f"there is no topic `{stage.topic}`, or the application may not see it",
        )
        await stage.passes(11)
        assert stage.topic not in await topics_of(server.address)
        await stage.make(server.address)
        await stage.passes(11)
        assert await stage.letters() == []
        assert len(await stage.messages(1)) == 1


async def test_a_topic_that_may_not_be_written_to(stage: Stage) -> None:
    """It is parked at once: to try again would not help."""
    with private_kafka(
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found=true",
    ) as server:
        await stage.make(server.address)
        everyone = ("User:*", "*", AclOperation.WRITE, AclPermissionType.DENY)
        seen = ("User:*", "*", AclOperation.DESCRIBE, AclPermissionType.ALLOW)
        rules = [
            AclBinding(ResourceType.TOPIC, stage.topic, ResourcePatternType.LITERAL, *rule)
            for rule in (everyone, seen)
        ]
        admin = AdminClient({"bootstrap.servers": server.address})
        for answer in admin.create_acls(rules).values():
            await asyncio.to_thread(answer.result, 10)
        await stage.start(server.address, f"{SHIP}\n{PATIENT}")
        await stage.deposit()
        standing, message = await stage.told()
        assert standing == "parked"
        assert message.startswith(f"`{stage.topic}` takes no such message: Kafka at {server.address}: ")


async def test_a_value_that_cannot_be_had_is_parked(stage: Stage, kafka: str) -> None:
    """With its place in the file, and nothing is sent."""
    await stage.make(kafka)
    await stage.start(kafka, "on: { Deposited: { publish: { topic: TOPIC, value: '{{ 1 // 0 }}' } } }")
    await stage.deposit()
    (letter,) = await stage.letters()
    assert letter.standing == "parked"
    assert "place" in orjson.loads(letter.error)


async def test_in_tests_nothing_leaves(stage: Stage) -> None:
    """Messages are only recorded, and count as published; no broker is looked for."""
    await stage.start("127.0.0.1:1", SHIP, publishing=False)
    await stage.deposit()
    assert stage.runtime is not None
    recorded = stage.runtime._outside
    assert isinstance(recorded, Recorded)
    (message,) = recorded.left
    assert isinstance(message, Publication)
    assert (message.topic, message.key, message.value) == (stage.topic, b"a", b'{"amount":"5.00"}')
    assert await stage.letters() == []


async def test_another_limit_is_another_consumer() -> None:
    """What `max_record_size` says holds after an edit, for consumers that publish."""

    def definition(on: str, more: str) -> str:
        text = (
            f'{ACCOUNT}\n[event_store]\nstreaming: "kafka"\n[store_config]\n'
            f'kafka: {{ brokers: "k:1" {more} }}\n[consumers.Shipper]\non: {{ Deposited: {on} }}\n'
        )
        return application(text).consumers["Shipper"].definition

    publish, log = '{ publish: { topic: "t", value: 1 } }', '{ log: "x" }'
    assert definition(publish, "") != definition(publish, ", max_record_size: 2KB")
    assert definition(log, "") == definition(log, ", max_record_size: 2KB")


def test_without_aiokafka_a_start_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tusk_runtime.bus.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    text = (
        f'{ACCOUNT}\n[event_store]\nstreaming: "kafka"\n[store_config]\nkafka: {{ brokers: "k:1" }}\n'
        '[consumers.Shipper]\non: { Deposited: { publish: { topic: "t", value: 1 } } }\n'
    )
    with pytest.raises(StartFailed, match=r"(?s)needs the package aiokafka.*tusk-runtime\[kafka\]"):
        Runtime(application(text), memory_store())


def test_a_trace_is_never_zero() -> None:
    """A command may be given any id, and a parent or a trace of zeros is none."""
    one, event = uuid.UUID(int=0).bytes, uuid.UUID(int=0xF << 124 | 7).bytes
    assert traceparent(event, event) == f"00-{'f':0<31}7-f000000000000000-01"
    assert traceparent(one, one) == f"00-{'1':0>32}-{'1':0>16}-01"
    assert id_text(one).replace("-", "") not in traceparent(one, event)
