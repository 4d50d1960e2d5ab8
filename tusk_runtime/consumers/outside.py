"""What actions reach outside of the application by, and what stands in for it where nothing may leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tusk_runtime.consumers.failures import TechnicalFailure
from tusk_runtime.consumers.functions import Function, find, run
from tusk_runtime.consumers.leaving import Answer, Call, Leaving, Message, Publication, Run
from tusk_runtime.consumers.smtp import send_mail
from tusk_runtime.errors import StartFailed
from tusk_runtime.model.application import Application
from tusk_runtime.model.consuming import Http, Publish, Python

if TYPE_CHECKING:
    from tusk_runtime.consumers.client import Client

T = TypeVar("T")
THREADS = 16
"""How many e-mails are written and sent, and functions run, at a time."""


class Outside(Protocol):
    """The world outside of the application."""

    def prepare(self, application: Application) -> None:
        """Open what the actions of an application need. Raises StartFailed if this machine lacks it."""
        ...

    async def call(self, call: Call) -> Answer:
        """Make a call. Raises TechnicalFailure without an answer, FinalFailure if it cannot be made."""
        ...

    async def mail(self, message: Message) -> None:
        """Send an e-mail. Raises TechnicalFailure if the server may take it later, FinalFailure if not."""
        ...

    async def publish(self, message: Publication) -> None:
        """Publish a message. Raises TechnicalFailure if it may be taken later, FinalFailure if not."""
        ...

    async def run(self, action: Python, arguments: Mapping[str, Any]) -> None:
        """Call the function of an action. Raises TechnicalFailure if it raises anything."""
        ...

    async def work(self, work: Callable[[], T]) -> T:
        """Do what keeps a processor busy for a while."""
        ...

    async def close(self) -> None:
        """Let go of everything. Never raises."""
        ...


class Publisher(Protocol):
    """Publishes messages to the topics of one cluster."""

    async def publish(self, message: Publication) -> None:
        """Publish one. Raises TechnicalFailure if it may be taken later, FinalFailure if not."""
        ...

    async def stop(self) -> None:
        """Let go of the connections. Never raises."""
        ...


class Real:
    """The world as it is: one client for all calls, which is there when an application needs it."""

    def __init__(self, publisher_of: Callable[[Application], Publisher]) -> None:
        """`publisher_of` makes what publishes for an application. It may raise StartFailed."""
        self._publisher_of = publisher_of
        self._publisher: Publisher | None = None
        self._client: Client | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._functions: dict[str, Function] = {}

    def prepare(self, application: Application) -> None:
        """Have a client if there are calls, what publishes, and the functions. Raises StartFailed."""
        actions = [a for c in application.consumers.values() for each in c.on.values() for a in each]
        if any(isinstance(action, Http) for action in actions):
            self._made()
        # Where the cluster is cannot change while the application runs: one is enough for all edits.
        if self._publisher is None and any(isinstance(action, Publish) for action in actions):
            self._publisher = self._publisher_of(application)
        for action in actions:
            if isinstance(action, Python):
                self._functions[action.function] = find(action)

    def _made(self) -> Client:
        if self._client is None:
            try:
                from tusk_runtime.consumers.client import Client
            except ModuleNotFoundError as error:
                raise StartFailed(
                    f"the action `http` needs the package {error.name}", "pip install 'tusk-runtime[http]'"
                ) from None
            self._client = Client()
        return self._client

    async def call(self, call: Call) -> Answer:
        """Make it."""
        return await self._made().call(call)

    async def mail(self, message: Message) -> None:
        """Send it, in a thread."""
        await self._in_a_thread(partial(send_mail, message))

    async def publish(self, message: Publication) -> None:
        """Publish it."""
        if self._publisher is None:
            raise TechnicalFailure("the application stops")
        await self._publisher.publish(message)

    async def run(self, action: Python, arguments: Mapping[str, Any]) -> None:
        """Call it, in a thread."""
        name = action.function
        await self._in_a_thread(
            partial(run, name, self._functions[name], arguments, personal=action.personal)
        )

    async def work(self, work: Callable[[], T]) -> T:
        """Do it in a thread."""
        return await self._in_a_thread(work)

    async def _in_a_thread(self, work: Callable[[], T]) -> T:
        # Threads of their own: nothing else of the process waits for what is slow outside.
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "outside")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def close(self) -> None:
        """Close the clients; what is being sent in a thread ends by itself."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.stop()


class Recorded:
    """Where nothing leaves: what would have is kept in its order, and counts as done.

    `answer` says what a call gets.
    """

    def __init__(self, answer: Callable[[Call], Answer] = lambda call: Answer(200, b"{}")) -> None:
        self.left: list[Leaving] = []
        self._answer = answer

    def prepare(self, application: Application) -> None:
        """Nothing is needed."""

    async def call(self, call: Call) -> Answer:
        """Keep the call, and answer it."""
        self.left.append(call)
        return self._answer(call)

    async def mail(self, message: Message) -> None:
        """Keep the e-mail."""
        self.left.append(message)

    async def publish(self, message: Publication) -> None:
        """Keep the message."""
        self.left.append(message)

    async def run(self, action: Python, arguments: Mapping[str, Any]) -> None:
        """Keep the name of the function, and the arguments."""
        self.left.append(Run(action.function, arguments))

    async def work(self, work: Callable[[], T]) -> T:
        """Do it at once: what leaves has one order, however often a test is run."""
        return work()

    async def close(self) -> None:
        """Nothing is open."""
