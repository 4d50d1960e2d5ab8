"""Runtime: an application that runs on an open store, and follows the edits of its file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.aggregates.decide import meta_of
from tusk_runtime.clock import Clock, SystemClock, to_datetime
from tusk_runtime.consumers.outside import Outside, Real, Recorded
from tusk_runtime.errors import (
    Invalid,
    NotFound,
    StartFailed,
    StoreError,
    StoreUnavailable,
    Unavailable,
    UnknownName,
)
from tusk_runtime.events import OUTSIDE, Caller, StoredEvent, new_id
from tusk_runtime.failpoints import hit
from tusk_runtime.following.messages import Message
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.model.application import Application
from tusk_runtime.running.backends import needs_restart
from tusk_runtime.running.bodies import json_object
from tusk_runtime.running.bus_status import status_of
from tusk_runtime.running.dead_letters import DeadLetters
from tusk_runtime.running.followers import Followers
from tusk_runtime.running.history import answer_of, stream_of
from tusk_runtime.running.publishing import BusPublisher
from tusk_runtime.running.reads import ReadSide
from tusk_runtime.running.service import (
    AggregateAnswer,
    CommandAnswer,
    DeadLetter,
    DeadLetterPage,
    LetterPlace,
    QueryAnswer,
    Settlement,
    Status,
    Taken,
)
from tusk_runtime.running.stored_versions import check_stored_versions
from tusk_runtime.running.topics import Topics
from tusk_runtime.store.deliveries import Place, Standing
from tusk_runtime.store.protocol import Store

LIVE_PAGE = 200
HEARTBEAT = 5.0
WAIT_SECONDS = 5.0
DRAIN_SECONDS = 10.0

log = logging.getLogger("tusk.runtime")


class Runtime:
    """Implements Service. `start` opens what is given closed; `stop` closes it."""

    def __init__(
        self,
        application: Application,
        store: Store,
        clock: Clock | None = None,
        *,
        publishing: bool = True,
        outside: Outside | None = None,
    ) -> None:
        """Without `publishing` nothing leaves: no event, and calls are only recorded, or go to `outside`.

        Raises StartFailed.
        """
        self._store = store
        self._clock = clock or SystemClock()
        self._bus = CommandBus(store.events, application, self._clock)
        self._reads = ReadSide(application, store)
        self._publishing = publishing
        self._outside: Outside = outside or (Real(BusPublisher) if publishing else Recorded())
        self._followers = Followers(
            application, store, self._bus, self._clock, outside=self._outside, publishing=publishing
        )
        self._changing = asyncio.Lock()
        self._topics = Topics(application, self._bus)
        self._application = application
        self._renamed = application.stored.renamed()
        self._started_at = 0
        self._running = False
        self.generation = 1
        self.rejected = ""
        self.reloading = ""

    @property
    def application(self) -> Application:
        """The application that is live now; another object after a reload."""
        return self._application

    async def start(self) -> None:
        """Open the store, start the projections, then take commands.

        Raises StartFailed, or InvalidConfiguration if the file does not say how to read what is stored.
        """
        async with contextlib.AsyncExitStack() as undo:
            await self._store.open()
            undo.push_async_callback(self._store.close)
            await check_stored_versions(self._application, self._store.events)
            await self._reads.open()
            undo.push_async_callback(self._reads.stop)
            if not self._store.shared:
                await self._reads.drop_unused_tables()
            begin = await self._store.events.head()
            try:
                await self._bus.start()
            except (Unavailable, StoreError) as error:
                raise StartFailed(str(error)) from error
            await self._followers.start(begin)
            self._started_at = self._clock.now()
            self._running = True
            undo.pop_all()
        await self._tell("RuntimeStarted", name=self._application.name, version=self._application.version)

    async def stop(self) -> None:
        """Stop the consumers, answer what was taken, stop the projections, close the store: in this order."""
        if not self._running:
            return
        self._running = False
        async with self._changing:
            await self._followers.stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._bus.stop()
            await self._outside.close()
            await self._reads.stop()
            await self._store.close()

    async def execute(
        self,
        command: str,
        fields: Mapping[str, Any] | bytes,
        *,
        aggregate_id: str | None = None,
        command_id: bytes | None = None,
        caller: Caller,
        internal: bool = False,
    ) -> CommandAnswer:
        """Run a command; see Service. `internal` opens the commands that have no endpoint."""
        fields = json_object(fields) if isinstance(fields, bytes) else dict(fields)
        if "aggregate_id" in fields:
            given = fields.pop("aggregate_id")
            if aggregate_id is None and given is not None:
                if isinstance(given, bool) or not isinstance(given, str | int):
                    raise Invalid(
                        "`aggregate_id` is no id",
                        errors=[{"field": "aggregate_id", "message": "write it as text"}],
                    )
                aggregate_id = str(given)
        declared = self._application.commands.get(command)
        if declared is not None and declared.internal and not internal:
            public = [name for name, c in self._application.commands.items() if not c.internal]
            raise UnknownName(f"there is no command `{command}`", help=did_you_mean(command, public))
        recorded, types, repeated = await self._bus.execute(
            command, fields, aggregate_id=aggregate_id, command_id=command_id, caller=caller
        )
        renamed = self._renamed
        return CommandAnswer(recorded, [renamed.get(t, t) for t in types] if renamed else types, repeated)

    async def take_message(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Mapping[str, Taken | None]:
        """Have consumers take a message; see Service."""
        self._check_running()
        return await self._topics.take(
            Message(topic, 0, 0, key, value, self._clock.now() // 1000, tuple(headers))
        )

    async def query(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        caller: Caller,
        wait_for: int | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> QueryAnswer:
        """Run a query; see Service."""
        handler, runner = self._reads.query(name)
        if wait_for is not None:
            head = await self._store.events.head()
            if wait_for > head:
                raise Invalid(
                    f"position {wait_for} is beyond the log's head at {head}",
                    errors=[
                        {"field": "X-Wait-For-Position", "message": "take the position of a command's answer"}
                    ],
                )
            while not await runner.wait_for(wait_for, WAIT_SECONDS):
                before, (handler, runner) = runner, self._reads.query(name)
                if runner is not before:
                    continue  # an edit replaced it meanwhile: the new one has caught up
                raise Unavailable(
                    f"`{runner.name}` is at {runner.position} and has not reached {wait_for} yet"
                )
        position = runner.position
        identity = new_id()
        settings = self._application.settings
        answer = await handler.ask(
            self._store.read_models,
            params,
            now=to_datetime(self._clock.now()),
            meta=meta_of(caller, OUTSIDE, identity, settings.source, settings.version),
            identity=identity,
            cursor=cursor,
            limit=limit,
        )
        return QueryAnswer(answer.rows, position, answer.next_cursor, answer.total)

    async def aggregate(
        self, aggregate_type: str, aggregate_id: str, *, version: int | None = None, at: int | None = None
    ) -> AggregateAnswer:
        """The state of an aggregate; see Service."""
        stream = stream_of(self._application, aggregate_type, aggregate_id)
        events = await self._store.events.read_stream(stream, until_version=version, until=at)
        if not events:
            raise NotFound(f"there is no {aggregate_type} {aggregate_id}" + (" at that time" if at else ""))
        return answer_of(stream, events, self._bus.fold)

    async def events(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        types: Collection[str] | None = None,
        aggregate_id: str | None = None,
        correlation_id: bytes | None = None,
        backwards: bool = False,
    ) -> Sequence[StoredEvent]:
        """A page of the log; see Service."""
        self._check_running()
        application = self._application
        for name in types or ():
            if name not in application.events:
                raise UnknownName(f"there is no event `{name}`", help=did_you_mean(name, application.events))
        return await self._store.events.read(
            after,
            limit,
            types=None if types is None else [t for name in types for t in application.stored.of(name)],
            aggregate_id=aggregate_id,
            correlation_id=correlation_id,
            backwards=backwards,
        )

    async def live(self, after: int | None = None) -> AsyncIterator[Sequence[StoredEvent]]:
        """Events as they are committed; see Service."""
        position = after if after is not None else await self._store.events.head()
        while self._running:
            page = await self._store.events.read(position, LIVE_PAGE)
            if page:
                position = page[-1].position
                yield page
            else:
                try:
                    head = await self._store.events.wait_beyond(position, HEARTBEAT)
                except StoreUnavailable:
                    self._check_running()  # closed while nothing happened: the runtime stops
                    raise
                if head <= position:
                    yield ()

    async def dead_letters(
        self,
        *,
        consumer: str | None = None,
        standing: Collection[Standing] | None = None,
        after: LetterPlace | None = None,
        limit: int = 100,
    ) -> DeadLetterPage:
        """A page of dead letters; see Service."""
        return await self._dead_letters().page(consumer, standing, after, limit)

    async def dead_letter(self, consumer: str, place: Place) -> DeadLetter:
        """The dead letter of an event or a message; see Service."""
        return await self._dead_letters().one(consumer, place)

    async def mark_dead_letters(
        self,
        consumer: str,
        action: Settlement,
        *,
        places: Collection[Place] | None = None,
        message: str | None = None,
        dry_run: bool = False,
        caller: Caller,
    ) -> Sequence[DeadLetter]:
        """Have dead letters handled again or dropped; see Service. What runs here looks at them at once."""
        found = await self._dead_letters().mark(
            consumer,
            action,
            places=places,
            message=message,
            dry_run=dry_run,
            caller=caller,
            tell=self._bus.tell,
        )
        if not dry_run:
            self._followers.look(consumer)
        return found

    async def republish(self, position: int, *, dry_run: bool = False, caller: Caller) -> int:
        """Publish events once more; see Service."""
        self._check_running()
        return await self._followers.republish(position, dry_run=dry_run, caller=caller)

    def _dead_letters(self) -> DeadLetters:
        self._check_running()
        return DeadLetters(self._followers.groups, self._store)

    async def status(self) -> Status:
        """What runs, how far it is, and what is wrong."""
        try:
            head = await self._store.events.head() if self._running else 0
        except StoreUnavailable:
            head = 0
        return Status(
            self._application.name,
            self._application.version,
            self._store.description,
            head,
            self.generation,
            self._started_at,
            [
                *status_of(self._bus, self._running, head),
                *self._reads.status(head),
                *self._followers.status(head),
            ],
            self.rejected,
            self.reloading,
            {"accepted": self._bus.accepted, "refused": self._bus.refused},
        )

    async def settle(self) -> None:
        """Wait until everything that follows the log has taken in all of it, or has failed."""
        settled, head = -1, await self._store.events.head()
        while settled < head:  # consumers send commands, which give events
            await self._followers.settle(head, WAIT_SECONDS)
            settled, head = head, await self._store.events.head()
        for runner in self._reads.runners.values():
            await runner.wait_for(head, WAIT_SECONDS)

    async def apply(self, application: Application) -> None:
        """Make another application live: all of it, or nothing.

        What changed in the read side is built beside and caught up first, while the old one serves. Then
        commands and queries change over between two groups of commands. With the old application untouched,
        it raises Unavailable or StartFailed if the new one cannot be built, or InvalidConfiguration if that
        does not say how to read what is stored; a cancelled call leaves the old one too.
        """
        restart = needs_restart(self._application.settings, application.settings)
        if restart:
            raise Unavailable(f"{', '.join(restart)} cannot change while the application runs: restart it")
        async with self._changing:
            self._check_running()
            await check_stored_versions(application, self._store.events)
            candidate = ReadSide(application, self._store, self._reads)
            try:
                self.reloading = ", ".join(runner.name for runner in candidate.fresh)
                await candidate.open()
                await candidate.caught_up()
                await hit("reload.built")
                await self._swap(application)
            except BaseException:
                await candidate.abandon()
                raise
            finally:
                self.reloading = ""
            before, self._reads = self._reads, candidate
            self._application = application
            self._renamed = application.stored.renamed()
            self.generation += 1
            await hit("reload.before_retire")
            await before.retire(candidate)
            self.rejected = ""
            await self._tell(
                "ConfigurationReloaded",
                name=application.name,
                version=application.version,
                generation=self.generation,
            )

    async def _swap(self, application: Application) -> None:
        """Let commands change over, and with them the consumers: those that changed stand still meanwhile."""
        begin = 0

        async def check() -> None:
            # Again when nothing is being written: the old application may have been, meanwhile.
            nonlocal begin
            await check_stored_versions(application, self._store.events)
            begin = await self._store.events.head()
            await hit("reload.before_swap")

        followers = Followers(
            application,
            self._store,
            self._bus,
            self._clock,
            outside=self._outside,
            publishing=self._publishing,
            before=self._followers,
        )
        paused = await self._followers.pause(followers)
        try:
            await self._bus.swap(application, check)
        except BaseException:
            await self._followers.resume(paused)
            raise
        await hit("reload.swapped")
        self._followers, self._topics = followers, Topics(application, self._bus)
        await followers.start(begin)

    async def reject(self, why: str) -> None:
        """Remember that an edit was refused, and why; what is live goes on."""
        self.rejected = why
        await self._tell("ConfigurationRejected", reason=why)

    async def _tell(self, event: str, **data: Any) -> None:
        """Write what becomes of the runtime into the log; it goes on without that, if it has to."""
        try:
            await self._bus.tell(event, **data)
        except Unavailable as error:
            log.warning("`%s` is not in the log: %s", event, error)

    def _check_running(self) -> None:
        if not self._running:
            raise Unavailable("the runtime is stopping")
