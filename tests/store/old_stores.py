"""Stores as older versions made them: their own statements, kept as they were, and rows that they wrote."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import apsw
import asyncpg

VERSIONS = (1, 2, 3)

_META = b'{"name":"x","source":"bank","version":"1"}'
_A, _B, _C, _D = (bytes([number]) * 16 for number in range(1, 5))
_AT = 1_700_000_000_000_000
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "meta": [("store", "11111111-2222-3333-4444-555555555555")],
    "names": [(1, "Account"), (2, "Opened"), (3, "Deposited")],
    "streams": [(1, 1, "anna"), (2, 1, "bob")],
    "events": [
        (1, 1, 1, 2, _AT + 1, _A, None, 0, _META, b'{"owner":"Anna"}'),
        (2, 1, 2, 3, _AT + 1, _A, None, 1, _META, b'{"amount":"10.00"}'),
        (3, 2, 1, 2, _AT + 2, _B, b"c" * 16, 0, _META, b'{"owner":"Bob"}'),
        (4, 1, 3, 3, _AT + 4, _D, None, 0, _META, b'{"amount":"5.00"}'),
    ],
    "commands": [
        (_A, 1, 1, 2, 2, 2, None),
        (_B, 2, 2, 1, 3, 1, None),
        (_C, 3, 2, 1, 3, 0, b'{"title":"no"}'),
        (_D, 4, 1, 3, 4, 1, None),
    ],
}
"""Two accounts; the third command was refused."""
SNAPSHOT = (1, b"d" * 16, 2, b'{"balance":"10.00"}')
"""Of the first one, from the version on that knows such."""
CONSUMERS = [("bills", 3, 7, b"a" * 16, 0), ("@relay", 4, 1, b"a" * 16, _AT)]
LETTERS = [
    ("bills", "", 2, "Account/anna", "parked", 0, 3, _AT, b'{"message":"no"}'),
    ("bills", "", 3, "Account/anna", "behind", 0, 0, _AT, b"{}"),
]
"""From the third version on: how far two consumers have come, and what one of them could not handle."""


def make_sqlite(path: Path, version: int = 1) -> None:
    """A database file with these rows, as a version made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.execute(_statements(version, "sqlite"))
    for table, rows in _rows(version).items():
        for row in rows:
            connection.execute(f"INSERT INTO tusk_{table} VALUES ({','.join('?' * len(row))})", row)
    connection.pragma("journal_mode", "wal")
    connection.close()


async def make_postgresql(connection: asyncpg.Connection, table: str | None = None, version: int = 1) -> None:
    """Tables with these rows in the schema that a connection sees; over 4 partitions where `table` is `events`."""
    log = table or "tusk_events"
    schema = await connection.fetchval("SELECT current_schema()")
    digest = blake2b(f"{schema}.{log}".encode(), digest_size=8, person=b"tusk store").digest()
    text = _statements(version, "postgresql_partitioned" if table else "postgresql")
    await connection.execute(
        text.replace("{lock}", str(int.from_bytes(digest, "big", signed=True))).replace(
            "{channel}", f"tusk_{digest.hex()}"
        )
    )
    prefix = f"{table}_" if table else "tusk_"
    for name, rows in _rows(version).items():
        target = log if name == "events" else f"{prefix}{name}"
        columns = ",".join(f"${number + 1}" for number in range(len(rows[0])))
        await connection.executemany(f"INSERT INTO {target} VALUES ({columns})", rows)
    for name in ("names", "streams"):
        await connection.execute(f"SELECT setval('{prefix}{name}_id_seq', {len(ROWS[name])})")


def _statements(version: int, name: str) -> str:
    return (Path(__file__).parent / f"version_{version}" / f"{name}.sql").read_text()


def _rows(version: int) -> dict[str, list[tuple[Any, ...]]]:
    newer: dict[str, list[tuple[Any, ...]]] = {"snapshots": [SNAPSHOT]} if version > 1 else {}
    if version > 2:
        newer |= {"consumers": CONSUMERS, "letters": LETTERS}
    return {**ROWS, "meta": [("schema", str(version)), *ROWS["meta"]], **newer}
