"""The progress of consumers and their dead letters: leases by the clock of the server."""

# Only names of ours come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import asyncpg

from tusk_runtime.errors import Conflict
from tusk_runtime.failpoints import hit
from tusk_runtime.store.deliveries import STANDINGS, Claim, Letter, Standing
from tusk_runtime.store.postgres.names import Names

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_FIELDS = ", ".join(Letter._fields)
_TYPES = ("text", "bigint", "text", "text", "integer", "integer", "bigint", "bytea")


async def claim(
    connection: asyncpg.Connection, names: Names, consumer: str, holder: bytes, seconds: float, begin: int
) -> Claim | None:
    """Take a consumer, or keep it; None while another holder has it."""
    # The clock is read once the row is ours: before, a lease might lapse while we wait for the row.
    row = await connection.fetchrow(
        f"INSERT INTO {names.consumers} AS c (name, position, epoch, holder, until) "
        f"VALUES ($1, $2, 1, $3, {_NOW} + $4) ON CONFLICT (name) DO UPDATE "
        "SET epoch = c.epoch + (c.holder <> excluded.holder)::integer, holder = excluded.holder, "
        f"until = {_NOW} + $4 WHERE c.holder = excluded.holder OR c.until <= {_NOW} "
        "RETURNING epoch, position",
        consumer,
        begin,
        holder,
        round(seconds * 1_000_000),
    )
    return Claim(*row) if row else None


async def release(connection: asyncpg.Connection, names: Names, consumer: str, holder: bytes) -> None:
    """Let another holder take the consumer at once."""
    await connection.execute(
        f"UPDATE {names.consumers} SET until = 0 WHERE name = $1 AND holder = $2", consumer, holder
    )


async def save(
    connection: asyncpg.Connection,
    names: Names,
    consumer: str,
    epoch: int,
    position: int,
    letters: Collection[Letter],
    done: Collection[tuple[str, int]],
) -> None:
    """Move the progress, keep letters and forget others, all or nothing. Raises Conflict."""
    if not letters and not done:
        await hit("follower.before_commit")  # the statement commits itself
        await _move(connection, names, consumer, epoch, position)
        return
    async with connection.transaction():
        # First, for it locks the consumer's row: nobody takes the consumer before all of this is there.
        await _move(connection, names, consumer, epoch, position)
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
    standing: Collection[Standing],
    key: str | None,
    after: tuple[str, int],
    limit: int,
) -> list[Letter]:
    """Letters of a consumer behind a source and position, in that order."""
    where, parameters = "consumer = $1 AND (source, position) > ($2, $3)", [consumer, *after, limit]
    if not set(standing).issuperset(STANDINGS):
        parameters.append(list(standing))
        where += f" AND standing = ANY (${len(parameters)})"
    if key is not None:
        parameters.append(key)
        where += f" AND key = ${len(parameters)}"
    rows = await connection.fetch(
        f"SELECT {_FIELDS} FROM {names.letters} WHERE {where} ORDER BY source, position LIMIT $4", *parameters
    )
    return [Letter(*row) for row in rows]


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
        await connection.execute(f"SELECT FROM {names.consumers} WHERE name = $1 FOR UPDATE", consumer)
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
        f"UPDATE {names.consumers} SET position = $2, epoch = epoch + 1 WHERE name = $1 AND position > $2",
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
    return dict(await connection.fetch(f"SELECT name, position FROM {names.consumers}"))


async def _move(
    connection: asyncpg.Connection, names: Names, consumer: str, epoch: int, position: int
) -> None:
    sql = f"UPDATE {names.consumers} SET position = $1 WHERE name = $2 AND epoch = $3"
    if await connection.execute(sql, position, consumer, epoch) != "UPDATE 1":
        raise Conflict(f"the consumer {consumer} is no longer held with epoch {epoch}")


def _upsert(names: Names) -> str:
    arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_TYPES, 2))
    rest = ", ".join(f"{name} = excluded.{name}" for name in Letter._fields[2:])
    return (
        f"INSERT INTO {names.letters} (consumer, {_FIELDS}) SELECT $1, w.* FROM unnest({arrays}) AS w "
        f"ON CONFLICT (consumer, source, position) DO UPDATE SET {rest}"
    )


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """The rows as columns, also where there are none."""
    every = list(rows)
    return [[row[number] for row in every] for number in range(width)]
