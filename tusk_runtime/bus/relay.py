"""The relay: follows the log, and publishes what leaves the application."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from time import monotonic

import orjson

from tusk_runtime.bus.kafka import Address, Producer, Topics
from tusk_runtime.bus.losses import Losses
from tusk_runtime.bus.records import Record, Recorder, Unpublishable
from tusk_runtime.clock import Clock
from tusk_runtime.errors import TuskError, Unavailable
from tusk_runtime.events import StoredEvent
from tusk_runtime.failpoints import hit
from tusk_runtime.following.hands import Changes, EventHands, key_of
from tusk_runtime.following.letters import LOG
from tusk_runtime.store.deliveries import Deliveries, Letter
from tusk_runtime.store.protocol import Store

PAGE = 5000
"""Events that are on their way at a time."""
ENVELOPE = 4096
"""Bytes of a record beside its value, generously: an id has at most 200 characters, a name 100."""
LOOK_SECONDS = 5.0
"""How often the topics are looked at: whether they lost anything."""


class Relay(EventHands):
    """Publishes pages of events. The log is the outbox: what is stored leaves, and nothing else does.

    A page counts as published when every record of it is acknowledged; until then all of it is sent again:
    each record arrives at least once, those of an aggregate in order. A record that can never be sent parks
    its aggregate, or halts all, as the file says. Its size is looked at before anything is sent, since one
    that a broker refuses would be overtaken by those behind it. A topic that lost records halts all: what
    came later would stand before what is published again.
    """

    def __init__(self, group: str, recorder: Recorder, address: Address, store: Store, clock: Clock) -> None:
        super().__init__(group, recorder.types, 1, store.events, clock)
        self._recorder = recorder
        self._address = address
        self._names = sorted(set(address.kafka.topics.values()))
        self._losses = Losses(group, self._names, store.deliveries)
        self._looked = 0.0
        self._producer = Producer(address, self._losses.acknowledged)
        self._topics = Topics(address)
        self._limits: Mapping[str, int] = {}
        self._halting = address.kafka.halting
        self.published = 0

    @property
    def halted(self) -> str:
        """An event cannot be sent, and `[event_producer] error_handling` says that nothing overtakes it."""
        failed = self.letters.failed() if self._halting else None
        if failed is None:
            return ""
        return f"the event at position {failed.position}: {orjson.loads(failed.error)['message']}"

    async def prepare(self) -> None:
        """Make the topics that are not there. Raises Unavailable, also if one lost records."""
        if self._names:
            await self._look(learn=True)
            self._limits = await self._topics.ensure(self._names)
            await self._producer.take(min(self._limits.values()))
        await hit("relay.prepared")

    async def rest(self) -> None:
        """Let go of the connections."""
        await self._producer.stop()
        with contextlib.suppress(TuskError):
            await self._losses.keep()

    async def rewound(self) -> None:
        """What topics lost, if anything, is published again, or given up. Raises Unavailable."""
        await self._losses.forget()

    async def handle_due(self, deliveries: Deliveries) -> Changes:
        """Look at the topics from time to time, and handle the letters that are due. Raises Unavailable."""
        if self._names and monotonic() - self._looked >= LOOK_SECONDS:
            await self._look()
        return await super().handle_due(deliveries)

    async def _look(self, *, learn: bool = False) -> None:
        try:
            await self._losses.look(self._address, learn=learn)
        except Unavailable:
            await self._producer.stop()  # it asks for its topics: brokers may make what is asked for
            raise
        self._looked = monotonic()

    async def handle(self, page: Sequence[StoredEvent], reached: int) -> Changes:
        """Publish a page. Raises Unavailable if all of it has to be sent again."""
        if not page:
            return Changes([], [], reached)
        letters: dict[int, Letter] = {}
        stopped: set[str] = set()
        sent: list[tuple[StoredEvent, Record]] = []
        for event in page:
            key = key_of(event)
            if key in stopped or self.letters.parked(key):
                letters[event.position] = self._letter(event, "behind", b"{}")
                continue
            try:
                sent.append((event, self._record(event)))
            except Unpublishable as unpublishable:
                stopped.add(key)
                letters[event.position] = self._parked(event, unpublishable)
                if self._halting:
                    reached = event.position
                    break
        await hit("relay.recorded")
        outcomes = await self._producer.send([record for _, record in sent])
        await self._losses.check()
        await hit("relay.acknowledged")
        for (event, _), error in zip(sent, outcomes, strict=True):
            if error is None:
                self.published += 1
            elif key_of(event) not in stopped:
                stopped.add(key_of(event))
                letters[event.position] = self._parked(event, error)
            else:
                letters[event.position] = self._letter(event, "behind", b"{}")
        return Changes(list(letters.values()), [], reached)

    async def attempt(self, event: StoredEvent, letter: Letter) -> Letter | None:
        """Publish one event again."""
        error: Exception | None
        try:
            (error,) = await self._producer.send([self._record(event)])
        except Unpublishable as unpublishable:
            error = unpublishable
        if error is None:
            self.published += 1
            return None
        return self._parked(event, error)._replace(attempts=letter.attempts + 1)

    def _record(self, event: StoredEvent) -> Record:
        record = self._recorder.record(event)
        limit = self._limits[record.topic]
        if len(record.value) > limit - ENVELOPE and record.size > limit:
            raise Unpublishable(
                f"the record has {record.size:,} bytes, and `{record.topic}` takes {limit:,}: "
                "`max_record_size` in `kafka` of [store_config] and the topic's own `max.message.bytes` "
                "say how many"
            )
        return record

    def _parked(self, event: StoredEvent, error: Exception) -> Letter:
        message = str(error) or type(error).__name__
        return self._letter(event, "parked", orjson.dumps({"message": message, "refused": False}))

    def _letter(self, event: StoredEvent, standing: str, error: bytes) -> Letter:
        attempts = int(standing == "parked")
        return Letter(LOG, event.position, key_of(event), standing, 0, attempts, self._clock.now(), error)  # type: ignore[arg-type]
