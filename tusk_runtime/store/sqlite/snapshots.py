"""Snapshots of aggregates: a cache in the same database."""

# Only numbers of parameters come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import apsw

from tusk_runtime.store.driver import execute_rows, rows_of_parameters, transaction
from tusk_runtime.store.protocol import Snapshot, StreamId

SAVE = (
    "INSERT INTO tusk_snapshots (stream, definition, version, state) "
    "SELECT s.id, ?, ?, ? FROM tusk_streams s JOIN tusk_names n ON n.id = s.aggregate_type "
    "WHERE s.aggregate_id = ? AND n.name = ? "
    "ON CONFLICT (stream) DO UPDATE SET definition = excluded.definition, version = excluded.version, "
    "state = excluded.state WHERE definition <> excluded.definition OR version < excluded.version"
)


def find(connection: apsw.Connection, streams: Collection[StreamId]) -> dict[StreamId, Snapshot]:
    """The snapshots of those of the aggregates that have one."""
    found: dict[StreamId, Snapshot] = {}
    asked = [part for stream in streams for part in stream]
    for cursor in execute_rows(connection, _find, 2, asked):
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        for type_, id_, *rest in rows:
            stream = StreamId(type_, id_)
            found[stream] = Snapshot(stream, *rest)
    return found


def save(connection: apsw.Connection, snapshots: Collection[Snapshot]) -> None:
    """Keep snapshots in the place of older ones."""
    with transaction(connection):
        connection.executemany(
            SAVE,
            (
                (
                    each.definition,
                    each.version,
                    each.state,
                    each.stream.aggregate_id,
                    each.stream.aggregate_type,
                )
                for each in snapshots
            ),
        )


def drop(connection: apsw.Connection, definition: bytes) -> None:
    """Forget all snapshots of a definition."""
    connection.execute("DELETE FROM tusk_snapshots WHERE definition = ?", (definition,))


def _find(rows: int) -> str:
    return (
        "SELECT w.column1, w.column2, p.definition, p.version, p.state "
        f"FROM (VALUES {rows_of_parameters(2, rows)}) AS w "
        "CROSS JOIN tusk_names n ON n.name = w.column1 "
        "CROSS JOIN tusk_streams s ON s.aggregate_id = w.column2 AND s.aggregate_type = n.id "
        "CROSS JOIN tusk_snapshots p ON p.stream = s.id"
    )
