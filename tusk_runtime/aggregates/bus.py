"""The command bus: commands that arrive together are decided one by one and written in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import count
from time import perf_counter
from typing import Any

import orjson

from tusk_runtime.aggregates.deciding import decide_all
from tusk_runtime.aggregates.fold import State
from tusk_runtime.aggregates.handlers import Handlers
from tusk_runtime.aggregates.journal import RUNTIME, Journals, refused
from tusk_runtime.aggregates.ledger import Ledger
from tusk_runtime.aggregates.snapshots import Snapshots
from tusk_runtime.aggregates.states import States
from tusk_runtime.aggregates.uniqueness import Census
from tusk_runtime.aggregates.waiting import Answer, Waiting, fail_all, unavailable
from tusk_runtime.clock import Clock, to_datetime
from tusk_runtime.errors import (
    Conflict,
    Earlier,
    OutcomeUnknown,
    Overloaded,
    Refused,
    StoreError,
    StoreUnavailable,
    Taken,
    TuskError,
    Unavailable,
)
from tusk_runtime.events import OUTSIDE, Caller, Cause, StoredEvent, new_id
from tusk_runtime.failpoints import hit
from tusk_runtime.model.application import Application
from tusk_runtime.store.protocol import EventStore, NewEvent, Reservation, StreamId

MAX_BATCH = 512
"""Commands in one transaction: large enough to share a sync, small enough that none waits long."""
LARGE_BATCH = 128
"""From how many commands on a group is handled in two halves, so that one is decided while one is written."""
SLOW_SECONDS = 0.02
"""From what time on for writing a group one transaction is quicker than two, whatever they overlap with."""
MAX_WAITING = 20_000
"""Commands that may wait before more are turned away with 429."""
GROUP_TRIES, ALONE_TRIES = 4, 8
"""How often a group, and then a command by itself, is decided again because another writer was first."""
CROWDED = "too many writers on one aggregate; try again in a moment"
TAKEN_TRIES = 8
"""How often a group is decided again because a value turned out to be another aggregate's."""


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
        self.snapshots = Snapshots(store, self._read_again)
        self.snapshots.follow(self._handlers.folders)
        self._states = States(store, self.snapshots)
        self._ledger = Ledger(store)
        self._waiting: list[Waiting] = []
        self._journals = Journals()
        self._arrived = asyncio.Event()
        self._between = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._last_timestamp = 0
        self._writing = 0.0  # seconds that the last group took
        self.accepted = 0
        self.refused = 0
        self.error = ""

    @property
    def handlers(self) -> Handlers:
        """What is live now."""
        return self._handlers

    async def start(self) -> None:
        """Begin to take commands. Time goes on from the newest stored event.

        Raises Unavailable if what is stored breaks `unique` of an aggregate.
        """
        wanted, census = await self._census(self._handlers)
        if wanted:
            await self._store.promise(wanted, census.fill)
        await self._learn_time()
        self._task = asyncio.create_task(self._run(), name="command bus")
        self.snapshots.start()

    async def stop(self) -> None:
        """Finish what was taken, and take no more."""
        self._stopping = True
        self._arrived.set()
        if self._task is not None:
            await self._task
            self._task = None
        await self.snapshots.stop()

    async def _learn_time(self) -> None:
        """Go on from the time of the newest event: none is of an earlier time than its predecessor."""
        for event in await self._store.read(limit=1, backwards=True):
            self._last_timestamp = max(self._last_timestamp, event.timestamp)

    async def _read_again(self) -> None:
        """What is known by heart counts no longer."""
        async with self._between:
            self._states.clear()

    async def _census(self, handlers: Handlers) -> tuple[dict[str, list[bytes]], Census]:
        """The promises about all aggregates, and what is held already under those that are new."""
        kept = await self._store.promises()
        wanted = {name: list(each.definitions) for name, each in handlers.uniqueness.items()}
        wanted |= {name: [] for name in handlers.folders if name in kept and name not in wanted}
        census = Census(self._store, handlers.folders, handlers.uniqueness)
        if any(not set(definitions) <= set(kept.get(name, ())) for name, definitions in wanted.items()):
            await census.read()
        return wanted, census

    async def swap(
        self, application: Application, check: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Make another application live, between two groups. What waits is decided by the new one.

        `check` is awaited while nothing is written; what it raises leaves the old one. Raises
        Unavailable, and changes nothing, if what is stored breaks `unique` of an aggregate.
        """
        handlers = Handlers(application)
        wanted, census = await self._census(handlers)
        async with self._between:
            if check is not None:
                await check()
            if wanted:
                await self._store.promise(wanted, census.fill)
            self._handlers = handlers
            self._states.clear()
            self.snapshots.follow(handlers.folders)
            taken, self._waiting = self._waiting, []
            for waiting in taken:
                try:
                    self._read(waiting)
                    self._waiting.append(waiting)
                except Refused as refusal:
                    self._turn_down(waiting, refusal)

    async def execute(
        self,
        name: str,
        fields: Mapping[str, Any],
        *,
        aggregate_id: str | None = None,
        command_id: bytes | None = None,
        caller: Caller,
        cause: Cause = OUTSIDE,
    ) -> Answer:
        """The ledger's row, the types of the events, and whether it is the answer to an earlier try.

        Raises a Refused, Unavailable, or OutcomeUnknown.
        """
        task = self._task
        if self._stopping or task is None:
            raise Unavailable("the runtime is stopping")
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded("too many commands are waiting; try again in a moment")
        if command_id is None:
            command_id = new_id()
        answer: asyncio.Future[Answer] = task.get_loop().create_future()
        waiting = Waiting(name, fields, aggregate_id, command_id, caller, cause, answer)
        try:
            self._read(waiting)
        except Refused as refusal:
            self._turn_down(waiting, refusal)
        else:
            self._waiting.append(waiting)
            if len(self._waiting) == 1:
                self._arrived.set()
        return await waiting.answer

    def _turn_down(self, waiting: Waiting, refusal: Refused) -> None:
        """Refuse a command that nobody could decide; after it is in the audit, if there is one."""
        if not self._handlers.audited:
            waiting.fail(refusal)
            return
        caller, cause = waiting.caller, waiting.cause
        note = self._note(refused(waiting.name, None, refusal, caller), caller, cause, waiting.command_id)

        def tell(written: asyncio.Future[None]) -> None:
            error = written.exception()
            waiting.fail(error if isinstance(error, Unavailable) else refusal)

        note.add_done_callback(tell)

    async def tell(self, event: str, /, *, caller: Caller = RUNTIME, **data: Any) -> None:
        """Write one of the runtime's own events, if the live application wants them. Raises Unavailable."""
        if self._handlers.application.gives(event):
            if self._stopping or self._task is None:
                raise Unavailable("the runtime is stopping")
            await self._note(NewEvent(event, orjson.dumps(data)), caller, OUTSIDE, None)

    def _note(
        self, event: NewEvent, caller: Caller, cause: Cause, command_id: bytes | None
    ) -> asyncio.Future[None]:
        metadata = self._handlers.metadata(caller, cause)
        written = self._journals.note(event, metadata, cause.correlation_id or command_id)
        self._arrived.set()
        return written

    def _read(self, waiting: Waiting) -> None:
        """Read a command as the live application understands it. Raises a Refused."""
        handlers = self._handlers
        waiting.handler = handler = handlers.command(waiting.name)
        waiting.fields = fields = handler.validate(waiting.raw)
        now = meta = None
        if handler.command.id is not None:
            now = to_datetime(self._clock.now())
            meta = (
                handlers.meta(waiting.caller, waiting.cause, waiting.command_id)
                if handler.needs_meta
                else None
            )
        target = handler.target(fields, waiting.raw_id, waiting.command_id, now, meta)
        waiting.stream = StreamId(handler.command.aggregate, target)
        waiting.fingerprint = handler.fingerprint(waiting.raw, waiting.raw_id)

    async def _run(self) -> None:
        while self._waiting or self._journals.waiting or not self._stopping:
            if not self._waiting and not self._journals.waiting:
                self._arrived.clear()
                await self._arrived.wait()
            async with self._between:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                if batch:
                    await self._process_all([waiting for waiting in batch if not waiting.answer.done()])
                if self._journals.waiting:
                    await self._write_notes()
            await asyncio.sleep(0)  # those who were answered come back with their next command

    async def _process_all(self, batch: Sequence[Waiting]) -> None:
        """Answer every command; of many, one half is decided while the other is being written.

        The commands of an aggregate stay together, so that neither half depends on the other.
        """
        if len(batch) < LARGE_BATCH or self._handlers.audited or self._writing > SLOW_SECONDS:
            await self._process(batch)
            return
        halves: tuple[list[Waiting], list[Waiting]] = ([], [])
        for waiting in batch:
            halves[hash(waiting.stream) & 1].append(waiting)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._process(halves[0]))
            for _ in range(2):  # turns of the loop, after which what the first half writes is on its way
                await asyncio.sleep(0)
            await self._process(halves[1])

    async def _process(self, batch: Sequence[Waiting]) -> None:
        """Answer every command of the batch, whatever happens."""
        try:
            await self._answer(batch)
            self.error = ""
        except TuskError as error:
            self.error = str(error)
            fail_all(batch, unavailable(error))
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            fail_all(batch, Unavailable("the command could not be handled; see the log"))
            asyncio.get_running_loop().call_exception_handler({"message": "command bus", "exception": error})

    async def _write_notes(self) -> None:
        """Write the runtime's own events that belong to no command which is in the ledger."""
        notes = self._journals.take(MAX_BATCH)
        try:
            async with self._store.alone():  # rare enough that nothing has to be tried twice
                await self._learn_time()
                timestamp = max(self._clock.now(), self._last_timestamp)
                await self._store.append(self._journals.of_notes(notes, timestamp), in_order=True)
        except Exception as error:
            self._journals.renew()
            for note in notes:
                note.fail(Unavailable(f"the runtime's own events could not be written: {error}"))
            return
        self._journals.written()
        self._last_timestamp = timestamp
        for note in notes:
            note.succeed()

    async def _answer(self, batch: Sequence[Waiting]) -> None:
        left = await self._ledger.answer(batch)
        if not left:
            return
        unknown: OutcomeUnknown | None = None
        try:
            left, unknown = await self._try(left, GROUP_TRIES, unknown)
        except (StoreUnavailable, OutcomeUnknown):
            raise
        except StoreError:
            if len(left) == 1:
                raise
        # One by one, so that what is wrong with one fails no neighbour.
        for waiting in left:
            try:
                rest, why = await self._try([waiting], ALONE_TRIES, unknown)
                if rest:
                    waiting.fail(why or Unavailable(CROWDED))
            except StoreUnavailable:
                raise
            except StoreError as error:
                waiting.fail(unavailable(error))

    async def _try(
        self, batch: Sequence[Waiting], tries: int, unknown: OutcomeUnknown | None
    ) -> tuple[Sequence[Waiting], OutcomeUnknown | None]:
        """Decide and write a group; again on what is there now, where another writer was first.

        Gives those that still have no answer, and the error if nobody knows what became of them. Raises
        OutcomeUnknown if that cannot be found out, and another StoreError, with nothing written, where trying
        again would not help.
        """
        overtaken = False
        for _ in range(tries):
            try:
                # A writer who was overtaken knows less than the one who was first, and would be so again.
                async with self._store.alone() if overtaken else nullcontext():
                    if overtaken:
                        await self._learn_time()
                    await self._decide_and_write(batch)
                return [], unknown
            except Conflict:
                overtaken = True
            except OutcomeUnknown as error:
                unknown = error
            except StoreUnavailable:
                if unknown is None:
                    raise
                raise unknown from None
            batch = await self._ledger.ask(batch, unknown)
            if not batch:
                break
        return batch, unknown

    async def _decide_and_write(self, batch: Sequence[Waiting]) -> None:
        """Decide each command on what those before it leave, and write all decisions together."""
        states = await self._states.of([waiting.stream for waiting in batch], self._handlers)
        timestamp = max(self._clock.now(), self._last_timestamp)
        holders: dict[Reservation, StreamId] = {}
        for tries in count(1):
            after = dict(states)
            decisions = decide_all(batch, self._handlers, after, timestamp, holders)
            if self._handlers.audited:
                decisions += self._journals.of(batch, self._handlers, after, timestamp)
            self._last_timestamp = timestamp
            began = perf_counter()
            try:
                await hit("append.decided")
                recorded = await self._store.append(decisions, in_order=True)
                await hit("append.committed")
                self._writing = perf_counter() - began
                break
            except Taken as taken:
                # What the group took to be free is not: nothing was written, and it is decided again.
                if tries == TAKEN_TRIES:
                    raise
                holders |= taken.holders
            except Earlier as earlier:
                self._last_timestamp = max(self._last_timestamp, earlier.newest)
                raise
            except Conflict:
                self._states.overtaken(states)
                raise
            except TuskError:
                self._states.clear()
                self._journals.renew()
                raise
        self._journals.written()
        self._states.keep(after)
        self.snapshots.note(states, after)
        await hit("append.before_answer")
        refused = 0
        for waiting, row in zip(batch, recorded[: len(batch)], strict=True):
            refused += waiting.refusal is not None
            waiting.resolve(row)
        self.refused += refused
        self.accepted += len(batch) - refused

    def fold(self, aggregate_type: str, events: Sequence[StoredEvent]) -> State:
        """The state of an aggregate after these events, by the live application. Raises UnknownName."""
        folder = self._handlers.folder(aggregate_type)
        return folder.fold(folder.initial, events)
