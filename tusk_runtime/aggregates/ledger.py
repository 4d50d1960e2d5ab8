"""Commands that are in the ledger already, and so have their answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from tusk_runtime.aggregates.waiting import Waiting
from tusk_runtime.errors import OutcomeUnknown, StoreUnavailable
from tusk_runtime.events import FreshId
from tusk_runtime.store.protocol import EventStore, Recorded

LEDGER_SECONDS = 10.0
"""How long the ledger is asked after a commit whose outcome is unknown, before that is the answer."""
LEDGER_PAUSE = 0.2
PAGE = 512
"""Events that are read at once to name the types of a command's own."""


class Ledger:
    """Gives the first answer again to those who repeat a command."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def ask(self, batch: Sequence[Waiting], unknown: OutcomeUnknown | None) -> Sequence[Waiting]:
        """Answer those whose command id is in the ledger; gives the others.

        After an append whose outcome is unknown the database may be gone for a while. Until the ledger has
        been asked nobody may be told that nothing was written: raises the OutcomeUnknown then.
        """
        deadline = asyncio.get_running_loop().time() + LEDGER_SECONDS
        while True:
            try:
                return await self.answer(batch, always=True)
            except StoreUnavailable:
                if unknown is None:
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise unknown from None
            await asyncio.sleep(LEDGER_PAUSE)

    async def answer(self, batch: Sequence[Waiting], always: bool = False) -> Sequence[Waiting]:
        """Answer those whose command id is in the ledger; gives the others, each id once."""
        asked = [w.command_id for w in batch if always or type(w.command_id) is not FreshId]
        if not asked:
            return batch
        known = await self._store.recorded(asked)
        types = await self._types_of(known.values()) if known else {}
        first: dict[bytes, Waiting] = {}
        for waiting in batch:
            row = known.get(waiting.command_id)
            if row is not None:
                for one in (waiting, *(waiting.followers or ())):
                    one.repeat(row, types[row.command_id])
            elif waiting.command_id in first:
                waiting.follow(first[waiting.command_id])
            else:
                first[waiting.command_id] = waiting
        return list(first.values())

    async def _types_of(self, rows: Iterable[Recorded]) -> dict[bytes, list[str]]:
        """The types of the events of commands in the ledger; what stands close together is read at once."""
        types: dict[bytes, list[str]] = {}
        page: dict[int, str] = {}
        for row in sorted(rows, key=lambda row: row.position):
            wanted = range(row.position - row.count + 1, row.position + 1)
            if row.count and row.position not in page:
                events = await self._store.read(wanted.start - 1, max(row.count, PAGE))
                page = {event.position: event.type for event in events}
            types[row.command_id] = [page[position] for position in wanted]
        return types
