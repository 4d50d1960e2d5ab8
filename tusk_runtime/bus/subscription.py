"""The part that reads topics: partitions come and go, and each is handled from where the store says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Sequence
from time import monotonic
from typing import NamedTuple, Protocol

from tusk_runtime.bus.beginning import Beginnings
from tusk_runtime.bus.kafka import Address
from tusk_runtime.bus.membership import Bounds, Membership, Partition, TakenAway, source_of
from tusk_runtime.bus.watching import Track, Watch
from tusk_runtime.errors import Conflict, TuskError, Unavailable
from tusk_runtime.events import new_id
from tusk_runtime.failpoints import hit
from tusk_runtime.following.hands import Hands, task_group
from tusk_runtime.following.lane import Lane
from tusk_runtime.following.messages import Message
from tusk_runtime.following.runner import DRAIN_SECONDS, RETRY_SECONDS, Progress, Runner
from tusk_runtime.store.protocol import Store

POLL_SECONDS = 0.5
JOIN_SECONDS = 0.05
"""How long is waited for messages where no partitions are here: what is given is taken at once."""
PATIENCE_SECONDS = 0.5
"""How long all partitions wait for the slowest one, before it is paused and the others go on."""
LOOK_SECONDS = 1.0
"""How often the letters are looked at, and Kafka is told how far the group is."""

log = logging.getLogger("tusk.following")


class Handed(Protocol):
    """Makes what handles the messages of one partition."""

    def __call__(self, source: str, slots: asyncio.Semaphore, begin: int) -> Hands[Message]:
        """Handles those of a source, `slots` keys at a time over all of them. Events of the store's own log
        count behind the position `begin`."""
        ...


class Subscribed(NamedTuple):
    """What is read: topics, of which `own` hold events of the store's own log; so many messages at a time, of
    `concurrency` keys at a time. Without a group (`standalone`) every process reads all; with `tail` only
    what comes from now on is read."""

    topics: Sequence[str]
    own: Collection[str]
    page: int
    concurrency: int
    standalone: bool = False
    tail: bool = False


class Subscription(Runner):
    """Reads topics as a member of a group. How far each partition is, and its letters, the store knows: what
    Kafka is told is for people and tools.

    Whoever is given a partition takes it in the store, too, and whoever had it can save nothing more. Pages
    of all partitions are handled side by side; one that takes long is paused, and the others go on.
    """

    def __init__(
        self, name: str, group: str, what: Subscribed, handed: Handed, store: Store, address: Address
    ) -> None:
        super().__init__(name)
        self._group = group
        self._what = what
        self._handed = handed
        self._store = store
        self._address = address
        self._holder = new_id()
        self._slots = asyncio.Semaphore(what.concurrency)
        self._tracks: dict[Partition, Track] = {}
        self._lost: dict[Partition, int] = {}  # what others took in the store, with the offset that came next
        self._client: Membership | None = None
        self._asked, self._seen = 1, 0
        self._watch: Watch | None = None
        self._alarm = ""
        self._failed = False

    @property
    def group(self) -> str:
        """The name under which progress and letters are kept, and that of the group in Kafka."""
        return self._group

    def progress(self, head: int) -> Progress:
        """How it is: in how many partitions, with how many messages behind."""
        counts: dict[str, int] = {}
        for track in self._tracks.values():
            for what, count in track.lane.hands.letters.counts().items():
                counts[what] = counts.get(what, 0) + count
        here = len(self._tracks)
        detail = f"{here} partition{'' if here == 1 else 's'} here"
        return Progress(None, self._lag, counts, self._told, self._failed, detail)

    @property
    def _lag(self) -> int | None:
        """How many messages of the partitions that are here are still to be handled; None: nobody knows."""
        if self._client is None or not self._client.joined or self._tracks.keys() != self._client.given:
            return None
        ends = {each: max(self._client.end(each) or 0, track.end) for each, track in self._tracks.items()}
        return sum(max(0, ends[each] - track.lane.position - 1) for each, track in self._tracks.items())

    @property
    def _told(self) -> str:
        """What is wrong now, else what went wrong and wants to be seen by somebody."""
        watch = self._watch
        if watch is not None and watch.strangers and not self.error:
            return (
                f"the group `{self._group}` is used by {', '.join(watch.strangers)}, too, and what they are "
                "given is not handled here: give the consumer another `group`"
            )
        return self.error or (watch.problem if watch is not None else "") or self._alarm

    def look(self) -> None:
        """Look at the letters that somebody may have marked."""
        self._asked += 1

    async def wait_for(self, position: int, timeout: float) -> bool:
        """Whether everything was handled that the topics hold now, `timeout` seconds from now at the latest.

        It is for one process that has all partitions, behind a relay that published up to the position.
        """
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(timeout):
                while not self._stopping and not self._failed:
                    if await self._caught_up():
                        return True
                    await asyncio.sleep(0.02)
        return False

    async def _caught_up(self) -> bool:
        client = self._client
        tracks = dict(self._tracks)
        if client is None or not tracks or tracks.keys() != client.given or self._seen != self._asked:
            return False
        bounds = await client.bounds(list(tracks))
        for partition, track in tracks.items():
            if (await client.position(partition) or 0) < bounds[partition].next:
                return False
            if track.task is not None or track.lane.hands.due():
                return False
        return True

    # ---- one client after the other ----------------------------------------------------------------

    async def _live(self) -> None:
        if self._what.own:
            self._begin = await self._known_begin()
        group = None if self._what.standalone else self._group
        client = Membership(self._address, group, self._what.topics, self._revoked)
        self._client = client
        await client.start()
        await self._await_topics(client)
        await client.join()
        self._watch = Watch(client, self._tracks, self._raise)
        async with task_group() as tasks:
            watching = tasks.create_task(self._watch.run())
            await self._consume(client)
            watching.cancel()

    async def _rest(self, seconds: float) -> None:
        await self._leave()
        if not self._stopping:
            await asyncio.sleep(seconds)

    async def _await_topics(self, client: Membership) -> None:
        """Wait for the topics that the relay makes. Raises Unavailable if another one is not there."""
        while not self._stopping and (missing := await client.missing()):
            foreign = [f"`{topic}`" for topic in missing if topic not in self._what.own]
            if foreign:
                raise Unavailable(
                    f"Kafka has no topic {', '.join(foreign)}: make {'it' if len(foreign) == 1 else 'them'}, "
                    "or name another one"
                )
            self.error = f"waits for the relay to make {', '.join(missing)}"
            await asyncio.sleep(RETRY_SECONDS)

    async def _known_begin(self) -> int:
        """The position behind which events of the own log count; the store keeps it from the first time."""
        deliveries = self._store.deliveries
        await deliveries.claim(self._group, self._holder, 0, begin=self._begin)
        return (await deliveries.progress())[self._group]

    async def _leave(self) -> None:
        await self._revoked(list(self._tracks))
        self._lost.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    # ---- pages ---------------------------------------------------------------------------------------

    async def _consume(self, client: Membership) -> None:
        taken, looked = 0, 0.0
        while not self._stopping:
            if client.generation != taken:
                taken = client.generation
                with contextlib.suppress(TakenAway):
                    await self._take(client)
            if self._asked != self._seen or monotonic() - looked >= LOOK_SECONDS:
                asked, looked = self._asked, monotonic()
                await self._look(client)
                self._seen = asked
            pages = await client.poll(self._what.page, POLL_SECONDS if self._tracks else JOIN_SECONDS)
            await hit("subscription.polled")
            for partition, page in pages.items():
                track = self._tracks.get(partition)
                if track is not None and track.task is None:
                    track.task = asyncio.create_task(track.lane.take(page, page[-1].offset))
            await self._work(client)

    async def _work(self, client: Membership) -> None:
        """Wait for what is being handled, but not for what takes long: that is paused until it is done."""
        failures: list[tuple[Partition, Track, TuskError]] = []
        tasks = [track.task for track in self._tracks.values() if track.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE_SECONDS)
        for partition, track in list(self._tracks.items()):
            if track.task is None:
                continue
            if not track.task.done():
                client.pause(partition)
                continue
            task, track.task = track.task, None
            track.moved = monotonic()
            try:
                task.result()
            except Conflict as error:
                client.pause(partition)
                self._lose(partition, self._tracks.pop(partition).lane, error)
            except TuskError as error:
                failures.append((partition, track, error))
            else:
                self._go_on(client, partition, track)
        if failures:
            self._note(failures[0][2])
            await asyncio.sleep(RETRY_SECONDS)
            for partition, track, _ in failures:
                client.seek(partition, track.lane.position + 1)

    def _go_on(self, client: Membership, partition: Partition, track: Track) -> None:
        """Take more out of a partition, unless the consumer has to stop."""
        if track.lane.hands.halted:
            client.pause(partition)
        else:
            client.resume(partition)
        halted = [each.lane.hands.halted for each in self._tracks.values()]
        self.error = next(filter(None, halted), "")
        self._failed = bool(self.error)

    async def _look(self, client: Membership) -> None:
        """Look at the letters and at logs that went back, and tell Kafka how far the group is."""
        if self._lost and await client.commit(self._lost):
            # Kafka takes that from members only: it is others who came too late.
            with contextlib.suppress(TakenAway):
                await self._take(client)
        for partition, track in list(self._tracks.items()):
            if track.task is not None:
                continue
            if track.lost is not None and not await self._begin_anew(client, partition, track, track.lost):
                continue
            await track.lane.look()
            if track.lane.hands.due() and client.pause(partition):
                track.task = asyncio.create_task(track.lane.take_again())
        news = {
            partition: track.lane.position + 1
            for partition, track in self._tracks.items()
            if track.lane.position != track.told
        }
        if news and await client.commit(news):
            await hit("subscription.committed")
            for partition, offset in news.items():
                if partition in self._tracks:
                    self._tracks[partition].told = offset - 1

    # ---- partitions come and go ----------------------------------------------------------------------

    async def _take(self, client: Membership) -> None:
        """Take in the store what Kafka gave, and read on from where it stands there."""
        generation, count = client.generation, len(client.given)
        self._lost.clear()
        log.info("%s: %d partition%s here now", self.name, count, " is" if count == 1 else "s are")
        given = [each for each in client.given if each not in self._tracks]
        if not given:
            self.error = ""  # others have them all
            return
        deliveries = self._store.deliveries
        claims = await asyncio.gather(
            *(deliveries.take(self._group, source_of(each), self._holder) for each in given)
        )
        await hit("subscription.taken")
        bounds = await client.bounds(given)
        what, events = self._what, self._store.events
        beginnings = Beginnings(self._group, what.own, events, self._begin, tail=what.tail)
        for partition, claim in zip(given, claims, strict=True):
            position, alarm, odd = await beginnings.find(client, partition, claim, bounds[partition])
            hands = self._handed(source_of(partition), self._slots, self._begin)
            lane = Lane(hands, claim, deliveries, free=what.standalone)
            await lane.learn()
            if (position != claim.position or odd) and not await self._moved(partition, lane, position):
                continue  # others have it, which is what was odd; else it stays there, whatever Kafka is told
            if client.generation != generation or partition not in client.given:
                return  # what is given again was perhaps with others meanwhile: it is taken anew
            if odd:
                log.error("%s: %s", self.name, odd)
            if alarm:
                self._raise(alarm)
            if client.seek(partition, position + 1):
                self._tracks[partition] = track = Track(lane, monotonic(), position, bounds[partition].next)
                self._go_on(client, partition, track)

    async def _revoked(self, partitions: Collection[Partition]) -> None:
        """Give partitions away: what is being handled is ended and saved, if it does not take too long."""
        tracks = {each: self._tracks.pop(each) for each in partitions if each in self._tracks}
        _end(tracks.values())
        working = {each: track.task for each, track in tracks.items() if track.task is not None}
        if working:
            _, late = await asyncio.wait(working.values(), timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            results = await asyncio.gather(*working.values(), return_exceptions=True)
            for partition, result in zip(working, results, strict=True):
                if isinstance(result, Conflict):
                    self._lose(partition, tracks[partition].lane, result)
        self._lost = {each: offset for each, offset in self._lost.items() if each not in partitions}
        await hit("subscription.revoked")
        if self._client is not None:
            await self._client.commit(
                {each: track.lane.position + 1 for each, track in tracks.items() if track.lane.position >= 0}
            )

    def _lose(self, partition: Partition, lane: Lane[Message], error: Conflict) -> None:
        """Another process took it in the store: mostly Kafka gave it away, which the client will hear of."""
        log.warning("%s: %s is no longer here: %s", self.name, source_of(partition), error)
        self._lost[partition] = lane.position + 1

    async def _moved(self, partition: Partition, lane: Lane[Message], position: int) -> bool:
        """Let a partition stand somewhere else; False if another process took it."""
        try:
            await lane.move(position)
        except Conflict as error:
            self._lose(partition, lane, error)
            return False
        return True

    def _halt(self) -> None:
        _end(self._tracks.values())

    async def _begin_anew(
        self, client: Membership, partition: Partition, track: Track, bounds: Bounds
    ) -> bool:
        """Handle all that a log holds which went back: what was handled before has no effect again.

        False if another process took it.
        """
        if not await self._moved(partition, track.lane, bounds.first - 1):
            client.pause(partition)
            self._tracks.pop(partition, None)
            return False
        track.lost = None
        client.seek(partition, bounds.first)
        return True

    def _raise(self, alarm: str) -> None:
        """Say something that stays to be seen until the application starts again."""
        self._alarm = alarm
        log.error("%s: %s", self.name, alarm)


def _end(tracks: Collection[Track]) -> None:
    """Let what is being handled be the last."""
    for track in tracks:
        track.lane.hands.stopping = True
