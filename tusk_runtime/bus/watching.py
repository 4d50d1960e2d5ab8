"""Sees what a client of Kafka does not tell: that it stands still, or that a log went back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from tusk_runtime.bus.beginning import went_back
from tusk_runtime.bus.membership import Bounds, Membership, Partition, source_of
from tusk_runtime.errors import TuskError, Unavailable
from tusk_runtime.following.lane import Lane
from tusk_runtime.following.messages import Message

WATCH_SECONDS = 5.0
"""How often it is looked at whether the client still does what it should."""
STUCK_SECONDS = 20.0
"""After how long a client that gives nothing of what is there, or no answers, is made anew."""
JOIN_SECONDS = 60.0
"""How long a group may take to find out who has which partitions."""


class Stuck(TuskError):
    """The client does not do any more what it should, and says nothing."""


@dataclass(slots=True)
class Track:
    """A partition that this process has, and what is done with it now. `told` is what Kafka knows of its
    progress, `moved` is when it last went on, `end` is the offset behind its last message; `lost` is what it
    holds, where its log went back."""

    lane: Lane[Message]
    moved: float
    told: int
    end: int
    task: asyncio.Task[object] | None = None
    lost: Bounds | None = None


class Watch:
    """Watches one client. `problem` is what is wrong when the brokers are asked; `strangers` are
    those in the group that are no processes of this runtime."""

    def __init__(
        self,
        client: Membership,
        tracks: Mapping[Partition, Track],
        alarm: Callable[[str], None],
    ) -> None:
        self._client = client
        self._tracks = tracks
        self._alarm = alarm
        self._checked = 0
        self.problem = ""
        self.strangers: Sequence[str] = ()

    async def run(self) -> None:
        """Watch until it is cancelled. Raises Stuck or Unavailable when the client has to be made anew."""
        joined = answered = monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._client.broken:
                raise Stuck("the client lost its place in the group")
            if not self._client.joined:
                if monotonic() - joined > JOIN_SECONDS:
                    raise Stuck("the group gives no partitions")
                continue
            joined = monotonic()
            try:
                await self._check()
                answered = monotonic()
                self.problem = ""
            except Unavailable as error:
                # Brokers come and go, and mostly the client finds them again.
                self.problem = str(error)
                if monotonic() - answered > STUCK_SECONDS:
                    raise

    async def _check(self) -> None:
        client, generation = self._client, self._client.generation
        tracks = dict(self._tracks)
        bounds = await client.bounds(list(tracks)) if tracks else {}
        for partition, track in tracks.items():
            await self._look(partition, track, bounds[partition])
        if generation != self._checked or self.strangers:
            self.strangers = await client.strangers()
            self._checked = generation

    async def _look(self, partition: Partition, track: Track, bounds: Bounds) -> None:
        track.end = bounds.next
        if track.lane.position + 1 > bounds.next and track.lost is None:
            track.lost = bounds
            self._alarm(went_back(source_of(partition), track.lane.position, bounds))
        idle = track.task is None and not track.lane.hands.halted
        if not idle or (await self._client.position(partition) or bounds.next) >= bounds.next:
            track.moved = monotonic()
        elif monotonic() - track.moved > STUCK_SECONDS:
            raise Stuck(f"nothing comes out of {source_of(partition)}, and there is something in it")
