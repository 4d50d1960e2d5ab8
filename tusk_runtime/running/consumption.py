"""The consumers of a running application."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import Clock
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.consumers.handling import ConsumerHands
from tusk_runtime.following.follower import Follower
from tusk_runtime.model.application import Application
from tusk_runtime.model.consuming import Consumer
from tusk_runtime.running.service import PartStatus
from tusk_runtime.store.protocol import Store


class Consumption:
    """The consumers of one application. A successor takes over what did not change.

    A consumer that is new begins behind `begin`, where the log stands: it is no replay. One that the store
    knows goes on where it was.
    """

    def __init__(
        self,
        application: Application,
        store: Store,
        bus: CommandBus,
        clock: Clock,
        before: Consumption | None = None,
    ) -> None:
        kept = before.runners if before is not None else {}
        known = before.consumers if before is not None else {}
        self.consumers: Mapping[str, Consumer] = application.consumers
        self.runners: dict[str, Follower] = {}
        self._fresh: list[Follower] = []
        for name, consumer in application.consumers.items():
            runner = kept.get(name)
            if runner is None or known[name].definition != consumer.definition:
                actor = Actor(consumer, application, bus.execute)
                hands = ConsumerHands(actor, store.events, clock)
                runner = Follower(name, actor.types, consumer.batch_size, hands, store)
                self._fresh.append(runner)
            self.runners[name] = runner

    async def start(self, begin: int) -> None:
        """Begin with what is new, behind the position `begin` where the store does not know it."""
        for runner in self._fresh:
            await runner.start(begin)

    async def pause(self, successor: Consumption) -> list[Follower]:
        """Stop what the successor does not take over. Gives these, to be started again if it fails."""
        taken = {id(runner) for runner in successor.runners.values()}
        stopped = [runner for runner in self.runners.values() if id(runner) not in taken]
        await asyncio.gather(*(runner.stop() for runner in stopped))
        return stopped

    async def stop(self) -> None:
        """Stop all consumers after the events that each is handling."""
        await asyncio.gather(*(runner.stop() for runner in self.runners.values()))

    async def settle(self, position: int, timeout: float) -> None:
        """Wait until every consumer has handled the log up to a position, or has failed."""
        for runner in self.runners.values():
            runner.look()
            await runner.wait_for(position, timeout)

    def status(self, head: int) -> list[PartStatus]:
        """How each consumer is."""
        return [_status(runner, head) for runner in self.runners.values()]


def _status(runner: Follower, head: int) -> PartStatus:
    if runner.standing_by and not runner.error:
        return PartStatus(runner.name, "consumer", "running", detail="another process runs it")
    lag = max(0, head - runner.position)
    counts = runner.hands.letters.counts()
    detail = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    health = "failed" if runner.failed else "catching up" if lag > 0 else "running"
    return PartStatus(runner.name, "consumer", health, runner.position, lag, runner.error, detail)  # type: ignore[arg-type]
