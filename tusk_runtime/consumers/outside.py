"""What actions reach outside of the application by, and what stands in for it where nothing may leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tusk_runtime.errors import StartFailed
from tusk_runtime.model.application import Application
from tusk_runtime.model.consuming import Http, Method

if TYPE_CHECKING:
    from tusk_runtime.consumers.client import Client


class Call(NamedTuple):
    """A call by HTTP. `hosts` are those that it may go to, `timeout` is in seconds."""

    method: Method
    url: str
    hosts: frozenset[str]
    headers: Mapping[str, str]
    body: bytes
    timeout: float


class Answer(NamedTuple):
    """What came back: the status, and the body, or as much of it as is read."""

    status: int
    body: bytes


class Outside(Protocol):
    """The world outside of the application."""

    def prepare(self, application: Application) -> None:
        """Open what the actions of an application need. Raises StartFailed if this machine lacks it."""
        ...

    async def call(self, call: Call) -> Answer:
        """Make a call. Raises TechnicalFailure without an answer, FinalFailure if it cannot be made."""
        ...

    async def close(self) -> None:
        """Let go of everything. Never raises."""
        ...


class Real:
    """The world as it is: one client for all calls, which is there when an application needs it."""

    def __init__(self) -> None:
        self._client: Client | None = None

    def prepare(self, application: Application) -> None:
        """Have a client if there are calls. Raises StartFailed without httpx."""
        actions = (a for c in application.consumers.values() for each in c.on.values() for a in each)
        if any(isinstance(action, Http) for action in actions):
            self._made()

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

    async def close(self) -> None:
        """Close the client."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


class Recorded:
    """Where nothing leaves: what would have is kept in `calls`, and everything is answered well."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def prepare(self, application: Application) -> None:
        """Nothing is needed."""

    async def call(self, call: Call) -> Answer:
        """Keep the call; the answer is `{}`."""
        self.calls.append(call)
        return Answer(200, b"{}")

    async def close(self) -> None:
        """Nothing is open."""
