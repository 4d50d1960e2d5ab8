"""The bulk form of a command: a stream of lines in, a stream of verdicts out, in the order of the lines."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from tusk_runtime.errors import UnknownName
from tusk_runtime.events import Caller, id_text, new_id
from tusk_runtime.running.service import Service
from tusk_runtime.web.encoding import dumps_leniently
from tusk_runtime.web.limits import Limits
from tusk_runtime.web.problems import STANDARD_HEADERS, Problem, broken_json, problem_of
from tusk_runtime.web.requests import Disconnected, check_coding, check_depth, too_large
from tusk_runtime.web.routes.commands import BULK_TYPE, check_not_internal, command_id_of
from tusk_runtime.web.security import Headers

_FLUSH_BYTES = 32 * 1024
_MEMBERS = frozenset({"command_id", "fields"})

_STOPS = "The server stops. Send the lines from this one on again."

Entry = asyncio.Task[bytes] | bytes
"""A command that runs, or a verdict."""


class BulkRoute:
    """Runs many commands of one name: so many at a time, and reads on only as they are answered."""

    def __init__(self, service: Service, limits: Limits, stopping: asyncio.Event) -> None:
        self._service = service
        self._limits = limits
        self._stopping = stopping

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, name: str, headers: Headers, caller: Caller
    ) -> None:
        """Answer the stream. Raises a Problem only before the first verdict."""
        check_coding(headers)
        if name not in self._service.application.commands:
            raise UnknownName(f"There is no command {name!r}.", name=name)
        check_not_internal(self._service, name)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", BULK_TYPE.encode()), *STANDARD_HEADERS],
            }
        )
        window = Window(self._limits)
        writer = asyncio.create_task(self._write(window, send))
        writer.add_done_callback(window.abandon)
        try:
            with contextlib.suppress(Disconnected):
                await self._read(receive, window, writer, name, caller)
            window.close()
            await writer
        except asyncio.CancelledError:
            writer.cancel()
            window.cancel()
            raise
        finally:
            # What was begun is finished even if nobody listens: its verdict is in the ledger.
            await window.settle()

    async def _read(
        self, receive: Receive, window: Window, writer: asyncio.Task[None], name: str, caller: Caller
    ) -> None:
        number = 0
        async for line in split_lines(self._chunks(receive, writer), self._limits.body):
            number += 1
            if line is None:
                await window.room(0)
                window.add(_refusal(number, too_large(self._limits.body)), 0)
            elif line and not line.isspace():
                await window.room(len(line))
                window.add(asyncio.create_task(self._command(number, line, name, caller)), len(line))
            if writer.done():
                return
        if self._stopping.is_set():
            await window.room(0)
            window.add(_refusal(number + 1, Problem(503, "unavailable", _STOPS)), 0)

    async def _chunks(self, receive: Receive, writer: asyncio.Task[None]) -> AsyncIterator[bytes]:
        """Pieces of the body, until it ends, the server stops, or the answer cannot be written."""
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while True:
                received = asyncio.ensure_future(receive())
                try:
                    await asyncio.wait({received, stopping, writer}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not received.done():
                        received.cancel()
                if received.cancelled() or not received.done():
                    return
                message = received.result()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                yield message.get("body", b"")
                if not message.get("more_body", False):
                    return
        finally:
            stopping.cancel()

    async def _command(self, number: int, line: bytes, name: str, caller: Caller) -> bytes:
        """Run one line. Never raises: everything is a verdict."""
        command_id = None
        try:
            command_id, fields = self._parse(line)
            named = isinstance(fields.get("aggregate_id"), str)
            aggregate_id = fields.pop("aggregate_id") if named else None
            answer = await self._service.execute(
                name, fields, aggregate_id=aggregate_id, command_id=command_id, caller=caller
            )
        except Exception as error:
            return _refusal(number, problem_of(error, command_id=command_id), command_id)
        return b'{"line":%d,"status":200,"command_id":"%b","repeated":%b}\n' % (
            number,
            id_text(answer.recorded.command_id).encode(),
            b"true" if answer.repeated else b"false",
        )

    def _parse(self, line: bytes) -> tuple[bytes, dict[str, Any]]:
        check_depth(line, self._limits.depth + 1)
        try:
            members = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise broken_json(error) from None
        if not isinstance(members, dict) or not members.keys() <= _MEMBERS:
            raise _malformed("a line is an object with command_id and fields, and nothing else")
        key = members.get("command_id")
        fields = members.get("fields", {})
        if not isinstance(fields, dict):
            raise _malformed("fields must be an object")
        if key is None:
            return new_id(), fields
        if not isinstance(key, str):
            raise _malformed("command_id must be a text")
        return command_id_of(key.encode("latin-1", "replace"), self._limits.idempotency_key), fields

    async def _write(self, window: Window, send: Send) -> None:
        """Send verdicts as they are ready, in order, many at once where many are ready."""
        ready = bytearray()
        while (entry := window.first()) is not None or not window.closed:
            if entry is None or (isinstance(entry, asyncio.Task) and not entry.done()):
                # Before any wait, the client gets what there is.
                await self._flush(ready, send)
                await window.progress(entry)
                continue
            ready += entry.result() if isinstance(entry, asyncio.Task) else entry
            window.remove_first()
            if len(ready) >= _FLUSH_BYTES:
                await self._flush(ready, send)
        await self._flush(ready, send, last=True)

    async def _flush(self, ready: bytearray, send: Send, last: bool = False) -> None:
        if not ready and not last:
            return
        body = bytes(ready)
        ready.clear()
        # A client that sends without ever reading would otherwise hold the window for good.
        async with asyncio.timeout(self._limits.stall_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": not last})


class Window:
    """The commands in flight, in the order of their lines, bounded in number and in bytes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: deque[tuple[Entry, int]] = deque()
        self._bytes = 0
        self._room = asyncio.Event()
        self._added = asyncio.Event()
        self._abandoned = False
        self.closed = False

    async def room(self, size: int) -> None:
        """Wait until a line of this size fits. A window that nobody empties any more has room for all."""
        while not self._abandoned and (
            len(self._entries) >= self._limits.bulk_commands
            or (self._bytes and self._bytes + size > self._limits.bulk_bytes)
        ):
            self._room.clear()
            await self._room.wait()

    def add(self, entry: Entry, size: int) -> None:
        """Append a command that runs, or a verdict that is known already."""
        self._entries.append((entry, size))
        self._bytes += size
        self._added.set()

    def first(self) -> Entry | None:
        """The oldest entry."""
        return self._entries[0][0] if self._entries else None

    def remove_first(self) -> None:
        """Drop the oldest entry, and let the reader go on."""
        self._bytes -= self._entries.popleft()[1]
        self._room.set()

    async def progress(self, entry: Entry | None) -> None:
        """Wait until the entry is done; without one, until there is one, or no more will come."""
        if isinstance(entry, asyncio.Task):
            await asyncio.wait((entry,))
        elif not self._entries and not self.closed:
            self._added.clear()
            await self._added.wait()

    def close(self) -> None:
        """No more lines come."""
        self.closed = True
        self._added.set()

    def abandon(self, _writer: object = None) -> None:
        """Nobody takes verdicts any more."""
        self._abandoned = True
        self._room.set()

    def cancel(self) -> None:
        """Give up all that runs."""
        for entry, _ in self._entries:
            if isinstance(entry, asyncio.Task):
                entry.cancel()

    async def settle(self) -> None:
        """Wait for all that runs."""
        tasks = [entry for entry, _ in self._entries if isinstance(entry, asyncio.Task)]
        await asyncio.gather(*tasks, return_exceptions=True)


async def split_lines(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes | None]:
    """Lines without their ends; None for one beyond the limit, of which nothing is kept."""
    rest = b""
    skipping = False
    async for chunk in chunks:
        lines = (rest + chunk if rest else chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            if skipping or len(line) > limit:
                skipping = False
                yield None
            else:
                yield line
        if len(rest) > limit:
            skipping, rest = True, b""
        elif skipping:
            rest = b""
    if skipping or rest:
        yield None if skipping else rest


def _malformed(detail: str) -> Problem:
    return Problem(400, "malformed-line", f"The line is not a command: {detail}.")


def _refusal(number: int, problem: Problem, command_id: bytes | None = None) -> bytes:
    members = problem.details | {
        "line": number,
        "status": problem.status,
        "type": problem.kind,
        "detail": problem.detail,
    }
    if command_id is not None:
        members["command_id"] = id_text(command_id)
    return dumps_leniently(members) + b"\n"
