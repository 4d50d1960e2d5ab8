"""The runtime's own events: what became of every command, and of itself, each in streams of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from tusk_runtime.aggregates.fold import State
from tusk_runtime.aggregates.handlers import Handlers
from tusk_runtime.aggregates.waiting import Waiting
from tusk_runtime.errors import Refused
from tusk_runtime.events import Caller, id_text, new_id
from tusk_runtime.model.own_events import AUDIT_STREAM, SYSTEM_EVENTS, SYSTEM_STREAM
from tusk_runtime.store.protocol import Decision, NewEvent, StreamId

RUNTIME = Caller("tusk-runtime")
"""Who stands in the metadata of the runtime's own events."""


LONGEST_NAME = 100
"""Characters of a command's name that are told: a name that nothing declares is whatever somebody sends."""


class Note(NamedTuple):
    """An event of the runtime that waits to be written, and who waits for that."""

    event: NewEvent
    metadata: bytes
    correlation_id: bytes | None
    answer: asyncio.Future[None]

    def succeed(self) -> None:
        """It is in the log."""
        if not self.answer.done():
            self.answer.set_result(None)

    def fail(self, error: Exception) -> None:
        """It is not, or nobody knows."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Journal:
    """A stream that only this process writes, so that nobody ever contends for it.

    `kind` takes the place of the type of aggregates, the id is made at each start. `attempt` begins a
    transaction, and `written` says that it was committed: without that, the next attempt begins where the
    last one did. After an outcome that stays unknown `renew` begins a stream of another id.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._version = self._next = 0
        self.renew()

    def renew(self) -> None:
        """Begin another stream."""
        self._stream = StreamId(self._kind, id_text(new_id()))
        self._version = self._next = 0

    def attempt(self) -> None:
        """Begin a transaction."""
        self._next = self._version

    def written(self) -> None:
        """All of the transaction is in the log."""
        self._version = self._next

    def decision(
        self, event: NewEvent, timestamp: int, metadata: bytes, correlation_id: bytes | None
    ) -> Decision:
        """What to write; `timestamp` in microseconds."""
        self._next += 1
        return Decision(
            command_id=new_id(),
            fingerprint=0,
            aggregate_type=self._stream.aggregate_type,
            aggregate_id=self._stream.aggregate_id,
            expected_version=self._next - 1,
            timestamp=timestamp,
            metadata=metadata,
            events=[event],
            correlation_id=correlation_id,
        )


class Journals:
    """The audit and the system stream of this process, and what waits to be written there."""

    def __init__(self) -> None:
        self._audit = Journal(AUDIT_STREAM)
        self._system = Journal(SYSTEM_STREAM)
        self.waiting: list[Note] = []

    def note(self, event: NewEvent, metadata: bytes, correlation_id: bytes | None) -> asyncio.Future[None]:
        """Let an event wait to be written; the future is done when it is."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(Note(event, metadata, correlation_id, answer))
        return answer

    def take(self, most: int) -> list[Note]:
        """The first of those that wait."""
        notes, self.waiting = self.waiting[:most], self.waiting[most:]
        return notes

    def of_notes(self, notes: Sequence[Note], timestamp: int) -> list[Decision]:
        """What to write for notes."""
        self._attempt()
        return [
            (self._system if note.event.type in SYSTEM_EVENTS else self._audit).decision(
                note.event, timestamp, note.metadata, note.correlation_id
            )
            for note in notes
        ]

    def of(
        self,
        batch: Sequence[Waiting],
        handlers: Handlers,
        states: Mapping[StreamId, State],
        timestamp: int,
    ) -> list[Decision]:
        """What is told of a group of commands that was decided, in their own transaction."""
        self._attempt()
        found = []
        for waiting in batch:
            name, stream, caller, cause = waiting.name, waiting.stream, waiting.caller, waiting.cause
            if waiting.refusal is None:
                event = accepted(name, stream, states[stream].version, len(waiting.events), caller)
            else:
                event = refused(name, stream, waiting.refusal, caller)
            correlation = cause.correlation_id or waiting.command_id
            found.append(
                self._audit.decision(event, timestamp, handlers.metadata(caller, cause), correlation)
            )
        return found

    def _attempt(self) -> None:
        self._audit.attempt()
        self._system.attempt()

    def written(self) -> None:
        """What was attempted last is in the log."""
        self._audit.written()
        self._system.written()

    def renew(self) -> None:
        """Nobody knows what became of the last attempt: go on in other streams."""
        self._audit.renew()
        self._system.renew()


def accepted(command: str, stream: StreamId, version: int, count: int, caller: Caller) -> NewEvent:
    """What is told of a command that was accepted: `count` events led to `version`."""
    data = {**_who(command, stream, caller), "version": version, "events": count}
    return NewEvent("CommandAccepted", orjson.dumps(data))


def refused(command: str, stream: StreamId | None, refusal: Refused, caller: Caller) -> NewEvent:
    """What is told of a command that was refused. Its fields are not: they may be personal."""
    data = {**_who(command, stream, caller), "kind": refusal.kind, "reason": refusal.message}
    return NewEvent("CommandRefused", orjson.dumps(data))


def _who(command: str, stream: StreamId | None, caller: Caller) -> Mapping[str, Any]:
    found: dict[str, Any] = {"command": command[:LONGEST_NAME], "roles": list(caller.roles)}
    if stream is not None:
        found |= {"aggregate_type": stream.aggregate_type, "aggregate_id": stream.aggregate_id}
    if caller.user_id is not None:
        found["user_id"] = caller.user_id
    if caller.tenant_id is not None:
        found["tenant_id"] = caller.tenant_id
    return found
