"""The progress of consumers and their dead letters: leases by the clock of the server."""

# Only names of ours come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import asyncpg

from tusk_runtime.failpoints import hit
from tusk_runtime.store.deliveries import REPLACED, STANDINGS, Claim, Letter, Standing, beyond, lost
from tusk_runtime.store.postgres.names import Names

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_FIELDS = ", ".join(Letter._fields)
_TYPES = ("text", "bigint", "text", "text", "integer", "integer", "bigint", "bytea", "bytea")


async def claim(
    connection: asyncpg.Connection, names: Names, consumer: str, holder: bytes, seconds: float, begin: int
) -> Claim | None:
    """Take a consumer, or keep it; None while another holder has it."""
    # The clock is read once the row is ours: before, a lease might lapse while we wait for the row.
    row = await connection.fetchrow(
        f"INSERT INTO {names.consumers} AS c (name, source, position, epoch, holder, until) "
        f"VALUES ($1, '', $2, 1, $3, {_NOW} + $4) ON CONFLICT (name, source) DO UPDATE "
        "SET epoch = c.epoch + (c.holder <> excluded.holder)::integer, holder = excluded.holder, "
        f"until = {_NOW} + $4 WHERE c.holder = excluded.holder OR c.until <= {_NOW} "
        "RETURNING epoch, position",
        consumer,
        begin,
        holder,
        round(seconds * 1_000_000),
    )
    return Claim(*row) if row else None


async def take(
    connection: asyncpg.Connection, names: Names, consumer: str, source: str, holder: bytes
) -> Claim:
    """Take a partition of a topic, whoever had it. Nobody claims one: when its time is up says nothing."""
    row = await connection.fetchrow(
        f"INSERT INTO {names.consumers} AS c (name, source, position, epoch, holder, until) "
        "VALUES ($1, $2, -1, 1, $3, 0) ON CONFLICT (name, source) DO UPDATE "
        "SET epoch = c.epoch + 1, holder = excluded.holder RETURNING epoch, position",
        consumer,
        source,
        holder,
    )
    return Claim(*row)


async def release(connection: asyncpg.Connection, names: Names, consumer: str, holder: bytes) -> None:
    """Let another holder take the consumer at once."""
    await connection.execute(
        f"UPDATE {names.consumers} SET until = 0 WHERE name = $1 AND source = '' AND holder = $2",
        consumer,
        holder,
    )


async def save(
    connection: asyncpg.Connection,
    names: Names,
    consumer: str,
    epoch: int,
    position: int,
    source: str,
    letters: Collection[Letter],
    done: Collection[tuple[str, int]],
    seen: Mapping[str, int],
) -> None:
    """Move the progress, keep letters and versions, forget other letters, all or nothing. Raises Conflict."""
    if not letters and not done:
        await hit("follower.before_commit")  # the statement commits itself
        await _move(connection, names, consumer, epoch, position, source, seen)
        return
    async with connection.transaction():
        # First, for it locks the consumer's row: nobody takes the consumer before all of this is there.
        await _move(connection, names, consumer, epoch, position, source, seen)
        if done:
            await connection.execute(
                f"DELETE FROM {names.letters} l "
                "USING unnest($2::text[], $3::bigint[]) AS w (source, position) "
                "WHERE l.consumer = $1 AND l.source = w.source AND l.position = w.position",
                consumer,
                *_columns(done, 2),
            )
        if letters:
            last = {each[:2]: each for each in letters}
            await connection.execute(_upsert(names), consumer, *_columns(last.values(), len(_TYPES)))
        await hit("follower.before_commit")


async def letters(
    connection: asyncpg.Connection,
    names: Names,
    consumer: str,
    source: str | None,
    standing: Collection[Standing],
    key: str | None,
    after: tuple[str, int],
    limit: int,
    messages: bool,
) -> list[Letter]:
    """Letters of a consumer behind a source and position, in that order."""
    behind = beyond(source, after)
    if source is not None and behind[0] != source:
        return []
    where = "(source, position) > ($2, $3)" if source is None else "source = $2 AND position > $3"
    where, parameters = f"consumer = $1 AND {where}", [consumer, *behind, limit]
    if not set(standing).issuperset(STANDINGS):
        parameters.append(list(standing))
        where += f" AND standing = ANY (${len(parameters)})"
    if key is not None:
        parameters.append(key)
        where += f" AND key = ${len(parameters)}"
    fields = _FIELDS if messages else ", ".join((*Letter._fields[:-1], "''::bytea"))
    rows = await connection.fetch(
        f"SELECT {fields} FROM {names.letters} WHERE {where} ORDER BY source, position LIMIT $4", *parameters
    )
    return [Letter(*row) for row in rows]


async def seen(
    connection: asyncpg.Connection, names: Names, consumer: str, keys: Collection[str]
) -> dict[str, int]:
    """Key → version of the last event of it that was handled."""
    return dict(
        await connection.fetch(
            f"SELECT key, version FROM {names.seen} WHERE consumer = $1 AND key = ANY ($2)",
            consumer,
            list(keys),
        )
    )


async def mark(
    connection: asyncpg.Connection,
    names: Names,
    consumer: str,
    letters: Collection[tuple[str, int]],
    standing: Standing,
) -> int:
    """Mark those of the letters that may be marked. Gives how many these are."""
    async with connection.transaction():
        # As in `save`, so that the two, or two of these, never wait for each other's letters.
        await connection.execute(
            f"SELECT FROM {names.consumers} WHERE name = $1 AND source = ANY ($2) ORDER BY source FOR UPDATE",
            consumer,
            list({source for source, _ in letters}),
        )
        status: str = await connection.execute(
            f"UPDATE {names.letters} l SET standing = $4 "
            "FROM unnest($2::text[], $3::bigint[]) AS w (source, position) WHERE l.consumer = $1 "
            "AND l.source = w.source AND l.position = w.position AND l.standing <> 'behind'",
            consumer,
            *_columns(letters, 2),
            standing,
        )
    return int(status.removeprefix("UPDATE "))


async def rewind(connection: asyncpg.Connection, names: Names, consumer: str, position: int) -> bool:
    """Move the progress back; whoever has the consumer learns of it by the epoch."""
    status: str = await connection.execute(
        f"UPDATE {names.consumers} SET position = $2, epoch = epoch + 1 "
        "WHERE name = $1 AND source = '' AND position > $2",
        consumer,
        position,
    )
    return status != "UPDATE 0"


async def counts(connection: asyncpg.Connection, names: Names) -> dict[str, dict[Standing, int]]:
    """How many letters each consumer has, by how they stand."""
    rows = await connection.fetch(
        f"SELECT consumer, standing, count(*) FROM {names.letters} GROUP BY consumer, standing"
    )
    found: dict[str, dict[Standing, int]] = {}
    for consumer, standing, count in rows:
        found.setdefault(consumer, {})[standing] = count
    return found


async def progress(connection: asyncpg.Connection, names: Names) -> dict[str, int]:
    """How far each consumer that was ever claimed has come."""
    return dict(await connection.fetch(f"SELECT name, position FROM {names.consumers} WHERE source = ''"))


async def _move(
    connection: asyncpg.Connection,
    names: Names,
    consumer: str,
    epoch: int,
    position: int,
    source: str,
    seen: Mapping[str, int],
) -> None:
    """Move the progress, and keep versions if it did: in one statement, for one that commits itself."""
    move = f"UPDATE {names.consumers} SET position = $1 WHERE name = $2 AND source = $3 AND epoch = $4"
    place = (position, consumer, source, epoch)
    if not seen:
        moved: bool = await connection.execute(move, *place) == "UPDATE 1"
    else:
        # In the order of the keys, so that holders of two partitions never wait for each other.
        moved = await connection.fetchval(
            f"WITH moved AS ({move} RETURNING name), kept AS ("
            f"INSERT INTO {names.seen} AS s (consumer, key, version) "
            "SELECT m.name, w.* FROM unnest($5::text[], $6::bigint[]) AS w (key, version), moved m "
            "ORDER BY w.key ON CONFLICT (consumer, key) DO UPDATE SET version = excluded.version "
            "WHERE s.version < excluded.version) SELECT count(*) = 1 FROM moved",
            *place,
            *_columns(seen.items(), 2),
        )
    if not moved:
        raise lost(consumer, source, epoch)


def _upsert(names: Names) -> str:
    arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_TYPES, 2))
    return (
        f"INSERT INTO {names.letters} AS l (consumer, {_FIELDS}) SELECT $1, w.* FROM unnest({arrays}) AS w "
        f"ON CONFLICT (consumer, source, position) DO UPDATE SET {REPLACED}"
    )


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """The rows as columns, also where there are none."""
    every = list(rows)
    return [[row[number] for row in every] for number in range(width)]
