"""Follows the edits of a file: a good one becomes live, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from watchfiles import awatch

from tusk_runtime.errors import TuskError
from tusk_runtime.language.report import render
from tusk_runtime.model.application import Application
from tusk_runtime.running.load import Loaded, digest_of, load
from tusk_runtime.running.runtime import Runtime

SETTLE_MS = 100
"""How long a burst of changes may take to settle, in milliseconds."""
STEP_MS = 30
LOOK_MS = 300
"""How often the content is looked at in any case: where the system tells nothing, and before it begins to."""
RETRY_SECONDS = 1.0

log = logging.getLogger("tusk.reload")


class Watcher:
    """Watches the folder of a file, so that editors that write a new file and rename it are noticed.

    `seen` is the digest of the content that runs. `adjust` puts what the command line said over what the
    file says.

    What counts is the content: a save that changes nothing does nothing. The watcher outlives every error.
    """

    def __init__(
        self,
        file: Path,
        environment: Callable[[], Mapping[str, str]],
        runtime: Runtime,
        say: Callable[[str], None],
        seen: bytes,
        adjust: Callable[[Application], Application] = lambda application: application,
    ) -> None:
        self._file = file
        self._environment = environment
        self._runtime = runtime
        self._say = say
        self._adjust = adjust
        self._task: asyncio.Task[None] | None = None
        self._applying: asyncio.Task[None] | None = None
        self._seen = seen

    async def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._watch(), name="watcher")

    async def stop(self) -> None:
        """Stop watching; an edit that is being built is abandoned."""
        for task in (self._task, self._applying):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._task = self._applying = None

    async def _watch(self) -> None:
        while True:
            try:
                async for _ in self._changes():
                    await self._changed()
            except Exception as error:
                log.error("watching %s: %s; trying again", self._file, error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _changes(self) -> AsyncIterator[None]:
        async for _ in awatch(
            self._file.parent,
            watch_filter=None,
            debounce=SETTLE_MS,
            step=STEP_MS,
            recursive=False,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
        ):
            yield

    async def _changed(self) -> None:
        digest = digest_of(self._file)
        if digest == self._seen:
            return
        self._seen = digest
        if self._applying is not None and not self._applying.done():
            # The newest edit wins: what an older one has built so far is abandoned.
            self._applying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._applying
        self._applying = asyncio.create_task(self._apply(), name="reload")

    async def _apply(self) -> None:
        try:
            loaded: Loaded = await asyncio.to_thread(load, self._file, self._environment())
            if loaded.application is None:
                self._reject(render(loaded.diagnostics))
                return
            await self._runtime.apply(self._adjust(loaded.application))
        except TuskError as error:
            self._reject(str(error))
        except Exception as error:
            log.exception("reload")
            self._reject(f"{type(error).__name__}: {error}")
        else:
            self._runtime.rejected = ""
            self._say(f"{self._file.name}: generation {self._runtime.generation} is live")

    def _reject(self, why: str) -> None:
        self._runtime.rejected = why
        self._say(f"{why}\n{self._file.name}: not applied; generation {self._runtime.generation} goes on")
