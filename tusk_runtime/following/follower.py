"""The part that follows the store's log with effects outside of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from time import monotonic

from tusk_runtime.errors import Conflict, TuskError
from tusk_runtime.events import StoredEvent, new_id
from tusk_runtime.failpoints import hit
from tusk_runtime.following.hands import EventHands, task_group
from tusk_runtime.following.lane import Lane
from tusk_runtime.following.runner import Progress, Runner
from tusk_runtime.store.deliveries import Claim
from tusk_runtime.store.protocol import Store

LEASE_SECONDS = 15.0
"""How long something stays with a process that says nothing any more."""
ALONE = b"the only process"
STAND_BY_SECONDS = 1.0
"""How often a process asks for what another one has."""
LOOK_SECONDS = 1.0
"""How often the letters are looked at that somebody else may have marked."""

log = logging.getLogger("tusk.following")


class Follower(Runner):
    """Follows the log from where it stood: a page of events is handled, and then the progress moves.

    One process has it, by a lease. Events of one key are handled in their order, those of several side by
    side. An event that fails for good parks its key: it becomes a letter, later events of the key wait behind
    it, all others go on. Whatever was done when a process dies before the progress moved is done again.
    """

    def __init__(
        self, name: str, page: int, hands: EventHands, store: Store, *, only_letters: bool = False
    ) -> None:
        """Events are handled by `hands`, of which `page` are read at a time. With `only_letters` none are,
        since they come from elsewhere now: what is handled are the letters that were left here."""
        super().__init__(name)
        self.hands = hands
        self._page = page
        self._store = store
        self._only_letters = only_letters
        # A store that only one process can have needs no word of who has it: after a kill nobody has to wait.
        self._holder = new_id() if store.shared else ALONE
        self._lane: Lane[StoredEvent] | None = None
        self._asked, self._seen = 1, 0  # how often to look at the letters, and which time it was done
        self._wake = asyncio.Event()
        self._moved = asyncio.Condition()
        self.position = 0
        self.failed = False

    @property
    def group(self) -> str:
        """The name under which progress and letters are kept."""
        return self.hands.group

    def progress(self, head: int) -> Progress:
        """How it is, with the head of the log."""
        counts = self.hands.letters.counts()
        if self._only_letters:
            return Progress(None, None, counts, self.error, False, "left in the log")
        if self._lane is None and self._store.shared:
            return Progress(None, None, counts, self.error, self.failed, "another process runs it")
        return Progress(self.position, max(0, head - self.position), counts, self.error, self.failed)

    async def start(self, begin: int) -> None:
        """Follow the log from where the store says that it stood, else from the position `begin`."""
        self.hands.stopping = False
        await super().start(begin)

    def _halt(self) -> None:
        self.hands.stopping = True
        self._wake.set()

    async def _leave(self) -> None:
        await self.hands.rest()
        if self._lane is not None:
            self._lane = None
            with contextlib.suppress(TuskError):
                await self._store.deliveries.release(self.hands.group, self._holder)
                await hit("follower.released")
        await self._tell()

    def look(self) -> None:
        """Look at once at the time, and at the letters that somebody may have marked."""
        self._asked += 1
        self._wake.set()

    async def wait_for(self, position: int, timeout: float) -> bool:
        """Whether all events up to a position were handled, `timeout` seconds from now at the latest."""

        def settled() -> bool:
            seen = self._seen == self._asked and not self.hands.due()
            return (seen and (self._reached(position) or self.failed)) or self._stopping

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(settled)
        return self._reached(position)

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do, and never will have."""
        return self._only_letters and not any(self.hands.letters.counts().values()) and not self.error

    def _reached(self, position: int) -> bool:
        return self._only_letters or self.position >= position

    async def _live(self) -> None:
        self._lane = lane = await self._claimed()
        if lane is None:
            self.error = ""  # whoever has it tells of its own
            await self._rest(STAND_BY_SECONDS)
            return
        try:
            async with task_group() as group:
                heart = group.create_task(self._renew(lane))
                await self._follow(lane)
                heart.cancel()
        except Conflict as error:
            log.warning("%s: begins again with what is stored: %s", self.name, error)

    async def _claimed(self) -> Lane[StoredEvent] | None:
        """The log by the lease, and with it the letters; None while another one has it."""
        claim = await self._claim()
        if claim is None:
            return None
        await hit("follower.claimed")
        lane = Lane(self.hands, claim, self._store.deliveries)
        self.position = claim.position
        await lane.learn()
        return lane

    async def _claim(self) -> Claim | None:
        deliveries = self._store.deliveries
        return await deliveries.claim(self.group, self._holder, LEASE_SECONDS, begin=self._begin)

    async def _renew(self, lane: Lane[StoredEvent]) -> None:
        """Keep the lease while events are handled. Raises Conflict when it is lost."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            claim = await self._claim()
            if claim is None or claim.epoch != lane.epoch:
                raise Conflict("the lease is lost")

    async def _follow(self, lane: Lane[StoredEvent]) -> None:
        looked = 0.0
        await self.hands.prepare()
        while not self._stopping:
            asked = self._asked
            if asked != self._seen or monotonic() - looked >= LOOK_SECONDS:
                looked = monotonic()
                await lane.look()
                self._seen = asked
            worked = await lane.take_again()
            halted = self.hands.halted
            if not halted and not self._only_letters:
                worked = await self._take_page(lane) or worked
            self.error, self.failed = halted, bool(halted)
            await self._tell()
            if not worked:
                waits = self.failed or self._only_letters
                await self._rest(LOOK_SECONDS, None if waits else self.position)

    async def _take_page(self, lane: Lane[StoredEvent]) -> bool:
        """Handle the next events; False if there were none."""
        events = self._store.events
        head = await events.head()
        if lane.position >= head:
            return False
        page = await events.read(lane.position, self._page, types=self.hands.types)
        await hit("follower.read")
        full = len(page) == self._page
        await lane.take(page, page[-1].position if full else max(head, page[-1].position if page else 0))
        self.position = lane.position
        return True

    async def _rest(self, seconds: float, beyond: int | None = None) -> None:
        """Wait for a time, until the log goes on behind a position, or until there is something to see."""
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._wake.wait())]
        if beyond is not None:
            waits.append(asyncio.create_task(self._store.events.wait_beyond(beyond, seconds)))
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        self._wake.clear()
        for each in done:
            each.result()

    async def _tell(self) -> None:
        """Wake those who wait for the position."""
        async with self._moved:
            self._moved.notify_all()
