"""The HTTP surface of a running application, as one ASGI application."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tusk_runtime.running.service import Service
from tusk_runtime.web.context import Context, Streams
from tusk_runtime.web.limits import Limits
from tusk_runtime.web.masking import Masks
from tusk_runtime.web.problems import Problem, problem_of
from tusk_runtime.web.requests import Disconnected, media_type
from tusk_runtime.web.routes import (
    aggregates,
    dead_letters,
    events,
    openapi,
    page,
    queries,
    republish,
    status,
    topics,
)
from tusk_runtime.web.routes.bulk import BulkRoute
from tusk_runtime.web.routes.commands import BULK_TYPE, PREFIX, CommandRoute
from tusk_runtime.web.routes.live import LiveRoute
from tusk_runtime.web.security import READING_METHODS, Headers, Security, single_headers

log = logging.getLogger("tusk.web")

ROUTES = (
    Route("/", page.index),
    Route("/static/{name}", page.static),
    Route("/api/queries/{query}", queries.query),
    Route("/api/aggregates/{type}/{id:path}", aggregates.aggregate),
    Route("/api/events", events.events),
    Route("/api/events/live", LiveRoute()),
    Route("/api/dead-letters", dead_letters.dead_letters),
    Route("/api/dead-letters/{consumer}/retry", dead_letters.retry, methods=["POST"]),
    Route("/api/dead-letters/{consumer}/drop", dead_letters.drop, methods=["POST"]),
    Route("/api/dead-letters/{consumer}/{place}", dead_letters.dead_letter),
    Route("/api/dead-letters/{consumer}/{topic}/{place}", dead_letters.dead_letter),
    Route("/api/topics/{topic}", topics.topic, methods=["POST"]),
    Route("/api/republish", republish.republish, methods=["POST"]),
    Route("/api/status", status.status),
    Route("/health/live", status.live),
    Route("/health/ready", status.ready),
    Route("/openapi.json", openapi.openapi),
)

_OPEN_PATH = "/health/live"
_OPEN_PREFIX = "/static/"
_LIVE_PATH = "/api/events/live"


class WebApp:
    """Guards every request, and hands it on: commands directly, the rest to the routes.

    Whatever goes wrong below ends here, as one problem.
    """

    def __init__(self, service: Service, security: Security, limits: Limits) -> None:
        self._service = service
        self._security = security
        self._limits = limits
        self._streams = Streams(limits.streams)
        self._masks = Masks(service)
        self._command = CommandRoute(service, limits)
        self._bulk = BulkRoute(service, limits, self._streams.closing)
        self._router: ASGIApp = Router(ROUTES, redirect_slashes=False)
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests that are being answered, live streams not counted."""
        return self._in_flight

    @property
    def open_streams(self) -> int:
        """Live streams that are open."""
        return self._streams.open

    def close_streams(self) -> None:
        """End what never ends by itself: live streams at once, bulk requests after the lines they took."""
        self._streams.closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Raises nothing but cancellation."""
        if scope["type"] != "http":
            await _decline(scope, receive, send)
            return
        started = False

        async def tracked(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        counted = scope["path"] != _LIVE_PATH
        self._in_flight += counted
        try:
            if counted and self._in_flight > self._limits.requests:
                raise Problem(503, "overloaded", f"More than {self._limits.requests} requests are in flight.")
            headers = single_headers(scope["headers"])
            self._security.check_origin(scope, headers)
            if scope["path"].startswith(PREFIX):
                await self._answer_command(scope, receive, tracked, headers)
            else:
                await self._answer(scope, receive, tracked, headers)
        except Disconnected:
            pass
        except Exception as error:
            if started:
                await _break_off(scope, error)
            else:
                await problem_of(error).send(send)
        finally:
            self._in_flight -= counted

    async def _answer_command(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        self._security.require_token(headers)
        if scope["method"] != "POST":
            raise Problem(405, "method-not-allowed", "A command is a POST.", headers={"allow": "POST"})
        name = scope["path"][len(PREFIX) :]
        route = self._bulk if media_type(headers) == BULK_TYPE else self._command
        await route(scope, receive, send, name=name, headers=headers, caller=self._security.caller)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        path = scope["path"]
        # The first page explains itself to those who have no token yet; it checks on its own.
        if path not in (_OPEN_PATH, "/") and not path.startswith(_OPEN_PREFIX):
            if scope["method"] in READING_METHODS:
                self._security.require_reader(scope, headers)
            else:
                self._security.require_token(headers)
        scope["tusk"] = Context(
            self._service, self._security, self._limits, self._streams, headers, self._masks
        )
        # Starlette's router raises for unknown paths and methods only within an application.
        scope["app"] = self
        await self._router(scope, receive, send)


def create_app(service: Service, security: Security, *, limits: Limits | None = None) -> WebApp:
    """The ASGI application that answers for this service."""
    return WebApp(service, security, limits or Limits())


async def _decline(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what is not HTTP: start-up and shut-down are the runtime's, and there are no WebSockets."""
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})


async def _break_off(scope: Scope, error: Exception) -> None:
    """End an answer that has begun and cannot be finished: the client must see that it is not whole."""
    if isinstance(error, TimeoutError):
        log.warning("a reader of %s took nothing for too long and is dropped", scope["path"])
    else:
        problem_of(error)
    extensions: dict[str, Any] = scope.get("extensions") or {}
    abort = extensions.get("tusk.abort")
    if abort is not None:
        abort()
        # The transport tells the protocol in the next round of the loop.
        await asyncio.sleep(0)
