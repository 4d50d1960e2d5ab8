"""An event changes twice while its application lives: by edits and by restarts, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import kill_cycles
import pytest
from postgres_server import schema_for
from support import until

ORDERS = """
[projections.orders]
key: "id"
columns: {{ id: "string", {columns} }}
on: {{ {event}: {{ insert: {{ {values} }} }} }}
[queries.orders]
from: "orders"
order_by: "id"
"""
FIRST = """
[events]
OrderCreated: { fields: { client: "string", cents: "integer" } }
OrderClosed: {}
[aggregates.Order]
id: "string"
state: { cents: "integer = 0" }
on: { OrderCreated: { cents: "{{ data.cents }}" }, OrderClosed: {} }
[commands]
Order: { aggregate: "Order", creates: true, fields: { client: "string", cents: "integer" }, emit: "OrderCreated" }
Close: { aggregate: "Order", creates: false, emit: "OrderClosed" }
""" + ORDERS.format(
    event="OrderCreated",
    columns='client: "string", cents: "integer"',
    values='client: "{{ data.client }}", cents: "{{ data.cents }}"',
)
THIRD = """
[events]
OrderClosed: {}
[events.OrderPlaced]
was: "OrderCreated"
version: 3
fields: { customer: "string", total: "decimal(places=2)", currency: "enum(EUR, USD)" }
upcast:
  1: { rename: { client: "customer" }, add: { currency: "EUR" } }
  2: { set: { total: "{{ decimal(data.cents) / 100 }}" }, remove: "cents" }
[aggregates.Order]
id: "string"
state: { total: "decimal = 0", currency: "string = EUR" }
on: { OrderPlaced: { total: "{{ data.total }}", currency: "{{ data.currency }}" }, OrderClosed: {} }
[commands]
PlaceOrder: { aggregate: "Order", creates: true, fields: { customer: "string", total: "decimal(places=2)", currency: "enum(EUR, USD)" }, emit: "OrderPlaced" }
[commands.Close]
aggregate: "Order"
creates: false
require: { check: "{{ state.total < 100 }}", message: "{{ state.currency }} {{ state.total }} is too much" }
emit: "OrderClosed"
""" + ORDERS.format(
    event="OrderPlaced",
    columns='customer: "string", total: "decimal", currency: "string"',
    values='customer: "{{ data.customer }}", total: "{{ data.total }}", currency: "{{ data.currency }}"',
)
WITHOUT_A_PATH = THIRD.replace("  1: { rename", "  # 1: { rename")
STORED = [
    ("OrderCreated", b'{"client":"ann","cents":1999}'),
    ("OrderCreated", b'{"client":"bob","cents":12300}'),
    ("OrderClosed", b"{}"),
    ("OrderPlaced@3", b'{"customer":"cat","total":"5.00","currency":"USD"}'),
]


async def stored_in(file: Path, dsn: str | None) -> list[tuple[str, bytes]]:
    """The types and the data in the database, past the runtime."""
    sql = "SELECT n.name, e.data FROM tusk_events e JOIN tusk_names n ON n.id = e.type ORDER BY e.position"
    if dsn is None:
        database = sqlite3.connect(f"file:{file.parent}/.tusk/{file.stem}.db?mode=ro", uri=True)
        try:
            return [(name, bytes(data)) for name, data in database.execute(sql)]
        finally:
            database.close()
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def command(api: httpx.AsyncClient, name: str, **fields: Any) -> httpx.Response:
    return await api.post(f"/api/commands/{name}", json=fields)


async def rows(api: httpx.AsyncClient, position: int) -> list[dict[str, Any]]:
    answer = await api.get("/api/queries/orders", headers={"X-Wait-For-Position": str(position)})
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


async def generation(api: httpx.AsyncClient) -> int:
    return int((await api.get("/api/status")).json()["generation"])


@pytest.mark.parametrize("backend", ["sqlite", "18", "15"])
@pytest.mark.parametrize("way", ["an edit", "a restart"])
async def test_an_event_changes(serve, tmp_path, backend, way):
    dsn = None if backend == "sqlite" else await schema_for(backend, tmp_path)
    more = "" if dsn is None else kill_cycles.ON_POSTGRESQL
    environment = {} if dsn is None else {"DATABASE_URL": dsn}
    file = tmp_path / "orders.tsk"
    file.write_text(FIRST + more)
    server = serve(file, environment=environment)
    await server.start()
    async with server.client() as api:
        assert (await command(api, "Order", aggregate_id="a", client="ann", cents=1999)).status_code == 200
        assert (await command(api, "Order", aggregate_id="b", client="bob", cents=12300)).status_code == 200
        assert [row["cents"] for row in await rows(api, 2)] == [1999, 12300]

        # Without a path: the old one goes on serving, and says why.
        file.write_text(WITHOUT_A_PATH + more)
        await until(lambda: "not applied" in server.printed(), "the edit is refused")
        printed = server.printed()
        assert "error[TSK500]: the store holds 2 `OrderCreated`, from position 1 on: version 1" in printed
        assert "orders.tsk:4:9" in printed
        assert "= help: say in step 1 what became of the fields: `upcast: { 1: { … } }`" in printed
        assert "TSK500" in (await api.get("/api/status")).json()["rejected"]
        assert await generation(api) == 1
        assert [row["cents"] for row in await rows(api, 2)] == [1999, 12300]

    if way == "a restart":
        assert await server.stop() == 0
        server.spawn()
        assert await server.ended(20) == 78
        assert "TSK500" in server.printed()
        assert "Traceback" not in server.printed()
        file.write_text(THIRD + more)
        await server.start()
    else:
        file.write_text(THIRD + more)

    async with server.client() as api:
        wanted = 1 if way == "a restart" else 2

        async def live() -> bool:
            return await generation(api) == wanted

        await until(live, "the new edition is live")
        first = {"id": "a", "customer": "ann", "total": "19.99", "currency": "EUR"}
        assert (await rows(api, 2))[0] == first
        state = (await api.get("/api/aggregates/Order/b")).json()
        assert (state["version"], state["state"]) == (1, {"total": "123.00", "currency": "EUR"})
        refused = await command(api, "Close", aggregate_id="b")
        assert (refused.status_code, refused.json()["detail"]) == (409, "EUR 123.00 is too much")
        assert (await command(api, "Close", aggregate_id="a")).status_code == 200
        placed = await command(api, "PlaceOrder", aggregate_id="c", customer="cat", total="5", currency="USD")
        assert placed.json()["events"][0]["event_type"] == "OrderPlaced"
        assert [row["id"] for row in await rows(api, 4)] == ["a", "b", "c"]
        log = (await api.get("/api/events?type=OrderPlaced")).json()["events"]
        assert [(e["position"], e["event_version"], e["data"].get("cents")) for e in log] == [
            (1, 1, 1999), (2, 1, 12300), (4, 3, None),
        ]  # fmt: skip
    assert await stored_in(file, dsn) == STORED
    assert "Traceback" not in server.printed()
