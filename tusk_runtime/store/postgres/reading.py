"""The questions that the log and the ledger answer, as statements."""

# Only names of ours and numbers of parameters come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import asyncpg

from tusk_runtime.events import StoredEvent, event_id_of
from tusk_runtime.store.postgres.names import Names
from tusk_runtime.store.protocol import Recorded, StreamId, place_behind
from tusk_runtime.store.signs import unsigned

FIELDS: Mapping[str, str] = {
    "position": "e.position",
    "type": "e.type",
    "aggregate_type": "s.aggregate_type",
    "aggregate_id": "s.aggregate_id",
    "version": "e.version",
    "timestamp": "e.timestamp",
    "command_id": "e.command_id",
    "correlation_id": "coalesce(e.correlation_id, e.command_id)",
    "data": "e.data",
    "metadata": "e.metadata",
}
"""The columns behind the fields of an event; its id is computed."""

NEED_STREAMS = frozenset({"aggregate_type", "aggregate_id"})
"""The fields that are not in the table of events itself."""

EVENT = tuple(field for field in StoredEvent._fields if field != "event_id")
COLUMNS = ", ".join(FIELDS[field] for field in EVENT) + ", e.ordinal"


class Reader:
    """Answers questions about the log, each over the connection that it is given."""

    def __init__(self, names: Names) -> None:
        self._names: dict[int, str] = {}
        self._all_names = f"SELECT id, name FROM {names.names}"
        self._sql = names
        self._log = f"FROM {names.events} e JOIN {names.streams} s ON s.id = e.stream"
        # Looked up inside the statement: a type that is new would otherwise be missed between two of them.
        self._of_types = (
            f"e.type = ANY (ARRAY (SELECT id FROM {names.names} WHERE name = ANY ({{}}::text[])))"
        )
        self._of_aggregate = (
            f"e.stream = ANY (ARRAY (SELECT id FROM {names.streams} WHERE aggregate_id = {{}}))"
        )
        # Events whose correlation id is their command's own are found through the ledger.
        self._of_correlation = (
            f"e.position = ANY (ARRAY (SELECT position FROM {names.events} WHERE correlation_id = {{0}} "
            f"UNION ALL SELECT f.position FROM {names.commands} c JOIN {names.events} f "
            "ON f.position BETWEEN c.position - c.count + 1 AND c.position "
            "WHERE c.command_id = {0} AND f.correlation_id IS NULL))"
        )

    async def recorded(
        self, connection: asyncpg.Connection, command_ids: Collection[bytes]
    ) -> dict[bytes, Recorded]:
        """The ledger rows of those of the commands that have one."""
        names = self._sql
        rows = await connection.fetch(
            "SELECT c.command_id, c.fingerprint, n.name, s.aggregate_id, c.version, c.position, c.count, "
            f"c.refusal FROM {names.commands} c JOIN {names.streams} s ON s.id = c.stream "
            f"JOIN {names.names} n ON n.id = s.aggregate_type WHERE c.command_id = ANY ($1::bytea[])",
            list(command_ids),
        )
        return {
            command_id: Recorded(command_id, unsigned(fingerprint), *rest)
            for command_id, fingerprint, *rest in rows
        }

    async def ledger(
        self, connection: asyncpg.Connection, after: Recorded | None, limit: int
    ) -> list[Recorded]:
        """Rows of the ledger behind one, in the order of their places."""
        names = self._sql
        # Commands with events in the order of those, the others by their own index, as many as are wanted.
        rows = await connection.fetch(
            "SELECT c.command_id, c.fingerprint, n.name, s.aggregate_id, c.version, c.position, c.count, "
            f"c.refusal FROM ((SELECT c.* FROM {names.events} e JOIN {names.commands} c "
            "ON c.command_id = e.command_id WHERE e.position > $1 AND e.ordinal = 0 "
            f"ORDER BY e.position LIMIT $3) UNION ALL (SELECT * FROM {names.commands} "
            "WHERE count = 0 AND (position, command_id) > ($1, $2) ORDER BY position, command_id LIMIT $3)) "
            f"c JOIN {names.streams} s ON s.id = c.stream JOIN {names.names} n ON n.id = s.aggregate_type "
            "ORDER BY c.position, c.count = 0, c.command_id LIMIT $3",
            *place_behind(after),
            limit,
        )
        return [Recorded(command_id, unsigned(fingerprint), *rest) for command_id, fingerprint, *rest in rows]

    async def streams(
        self, connection: asyncpg.Connection, streams: Collection[StreamId], after: Mapping[StreamId, int]
    ) -> dict[StreamId, Sequence[StoredEvent]]:
        """All events of each of the aggregates, behind a version where one is named."""
        wanted = list(dict.fromkeys(streams))
        found: list[list[StoredEvent]] = [[] for _ in wanted]
        names = self._sql
        rows = await connection.fetch(
            f"SELECT {COLUMNS}, w.number::integer "
            "FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY "
            f"AS w (type, id, after, number) JOIN {names.names} n ON n.name = w.type "
            f"JOIN {names.streams} s ON s.aggregate_id = w.id AND s.aggregate_type = n.id "
            f"JOIN {names.events} e ON e.stream = s.id AND e.version > w.after ORDER BY w.number, e.version",
            [each.aggregate_type for each in wanted],
            [each.aggregate_id for each in wanted],
            [after.get(each, 0) for each in wanted],
        )
        events = await self._events(connection, rows)
        for row, event in zip(rows, events, strict=True):
            found[row[-1] - 1].append(event)
        return dict(zip(wanted, found, strict=True))

    async def stream(
        self,
        connection: asyncpg.Connection,
        stream: StreamId,
        after_version: int,
        until_version: int | None,
        until: int | None,
        limit: int | None,
    ) -> list[StoredEvent]:
        """Events of one aggregate, in order, up to a version or a time."""
        names = self._sql
        rows = await connection.fetch(
            f"SELECT {COLUMNS} {self._log} WHERE s.aggregate_id = $1 "
            f"AND s.aggregate_type = (SELECT id FROM {names.names} WHERE name = $2) AND e.version > $3 "
            "AND ($4::integer IS NULL OR e.version <= $4) "
            # A clock may have been set back between two events: the answer ends before the first one that
            # is too late.
            "AND ($5::bigint IS NULL OR e.version < coalesce((SELECT min(version) "
            f"FROM {names.events} WHERE stream = s.id AND timestamp > $5), 2147483647)) "
            "ORDER BY e.version LIMIT $6",
            stream.aggregate_id, stream.aggregate_type, after_version, until_version, until, limit,
        )  # fmt: skip
        return await self._events(connection, rows)

    async def log(
        self,
        connection: asyncpg.Connection,
        after: int,
        limit: int,
        types: Collection[str] | None,
        aggregate_id: str | None,
        correlation_id: bytes | None,
        backwards: bool,
    ) -> list[StoredEvent]:
        """Events of all aggregates, in the order of positions or against it."""
        parameters: list[Any] = [limit]
        conditions: list[str] = []
        for condition, value in (
            (self._of_types, None if types is None else list(types)),
            (self._of_aggregate, aggregate_id),
            (self._of_correlation, correlation_id),
            (
                "e.position < {}" if backwards else "e.position > {}",
                after if after or not backwards else None,
            ),
        ):
            if value is not None:
                parameters.append(value)
                conditions.append(condition.format(f"${len(parameters)}"))
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        order = "DESC" if backwards else "ASC"
        sql = f"SELECT {COLUMNS} {self._log} {where}ORDER BY e.position {order} LIMIT $1"
        return await self._events(connection, await connection.fetch(sql, *parameters))

    async def at(self, connection: asyncpg.Connection, positions: Collection[int]) -> list[StoredEvent]:
        """The events at these positions, in order."""
        sql = f"SELECT {COLUMNS} {self._log} WHERE e.position = ANY($1::bigint[]) ORDER BY e.position"
        return await self._events(connection, await connection.fetch(sql, list(positions)))

    async def scan(
        self,
        connection: asyncpg.Connection,
        after: int,
        limit: int,
        types: Sequence[str] | None,
        fields: Sequence[str],
    ) -> list[tuple[Any, ...]]:
        """Events as bare tuples, only with what is asked for."""
        columns = dict.fromkeys(("position", "type"))
        for field in fields:
            columns.update(dict.fromkeys(("command_id", "ordinal") if field == "event_id" else (field,)))
        source = self._log if NEED_STREAMS.intersection(fields) else f"FROM {self._sql.events} e"
        wanted = ", ".join(FIELDS.get(column, f"e.{column}") for column in columns)
        sql = f"SELECT {wanted} {source} WHERE e.position > $1 "
        parameters: list[Any] = [after, limit]
        if types is not None:
            sql += f"AND {self._of_types.format('$3')} "
            parameters.append(list(types))
        rows = await connection.fetch(f"{sql}ORDER BY e.position LIMIT $2", *parameters)
        if not rows:
            return []
        place = {column: number for number, column in enumerate(columns)}
        meaning: Mapping[int, Any] = await self._names_of(connection, map(itemgetter(1), rows))
        if types is not None:
            index = {name: number for number, name in reversed([*enumerate(types)])}
            meaning = {number: index[name] for number, name in meaning.items() if name in index}
        page: list[Iterable[Any]] = [map(itemgetter(0), rows), [meaning[row[1]] for row in rows]]
        for field in fields:
            if field == "event_id":
                ids = map(itemgetter(place["command_id"]), rows)
                page.append(map(event_id_of, ids, map(itemgetter(place["ordinal"]), rows)))
            elif field in ("type", "aggregate_type"):
                at = place[field]
                names = await self._names_of(connection, (row[at] for row in rows))
                page.append([names[row[at]] for row in rows])
            else:
                page.append(map(itemgetter(place[field]), rows))
        return list(zip(*page, strict=True))

    async def names(self, connection: asyncpg.Connection) -> list[str]:
        """The names of all types of events and of aggregates."""
        return [name for _, name in await connection.fetch(self._all_names)]

    async def count(self, connection: asyncpg.Connection, after: int, types: Collection[str] | None) -> int:
        """How many events, or events of some types, stand behind a position."""
        sql = f"SELECT count(*) FROM {self._sql.events} e WHERE e.position > $1"
        if types is None:
            found = await connection.fetchval(sql, after)
        else:
            found = await connection.fetchval(f"{sql} AND {self._of_types.format('$2')}", after, list(types))
        return int(found)

    async def head(self, connection: asyncpg.Connection) -> int:
        """The position of the newest event."""
        return await connection.fetchval(f"SELECT max(position) FROM {self._sql.events}") or 0

    async def _events(
        self, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]
    ) -> list[StoredEvent]:
        names = await self._names_of(connection, _numbers(rows))
        return [
            StoredEvent(
                position, event_id_of(command_id, ordinal), names[type_], names[aggregate_type],
                aggregate_id, version, timestamp, command_id, correlation_id, data, metadata,
            )
            for (
                position, type_, aggregate_type, aggregate_id, version, timestamp, command_id,
                correlation_id, data, metadata, ordinal, *_,
            ) in rows
        ]  # fmt: skip

    async def _names_of(self, connection: asyncpg.Connection, numbers: Iterable[int]) -> Mapping[int, str]:
        """The names of types by their numbers, which are all committed."""
        if not self._names.keys() >= set(numbers):
            self._names = dict(await connection.fetch(self._all_names))
        return self._names


def _numbers(rows: Sequence[asyncpg.Record]) -> Iterator[int]:
    for row in rows:
        yield row[1]
        yield row[2]
