"""What follows a log or topics: the one face of all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from tusk_runtime.errors import TuskError, Unavailable

RETRY_SECONDS = 1.0
DRAIN_SECONDS = 5.0

log = logging.getLogger("tusk.following")


class Progress(NamedTuple):
    """How a runner is: how far it has come in the store's log, where it follows that, how much is still to be
    handled, how many letters it has by what people call them, and what else there is to say. `error` is the
    last one, while it holds; with `failed` it stands still until somebody does something."""

    position: int | None
    lag: int | None
    letters: Mapping[str, int]
    error: str
    failed: bool
    detail: str = ""


class Runner(ABC):
    """Follows something, and handles what comes, until it is stopped: whatever goes wrong, it begins anew.

    `error` is the last one, while it holds.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.error = ""
        self._begin = 0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    @abstractmethod
    def group(self) -> str:
        """The name under which progress and letters are kept."""

    async def start(self, begin: int) -> None:
        """Go on where the store says that it stood, else behind the position `begin` of the log."""
        self._begin = begin
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"runner {self.name}")

    async def stop(self) -> None:
        """Stop after what is being handled, and let another process have it."""
        self._stopping = True
        self._halt()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait([task], timeout=DRAIN_SECONDS)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._leave()

    @abstractmethod
    def look(self) -> None:
        """Look at once at the time, and at the letters that somebody may have marked."""

    @abstractmethod
    async def wait_for(self, position: int, timeout: float) -> bool:
        """Whether all events up to a position of the log were handled, `timeout` seconds from now at the
        latest."""

    @abstractmethod
    def progress(self, head: int) -> Progress:
        """How it is; `head` is that of the log."""

    @abstractmethod
    async def _live(self) -> None:
        """Handle what comes until it is stopped. Whatever it raises, it is called again, a moment later."""

    @abstractmethod
    def _halt(self) -> None:
        """Let what is being handled come to an end."""

    @abstractmethod
    async def _rest(self, seconds: float) -> None:
        """Let a moment pass before it begins anew."""

    @abstractmethod
    async def _leave(self) -> None:
        """Let go of everything, so that another process can have it. Never raises."""

    async def _run(self) -> None:
        while not self._stopping:
            # Whatever it is: a task that ends in silence would leave what comes unhandled for ever.
            try:
                await self._live()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._note(Unavailable("something that was waited for was cancelled"))
                await self._rest(RETRY_SECONDS)
            except Exception as error:
                self._note(error)
                await self._rest(RETRY_SECONDS)

    def _note(self, error: BaseException) -> None:
        before, self.error = self.error, str(error) or type(error).__name__
        if self.error != before:
            foreseen = isinstance(error, TuskError)
            log.warning("%s: %s; trying again", self.name, self.error, exc_info=not foreseen)
