"""Snapshots of aggregates: a cache in the same database."""

# Only names of ours come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from tusk_runtime.store.postgres.names import Names
from tusk_runtime.store.protocol import Snapshot, StreamId


async def find(
    connection: asyncpg.Connection, names: Names, streams: Collection[StreamId]
) -> dict[StreamId, Snapshot]:
    """The snapshots of those of the aggregates that have one."""
    rows = await connection.fetch(
        "SELECT w.type, w.id, p.definition, p.version, p.state "
        "FROM unnest($1::text[], $2::text[]) AS w (type, id) "
        f"JOIN {names.names} n ON n.name = w.type "
        f"JOIN {names.streams} s ON s.aggregate_id = w.id AND s.aggregate_type = n.id "
        f"JOIN {names.snapshots} p ON p.stream = s.id",
        [each.aggregate_type for each in streams],
        [each.aggregate_id for each in streams],
    )
    found: dict[StreamId, Snapshot] = {}
    for type_, id_, *rest in rows:
        stream = StreamId(type_, id_)
        found[stream] = Snapshot(stream, *rest)
    return found


async def save(connection: asyncpg.Connection, names: Names, snapshots: Collection[Snapshot]) -> None:
    """Keep snapshots in the place of older ones."""
    # In one order, so that two processes never wait for each other.
    ordered = sorted(snapshots)
    await connection.execute(
        f"INSERT INTO {names.snapshots} AS p (stream, definition, version, state) "
        "SELECT s.id, w.definition, w.version, w.state "
        "FROM unnest($1::text[], $2::text[], $3::bytea[], $4::integer[], $5::bytea[]) WITH ORDINALITY "
        f"AS w (type, id, definition, version, state, number) JOIN {names.names} n ON n.name = w.type "
        f"JOIN {names.streams} s ON s.aggregate_id = w.id AND s.aggregate_type = n.id ORDER BY w.number "
        "ON CONFLICT (stream) DO UPDATE "
        "SET definition = excluded.definition, version = excluded.version, state = excluded.state "
        "WHERE p.definition <> excluded.definition OR p.version < excluded.version",
        [each.stream.aggregate_type for each in ordered],
        [each.stream.aggregate_id for each in ordered],
        [each.definition for each in ordered],
        [each.version for each in ordered],
        [each.state for each in ordered],
    )


async def drop(connection: asyncpg.Connection, names: Names, definition: bytes) -> None:
    """Forget all snapshots of a definition."""
    await connection.execute(f"DELETE FROM {names.snapshots} WHERE definition = $1", definition)
