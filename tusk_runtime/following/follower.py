"""The part that follows the store's log with effects outside of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from time import monotonic

from tusk_runtime.errors import Conflict, TuskError
from tusk_runtime.events import new_id
from tusk_runtime.failpoints import hit
from tusk_runtime.following.hands import Changes, Hands, task_group
from tusk_runtime.following.letters import place_of
from tusk_runtime.store.deliveries import Claim
from tusk_runtime.store.protocol import Store

LEASE_SECONDS = 15.0
"""How long something stays with a process that says nothing any more."""
ALONE = b"the only process"
STAND_BY_SECONDS = 1.0
"""How often a process asks for what another one has."""
LOOK_SECONDS = 1.0
"""How often the letters are looked at that somebody else may have marked."""
LEAP = 10_000
"""How far the stored progress may stay behind over events that do not concern it."""
RETRY_SECONDS = 1.0
DRAIN_SECONDS = 5.0

log = logging.getLogger("tusk.following")


class Follower:
    """Follows the log from where it stood: a page of events is handled, and then the progress moves.

    One process has it, by a lease. Events of one key are handled in their order, those of several side by
    side. An event that fails for good parks its key: it becomes a letter, later events of the key wait behind
    it, all others go on. Whatever was done when a process dies before the progress moved is done again.
    """

    def __init__(self, name: str, page: int, hands: Hands, store: Store) -> None:
        """Events are handled by `hands`, of which `page` are read at a time."""
        self.name = name
        self.hands = hands
        self._page = page
        self._store = store
        # A store that only one process can have needs no word of who has it: after a kill nobody has to wait.
        self._holder = new_id() if store.shared else ALONE
        self._claim: Claim | None = None
        self._task: asyncio.Task[None] | None = None
        self._begin = 0
        self._saved = 0
        self._stopping = False
        self._asked, self._seen = 1, 0  # how often to look at the letters, and which time it was done
        self._wake = asyncio.Event()
        self._moved = asyncio.Condition()
        self.position = 0
        self.error = ""
        self.failed = False

    @property
    def standing_by(self) -> bool:
        """Whether another process has it."""
        return self._claim is None and self._store.shared

    async def start(self, begin: int) -> None:
        """Follow the log from where the store says that it stood, else from the position `begin`."""
        self._begin = begin
        self._stopping = self.hands.stopping = False
        self._task = asyncio.create_task(self._run(), name=f"follower {self.name}")

    async def stop(self) -> None:
        """Stop after the events that are being handled, and let another process have it."""
        self._stopping = self.hands.stopping = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait([task], timeout=DRAIN_SECONDS)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.hands.rest()
        if self._claim is not None:
            self._claim = None
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
            return (seen and (self.position >= position or self.failed)) or self._stopping

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(settled)
        return self.position >= position

    async def _run(self) -> None:
        while not self._stopping:
            try:
                self._claim = await self._claimed()
                if self._claim is None:
                    await self._rest(STAND_BY_SECONDS)
                    continue
                async with task_group() as group:
                    heart = group.create_task(self._renew())
                    await self._follow(self._claim)
                    heart.cancel()
            except Conflict as error:
                log.warning("%s: begins again with what is stored: %s", self.name, error)
            except Exception as error:
                # Whatever it is: a task that ends in silence would leave events unhandled for ever.
                before, self.error = self.error, str(error) or type(error).__name__
                if self.error != before:
                    foreseen = isinstance(error, TuskError)
                    log.warning("%s: %s; trying again", self.name, self.error, exc_info=not foreseen)
                await self._rest(RETRY_SECONDS)

    async def _claimed(self) -> Claim | None:
        """The lease, and with it the letters; None while another one has it."""
        deliveries, group = self._store.deliveries, self.hands.group
        claim = await deliveries.claim(group, self._holder, LEASE_SECONDS, begin=self._begin)
        if claim is not None:
            await hit("follower.claimed")
            self.position = self._saved = claim.position
            await self.hands.letters.learn(deliveries)
        return claim

    async def _renew(self) -> None:
        """Keep the lease while events are handled. Raises Conflict when it is lost."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            claim = await self._store.deliveries.claim(
                self.hands.group, self._holder, LEASE_SECONDS, begin=self._begin
            )
            if claim is None or self._claim is None or claim.epoch != self._claim.epoch:
                raise Conflict("the lease is lost")

    async def _follow(self, claim: Claim) -> None:
        looked = 0.0
        await self.hands.prepare()
        while not self._stopping:
            asked = self._asked
            if asked != self._seen or monotonic() - looked >= LOOK_SECONDS:
                looked = monotonic()
                await self.hands.letters.look(self._store.deliveries)
                self._seen = asked
            worked = await self._take_again(claim)
            halted = self.hands.halted
            if not halted:
                worked = await self._take_page(claim) or worked
            self.error, self.failed = halted, bool(halted)
            await self._tell()
            if not worked:
                await self._rest(LOOK_SECONDS, None if self.failed else self.position)

    async def _take_page(self, claim: Claim) -> bool:
        """Handle the next events; False if there were none."""
        events = self._store.events
        head = await events.head()
        if self.position >= head:
            return False
        size = self._page
        page = await events.read(self.position, size, types=self.hands.types)
        await hit("follower.read")
        reached = page[-1].position if len(page) == size else max(head, page[-1].position if page else 0)
        changes = await self.hands.handle(page, reached)
        await hit("follower.handled")
        if page or reached - self._saved >= LEAP:
            await self._save(claim, changes)
        self.position = changes.reached
        return True

    async def _take_again(self, claim: Claim) -> bool:
        """Handle letters that are due again, and what waits behind them; False if there were none."""
        changes = await self.hands.handle_due(self._store.deliveries)
        if changes.letters or changes.done:
            await hit("follower.settled")
            await self._save(claim, changes._replace(reached=self.position))
        return bool(changes.letters or changes.done)

    async def _save(self, claim: Claim, changes: Changes) -> None:
        letters, done = changes.letters, changes.done
        await self._store.deliveries.save(
            self.hands.group,
            claim.epoch,
            changes.reached,
            letters=letters,
            done=[place_of(letter) for letter in done],
        )
        await hit("follower.saved")
        self._saved = changes.reached
        self.hands.letters.saved(letters, done)

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
