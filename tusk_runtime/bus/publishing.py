"""Messages of actions to topics that are not ours."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    TopicAuthorizationFailedError,
)

from tusk_runtime.bus.kafka import CALL_SECONDS, FINAL, Address, closed, started
from tusk_runtime.bus.reasons import explained
from tusk_runtime.bus.records import Unpublishable
from tusk_runtime.errors import Unavailable
from tusk_runtime.model.kafka import LARGEST_RECORD

ALONE = 1
"""Bytes of a batch where each is one record, so that one that is refused takes no other with it."""

REFUSED = (*FINAL, TopicAuthorizationFailedError)
"""What would be answered to the same message again: the topic belongs to others, who gave no right to it."""
LOST = (OutOfOrderSequenceNumber, ProducerClosed)
"""What is wrong with the client, since another message was refused or gave it up: a new one can send this."""


class Publisher:
    """Publishes single messages, each acknowledged by all replicas in sync. It connects with the first one.

    How many partitions a topic has is for others to say: where a message goes the client decides by its key.
    No topic is made, not even where brokers make those that somebody asks for: so all are asked for, and none
    by its name, until it is seen to be there. After anything went wrong the client is made anew.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._known: set[str] = set()
        self._under_way: set[asyncio.Task[None]] = set()

    async def publish(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        timestamp: int,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        """Publish a message, with a time in milliseconds since 1970 UTC.

        Raises Unpublishable if the topic takes no such message, Unavailable if it may not have arrived.
        """
        client: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                while True:
                    client = await self._started()
                    try:
                        await self._look_for(topic, client)
                        await self._kept(_sent(client, topic, key, value, timestamp, headers))
                        return
                    except REFUSED:
                        raise
                    except LOST:
                        await self._drop(client)
                    except KafkaError:
                        if client is self._client:
                            raise  # else it was given up for another message meanwhile
        except REFUSED as error:
            why = await explained(error, self._address)
            raise Unpublishable(f"`{topic}` takes no such message: {why}") from error
        except (KafkaError, OSError, TimeoutError) as error:
            await self._drop(client)
            raise Unavailable(await explained(error, self._address)) from error
        except asyncio.CancelledError:
            await self._drop(client)
            raise

    async def stop(self) -> None:
        """Let go of the connections."""
        await self._drop(self._client)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._client is None:
                self._client = await started(self._address, batch_bytes=ALONE, record_bytes=LARGEST_RECORD)
            return self._client

    async def _kept(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what the client does. Raises ProducerClosed if that is given up meanwhile."""
        task, under_way = asyncio.create_task(work), self._under_way
        under_way.add(task)
        try:
            await asyncio.wait([task])
        finally:
            under_way.discard(task)
            task.cancel()
        if task.cancelled():
            raise ProducerClosed
        task.result()

    async def _look_for(self, topic: str, client: AIOKafkaProducer) -> None:
        """See that a topic is there. Raises Unavailable."""
        if topic not in self._known:
            self._known = set((await client.client.fetch_all_metadata()).topics())
        if topic not in self._known:
            raise Unavailable(f"there is no topic `{topic}`, or the application may not see it")

    async def _drop(self, client: AIOKafkaProducer | None) -> None:
        """Let go of a client, of which something went wrong."""
        self._known = set()
        if client is not None and client is self._client:
            self._client = None
            under_way, self._under_way = self._under_way, set()
            await closed(client)
            for task in under_way:  # nobody else would ever end them
                task.cancel()


async def _sent(
    client: AIOKafkaProducer,
    topic: str,
    key: bytes | None,
    value: bytes,
    timestamp: int,
    headers: Sequence[tuple[str, bytes]],
) -> None:
    """Send a message, and wait until it is acknowledged."""
    await (await client.send(topic, value, key, timestamp_ms=timestamp, headers=headers))
