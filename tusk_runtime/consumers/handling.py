"""How a consumer handles what comes: what is tried again, what is refused, what is parked."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Sequence

import orjson

from tusk_runtime.clock import Clock
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.consumers.failures import ActionFailed
from tusk_runtime.consumers.limiting import TimeLimit
from tusk_runtime.consumers.pointers import pointed_at, pointer_of
from tusk_runtime.events import StoredEvent
from tusk_runtime.failpoints import hit
from tusk_runtime.following.hands import CHUNK, Changes, EventHands, key_of, seen_as
from tusk_runtime.following.letters import LOG, Letters, place_of
from tusk_runtime.following.messages import unpack
from tusk_runtime.model.consuming import Consumer, Retry
from tusk_runtime.store.deliveries import MOST, Deliveries, Letter
from tusk_runtime.store.protocol import EventStore

LINES = 5
"""How many of the letters that a page leaves are written to the log one by one; of the others, the number."""

log = logging.getLogger("tusk.consumers")


class Attempts:
    """Tries what a consumer does, and says what is left of it."""

    def __init__(self, consumer: Consumer, clock: Clock) -> None:
        self._consumer = consumer
        self._clock = clock
        self._limit = TimeLimit(consumer.timeout)
        self._failed = 0  # since the log said the last of it

    async def attempt(
        self, letter: Letter, work: Callable[[], Awaitable[object]], what: str, *, parks: bool = True
    ) -> Letter | None:
        """Do the work, and give the letter that is left; None: it is done. `what` it is about, in words.

        Where it is not `parks`, what comes later does not wait for what failed for good.

        Raises Unavailable, OutcomeUnknown or StoreUnavailable if it has to be done again as it was.
        """
        consumer, attempts = self._consumer, letter.attempts + 1
        try:
            await self._limit.run(work)
            return None
        except ActionFailed as failure:
            action, told = failure.action, failure.told
            technical = failure.technical
            refused = failure.refused or not (parks or technical)
        except TimeoutError:
            action, refused, technical = letter.action, False, True
            told = {"message": f"it took longer than {consumer.timeout:g} s"}
        again = technical and attempts < consumer.retry.attempts
        now = self._clock.now()
        left = letter._replace(
            standing="refused" if refused else "retry" if again else "parked",
            action=action,
            attempts=attempts,
            timestamp=now + delay_of(consumer.retry, attempts) if again else now,
            error=orjson.dumps({**told, "refused": refused}, default=str),
        )
        self._failed += 1
        if self._failed <= LINES:
            log.warning("%s: %s: %s", consumer.name, what, told["message"])
        await hit("consumer.letter_left")
        return left

    def handled(self) -> None:
        """A page is handled: say of how many letters that it left nothing was said."""
        more, self._failed = self._failed - LINES, 0
        if more > 0:
            log.warning("%s: %d more failed; `tusk dlq ls` shows all", self._consumer.name, more)

    def halted(self, letters: Letters) -> str:
        """Why nothing new may be taken: the consumer has no dead letters, and something failed for good."""
        failed = None if self._consumer.dead_letter else letters.failed()
        if failed is None:
            return ""
        where = f"position {failed.position}"
        if failed.source:
            where = f"offset {failed.position} of {failed.source}"
        return f"what stands at {where}: {orjson.loads(failed.error).get('message', '')}"


class ConsumerHands(EventHands):
    """The hands of one consumer that follows the store's log.

    It may have read its events from topics before, where the log's progress stands still: what it handled
    there is known by the versions that it has seen, and letters that it left there become those of the log.
    """

    def __init__(
        self,
        actor: Actor,
        events: EventStore,
        deliveries: Deliveries,
        clock: Clock,
        *,
        only_letters: bool = False,
    ) -> None:
        """With `only_letters` events come from topics now, and letters of these stay there."""
        self._actor = actor
        self._only_letters = only_letters
        self._deliveries = deliveries
        self._head = 0  # what stands behind it was never handled from a topic
        consumer = actor.consumer
        self._attempts = Attempts(consumer, clock)
        super().__init__(consumer.group, actor.types, consumer.concurrency, events, clock)

    @property
    def halted(self) -> str:
        """The consumer has no dead letters, and an event failed for good."""
        return self._attempts.halted(self.letters)

    async def prepare(self) -> None:
        """Learn up to where events may have been handled from topics. Raises StoreUnavailable."""
        self._head = await self._events.head()

    async def handle(self, page: Sequence[StoredEvent], reached: int) -> Changes:
        """Handle new events, without those that were handled from topics."""
        if page and page[0].position <= self._head:
            seen = await self._deliveries.seen(self.group, {seen_as(event) for event in page})
            page = [event for event in page if event.version > seen.get(seen_as(event), 0)]
        return await super().handle(page, reached)

    async def adopt(self, deliveries: Deliveries) -> Changes:
        """The letters of events that stand in partitions of topics. Messages from outside are not here."""
        adopted, replaced = [], []
        after = LOG, MOST
        while not self._only_letters and (
            page := await deliveries.letters(self.group, after=after, limit=CHUNK)
        ):
            messages = {each: unpack(*place_of(each), each.message) for each in page if each.message}
            pointers = {letter: pointer_of(each) for letter, each in messages.items() if each is not None}
            events = await pointed_at(filter(None, pointers.values()), self._events)
            for letter, pointer in pointers.items():
                event = events.get(pointer) if pointer is not None else None
                if event is not None and key_of(event) == letter.key:
                    adopted.append(letter._replace(source=LOG, position=event.position, message=b""))
                    replaced.append(letter)
            after = place_of(page[-1])
        return Changes(adopted, replaced)

    def handled(self) -> None:
        """Say how many more letters there are."""
        self._attempts.handled()

    async def attempt(self, item: StoredEvent, letter: Letter) -> Letter | None:
        """Handle an event from where its letter stands. Gives the letter that is left; None: it is done."""
        return await self._attempts.attempt(
            letter,
            lambda: self._actor.act(item, letter.action, letter.attempts),
            f"the event at position {letter.position}",
        )


def delay_of(retry: Retry, attempts: int) -> int:
    """After how many microseconds to try again what failed so many times."""
    match retry.backoff:
        case "fixed":
            seconds = retry.delay
        case "linear":
            seconds = retry.delay * attempts
        case _:
            seconds = retry.delay * 2 ** min(attempts - 1, 60)
    seconds = min(seconds, retry.max_delay)
    if retry.jitter:
        seconds *= random.uniform(0.5, 1)  # noqa: S311 - no secret
    return int(seconds * 1_000_000)
