"""What follows the log of a running application with effects outside of it: its consumers, and the relay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import Clock
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.consumers.handling import ConsumerHands
from tusk_runtime.consumers.outside import Outside
from tusk_runtime.encryption import context_of
from tusk_runtime.errors import NotFound, StartFailed
from tusk_runtime.events import Caller
from tusk_runtime.following.follower import Follower
from tusk_runtime.model.application import Application
from tusk_runtime.model.consuming import Consumer
from tusk_runtime.running.backends import encryption_of
from tusk_runtime.running.service import PartStatus
from tusk_runtime.store.protocol import Store

TLS = "`tls` of `kafka`"
RELAY = "@relay"
"""The name of what publishes to Kafka: no consumer can have it."""

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
        self._definitions: dict[str, object] = {}
        self._fresh: list[Follower] = []
        self.runners: dict[str, Follower] = {}
        outside.prepare(application)
        if publishing and application.settings.kafka is not None:
            self._publish(application)
        for consumer in application.consumers.values():
            self._consume(consumer, application)
        self._before = None

    def _publish(self, application: Application) -> None:
        try:
            from tusk_runtime.bus.kafka import Address
            from tusk_runtime.bus.records import Recorder
            from tusk_runtime.bus.relay import PAGE, Relay
        except ModuleNotFoundError as error:
            raise StartFailed(
                f"`streaming: kafka` needs the package {error.name}", "pip install 'tusk-runtime[kafka]'"
            ) from None
        kafka = application.settings.kafka
        recorder = Recorder(application)
        if kafka is not None and not self._taken_over(RELAY, (recorder.definition, kafka)):
            file = Path(application.document.root.span.source.name)
            context = context_of(encryption_of(kafka.tls, file), TLS) if kafka.tls is not None else None
            hands = Relay(RELAY, recorder, Address(kafka, context), self._store, self._clock)
            self._add(Follower(RELAY, PAGE, hands, self._store))

    def _consume(self, consumer: Consumer, application: Application) -> None:
        if not self._taken_over(consumer.name, consumer.definition):
            actor = Actor(consumer, application, self._bus.execute, self._outside)
            hands = ConsumerHands(actor, self._store.events, self._clock)
            self._add(Follower(consumer.name, consumer.batch_size, hands, self._store))

    def _taken_over(self, name: str, definition: object) -> bool:
        self._definitions[name] = definition
        before = self._before
        if before is None or before._definitions.get(name) != definition:
            return False
        self.runners[name] = before.runners[name]
        return True

    def _add(self, follower: Follower) -> None:
        self.runners[follower.name] = follower
        self._fresh.append(follower)

    @property
    def groups(self) -> Mapping[str, str]:
        """The names under which progress and letters are kept, by those that people know."""
        return {name: runner.hands.group for name, runner in self.runners.items()}

    async def start(self, begin: int) -> None:
        """Begin with what is new, behind the position `begin` where the store does not know it."""
        for runner in self._fresh:
            await runner.start(0 if runner.name == RELAY else begin)

    async def pause(self, successor: Followers) -> list[Follower]:
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

    async def republish(self, position: int, *, dry_run: bool, caller: Caller) -> int:
        """Let the relay, wherever it runs, begin again at a position; gives how many events that is about."""
        relay = self.runners.get(RELAY)
        if relay is None:
            raise NotFound("nothing is published: `streaming` of [event_store] is not `kafka`")
        count = await self._store.events.count(position - 1, relay.hands.types)
        if not dry_run:
            log.warning(
                "%s: %d events from position %d on are published again, asked for by %s",
                RELAY, count, position, caller.user_id or "who has the token",
            )  # fmt: skip
            await self._store.deliveries.rewind(RELAY, position - 1)
            await relay.hands.rewound()
            relay.look()
        return count

    def status(self, head: int) -> list[PartStatus]:
        """How each is."""
        return [_status(runner, head) for runner in self.runners.values()]


def _status(runner: Follower, head: int) -> PartStatus:
    kind = "relay" if runner.name == RELAY else "consumer"
    if runner.standing_by and not runner.error:
        return PartStatus(runner.name, kind, "running", detail="another process runs it")
    lag = max(0, head - runner.position)
    detail = ", ".join(f"{count} {what}" for what, count in runner.hands.letters.counts().items() if count)
    health = "failed" if runner.failed else "catching up" if lag > 0 else "running"
    return PartStatus(runner.name, kind, health, runner.position, lag, runner.error, detail)  # type: ignore[arg-type]
