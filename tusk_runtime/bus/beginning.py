"""Where a partition is read on, when this process is given it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from tusk_runtime.bus.membership import Bounds, Membership, Partition, source_of
from tusk_runtime.store.deliveries import Claim
from tusk_runtime.store.protocol import EventStore

MARGIN = 10 * 60 * 1000
"""How much older than the first event that counts a record may be, in milliseconds: clocks differ."""


class Beginning(NamedTuple):
    """Up to which offset a partition counts as handled, what somebody has to know of it, and what is odd."""

    position: int
    alarm: str = ""
    odd: str = ""


class Beginnings:
    """Finds where to begin: where the store says, else where Kafka says that the group was.

    What was never read begins at its first message, or, where the topic is one of `own` events, at the first
    that may count: those behind the position `begin` of the log. With `tail` only what comes from now on is
    read.
    """

    def __init__(
        self, group: str, own: Collection[str], events: EventStore, begin: int, *, tail: bool
    ) -> None:
        self._group = group
        self._own = own
        self._events = events
        self._begin = begin
        self._tail = tail

    async def find(self, client: Membership, partition: Partition, claim: Claim, bounds: Bounds) -> Beginning:
        """Where to begin with a partition. Raises Unavailable, StoreUnavailable."""
        if self._tail:
            return Beginning(bounds.next - 1)
        told = await client.committed(partition)
        if claim.epoch == 1:  # nobody had it before
            topic, _ = partition
            begin = await self._first_that_counts(client, partition) if topic in self._own else told or 0
            begin = bounds.next if begin is None else begin
            return Beginning(max(bounds.first, min(begin, bounds.next)) - 1)
        source = source_of(partition)
        if claim.position + 1 > bounds.next:
            return Beginning(bounds.first - 1, went_back(source, claim.position, bounds))
        missing = bounds.first - claim.position - 1
        if missing > 0:
            return Beginning(
                bounds.first - 1,
                f"{source} holds nothing before {bounds.first} any more, and {missing} messages from "
                f"{claim.position + 1} on were not handled: keep messages longer, or let the application run",
            )
        if told is not None and told - 1 > claim.position:
            return Beginning(
                claim.position,
                odd=f"somebody else told Kafka that the group `{self._group}` is at {told} in {source}; "
                f"it goes on at {claim.position + 1}, where it is",
            )
        return Beginning(claim.position)

    async def _first_that_counts(self, client: Membership, partition: Partition) -> int | None:
        """An offset before all events that count; None: they all are still to come.

        Events before may come out of it, too, and are known by their positions.
        """
        found = await self._events.at([self._begin])
        if not found:
            return 0
        return await client.offset_at(partition, max(0, found[0].timestamp // 1000 - MARGIN))


def went_back(source: str, position: int, bounds: Bounds) -> str:
    """What to tell of a log that ends before what was handled."""
    return (
        f"the log of {source} went back: {position} was handled, and now it ends before {bounds.next}. The "
        "broker lost messages, or the topic was made anew; all that is there is handled. Events that are "
        "missing are published again by `tusk republish`"
    )
