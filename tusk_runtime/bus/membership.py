"""A member of a consumer group: Kafka's client, behind what the bus needs of it to read topics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalOperation,
    IllegalStateError,
    InconsistentGroupProtocolError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from tusk_runtime.bus.kafka import CALL_SECONDS, CLIENT, Address
from tusk_runtime.bus.reasons import explained
from tusk_runtime.errors import Unavailable
from tusk_runtime.following.messages import Message

SESSION_SECONDS = 6.0
"""After how long a member that says nothing loses its partitions to others: the least that brokers allow."""
HEARTBEAT_SECONDS = 1.0
IDLE_SECONDS = 300.0
"""How long a member may ask for nothing; between two pages it asks several times a second."""
METADATA_SECONDS = 10.0
"""After how long partitions and topics that are new are noticed."""
FETCH_SECONDS = 0.5
"""How long a broker that has nothing waits before it says so; whatever else it is asked waits, too."""
COMMIT_SECONDS = 2.0

Partition = tuple[str, int]
"""A topic, and the number of one of its partitions."""
Revoked = Callable[[Collection[Partition]], Awaitable[None]]
"""Told which partitions are taken away: when it returns, another member may begin with them."""


class TakenAway(Unavailable):
    """A partition was given to somebody else meanwhile."""


def source_of(partition: Partition) -> str:
    """What progress and letters call a partition."""
    topic, number = partition
    return f"{topic}/{number}"


class Bounds(NamedTuple):
    """The first offset that a partition still holds, and the one that comes next."""

    first: int
    next: int


class Membership:
    """One member of a group, which takes turns with others at the partitions of some topics.

    Without a group it reads all partitions. Partitions that are given begin as paused, and stand nowhere
    until `seek`. All calls have a time limit: a client that was cut off may wait for ever.
    """

    def __init__(self, address: Address, group: str | None, topics: Sequence[str], revoked: Revoked) -> None:
        self._address = address
        self._group = group
        self._topics = topics
        self._revoked = revoked
        self._client: AIOKafkaConsumer | None = None
        self.given: frozenset[Partition] = frozenset()
        self.generation = 0  # grows whenever partitions are given, if only none
        self.joined = False  # whether the group has said who has which partitions

    async def start(self) -> None:
        """Connect. Raises Unavailable."""
        size = self._address.kafka.max_record_size
        client = AIOKafkaConsumer(
            **self._address.options(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # What a producer took back is nothing that happened.
            isolation_level="read_committed",
            session_timeout_ms=int(SESSION_SECONDS * 1000),
            heartbeat_interval_ms=int(HEARTBEAT_SECONDS * 1000),
            max_poll_interval_ms=int(IDLE_SECONDS * 1000),
            fetch_max_wait_ms=int(FETCH_SECONDS * 1000),
            metadata_max_age_ms=int(METADATA_SECONDS * 1000),
            max_partition_fetch_bytes=max(size, 1024 * 1024),
        )
        self._client = client
        async with self._asking():
            await client.start()

    async def missing(self) -> Sequence[str]:
        """The topics that are not there. Raises Unavailable."""
        async with self._asking():
            there = await self._made.topics()
        return [topic for topic in self._topics if topic not in there]

    async def join(self) -> None:
        """Ask for partitions. Raises Unavailable."""
        client = self._made
        async with self._asking():
            if self._group is not None:
                client.subscribe(self._topics, listener=_Listener(self))
            else:
                async with self._admin() as admin:
                    described = await admin.describe_topics(list(self._topics))
                found = [
                    TopicPartition(topic["topic"], each["partition"])
                    for topic in described
                    for each in topic["partitions"]
                ]
                client.assign(found)
                self._take(found)

    def _take(self, partitions: Iterable[TopicPartition]) -> None:
        found = list(partitions)
        self._made.pause(*found)
        self.given = frozenset((each.topic, each.partition) for each in found)
        self.generation += 1
        self.joined = True

    async def poll(self, most: int, seconds: float) -> Mapping[Partition, list[Message]]:
        """At most so many messages of what is not paused, after so many seconds at the latest.

        Raises Unavailable if the client has to be made anew.
        """
        found = {}
        async with self._asking():
            # While the group finds out who has which partitions, the client waits for that.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * seconds):
                    found = await self._made.getmany(timeout_ms=int(seconds * 1000), max_records=most)
        return {
            (where.topic, where.partition): [
                Message(
                    each.topic,
                    each.partition,
                    each.offset,
                    each.key,
                    each.value,
                    each.timestamp,
                    tuple(each.headers),
                )
                for each in records
            ]
            for where, records in found.items()
        }

    def seek(self, partition: Partition, offset: int) -> bool:
        """Go on there with what comes next, and no longer be paused; False if it was taken away."""
        with contextlib.suppress(IllegalStateError):
            self._made.seek(TopicPartition(*partition), offset)
            return self.resume(partition)
        return False

    def pause(self, partition: Partition) -> bool:
        """Give nothing of a partition until `resume`; False if it was taken away."""
        with contextlib.suppress(IllegalStateError):
            self._made.pause(TopicPartition(*partition))
            return True
        return False

    def resume(self, partition: Partition) -> bool:
        """Give what a partition holds again; False if it was taken away."""
        with contextlib.suppress(IllegalStateError):
            self._made.resume(TopicPartition(*partition))
            return True
        return False

    async def position(self, partition: Partition) -> int | None:
        """The offset that is given next, once `seek` was called; None if it was taken away."""
        with contextlib.suppress(TakenAway):
            async with self._asking():
                return int(await self._made.position(TopicPartition(*partition)))
        return None

    def end(self, partition: Partition) -> int | None:
        """The offset behind the last message, as the client last heard; None before anything was read."""
        with contextlib.suppress(IllegalStateError, AssertionError):  # it says the same in two ways
            found = self._made.highwater(TopicPartition(*partition))
            return None if found is None else int(found)
        return None

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        """What each partition holds. Raises Unavailable."""
        wanted = [TopicPartition(*each) for each in partitions]
        async with self._asking():
            first, behind = await asyncio.gather(
                self._made.beginning_offsets(wanted), self._made.end_offsets(wanted)
            )
        return {(each.topic, each.partition): Bounds(first[each], behind[each]) for each in wanted}

    async def offset_at(self, partition: Partition, timestamp: int) -> int | None:
        """The first offset from a time on, in milliseconds since 1970 UTC; None if there is none yet."""
        where = TopicPartition(*partition)
        async with self._asking():
            found = await self._made.offsets_for_times({where: timestamp})
        return int(found[where].offset) if found[where] is not None else None

    async def committed(self, partition: Partition) -> int | None:
        """The offset that the group goes on with by what Kafka knows; None if it knows nothing.

        Raises TakenAway, Unavailable.
        """
        if self._group is None:
            return None
        async with self._asking():
            found = await self._made.committed(TopicPartition(*partition))
        return None if found is None else int(found)

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Tell Kafka with what the group goes on; False if that cannot be told now.

        It is for people and tools: what counts is in the store. So nothing that Kafka says to it matters,
        such as that the partitions belong to others by now.
        """
        if self._group is None or not offsets:
            return True
        told = {TopicPartition(*each): offset for each, offset in offsets.items()}
        with contextlib.suppress(KafkaError, OSError, TimeoutError, IllegalOperation, Unavailable), _whole():
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._made.commit(told)
                return True
        return False

    async def strangers(self) -> Sequence[str]:
        """Who else is in the group, and is no process of this runtime: by what they call themselves, and from
        where. Raises Unavailable."""
        if self._group is None:
            return []
        async with self._asking(), self._admin() as admin:
            (answer,) = await admin.describe_consumer_groups([self._group])
        return [
            f"`{client}` at {host.lstrip('/')}"
            for _, _, _, _, _, members, *_ in answer.groups
            for _, client, host, *_ in members
            if client != CLIENT
        ]

    @property
    def broken(self) -> bool:
        """Whether the client has given up keeping its place in the group, which it tells nobody."""
        # There is no other way to see it: https://github.com/aio-libs/aiokafka/issues/1154
        coordinator: Any = getattr(self._client, "_coordinator", None)
        task = getattr(coordinator, "_coordination_task", None)
        return task is not None and task.done()

    async def stop(self) -> None:
        """Leave the group. Never raises."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Unavailable):
                async with self._asking(COMMIT_SECONDS):
                    await client.stop()
            with contextlib.suppress(Unavailable):  # what `stop` left open where it failed
                async with self._asking(COMMIT_SECONDS):
                    await client._client.close()

    @property
    def _made(self) -> AIOKafkaConsumer:
        if self._client is None:
            raise Unavailable("the client is closed")
        return self._client

    @contextlib.asynccontextmanager
    async def _admin(self) -> Any:
        admin = AIOKafkaAdminClient(**self._address.options())
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()

    @contextlib.asynccontextmanager
    async def _asking(self, seconds: float = CALL_SECONDS) -> Any:
        try:
            with _whole():
                async with asyncio.timeout(seconds):
                    yield
        except IllegalStateError as error:
            raise TakenAway(str(error)) from error
        except InconsistentGroupProtocolError as error:
            raise Unavailable(
                f"the group `{self._group}` is used by somebody else, in another way: give the consumer "
                "another `group`"
            ) from error
        except GroupAuthorizationFailedError as error:
            raise Unavailable(f"the application may not use the group `{self._group}`") from error
        except TopicAuthorizationFailedError as error:
            names = ", ".join(f"`{topic}`" for topic in self._topics)
            raise Unavailable(f"the application may not read all of {names}") from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable(await explained(error, self._address)) from error


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Raises Unavailable where a part of the client was cancelled: whoever waits for it would seem to be."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Unavailable("a part of Kafka's client ended by itself") from None


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hears from the client which partitions come and go."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Return when nothing is done with them any more."""
        self._membership.given = frozenset()
        self._membership.joined = False
        await self._membership._revoked([(each.topic, each.partition) for each in revoked])

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Nothing comes out of them before somebody says where to begin."""
        self._membership._take(assigned)
