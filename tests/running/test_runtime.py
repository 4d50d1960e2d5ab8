"""The running application: commands, queries, aggregates, live events, and edits that become live whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from apps import ACCOUNT, application

from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import Forbidden, Invalid, NotFound, Unavailable, UnknownName
from tusk_runtime.events import Caller
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime

ANN = Caller("ann", ("admin",))


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    runtime = Runtime(application(ACCOUNT), memory_store(), VirtualClock(1_000_000))
    await runtime.start()
    yield runtime
    await runtime.stop()


async def deposit(runtime: Runtime, account: str, owner: str, *amounts: str) -> int:
    answer = await runtime.execute("Open", {"owner": owner, "aggregate_id": account}, caller=ANN)
    for amount in amounts:
        body = f'{{"aggregate_id": "{account}", "amount": "{amount}"}}'.encode()
        answer = await runtime.execute("Deposit", body, caller=ANN)
    return answer.recorded.position


async def test_reads_what_was_written(runtime: Runtime) -> None:
    """A query that waits for a position sees it; parameters not given leave their conditions out."""
    await deposit(runtime, "a", "ann", "10")
    await deposit(runtime, "b", "bob", "200", "1.25")
    position = await deposit(runtime, "c", "bob", "30")
    answer = await runtime.query("accounts", {}, caller=ANN, wait_for=position)
    assert [row["account"] for row in answer.rows] == ["b", "c", "a"]
    assert (answer.total, answer.position, answer.next_cursor) == (3, position, None)
    answer = await runtime.query("accounts", {"owner": "bob", "least": "100"}, caller=ANN)
    assert [(row["account"], row["balance"]) for row in answer.rows] == [("b", Decimal("201.25"))]
    answer = await runtime.query("account", {"account": "b"}, caller=ANN)
    assert answer.rows == {"balance": Decimal("201.25"), "rich": True}
    with pytest.raises(NotFound):
        await runtime.query("account", {"account": "nobody"}, caller=ANN)
    answer = await runtime.query("accounts", {"text": "BO"}, caller=ANN)
    assert len(answer.rows) == 2


async def test_pages_neither_repeat_nor_skip(runtime: Runtime) -> None:
    """The cursor goes through all rows, also where the order has equals."""
    for index in range(25):
        position = await deposit(runtime, f"a{index:02}", "ann", str(index // 5 + 1))
    seen: list[str] = []
    cursor = None
    while True:
        answer = await runtime.query("accounts", {}, caller=ANN, wait_for=position, cursor=cursor, limit=4)
        seen += [row["account"] for row in answer.rows]
        cursor = answer.next_cursor
        if cursor is None:
            break
    assert seen == sorted(seen, key=lambda a: (-(int(a[1:]) // 5), a))
    assert len(seen) == len(set(seen)) == 25
    with pytest.raises(Invalid, match="cursor"):
        await runtime.query("accounts", {}, caller=ANN, cursor="bm9wZQ")
    with pytest.raises(Invalid, match="limit"):
        await runtime.query("accounts", {}, caller=ANN, limit=5000)


async def test_wrong_questions(runtime: Runtime) -> None:
    """Each has its error, with the nearest name."""
    with pytest.raises(UnknownName) as unknown:
        await runtime.query("acounts", {}, caller=ANN)
    assert "accounts" in unknown.value.details["help"]
    with pytest.raises(Invalid):
        await runtime.query("accounts", {"ower": "x"}, caller=ANN)
    with pytest.raises(Invalid):
        await runtime.query("accounts", {"least": "much"}, caller=ANN)
    with pytest.raises(Invalid, match="beyond"):
        await runtime.query("accounts", {}, caller=ANN, wait_for=99)
    with pytest.raises(UnknownName):
        await runtime.aggregate("Acount", "a")
    with pytest.raises(NotFound):
        await runtime.aggregate("Account", "a")
    with pytest.raises(Invalid, match="no JSON"):
        await runtime.execute("Open", b"{", caller=ANN)
    with pytest.raises(Invalid, match="object"):
        await runtime.execute("Open", b"[]", caller=ANN)
    await deposit(runtime, "a", "ann", "5")
    with pytest.raises(Forbidden):
        await runtime.execute("Withdraw", {"aggregate_id": "a", "amount": "1"}, caller=Caller("mallory"))


async def test_an_aggregate_now_and_then(runtime: Runtime) -> None:
    """Its state at the head, and as it was after an earlier version."""
    await deposit(runtime, "a", "ann", "10", "20")
    now = await runtime.aggregate("Account", "a")
    assert (now.version, now.state["balance"], now.state["status"]) == (3, 30, "open")
    then = await runtime.aggregate("Account", "a", version=2)
    assert (then.version, then.state["balance"]) == (2, 10)


async def test_live_events_come_in_order(runtime: Runtime) -> None:
    """From a position on, without holes, also those that are committed later."""
    await deposit(runtime, "a", "ann", "1")
    seen: list[int] = []

    async def follow() -> None:
        async for page in runtime.live(after=0):
            seen.extend(event.position for event in page)
            if len(seen) >= 6:
                return

    task = asyncio.create_task(follow())
    await deposit(runtime, "b", "ann", "1", "2", "3")
    await asyncio.wait_for(task, 5)
    assert seen == [1, 2, 3, 4, 5, 6]


async def test_an_edit_is_live_as_a_whole(runtime: Runtime) -> None:
    """A new column is filled from the log before anything changes over; an unchanged projection goes on."""
    await deposit(runtime, "a", "ann", "10", "20")
    await runtime.settle()
    before = {part.name: part for part in (await runtime.status()).parts}
    edited = ACCOUNT.replace(
        'moves: "integer = 0", touched', 'moves: "integer = 0", doubled: "decimal = 0", touched'
    )
    edited = edited.replace(
        'update: { balance: "{{ row.balance + data.amount }}", moves',
        'update: { doubled: "{{ row.doubled + data.amount * 2 }}", balance: "{{ row.balance + data.amount }}", moves',
    ).replace('message: "not enough money"', 'message: "not nearly enough"')
    await runtime.apply(application(edited))
    answer = await runtime.query("accounts", {}, caller=ANN)
    assert answer.rows[0]["doubled"] == 60
    with pytest.raises(Exception, match="not nearly enough"):
        await runtime.execute("Withdraw", {"aggregate_id": "a", "amount": "500"}, caller=ANN)
    status = await runtime.status()
    assert status.generation == 2
    assert {part.name for part in status.parts} == set(before)


async def test_an_edit_that_cannot_be_built_changes_nothing(runtime: Runtime) -> None:
    """A projection that fails on a stored event, or a setting that needs a restart: the old one goes on."""
    await deposit(runtime, "a", "ann", "10", "10")
    broken = ACCOUNT.replace(
        'moves: "{{ row.moves + 1 }}", touched', 'moves: "{{ 1 // row.moves }}", touched'
    )
    with pytest.raises(Unavailable, match="accounts"):
        await runtime.apply(application(broken))
    with pytest.raises(Unavailable, match="listen"):
        await runtime.apply(application(ACCOUNT + '\n[http]\nlisten: "127.0.0.1:9999"\n'))
    assert runtime.generation == 1
    await runtime.settle()
    answer = await runtime.query("accounts", {}, caller=ANN)
    assert answer.rows[0]["moves"] == 2


async def test_a_failed_projection_says_so_and_an_edit_mends_it() -> None:
    """It stops visibly; commands go on; a corrected definition is built from the log."""
    broken = ACCOUNT.replace(
        'moves: "{{ row.moves + 1 }}", touched', 'moves: "{{ 1 // row.moves }}", touched'
    )
    runtime = Runtime(application(broken), memory_store(), VirtualClock(0))
    await runtime.start()
    await deposit(runtime, "a", "ann", "10", "10")
    await runtime.settle()
    parts = {part.name: part for part in (await runtime.status()).parts}
    assert parts["accounts"].health == "failed"
    assert "position" in parts["accounts"].error
    assert parts["owners"].health == "running"
    await runtime.apply(application(ACCOUNT))
    assert (await runtime.query("accounts", {}, caller=ANN)).rows[0]["moves"] == 2
    await runtime.stop()


async def test_stopped_means_unavailable(runtime: Runtime) -> None:
    """After the stop every request is told so."""
    await runtime.stop()
    with pytest.raises(Unavailable):
        await runtime.execute("Open", {"owner": "x"}, caller=ANN)
