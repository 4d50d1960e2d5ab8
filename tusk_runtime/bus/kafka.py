"""Kafka's client, behind what the bus needs of it: the only place that knows aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from tusk_runtime.bus.records import Record
from tusk_runtime.errors import Unavailable
from tusk_runtime.failpoints import hit
from tusk_runtime.model.configuration import Kafka, Tls

CALL_SECONDS = 15.0
"""How long one call may take: a client that was cut off at the wrong moment may wait for ever else."""
SEND_SECONDS = 30.0
LINGER_MILLISECONDS = 2
BATCH_BYTES = 256 * 1024

FINAL: tuple[type[Exception], ...] = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTopicError,
    TopicAuthorizationFailedError,
)
"""What is wrong with the record itself, so that sending it again would not help."""

log = logging.getLogger("tusk.kafka")


def client_options(kafka: Kafka) -> dict[str, Any]:
    """What every client is told: where the brokers are, and who asks."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.brokers),
        "request_timeout_ms": int(CALL_SECONDS * 1000),
        "client_id": "tusk-runtime",
    }
    protocol = ("SASL_" if kafka.sasl is not None else "") + ("SSL" if kafka.tls is not None else "PLAINTEXT")
    options["security_protocol"] = protocol
    if kafka.sasl is not None:
        options["sasl_mechanism"] = kafka.sasl.mechanism
        options["sasl_plain_username"] = kafka.sasl.username
        options["sasl_plain_password"] = kafka.sasl.password
    if kafka.tls is not None:
        options["ssl_context"] = _context(kafka.tls)
    return options


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.mode != "verify-full":
        context.check_hostname = False
    if tls.mode == "require":
        context.verify_mode = ssl.CERT_NONE
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


class Topics:
    """Makes the topics that are not there, and looks at those that are."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    async def ensure(self, names: Sequence[str]) -> Mapping[str, int]:
        """Make what is missing. Gives the largest record that each topic takes, in bytes.

        Raises Unavailable if a topic is there with other partitions than declared, or nothing can be said.
        """
        admin = AIOKafkaAdminClient(**client_options(self._kafka))
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await admin.start()
                await self._create(admin, names)
                await self._check_partitions(admin, names)
                return await self._limits(admin, names)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable(explained(error, self._kafka)) from error
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


class Producer:
    """Sends records, each acknowledged by all replicas in sync, in order for each key.

    After anything went wrong it is made anew: an idempotent producer that lost its place stays lost.
    """

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._client: AIOKafkaProducer | None = None

    async def send(self, records: Sequence[Record]) -> list[Exception | None]:
        """Send all. Gives for each None, or what is wrong with that record for good.

        Raises Unavailable if it is not known which of them arrived: all have to be sent again.
        """
        try:
            async with asyncio.timeout(SEND_SECONDS):
                client = await self._started()
                sent = [await self._sent(client, record) for record in records]
                await hit("relay.sent")
                await client.flush()
                return [await _outcome(each) if isinstance(each, asyncio.Future) else each for each in sent]
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise Unavailable(explained(error, self._kafka)) from error
        except BaseException:
            await self.stop()
            raise

    async def _sent(self, client: AIOKafkaProducer, record: Record) -> asyncio.Future[Any] | Exception:
        try:
            sent: asyncio.Future[Any] = await client.send(
                record.topic,
                record.value,
                key=record.key,
                timestamp_ms=record.timestamp,
                headers=record.headers,
            )
        except FINAL as error:
            return error
        return sent

    async def _started(self) -> AIOKafkaProducer:
        if self._client is None:
            client = AIOKafkaProducer(
                **client_options(self._kafka),
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                linger_ms=LINGER_MILLISECONDS,
                max_batch_size=BATCH_BYTES,
                max_request_size=self._kafka.max_record_size + BATCH_BYTES,
            )
            try:
                await client.start()
            except BaseException:
                await _closed(client)
                raise
            self._client = client
        return self._client

    async def stop(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await _closed(client)


async def _outcome(sent: asyncio.Future[Any]) -> Exception | None:
    try:
        await sent
    except FINAL as error:
        return error
    return None


async def _closed(client: AIOKafkaProducer) -> None:
    # What it still holds is sent again by the next one: nothing to wait for.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(2.0):
            await client.stop()


def explained(error: BaseException, kafka: Kafka) -> str:
    """What an error of the client means, for people; the password is not in it."""
    brokers = ", ".join(kafka.brokers)
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        text = "no answer in time"
    return f"Kafka at {brokers}: {text}"
