"""The shop through `tusk-run`, as the README shows it: what it answers, and what it survives."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import uuid
from decimal import Decimal
from pathlib import Path

import kill_cycles
import pytest
from support import Lost, copy_of, until

ORDER = "3f0c7a52-6a43-4a53-9d5e-0a3d8f6f1c01"
CUSTOMER = "8a5f4f0e-52a3-4d0a-b6c8-54b3c6a2a1d4"
MUGS = {"customer_id": CUSTOMER, "lines": [{"sku": "mug", "quantity": 2, "price": "7.50"}]}


@pytest.fixture
async def shop(serve, tmp_path):
    """A shop that runs."""
    server = serve(copy_of("shop.tsk", tmp_path), "--no-watch")
    await server.start()
    return server


@pytest.fixture
async def api(shop):
    """A client of it."""
    async with shop.client() as client:
        yield client


def problem(answer, status: int) -> dict:
    """The problem that an answer tells."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    return found


def fails(server, code: int) -> str:
    """What a server prints that cannot start. It ends with this code, and without a traceback."""
    server.spawn()
    assert server.process.wait(timeout=20) == code, server.printed()
    printed = server.printed()
    assert "Traceback" not in printed
    return printed


# --- What it answers --------------------------------------------------------------------------------------


async def test_the_readme_flow(api):
    """Place, ship, refuse, read: as the README says."""
    placed = await api.post("/api/commands/PlaceOrder", json={"aggregate_id": ORDER, **MUGS})
    assert placed.status_code == 200, placed.text
    assert placed.json()["aggregate_id"] == ORDER
    assert placed.json()["version"] == placed.json()["position"] == 1
    assert [event["event_type"] for event in placed.json()["events"]] == ["OrderPlaced"]

    shipped = await api.post("/api/commands/ShipOrder", json={"aggregate_id": ORDER, "carrier": "dhl"})
    assert shipped.status_code == 200, shipped.text
    assert shipped.json()["version"] == 2

    yacht = {"customer_id": CUSTOMER, "lines": [{"sku": "yacht", "quantity": 1, "price": "12000"}]}
    refused = await api.post("/api/commands/PlaceOrder", json=yacht)
    assert problem(refused, 409)["detail"] == "orders above 10000 need a call to sales"

    late = await api.post("/api/commands/CancelOrder", json={"aggregate_id": ORDER})
    assert "is shipped" in problem(late, 409)["detail"]

    wait = {"X-Wait-For-Position": str(shipped.json()["position"])}
    found = await api.get("/api/queries/orders?status=shipped", headers=wait)
    assert found.status_code == 200, found.text
    assert found.json()["total"] == 1
    (row,) = found.json()["rows"]
    assert (row["order_id"], row["customer_id"], row["carrier"]) == (ORDER, CUSTOMER, "dhl")
    assert (row["status"], Decimal(row["total"]), row["items"]) == ("shipped", Decimal(15), 2)
    assert found.json()["position"] >= 2


async def test_what_is_wrong_with_a_command_is_told(api):
    """Fields: 422 with all of them. Names: 404 with what was meant. Aggregates that are not there: 404."""
    wrong = {"customer_id": "ann", "lines": [{"sku": "", "quantity": 0, "price": "x"}], "colour": "red"}
    found = problem(await api.post("/api/commands/PlaceOrder", json=wrong), 422)
    told = json.dumps(found["errors"])
    for field in ("customer_id", "sku", "quantity", "price", "colour"):
        assert field in told

    found = problem(await api.post("/api/commands/PlaceOrdr", json=MUGS), 404)
    assert "PlaceOrder" in json.dumps(found)
    found = problem(await api.get("/api/queries/order"), 422)
    found = problem(await api.get("/api/queries/ordrs"), 404)
    assert "orders" in json.dumps(found)

    nobody = {"aggregate_id": str(uuid.uuid4()), "carrier": "dhl"}
    problem(await api.post("/api/commands/ShipOrder", json=nobody), 404)
    problem(await api.get(f"/api/queries/order?order_id={uuid.uuid4()}"), 404)
    problem(await api.get(f"/api/aggregates/Order/{uuid.uuid4()}"), 404)
    assert (await api.get("/api/events")).json()["events"] == [], "what is refused leaves no event"


async def test_a_repeated_command_gives_the_first_answer(api, shop):
    """The same key: the same bytes, also after a kill, also for a refusal. Another body: 422."""
    key = {"Idempotency-Key": "order-1"}
    first = await api.post("/api/commands/PlaceOrder", json=MUGS, headers=key)
    again = await api.post("/api/commands/PlaceOrder", json=MUGS, headers=key)
    assert (again.status_code, again.content) == (200, first.content)

    order = first.json()["aggregate_id"]
    deliver = {"json": {"aggregate_id": order}, "headers": {"Idempotency-Key": str(uuid.uuid4())}}
    refused = await api.post("/api/commands/DeliverOrder", **deliver)
    problem(refused, 409)
    await api.post("/api/commands/ShipOrder", json={"aggregate_id": order, "carrier": "ups"})
    repeated = await api.post("/api/commands/DeliverOrder", **deliver)
    assert (repeated.status_code, repeated.content) == (409, refused.content), (
        "though it would be allowed now"
    )

    other = {**MUGS, "lines": [{"sku": "tea", "quantity": 1, "price": "1"}]}
    found = problem(await api.post("/api/commands/PlaceOrder", json=other, headers=key), 422)
    assert found["type"] == "command-id-reused"
    problem(
        await api.post("/api/commands/CreateUser", json={"email": "a@b.org", "name": "a"}, headers=key), 422
    )

    shop.kill()
    await shop.start()
    async with shop.client() as client:
        again = await client.post("/api/commands/PlaceOrder", json=MUGS, headers=key)
        assert (again.status_code, again.content) == (200, first.content)
        assert len((await client.get("/api/events")).json()["events"]) == 2


async def test_the_past_of_an_aggregate_and_the_log(api):
    """State as of a version and a time; the log by type, by aggregate, backwards."""
    placed = await api.post("/api/commands/PlaceOrder", json=MUGS)
    order = placed.json()["aggregate_id"]
    for command, fields in (("ConfirmOrder", {}), ("ShipOrder", {"carrier": "post"}), ("DeliverOrder", {})):
        answer = await api.post(f"/api/commands/{command}", json={"aggregate_id": order, **fields})
        assert answer.status_code == 200, answer.text
    await api.post("/api/commands/PlaceOrder", json=MUGS)

    path = f"/api/aggregates/Order/{order}"
    states = [(await api.get(f"{path}?version={version}")).json() for version in (1, 2, 3, 4)]
    assert [found["state"]["status"] for found in states] == ["placed", "confirmed", "shipped", "delivered"]
    assert [found["version"] for found in states] == [1, 2, 3, 4]
    now = (await api.get(path)).json()
    assert (now["version"], now["state"]["carrier"], Decimal(now["state"]["total"])) == (
        4,
        "post",
        Decimal(15),
    )

    events = (await api.get(f"/api/events?aggregate_id={order}")).json()["events"]
    assert [event["version"] for event in events] == [1, 2, 3, 4]
    assert [event["position"] for event in events] == [1, 2, 3, 4]
    assert events[0]["event_id"] == placed.json()["events"][0]["event_id"]
    assert events[0]["metadata"]["command_id"] == placed.json()["command_id"]
    then = (await api.get(path, params={"at": events[1]["timestamp"]})).json()
    assert then["version"] >= 2
    two = (await api.get("/api/events?type=OrderPlaced&limit=10")).json()["events"]
    assert [event["position"] for event in two] == [1, 5]
    newest = (await api.get("/api/events?backwards=true&limit=2")).json()["events"]
    assert [event["position"] for event in newest] == [5, 4]
    page = (await api.get("/api/events?after=3&limit=1")).json()
    assert (page["events"][0]["position"], page["next_after"]) == (4, 4)


async def test_live_events_arrive_in_order(api):
    """A reader of the live stream gets what comes, once each, and can go on from where it was."""
    seen: list[int] = []
    listening = asyncio.Event()

    async def listen(after: int, until_position: int) -> None:
        async with api.stream("GET", f"/api/events/live?after={after}") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            async for line in stream.aiter_lines():
                listening.set()
                if line.startswith("data: "):
                    seen.append(json.loads(line[6:])["position"])
                    if seen[-1] == until_position:
                        return

    listener = asyncio.create_task(listen(0, 50))
    await listening.wait()
    for _ in range(5):
        await asyncio.gather(*(api.post("/api/commands/PlaceOrder", json=MUGS) for _ in range(10)))
    await asyncio.wait_for(listener, 10)
    assert seen == list(range(1, 51))
    seen.clear()
    await asyncio.wait_for(listen(30, 50), 10)
    assert seen == list(range(31, 51))


async def test_texts_are_found(api):
    """A query that searches finds words in any case, in every column that it names."""
    for name, email in (("Ünal Müller", "unal@example.org"), ("Ann Smith", "ann@example.com")):
        answer = await api.post("/api/commands/CreateUser", json={"name": name, "email": email})
    wait = {"X-Wait-For-Position": str(answer.json()["position"])}
    for text, names in (
        ("müller", ["Ünal Müller"]),
        ("EXAMPLE", ["Ann Smith", "Ünal Müller"]),
        ("smith com", ["Ann Smith"]),
        ("nobody", []),
        ("%", []),
    ):
        found = await api.get("/api/queries/users", params={"text": text}, headers=wait)
        assert found.status_code == 200, found.text
        assert [row["name"] for row in found.json()["rows"]] == names


async def test_waiting_for_a_position_that_does_not_exist_is_refused(api):
    """The header takes the position of an answer; one beyond the log would wait for ever."""
    problem(await api.get("/api/queries/orders", headers={"X-Wait-For-Position": "7"}), 422)


# --- Stopping and starting --------------------------------------------------------------------------------


async def test_sigterm_under_load_ends_cleanly_and_a_restart_goes_on(shop, tmp_path):
    """Every command whose request was read gets its answer; what was answered is there after the restart."""
    answered: dict[str, tuple[int, bytes]] = {}
    unanswered: list[tuple[str, bytes]] = []
    bodies: dict[str, bytes] = {}

    async def work(number: int) -> None:
        connection = shop.connection()
        count = 0
        while True:
            count += 1
            key = str(uuid.UUID(int=number << 64 | count, version=4))
            body = bodies[key] = json.dumps(MUGS).encode()
            try:
                answer = await connection.request(
                    "POST", "/api/commands/PlaceOrder", body, {"Idempotency-Key": key}
                )
            except Lost as error:
                unanswered.append((key, str(error).encode()))
                return
            answered[key] = answer

    workers = asyncio.gather(*(work(number) for number in range(24)))
    await until(lambda: len(answered) > 500, "500 answers")
    begin = asyncio.get_running_loop().time()
    assert await shop.stop(8) == 0, shop.printed()
    took = asyncio.get_running_loop().time() - begin
    await workers
    print(f"ended in {took:.2f} s, {len(answered)} answered, {len(unanswered)} not")
    assert "Traceback" not in shop.printed()
    accepted = {key for key, (status, _) in answered.items() if status == 200}
    assert {status for status, _ in answered.values()} <= {200, 503}

    await shop.start()
    connection = shop.connection()
    events = await kill_cycles.all_events(connection)
    stored = [event["metadata"]["command_id"] for event in events]
    assert len(stored) == len(set(stored))
    assert accepted <= set(stored), "acknowledged and lost"
    assert set(stored) <= accepted, "stored, and the client was not told"
    for key in list(accepted)[:50]:
        again = await connection.request(
            "POST", "/api/commands/PlaceOrder", bodies[key], {"Idempotency-Key": key}
        )
        assert again == answered[key]
    assert await kill_cycles.compare_projections(connection, events) == []
    connection.close()


async def test_a_live_stream_does_not_hold_up_the_end(shop):
    """SIGTERM ends open streams, and the process with them."""
    async with shop.client() as client, client.stream("GET", "/api/events/live") as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        assert await shop.stop(5) == 0
        async for _ in lines:
            pass


async def test_a_port_in_use(serve, tmp_path):
    """Exit code 1 and one line that names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        printed = fails(serve(copy_of("shop.tsk", tmp_path), listen=f"127.0.0.1:{port}"), 1)
    assert f"port {port} on 127.0.0.1" in printed
    assert "in use" in printed


async def test_a_second_process_on_the_same_database(serve, shop, tmp_path):
    """It is refused and names the first, which goes on undisturbed."""
    printed = fails(serve(tmp_path / "shop.tsk"), 1)
    assert str(shop.pid) in printed
    assert "already open" in printed
    async with shop.client() as client:
        assert (await client.post("/api/commands/PlaceOrder", json=MUGS)).status_code == 200


async def test_missing_variables_are_all_named(serve, tmp_path):
    """`@env` without a value: exit code 78, every one of them named, nothing made."""
    file = copy_of("shop.tsk", tmp_path)
    text = file.read_text()
    text = text.replace('name: "shop"', 'name: @env("SHOP_NAME")').replace('"1.0"', '@env("SHOP_VERSION")')
    file.write_text(text)
    printed = fails(serve(file), 78)
    assert "SHOP_NAME" in printed
    assert "SHOP_VERSION" in printed
    assert not (tmp_path / ".tusk").exists()
    server = serve(file, environment={"SHOP_NAME": "corner", "SHOP_VERSION": "2.5"})
    await server.start()
    assert "corner 2.5" in server.printed()


async def test_a_database_that_cannot_be_opened(serve, tmp_path):
    """A folder in its place, another program's database, no database at all: exit code 1 and what to do."""
    file = copy_of("shop.tsk", tmp_path)
    database = tmp_path / ".tusk" / "shop.db"
    database.mkdir(parents=True)
    assert "is a folder" in fails(serve(file), 1)

    database.rmdir()
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    assert "another program" in fails(serve(file), 1)

    database.write_bytes(os.urandom(8192))
    assert "not a database" in fails(serve(file), 1)

    shutil.rmtree(database.parent)
    database.parent.write_text("a file in the folder's place")
    assert "error:" in fails(serve(file), 1)


# --- Disks ------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(options, capture_output=True, check=False).returncode != 0:
        pytest.skip("NO SMALL DISK: mounting a tmpfs needs root; the limit on file sizes is tested instead")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_read_only_disk(serve, tmp_path):
    """A database on a disk that became read-only: exit code 1 and a clear line, nothing changed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    file = copy_of("shop.tsk", tmp_path)
    file.write_text(file.read_text() + '\n[store_config]\nsqlite: { path: "disk/shop.db" }\n')
    server = serve(file, "--no-watch")
    await server.start()
    assert await server.stop() == 0
    bind = ["mount", "--bind", str(disk), str(disk)]
    if os.geteuid() != 0:
        undo = ["chmod", "-R", "u+w", str(disk)]
        subprocess.run(["chmod", "-R", "a-w", str(disk)], check=True)
    elif subprocess.run(bind, capture_output=True, check=False).returncode == 0:
        undo = ["umount", "-l", str(disk)]
        subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
    else:
        pytest.skip("NO READ-ONLY DISK: root may write everywhere, and may not mount here")
    try:
        printed = fails(server, 1)
    finally:
        subprocess.run(undo, check=True)
    assert "shop.db" in printed or "disk" in printed
    assert "error:" in printed
    await server.start()


async def fill_and_free(server, fill, free) -> None:
    """Write until the disk is full; look; free it; write on without a restart."""
    connection = server.connection()
    statuses: list[int] = []
    big = {"email": "ann@example.org", "name": "x" * 20_000}
    keys = [str(uuid.uuid4()) for _ in range(400)]

    async def create(key: str) -> tuple[int, bytes]:
        return await connection.request(
            "POST", "/api/commands/CreateUser", json.dumps(big).encode(), {"Idempotency-Key": key}
        )

    first = await create(keys[0])
    assert first[0] == 200
    fill()
    answers = {keys[0]: first}
    for key in keys[1:]:
        answers[key] = await create(key)
        statuses.append(answers[key][0])
        if statuses[-5:] == [503] * 5:
            break
    assert statuses[-5:] == [503] * 5, f"the disk never became full: {statuses}"
    assert set(statuses) == {200, 503}
    assert json.loads(answers[key][1])["type"] in ("unavailable", "outcome-unknown"), answers[key]

    # Nothing half done: what was accepted is there and nothing else, and reading goes on.
    events = await kill_cycles.all_events(connection)
    stored = {event["metadata"]["command_id"] for event in events}
    assert stored == {key for key, (status, _) in answers.items() if status == 200}
    assert (await connection.request("GET", "/api/queries/orders"))[0] == 200
    assert (await connection.request("GET", "/api/status"))[0] == 200

    free()
    refused = [key for key, (status, _) in answers.items() if status == 503]
    for key in refused:
        status, body = await until(lambda key=key: taken(create(key)), "commands are taken again")
        assert (status, json.loads(body)["command_id"]) == (200, key)
    assert await create(keys[0]) == first
    events = await kill_cycles.all_events(connection)
    stored = [event["metadata"]["command_id"] for event in events]
    assert sorted(stored) == sorted(answers), "each once"
    assert await kill_cycles.compare_projections(connection, events) == []
    connection.close()

    assert await server.stop() == 0
    database = next(server.file.parent.rglob("shop.db"))
    with sqlite3.connect(database) as check:
        assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()


async def taken(answer):
    """An answer that is not 503."""
    status, body = await answer
    return None if status == 503 else (status, body)


async def test_a_full_disk(serve, small_disk, tmp_path):
    """503 while it is full, nothing half done, and on it goes once there is room: without a restart."""
    file = copy_of("shop.tsk", tmp_path)
    file.write_text(file.read_text() + '\n[store_config]\nsqlite: { path: "disk/shop.db" }\n')
    server = serve(file, "--no-watch")
    await server.start()
    ballast = small_disk / "ballast"

    def fill() -> None:
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(b"x" * (free - 300_000))

    await fill_and_free(server, fill, lambda: ballast.unlink() or grow(small_disk))


def grow(disk: Path) -> None:
    """More room than the ballast took: the write-ahead log has grown meanwhile."""
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)


async def test_a_limit_on_file_sizes(serve, tmp_path):
    """The same where a file may not grow further, which is another error of the system."""
    server = serve(copy_of("shop.tsk", tmp_path), "--no-watch")
    await server.start()
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def fill() -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (600_000, most))

    def free() -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, most))

    await fill_and_free(server, fill, free)
