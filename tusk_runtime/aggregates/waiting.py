"""A command between its arrival and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tusk_runtime.aggregates.decide import CommandHandler
from tusk_runtime.errors import (
    Forbidden,
    IdReused,
    Invalid,
    NotFound,
    Refused,
    RuleBroken,
    StoreUnavailable,
    Superseded,
    TuskError,
    Unavailable,
)
from tusk_runtime.events import Caller, Cause
from tusk_runtime.store.protocol import NewEvent, Recorded, StreamId

REFUSALS: Mapping[str, type[Refused]] = {
    kind.kind: kind for kind in (RuleBroken, NotFound, Forbidden, Invalid)
}

Answer = tuple[Recorded, Sequence[str], bool]
"""The ledger's row, the types of the events, and whether it is the answer to an earlier try."""


class Waiting:
    """A command that was taken, what was decided about it, and who awaits the answer.

    `fields` are the run-time values of `raw`, which is kept to be read again by another application.
    `followers` came with the same command id while this one waited: they get its answer.
    """

    __slots__ = (
        "answer",
        "caller",
        "cause",
        "command_id",
        "events",
        "fields",
        "fingerprint",
        "followers",
        "handler",
        "name",
        "raw",
        "raw_id",
        "refusal",
        "stream",
    )

    def __init__(
        self,
        name: str,
        raw: Mapping[str, Any],
        raw_id: str | None,
        command_id: bytes,
        caller: Caller,
        cause: Cause,
        answer: asyncio.Future[Answer],
    ) -> None:
        self.name = name
        self.raw = raw
        self.raw_id = raw_id
        self.command_id = command_id
        self.caller = caller
        self.cause = cause
        self.answer = answer
        self.handler: CommandHandler
        self.fields: Mapping[str, Any]
        self.stream: StreamId
        self.fingerprint: int
        self.events: Sequence[NewEvent] = ()
        self.refusal: Refused | None = None
        self.followers: list[Waiting] | None = None

    def follow(self, first: Waiting) -> None:
        """Get the answer of another command under the same id."""
        if first.followers is None:
            first.followers = []
        first.followers.append(self)

    def resolve(self, row: Recorded) -> None:
        """Answer this command and its followers: it is in the ledger now."""
        answer = self.answer
        if not answer.done():  # else the caller went away; the command took effect all the same
            if self.refusal is None:
                answer.set_result((row, [event.type for event in self.events], False))
            else:
                answer.set_exception(self.refusal)
        if self.followers:
            types = [event.type for event in self.events]
            for one in self.followers:
                one.repeat(row, types)

    def repeat(self, row: Recorded, types: Sequence[str]) -> None:
        """Give the first answer again, if this is the same command."""
        answer = self.answer
        if answer.done():
            return
        if row.fingerprint != self.fingerprint:
            answer.set_exception(
                IdReused(
                    "this command id was used before, for another command or other fields",
                    refused=row.refusal is not None,
                )
            )
        elif row.refusal is not None:
            answer.set_exception(refusal_from(row.refusal))
        else:
            answer.set_result((row, types, True))

    def fail(self, error: Exception) -> None:
        """Tell everyone who waits that it did not work."""
        for one in (self, *(self.followers or ())):
            if not one.answer.done():
                one.answer.set_exception(error)


def refusal_text(refusal: Refused) -> bytes:
    """A refusal as the ledger keeps it."""
    return orjson.dumps(
        {"kind": refusal.kind, "message": refusal.message, "details": refusal.details}, default=str
    )


def refusal_from(text: bytes) -> Refused:
    """The refusal that the ledger kept."""
    found = orjson.loads(text)
    return REFUSALS.get(found["kind"], RuleBroken)(found["message"], **found["details"])


def unavailable(error: TuskError) -> TuskError:
    """What an error of the store is for those who sent a command."""
    return Unavailable(str(error)) if isinstance(error, StoreUnavailable | Superseded) else error


def fail_all(batch: Sequence[Waiting], error: Exception) -> None:
    """Tell everyone of a group that it did not work."""
    for waiting in batch:
        waiting.fail(error)
