"""One source of a consumer while this process has it: its progress and its letters move together."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Generic, TypeVar

from tusk_runtime.errors import Conflict
from tusk_runtime.failpoints import hit
from tusk_runtime.following.hands import Changes, Hands
from tusk_runtime.following.letters import place_of
from tusk_runtime.store.deliveries import Claim, Deliveries

T = TypeVar("T")

LEAP = 10_000
"""How far the stored progress may stay behind over what does not concern the consumer."""


class Lane(Generic[T]):
    """Pages of a source are handled, and then its progress moves: what a process that dies was handling is
    handled again. Whoever claimed the source later has another epoch, and nothing more can be saved here."""

    def __init__(self, hands: Hands[T], claim: Claim, deliveries: Deliveries, *, free: bool = False) -> None:
        """A `free` one goes on when another process has the source, and saves nothing then."""
        self._free = free
        self.hands = hands
        self.epoch = claim.epoch
        self.position = self._saved = claim.position
        self._deliveries = deliveries

    async def learn(self) -> None:
        """Read all letters, and take over those that are handled here now.

        Raises Conflict, StoreUnavailable, OutcomeUnknown.
        """
        await self.hands.letters.learn(self._deliveries)
        adopted = await self.hands.adopt(self._deliveries)
        if adopted.letters:
            await self._save(adopted._replace(reached=self.position))

    async def look(self) -> None:
        """Learn which letters somebody asked to be tried again or dropped."""
        await self.hands.letters.look(self._deliveries)

    async def take(self, page: Sequence[T], reached: int) -> None:
        """Handle a page, which tells of everything up to the position `reached`.

        Raises Conflict if another process has the source; Unavailable, OutcomeUnknown or StoreUnavailable if
        the page has to be handled again.
        """
        changes = await self.hands.handle(page, reached)
        await hit("follower.handled")
        if page or changes.reached - self._saved >= LEAP:
            await self._save(changes)
        self.position = changes.reached

    async def take_again(self) -> bool:
        """Handle letters that are due again, and what waits behind them; False if there were none.

        Raises as `take` does.
        """
        changes = await self.hands.handle_due(self._deliveries)
        if changes.letters or changes.done:
            await hit("follower.settled")
            await self._save(changes._replace(reached=self.position))
        return bool(changes.letters or changes.done)

    async def move(self, position: int) -> None:
        """Let the progress stand somewhere else, whatever was handled. Raises Conflict, StoreUnavailable."""
        await self._save(Changes([], [], position))
        self.position = position

    async def _save(self, changes: Changes) -> None:
        letters, done, reached, seen = changes
        with contextlib.suppress(*([Conflict] if self._free else [])):
            await self._deliveries.save(
                self.hands.group,
                self.epoch,
                reached,
                source=self.hands.source,
                letters=letters,
                done=[place_of(letter) for letter in done],
                seen=seen,
            )
        await hit("follower.saved")
        self._saved = reached
        self.hands.letters.saved(letters, done)
