"""The values that aggregates hold alone: which promises are kept, who holds what, and how both begin.

The function that appends keeps them, in the transactions that write the events.
"""

# Only names of ours come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

import asyncpg

from tusk_runtime.store.postgres.names import Names
from tusk_runtime.store.protocol import Fill, Reservation, StreamId
from tusk_runtime.store.reservations import differences

ROWS = 10_000
"""Values that one statement writes."""
FILL_MILLISECONDS = 600_000
"""How long the lock may be held while what is there already is being read."""


async def promises(connection: asyncpg.Connection, names: Names) -> dict[str, dict[bytes, int]]:
    """The promises that are kept, with their numbers, by type of aggregates."""
    rows = await connection.fetch(
        f"SELECT n.name, u.definition, u.id FROM {names.uniques} u "
        f"JOIN {names.names} n ON n.id = u.aggregate_type"
    )
    found: dict[str, dict[bytes, int]] = {}
    for name, definition, number in rows:
        found.setdefault(name, {})[definition] = number
    return found


async def holders(
    connection: asyncpg.Connection,
    names: Names,
    numbers: Mapping[bytes, int],
    values: Collection[Reservation],
) -> dict[Reservation, StreamId]:
    """Who holds which of the values; `numbers` are those of the promises."""
    asked = list(values)
    rows = await connection.fetch(
        "SELECT w.number, n.name, s.aggregate_id "
        "FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY AS w (promise, value, number) "
        f"JOIN {names.reserved} r ON r.constraint_id = w.promise AND r.value = w.value "
        f"JOIN {names.streams} s ON s.id = r.stream JOIN {names.names} n ON n.id = s.aggregate_type",
        [numbers[value.definition] for value in asked],
        [value.digest for value in asked],
    )
    return {asked[number - 1]: StreamId(type_, id_) for number, type_, id_ in rows}


async def keep(
    connection: asyncpg.Connection, names: Names, wanted: Mapping[str, Collection[bytes]], fill: Fill
) -> dict[str, dict[bytes, int]]:
    """Keep these promises for some types, and no others; see `EventStore.promise`. Returns all numbers."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = {FILL_MILLISECONDS}")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", names.lock)
        gone, new = differences(wanted, await promises(connection, names))
        if gone:
            numbers = await connection.fetch(
                f"DELETE FROM {names.uniques} WHERE definition = ANY ($1::bytea[]) RETURNING id", list(gone)
            )
            await connection.execute(
                f"DELETE FROM {names.reserved} WHERE constraint_id = ANY ($1)",
                [number for (number,) in numbers],
            )
        held = await fill(new) if new else {}
        for name, definitions in wanted.items():
            for definition in new.intersection(definitions):
                await _write(connection, names, name, definition, held[definition])
        return await promises(connection, names)


async def _write(
    connection: asyncpg.Connection,
    names: Names,
    aggregate_type: str,
    definition: bytes,
    values: Mapping[bytes, str],
) -> None:
    """Begin to keep a promise, with the values that are held now."""
    await connection.execute(
        f"INSERT INTO {names.names} (name) VALUES ($1) ON CONFLICT DO NOTHING", aggregate_type
    )
    number = await connection.fetchval(
        f"INSERT INTO {names.uniques} (aggregate_type, definition) "
        f"SELECT id, $1 FROM {names.names} WHERE name = $2 RETURNING id",
        definition,
        aggregate_type,
    )
    rest = iter(values.items())
    while rows := list(islice(rest, ROWS)):
        await connection.execute(
            f"INSERT INTO {names.reserved} (constraint_id, value, stream) "
            "SELECT $1, w.value, s.id FROM unnest($2::bytea[], $3::text[]) AS w (value, id) "
            f"JOIN {names.streams} s ON s.aggregate_id = w.id "
            f"AND s.aggregate_type = (SELECT id FROM {names.names} WHERE name = $4)",
            number,
            [digest for digest, _ in rows],
            [id_ for _, id_ in rows],
            aggregate_type,
        )
