"""Kafka's client, behind what the bus needs of it: the only place that knows aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.partitioner import murmur2

from tusk_runtime.bus.reasons import explained
from tusk_runtime.bus.records import Record
from tusk_runtime.errors import Unavailable
from tusk_runtime.failpoints import hit
from tusk_runtime.following.hands import task_group
from tusk_runtime.model.configuration import Kafka

CLIENT = "tusk-runtime"
"""What every client calls itself."""
CALL_SECONDS = 15.0
"""How long one call may take: a client that was cut off at the wrong moment may wait for ever else."""
SEND_SECONDS = 30.0
CLOSE_SECONDS = 2.0
BATCH_BYTES = 256 * 1024
"""The largest batch; a topic that takes less gets less."""
KNOWN_KEYS = 100_000
"""Keys whose partition is kept: to find it takes longer than to send the record."""

FINAL: tuple[type[Exception], ...] = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTimestampError,
    InvalidTopicError,
)
"""What is wrong with the record itself, so that sending it again would not help."""
FORBIDDEN = TopicAuthorizationFailedError.errno

log = logging.getLogger("tusk.kafka")
# While no broker answers the client says so many times a second; here it is said once, and in the status.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class Address(NamedTuple):
    """Where a cluster is, and how to come in: the settings, and what encrypts the connections."""

    kafka: Kafka
    context: ssl.SSLContext | None

    def options(self) -> dict[str, Any]:
        """What every client is told."""
        kafka = self.kafka
        protocol = ("SASL_" if kafka.sasl is not None else "") + ("SSL" if self.context else "PLAINTEXT")
        options: dict[str, Any] = {
            "bootstrap_servers": list(kafka.brokers),
            "request_timeout_ms": int(CALL_SECONDS * 1000),
            "client_id": CLIENT,
            "security_protocol": protocol,
            "ssl_context": self.context,
        }
        if kafka.sasl is not None:
            options["sasl_mechanism"] = kafka.sasl.mechanism
            options["sasl_plain_username"] = kafka.sasl.username
            options["sasl_plain_password"] = kafka.sasl.password
        return options


class Topics:
    """Makes the topics that are not there, and looks at those that are."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._kafka = address.kafka

    async def ensure(self, names: Sequence[str]) -> Mapping[str, int]:
        """Make what is missing. Gives the largest record that each topic takes, in bytes.

        Raises Unavailable if a topic is there with other partitions than declared, or nothing can be said.
        """
        admin = AIOKafkaAdminClient(**self._address.options())
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await admin.start()
                await self._create(admin, names)
                await self._check_partitions(admin, names)
                return await self._limits(admin, names)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable(await explained(error, self._address)) from error
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CALL_SECONDS):
                    await admin.close()

    async def _create(self, admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
        kafka = self._kafka
        there = set(await admin.list_topics())
        missing = [name for name in names if name not in there]
        if not missing:
            return
        configs = {"retention.ms": str(int(kafka.retention * 1000))} if kafka.retention is not None else {}
        replicas = kafka.replication_factor or await self._usual_replicas(admin)
        answer = await admin.create_topics(
            [NewTopic(name, kafka.partitions, replicas, topic_configs=configs) for name in missing]
        )
        for name, code, *message in answer.topic_errors:
            error = for_code(code)
            if error is TopicAuthorizationFailedError:
                raise TopicAuthorizationFailedError(name)
            if code and error is not TopicAlreadyExistsError:
                why = message[0] if message and message[0] else error.__name__
                raise Unavailable(f"the topic `{name}` cannot be made: {why}")
            if not code:
                log.info("made the topic %s with %d partitions", name, kafka.partitions)

    async def _usual_replicas(self, admin: AIOKafkaAdminClient) -> int:
        """How many replicas the brokers make where nothing is said; the client cannot leave it open."""
        brokers = (await admin.describe_cluster())["brokers"]
        resource = ConfigResource(ConfigResourceType.BROKER, str(brokers[0]["node_id"]))
        return int((await _configs(admin, [resource])).get((resource.name, "default.replication.factor"), 1))

    async def _check_partitions(self, admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
        async with asyncio.timeout(CALL_SECONDS):
            while True:
                described = {each["topic"]: each for each in await admin.describe_topics(list(names))}
                if any(each["error_code"] == FORBIDDEN for each in described.values()):
                    raise TopicAuthorizationFailedError(
                        *(name for name, each in described.items() if each["error_code"] == FORBIDDEN)
                    )
                if all(not described[name]["error_code"] for name in names if name in described):
                    break
                await asyncio.sleep(0.1)  # a new topic takes a moment to be known
        for name in names:
            found = len(described[name]["partitions"])
            if found != self._kafka.partitions:
                raise Unavailable(
                    f"the topic `{name}` has {found} partitions, and the file says {self._kafka.partitions}: "
                    f"write `partitions: {found}` into `kafka` of [store_config], or another `topic_prefix`"
                )

    async def _limits(self, admin: AIOKafkaAdminClient, names: Sequence[str]) -> Mapping[str, int]:
        found = await _configs(admin, [ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
        most = self._kafka.max_record_size
        return {name: min(most, int(found.get((name, "max.message.bytes"), most))) for name in names}


async def _configs(
    admin: AIOKafkaAdminClient, resources: Sequence[ConfigResource]
) -> dict[tuple[str, str], str]:
    """What is configured, by the name of the resource and that of the setting."""
    return {
        (name, key): value
        for answer in await admin.describe_configs(list(resources))
        for _, _, _, name, entries in answer.resources
        for key, value, *_ in entries
        if value
    }


Acknowledged = Callable[[str, int, int, int], None]
"""Is told of a topic, a partition, the offset of the first record of a batch, and how many it has."""


class Producer:
    """Sends records, each acknowledged by all replicas in sync, in order for each key.

    Records are put into batches here, a partition at a time: the client's own way costs as much again for
    each record. After anything went wrong the client is made anew: an idempotent producer that lost its place
    stays lost.
    """

    def __init__(self, address: Address, acknowledged: Acknowledged = lambda *_: None) -> None:
        """`acknowledged` is told of each batch that a broker took."""
        self._address = address
        self._kafka = address.kafka
        self._acknowledged = acknowledged
        self._client: AIOKafkaProducer | None = None
        self._batch_bytes = BATCH_BYTES
        self._partitions: dict[bytes, int] = {}

    async def take(self, most: int) -> None:
        """No batch is larger than so many bytes from now on, unless it is one record."""
        if most < self._batch_bytes:
            self._batch_bytes = most
            await self.stop()

    async def send(self, records: Sequence[Record]) -> list[Exception | None]:
        """Send all. Gives for each None, or what is wrong with that record for good.

        Raises Unavailable if it is not known which of them arrived: all have to be sent again.
        """
        outcomes: list[Exception | None] = [None] * len(records)
        left, alone = set(range(len(records))), not self._kafka.batching
        try:
            while left:
                if await self._round(records, left, outcomes, alone=alone):
                    # Nobody says which of a batch was refused, and the client lost its place by it.
                    await self.stop()
                    alone = True
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise Unavailable(await explained(error, self._address)) from error
        except BaseException:
            await self.stop()
            raise
        return outcomes

    async def _round(
        self, records: Sequence[Record], left: set[int], outcomes: list[Exception | None], *, alone: bool
    ) -> bool:
        """Send those that are left, as far as none of their partition is refused. Whether any was."""
        async with asyncio.timeout(SEND_SECONDS) as limit:
            client = await self._started()
            partitions = self._batches(client, records, sorted(left), alone)
            if self._kafka.pipelined and self._kafka.batching:
                async with task_group() as group:
                    tasks = [
                        group.create_task(self._sent(client, where, batches, left, outcomes))
                        for where, batches in partitions.items()
                    ]
                return any(task.result() for task in tasks)
            refused = False
            for where, batches in partitions.items():
                for batch in batches:
                    limit.reschedule(asyncio.get_running_loop().time() + SEND_SECONDS)
                    if await self._sent(client, where, [batch], left, outcomes):
                        refused = True
                        break
            return refused

    def _batches(
        self, client: AIOKafkaProducer, records: Sequence[Record], left: Sequence[int], alone: bool
    ) -> dict[tuple[str, int], list[_Batch]]:
        """Those that are left in batches, by topic and partition, in their order; `alone`: one in each."""
        found: dict[tuple[str, int], list[_Batch]] = {}
        for index in left:
            topic, key, value, timestamp, headers = records[index]
            batches = found.setdefault((topic, self._partition(key)), [])
            if alone or not batches or batches[-1].builder.append(
                timestamp=timestamp, key=key, value=value, headers=headers
            ) is None:  # fmt: skip
                builder = client.create_batch()
                builder.append(timestamp=timestamp, key=key, value=value, headers=headers)
                batches.append(_Batch(builder, []))
            batches[-1].records.append(index)
        return found

    def _partition(self, key: bytes) -> int:
        """The partition of a key, as every other client finds it."""
        found = self._partitions.get(key)
        if found is None:
            if len(self._partitions) >= KNOWN_KEYS:
                self._partitions.clear()
            found = self._partitions[key] = (murmur2(key) & 0x7FFF_FFFF) % self._kafka.partitions
        return found

    async def _sent(
        self,
        client: AIOKafkaProducer,
        where: tuple[str, int],
        batches: Sequence[_Batch],
        left: set[int],
        outcomes: list[Exception | None],
    ) -> bool:
        """Send the batches of a partition in order. Whether any was refused.

        What is settled goes out of `left`, with an outcome if it was alone in its batch and is wrong for
        good. Those behind a batch that was refused may be left, too.
        """
        topic, partition = where
        waits = []
        for batch in batches:
            waits.append(await client.send_batch(batch.builder, topic, partition=partition))
        await hit("relay.sent")
        refused = False
        for batch, wait in zip(batches, waits, strict=True):
            try:
                self._acknowledged(topic, partition, (await wait).offset, len(batch.records))
            except FINAL as error:
                refused = True
                if len(batch.records) > 1:
                    continue
                outcomes[batch.records[0]] = error
            except OutOfOrderSequenceNumber:
                if not refused:
                    raise
                continue
            left.difference_update(batch.records)
        return refused

    async def _started(self) -> AIOKafkaProducer:
        if self._client is None:
            most = self._kafka.max_record_size
            self._client = await started(self._address, batch_bytes=self._batch_bytes, record_bytes=most)
        return self._client

    async def stop(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await closed(client)


class _Batch(NamedTuple):
    """Records that are sent together: the client's builder, and which they are."""

    builder: Any
    records: list[int]


async def started(address: Address, *, batch_bytes: int, record_bytes: int) -> AIOKafkaProducer:
    """A client whose batches have so many bytes at most, unless they are one record, and records so many.

    Raises what the client raises.
    """
    client = AIOKafkaProducer(
        **address.options(),
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        max_batch_size=batch_bytes,
        max_request_size=record_bytes + BATCH_BYTES,
    )
    try:
        await client.start()
    except BaseException:
        await closed(client)
        raise
    return client


async def closed(client: AIOKafkaProducer) -> None:
    """Let go of a client, in a moment at most. Never raises."""
    # What it still holds is sent again by the next one: nothing to wait for.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.stop()
            return
    # It waits for a broker that does not answer: its task would go on for ever, over open connections.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.client.close()
            await client._sender.close()
