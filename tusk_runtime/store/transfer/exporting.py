"""A store → lines, page by page: the memory does not grow with the store."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from tusk_runtime.errors import StoreError
from tusk_runtime.store.protocol import Decision, EventStore, NewEvent, Recorded
from tusk_runtime.store.transfer.lines import Command, End, Head, written

PAGE = 1000
FIELDS = (
    "aggregate_type", "aggregate_id", "version", "command_id",
    "timestamp", "correlation_id", "metadata", "data",
)  # fmt: skip


class Exported(NamedTuple):
    """A line with its end, and the position up to which everything was written with it."""

    text: bytes
    position: int
    end: End | None = None


async def export(events: EventStore, after: int = 0) -> AsyncIterator[Exported]:
    """All lines of an export of what the store holds now, behind a position.

    What is appended meanwhile is left out, and no command is divided. Raises StoreError where log and ledger
    are not what they promise.
    """
    digest, commands, count = hashlib.sha256(), 0, 0
    head = await events.head()
    after = min(await _end_of_command(events, after), head)
    text = written(Head(after, head)) + b"\n"
    digest.update(text)
    yield Exported(text, after)
    async for text, row in commands_of(events, head, after):
        digest.update(text)
        commands, count = commands + 1, count + row.count
        yield Exported(text, row.position)
    end = End(commands, count, digest.hexdigest())
    yield Exported(written(end) + b"\n", head, end)


async def commands_of(events: EventStore, head: int, after: int = 0) -> AsyncIterator[tuple[bytes, Recorded]]:
    """The lines of all commands up to a head of the log, in the order of the ledger, with their rows."""
    last = Recorded(b"", 0, "", "", 0, after, 1, None) if after else None
    log = _Log(events, after, head)
    while True:
        page = await events.ledger(last, PAGE)
        for row in page:
            if row.position > head:
                page = ()
                break
            try:
                yield written(await log.command(row)) + b"\n", row
            except UnicodeDecodeError:
                raise _damaged(row.position) from None
            last = row
        if len(page) < PAGE:
            break
    if log.position < head:
        raise _damaged(log.position + 1)


class _Log:
    """The events of one command after the other."""

    def __init__(self, events: EventStore, after: int, head: int) -> None:
        self._events = events
        self._head = head
        self._rows: deque[tuple[Any, ...]] = deque()
        self._read = after
        self.position = after
        """Up to where they were given."""

    async def command(self, row: Recorded) -> Command:
        """A command with its events. Raises StoreError if they are not those that its row speaks of."""
        rows = [await self._next(row) for _ in range(row.count)]
        if self.position != row.position:
            raise _damaged(row.position)
        first = row.version - row.count
        timestamp, correlation_id, metadata = rows[0][6:9] if rows else (0, row.command_id, b"{}")
        events = []
        for number, (_, type_, *rest, data) in enumerate(rows, 1):
            aggregate = row.aggregate_type, row.aggregate_id, first + number
            if rest != [*aggregate, row.command_id, timestamp, correlation_id, metadata]:
                raise _damaged(row.position)
            events.append(NewEvent(type_, data))
        decision = Decision(
            row.command_id,
            row.fingerprint,
            row.aggregate_type,
            row.aggregate_id,
            first,
            timestamp,
            metadata,
            events,
            None if correlation_id == row.command_id else correlation_id,
            row.refusal,
        )
        return Command(decision, row)

    async def _next(self, row: Recorded) -> tuple[Any, ...]:
        if not self._rows:
            limit = min(PAGE, self._head - self._read)
            self._rows.extend(await self._events.scan(self._read, limit, types=None, fields=FIELDS))
            self._read += len(self._rows)
        if not self._rows or self._rows[0][0] != self.position + 1:
            raise _damaged(row.position)
        self.position += 1
        return self._rows.popleft()


async def _end_of_command(events: EventStore, position: int) -> int:
    """The position of the last event of the command whose event is at a position."""
    page = await events.read(position - 1, 1) if position > 0 else ()
    rows = await events.recorded([event.command_id for event in page])
    return max((row.position for row in rows.values()), default=position)


def _damaged(position: int) -> StoreError:
    return StoreError(
        f"the log and its ledger do not say the same at position {position}\n"
        "  help: `tusk store verify` says what is wrong"
    )
