"""How what comes is handled: in order by key, that of several side by side, and what fails parks its key."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

import orjson

from tusk_runtime.clock import Clock
from tusk_runtime.errors import TuskError
from tusk_runtime.events import StoredEvent
from tusk_runtime.following.keys import kept
from tusk_runtime.following.letters import LOG, Letters, blocks
from tusk_runtime.store.deliveries import Deliveries, Letter, Standing
from tusk_runtime.store.protocol import EventStore

T = TypeVar("T")

CHUNK = 100
"""Letters of one key that are handled before what was done is saved."""
BEHIND: Sequence[Standing] = ("behind",)

log = logging.getLogger("tusk.following")


class NotKept(TuskError):
    """What a letter is about was not kept: it can only be dropped."""


class Changes(NamedTuple):
    """What became of a page: letters to keep, letters that are done, the position up to which all of it was
    handled, and by key the version of the last event, where that is kept."""

    letters: list[Letter]
    done: list[Letter]
    reached: int = 0
    seen: Mapping[str, int] = MappingProxyType({})


class Hands(ABC, Generic[T]):
    """Handles what comes out of one source; what is done with one of it, `attempt` says."""

    def __init__(
        self,
        group: str,
        concurrency: int,
        clock: Clock,
        *,
        source: str = LOG,
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        """`group` is the name under which progress and letters are kept. `concurrency` keys are handled at a
        time; `slots` are as many, where several sources share them."""
        self.group = group
        self.source = source
        self.letters = Letters(group, source)
        self.stopping = False
        self._concurrency = concurrency
        self._slots = slots
        self._clock = clock

    async def prepare(self) -> None:
        """Do what has to be done before the first page. Raises Unavailable: later, perhaps."""

    async def adopt(self, deliveries: Deliveries) -> Changes:
        """The letters of the consumer's other sources that are handled here from now on, as letters of this
        source, and those that they replace."""
        return Changes([], [])

    async def rest(self) -> None:
        """Let go of what is held while pages are handled. Never raises."""

    async def rewound(self) -> None:
        """Somebody moved the progress back, perhaps of another process: forget what stood in the way.

        Raises Unavailable.
        """

    @abstractmethod
    async def attempt(self, item: T, letter: Letter) -> Letter | None:
        """Handle one from where its letter stands. Gives the letter that is left; None: it is done.

        Raises Unavailable, OutcomeUnknown or StoreUnavailable if it has to be handled again as it was.
        """

    @abstractmethod
    def fresh(self, item: T) -> Letter:
        """The letter of one that was not tried yet, which says where it stands and what keeps its order."""

    @abstractmethod
    async def recall(self, letter: Letter) -> T | None:
        """What a letter is about; None if it is handled no more. Raises NotKept."""

    @property
    def halted(self) -> str:
        """Why nothing new may be taken now, if so."""
        return ""

    def due(self) -> bool:
        """Whether there is anything to do besides what comes."""
        return bool(self.letters.due(self._clock.now()) or self.letters.orphans())

    def handled(self) -> None:
        """All of a page, or of the letters that were due, was attempted. Never raises."""

    # ---- what comes -------------------------------------------------------------------------------

    async def handle(self, page: Sequence[T], reached: int) -> Changes:
        """Handle what came; that of a key in order, that of several side by side.

        `reached` is the position up to which the page tells of everything. Raises Unavailable, OutcomeUnknown
        or StoreUnavailable if nothing can be said of the page: all of it has to be handled again.
        """
        letters = [self.fresh(item) for item in page]
        keys: dict[str, list[tuple[T, Letter]]] = {}
        for item, letter in zip(page, letters, strict=True):
            keys.setdefault(letter.key, []).append((item, letter))
        handled: dict[int, Letter | None] = {}
        await self._side_by_side([self._handler(key, each, handled) for key, each in keys.items()])
        self.handled()
        for letter in letters:
            if letter.position not in handled:  # it stops
                reached = letter.position - 1
                break
        left = [each for at, each in handled.items() if each is not None and at <= reached]
        return Changes(left, [], reached)

    def _handler(
        self, key: str, items: Sequence[tuple[T, Letter]], handled: dict[int, Letter | None]
    ) -> Callable[[], Awaitable[None]]:
        async def handle() -> None:
            parked = self.letters.parked(key)
            for item, letter in items:
                if self.stopping:
                    return
                if parked:
                    handled[letter.position] = self.kept(item, letter._replace(timestamp=self._clock.now()))
                    continue
                left = await self.attempt(item, letter)
                if left is not None:
                    parked = blocks(left)
                    left = self.kept(item, left)
                handled[letter.position] = left

        return handle

    def kept(self, item: T, letter: Letter) -> Letter:
        """A letter as it is kept: with a copy of what it is about, where that may be gone later."""
        return letter

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
        self.handled()
        return changes

    def _settler(
        self, key: str, first: Letter | None, deliveries: Deliveries, changes: Changes
    ) -> Callable[[], Awaitable[None]]:
        async def settle() -> None:
            if first is not None and not await self._settle(first, changes):
                return
            if first is not None and not blocks(first):
                return
            waiting = await deliveries.letters(
                self.group, source=self.source, key=key, standing=BEHIND, limit=CHUNK
            )
            for letter in waiting:
                if self.stopping or not await self._settle(letter, changes):
                    return

        return settle

    async def _settle(self, letter: Letter, changes: Changes) -> bool:
        """Handle one letter, or drop it; whether what waits for it can go on."""
        left = None
        if letter.standing != "drop":
            try:
                item = await self.recall(letter)
            except NotKept as error:
                log.warning("%s: %s", self.group, error)
                left = _as_it_stood(letter, error)
            else:
                if item is not None:
                    left = await self.attempt(item, letter)
                else:
                    log.warning(
                        "%s: what stands at position %d is handled no more", self.group, letter.position
                    )
        if left is None:
            changes.done.append(letter)
            return True
        changes.letters.append(left)
        return not blocks(left)

    async def _side_by_side(self, jobs: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Do all jobs, as many at a time as may be, until it stops."""
        left = iter(jobs)

        async def work() -> None:
            for job in left:
                async with self._slots or contextlib.nullcontext():
                    if self.stopping:
                        return
                    await job()

        async with task_group() as group:
            for _ in range(min(self._concurrency, len(jobs))):
                group.create_task(work())


class EventHands(Hands[StoredEvent]):
    """Handles events of the store's own log."""

    def __init__(
        self, group: str, types: Sequence[str], concurrency: int, events: EventStore, clock: Clock
    ) -> None:
        """`types` are those of the stored events that are handled."""
        super().__init__(group, concurrency, clock)
        self.types = frozenset(types)
        self._events = events

    def fresh(self, item: StoredEvent) -> Letter:
        """The letter of an event that was not tried yet."""
        return Letter(LOG, item.position, key_of(item), "behind", 0, 0, 0, b"{}")

    async def recall(self, letter: Letter) -> StoredEvent | None:
        """The event of a letter, unless its type is handled no more."""
        found = await self._events.read(letter.position - 1, 1)
        event = found[0] if found else None
        return event if event and event.position == letter.position and event.type in self.types else None


def _as_it_stood(letter: Letter, error: NotKept) -> Letter:
    """A letter as it was before somebody asked for it to be handled again."""
    told = {"message": str(error), **orjson.loads(letter.error)}
    standing: Standing = "refused" if told.get("refused") else "parked"
    return letter._replace(standing=standing, error=orjson.dumps(told))


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
    return kept(f"{event.aggregate_type}/{event.aggregate_id}")


def seen_as(event: StoredEvent) -> str:
    """Under what is kept which events of an aggregate were handled: those of each type by themselves.

    Types may come from several topics, of which one may be ahead.
    """
    return kept(f"{event.type}/{event.aggregate_type}/{event.aggregate_id}")
