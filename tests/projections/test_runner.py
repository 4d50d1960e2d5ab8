"""Projections: every event exactly once in effect, whatever the page size, restarts and repeats."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import orjson
import pytest
from apps import ACCOUNT, application

from tusk_runtime.errors import Conflict, StoreUnavailable
from tusk_runtime.events import new_id
from tusk_runtime.model.application import Application
from tusk_runtime.projections import runner as runner_module
from tusk_runtime.projections.fold import ProjectionFailed, RowCodec, table_of
from tusk_runtime.projections.runner import ProjectionRunner
from tusk_runtime.running.backends import memory_store
from tusk_runtime.store.protocol import Decision, NewEvent, Store

LINES = """
[types]
Line: { sku: "string", quantity: "integer" }
[events]
Placed: { fields: { customer: "string", lines: "list<Line>" } }
Renamed: { fields: { before: "string", after: "string" } }
Gone: { fields: { customer: "string" } }
[aggregates.Order]
id: "string"
on: { Placed: {}, Renamed: {}, Gone: {} }
[commands]
Place: { aggregate: "Order", creates: "either", fields: { customer: "string", lines: "list<Line>" }, emit: "Placed" }

[projections.sold]
key: ["customer", "sku"]
columns: { customer: "string", sku: "string", quantity: "integer = 0", last: "integer" }
on:
  Placed: { for_each: "{{ data.lines }}", as: "line", when: "{{ line.quantity > 0 }}",
    upsert: { customer: "{{ data.customer }}", sku: "{{ line.sku }}", quantity: "{{ row.quantity + line.quantity }}", last: "{{ loop.index }}" } }
  Gone: { delete: true, where: { customer: "{{ data.customer }}" } }

[projections.orders]
key: "id"
columns: { id: "string", customer: "string", size: "integer" }
on:
  Placed: { insert: { customer: "{{ data.customer }}", size: "{{ length(data.lines) }}" } }
  Renamed: { update: { customer: "{{ data.after }}" }, where: { customer: "{{ data.before }}", size: { gte: 1 } } }

[projections.audit]
key: "kind"
columns: { kind: "string", seen: "integer = 0" }
on: { "*": { upsert: { kind: "{{ event.event_type }}", seen: "{{ row.seen + 1 }}" } } }
"""


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = memory_store()
    await store.open()
    yield store
    await store.close()


async def append(
    store: Store, aggregate_id: str, *events: tuple[str, dict[str, Any]], type_: str = "Order"
) -> None:
    from tusk_runtime.store.protocol import StreamId

    version = len(await store.events.read_stream(StreamId(type_, aggregate_id)))
    news = [NewEvent(name, orjson.dumps(data)) for name, data in events]
    await store.events.append([Decision(new_id(), 0, type_, aggregate_id, version, 1_000_000, b"{}", news)])


async def caught_up(store: Store, app: Application, name: str) -> ProjectionRunner:
    runner = ProjectionRunner(app.projections[name], app, store.events, store.read_models)
    await runner.open()
    while await runner.advance():
        pass
    return runner


async def rows(store: Store, app: Application, name: str) -> list[dict[str, Any]]:
    projection = app.projections[name]
    table, codec = table_of(projection), RowCodec(projection)
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    found = await store.read_models.select(f'SELECT {names} FROM "{table.name}" ORDER BY 1, 2', (), timeout=5)
    return [codec.decode(row) for row in found]


async def history(store: Store, seed: int, size: int) -> list[tuple[str, str, dict[str, Any]]]:
    """A random history: also of updates and deletes that find their rows by other columns."""
    chance = random.Random(seed)
    told = []
    for index in range(size):
        customer = chance.choice("abcd")
        kind = chance.choices(["Placed", "Renamed", "Gone"], [6, 2, 1])[0]
        if kind == "Placed":
            lines = [
                {"sku": chance.choice("xyz"), "quantity": chance.randint(0, 3)}
                for _ in range(chance.randint(0, 3))
            ]
            data: dict[str, Any] = {"customer": customer, "lines": lines}
        elif kind == "Renamed":
            data = {"before": customer, "after": chance.choice("abcd")}
        else:
            data = {"customer": customer}
        told.append((f"o{index}", kind, data))
        await append(store, f"o{index}", (kind, data))
    return told


def expected(told: Sequence[tuple[str, str, dict[str, Any]]]) -> dict[str, Any]:
    """The naive fold, one event after another, sharing nothing with the package."""
    sold: dict[tuple[str, str], dict[str, Any]] = {}
    orders: dict[str, dict[str, Any]] = {}
    audit: dict[str, int] = {}
    for id_, kind, data in told:
        audit[kind] = audit.get(kind, 0) + 1
        if kind == "Placed":
            orders[id_] = {"id": id_, "customer": data["customer"], "size": len(data["lines"])}
            for number, line in enumerate(data["lines"], 1):
                if line["quantity"] > 0:
                    row = sold.setdefault(
                        (data["customer"], line["sku"]),
                        {"customer": data["customer"], "sku": line["sku"], "quantity": 0, "last": 0},
                    )
                    row["quantity"] += line["quantity"]
                    row["last"] = number
        elif kind == "Renamed":
            for order in orders.values():
                if order["customer"] == data["before"] and order["size"] >= 1:
                    order["customer"] = data["after"]
        else:
            sold = {key: row for key, row in sold.items() if key[0] != data["customer"]}
    return {
        "sold": [sold[key] for key in sorted(sold)],
        "orders": [orders[key] for key in sorted(orders)],
        "audit": [{"kind": kind, "seen": audit[kind]} for kind in sorted(audit)],
    }


@pytest.mark.parametrize("page", [1, 7, 1000])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_equals_the_naive_fold(
    store: Store, monkeypatch: pytest.MonkeyPatch, seed: int, page: int
) -> None:
    """Rows do not depend on how events are cut into pages."""
    monkeypatch.setattr(runner_module, "PAGE", page)
    app = application(LINES)
    wanted = expected(await history(store, seed, 120))
    for name in app.projections:
        await caught_up(store, app, name)
        assert await rows(store, app, name) == wanted[name], name


async def test_goes_on_where_it_was(store: Store) -> None:
    """A new runner begins at the checkpoint: nothing is applied twice."""
    app = application(LINES)
    told = await history(store, 4, 30)
    for _ in range(3):
        runner = await caught_up(store, app, "sold")
    told += [(f"n{id_}", kind, data) for id_, kind, data in await _more(store)]
    runner = await caught_up(store, app, "sold")
    assert runner.position == await store.events.head()
    assert await rows(store, app, "sold") == expected(told)["sold"]


async def _more(store: Store) -> list[tuple[str, str, dict[str, Any]]]:
    data = {"customer": "a", "lines": [{"sku": "x", "quantity": 2}]}
    await append(store, "nmore", ("Placed", data))
    return [("more", "Placed", data)]


async def test_a_zombie_loses(store: Store) -> None:
    """Two runners of one projection: the one behind is refused by the checkpoint, and nothing counts twice."""
    app = application(LINES)
    zombie = ProjectionRunner(app.projections["sold"], app, store.events, store.read_models)
    await zombie.open()
    told = await history(store, 5, 20)
    await caught_up(store, app, "sold")
    with pytest.raises(Conflict):
        await zombie.advance()
    assert await rows(store, app, "sold") == expected(told)["sold"]


async def test_a_failed_write_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the write fails, the position stays, and the page is taken in again as a whole."""
    app = application(LINES)
    told = await history(store, 6, 20)
    runner = ProjectionRunner(app.projections["sold"], app, store.events, store.read_models)
    await runner.open()
    write = store.read_models.write

    async def fails(*args: Any, **kwargs: Any) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(store.read_models, "write", fails)
    with pytest.raises(StoreUnavailable):
        await runner.advance()
    assert runner.position == 0
    monkeypatch.setattr(store.read_models, "write", write)
    await caught_up(store, app, "sold")
    assert await rows(store, app, "sold") == expected(told)["sold"]


async def test_an_event_that_cannot_be_applied_is_told(store: Store) -> None:
    """The failure names the event's position; the rows stay as they were before it."""
    app = application(
        LINES.replace('size: "{{ length(data.lines) }}"', 'size: "{{ 10 // length(data.lines) }}"')
    )
    await append(store, "a", ("Placed", {"customer": "a", "lines": []}))
    runner = ProjectionRunner(app.projections["orders"], app, store.events, store.read_models)
    await runner.open()
    with pytest.raises(ProjectionFailed, match="position 1"):
        await runner.advance()
    assert await rows(store, app, "orders") == []


async def test_an_insert_of_an_existing_key_is_an_error(store: Store) -> None:
    """`insert` is for new rows; `upsert` says that it may be there."""
    app = application(ACCOUNT)
    await append(store, "a", ("Opened", {"owner": "x"}), ("Opened", {"owner": "y"}), type_="Account")
    runner = ProjectionRunner(app.projections["accounts"], app, store.events, store.read_models)
    await runner.open()
    with pytest.raises(ProjectionFailed, match="upsert"):
        await runner.advance()


async def test_decimals_dates_and_nulls_come_back(store: Store) -> None:
    """What a row holds is what was put in, in its type."""
    app = application(ACCOUNT)
    await append(store, "a", ("Opened", {"owner": "x"}), ("Deposited", {"amount": "10.50"}), type_="Account")
    await caught_up(store, app, "accounts")
    (row,) = await rows(store, app, "accounts")
    assert row["balance"] == Decimal("10.50")
    assert row["touched"].isoformat() == "1970-01-01T00:00:01+00:00"
