"""The command bus: commands that arrive together are decided one by one and written in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tusk_runtime.aggregates.decide import CommandHandler, Context, meta_of, stored_metadata
from tusk_runtime.aggregates.fold import Folder, State, codecs_of
from tusk_runtime.clock import Clock, to_datetime
from tusk_runtime.errors import (
    Conflict,
    Forbidden,
    IdReused,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    Refused,
    RuleBroken,
    StoreUnavailable,
    TuskError,
    Unavailable,
    UnknownName,
)
from tusk_runtime.events import OUTSIDE, Caller, Cause, FreshId, StoredEvent, new_id
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.model.application import Application
from tusk_runtime.store.protocol import Decision, EventStore, NewEvent, Recorded, StreamId

MAX_BATCH = 512
"""Commands in one transaction: large enough to share a sync, small enough that none waits long."""
MAX_WAITING = 20_000
"""Commands that may wait before more are turned away with 429."""
MAX_STATES = 50_000
"""Aggregate states that are kept folded."""
CONFLICT_TRIES = 8
REFUSALS: Mapping[str, type[Refused]] = {
    kind.kind: kind for kind in (RuleBroken, NotFound, Forbidden, Invalid)
}


class Handlers:
    """All command handlers and folders of one application."""

    def __init__(self, application: Application) -> None:
        self.application = application
        codecs = codecs_of(application)
        self.folders = {
            name: Folder(aggregate, application, codecs) for name, aggregate in application.aggregates.items()
        }
        self.commands = {
            name: CommandHandler(command, application, self.folders[command.aggregate], codecs)
            for name, command in application.commands.items()
        }

    def command(self, name: str) -> CommandHandler:
        """The handler of a command. Raises UnknownName."""
        handler = self.commands.get(name)
        if handler is None:
            raise UnknownName(f"there is no command `{name}`", help=did_you_mean(name, self.commands))
        return handler


@dataclass(slots=True, eq=False)
class _Waiting:
    """A command between its arrival and its answer."""

    handler: CommandHandler
    raw: Mapping[str, Any]
    fields: Mapping[str, Any]
    raw_id: str | None
    stream: StreamId
    command_id: bytes
    supplied: bool
    fingerprint: int
    caller: Caller
    cause: Cause
    answer: asyncio.Future[tuple[Recorded, Sequence[str], bool]]
    events: Sequence[NewEvent] = ()
    state: State | None = None
    refusal: Refused | None = None
    followers: list[_Waiting] = field(default_factory=list)


class CommandBus:
    """Decides commands and writes what they give, in groups that size themselves.

    While one group is being written the next one gathers; no timer is needed. A repeated command id gets
    the first answer from the ledger. One task owns all states, so a decision never races another one in
    this process; another process is noticed by the store, and then the command is decided again.
    """

    def __init__(self, store: EventStore, application: Application, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._handlers = Handlers(application)
        self._states: OrderedDict[StreamId, State] = OrderedDict()
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._between = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._last_timestamp = 0
        self._metadata: dict[Caller, bytes] = {}
        self.accepted = 0
        self.refused = 0
        self.error = ""

    @property
    def handlers(self) -> Handlers:
        """What is live now."""
        return self._handlers

    async def start(self) -> None:
        """Begin to take commands. Time goes on from the newest stored event."""
        newest = await self._store.read(limit=1, backwards=True)
        self._last_timestamp = newest[0].timestamp if newest else 0
        self._task = asyncio.create_task(self._run(), name="command bus")

    async def stop(self) -> None:
        """Finish what was taken, and take no more."""
        self._stopping = True
        self._arrived.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def swap(self, application: Application) -> None:
        """Make another application live, between two groups. What waits is decided by the new one."""
        handlers = Handlers(application)
        async with self._between:
            self._handlers = handlers
            self._states.clear()
            self._metadata.clear()

    async def execute(
        self,
        name: str,
        fields: Mapping[str, Any],
        *,
        aggregate_id: str | None = None,
        command_id: bytes | None = None,
        caller: Caller,
        cause: Cause = OUTSIDE,
    ) -> tuple[Recorded, Sequence[str], bool]:
        """The ledger's row, the types of the events, and whether it is the answer to an earlier try.

        Raises a Refused, Unavailable, or OutcomeUnknown.
        """
        if self._stopping or self._task is None:
            raise Unavailable("the runtime is stopping")
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded("too many commands are waiting; try again in a moment")
        handler = self._handlers.command(name)
        waiting = self._prepare(handler, fields, aggregate_id, command_id, caller, cause)
        self._waiting.append(waiting)
        self._arrived.set()
        return await waiting.answer

    def _prepare(
        self,
        handler: CommandHandler,
        raw: Mapping[str, Any],
        raw_id: str | None,
        command_id: bytes | None,
        caller: Caller,
        cause: Cause,
    ) -> _Waiting:
        fields = handler.validate(raw)
        identity = command_id if command_id is not None else new_id()
        target = self._target(handler, fields, raw_id, identity, caller, cause)
        return _Waiting(
            handler,
            raw,
            fields,
            raw_id,
            StreamId(handler.command.aggregate, target),
            identity,
            not isinstance(identity, FreshId),
            handler.fingerprint(raw, raw_id),
            caller,
            cause,
            asyncio.get_running_loop().create_future(),
        )

    def _target(
        self,
        handler: CommandHandler,
        fields: Mapping[str, Any],
        raw_id: str | None,
        command_id: bytes,
        caller: Caller,
        cause: Cause,
    ) -> str:
        if handler.command.id is None:
            return handler.target(fields, raw_id, command_id, None, None)  # type: ignore[arg-type]  # unused
        settings = handler.application.settings
        meta = (
            meta_of(caller, cause, command_id, settings.source, settings.version)
            if handler.needs_meta
            else None
        )
        return handler.target(fields, raw_id, command_id, to_datetime(self._clock.now()), meta)

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._stopping:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            async with self._between:
                try:
                    await self._process([self._current(w) for w in batch if not w.answer.done()])
                    self.error = ""
                except TuskError as error:
                    self.error = str(error)
                    failure = Unavailable(str(error)) if isinstance(error, StoreUnavailable) else error
                    self._fail(batch, failure)
                except Exception as error:
                    self._fail(batch, Unavailable("the command could not be handled; see the log"))
                    self.error = f"{type(error).__name__}: {error}"
                    asyncio.get_running_loop().call_exception_handler(
                        {"message": "command bus", "exception": error}
                    )
            await asyncio.sleep(0)  # those who were answered come back with their next command

    @staticmethod
    def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
        for waiting in batch:
            for one in (waiting, *waiting.followers):
                if not one.answer.done():
                    one.answer.set_exception(error)

    def _current(self, waiting: _Waiting) -> _Waiting:
        """The command as the live application reads it: it may have changed while the command waited."""
        name = waiting.handler.command.name
        if self._handlers.commands.get(name) is waiting.handler:
            return waiting
        try:
            handler = self._handlers.command(name)
            again = self._prepare(
                handler, waiting.raw, waiting.raw_id, waiting.command_id, waiting.caller, waiting.cause
            )
        except Refused as refusal:
            waiting.answer.set_exception(refusal)
            return waiting
        again.answer = waiting.answer
        return again

    async def _process(self, batch: Sequence[_Waiting]) -> None:
        """Answer every command of the batch."""
        open_ = await self._answer_repeated([w for w in batch if not w.answer.done()])
        if not open_:
            return
        try:
            await self._decide_and_write(open_)
            return
        except Conflict:
            pass
        except OutcomeUnknown:
            open_ = await self._answer_repeated(open_, always=True)
        # Another writer was first: one by one, so that one conflict fails no neighbour.
        for waiting in open_:
            await self._alone(waiting)

    async def _alone(self, waiting: _Waiting) -> None:
        for _ in range(CONFLICT_TRIES):
            if not await self._answer_repeated([waiting], always=True):
                return
            self._states.pop(waiting.stream, None)
            with contextlib.suppress(Conflict):
                await self._decide_and_write([waiting])
                return
        self._fail([waiting], Unavailable("too many writers on one aggregate; try again in a moment"))

    async def _answer_repeated(self, batch: Sequence[_Waiting], always: bool = False) -> list[_Waiting]:
        """Answer those whose command id is in the ledger; gives the others, each id once."""
        asked = [w.command_id for w in batch if always or w.supplied]
        known = await self._store.recorded(asked) if asked else {}
        first: dict[bytes, _Waiting] = {}
        for waiting in batch:
            recorded = known.get(waiting.command_id)
            if recorded is not None:
                for one in (waiting, *waiting.followers):
                    await self._answer_from(recorded, one)
            elif waiting.command_id in first:
                first[waiting.command_id].followers.append(waiting)
            else:
                first[waiting.command_id] = waiting
        return list(first.values())

    async def _answer_from(self, recorded: Recorded, waiting: _Waiting) -> None:
        """Give the first answer again. Raises nothing to the caller of this method."""
        if waiting.answer.done():
            return
        if recorded.fingerprint != waiting.fingerprint:
            waiting.answer.set_exception(
                IdReused("this command id was used before, for another command or other fields")
            )
        elif recorded.refusal is not None:
            waiting.answer.set_exception(_refusal_from(recorded.refusal))
        else:
            types: Sequence[str] = ()
            if recorded.count:
                events = await self._store.read(
                    after=recorded.position - recorded.count, limit=recorded.count
                )
                types = [event.type for event in events]
            waiting.answer.set_result((recorded, types, True))

    async def _decide_and_write(self, batch: Sequence[_Waiting]) -> None:
        await self._load([w.stream for w in batch if w.stream not in self._states])
        timestamp = max(self._clock.now(), self._last_timestamp)
        now = to_datetime(timestamp)
        states: dict[StreamId, State] = {}
        decisions = []
        for waiting in batch:
            state = states.get(waiting.stream) or self._states[waiting.stream]
            handler = waiting.handler
            settings = handler.application.settings
            correlation = waiting.cause.correlation_id or waiting.command_id
            meta = (
                meta_of(waiting.caller, waiting.cause, waiting.command_id, settings.source, settings.version)
                if handler.needs_meta
                else None
            )
            waiting.events, waiting.refusal, refusal = (), None, None
            try:
                context = Context(waiting.command_id, timestamp, now, meta, correlation)
                waiting.events, states[waiting.stream] = handler.decide(
                    waiting.fields, state, waiting.stream.aggregate_id, context
                )
            except Refused as error:
                waiting.refusal = error
                refusal = _refusal_text(error)
            decisions.append(
                Decision(
                    waiting.command_id,
                    waiting.fingerprint,
                    waiting.stream.aggregate_type,
                    waiting.stream.aggregate_id,
                    state.version,
                    timestamp,
                    self._metadata_of(waiting.caller, waiting.cause, settings.source, settings.version),
                    waiting.events,
                    waiting.cause.correlation_id,
                    refusal,
                )
            )
        try:
            recorded = await self._store.append(decisions)
        except Conflict:
            for waiting in batch:
                self._states.pop(waiting.stream, None)
            raise
        except TuskError:
            self._states.clear()
            raise
        self._last_timestamp = timestamp
        self._keep(states)
        for waiting, row in zip(batch, recorded, strict=True):
            self._resolve(waiting, row)

    def _resolve(self, waiting: _Waiting, row: Recorded) -> None:
        if waiting.refusal is not None:
            self.refused += 1
        else:
            self.accepted += 1
        for repeated, one in enumerate((waiting, *waiting.followers)):
            if one.answer.done():
                continue  # the caller went away; the command took effect all the same
            if one.fingerprint != waiting.fingerprint:
                one.answer.set_exception(
                    IdReused("this command id was used before, for another command or other fields")
                )
            elif waiting.refusal is not None:
                one.answer.set_exception(waiting.refusal)
            else:
                one.answer.set_result((row, [event.type for event in waiting.events], repeated > 0))

    async def _load(self, missing: Sequence[StreamId]) -> None:
        if not missing:
            return
        loaded = await self._store.read_streams(set(missing))
        for stream in missing:
            if stream not in self._states:
                folder = self._handlers.folders[stream.aggregate_type]
                self._states[stream] = folder.fold(folder.initial, loaded.get(stream, ()))

    def _keep(self, states: Mapping[StreamId, State]) -> None:
        self._states.update(states)
        for stream in states:
            self._states.move_to_end(stream)
        while len(self._states) > MAX_STATES:
            self._states.popitem(last=False)

    def _metadata_of(self, caller: Caller, cause: Cause, source: str, version: str) -> bytes:
        if cause.causation_id is not None or cause.saga_id is not None:
            return stored_metadata(caller, cause, source, version)
        found = self._metadata.get(caller)
        if found is None:
            if len(self._metadata) > 10_000:
                self._metadata.clear()
            found = self._metadata[caller] = stored_metadata(caller, cause, source, version)
        return found

    def fold(self, aggregate_type: str, events: Sequence[StoredEvent]) -> State:
        """The state of an aggregate after these events, by the live application. Raises UnknownName."""
        folder = self._handlers.folders.get(aggregate_type)
        if folder is None:
            raise UnknownName(
                f"there is no aggregate `{aggregate_type}`",
                help=did_you_mean(aggregate_type, self._handlers.folders),
            )
        return folder.fold(folder.initial, events)


def _refusal_text(refusal: Refused) -> bytes:
    return orjson.dumps(
        {"kind": refusal.kind, "message": refusal.message, "details": refusal.details}, default=str
    )


def _refusal_from(text: bytes) -> Refused:
    found = orjson.loads(text)
    return REFUSALS.get(found["kind"], RuleBroken)(found["message"], **found["details"])
