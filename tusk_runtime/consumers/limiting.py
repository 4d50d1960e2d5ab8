"""A time limit for what many tasks do at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class TimeLimit:
    """Ends what takes longer than so many seconds, as `asyncio.timeout` does; but one timer is for all tasks.

    A timer for each costs more than many an action. What began first is the first whose time is up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[asyncio.Task[object], float] = {}  # in the order in which they began
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work, one at a time in a task. Raises TimeoutError if it was ended, else what it raises."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        cancelling = task.cancelling()
        self._ends[task] = task.get_loop().time() + self._seconds
        if self._timer is None:
            self._set(task.get_loop())
        try:
            await work()
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() <= cancelling:
                raise TimeoutError from None
            raise
        finally:
            del self._ends[task]
            self._late.discard(task)

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        ends = (end for task, end in self._ends.items() if task not in self._late)
        first = next(ends, None)
        self._timer = None if first is None else loop.call_at(first, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, end in self._ends.items():
            if end > now:
                break
            if task not in self._late:
                self._late.add(task)
                task.cancel()
        self._set(loop)
