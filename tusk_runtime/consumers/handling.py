"""How a consumer handles an event: what is tried again, what is refused, what is parked."""

from __future__ import annotations

import asyncio
import logging
import random

import orjson

from tusk_runtime.clock import Clock
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.consumers.failures import ActionFailed
from tusk_runtime.events import StoredEvent
from tusk_runtime.failpoints import hit
from tusk_runtime.following.hands import Hands
from tusk_runtime.model.consuming import Retry
from tusk_runtime.store.deliveries import Letter
from tusk_runtime.store.protocol import EventStore

log = logging.getLogger("tusk.consumers")


class ConsumerHands(Hands):
    """The hands of one consumer."""

    def __init__(self, actor: Actor, events: EventStore, clock: Clock) -> None:
        self._actor = actor
        self._consumer = actor.consumer
        super().__init__(self._consumer.group, actor.types, self._consumer.concurrency, events, clock)

    @property
    def halted(self) -> str:
        """The consumer has no dead letters, and an event failed for good."""
        failed = None if self._consumer.dead_letter else self.letters.failed()
        if failed is None:
            return ""
        return f"the event at position {failed.position}: {orjson.loads(failed.error).get('message', '')}"

    async def attempt(self, event: StoredEvent, letter: Letter) -> Letter | None:
        """Handle an event from where its letter stands. Gives the letter that is left; None: it is done."""
        attempts = letter.attempts + 1
        try:
            async with asyncio.timeout(self._consumer.timeout):
                await self._actor.act(event, letter.action, letter.attempts)
            return None
        except ActionFailed as failure:
            action, told = failure.action, failure.told
            refused, technical = failure.refused, failure.technical
        except TimeoutError:
            action, refused, technical = letter.action, False, True
            told = {"message": f"it took longer than {self._consumer.timeout:g} s"}
        again = technical and attempts < self._consumer.retry.attempts
        now = self._clock.now()
        left = letter._replace(
            standing="refused" if refused else "retry" if again else "parked",
            action=action,
            attempts=attempts,
            timestamp=now + delay_of(self._consumer.retry, attempts) if again else now,
            error=orjson.dumps({**told, "refused": refused}, default=str),
        )
        log.warning("%s: the event at position %d: %s", self._consumer.name, letter.position, told["message"])
        await hit("consumer.letter_left")
        return left


def delay_of(retry: Retry, attempts: int) -> int:
    """After how many microseconds to try again what failed so many times."""
    match retry.backoff:
        case "fixed":
            seconds = retry.delay
        case "linear":
            seconds = retry.delay * attempts
        case _:
            seconds = retry.delay * 2 ** min(attempts - 1, 60)
    seconds = min(seconds, retry.max_delay)
    if retry.jitter:
        seconds *= random.uniform(0.5, 1)  # noqa: S311 - no secret
    return int(seconds * 1_000_000)
