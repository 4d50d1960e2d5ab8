"""Messages that are handed to a running application itself: each consumer that takes them does so at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.consumers.accepting import Accepted, Acceptor
from tusk_runtime.consumers.failures import ActionFailed
from tusk_runtime.errors import NotAccepted, Refused, UnknownName
from tusk_runtime.following.messages import Message
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.model.application import Application
from tusk_runtime.running.service import CommandAnswer, Taken


class Topics:
    """The topics whose messages the consumers of an application take.

    Nothing of a message is kept: whoever hands it over is told what became of it, and may do so again.
    """

    def __init__(self, application: Application, bus: CommandBus) -> None:
        self._acceptors = [
            Acceptor(consumer, bus.execute) for consumer in application.consumers.values() if consumer.accept
        ]

    async def take(self, message: Message) -> Mapping[str, Taken | None]:
        """What each consumer made of a message, by its name; see Service."""
        acceptors = self.of(message.topic)
        found = await asyncio.gather(
            *(acceptor.accept(message) for acceptor in acceptors), return_exceptions=True
        )
        taken: dict[str, Taken | None] = {}
        failed: dict[str, ActionFailed] = {}
        for acceptor, outcome in zip(acceptors, found, strict=True):
            name = acceptor.consumer.name
            if isinstance(outcome, ActionFailed):
                failed[name] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                taken[name] = _taken(outcome)
        if failed:
            raise _refusal(taken, failed) from next(iter(failed.values()))
        return taken

    def of(self, topic: str) -> list[Acceptor]:
        """The consumers that take the messages of a topic. Raises UnknownName if there are none."""
        found = [acceptor for acceptor in self._acceptors if topic in acceptor.consumer.accepted_topics]
        if not found:
            topics = sorted({each for a in self._acceptors for each in a.consumer.accepted_topics})
            raise UnknownName(
                f"no consumer accepts messages of a topic `{topic}`",
                help=did_you_mean(topic, topics),
                topics=topics,
            )
        return found


def _taken(accepted: Accepted | None) -> Taken | None:
    return None if accepted is None else Taken(accepted.command, CommandAnswer(*accepted.answer))


def consumers_json(taken: Mapping[str, Taken | None]) -> dict[str, Any]:
    """What consumers made of a message, as JSON has it."""
    return {name: {"ignored": True} if each is None else each.as_json() for name, each in taken.items()}


def _refusal(taken: Mapping[str, Taken | None], failed: Mapping[str, ActionFailed]) -> Refused:
    """The first failure as a refusal, with what became of the message everywhere."""
    told = {name: {"error": failure.told["message"]} for name, failure in failed.items()}
    first = next(iter(failed.values()))
    details = {key: value for key, value in first.told.items() if key not in ("message", "kind")}
    kind = type(first.error) if isinstance(first.error, Refused) else NotAccepted
    return kind(first.told["message"], **{**details, "consumers": {**consumers_json(taken), **told}})
