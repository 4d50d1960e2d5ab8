"""How events are handled: in order by key, those of several side by side, and what fails parks its key."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

from tusk_runtime.clock import Clock
from tusk_runtime.events import StoredEvent
from tusk_runtime.following.letters import LOG, Letters, blocks
from tusk_runtime.store.deliveries import Deliveries, Letter, Standing
from tusk_runtime.store.protocol import EventStore

CHUNK = 100
"""Letters of one key that are handled before what was done is saved."""
BEHIND: Sequence[Standing] = ("behind",)

log = logging.getLogger("tusk.following")


class Changes(NamedTuple):
    """What became of some events: letters to keep, letters that are done, and the position up to which all
    events of a page were handled."""

    letters: list[Letter]
    done: list[Letter]
    reached: int = 0


class Hands(ABC):
    """Handles events for a follower; what is done with one, `attempt` says."""

    def __init__(
        self, group: str, types: Sequence[str], concurrency: int, events: EventStore, clock: Clock
    ) -> None:
        """`group` is the name under which progress and letters are kept, `types` are those of the stored
        events that are handled, of so many keys at a time."""
        self.group = group
        self.types = frozenset(types)
        self.letters = Letters(group)
        self.stopping = False
        self._concurrency = concurrency
        self._events = events
        self._clock = clock

    async def prepare(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what has to be done before the first event. Raises Unavailable: later, perhaps."""

    async def rest(self) -> None:  # noqa: B027
        """Let go of what is held while events are handled. Never raises."""

    async def rewound(self) -> None:  # noqa: B027
        """Somebody moved the progress back, perhaps of another process: forget what stood in the way.

        Raises Unavailable.
        """

    @abstractmethod
    async def attempt(self, event: StoredEvent, letter: Letter) -> Letter | None:
        """Handle an event from where its letter stands. Gives the letter that is left; None: it is done.

        Raises Unavailable, OutcomeUnknown or StoreUnavailable if it has to be handled again as it was.
        """

    @property
    def halted(self) -> str:
        """Why nothing new may be taken now, if so."""
        return ""

    def due(self) -> bool:
        """Whether there is anything to do besides new events."""
        return bool(self.letters.due(self._clock.now()) or self.letters.orphans())

    # ---- new events -------------------------------------------------------------------------------

    async def handle(self, page: Sequence[StoredEvent], reached: int) -> Changes:
        """Handle new events; those of an aggregate in order, those of several side by side.

        `reached` is the position up to which the page tells of all events. Raises Unavailable, OutcomeUnknown
        or StoreUnavailable if nothing can be said of the page: all of it has to be handled again.
        """
        keys: dict[str, list[StoredEvent]] = {}
        for event in page:
            keys.setdefault(key_of(event), []).append(event)
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
            parked = self.letters.parked(key)
            for event in events:
                if self.stopping:
                    return
                if parked:
                    waiting = Letter(LOG, event.position, key, "behind", 0, 0, self._clock.now(), b"{}")
                    handled[event.position] = waiting
                    continue
                letter = await self.attempt(event, Letter(LOG, event.position, key, "behind", 0, 0, 0, b"{}"))
                handled[event.position] = letter
                parked = letter is not None and blocks(letter)

        return handle

    # ---- letters ----------------------------------------------------------------------------------

    async def handle_due(self, deliveries: Deliveries) -> Changes:
        """Handle the letters that are due again, drop those that should be, and go on with what waits."""
        changes = Changes([], [])
        jobs = [
            self._settler(letter.key, letter, deliveries, changes)
            for letter in self.letters.due(self._clock.now())
        ]
        jobs += [self._settler(key, None, deliveries, changes) for key in self.letters.orphans()]
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
            waiting = await deliveries.letters(self.group, key=key, standing=BEHIND, limit=CHUNK)
            for letter in waiting:
                if self.stopping or not await self._settle(letter, changes):
                    return

        return settle

    async def _settle(self, letter: Letter, changes: Changes) -> bool:
        """Handle one letter, or drop it; whether what waits for it can go on."""
        left = None
        if letter.standing != "drop":
            found = await self._events.read(letter.position - 1, 1)
            if found and found[0].position == letter.position and found[0].type in self.types:
                left = await self.attempt(found[0], letter)
            else:
                log.warning("%s: the event at position %d is handled no more", self.group, letter.position)
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
            for _ in range(min(self._concurrency, len(jobs))):
                group.create_task(work())


@contextlib.asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks that end together. Raises what failed first, as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


def key_of(event: StoredEvent) -> str:
    """What keeps an event in order with others: its aggregate."""
    return f"{event.aggregate_type}/{event.aggregate_id}"
