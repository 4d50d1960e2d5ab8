"""What follows the log of a running application with effects outside of it: its consumers, and the relay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import Clock
from tusk_runtime.consumers.accepting import Acceptor
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.consumers.handling import ConsumerHands
from tusk_runtime.consumers.outside import Outside
from tusk_runtime.consumers.receiving import Reception
from tusk_runtime.errors import NotFound
from tusk_runtime.events import Caller
from tusk_runtime.following.follower import Follower
from tusk_runtime.following.runner import Runner
from tusk_runtime.model.application import Application
from tusk_runtime.model.consuming import Consumer
from tusk_runtime.running.publishing import address_of
from tusk_runtime.running.service import Health, PartStatus
from tusk_runtime.store.protocol import Store

if TYPE_CHECKING:
    from tusk_runtime.bus.kafka import Address

RELAY = "@relay"
"""The name of what publishes to Kafka: no consumer can have it."""

OF_TOPICS = "of topics"
"""What is behind the name of what reads topics: its consumer may follow the log, too."""
LEFT = "of what is left"
"""What is behind the name of what handles letters of the log, where the events come from topics."""

log = logging.getLogger("tusk.following")


class Followers:
    """The consumers of one application, and its relay. A successor takes over what did not change.

    A consumer that is new begins where the log stands: it is no replay. The relay begins at the beginning:
    what is stored leaves. One that the store knows goes on where it was.
    """

    def __init__(
        self,
        application: Application,
        store: Store,
        bus: CommandBus,
        clock: Clock,
        *,
        outside: Outside,
        publishing: bool,
        before: Followers | None = None,
    ) -> None:
        """Without `publishing` there is no relay. Actions reach outside by `outside`. Raises StartFailed."""
        self._store, self._bus, self._clock, self._outside = store, bus, clock, outside
        self._before = before
        self._begin = 0
        self._definitions: dict[str, object] = {}
        self._fresh: list[Runner] = []
        self.runners: dict[str, Runner] = {}
        outside.prepare(application)
        address = address_of(application) if publishing and application.settings.kafka is not None else None
        if address is not None and address.kafka.topics:
            self._publish(application, address)
        for consumer in application.consumers.values():
            if address is not None and consumer.topics:
                self._subscribe(consumer, application, address)
            self._consume(consumer, application, from_topics=address is not None and consumer.on_topics)
        self._before = None

    def _publish(self, application: Application, address: Address) -> None:
        from tusk_runtime.bus.records import Recorder
        from tusk_runtime.bus.relay import PAGE, Relay

        recorder = Recorder(application)
        if not self._taken_over(RELAY, (recorder.definition, address.kafka)):
            hands = Relay(RELAY, recorder, address, self._store, self._clock)
            self._add(Follower(RELAY, PAGE, hands, self._store))

    def _consume(self, consumer: Consumer, application: Application, *, from_topics: bool) -> None:
        """Follow the store's log for what comes from there, or else for the letters that were left there."""
        which = LEFT if from_topics else ""
        if consumer.on and not self._taken_over(f"{consumer.name} {which}".strip(), consumer.definition):
            actor = Actor(consumer, application, self._bus.execute, self._outside)
            events, deliveries = self._store.events, self._store.deliveries
            hands = ConsumerHands(actor, events, deliveries, self._clock, only_letters=from_topics)
            page = consumer.batch_size
            self._add(Follower(consumer.name, page, hands, self._store, only_letters=from_topics), which)

    def _subscribe(self, consumer: Consumer, application: Application, address: Address) -> None:
        """Read topics of Kafka for what comes from there."""
        from tusk_runtime.bus.subscription import Subscribed, Subscription

        kafka = address.kafka
        if self._taken_over(f"{consumer.name} {OF_TOPICS}", (consumer.definition, kafka)):
            return
        own = set(kafka.topics.values()) if consumer.on_topics else set()
        reception = Reception(
            Actor(consumer, application, self._bus.execute, self._outside),
            Acceptor(consumer, self._bus.execute),
            own,
            self._store.events,
            self._store.deliveries,
            self._clock,
            standalone=kafka.standalone,
        )
        what = Subscribed(
            consumer.topics, own, consumer.batch_size, consumer.concurrency, kafka.standalone, kafka.tail
        )
        runner = Subscription(consumer.name, consumer.group, what, reception.hands, self._store, address)
        self._add(runner, OF_TOPICS)

    def _taken_over(self, name: str, definition: object) -> bool:
        self._definitions[name] = definition
        before = self._before
        if before is None or before._definitions.get(name) != definition:
            return False
        self.runners[name] = before.runners[name]
        return True

    def _add(self, runner: Runner, which: str = "") -> None:
        self.runners[f"{runner.name} {which}".strip()] = runner
        self._fresh.append(runner)

    @property
    def groups(self) -> Mapping[str, str]:
        """The names under which progress and letters are kept, by those that people know."""
        return {runner.name: runner.group for runner in self.runners.values()}

    async def start(self, begin: int) -> None:
        """Begin with what is new, behind the position `begin` where the store does not know it."""
        self._begin = begin
        await self.resume(self._fresh)

    async def resume(self, runners: Sequence[Runner]) -> None:
        """Let these go on, as they would have after `start`."""
        for runner in runners:
            await runner.start(0 if runner.name == RELAY else self._begin)

    async def pause(self, successor: Followers) -> list[Runner]:
        """Stop what the successor does not take over. Gives these, to be started again if it fails."""
        taken = {id(runner) for runner in successor.runners.values()}
        stopped = [runner for runner in self.runners.values() if id(runner) not in taken]
        await asyncio.gather(*(runner.stop() for runner in stopped))
        return stopped

    async def stop(self) -> None:
        """Stop all after the events that each is handling."""
        await asyncio.gather(*(runner.stop() for runner in self.runners.values()))

    async def settle(self, position: int, timeout: float) -> None:
        """Wait until everyone has handled the log up to a position, or has failed."""
        for runner in self.runners.values():
            runner.look()
            await runner.wait_for(position, timeout)

    def look(self, name: str) -> None:
        """Let a consumer, if it is here, look at once at letters that somebody marked."""
        for runner in self.runners.values():
            if runner.name == name:
                runner.look()

    async def republish(self, position: int, *, dry_run: bool, caller: Caller) -> int:
        """Let the relay, wherever it runs, begin again at a position; gives how many events that is about."""
        relay = self.runners.get(RELAY)
        if not isinstance(relay, Follower):
            raise NotFound(
                "nothing is published: `streaming` of [event_store] is not `kafka`, or no event has a topic"
            )
        count = await self._store.events.count(position - 1, relay.hands.types)
        if not dry_run:
            log.warning(
                "%s: %d events from position %d on are published again, asked for by %s",
                RELAY, count, position, caller.user_id or "who has the token",
            )  # fmt: skip
            await self._store.deliveries.rewind(relay.group, position - 1)
            await relay.hands.rewound()
            relay.look()
        return count

    def status(self, head: int) -> list[PartStatus]:
        """How each is."""
        runners = self.runners.values()
        return [_status(each, head) for each in runners if not (isinstance(each, Follower) and each.idle)]


def _status(runner: Runner, head: int) -> PartStatus:
    kind = "relay" if runner.name == RELAY else "consumer"
    position, lag, letters, error, failed, said = runner.progress(head)
    told = [f"{count} {what}" for what, count in letters.items() if count]
    detail = ", ".join([*told, said] if said else told)
    health: Health = "failed" if failed else "catching up" if lag else "running"
    return PartStatus(runner.name, kind, health, position, lag, error, detail)
