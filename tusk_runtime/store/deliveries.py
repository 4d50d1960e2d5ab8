"""What a store keeps for consumers: how far each has come, who runs it, and what could not be handled."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from tusk_runtime.errors import Conflict

Standing = Literal["parked", "behind", "refused", "retry", "drop"]
"""How a dead letter stands.

`parked`: it failed for good, and later ones of its key wait `behind` it. `refused`: a command that it sent
was refused; nothing waits for it. `retry` and `drop`: somebody asked whoever runs the consumer for that.
"""
STANDINGS: tuple[Standing, ...] = ("parked", "behind", "refused", "retry", "drop")


Place = tuple[str, int]
"""A letter's source and position."""
MOST = 2**63 - 1
_PLACE = re.compile(r"(?:([A-Za-z0-9._-]{1,249}/[0-9]{1,10}):)?([0-9]{1,19})", re.ASCII)


def place_text(place: Place) -> str:
    """A place as people write it: `7` in the store's log, `orders/0:12` in a partition of a topic."""
    source, position = place
    return f"{source}:{position}" if source else str(position)


def place_of_text(text: str) -> Place:
    """The place that a text means. Raises ValueError, which says what one looks like."""
    found = _PLACE.fullmatch(text)
    if found is None or not (0 if found[1] else 1) <= int(found[2]) <= MOST:
        raise ValueError("a position of the log, as 7, or TOPIC/PARTITION:OFFSET, as orders/0:12")
    return found[1] or "", int(found[2])


class Letter(NamedTuple):
    """A message that a consumer could not handle, or that waits behind such a one: a pointer, not a copy.

    `source` is where it stands: empty for the store's own log, else a topic with its partition, and
    `position` is that in it. `key` is what keeps its order, for an event `Type/id` of its aggregate. `action`
    counts from 0: the first that is not done. `timestamp` is in microseconds. `error` is JSON in UTF-8: what
    went wrong, where in the file, and with which values; `{}` for one that only waits. `message` is a copy of
    a message that is no event of the store's own log: a topic does not keep it for ever.
    """

    source: str
    position: int
    key: str
    standing: Standing
    action: int
    attempts: int
    timestamp: int
    error: bytes
    message: bytes = b""


REPLACED = ", ".join(
    (
        *(f"{name} = excluded.{name}" for name in Letter._fields[2:-1]),
        "message = CASE length(excluded.message) WHEN 0 THEN l.message ELSE excluded.message END",
    )
)
"""What becomes of a letter `l` when another one takes its place, in the words of both databases."""


def lost(consumer: str, source: str, epoch: int) -> Conflict:
    """What is raised when somebody else has a consumer."""
    where = f" in {source}" if source else ""
    return Conflict(f"the consumer {consumer}{where} is no longer held with epoch {epoch}")


def beyond(source: str | None, after: Place) -> Place:
    """Behind which place the letters of a source are, or of all, that stand behind a place."""
    return after if source is None or source <= after[0] else (source, -1)


class Claim(NamedTuple):
    """The right to run a consumer. `epoch` grows with each new holder, and whoever has an older one can write
    nothing any more; `position` is how far the consumer has come."""

    epoch: int
    position: int


class Deliveries(Protocol):
    """The progress of consumers and their dead letters.

    A consumer has a progress of its own in each source: in the store's log, whose name is empty, and in each
    partition of a topic. One source never waits for another.

    Methods raise StoreUnavailable when the store cannot be read or written, and OutcomeUnknown when a commit
    may or may not have happened. All that is written is durable when a method returns.
    """

    async def claim(self, consumer: str, holder: bytes, seconds: float, *, begin: int) -> Claim | None:
        """Take a consumer, or keep it, for so many seconds by the store's clock.

        None while another holder has it. One that was never claimed begins at the position `begin`.
        """
        ...

    async def take(self, consumer: str, source: str, holder: bytes) -> Claim:
        """Take a partition of a topic, whoever had it: Kafka gave it to this holder.

        The epoch grows, also for the same holder. One that was never taken is at the position -1.
        """
        ...

    async def release(self, consumer: str, holder: bytes) -> None:
        """Let another holder take the consumer at once; nothing, if this one does not have it."""
        ...

    async def save(
        self,
        consumer: str,
        epoch: int,
        position: int,
        *,
        source: str = "",
        letters: Collection[Letter] = (),
        done: Collection[Place] = (),
        seen: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Move the progress in a source to `position`, and with it keep letters, in place of those at the
        same source and position, forget the letters `done` (source and position), and keep for each key in
        `seen` the version of the last event of it that was handled: all or nothing. A letter that is both
        stays, and so does the message of one that comes without it; a version that is lower than the one kept
        already changes nothing.

        Raises Conflict, and writes nothing, if the epoch of that progress is another: somebody else has it.
        """
        ...

    async def seen(self, consumer: str, keys: Collection[str]) -> Mapping[str, int]:
        """Key → version of the last event of it that was handled, as `save` kept it; others are left out."""
        ...

    async def letters(
        self,
        consumer: str,
        *,
        source: str | None = None,
        standing: Collection[Standing] = STANDINGS,
        key: str | None = None,
        after: Place = ("", -1),
        limit: int = 1000,
        messages: bool = True,
    ) -> Sequence[Letter]:
        """At most `limit` letters of a consumer behind a source and position, in that order: those of all
        sources, or of one. Without `messages` these are left out, and empty."""
        ...

    async def mark(
        self,
        consumer: str,
        letters: Collection[Place],
        standing: Literal["retry", "drop"],
    ) -> int:
        """Ask whoever runs the consumer to do that with those of the letters (source and position) that are
        parked or refused, or were marked. Gives how many these are."""
        ...

    async def rewind(self, consumer: str, position: int) -> bool:
        """Move the progress back to `position`; False if it stands there or before, or is not known.

        The epoch grows with it: whoever has the consumer can save nothing more until it claims it again, and
        then learns where it stands.
        """
        ...

    async def counts(self) -> Mapping[str, Mapping[Standing, int]]:
        """How many letters each consumer has, by how they stand; those that have none are left out."""
        ...

    async def progress(self) -> Mapping[str, int]:
        """How far each consumer that was ever claimed has come in the store's log."""
        ...
