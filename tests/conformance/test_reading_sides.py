"""A whole application on every store: the same rows, and the same answers to every kind of question."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from apps import application

from tests.conformance.conftest import Backend
from tusk_runtime.clock import VirtualClock
from tusk_runtime.events import Caller
from tusk_runtime.running.runtime import Runtime

ANN = Caller("ann")
APP = """
[types]
Point: { x: "integer", y: "integer?" }

[events.Added]
fields: { name: "string", price: "decimal", weight: "number?", day: "date", at: "datetime", sold: "boolean",
  lasts: "duration", tags: "list<string>", place: "Point?", image: "bytes?", n: "integer" }
[events]
Sold: {}
Removed: {}

[aggregates.Item]
id: "string"
state: { there: "boolean = false" }
on: { Added: { there: true }, Sold: {}, Removed: { there: false } }

[commands.Add]
aggregate: "Item"
creates: true
fields: { name: "string", price: "decimal", weight: "number?", day: "date", at: "datetime", sold: "boolean",
  lasts: "duration", tags: "list<string>", place: "Point?", image: "bytes?", n: "integer" }
emit: "Added"
[commands]
Sell: { aggregate: "Item", emit: "Sold" }
Remove: { aggregate: "Item", emit: "Removed" }

[projections.items]
key: "item"
columns: { item: "string", name: "string", price: "decimal", weight: "number?", day: "date", at: "datetime",
  sold: "boolean", lasts: "duration", tags: "list<string>", place: "Point?", image: "bytes?", n: "integer" }
index: [["name"], ["day", "price"], ["tags"]]
on:
  Added: { insert: { name: "{{ data.name }}", price: "{{ data.price }}", weight: "{{ data.weight }}",
    day: "{{ data.day }}", at: "{{ data.at }}", sold: "{{ data.sold }}", lasts: "{{ data.lasts }}",
    tags: "{{ data.tags }}", place: "{{ data.place }}", image: "{{ data.image }}", n: "{{ data.n }}" } }
  Sold: { update: { sold: true, price: "{{ row.price * 0.5 }}" } }
  Removed: { delete: true }

[projections.per_day]
key: ["day", "sold"]
columns: { day: "date", sold: "boolean", count: "integer = 0", total: "decimal = 0" }
on:
  Added: { upsert: { day: "{{ data.day }}", sold: "{{ data.sold }}", count: "{{ row.count + 1 }}", total: "{{ row.total + data.price }}" } }

[queries]
equal: { params: { name: "string?", price: "decimal?", sold: "boolean?", day: "date?", at: "datetime?" }, from: "items",
  where: { name: "{{ params.name }}", price: "{{ params.price }}", sold: "{{ params.sold }}", day: "{{ params.day }}", at: "{{ params.at }}" }, order_by: ["item"], total: true }
other: { params: { name: "string" }, from: "items", where: { name: { ne: "{{ params.name }}" } } }
dear: { params: { least: "decimal" }, from: "items", where: { price: { gte: "{{ params.least }}" } }, order_by: ["-price"] }
cheap: { params: { most: "decimal" }, from: "items", where: { price: { lt: "{{ params.most }}" } }, order_by: ["price"] }
late: { params: { since: "datetime" }, from: "items", where: { at: { gt: "{{ params.since }}" } }, order_by: ["at"] }
early: { params: { until: "date" }, from: "items", where: { day: { lte: "{{ params.until }}" } }, order_by: ["day", "-name"] }
among: { params: { names: "list<string>" }, from: "items", where: { name: { in: "{{ params.names }}" } } }
others: { params: { names: "list<string>" }, from: "items", where: { name: { not_in: "{{ params.names }}" } } }
between: { params: { low: "decimal", high: "decimal" }, from: "items", where: { price: { between: "{{ [params.low, params.high] }}" } } }
holding: { params: { text: "string" }, from: "items", where: { name: { contains: "{{ params.text }}" } } }
beginning: { params: { text: "string" }, from: "items", where: { name: { startswith: "{{ params.text }}" } } }
weightless: { params: { yes: "boolean" }, from: "items", where: { weight: { is_null: "{{ params.yes }}" } } }
found: { params: { text: "string" }, from: "items", search: { columns: ["name", "item"], text: "{{ params.text }}" } }
pages: { from: "items", order_by: ["weight", "-n"], limit: 2 }
days: { from: "per_day", order_by: ["day", "sold"] }
"""

NAMES = ["Ärmel", "ärger", "Zange", "hammer", "Hammer 100%_", "a'b"]


def item(number: int) -> dict[str, Any]:
    return {
        "name": NAMES[number % len(NAMES)],
        "price": ["9.50", "90", "90.00", "-3", "100.25"][number % 5],
        "weight": [1.5, None, 0.1, 1e100][number % 4],
        "day": f"2024-02-{1 + number % 3:02}",
        "at": f"2024-02-01T12:00:00.{number % 7:06}Z",
        "sold": number % 3 == 0,
        "lasts": "PT90M",
        "tags": [] if number % 2 else ["x", "ü"],
        "place": None if number % 3 else {"x": number, "y": None},
        "image": None if number % 2 else "AAE=",
        "n": number,
    }


@pytest.fixture
async def runtime(backend: Backend, tmp_path: Path) -> AsyncIterator[Runtime]:
    made = Runtime(application(APP), await backend.make(tmp_path), VirtualClock(1_700_000_000_000_000))
    await made.start()
    for number in range(12):
        await made.execute("Add", item(number), aggregate_id=f"i{number:02}", caller=ANN)
    await made.execute("Sell", {}, aggregate_id="i03", caller=ANN)
    await made.execute("Sell", {}, aggregate_id="i04", caller=ANN)
    await made.execute("Remove", {}, aggregate_id="i11", caller=ANN)
    await made.settle()
    yield made
    await made.stop()


async def items(runtime: Runtime, query: str, **params: Any) -> list[str]:
    answer = await runtime.query(query, params, caller=ANN)
    return [row["item"] for row in answer.rows]


QUESTIONS: list[tuple[str, Mapping[str, Any], str]] = [
    ("equal", {"name": "Zange"}, "02 08"),
    ("equal", {"name": "zange"}, ""),
    ("equal", {"price": "90"}, "01 02 06 07"),
    ("equal", {"sold": True}, "00 03 04 06 09"),
    ("equal", {"day": "2024-02-03"}, "02 05 08"),
    ("equal", {"at": "2024-02-01T12:00:00.000003Z"}, "03 10"),
    ("equal", {"sold": False, "price": "9.5"}, "05 10"),
    ("other", {"name": "Zange"}, "00 01 03 04 05 06 07 09 10"),
    ("dear", {"least": "90"}, "09 01 02 06 07"),
    ("cheap", {"most": "9.5"}, "08 03"),
    ("late", {"since": "2024-02-01T12:00:00.000004Z"}, "05 06"),
    ("early", {"until": "2024-02-01"}, "00 06 03 09"),
    ("among", {"names": ["Zange", "a'b", "?"]}, "02 05 08"),
    ("among", {"names": []}, ""),
    ("others", {"names": ["Zange", "a'b"]}, "00 01 03 04 06 07 09 10"),
    ("between", {"low": "9.5", "high": "50.125"}, "00 04 05 10"),
    ("holding", {"text": "ÄR"}, "00 01 06 07"),
    ("holding", {"text": "HAMMER"}, "03 04 09 10"),
    ("holding", {"text": "%_"}, "04 10"),
    ("beginning", {"text": "Ha"}, "04 10"),
    ("beginning", {"text": "Ä"}, "00 06"),
    ("weightless", {"yes": True}, "01 05 09"),
    ("weightless", {"yes": False}, "00 02 03 04 06 07 08 10"),
    ("found", {"text": "ä I0"}, "00 01 06 07"),
    ("found", {"text": "hammer 1"}, "04 10"),
]


@pytest.mark.parametrize(("query", "params", "expected"), QUESTIONS, ids=str)
async def test_questions(runtime: Runtime, query: str, params: Mapping[str, Any], expected: str) -> None:
    found = await items(runtime, query, **params)
    assert found == [f"i{number}" for number in expected.split()], found


async def test_values_come_back(runtime: Runtime) -> None:
    """Rows hold the values of the events, in every type."""
    answer = await runtime.query("equal", {}, caller=ANN)
    rows = {row["item"]: row for row in answer.rows}
    assert (answer.total, len(rows)) == (11, 11)
    state = await runtime.query("equal", {"name": "Ärmel"}, caller=ANN)
    first = state.rows[0]
    assert (str(first["price"]), first["weight"], str(first["day"])) == ("9.50", 1.5, "2024-02-01")
    assert (first["tags"], first["place"], first["image"]) == (["x", "ü"], {"x": 0, "y": None}, b"\x00\x01")
    assert (first["sold"], first["lasts"].total_seconds(), first["n"]) == (True, 5400, 0)
    assert first["at"].isoformat() == "2024-02-01T12:00:00+00:00"


async def test_pages_neither_repeat_nor_skip(runtime: Runtime) -> None:
    seen: list[str] = []
    cursor = None
    for _ in range(20):
        answer = await runtime.query("pages", {}, caller=ANN, cursor=cursor)
        seen += [row["item"] for row in answer.rows]
        cursor = answer.next_cursor
        if cursor is None:
            break
    assert seen == [f"i{n}" for n in ["10", "06", "02", "08", "04", "00", "07", "03", "09", "05", "01"]]


async def test_rows_of_several_keys_add_up(runtime: Runtime) -> None:
    answer = await runtime.query("days", {}, caller=ANN)
    rows = [(str(r["day"]), r["sold"], r["count"], str(r["total"])) for r in answer.rows]
    assert [row[:3] for row in rows] == [
        ("2024-02-01", True, 4),
        ("2024-02-02", False, 4),
        ("2024-02-03", False, 4),
    ]
    assert sum(row[2] for row in rows) == 12


async def test_they_are_still_there_after_a_restart(backend: Backend, tmp_path: Path) -> None:
    backend.require("durable")
    for round_ in range(2):
        runtime = Runtime(application(APP), await backend.make(tmp_path), VirtualClock(1_700_000_000_000_000))
        await runtime.start()
        await runtime.execute("Add", item(round_), aggregate_id=f"i{round_}", caller=ANN)
        await runtime.settle()
        assert await items(runtime, "equal") == [f"i{number}" for number in range(round_ + 1)]
        await runtime.stop()
