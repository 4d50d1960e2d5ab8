"""Follows the edits of a file: a good one becomes live, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from watchfiles import awatch

from tusk_runtime.errors import InvalidConfiguration, TuskError
from tusk_runtime.language.report import render
from tusk_runtime.model.application import Application
from tusk_runtime.running.load import Loaded, digests_of, load
from tusk_runtime.running.runtime import Runtime

SETTLE_MS = 100
"""How long a burst of changes may take to settle, in milliseconds."""
STEP_MS = 30
LOOK_MS = 300
"""How often the content is looked at in any case: where the system tells nothing, and before it begins to."""
RETRY_SECONDS = 1.0

log = logging.getLogger("tusk.reload")


class Watcher:
    """Watches the folders of a file and of all that it imports, so that editors that write a new file and
    rename it are noticed.

    `seen` are the files of what runs, with the digests of their contents. `adjust` puts what the command line
    said over what the file says.

    What counts is the content: a save that changes nothing does nothing. The watcher outlives every error.
    """

    def __init__(
        self,
        file: Path,
        environment: Callable[[], Mapping[str, str]],
        runtime: Runtime,
        say: Callable[[str], None],
        seen: Mapping[str, bytes],
        adjust: Callable[[Application], Application] = lambda application: application,
    ) -> None:
        self._file = file
        self._environment = environment
        self._runtime = runtime
        self._say = say
        self._adjust = adjust
        self._task: asyncio.Task[None] | None = None
        self._applying: asyncio.Task[None] | None = None
        self._seen = dict(seen)

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
                folders = self._folders()
                async for _ in self._changes(folders):
                    await self._changed()
                    if self._folders() != folders:
                        break  # an import has come or gone: look there as well
                else:
                    await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                log.error("watching %s: %s; trying again", self._file, error)
                await asyncio.sleep(RETRY_SECONDS)

    def _folders(self) -> set[Path]:
        return {folder for file in self._seen if (folder := Path(file).parent).is_dir()}

    async def _changes(self, folders: set[Path]) -> AsyncIterator[None]:
        async for _ in awatch(
            *folders,
            watch_filter=None,
            debounce=SETTLE_MS,
            step=STEP_MS,
            recursive=False,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
        ):
            yield

    async def _changed(self) -> None:
        seen = self._seen
        found = await asyncio.to_thread(digests_of, seen)
        if seen is not self._seen or found == seen:
            return  # nothing new, or a load has just looked itself
        self._seen = found
        if self._applying is not None and not self._applying.done():
            # The newest edit wins: what an older one has built so far is abandoned.
            self._applying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._applying
        self._applying = asyncio.create_task(self._apply(), name="reload")

    async def _apply(self) -> None:
        try:
            loaded: Loaded = await asyncio.to_thread(load, self._file, self._environment())
            # What could not be read is as it was when the change was noticed.
            self._seen = {file: found or self._seen.get(file, b"") for file, found in loaded.files.items()}
            if loaded.application is None:
                await self._reject(render(loaded.diagnostics))
                return
            await self._runtime.apply(self._adjust(loaded.application))
        except InvalidConfiguration as error:
            await self._reject(render(error.diagnostics))
        except TuskError as error:
            await self._reject(str(error))
        except Exception as error:
            log.exception("reload")
            await self._reject(f"{type(error).__name__}: {error}")
        else:
            self._say(f"{self._file.name}: generation {self._runtime.generation} is live")

    async def _reject(self, why: str) -> None:
        await self._runtime.reject(why)
        self._say(f"{why}\n{self._file.name}: not applied; generation {self._runtime.generation} goes on")
