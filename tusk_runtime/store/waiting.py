"""Waiting for the log to grow: wakes coroutines from whichever thread has committed."""

from __future__ import annotations

import asyncio

from tusk_runtime.errors import StoreUnavailable


class Head:
    """The position of the newest event, and those who wait for it to move.

    `advance` may be called from any thread, everything else on the event loop.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = False

    def advance(self, position: int) -> None:
        """Move to a position and wake everyone who waits."""
        # The position is set before the waiters are looked at, and `wait_beyond` does it the other way round:
        # whatever the threads' timing, one of the two sees the other.
        self.position = position
        for waiter in tuple(self._waiters):
            waiter.get_loop().call_soon_threadsafe(_wake, waiter)

    def reach(self, position: int) -> None:
        """Move to a position, unless the head is there already."""
        if position > self.position:
            self.advance(position)

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Wait until the head is beyond a position, at most `timeout` seconds. Returns the head.

        Raises StoreUnavailable if the store is closed, also while waiting.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not self._closed:
            waiter = loop.create_future()
            self._waiters.add(waiter)
            try:
                remaining = deadline - loop.time()
                if self.position > position or remaining <= 0:
                    return self.position
                timer = loop.call_later(remaining, _wake, waiter)
                try:
                    await waiter
                finally:
                    timer.cancel()
            finally:
                self._waiters.discard(waiter)
        raise StoreUnavailable("the store is closed")

    def close(self) -> None:
        """Wake everyone who waits: there will be no more events."""
        self._closed = True
        for waiter in tuple(self._waiters):
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
