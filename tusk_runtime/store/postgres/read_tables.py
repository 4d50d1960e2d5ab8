"""The tables of read models: one statement for any number of rows, since each column travels as an array."""

# Names are checked and quoted before they come into a statement, values never do.
# ruff: noqa: S608

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import asyncpg

from tusk_runtime.errors import Conflict
from tusk_runtime.failpoints import hit
from tusk_runtime.store.naming import check_columns, quoted, table_name
from tusk_runtime.store.postgres.names import Names
from tusk_runtime.store.protocol import Checkpoint, Row, TableSpec

TEXT = 'text COLLATE "C"'
"""Texts are ordered by their code points, as in every store."""

SQL_TYPES: Mapping[str, str] = {
    "string": TEXT,
    "email": TEXT,
    "url": TEXT,
    "uuid": TEXT,
    "enum": TEXT,
    "date": "date",
    "datetime": "timestamptz",
    "decimal": "numeric",
    "integer": "bigint",
    "duration": "bigint",
    "boolean": "boolean",
    "number": "double precision",
    "bytes": "bytea",
    "list": "json",
    "map": "json",
    "record": "json",
    "json": "json",
    "null": TEXT,
}
"""How each kind of value is kept. `json` keeps the very text, which `jsonb` does not."""

INDEXED_TYPES: Mapping[str, str] = {kind: TEXT for kind, type_ in SQL_TYPES.items() if type_ == "json"}
"""How a kind is kept in a column of a key or an index: `json` has no order."""

_PIECES = re.compile(r"""\?|"(?:[^"]|"")*"|'(?:[^']|'')*'""")


class ReadTables:
    """The tables of one store."""

    def __init__(self, names: Names) -> None:
        self._checkpoints = names.checkpoints

    async def create(self, connection: asyncpg.Connection, table: TableSpec, checkpoint: Checkpoint) -> int:
        """Make a table and its checkpoint unless they are there. Returns the checkpoint's position."""
        statements = _creation(table)
        find = f"SELECT position FROM {self._checkpoints} WHERE table_name = $1"
        async with connection.transaction():
            # Another process may be making the same table.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", table.name)
            position = await connection.fetchval(find, table.name)
            if position is not None:
                return int(position)
            for statement in statements:
                await connection.execute(statement)
            await connection.execute(
                f"INSERT INTO {self._checkpoints} (table_name, name, definition, position) "
                "VALUES ($1, $2, $3, $4)",
                table.name,
                *checkpoint,
            )
        return checkpoint.position

    async def drop(self, connection: asyncpg.Connection, table: str) -> None:
        """Remove a table and its checkpoint, if they are there."""
        name = table_name(table)
        async with connection.transaction():
            await connection.execute(f"DROP TABLE IF EXISTS {name}")
            await connection.execute(f"DELETE FROM {self._checkpoints} WHERE table_name = $1", table)

    async def tables(self, connection: asyncpg.Connection) -> dict[str, Checkpoint]:
        """All tables of read models with their checkpoints."""
        rows = await connection.fetch(
            f"SELECT table_name, name, definition, position FROM {self._checkpoints}"
        )
        return {name: Checkpoint(*rest) for name, *rest in rows}

    async def fetch(self, connection: asyncpg.Connection, table: TableSpec, keys: Sequence[Row]) -> list[Row]:
        """The rows with these keys, those that exist, in no particular order."""
        if not keys:
            return []
        statements = _statements(table)
        return [tuple(row) for row in await connection.fetch(statements.fetch, *zip(*keys, strict=True))]

    async def write(
        self,
        connection: asyncpg.Connection,
        table: TableSpec,
        upserts: Sequence[Row],
        deletes: Sequence[Row],
        expected: int,
        position: int,
    ) -> None:
        """Remove keys, write rows and move the checkpoint, all or nothing."""
        statements = _statements(table)
        move = f"UPDATE {self._checkpoints} SET position = $1 WHERE table_name = $2 AND position = $3"
        async with connection.transaction():
            # What is lost with the power can be computed again.
            await connection.execute("SET LOCAL synchronous_commit = off")
            if await connection.execute(move, position, table.name, expected) != "UPDATE 1":
                raise Conflict(
                    f"the checkpoint of {table.name} is not at {expected}: another writer is ahead"
                )
            if deletes:
                await connection.execute(statements.delete, *zip(*deletes, strict=True))
            if upserts:
                await self._upsert(connection, statements, upserts)
            await hit("projection.before_commit")

    async def _upsert(
        self, connection: asyncpg.Connection, statements: _Statements, upserts: Sequence[Row]
    ) -> None:
        try:
            async with connection.transaction():
                await connection.execute(statements.upsert, *zip(*upserts, strict=True))
        except asyncpg.CardinalityViolationError:
            # Two of the keys are equal to the database (`90` and `90.00`): the last one holds.
            for row in upserts:
                await connection.execute(statements.upsert, *([value] for value in row))


class _Statements:
    """The statements of one table, for any number of rows."""

    def __init__(
        self, table: str, columns: tuple[str, ...], types: tuple[str, ...], key: tuple[str, ...]
    ) -> None:
        name = table_name(table)
        own = [quoted(column) for column in columns]
        keys = [quoted(column) for column in key]
        of = dict(zip(columns, types, strict=True))
        rest = [column for column in own if column not in keys]
        change = ", ".join(f"{column} = excluded.{column}" for column in rest)
        action = f"UPDATE SET {change}" if change else "NOTHING"
        rows = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(types, 1))
        wanted = ", ".join(f"${number}::{of[column]}[]" for number, column in enumerate(key, 1))
        same = " AND ".join(f"t.{column} = w.k{number}" for number, column in enumerate(keys))
        asked = ", ".join(f"k{number}" for number in range(len(keys)))
        self.upsert = (
            f"INSERT INTO {name} ({', '.join(own)}) SELECT * FROM unnest({rows}) "
            f"ON CONFLICT ({', '.join(keys)}) DO {action}"
        )
        self.fetch = (
            f"SELECT {', '.join(f't.{column}' for column in own)} "
            f"FROM unnest({wanted}) AS w ({asked}) JOIN {name} t ON {same}"
        )
        self.delete = f"DELETE FROM {name} t USING unnest({wanted}) AS w ({asked}) WHERE {same}"


_cached = lru_cache(maxsize=256)(_Statements)


def _statements(table: TableSpec) -> _Statements:
    types = _types(table)
    columns = tuple(column.name for column in table.columns)
    # An array is of a type without its collation.
    return _cached(
        table.name, columns, tuple(types[c].split(" COLLATE")[0] for c in columns), tuple(table.key)
    )


def _types(table: TableSpec) -> dict[str, str]:
    ordered = {*table.key, *(column for index in table.indexes for column in index)}
    return {
        column.name: (INDEXED_TYPES if column.name in ordered else {}).get(column.kind)
        or SQL_TYPES[column.kind]
        for column in table.columns
    }


def _creation(table: TableSpec) -> list[str]:
    name = table_name(table.name)
    check_columns(table)
    types = _types(table)
    lines = [
        f"{quoted(column.name)} {types[column.name]}{'' if column.optional else ' NOT NULL'}"
        for column in table.columns
    ]
    lines.append(f"PRIMARY KEY ({', '.join(quoted(column) for column in table.key)})")
    statements = [f"CREATE TABLE {name} ({', '.join(lines)})"]
    for index in table.indexes:
        # PostgreSQL finds a name that is free.
        statements.append(f"CREATE INDEX ON {name} ({', '.join(quoted(column) for column in index)})")
    return statements


@lru_cache(maxsize=1024)
def numbered(sql: str) -> str:
    """A statement with its parameters, written `?`, as PostgreSQL numbers them."""
    count = 0

    def number(match: re.Match[str]) -> str:
        nonlocal count
        if match[0] != "?":
            return match[0]
        count += 1
        return f"${count}"

    return _PIECES.sub(number, sql)


async def select(connection: asyncpg.Connection, sql: str, parameters: Sequence[Any]) -> list[Row]:
    """Run a statement."""
    return [tuple(row) for row in await connection.fetch(numbered(sql), *parameters)]
