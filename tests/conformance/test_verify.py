"""A log is read whole, on every store, and each kind of damage is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.conformance.test_event_store import decision, fill
from tusk_runtime.events import new_id
from tusk_runtime.store.memory import MemoryStore
from tusk_runtime.store.protocol import EventStore, Recorded
from tusk_runtime.store.verify import FIELDS, MOST_PROBLEMS, PAGE, Verdict, verify

Rows = list[list[Any]]
VERSION, COMMAND, DATA, METADATA = (
    2 + FIELDS.index(name) for name in ("version", "command_id", "data", "metadata")
)


async def test_an_empty_log(events: EventStore) -> None:
    assert await verify(events) == Verdict(sha256=hashlib.sha256().hexdigest())


async def test_a_log_that_is_whole(events: EventStore) -> None:
    """Refusals, commands without events, and commands that reach over the end of a page are fine."""
    await fill(events)
    await events.append([decision("a", 3, refusal=b"{}"), decision("a", 3), decision("x", 0, refusal=b"{}")])
    await events.append([decision("long", 0, *["Placed"] * (PAGE + 5)), decision("a", 3, "Paid")])
    heard: list[tuple[int, int]] = []
    verdict = await verify(events, lambda done, all_: heard.append((done, all_)))
    assert replace(verdict, sha256="") == Verdict(events=6 + PAGE + 6, aggregates=4, commands=7)
    assert heard == [(PAGE, PAGE + 12), (PAGE + 12, PAGE + 12)]


async def test_the_digest_is_that_of_the_same_log(events: EventStore) -> None:
    """It is the same on every store, and another one for whatever is different in one event."""
    at = {"command_id": b"1" * 16, "timestamp": 5}
    await events.append([decision("a", 0, "Placed", "Paid", **at)])
    before = (await verify(events)).sha256
    assert before == (await verify(events)).sha256
    other = MemoryStore().events
    await other.append([decision("a", 0, "Placed", "Paid", **at)])
    assert (await verify(other)).sha256 == before
    for change in (
        {**at, "timestamp": 6}, {**at, "data": b"{}"}, {**at, "command_id": b"2" * 16},
        {**at, "correlation_id": b"3" * 16}, {**at, "aggregate_type": "Sale"},
    ):  # fmt: skip
        other = MemoryStore().events
        await other.append([decision("a", 0, "Placed", "Paid", **change)])
        assert (await verify(other)).sha256 != before


class Damaged:
    """A log whose rows or whose ledger are not what they were."""

    def __init__(
        self, inner: EventStore, rows: Callable[[Rows], Any], ledger: Callable[[Recorded], Any]
    ) -> None:
        self._inner = inner
        self._rows = rows
        self._ledger = ledger

    async def head(self) -> int:
        return await self._inner.head()

    async def scan(self, after: int, limit: int, *, types: None, fields: Sequence[str]) -> Rows:
        rows = [list(row) for row in await self._inner.scan(after, limit, types=types, fields=fields)]
        self._rows(rows)
        return rows

    async def recorded(self, ids: Collection[bytes]) -> Mapping[bytes, Any]:
        found = {id_: self._ledger(row) for id_, row in (await self._inner.recorded(ids)).items()}
        return {id_: row for id_, row in found.items() if row is not None}


def _set(row: int, column: int, value: Any) -> Callable[[Rows], None]:
    return lambda rows: rows[row].__setitem__(column, value)


DAMAGES: list[tuple[str, Callable[[Rows], Any], Callable[[Recorded], Any], list[str]]] = [
    ("a hole", lambda rows: rows.pop(3), lambda row: row, ["position 5 follows 3"]),
    ("a version", _set(3, VERSION, 7), lambda row: row, ["position 4: Order a has version 7 after 2"]),
    (
        "data",
        _set(2, DATA, b'{"n":'),
        lambda row: row,
        ["position 3: the data of the event is no JSON object"],
    ),
    (
        "metadata",
        _set(2, METADATA, b"[]"),
        lambda row: row,
        ["position 3: the metadata of the event is no JSON"],
    ),
    ("another command", _set(1, COMMAND, new_id()), lambda row: row, ["position 2", "is not in the ledger"]),
    ("apart", lambda rows: rows[3].__setitem__(COMMAND, rows[0][COMMAND]), lambda row: row, ["stand apart"]),
    ("no ledger", lambda rows: None, lambda row: None, ["position 2", "is not in the ledger"]),
    (
        "a count",
        lambda rows: None,
        lambda row: row._replace(count=9),
        ["says 9 events of Order a up to version 2"],
    ),
    ("refused", lambda rows: None, lambda row: row._replace(refusal=b"{}"), ["the ledger calls", "refused"]),
    ("an end", lambda rows: rows.clear(), lambda row: row, ["the log ends at 0, and its head is 6"]),
]


@pytest.mark.parametrize(("rows", "ledger", "told"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
async def test_damage_is_told(
    rows: Callable[[Rows], Any], ledger: Callable[[Recorded], Any], told: list[str]
) -> None:
    store = MemoryStore()
    await fill(store.events)
    verdict = await verify(Damaged(store.events, rows, ledger))  # type: ignore[arg-type]
    text = "\n".join(verdict.problems)
    assert told[0] in text, text
    await store.close()


async def test_problems_end() -> None:
    store = MemoryStore()
    await store.events.append([decision(str(number), 0, "Placed") for number in range(500)])
    verdict = await verify(Damaged(store.events, lambda rows: None, lambda row: None))  # type: ignore[arg-type]
    assert len(verdict.problems) == MOST_PROBLEMS
    await store.close()
