"""How events are handled: side by side by aggregate, tried again, and parked where they fail for good."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

import orjson

from tusk_runtime.clock import Clock
from tusk_runtime.consumers.acting import ActionFailed, Actor
from tusk_runtime.events import StoredEvent
from tusk_runtime.model.consuming import Retry
from tusk_runtime.store.deliveries import Deliveries, Letter, Standing
from tusk_runtime.store.protocol import EventStore

LOG = ""
"""The source of a letter about an event of the store's own log."""
CHUNK = 100
"""Letters of one aggregate that are handled before what was done is saved."""
PAGE = 1000

MARKED: Sequence[Standing] = ("retry", "drop")
BEHIND: Sequence[Standing] = ("behind",)

Place = tuple[str, int]
"""A letter's source and position."""

log = logging.getLogger("tusk.consumers")


class Changes(NamedTuple):
    """What became of some events: letters to keep, letters that are done, and the position up to which all
    events of a page were handled."""

    letters: list[Letter]
    done: list[Letter]
    reached: int = 0


class Hands:
    """Handles the events of one consumer, and knows which of its aggregates are parked.

    A key is parked while a letter of it stands for an event that failed: later events become letters behind
    it. What is known here is what the store holds: `saved` tells what was stored.
    """

    def __init__(self, actor: Actor, events: EventStore, clock: Clock) -> None:
        self._actor = actor
        self._consumer = actor.consumer
        self._events = events
        self._clock = clock
        self._letters: dict[Place, Letter] = {}  # those that are not `behind`
        self._behind: dict[str, set[Place]] = {}  # those that are, by key
        self._blocked: dict[str, Place] = {}  # by key the letter that the others wait for
        self.stopping = False

    async def learn(self, deliveries: Deliveries) -> None:
        """Read all letters of the consumer."""
        self._letters, self._behind, self._blocked = {}, {}, {}
        after = (LOG, -1)
        while page := await deliveries.letters(self._consumer.group, after=after, limit=PAGE):
            self.saved(page)
            after = page[-1].source, page[-1].position

    async def look(self, deliveries: Deliveries) -> None:
        """Learn which letters somebody asked to be tried again or dropped."""
        if self._letters:
            marked = await deliveries.letters(self._consumer.group, standing=MARKED, limit=PAGE)
            self._letters |= {place_of(letter): letter for letter in marked}

    def saved(self, letters: Sequence[Letter], done: Sequence[Letter] = ()) -> None:
        """The store holds these letters now, and no longer those that are done."""
        for letter in (*done, *letters):
            place, key = place_of(letter), letter.key
            self._letters.pop(place, None)
            if self._blocked.get(key) == place:
                del self._blocked[key]
            if key in self._behind:
                self._behind[key].discard(place)
                if not self._behind[key]:
                    del self._behind[key]
        for letter in letters:
            if letter.standing == "behind":
                self._behind.setdefault(letter.key, set()).add(place_of(letter))
                continue
            self._letters[place_of(letter)] = letter
            if blocks(letter):
                self._blocked[letter.key] = place_of(letter)

    @property
    def halted(self) -> str:
        """Why the consumer takes nothing more: it has no dead letters, and an event failed for good."""
        if not self._consumer.dead_letter:
            for letter in self._letters.values():
                if letter.standing == "parked":
                    message = orjson.loads(letter.error).get("message", "")
                    return f"the event at position {letter.position}: {message}"
        return ""

    def counts(self) -> dict[str, int]:
        """How many letters there are, by what people call them."""
        found = {"parked": 0, "behind": sum(map(len, self._behind.values())), "refused": 0}
        for letter in self._letters.values():
            found["parked" if blocks(letter) else "refused"] += 1
        return found

    def due(self) -> bool:
        """Whether there is anything to do besides new events."""
        return bool(self._due() or self._orphans())

    def _due(self) -> list[Letter]:
        now = self._clock.now()
        return [
            letter
            for letter in self._letters.values()
            if letter.standing == "drop" or (letter.standing == "retry" and letter.timestamp <= now)
        ]

    def _orphans(self) -> list[str]:
        """The keys whose letters wait for nothing any more."""
        return [key for key in self._behind if key not in self._blocked]

    # ---- new events -------------------------------------------------------------------------------

    async def handle(self, page: Sequence[StoredEvent], reached: int) -> Changes:
        """Handle new events; those of an aggregate in order, those of several side by side.

        `reached` is the position up to which the page tells of all events. Raises Unavailable, OutcomeUnknown
        or StoreUnavailable if nothing can be said of the page: all of it has to be handled again.
        """
        keys: dict[str, list[StoredEvent]] = {}
        for event in page:
            keys.setdefault(f"{event.aggregate_type}/{event.aggregate_id}", []).append(event)
        handled: dict[int, Letter | None] = {}
        await self._side_by_side([self._handler(key, events, handled) for key, events in keys.items()])
        for event in page:
            if event.position not in handled:  # the consumer stops
                reached = event.position - 1
                break
        letters = [letter for at, letter in handled.items() if letter is not None and at <= reached]
        return Changes(letters, [], reached)

    def _handler(
        self, key: str, events: Sequence[StoredEvent], handled: dict[int, Letter | None]
    ) -> Callable[[], Awaitable[None]]:
        async def handle() -> None:
            parked = key in self._blocked or key in self._behind
            for event in events:
                if self.stopping:
                    return
                if parked:
                    waiting = Letter(LOG, event.position, key, "behind", 0, 0, self._clock.now(), b"{}")
                    handled[event.position] = waiting
                    continue
                letter = await self._attempt(
                    event, Letter(LOG, event.position, key, "behind", 0, 0, 0, b"{}")
                )
                handled[event.position] = letter
                parked = letter is not None and blocks(letter)

        return handle

    async def _attempt(self, event: StoredEvent, letter: Letter) -> Letter | None:
        """Handle an event from where its letter stands. Gives the letter that is left; None: it is done."""
        attempts = letter.attempts + 1
        try:
            async with asyncio.timeout(self._consumer.timeout):
                await self._actor.act(event, letter.action, letter.attempts)
            return None
        except ActionFailed as failure:
            action, told = failure.action, failure.told
            refused, again = failure.refused, False
        except TimeoutError:
            action, refused, again = letter.action, False, attempts < self._consumer.retry.attempts
            told = {"message": f"it took longer than {self._consumer.timeout:g} s"}
        now = self._clock.now()
        left = letter._replace(
            standing="refused" if refused else "retry" if again else "parked",
            action=action,
            attempts=attempts,
            timestamp=now + delay_of(self._consumer.retry, attempts) if again else now,
            error=orjson.dumps({**told, "refused": refused}, default=str),
        )
        log.warning("%s: the event at position %d: %s", self._consumer.name, letter.position, told["message"])
        return left

    # ---- letters ----------------------------------------------------------------------------------

    async def handle_due(self, deliveries: Deliveries) -> Changes:
        """Handle the letters that are due again, drop those that should be, and go on with what waits."""
        changes = Changes([], [])
        jobs = [self._settler(letter.key, letter, deliveries, changes) for letter in self._due()]
        jobs += [self._settler(key, None, deliveries, changes) for key in self._orphans()]
        await self._side_by_side(jobs)
        return changes

    def _settler(
        self, key: str, first: Letter | None, deliveries: Deliveries, changes: Changes
    ) -> Callable[[], Awaitable[None]]:
        async def settle() -> None:
            if first is not None and not await self._settle(first, changes):
                return
            if first is not None and not blocks(first):
                return
            waiting = await deliveries.letters(self._consumer.group, key=key, standing=BEHIND, limit=CHUNK)
            for letter in waiting:
                if self.stopping or not await self._settle(letter, changes):
                    return

        return settle

    async def _settle(self, letter: Letter, changes: Changes) -> bool:
        """Handle one letter, or drop it; whether what waits for it can go on."""
        left = None
        if letter.standing != "drop":
            found = await self._events.read(letter.position - 1, 1)
            if found and found[0].position == letter.position:
                left = await self._attempt(found[0], letter)
        if left is None:
            changes.done.append(letter)
            return True
        changes.letters.append(left)
        return not blocks(left)

    async def _side_by_side(self, jobs: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Do all jobs, as many at a time as the consumer says, until it stops."""
        left = iter(jobs)

        async def work() -> None:
            for job in left:
                if self.stopping:
                    return
                await job()

        async with task_group() as group:
            for _ in range(min(self._consumer.concurrency, len(jobs))):
                group.create_task(work())


@contextlib.asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks that end together. Raises what failed first, as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


def place_of(letter: Letter) -> Place:
    """Where a letter's message stands."""
    return letter.source, letter.position


def blocks(letter: Letter) -> bool:
    """Whether later events of its key wait for a letter: not for one that tells of a refused command."""
    return letter.standing != "behind" and not orjson.loads(letter.error).get("refused", False)


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
