"""Threads that each own a connection and do one job after another for the event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar

import apsw

from tusk_runtime.errors import StoreUnavailable
from tusk_runtime.store.driver import translated

T = TypeVar("T")
P = ParamSpec("P")

SWITCH_SECONDS = 0.0001
"""How long a thread waits for the interpreter lock before it insists; Python's own choice is 5 ms."""

_Job = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def hurry_switches() -> None:
    """Let threads get the interpreter lock from a busy loop, for the whole process.

    A loop that makes a system call more often than every switch interval lets go of the lock for an instant
    each time, and whoever waits for it starts to wait anew. Commits were seen to take 30 s that way.
    """
    sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))


class Lane:
    """Some threads behind one queue. Each opens its own connection before its first job.

    A thread pool of the standard library would do, at twice the cost of handing over a job.
    """

    def __init__(self, name: str, connect: Callable[[], apsw.Connection], threads: int = 1) -> None:
        self._name = name
        self._connect = connect
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._serve, name=f"tusk-store-{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        self._connection: apsw.Connection | None = None
        self._unsettled = 0
        self._started = False
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether no thread is at work, so that `run_here` may be called.

        Jobs are put into the queue and settled by the loop, so what the loop counts is sure: a job that is
        settled has finished with its connection, and one that was not put cannot begin.
        """
        return not self._unsettled and self._connection is not None and not self._closed

    def run_here(
        self, work: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `work(connection, …)` on the loop, with the connection of this lane's only thread.

        Only while the lane is `idle`. Handing a job over and back costs 100 µs or more, mostly to wake up a
        thread and the loop: as much as a quick commit of a few rows.
        """
        connection = self._connection
        if connection is None or not self.idle or len(self._threads) > 1:
            raise RuntimeError("a thread uses this connection")
        try:
            return work(connection, *args, **kwargs)
        except apsw.Error as error:
            raise translated(error, "the store") from error

    async def run(
        self, work: Callable[Concatenate[apsw.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `work(connection, …)` on a thread of this lane, in order of arrival.

        A caller that is cancelled does not stop the job. Raises what the job raises, the driver's errors in
        the store's words, and StoreUnavailable once the lane is closed.
        """
        return await self.put(work, *args, **kwargs)

    def put(
        self, work: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Like `run`, for what nobody needs to await."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._unsettled += 1
        self._jobs.put((future, work, args, kwargs))
        return future

    async def close(self) -> None:
        """Do the jobs that wait already, then close the connections and end the threads."""
        self._closed = True
        if not self._started:
            return
        self._started = False
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _serve(self) -> None:
        connection: apsw.Connection | None = None
        while (job := self._jobs.get()) is not None:
            future, work, args, kwargs = job
            try:
                if connection is None:
                    connection = self._connection = self._connect()
                result = work(connection, *args, **kwargs)
            except apsw.Error as error:
                failure = translated(error, "the store")
                failure.__cause__ = error
                self._deliver(future, None, failure)
            except BaseException as error:
                self._deliver(future, None, error)
            else:
                self._deliver(future, result, None)
            # What a job holds would otherwise live until the next one arrives.
            del job, future, work, args, kwargs
        if connection is not None:
            connection.close(force=True)

    def _deliver(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        try:
            future.get_loop().call_soon_threadsafe(self._settle, future, result, error)
        except RuntimeError:
            return  # The loop was closed while the job ran: nobody is left who could want the result.

    def _settle(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._unsettled -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
