"""The read side of a running application: projections that follow the log, and queries over them."""

from __future__ import annotations

import asyncio
import logging

from tusk_runtime.errors import Unavailable, UnknownName
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.model.application import Application
from tusk_runtime.projections.runner import ProjectionRunner
from tusk_runtime.queries.engine import QueryHandler
from tusk_runtime.running.service import PartStatus
from tusk_runtime.store.protocol import Store

log = logging.getLogger("tusk.reload")


class ReadSide:
    """The projections and queries of one application. A successor takes over what did not change."""

    def __init__(self, application: Application, store: Store, before: ReadSide | None = None) -> None:
        self.application = application
        self._store = store
        kept = before.runners if before is not None else {}
        self.runners: dict[str, ProjectionRunner] = {}
        self.fresh: list[ProjectionRunner] = []
        for name, projection in application.projections.items():
            runner = kept.get(name)
            if runner is None or runner.projection.definition != projection.definition or runner.failed:
                runner = ProjectionRunner(projection, application, store.events, store.read_models)
                self.fresh.append(runner)
            self.runners[name] = runner
        self._queries = {
            name: QueryHandler(query, application.projections[query.projection], store.read_models.dialect)
            for name, query in application.queries.items()
        }

    async def open(self) -> None:
        """Make the tables of what is new, and begin to fill them."""
        for runner in self.fresh:
            await runner.open()
        for runner in self.fresh:
            await runner.start()

    async def caught_up(self) -> None:
        """Wait until everything new has taken in the log. Raises Unavailable if an event cannot be."""
        for runner in self.fresh:
            while True:
                head = await self._store.events.head()
                if await runner.wait_for(head, timeout=1.0):
                    break
                if runner.failed:
                    raise Unavailable(f"projection `{runner.name}`: {runner.error}")

    async def abandon(self) -> None:
        """Stop what is new: the application does not become live."""
        for runner in self.fresh:
            await runner.stop()

    async def retire(self, successor: ReadSide) -> None:
        """Stop what the successor did not take over."""
        taken = {id(runner) for runner in successor.runners.values()}
        for runner in self.runners.values():
            if id(runner) not in taken:
                await runner.stop()

    async def stop(self) -> None:
        """Stop all projections after the page that each is writing."""
        await asyncio.gather(*(runner.stop() for runner in self.runners.values()))

    def query(self, name: str) -> tuple[QueryHandler, ProjectionRunner]:
        """A query and the projection that it reads. Raises UnknownName."""
        handler = self._queries.get(name)
        if handler is None:
            raise UnknownName(f"there is no query `{name}`", help=did_you_mean(name, self._queries))
        return handler, self.runners[handler.query.projection]

    def status(self, head: int) -> list[PartStatus]:
        """How each projection is."""
        found = []
        for runner in self.runners.values():
            lag = max(0, head - runner.position)
            health = "failed" if runner.failed else "catching up" if lag > 0 else "running"
            found.append(
                PartStatus(runner.name, "projection", health, runner.position, lag, runner.error)  # type: ignore[arg-type]
            )
        return found

    async def drop_unused_tables(self) -> None:
        """Remove the tables of definitions that are live no more."""
        live = {runner.table for runner in self.runners.values()}
        for table in await self._store.read_models.tables():
            if table not in live:
                log.info("removing the table %s: no projection has this definition any more", table)
                await self._store.read_models.drop(table)
