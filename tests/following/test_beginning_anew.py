"""What follows something begins anew, whatever goes wrong, until somebody stops it."""

from __future__ import annotations

import asyncio

import pytest

from tusk_runtime.errors import Unavailable
from tusk_runtime.following import runner
from tusk_runtime.following.runner import Progress, Runner


class Lives(Runner):
    """Ends one life after the other, each with an error; the last goes on."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__("lives")
        self.errors = list(errors)
        self.left = 0
        self.whole = asyncio.Event()

    @property
    def group(self) -> str:
        return self.name

    def look(self) -> None: ...

    async def wait_for(self, position: int, timeout: float) -> bool:
        return True

    def progress(self, head: int) -> Progress:
        return Progress(None, None, {}, self.error, False)

    async def _live(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.whole.set()
        await asyncio.sleep(3600)

    def _halt(self) -> None: ...

    async def _rest(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def _leave(self) -> None:
        self.left += 1


async def test_whatever_ends_it_it_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where something that it waited for was cancelled, and not itself."""
    monkeypatch.setattr(runner, "DRAIN_SECONDS", 0.1)
    lives = Lives(Unavailable("away"), asyncio.CancelledError(), ZeroDivisionError("by zero"))
    await lives.start(0)
    async with asyncio.timeout(5):
        await lives.whole.wait()
    assert lives.error == "by zero"
    await lives.stop()
    assert (lives.left, lives.errors) == (1, [])
