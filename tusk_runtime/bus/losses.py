"""Notices when a topic lost what was published to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from tusk_runtime.bus.kafka import CALL_SECONDS, Address
from tusk_runtime.bus.reasons import explained
from tusk_runtime.errors import Conflict, Unavailable
from tusk_runtime.events import new_id
from tusk_runtime.store.deliveries import Deliveries

Ends = Mapping[str, Mapping[int, int]]
"""By topic and partition the offset behind the last record; topics that are not there are left out."""

LOST = 1 << 62
"""What is kept in place of a number of records when a topic lost some."""
SURE_LOOKS = 2
SURE_SECONDS = 2.0
"""A loss is looked at so many times more, each after that time, before it is told."""
_LATEST = -1
_UNCOMMITTED = 0

log = logging.getLogger("tusk.kafka")


class Losses:
    """What is known of the length of topics: it never shrinks, but by a loss.

    The number of records that each topic has had is kept in the store, as the progress of something by the
    name of the group and the topic. Once a topic lost any, that is kept instead, until `forget`.
    """

    def __init__(self, group: str, topics: Sequence[str], deliveries: Deliveries) -> None:
        self._group = group
        self._topics = topics
        self._deliveries = deliveries
        self._holder = new_id()
        self._epochs: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._ends: dict[str, dict[int, int]] = {topic: {} for topic in topics}
        self._shrunk: set[str] = set()

    def acknowledged(self, topic: str, partition: int, offset: int, count: int) -> None:
        """A broker took so many records, the first of them at an offset."""
        if offset < 0:
            return  # it has had them before, and does not say where
        ends = self._ends[topic]
        known = ends.get(partition, 0)
        if offset < known:
            self._shrunk.add(topic)
        ends[partition] = max(known, offset + count)

    async def look(self, address: Address, *, learn: bool) -> None:
        """Compare the topics with what is known of them; with `learn` the store is asked for that first.

        Raises Unavailable where no broker answers, and as long as a loss is not forgotten; Conflict if
        another process knows more.
        """
        found = await ends_of(address, self._topics)
        if learn:
            await self._learn()
            await self.check()
        lost = self._lacking(found)
        for _ in range(SURE_LOOKS):
            if lost:
                await asyncio.sleep(SURE_SECONDS)
                found = await ends_of(address, self._topics)
                lost &= self._lacking(found)
        self._shrunk |= lost
        await self.check()
        for topic, ends in found.items():
            self._ends[topic].update(ends)
        await self.keep()

    async def check(self) -> None:
        """Raises Unavailable if a topic lost records."""
        lost = [topic for topic in self._topics if topic in self._shrunk or self._kept[topic] == LOST]
        if not lost:
            return
        for topic in lost:
            if (kept := self._kept[topic]) != LOST:
                had = max(kept, self._count(topic))
                log.error("the topic `%s` lost records: it had %d", topic, had)
                await self._keep(topic, LOST)
        names = ", ".join(f"`{topic}`" for topic in lost)
        raise Unavailable(
            f"{names} lost records that were published: nothing more leaves until `tusk republish --from 1` "
            "publishes them again; a later position gives up what is before it"
        )

    async def keep(self) -> None:
        """Let the store know what this process knows. Raises Conflict if another process does this now."""
        for topic in self._topics:
            count = self._count(topic)
            if count > self._kept.get(topic, count):
                await self._keep(topic, count)

    async def forget(self) -> None:
        """Begin anew, whoever else knows anything: what is lost is published again, or was given up."""
        for topic in self._topics:
            claim = await self._deliveries.claim(self._name(topic), new_id(), 0, begin=0)
            if claim is None:
                raise Unavailable("another process looks at the topics")
            await self._deliveries.save(self._name(topic), claim.epoch, 0)

    async def _learn(self) -> None:
        """Read what the store knows. What this process knows counts, too, if nobody else wrote meanwhile.

        Raises Conflict if somebody did: the progress was moved back then, behind the back of this process.
        """
        others = False
        for topic in self._topics:
            claim = await self._deliveries.claim(self._name(topic), self._holder, 0, begin=0)
            if claim is None:
                raise Unavailable("another process looks at the topics")
            if claim.epoch != self._epochs.get(topic):
                others |= topic in self._epochs
                self._epochs[topic], self._kept[topic] = claim
                self._ends[topic] = {}
                self._shrunk.discard(topic)
        if others:
            raise Conflict("another process publishes, or somebody asked for a republish")

    def _name(self, topic: str) -> str:
        return f"{self._group}/{topic}"

    def _count(self, topic: str) -> int:
        return sum(self._ends[topic].values())

    def _lacking(self, found: Ends) -> set[str]:
        """The topics that are shorter than they were."""
        return {topic for topic in self._topics if self._lacks(topic, found.get(topic, {}))}

    def _lacks(self, topic: str, ends: Mapping[int, int]) -> bool:
        less = any(ends.get(partition, 0) < end for partition, end in self._ends[topic].items())
        return less or sum(ends.values()) < self._kept[topic]

    async def _keep(self, topic: str, count: int) -> None:
        await self._deliveries.save(self._name(topic), self._epochs[topic], count)
        self._kept[topic] = count


async def ends_of(address: Address, topics: Sequence[str]) -> Ends:
    """Where the topics end. Raises Unavailable."""
    client = AIOKafkaClient(**address.options())
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await client.bootstrap()
            return await _ends(client, topics)
    except (KafkaError, OSError) as error:
        raise Unavailable(await explained(error, address)) from error
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CALL_SECONDS):
                await client.close()


async def _ends(client: AIOKafkaClient, topics: Sequence[str]) -> Ends:
    # No broker may make a topic because somebody asks for it.
    request = MetadataRequest(list(topics), allow_auto_topic_creation=False)
    answer = (await client.send(client.get_random_node(), request)).to_object()
    found: dict[str, dict[int, int]] = {}
    by_leader: dict[int, dict[str, list[tuple[int, int]]]] = {}
    for each in answer["topics"]:
        error, name = for_code(each["error_code"]), each["topic"]
        if error is UnknownTopicOrPartitionError:
            continue
        if each["error_code"]:
            raise error(name)
        found[name] = {}
        for part in each["partitions"]:
            if part["leader"] < 0:
                raise KafkaError(f"partition {part['partition']} of `{name}` has no broker now")
            by_leader.setdefault(part["leader"], {}).setdefault(name, []).append((part["partition"], _LATEST))
    await client.force_metadata_update()  # the leaders may be brokers that nobody has named yet
    for leader, asked in by_leader.items():
        answer = await client.send(leader, OffsetRequest(-1, _UNCOMMITTED, list(asked.items())))
        for name, parts in answer.topics:
            for partition, code, _, offset in parts:
                if code:
                    raise KafkaError(f"the broker that has `{name}` is not ready ({for_code(code).__name__})")
                found[name][partition] = offset
    return found
