"""The HTTP server as a part of the runtime: a socket, uvicorn's protocol, and an end with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
from email.utils import formatdate
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tusk_runtime.errors import StartFailed
from tusk_runtime.running.service import Health
from tusk_runtime.web.app import WebApp
from tusk_runtime.web.limits import Limits
from tusk_runtime.web.problems import Problem

log = logging.getLogger("tusk.web")

KEEP_ALIVE_SECONDS = 30
BACKLOG = 1024


class HttpServer:
    """Listens on a loopback address and serves the application in the event loop that starts it."""

    name = "http"
    kind = "http"

    def __init__(
        self, app: WebApp, host: str = "127.0.0.1", port: int = 8080, *, limits: Limits | None = None
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._limits = limits or Limits()
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._address: tuple[str, int] | None = None
        self.health: Health = "starting"

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that it listens on. Raises RuntimeError before it does."""
        if self._address is None:
            raise RuntimeError("the server has not started")
        return self._address

    @property
    def url(self) -> str:
        """The address for people and programs, without a slash at the end."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Bind and listen. Raises StartFailed if the address is taken, or not a loopback address."""
        listener = listen(self._host, self._port)
        host, port = listener.getsockname()[:2]
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            ws="none",
            loop="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        config.load()
        loop = asyncio.get_running_loop()

        def protocol() -> _Protocol:
            return _Protocol(config, self._state, self._limits)

        self._tick()
        self._server = await loop.create_server(protocol, sock=listener, backlog=BACKLOG)
        self._address = (host, port)
        self._ticker = asyncio.create_task(self._tick_forever(), name="http ticker")
        self.health = "running"

    async def stop(self, deadline_seconds: float = 5.0) -> None:
        """Stop accepting, let requests finish within the deadline, and close what is left."""
        if self._server is None:
            self.health = "stopped"
            return
        self._server.close()
        self._app.close_streams()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline_seconds))
            for task in late:
                task.cancel()
            if late:
                log.warning("%d requests did not finish in time", len(late))
                await asyncio.wait(late, timeout=1.0)
        for connection in list(self._state.connections):
            connection.transport.close()
        # One round of the loop tells the protocols; then nothing of this server is left.
        await asyncio.sleep(0)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        self._server = None
        self.health = "stopped"

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._tick()
            self._drop_slow()

    def _tick(self) -> None:
        """Each answer carries the date; once a second is often enough to write it."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    def _drop_slow(self) -> None:
        """Close connections that open a request, or nothing at all, and then let it hang."""
        before = asyncio.get_running_loop().time() - self._limits.receive_seconds
        for connection in list(self._state.connections):
            if isinstance(connection, _Protocol) and connection.is_late(before):
                connection.refuse(Problem(408, "request-timeout", "The request did not arrive in time."))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on a loopback address. Raises StartFailed with what to do."""
    address = _loopback(host)
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A server that stopped a moment ago must not keep the next one from starting.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _bind_failed(error, host, port) from error
    return listener


def _loopback(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    name = "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise StartFailed(
            f"{host} is not a loopback address",
            help="other machines may only ask with [auth], which is not available yet; use 127.0.0.1",
        )
    return address


def _bind_failed(error: OSError | OverflowError, host: str, port: int) -> StartFailed:
    if isinstance(error, OverflowError):
        return StartFailed(f"{port} is not a port", help="ports are 1 to 65535, or 0 for any free one")
    if error.errno == errno.EADDRINUSE:
        return StartFailed(
            f"port {port} on {host} is in use",
            help="stop what listens there, or choose another port; 0 takes any free one",
        )
    if error.errno == errno.EACCES:
        return StartFailed(f"port {port} on {host} is not allowed", help="choose a port from 1024 on")
    return StartFailed(f"cannot listen on {host} port {port}: {error.strerror}")


class _TooLargeHead(Exception):
    """The request's line and headers are beyond the limit."""


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds: on the head, on the time that it takes, on connections."""

    def __init__(self, config: uvicorn.Config, state: ServerState, limits: Limits) -> None:
        super().__init__(config, state, {})
        self._limits = limits
        self._head_since: float | None = None
        self._head_bytes = 0
        self._problem: Problem | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_since = self.loop.time()
        if len(self.connections) > self._limits.connections:
            self.refuse(Problem(503, "overloaded", "There are too many connections."))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # The parser keeps an unfinished header to itself, so the count is of what was fed.
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head and not self.transport.is_closing():
                self.refuse(_head_too_large(self._limits.head))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since = self.loop.time()
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._head_since = None
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        if size > self._limits.head:
            self._problem = _head_too_large(self._limits.head)
            raise _TooLargeHead
        # A stalled reader's buffer never drains: the application needs a way to let go of it.
        cast("dict[str, Any]", self.scope)["extensions"] = {"tusk.abort": self.transport.abort}
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read is a problem like any other."""
        self.refuse(self._problem or Problem(400, "bad-request", msg))

    def is_late(self, before: float) -> bool:
        """Whether a request's head has been awaited since before this time."""
        idle_between_requests = self.timeout_keep_alive_task is not None
        return self._head_since is not None and self._head_since < before and not idle_between_requests

    def refuse(self, problem: Problem) -> None:
        """Answer without the application, and close."""
        busy = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        # In the middle of another answer there is no place for this one.
        if not busy:
            self.transport.write(_raw(problem))
        self.transport.close()


def _head_too_large(limit: int) -> Problem:
    return Problem(431, "head-too-large", f"The request's line and headers are longer than {limit} bytes.")


def _raw(problem: Problem) -> bytes:
    body = problem.body()
    headers = [*problem.raw_headers(len(body)), (b"connection", b"close")]
    reason = problem.title.encode("ascii", "replace")
    lines = [b"HTTP/1.1 %d %b" % (problem.status, reason), *[b"%b: %b" % header for header in headers]]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
