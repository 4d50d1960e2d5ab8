"""The shop on PostgreSQL, as it runs on SQLite; and what only several processes can show."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kill_cycles
import pytest
from postgres_server import PostgresServer, binaries_of, schema_for, url_of
from support import copy_of, until

ORDER = "3f0c7a52-6a43-4a53-9d5e-0a3d8f6f1c01"
CUSTOMER = "8a5f4f0e-52a3-4d0a-b6c8-54b3c6a2a1d4"
MUGS = {"customer_id": CUSTOMER, "lines": [{"sku": "mug", "quantity": 2, "price": "7.50"}]}


def shop_in(folder: Path) -> Path:
    file = copy_of("shop.tsk", folder)
    with file.open("a", encoding="utf-8") as text:
        text.write(kill_cycles.ON_POSTGRESQL)
    return file


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Any:
    """A server that a test may kill."""
    url_of(request.param)  # says so where there is none
    binaries = binaries_of(request.param)
    if binaries is None:
        pytest.skip("the server is not ours to kill")
    folder = Path(tempfile.mkdtemp(prefix="tusk-killed-"))
    server = PostgresServer(binaries, folder, durable=True)
    server.make()
    server.start()
    yield server
    server.stop(signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("version", ["18", "15"])
async def test_the_shop_on_postgresql(serve, tmp_path, version):
    """Order, ship, refuse, read; and all of it again after a restart."""
    environment = {"DATABASE_URL": await schema_for(version, tmp_path)}
    server = serve(shop_in(tmp_path), "--no-watch", environment=environment)
    await server.start()
    assert f"store  postgresql 127.0.0.1:{urlsplit(url_of(version)).port}/" in server.printed()
    assert ", 0 events" in server.printed()
    async with server.client() as api:
        placed = await api.post("/api/commands/PlaceOrder", json={"aggregate_id": ORDER, **MUGS})
        assert placed.status_code == 200, placed.text
        shipped = await api.post("/api/commands/ShipOrder", json={"aggregate_id": ORDER, "carrier": "dhl"})
        assert shipped.json()["position"] == 2
        late = await api.post("/api/commands/CancelOrder", json={"aggregate_id": ORDER})
        assert late.status_code == 409
        rows = await api.get("/api/queries/orders?status=shipped", headers={"X-Wait-For-Position": "2"})
        assert [row["order_id"] for row in rows.json()["rows"]] == [ORDER]
    await server.stop()
    await server.start()
    assert ", 2 events" in server.printed()
    async with server.client() as api:
        assert (await api.get(f"/api/aggregates/Order/{ORDER}")).json()["state"]["carrier"] == "dhl"


async def test_two_processes_on_one_store(serve, tmp_path):
    """Commands and queries go to either: each decides on what the other wrote, and reads it."""
    environment = {"DATABASE_URL": await schema_for("18", tmp_path)}
    servers = [
        serve(shop_in(tmp_path / name), "--no-watch", environment=environment) for name in ("one", "two")
    ]
    await asyncio.gather(*(server.start() for server in servers))
    async with servers[0].client() as one, servers[1].client() as two:
        for number in range(20):
            order = f"3f0c7a52-6a43-4a53-9d5e-{number:012}"
            first, second = (one, two) if number % 2 else (two, one)
            placed = await first.post("/api/commands/PlaceOrder", json={"aggregate_id": order, **MUGS})
            assert placed.status_code == 200, placed.text
            # Both know the order by heart now; one of them ships it, the other has to notice.
            answers = await asyncio.gather(
                *(
                    api.post("/api/commands/ShipOrder", json={"aggregate_id": order, "carrier": "dhl"})
                    for api in (first, second)
                )
            )
            assert sorted(answer.status_code for answer in answers) == [200, 409], [a.text for a in answers]
            again = await second.post("/api/commands/CancelOrder", json={"aggregate_id": order})
            assert again.status_code == 409
        for api in (one, two):
            wait = {"X-Wait-For-Position": "40"}
            rows = await api.get("/api/queries/orders?status=shipped", headers=wait)
            assert rows.status_code == 200, rows.text
            assert rows.json()["total"] == 20
            sold = await api.get("/api/queries/bestsellers", headers=wait)
            assert [(row["sku"], row["quantity"]) for row in sold.json()["rows"]] == [("mug", 40)]


async def test_the_same_command_at_two_processes(serve, tmp_path):
    """One effect, and the same answer from both."""
    environment = {"DATABASE_URL": await schema_for("15", tmp_path)}
    servers = [
        serve(shop_in(tmp_path / name), "--no-watch", environment=environment) for name in ("one", "two")
    ]
    await asyncio.gather(*(server.start() for server in servers))
    async with servers[0].client() as one, servers[1].client() as two:
        for number in range(20):
            body = {"aggregate_id": f"3f0c7a52-6a43-4a53-9d5e-{number:012}", **MUGS}
            answers = await asyncio.gather(
                *(
                    api.post("/api/commands/PlaceOrder", json=body, headers={"Idempotency-Key": f"k{number}"})
                    for api in (one, two)
                )
            )
            assert [answer.status_code for answer in answers] == [200, 200], [a.text for a in answers]
            assert answers[0].json() == answers[1].json()
        assert (await one.get("/api/status")).json()["head"] == 20


async def test_a_process_with_other_projections_takes_nothing_away(serve, tmp_path):
    """The new edition of a file starts beside the old one: each reads its own tables."""
    environment = {"DATABASE_URL": await schema_for("18", tmp_path)}
    old = serve(shop_in(tmp_path / "old"), "--no-watch", environment=environment)
    await old.start()
    file = shop_in(tmp_path / "new")
    text = file.read_text()
    before = '[projections.orders]\nkey: "order_id"\ncolumns:\n'
    assert before in text
    file.write_text(text.replace(before, before + '  again: "integer = 1"\n'))
    new = serve(file, "--no-watch", environment=environment)
    await new.start()
    async with old.client() as one, new.client() as two:
        placed = await one.post("/api/commands/PlaceOrder", json={"aggregate_id": ORDER, **MUGS})
        assert placed.status_code == 200
        for api, columns in ((one, False), (two, True)):
            answer = await api.get("/api/queries/orders", headers={"X-Wait-For-Position": "1"})
            (row,) = answer.json()["rows"]
            assert (row["order_id"], "again" in row) == (ORDER, columns)


async def test_killed_on_postgresql(tmp_path):
    """The promises hold while the runtime is killed, as on SQLite."""
    report = await kill_cycles.run(
        tmp_path, cycles=6, seed=18, between=(0.1, 0.6), dsn=await schema_for("18", tmp_path)
    )
    print(report)
    assert report.violations == []
    assert report.acknowledged > 300
    assert report.unknown > 6


@pytest.mark.parametrize("database", ["15"], indirect=True)
async def test_the_database_is_killed(tmp_path, database):
    """The runtime lives on: what it could not write is told so, and it works again by itself."""
    report = await kill_cycles.run(
        tmp_path, cycles=5, seed=15, between=(0.2, 0.8), dsn=database.url, database=database
    )
    print(report)
    assert report.violations == []
    assert report.acknowledged > 300
    assert report.turned_away > 0
    assert max(report.recoveries) < 5


@pytest.mark.parametrize("database", ["18"], indirect=True)
async def test_a_database_that_is_away_for_a_while(serve, tmp_path, database):
    """Commands and queries answer 503 meanwhile; the health of the parts says why."""
    server = serve(shop_in(tmp_path), "--no-watch", environment={"DATABASE_URL": database.url})
    await server.start()
    async with server.client() as api:
        body = {"aggregate_id": ORDER, **MUGS}
        database.stop()
        refused = await api.post("/api/commands/PlaceOrder", json=body, headers={"Idempotency-Key": "k1"})
        assert refused.status_code == 503, refused.text
        assert refused.json()["type"].endswith("unavailable")
        assert (await api.get("/api/queries/orders")).status_code == 503
        database.start()

        async def placed() -> bool:
            answer = await api.post("/api/commands/PlaceOrder", json=body, headers={"Idempotency-Key": "k1"})
            return answer.status_code == 200

        await until(placed, "the command works again", 5)
        rows = await api.get("/api/queries/orders", headers={"X-Wait-For-Position": "1"})
        assert rows.json()["total"] == 1
    assert "Traceback" not in server.printed()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://postgres@127.0.0.1:1/shop", "127.0.0.1:1/shop"),
        ("mysql://root:hunter2@db/shop", "no address of a PostgreSQL database"),
        ("postgresql://a:hunter2@127.0.0.1:x/shop", "connection string cannot be read"),
    ],
)
async def test_an_address_where_no_database_is(serve, tmp_path, url, told):
    """It ends at once, says which address, and shows no password."""
    server = serve(shop_in(tmp_path), "--no-watch", environment={"DATABASE_URL": url})
    server.spawn()
    assert server.process.wait(timeout=20) in (1, 78)
    printed = server.printed()
    assert told in printed, printed
    assert "hunter2" not in printed
    assert "Traceback" not in printed
