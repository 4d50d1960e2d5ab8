"""`GET /api/events/live`: events as they are committed, as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from starlette.types import Receive, Scope, Send

from tusk_runtime.errors import Unavailable
from tusk_runtime.events import StoredEvent
from tusk_runtime.web.context import Context
from tusk_runtime.web.encoding import event_json
from tusk_runtime.web.masking import Masks
from tusk_runtime.web.problems import STANDARD_HEADERS, Problem
from tusk_runtime.web.requests import QueryString, integer_of

PARAMETERS = ("after", "type", "aggregate_id")
_RETRY_MILLISECONDS = 1000
_BREAKS = bytes.maketrans(b"\r\n", b"  ")


class LiveRoute:
    """Streams the log. A reader pulls: one that does not read costs a page of memory, and is dropped soon."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the stream until the client leaves, stalls, or the server stops."""
        context: Context = scope["tusk"]
        if scope["method"] != "GET":
            raise Problem(405, "method-not-allowed", "Method not allowed.", headers={"allow": "GET"})
        parameters = QueryString(scope, context.limits, PARAMETERS, repeated="type")
        after = parameters.integer("after")
        # A reconnecting browser repeats the first address, and says in the header how far it came.
        last = context.headers.get(b"last-event-id")
        if last:
            after = integer_of("Last-Event-ID", last.decode("latin-1").strip())
        selection = Selection(frozenset(parameters.texts("type")), parameters.text("aggregate_id"))
        with context.streams.admit():
            pages = context.service.live(after)
            try:
                await self._stream(pages, selection, context, receive, send)
            finally:
                if isinstance(pages, AsyncGenerator):
                    await pages.aclose()

    async def _stream(
        self,
        pages: AsyncIterator[Sequence[StoredEvent]],
        selection: Selection,
        context: Context,
        receive: Receive,
        send: Send,
    ) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"x-accel-buffering", b"no"),
                    *STANDARD_HEADERS,
                ],
            }
        )
        stall = context.limits.stall_seconds
        await _send(send, b"retry: %d\n\n" % _RETRY_MILLISECONDS, stall)
        leaving: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(_disconnected(receive)),
            asyncio.ensure_future(context.streams.closing.wait()),
        ]
        page: asyncio.Future[Sequence[StoredEvent]] | None = None
        try:
            while True:
                if page is None:
                    page = asyncio.ensure_future(anext(pages))
                await asyncio.wait(
                    {page, *leaving},
                    timeout=context.limits.heartbeat_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if any(task.done() for task in leaving):
                    break
                if not page.done():
                    await _send(send, b": \n\n", stall)
                    continue
                try:
                    events = page.result()
                except (StopAsyncIteration, Unavailable):
                    break
                finally:
                    page = None
                await _send(send, frames(events, selection, context.masks), stall)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            for task in [*leaving, page] if page is not None else leaving:
                task.cancel()
                # The iterator cannot be closed while it still runs.
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


class Selection:
    """Which events a reader asked for."""

    def __init__(self, types: frozenset[str], aggregate_id: str | None) -> None:
        self._types = types
        self._aggregate_id = aggregate_id

    def holds(self, event: StoredEvent, masks: Masks) -> bool:
        """Whether the reader gets this one."""
        return (not self._types or masks.type_of(event)[0] in self._types) and (
            self._aggregate_id is None or event.aggregate_id == self._aggregate_id
        )


def frames(events: Sequence[StoredEvent], selection: Selection, masks: Masks) -> bytes:
    """Events as frames; a comment for a silent page."""
    if not events:
        return b": \n\n"
    # A line break within JSON is only ever blank space, but it would end the frame.
    out = [
        b"id: %d\ndata: %b\n\n" % (event.position, event_json(event, masks).translate(_BREAKS))
        for event in events
        if selection.holds(event, masks)
    ]
    if not out or not selection.holds(events[-1], masks):
        # An id without data is no event for the reader, but it moves the place to go on from.
        out.append(b"id: %d\n\n" % events[-1].position)
    return b"".join(out)


async def _send(send: Send, body: bytes, stall_seconds: float) -> None:
    # Past the deadline the exception drops the connection; the client comes back with Last-Event-ID.
    async with asyncio.timeout(stall_seconds):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
