"""An event store that fails as told."""

from __future__ import annotations

from tusk_runtime.errors import OutcomeUnknown, StoreError, StoreUnavailable
from tusk_runtime.events import new_id
from tusk_runtime.store.protocol import Decision, NewEvent


class Flaky:
    """An event store that fails as told, and passes everything else on."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.plan: list[object] = []
        self.ledger_fails = 0
        self.poison = b""
        self._late: list[Decision] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def recorded(self, command_ids: list[bytes]) -> object:
        if self.ledger_fails:
            self.ledger_fails -= 1
            raise StoreUnavailable("the database is gone")
        found = await self._inner.recorded(command_ids)  # type: ignore[attr-defined]
        late, self._late = self._late, []
        if late:
            await self._inner.append(late)  # type: ignore[attr-defined]
        return found

    async def append(self, batch: list[Decision], **options: bool) -> object:
        what = self.plan.pop(0) if self.plan else None
        if self.poison and any(each.command_id == self.poison for each in batch):
            raise StoreError("this cannot be kept")
        if what == "commits later":
            self._late = batch
            raise OutcomeUnknown("the connection was lost")
        if what == "lost answer":
            await self._inner.append(batch)  # type: ignore[attr-defined]
            raise OutcomeUnknown("the connection was lost")
        if what == "other writer":
            stream = batch[0]
            other = Decision(new_id(), 0, stream.aggregate_type, stream.aggregate_id, stream.expected_version, 1,
                             b"{}", [NewEvent("Deposited", b'{"amount":"1"}')])  # fmt: skip
            await self._inner.append([other])  # type: ignore[attr-defined]
        if isinstance(what, Exception):
            raise what
        return await self._inner.append(batch)  # type: ignore[attr-defined]
