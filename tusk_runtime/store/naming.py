"""The names that may come into a statement: every other text is a parameter."""

from __future__ import annotations

import re

from tusk_runtime.errors import StoreError
from tusk_runtime.store.protocol import TableSpec

SCHEMA_VERSION = 4
"""The version of the store's own tables, in every database. One with a higher one is left alone."""

PRIVATE_PREFIX = "tusk_"
"""How the names of the store's own tables begin: no read model may be called so."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_RESERVED = (PRIVATE_PREFIX, "sqlite_", "pg_")


def quoted(name: str) -> str:
    """The name of a table or column, checked and in double quotes. Raises StoreError for a hostile one."""
    if not _NAME.fullmatch(name):
        raise StoreError(f"{name!r} cannot name a table or a column: it has to match [a-z_][a-z0-9_]{{0,62}}")
    return f'"{name}"'


def table_name(table: str) -> str:
    """The name of a read model's table, in double quotes. Raises StoreError for one that is not free."""
    if table.startswith(_RESERVED):
        raise StoreError(f"a read model cannot be called {table!r}: the store keeps such names for itself")
    return quoted(table)


def check_columns(table: TableSpec) -> None:
    """See that a key of a read model's table is one. Raises StoreError."""
    columns = {column.name: column for column in table.columns}
    for used in (table.key, *table.indexes):
        for column in used:
            if column not in columns:
                raise StoreError(f"{table.name} has no column {column!r}")
    if not table.key or any(columns[column].optional for column in table.key):
        raise StoreError(f"{table.name} needs a key of columns that are never null")
