"""Events of older versions and older names in a running application: edits, commands, projections, the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from apps import application

from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import Invalid, InvalidConfiguration, Unavailable, UnknownName
from tusk_runtime.events import Caller, command_id_from, new_id
from tusk_runtime.language.report import render
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.reads import ReadSide
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.protocol import Decision, NewEvent, Store
from tusk_runtime.testing import run_case

ANN = Caller("ann", ("admin",))
REST = """
[projections.audit]
key: "kind"
columns: { kind: "string", seen: "integer = 0", newest: "json?" }
on: { "*": { upsert: { kind: "{{ event.event_type }}", seen: "{{ row.seen + 1 }}", newest: "{{ data }}" } } }
[queries.audit]
from: "audit"
"""
FIRST = (
    """
[events]
Created: { fields: { client: "string", cents: "integer" } }
Closed: {}
[aggregates.Order]
id: "string"
state: { client: "string?", cents: "integer = 0", closed: "boolean = false" }
on: { Created: { client: "{{ data.client }}", cents: "{{ data.cents }}" }, Closed: { closed: true } }
[commands]
Create: { aggregate: "Order", creates: true, fields: { client: "string", cents: "integer" }, emit: "Created" }
Close: { aggregate: "Order", creates: false, emit: "Closed" }
[projections.orders]
key: "id"
columns: { id: "string", client: "string", cents: "integer" }
on: { Created: { insert: { client: "{{ data.client }}", cents: "{{ data.cents }}" } } }
[queries.orders]
from: "orders"
order_by: "id"
"""
    + REST
)
THIRD = (
    """
[events]
Closed: {}
[events.Placed]
was: "Created"
version: 3
fields: { customer: "string", total: "decimal(places=2)", at: "datetime", kind: "string" }
upcast:
  1: { rename: { client: "customer" } }
  2: { set: { total: "{{ decimal(data.cents) / 100 }}", at: "{{ now }}", kind: "{{ event.event_type }}" }, remove: "cents" }
[aggregates.Order]
id: "string"
state: { customer: "string?", total: "decimal = 0", kind: "string?", closed: "boolean = false" }
on:
  Placed: { customer: "{{ data.customer }}", total: "{{ data.total }}", kind: "{{ event.event_type + '/' + data.kind }}" }
  Closed: { closed: true }
[commands]
Close: { aggregate: "Order", creates: false, require: { check: "{{ state.total < 100 }}", message: "it is {{ state.total }}" }, emit: "Closed" }
[commands.Place]
aggregate: "Order"
creates: true
fields: { customer: "string", total: "decimal(places=2)" }
emit: { event: "Placed", data: { at: "{{ now }}", kind: "new" } }
[projections.orders]
key: "id"
columns: { id: "string", customer: "string", total: "decimal", at: "datetime" }
on: { Placed: { insert: { customer: "{{ data.customer }}", total: "{{ data.total }}", at: "{{ data.at }}" } } }
[queries.orders]
from: "orders"
order_by: "id"
[tests.given_is_of_the_declared_version]
given: [{ Placed: { aggregate_id: "a", customer: "ann", total: 5, at: "2026-01-01T00:00:00Z", kind: "x" } }]
when: { Close: { aggregate_id: "a" } }
then: { events: ["Closed"], state: [{ Order: { aggregate_id: "a", total: 5, closed: true } }] }
[tests.events_go_by_their_name]
when: { Place: { customer: "bob", total: "7.50" } }
then: { events: [{ Placed: { customer: "bob", total: "7.50", kind: "new" } }] }
"""
    + REST
)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = memory_store()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def runtime(store: Store) -> AsyncIterator[Runtime]:
    """The first edition, with two orders in the log."""
    runtime = Runtime(application(FIRST), store, VirtualClock(1_000_000))
    await runtime.start()
    for id_, cents in (("a", 1999), ("b", 12300)):
        await runtime.execute("Create", {"aggregate_id": id_, "client": id_ * 3, "cents": cents}, caller=ANN)
    await runtime.settle()
    yield runtime
    await runtime.stop()


async def append(store: Store, id_: str, version: int, type_: str, data: Any) -> None:
    decision = Decision(new_id(), 0, "Order", id_, version, 5, b"{}", [NewEvent(type_, orjson.dumps(data))])
    await store.events.append([decision])


async def rows(runtime: Runtime, query: str = "orders") -> list[dict[str, Any]]:
    await runtime.settle()
    return list((await runtime.query(query, {}, caller=ANN)).rows)


async def test_an_edit_reads_what_is_stored_in_its_own_way(runtime: Runtime, store: Store) -> None:
    """State, rows, answers and filters by the new declaration; the log as it was; commands write version 3."""
    before = [event[:] for event in await store.events.read()]
    await runtime.apply(application(THIRD))

    state = (await runtime.aggregate("Order", "a")).state
    assert state == {"customer": "aaa", "total": Decimal("19.99"), "kind": "Placed/Placed", "closed": False}
    await runtime.execute("Close", {"aggregate_id": "a"}, caller=ANN)
    with pytest.raises(Exception, match=r"123\.00"):
        await runtime.execute("Close", {"aggregate_id": "b"}, caller=ANN)
    answer = await runtime.execute(
        "Place", {"aggregate_id": "c", "customer": "cat", "total": "5"}, caller=ANN
    )
    assert [event["event_type"] for event in answer.as_json()["events"]] == ["Placed"]
    assert [(row["id"], row["customer"], row["total"]) for row in await rows(runtime)] == [
        ("a", "aaa", Decimal("19.99")), ("b", "bbb", Decimal("123.00")), ("c", "cat", Decimal("5.00")),
    ]  # fmt: skip

    log = await store.events.read()
    assert [event[:] for event in log[:2]] == before
    assert [event.type for event in log] == ["Created", "Created", "Closed", "Placed@3"]
    assert [e.position for e in await runtime.events(types=["Placed"])] == [1, 2, 4]
    with pytest.raises(UnknownName):
        await runtime.events(types=["Created"])
    audit = {row["kind"]: row for row in await rows(runtime, "audit")}
    assert {kind: row["seen"] for kind, row in audit.items()} == {"Placed": 3, "Closed": 1}
    assert audit["Placed"]["newest"]["kind"] == "new"


async def test_every_stored_version_meets_the_same_handlers(runtime: Runtime, store: Store) -> None:
    """Versions 1, 2 and 3, under both names, in one log; also the json that `"*"` sees."""
    await append(store, "v2", 0, "Created@2", {"customer": "two", "cents": 200})
    await append(store, "p1", 0, "Placed", {"client": "one", "cents": 100})
    third = {"customer": "three", "total": "3.00", "at": "2026-01-01T00:00:00Z", "kind": "k"}
    await append(store, "v3", 0, "Created@3", third)
    await runtime.apply(application(THIRD))
    found = {row["id"]: (row["customer"], row["total"]) for row in await rows(runtime)}
    assert found.items() >= {"v2": ("two", 2), "p1": ("one", 1), "v3": ("three", 3)}.items()
    for id_, customer in (("v2", "two"), ("p1", "one"), ("v3", "three")):
        assert (await runtime.aggregate("Order", id_)).state["customer"] == customer
    [audit] = [row for row in await rows(runtime, "audit") if row["kind"] == "Placed"]
    assert (audit["seen"], audit["newest"]) == (5, third)


async def test_a_repeated_command_gets_the_name_that_the_event_has_now(runtime: Runtime) -> None:
    sent = {"aggregate_id": "r", "customer": "x", "total": "1"}
    await runtime.apply(application(THIRD))
    key = command_id_from("once")
    for _ in range(2):
        answer = await runtime.execute("Place", sent, command_id=key, caller=ANN)
        assert list(answer.types) == ["Placed"]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (('  1: { rename: { client: "customer" } }\n', ""), ["2 `Created`, from position 1 on: version 1", "`1: {}`"]),
        (("version: 3", "version: 2"), []),
        (('was: "Created"\n', ""), None),
    ],
)  # fmt: skip
async def test_an_edit_without_a_path_is_refused(
    runtime: Runtime, store: Store, edit: tuple[str, str], told: list[str] | None
) -> None:
    """All or nothing: the old one goes on. An event that is declared no more changes nothing, as ever."""
    edited = THIRD.replace(*edit)
    assert edited != THIRD
    if told is None:
        await runtime.apply(application(edited))
        assert await rows(runtime) == []
        return
    if not told:
        await runtime.apply(application(THIRD))
        await runtime.execute("Place", {"aggregate_id": "c", "customer": "c", "total": "5"}, caller=ANN)
        edited = edited.replace("  2: { set", "  1: { set").replace(
            '  1: { rename: { client: "customer" } }\n', ""
        )
        told = [
            "`Placed@3` at position 3: version 3, and `Placed` is declared in 2",
            "`version: 3`",
            "version 4",
        ]
    generation = runtime.generation
    with pytest.raises(InvalidConfiguration) as refused:
        await runtime.apply(application(edited))
    text = render(refused.value.diagnostics)
    assert all(part in text for part in ["TSK500", "test.tsk:4:", *told]), text
    assert runtime.generation == generation
    command = "Create" if generation == 1 else "Place"
    fields = {"client": "z", "cents": 1} if generation == 1 else {"customer": "z", "total": 1}
    await runtime.execute(command, {"aggregate_id": "z", **fields}, caller=ANN)
    assert [row["id"] for row in await rows(runtime)][-1] == "z"
    other = Runtime(application(edited), store, VirtualClock(1_000_000))
    with pytest.raises(InvalidConfiguration):
        await other.start()


async def test_what_is_written_while_an_edit_is_built_is_looked_at_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old application may write the first event of a version between the first look and the change-over."""
    runtime = Runtime(application(THIRD), store, VirtualClock(1_000_000))
    await runtime.start()
    edited = THIRD.replace("version: 3", "version: 4")  # and no step 3
    caught_up = ReadSide.caught_up

    async def meanwhile(side: ReadSide) -> None:
        await caught_up(side)
        await runtime.execute("Place", {"aggregate_id": "m", "customer": "m", "total": 1}, caller=ANN)

    monkeypatch.setattr(ReadSide, "caught_up", meanwhile)
    with pytest.raises(InvalidConfiguration, match="`Placed@3` at position 1"):
        await runtime.apply(application(edited))
    assert [row["id"] for row in await rows(runtime)] == ["m"]
    await runtime.execute("Close", {"aggregate_id": "m"}, caller=ANN)
    await runtime.stop()


async def test_an_event_from_a_newer_process_cannot_be_decided_on(runtime: Runtime, store: Store) -> None:
    """Only that aggregate is refused: what another declaration wrote may not be left out of a decision."""
    await append(store, "n", 0, "Created@2", {"customer": "newer", "cents": 1})
    with pytest.raises(Invalid, match="Created@2"):
        await runtime.execute("Close", {"aggregate_id": "n"}, caller=ANN)
    with pytest.raises(Invalid, match="Created@2"):
        await runtime.aggregate("Order", "n")
    await runtime.execute("Close", {"aggregate_id": "a"}, caller=ANN)


async def test_an_upcast_that_fails_is_told_like_any_handler(runtime: Runtime, store: Store) -> None:
    """422 with the place and the values; the projection names the position."""
    await append(store, "bad", 0, "Created", {"client": "x", "cents": "many"})
    broken = application(THIRD)
    with pytest.raises(Unavailable, match=r"position 3 could not be applied: test\.tsk:10:"):
        await runtime.apply(broken)
    rest = application(THIRD[: THIRD.index("[projections.orders]")])
    await runtime.apply(rest)
    with pytest.raises(Invalid) as refused:
        await runtime.execute("Close", {"aggregate_id": "bad"}, caller=ANN)
    assert refused.value.details["place"].startswith("test.tsk:10:")
    assert refused.value.details["values"] == {"data.cents": "'many'"}


async def test_a_chain_that_leaves_a_field_out_stops_the_projection(runtime: Runtime) -> None:
    """A null where none may be is no fault of the store, to be tried again for ever."""
    edited = THIRD.replace('{ rename: { client: "customer" } }', "{}")
    with pytest.raises(
        Unavailable, match="position 1 could not be applied: it leaves null in the column `customer`"
    ):
        await runtime.apply(application(edited))
    assert [row["client"] for row in await rows(runtime)] == ["aaa", "bbb"]


async def test_the_result_of_a_chain_that_cannot_be_decoded_has_a_place(runtime: Runtime) -> None:
    """Nothing computes it, so the event's own place is told."""
    edited = THIRD.replace(
        'set: { total: "{{ decimal(data.cents) / 100 }}",',
        'rename: { cents: "at" }, add: { total: 1 }, set: {',
    )
    edited = edited.replace(' at: "{{ now }}",', "", 1).replace(', remove: "cents" }', " }")
    with pytest.raises(
        Unavailable, match=r"test\.tsk:4:\d+: `Placed` of version 1 does not become version 3"
    ):
        await runtime.apply(application(edited))


@pytest.mark.parametrize("name", ["given_is_of_the_declared_version", "events_go_by_their_name"])
async def test_declared_tests(name: str) -> None:
    app = application(THIRD)
    outcome = await run_case(app, app.tests[name])
    assert outcome.passed, outcome.differences
