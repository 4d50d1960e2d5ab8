"""One time limit for many tasks."""

from __future__ import annotations

import asyncio
import time

import pytest

from tusk_runtime.consumers.limiting import TimeLimit


async def test_each_has_its_own_time() -> None:
    """Those that take too long are ended when their time is up, and no others."""
    limit, done = TimeLimit(0.2), []

    async def one(name: str, begin: float, seconds: float) -> None:
        await asyncio.sleep(begin)
        began = time.monotonic()
        try:
            await limit.run(lambda: asyncio.sleep(seconds))
            done.append((name, "done"))
        except TimeoutError:
            assert 0.19 < time.monotonic() - began < 0.5
            done.append((name, "ended"))

    await asyncio.gather(
        one("a", 0, 9), one("b", 0.05, 0.1), one("c", 0.1, 9), one("d", 0.3, 0.05), one("e", 0.5, 9)
    )
    assert sorted(done) == [("a", "ended"), ("b", "done"), ("c", "ended"), ("d", "done"), ("e", "ended")]


async def test_a_task_goes_on_after_one_was_ended() -> None:
    """What comes next in the same task has all of its time."""
    limit = TimeLimit(0.1)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await limit.run(lambda: asyncio.sleep(9))
        await limit.run(lambda: asyncio.sleep(0.05))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_whoever_cancels_from_outside_is_heard() -> None:
    """It is no time-out, not even where the time is up as well."""
    limit = TimeLimit(0.1)
    task = asyncio.create_task(limit.run(lambda: asyncio.sleep(9)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def blocks() -> None:
        await asyncio.sleep(0.01)
        time.sleep(0.2)  # both are said at once, the time limit first
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.sleep(9)

    task = asyncio.create_task(limit.run(blocks))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_fails_is_told_as_it_is() -> None:
    """A time-out of its own is one, too, and nothing is left behind."""
    limit = TimeLimit(5)

    async def fails(error: Exception) -> None:
        raise error

    for error in (ValueError("x"), TimeoutError("its own")):
        with pytest.raises(type(error), match=str(error)):
            await limit.run(lambda error=error: fails(error))  # type: ignore[misc]
    assert not limit._ends
