"""What all tables of read models promise."""

from __future__ import annotations

import asyncio
import math
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.conftest import Backend
from tusk_runtime.errors import Conflict, StoreError, Unavailable
from tusk_runtime.store.protocol import Checkpoint, Column, ReadModels, Row, Store, TableSpec

ORDERS = TableSpec(
    "orders_1",
    [Column("id", "uuid"), Column("total", "decimal"), Column("note", "string", optional=True)],
    ["id"],
    [["total"], ["note", "id"]],
)
START = Checkpoint("orders", "hash-1", 0)


async def rows_of(read_models: ReadModels, table: TableSpec, order: str = "") -> list[Row]:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    sql = f'SELECT {names} FROM "{table.name}" {order}'
    return [tuple(row) for row in await read_models.select(sql, (), timeout=5)]


class TestTables:
    async def test_there_are_none_at_first(self, read_models: ReadModels) -> None:
        assert dict(await read_models.tables()) == {}

    async def test_create_is_repeatable_and_keeps_the_checkpoint(self, read_models: ReadModels) -> None:
        assert await read_models.create(ORDERS, START._replace(position=3)) == 3
        await read_models.write(ORDERS, [("a", "1", None)], [], expected=3, position=9)
        assert await read_models.create(ORDERS, START) == 9
        assert await rows_of(read_models, ORDERS) == [("a", "1", None)]
        assert dict(await read_models.tables()) == {"orders_1": Checkpoint("orders", "hash-1", 9)}

    async def test_drop(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        await read_models.drop("orders_1")
        await read_models.drop("orders_1")
        assert dict(await read_models.tables()) == {}
        with pytest.raises(StoreError):
            await rows_of(read_models, ORDERS)
        assert await read_models.create(ORDERS, START._replace(position=5)) == 5

    async def test_old_and_new_side_by_side(self, read_models: ReadModels) -> None:
        newer = TableSpec("orders_2", ORDERS.columns, ORDERS.key, ORDERS.indexes)
        await read_models.create(ORDERS, START)
        await read_models.create(newer, START._replace(definition="hash-2"))
        await read_models.write(newer, [("a", "1", None)], [], expected=0, position=4)
        assert await rows_of(read_models, ORDERS) == []
        assert dict(await read_models.tables()) == {
            "orders_1": Checkpoint("orders", "hash-1", 0),
            "orders_2": Checkpoint("orders", "hash-2", 4),
        }

    async def test_reserved_words_are_fine(self, read_models: ReadModels) -> None:
        table = TableSpec(
            "order",
            [Column("select", "string"), Column("group", "integer"), Column("values", "decimal")],
            ["select", "group"],
            [["values"]],
        )
        await read_models.create(table, START)
        await read_models.write(table, [("a", 1, "2"), ("a", 2, "3")], [], expected=0, position=1)
        await read_models.write(table, [("a", 1, "4")], [("a", 2)], expected=1, position=2)
        assert await read_models.fetch(table, [("a", 1), ("a", 2)]) == [("a", 1, "4")]
        await read_models.drop("order")

    @pytest.mark.parametrize(
        "name", ["", "1a", "A", "a b", 'a"', "a;b", "ä", "a" * 64, "a\0", "a\n", "tusk_events", "sqlite_x"]
    )
    async def test_hostile_names_are_refused(self, read_models: ReadModels, name: str) -> None:
        with pytest.raises(StoreError):
            await read_models.create(TableSpec(name, ORDERS.columns, ORDERS.key), START)
        with pytest.raises(StoreError):
            await read_models.drop(name)
        if not name.startswith(("tusk_", "sqlite_")):
            with pytest.raises(StoreError):
                await read_models.create(TableSpec("fine", [Column(name, "string")], [name]), START)
        assert dict(await read_models.tables()) == {}

    async def test_a_key_has_to_be_there(self, read_models: ReadModels) -> None:
        for key in ([], ["missing"], ["note"]):
            with pytest.raises(StoreError):
                await read_models.create(TableSpec("orders", ORDERS.columns, key), START)
        with pytest.raises(StoreError):
            await read_models.create(TableSpec("orders", ORDERS.columns, ["id"], [["missing"]]), START)

    async def test_a_failed_create_leaves_nothing(self, read_models: ReadModels) -> None:
        double = TableSpec("orders", [Column("id", "uuid"), Column("id", "uuid")], ["id"])
        with pytest.raises(StoreError):
            await read_models.create(double, START)
        assert dict(await read_models.tables()) == {}


class TestWrite:
    async def test_rows_are_written_replaced_and_removed(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        await read_models.write(
            ORDERS, [("a", "1.50", "x"), ("b", "2", None), ("c", "3", "y")], [], expected=0, position=3
        )
        await read_models.write(ORDERS, [("a", "9.00", None)], [("c",), ("zz",)], expected=3, position=5)
        assert await rows_of(read_models, ORDERS, "ORDER BY id") == [("a", "9.00", None), ("b", "2", None)]

    async def test_only_the_checkpoint(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        await read_models.write(ORDERS, [], [], expected=0, position=7)
        assert (await read_models.tables())["orders_1"].position == 7

    async def test_a_table_of_keys_only(self, read_models: ReadModels) -> None:
        table = TableSpec("seen", [Column("id", "uuid")], ["id"])
        await read_models.create(table, START)
        await read_models.write(table, [("a",), ("a",)], [], expected=0, position=1)
        assert await rows_of(read_models, table) == [("a",)]

    async def test_many_rows(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        rows: list[Row] = [(f"{number:05}", str(number), None) for number in range(3001)]
        await read_models.write(ORDERS, rows, [], expected=0, position=1)
        assert await rows_of(read_models, ORDERS, "ORDER BY id") == rows
        found = await read_models.fetch(ORDERS, [(row[0],) for row in rows] + [("none",)])
        assert sorted(found) == rows
        await read_models.write(ORDERS, [], [(row[0],) for row in rows[1:]], expected=1, position=2)
        assert await rows_of(read_models, ORDERS) == rows[:1]

    async def test_a_zombie_loses(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        await read_models.write(ORDERS, [("a", "2", None)], [], expected=0, position=10)
        for expected in (0, 5, 11):
            with pytest.raises(Conflict):
                await read_models.write(ORDERS, [("a", "1", None)], [("a",)], expected=expected, position=20)
        assert await rows_of(read_models, ORDERS) == [("a", "2", None)]
        assert (await read_models.tables())["orders_1"].position == 10

    async def test_of_two_at_once_one_wins(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        answers = await asyncio.gather(
            *(
                read_models.write(ORDERS, [("a", str(n), None)], [], expected=0, position=n)
                for n in range(1, 6)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, Conflict) for answer in answers) == 4
        [(_, total, _)] = await rows_of(read_models, ORDERS)
        assert str((await read_models.tables())["orders_1"].position) == total

    async def test_without_a_table_there_is_no_writing(self, read_models: ReadModels) -> None:
        with pytest.raises(Conflict):
            await read_models.write(ORDERS, [("a", "1", None)], [], expected=0, position=1)

    @pytest.mark.parametrize("bad", [("b", None, None), (None, "1", None), ("b", "1", b"\x00")])
    async def test_all_or_nothing(self, read_models: ReadModels, bad: Row) -> None:
        await read_models.create(ORDERS, START)
        with pytest.raises(StoreError):
            await read_models.write(ORDERS, [("a", "1", None), bad], [], expected=0, position=1)
        assert await rows_of(read_models, ORDERS) == []
        assert (await read_models.tables())["orders_1"].position == 0


VALUES: dict[str, list[Any]] = {
    "string": ["", "a", "Grüße 🦕", "a\1b", "'\";--", "1e5", "007"],
    "uuid": ["0190c1d2-0000-7000-8000-000000000000"],
    "date": ["2024-02-29"],
    "datetime": ["2024-02-29T12:00:00.000001Z"],
    "decimal": ["0", "-0.00", "90.00", "12345678901234567890.123456789", "1E+3"],
    "integer": [0, -1, 2**63 - 1, -(2**63)],
    "duration": [0, 86_400_000_000],
    "boolean": [0, 1],
    "number": [0.0, -1.5, 1e300, 5e-324, 0.1 + 0.2, 3],
    "bytes": [b"", b"\x00\xff", b"1"],
    "json": ['{"a":[1,2.50,null]}', "null"],
    "list": ["[]"],
}


class TestKinds:
    @pytest.mark.parametrize("kind", VALUES)
    async def test_every_kind_comes_back_as_it_was(self, read_models: ReadModels, kind: str) -> None:
        table = TableSpec("t", [Column("id", "integer"), Column("v", kind, optional=True)], ["id"], [["v"]])
        await read_models.create(table, START)
        rows: list[Row] = list(enumerate([*VALUES[kind], None]))
        await read_models.write(table, rows, [], expected=0, position=1)
        found = await rows_of(read_models, table, "ORDER BY id")
        fetched = sorted(await read_models.fetch(table, [(row[0],) for row in rows]))
        assert fetched == found
        if kind == "decimal":  # the same value; `1E+3` may come back as `1000`
            assert all(isinstance(value, str) for _, value in found[:-1])
            rows = [(number, value and Decimal(value)) for number, value in rows]
            found = [(number, value and Decimal(value)) for number, value in found]
        assert found == rows

    async def test_the_character_0(self, backend: Backend, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        row: Row = ("a", "1", "x\0y")
        if "any text" in backend.capabilities:
            await read_models.write(ORDERS, [row], [], expected=0, position=1)
            assert await read_models.fetch(ORDERS, [("a",)]) == [row]
            return
        with pytest.raises(StoreError):
            await read_models.write(ORDERS, [row], [], expected=0, position=1)
        assert (await read_models.tables())["orders_1"].position == 0

    @pytest.mark.parametrize("kind", sorted(set(VALUES) - {"decimal"}))
    async def test_every_kind_can_be_a_key(self, read_models: ReadModels, kind: str) -> None:
        table = TableSpec("t", [Column("v", kind), Column("n", "integer")], ["v"])
        await read_models.create(table, START)
        rows: list[Row] = [(value, number) for number, value in enumerate(VALUES[kind])]
        await read_models.write(table, rows, [], expected=0, position=1)
        for row in rows:
            assert await read_models.fetch(table, [(row[0],)]) == [row]

    async def test_decimals_are_ordered_and_equal_by_value(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        totals = ["100", "9.5", "-3", "90.00", "90.01", "1E+2", "0.1"]
        rows: list[Row] = [(str(number), total, None) for number, total in enumerate(totals)]
        await read_models.write(ORDERS, rows, [], expected=0, position=1)

        found = await rows_of(read_models, ORDERS, "ORDER BY total, id")
        assert [row[0] for row in found] == ["2", "6", "1", "3", "4", "0", "5"]

        async def ids(condition: str, value: str) -> list[str]:
            sql = f"SELECT id FROM orders_1 WHERE total {condition} ? ORDER BY id"
            return [str(row[0]) for row in await read_models.select(sql, (value,), timeout=5)]

        assert await ids("=", "90") == ["3"]
        assert await ids(">", "9.50") == ["0", "3", "4", "5"]
        assert await ids("<", "0") == ["2"]
        [(distinct,)] = await read_models.select("SELECT count(DISTINCT total) FROM orders_1", (), timeout=5)
        assert distinct == 6

    async def test_decimals_as_keys(self, read_models: ReadModels) -> None:
        table = TableSpec("prices", [Column("price", "decimal"), Column("n", "integer")], ["price"])
        await read_models.create(table, START)
        await read_models.write(table, [("90", 1), ("9", 2)], [], expected=0, position=1)
        await read_models.write(table, [("90.00", 3)], [("9.0",)], expected=1, position=2)
        [(price, n)] = await rows_of(read_models, table)
        assert (Decimal(price), n) == (Decimal(90), 3)
        assert [row[1] for row in await read_models.fetch(table, [("90.000",)])] == [3]

    async def test_keys_of_several_columns(self, read_models: ReadModels) -> None:
        table = TableSpec(
            "pairs", [Column("n", "integer"), Column("b", "string"), Column("a", "decimal")], ["a", "b"]
        )
        await read_models.create(table, START)
        rows: list[Row] = [(1, "x", "1"), (2, "x", "2"), (3, "y", "1")]
        await read_models.write(table, rows, [], expected=0, position=1)
        assert sorted(await read_models.fetch(table, [("1.0", "x"), ("1", "y"), ("2", "y")])) == [
            rows[0], rows[2],
        ]  # fmt: skip
        await read_models.write(table, [], [("1.00", "x")], expected=1, position=2)
        assert sorted(await rows_of(read_models, table)) == rows[1:]

    async def test_fetching_nothing(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        assert list(await read_models.fetch(ORDERS, [])) == []

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(numbers=st.lists(st.decimals(allow_nan=False, allow_infinity=False), min_size=2, max_size=30))
    def test_any_decimals_are_ordered_by_value(self, tmp_path: Path, numbers: list[Decimal]) -> None:
        async def ordered() -> list[Decimal]:
            from tusk_runtime.store.memory import MemoryStore

            store = MemoryStore()
            table = TableSpec("t", [Column("id", "integer"), Column("v", "decimal")], ["id"])
            await store.read_models.create(table, START)
            rows: list[Row] = [(n, str(number)) for n, number in enumerate(numbers)]
            await store.read_models.write(table, rows, [], expected=0, position=1)
            found = await rows_of(store.read_models, table, "ORDER BY v, id")
            await store.close()
            return [Decimal(row[1]) for row in found]

        assert asyncio.run(ordered()) == sorted(numbers)


class TestSelect:
    async def test_parameters(self, read_models: ReadModels) -> None:
        rows = await read_models.select("SELECT ? + 1, ?", (41, "x"), timeout=5)
        assert [tuple(row) for row in rows] == [(42, "x")]

    @pytest.mark.parametrize(
        "sql",
        [
            "DELETE FROM orders_1",
            "DROP TABLE orders_1",
            "INSERT INTO orders_1 VALUES ('x', '1', NULL)",
            "CREATE TABLE other (x)",
            "ATTACH DATABASE ':memory:' AS other",
            "SELECT 1; DELETE FROM orders_1",
        ],
    )
    async def test_nothing_can_be_written(self, read_models: ReadModels, sql: str) -> None:
        await read_models.create(ORDERS, START)
        await read_models.write(ORDERS, [("a", "1", None)], [], expected=0, position=1)
        with pytest.raises(StoreError):
            await read_models.select(sql, (), timeout=5)
        assert len(await rows_of(read_models, ORDERS)) == 1
        await read_models.write(ORDERS, [("b", "1", None)], [], expected=1, position=2)

    @pytest.mark.parametrize("sql", ["SELECT * FROM nowhere", "SELEKT 1", "SELECT ?"])
    async def test_a_wrong_statement(self, read_models: ReadModels, sql: str) -> None:
        with pytest.raises(StoreError):
            await read_models.select(sql, (), timeout=5)

    async def test_a_slow_statement_is_stopped(self, read_models: ReadModels) -> None:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await read_models.select(endless, (), timeout=0.1)
        assert time.monotonic() - began < 2
        assert list(await read_models.select("SELECT 1", (), timeout=5)) == [(1,)]

    async def test_what_was_written_is_seen_at_once(self, read_models: ReadModels) -> None:
        await read_models.create(ORDERS, START)
        for position in range(1, 30):
            await read_models.write(
                ORDERS, [("a", str(position), None)], [], expected=position - 1, position=position
            )
            assert await rows_of(read_models, ORDERS) == [("a", str(position), None)]

    async def test_numbers_are_exact(self, read_models: ReadModels) -> None:
        [(value,)] = await read_models.select("SELECT 0.1 + 0.2", (), timeout=5)
        assert math.isclose(float(value), 0.3)


class TestLife:
    async def test_reopening_continues(self, backend: Backend, tmp_path: Path) -> None:
        backend.require("durable")
        store: Store = await backend.make(tmp_path)
        await store.open()
        await store.read_models.create(ORDERS, START)
        await store.read_models.write(ORDERS, [("a", "1", None)], [], expected=0, position=4)
        await store.close()
        store = await backend.make(tmp_path)
        await store.open()
        assert dict(await store.read_models.tables()) == {"orders_1": Checkpoint("orders", "hash-1", 4)}
        assert await rows_of(store.read_models, ORDERS) == [("a", "1", None)]
        await store.close()
