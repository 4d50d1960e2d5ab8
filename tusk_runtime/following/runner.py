"""What follows a log or topics: the one face of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple


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
    """Follows something, and handles what comes."""

    name: str

    @property
    @abstractmethod
    def group(self) -> str:
        """The name under which progress and letters are kept."""

    @abstractmethod
    async def start(self, begin: int) -> None:
        """Go on where the store says that it stood, else behind the position `begin` of the log."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop after what is being handled, and let another process have it."""

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
