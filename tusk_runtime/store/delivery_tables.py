"""What is kept for consumers, over SQLite connections: one class for every store that has such."""

# Only names of columns and numbers of parameters come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from time import time_ns
from types import MappingProxyType
from typing import Concatenate, Literal, ParamSpec, Protocol, TypeVar

import apsw
import orjson

from tusk_runtime.failpoints import hit_in_thread
from tusk_runtime.store.deliveries import REPLACED, STANDINGS, Claim, Letter, Standing, beyond, lost
from tusk_runtime.store.driver import execute_all, execute_rows, fetch_all, rows_of_parameters

T = TypeVar("T")
P = ParamSpec("P")

CLAIM = (
    "INSERT INTO tusk_consumers AS c (name, source, position, epoch, holder, until) "
    "VALUES (?1, '', ?2, 1, ?3, ?4) ON CONFLICT (name, source) DO UPDATE SET "
    "epoch = c.epoch + (c.holder <> excluded.holder), holder = excluded.holder, until = excluded.until "
    "WHERE c.holder = excluded.holder OR c.until <= ?5 RETURNING epoch, position"
)
# Nobody claims a partition: when its time is up says nothing.
TAKE = (
    "INSERT INTO tusk_consumers AS c (name, source, position, epoch, holder, until) "
    "VALUES (?, ?, -1, 1, ?, 0) ON CONFLICT (name, source) DO UPDATE SET epoch = c.epoch + 1, "
    "holder = excluded.holder RETURNING epoch, position"
)
RELEASE = "UPDATE tusk_consumers SET until = 0 WHERE name = ? AND source = '' AND holder = ?"
MOVE = "UPDATE tusk_consumers SET position = ? WHERE name = ? AND source = ? AND epoch = ?"
REWIND = (
    "UPDATE tusk_consumers SET position = ?1, epoch = epoch + 1 "
    "WHERE name = ?2 AND source = '' AND position > ?1"
)
PROGRESS = "SELECT name, position FROM tusk_consumers WHERE source = ''"
# Many keys are one parameter: the statement is the same for any number of them.
SEE = (
    "INSERT INTO tusk_seen AS s (consumer, key, version) SELECT ?, value ->> 0, value ->> 1 "
    "FROM json_each(?) WHERE true ON CONFLICT (consumer, key) DO UPDATE SET version = excluded.version "
    "WHERE s.version < excluded.version"
)
SEEN = "SELECT key, version FROM tusk_seen WHERE consumer = ? AND key IN (SELECT value FROM json_each(?))"
_SELECT = f"SELECT {', '.join(Letter._fields)} FROM tusk_letters"
_BARE = f"SELECT {', '.join(Letter._fields[:-1])}, x'' FROM tusk_letters"
_ORDER = "ORDER BY source, position LIMIT ?"
_BEHIND = f"(source, position) > (?, ?) {_ORDER}"
_IN_SOURCE = f"source = ? AND position > ? {_ORDER}"
# SQLite would walk through all letters of the consumer in their order, to find the few that are asked for.
OF_KEY = (
    "{select} INDEXED BY tusk_letters_key "
    "WHERE consumer = ? AND key = ? AND standing IN ({standing}) AND {behind}"
)
OF_STANDING = (
    "SELECT * FROM ({select} INDEXED BY tusk_letters_standing "
    "WHERE consumer = ? AND standing = ? AND {behind})"
)
OF_CONSUMER = "{select} WHERE consumer = ? AND {behind}"
_WIDTH = 1 + len(Letter._fields)
COUNTS = "SELECT consumer, standing, count(*) FROM tusk_letters GROUP BY consumer, standing"


class Run(Protocol):
    """Calls a function with a connection, for whoever owns that."""

    async def __call__(
        self, work: Callable[Concatenate[apsw.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What the function returns. Raises the driver's errors in the store's words."""
        ...


class TableDeliveries:
    """The progress of consumers and their dead letters; the contract is `Deliveries`.

    `read` calls a function, `write` does it within a durable transaction. The clock is that of this process:
    no other one has the store.
    """

    def __init__(self, read: Run, write: Run) -> None:
        self._read = read
        self._write = write

    async def claim(self, consumer: str, holder: bytes, seconds: float, *, begin: int) -> Claim | None:
        """Take a consumer, or keep it, for so many seconds; None while another holder has it."""
        return await self._write(_claim, consumer, holder, seconds, begin)

    async def take(self, consumer: str, source: str, holder: bytes) -> Claim:
        """Take a partition of a topic, whoever had it."""
        return await self._write(_take, consumer, source, holder)

    async def release(self, consumer: str, holder: bytes) -> None:
        """Let another holder take the consumer at once."""
        await self._write(_release, consumer, holder)

    async def save(
        self,
        consumer: str,
        epoch: int,
        position: int,
        *,
        source: str = "",
        letters: Collection[Letter] = (),
        done: Collection[tuple[str, int]] = (),
        seen: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Move the progress, keep letters and versions, and forget other letters, all or nothing."""
        await self._write(_save, consumer, epoch, position, source, letters, done, seen)

    async def seen(self, consumer: str, keys: Collection[str]) -> Mapping[str, int]:
        """Key → version of the last event of it that was handled."""
        return await self._read(_seen, consumer, keys)

    async def letters(
        self,
        consumer: str,
        *,
        source: str | None = None,
        standing: Collection[Standing] = STANDINGS,
        key: str | None = None,
        after: tuple[str, int] = ("", -1),
        limit: int = 1000,
        messages: bool = True,
    ) -> Sequence[Letter]:
        """At most `limit` letters of a consumer behind a source and position, in that order."""
        behind = (*beyond(source, after), limit)
        if source is not None and behind[0] != source:
            return []
        parts = {
            "select": _SELECT if messages else _BARE,
            "behind": _BEHIND if source is None else _IN_SOURCE,
        }
        return await self._read(_letters, consumer, standing, key, behind, parts)

    async def mark(
        self,
        consumer: str,
        letters: Collection[tuple[str, int]],
        standing: Literal["retry", "drop"],
    ) -> int:
        """Ask whoever runs the consumer to do that with those of the letters that may be marked."""
        return await self._write(_mark, consumer, letters, standing)

    async def rewind(self, consumer: str, position: int) -> bool:
        """Move the progress back; whoever has the consumer learns of it by the epoch."""
        return await self._write(_rewind, consumer, position)

    async def counts(self) -> Mapping[str, Mapping[Standing, int]]:
        """How many letters each consumer has, by how they stand."""
        return await self._read(_counts)

    async def progress(self) -> Mapping[str, int]:
        """How far each consumer that was ever claimed has come."""
        return await self._read(_progress)


def _claim(
    connection: apsw.Connection, consumer: str, holder: bytes, seconds: float, begin: int
) -> Claim | None:
    now = time_ns() // 1000
    until = now + round(seconds * 1_000_000)
    rows = fetch_all(connection, CLAIM, (consumer, begin, holder, until, now))
    return Claim(*rows[0]) if rows else None


def _take(connection: apsw.Connection, consumer: str, source: str, holder: bytes) -> Claim:
    return Claim(*fetch_all(connection, TAKE, (consumer, source, holder))[0])


def _release(connection: apsw.Connection, consumer: str, holder: bytes) -> None:
    connection.execute(RELEASE, (consumer, holder))


def _save(
    connection: apsw.Connection,
    consumer: str,
    epoch: int,
    position: int,
    source: str,
    letters: Collection[Letter],
    done: Collection[tuple[str, int]],
    seen: Mapping[str, int],
) -> None:
    connection.execute(MOVE, (position, consumer, source, epoch))
    if connection.changes() != 1:
        raise lost(consumer, source, epoch)
    if seen:
        connection.execute(SEE, (consumer, orjson.dumps(list(seen.items())).decode()))
    execute_all(connection, _delete, 3, [part for each in done for part in (consumer, *each)])
    execute_all(connection, _upsert, _WIDTH, [part for each in letters for part in (consumer, *each)])
    hit_in_thread("follower.before_commit")


def _letters(
    connection: apsw.Connection,
    consumer: str,
    standing: Collection[Standing],
    key: str | None,
    behind: tuple[str, int, int],
    parts: Mapping[str, str],
) -> list[Letter]:
    if key is not None:
        sql = OF_KEY.format(standing=",".join("?" * len(standing)), **parts)
        rows = fetch_all(connection, sql, (consumer, key, *standing, *behind))
    elif set(standing).issuperset(STANDINGS):
        rows = fetch_all(connection, OF_CONSUMER.format(**parts), (consumer, *behind))
    elif standing:
        asked = dict.fromkeys(standing)
        sql = f"{' UNION ALL '.join([OF_STANDING.format(**parts)] * len(asked))} {_ORDER}"
        values = [value for each in asked for value in (consumer, each, *behind)]
        rows = fetch_all(connection, sql, (*values, behind[-1]))
    else:
        rows = []
    return [Letter(*row) for row in rows]


def _seen(connection: apsw.Connection, consumer: str, keys: Collection[str]) -> dict[str, int]:
    return dict(fetch_all(connection, SEEN, (consumer, orjson.dumps(list(keys)).decode())))


def _mark(
    connection: apsw.Connection, consumer: str, letters: Collection[tuple[str, int]], standing: Standing
) -> int:
    wanted = [part for each in dict.fromkeys(letters) for part in (consumer, *each, standing)]
    count = 0
    for _ in execute_rows(connection, _update, 4, wanted):
        count += connection.changes()
    return count


def _rewind(db: apsw.Connection, consumer: str, position: int) -> bool:
    db.execute(REWIND, (position, consumer))
    return bool(db.changes())


def _counts(connection: apsw.Connection) -> dict[str, dict[Standing, int]]:
    found: dict[str, dict[Standing, int]] = {}
    for consumer, standing, count in fetch_all(connection, COUNTS):
        found.setdefault(consumer, {})[standing] = count
    return found


def _progress(connection: apsw.Connection) -> dict[str, int]:
    return dict(fetch_all(connection, PROGRESS))


def _delete(rows: int) -> str:
    return (
        "DELETE FROM tusk_letters WHERE (consumer, source, position) IN "
        f"(VALUES {rows_of_parameters(3, rows)})"
    )


def _upsert(rows: int) -> str:
    return (
        f"INSERT INTO tusk_letters AS l (consumer, {', '.join(Letter._fields)}) "
        f"VALUES {rows_of_parameters(_WIDTH, rows)} "
        f"ON CONFLICT (consumer, source, position) DO UPDATE SET {REPLACED}"
    )


def _update(rows: int) -> str:
    return (
        f"WITH w (consumer, source, position, standing) AS (VALUES {rows_of_parameters(4, rows)}) "
        "UPDATE tusk_letters AS l SET standing = w.standing FROM w WHERE l.consumer = w.consumer "
        "AND l.source = w.source AND l.position = w.position AND l.standing <> 'behind'"
    )
