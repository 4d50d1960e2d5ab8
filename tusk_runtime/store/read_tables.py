"""The tables of read models over one SQLite connection: plain functions, for whichever thread owns it."""

# Names are checked and quoted before they come into a statement, values never do.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from time import monotonic
from typing import Any

import apsw

from tusk_runtime.errors import Conflict, Unavailable
from tusk_runtime.failpoints import hit_in_thread
from tusk_runtime.store.driver import (
    DECIMAL_COLLATION,
    execute_all,
    execute_rows,
    fetch_all,
    rows_of_parameters,
    transaction,
)
from tusk_runtime.store.naming import check_columns, quoted, table_name
from tusk_runtime.store.protocol import Checkpoint, Row, TableSpec

SQL_TYPES: Mapping[str, str] = {
    "string": "TEXT",
    "email": "TEXT",
    "url": "TEXT",
    "uuid": "TEXT",
    "enum": "TEXT",
    "date": "TEXT",
    "datetime": "TEXT",
    "decimal": f"TEXT COLLATE {DECIMAL_COLLATION}",
    "integer": "INTEGER",
    "duration": "INTEGER",
    "boolean": "INTEGER",
    "number": "REAL",
    "bytes": "BLOB",
    "list": "TEXT",
    "map": "TEXT",
    "record": "TEXT",
    "json": "TEXT",
    "null": "TEXT",
}
"""How each kind of value is kept."""

FIND_CHECKPOINT = "SELECT position FROM tusk_checkpoints WHERE table_name = ?"
ADD_CHECKPOINT = "INSERT INTO tusk_checkpoints (table_name, name, definition, position) VALUES (?, ?, ?, ?)"
MOVE_CHECKPOINT = "UPDATE tusk_checkpoints SET position = ? WHERE table_name = ? AND position = ?"
REMOVE_CHECKPOINT = "DELETE FROM tusk_checkpoints WHERE table_name = ?"
ALL_CHECKPOINTS = "SELECT table_name, name, definition, position FROM tusk_checkpoints"

_STEPS_BETWEEN_CHECKS = 20_000
"""Steps of SQLite's machine, each well below a microsecond, between two looks at the clock."""


def create(connection: apsw.Connection, table: TableSpec, checkpoint: Checkpoint) -> int:
    """Make a table and its checkpoint unless they are there. Returns the checkpoint's position."""
    statements = _creation(table)
    with transaction(connection):
        for (position,) in fetch_all(connection, FIND_CHECKPOINT, (table.name,)):
            return int(position)
        for statement in statements:
            connection.execute(statement)
        connection.execute(ADD_CHECKPOINT, (table.name, *checkpoint))
    return checkpoint.position


def drop(connection: apsw.Connection, table: str) -> None:
    """Remove a table and its checkpoint, if they are there."""
    name = table_name(table)
    with transaction(connection):
        connection.execute(f"DROP TABLE IF EXISTS {name}")
        connection.execute(REMOVE_CHECKPOINT, (table,))


def tables(connection: apsw.Connection) -> dict[str, Checkpoint]:
    """All tables of read models with their checkpoints."""
    return {name: Checkpoint(*rest) for name, *rest in fetch_all(connection, ALL_CHECKPOINTS)}


def fetch(connection: apsw.Connection, table: TableSpec, keys: Sequence[Row]) -> list[Row]:
    """The rows with these keys, those that exist, in no particular order."""
    statements = _statements(table.name, tuple(column.name for column in table.columns), tuple(table.key))
    rows: list[Row] = []
    values = [value for key in keys for value in key]
    for cursor in execute_rows(connection, statements.fetch, len(table.key), values):
        rows += cursor.fetchall()
    return rows


def write(
    connection: apsw.Connection,
    table: TableSpec,
    upserts: Sequence[Row],
    deletes: Sequence[Row],
    expected: int,
    position: int,
) -> None:
    """Remove keys, write rows and move the checkpoint, all or nothing. Raises Conflict if it is elsewhere."""
    statements = _statements(table.name, tuple(column.name for column in table.columns), tuple(table.key))
    with transaction(connection):
        connection.execute(MOVE_CHECKPOINT, (position, table.name, expected))
        if connection.changes() != 1:
            raise Conflict(f"the checkpoint of {table.name} is not at {expected}: another writer is ahead")
        gone = [value for key in deletes for value in key]
        execute_all(connection, statements.delete, len(table.key), gone)
        written = [value for row in upserts for value in row]
        execute_all(connection, statements.upsert, len(table.columns), written)
        hit_in_thread("projection.before_commit")


def select(
    connection: apsw.Connection, sql: str, parameters: Sequence[Any], deadline: float, seconds: float
) -> list[Row]:
    """Run a statement until `deadline`, on the monotonic clock. Raises Unavailable past it."""
    # The time spent waiting for a free reader counts: nobody waits for the answer any more.
    if monotonic() > deadline:
        raise Unavailable(f"the query did not begin within {seconds:g} s: too many others are running")
    connection.set_progress_handler(lambda: monotonic() > deadline, _STEPS_BETWEEN_CHECKS)
    try:
        return connection.execute(sql, tuple(parameters)).fetchall()
    except apsw.InterruptError:
        raise Unavailable(f"the query took longer than {seconds:g} s and was stopped") from None
    finally:
        connection.set_progress_handler(None)


class _Statements:
    """The statements of one table, for any number of rows."""

    def __init__(self, table: str, columns: tuple[str, ...], key: tuple[str, ...]) -> None:
        name = table_name(table)
        own = [quoted(column) for column in columns]
        keys = [quoted(column) for column in key]
        rest = [column for column in own if column not in keys]
        change = ", ".join(f"{column} = excluded.{column}" for column in rest)
        action = f"UPDATE SET {change}" if change else "NOTHING"
        # The table's column stands left: the comparison takes its collation from there.
        same = " AND ".join(f"t.{column} = w.k{i}" for i, column in enumerate(keys))
        wanted = ", ".join(f"k{i}" for i in range(len(keys)))
        self._insert = f"INSERT INTO {name} ({', '.join(own)}) VALUES "
        self._on_conflict = f" ON CONFLICT ({', '.join(keys)}) DO {action}"
        self._with = f"WITH w ({wanted}) AS (VALUES "
        self._fetch = (
            f") SELECT {', '.join(f't.{column}' for column in own)} FROM w CROSS JOIN {name} t ON {same}"
        )
        self._delete = f"DELETE FROM {name} WHERE ({', '.join(keys)}) IN (VALUES "
        self._widths = len(own), len(keys)

    def upsert(self, rows: int) -> str:
        return self._insert + rows_of_parameters(self._widths[0], rows) + self._on_conflict

    def fetch(self, rows: int) -> str:
        return self._with + rows_of_parameters(self._widths[1], rows) + self._fetch

    def delete(self, rows: int) -> str:
        return self._delete + rows_of_parameters(self._widths[1], rows) + ")"


_statements = lru_cache(maxsize=256)(_Statements)


def _creation(table: TableSpec) -> list[str]:
    name = table_name(table.name)
    check_columns(table)
    lines = [
        f"{quoted(column.name)} {SQL_TYPES[column.kind]}{'' if column.optional else ' NOT NULL'}"
        for column in table.columns
    ]
    lines.append(f"PRIMARY KEY ({', '.join(quoted(column) for column in table.key)})")
    # Rows are found by their key: without a rowid there is one tree to write instead of two.
    statements = [f"CREATE TABLE {name} ({', '.join(lines)}) STRICT, WITHOUT ROWID"]
    for number, index in enumerate(table.indexes):
        # `#` is in no checked name, so the index of one table never takes the name of another table.
        over = ", ".join(quoted(column) for column in index)
        statements.append(f'CREATE INDEX "{table.name}#{number}" ON {name} ({over})')
    return statements
