"""The part that keeps one projection up to date."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from tusk_runtime.errors import Conflict, TuskError
from tusk_runtime.failpoints import hit
from tusk_runtime.model.application import Application, Projection
from tusk_runtime.projections.fold import Call, Folder, Overlay, ProjectionFailed
from tusk_runtime.store.protocol import Checkpoint, EventStore, ReadModels, Row

PAGE = 500
"""Events in one transaction while following the log."""
CATCH_UP_PAGE = 4000
"""Events in one transaction while far behind: rows that many events share are written once."""
LEAP = 10_000
"""How far the checkpoint may stay behind over events that do not concern the projection."""
RETRY_SECONDS = 1.0
SCAN_SECONDS = 10.0

log = logging.getLogger("tusk.projections")


class ProjectionRunner:
    """Follows the log from the projection's checkpoint, and writes rows and checkpoint together.

    `position` is how far the log has been taken in; the stored checkpoint may stand before it over events
    that do not concern this projection. An event that cannot be applied stops the projection, visibly.
    """

    def __init__(
        self, projection: Projection, application: Application, events: EventStore, read_models: ReadModels
    ) -> None:
        self.projection = projection
        self._folder = Folder(projection, application)
        self._events = events
        self._read_models = read_models
        self._task: asyncio.Task[None] | None = None
        self._checkpoint = 0
        self.position = 0
        self.error = ""
        self.failed = False
        self.stopped = False
        self._moved = asyncio.Condition()

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.projection.name

    @property
    def table(self) -> str:
        """The physical name of its table."""
        return self._folder.table.name

    async def open(self) -> None:
        """Make the table, and begin from its checkpoint."""
        wanted = Checkpoint(self.name, self.projection.definition, 0)
        self._checkpoint = self.position = await self._read_models.create(self._folder.table, wanted)

    async def start(self) -> None:
        """Begin to follow the log."""
        self._task = asyncio.create_task(self._run(), name=f"projection {self.name}")

    async def stop(self) -> None:
        """Stop after the page that is being written."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self.stopped = True
        await self._tell()

    async def wait_for(self, position: int, timeout: float) -> bool:
        """Whether the log has been taken in up to a position, `timeout` seconds from now at the latest.

        A runner that fails or is stopped meanwhile gives False at once.
        """
        if self.position >= position:
            return True
        try:
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(lambda: self.position >= position or self.failed or self.stopped)
        except TimeoutError:
            pass
        return self.position >= position

    async def _run(self) -> None:
        stumbled: Conflict | ProjectionFailed | None = None
        while True:
            try:
                if stumbled is not None:
                    # Another process may be ahead, or a write that seemed to fail did not. What is wrong with
                    # an event is not believed before: the rows may have been those behind it.
                    before = self._checkpoint
                    await self.open()
                    if self._checkpoint == before and isinstance(stumbled, ProjectionFailed):
                        await self._fail(stumbled)
                        return
                    stumbled = None
                    await self._tell()
                if not await self.advance():
                    await self._events.wait_beyond(self.position, timeout=5.0)
                self.error = ""
            except (Conflict, ProjectionFailed) as error:
                stumbled = error
            except Exception as error:
                # Whatever it is: a task that ends in silence would leave the rows as they are for ever.
                self.error = str(error) or type(error).__name__
                foreseen = isinstance(error, TuskError)
                log.warning("projection %s: %s; trying again", self.name, self.error, exc_info=not foreseen)
                await asyncio.sleep(RETRY_SECONDS)

    async def _fail(self, error: ProjectionFailed) -> None:
        self.failed = True
        self.error = str(error)
        log.error("projection %s: %s", self.name, error)
        await self._tell()

    async def advance(self) -> bool:
        """Take in one page; False if there was nothing. Raises ProjectionFailed, Conflict, StoreError."""
        head = await self._events.head()
        if self.position >= head:
            return False
        size = CATCH_UP_PAGE if head - self.position > CATCH_UP_PAGE else PAGE
        folder = self._folder
        page = await self._events.scan(self.position, size, types=folder.types, fields=folder.fields)
        reached = page[-1][0] if len(page) == size else max(head, page[-1][0] if page else 0)
        await self._apply(page, reached)
        self.position = reached
        await self._tell()
        return True

    async def _tell(self) -> None:
        """Wake those who wait for the position."""
        async with self._moved:
            self._moved.notify_all()

    async def _apply(self, page: Sequence[tuple[Any, ...]], reached: int) -> None:
        folder, overlay = self._folder, Overlay(self._folder.codec)
        calls = folder.calls(page)
        missing = overlay.missing(calls)
        if missing:
            overlay.add(missing, await self._read_models.fetch(folder.table, missing))
        for call in calls:
            if call.key is None:
                overlay.add_found(await self._scan(call))
            overlay.apply(call)
        upserts, deletes = overlay.writes()
        await hit("projection.computed")
        if upserts or deletes or reached - self._checkpoint >= LEAP:
            # Shielded: once the store has begun, the checkpoint here must follow the stored one.
            await asyncio.shield(self._write(upserts, deletes, reached))

    async def _write(self, upserts: Sequence[Row], deletes: Sequence[Row], reached: int) -> None:
        await self._read_models.write(
            self._folder.table, upserts, deletes, expected=self._checkpoint, position=reached
        )
        await hit("projection.written")
        self._checkpoint = reached

    async def _scan(self, call: Call) -> Sequence[Row]:
        """The rows that an operation may be about whose `where` names other columns than the key."""
        names = ", ".join(f'"{column.name}"' for column in self._folder.table.columns)
        sql = f'SELECT {names} FROM "{self.table}"'  # noqa: S608 - names are checked at load
        parameters: Sequence[Any] = ()
        if call.operation.predicate is not None:
            condition, parameters = call.operation.predicate.narrow(call.operation.wanted(call))
            sql += f" WHERE {condition}" if condition else ""
        return await self._read_models.select(sql, parameters, timeout=SCAN_SECONDS)
