"""The questions that the log and the ledger answer, as statements."""

# Only numbers of parameters come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import apsw
import orjson

from tusk_runtime.events import StoredEvent
from tusk_runtime.store.driver import execute_rows, fetch_all, fetch_one, rows_of_parameters
from tusk_runtime.store.protocol import Recorded, StreamId, place_behind
from tusk_runtime.store.signs import unsigned
from tusk_runtime.store.sqlite.pages import NEED_STREAMS, Pages

ALL_FIELDS = StoredEvent._fields

FIND_COMMANDS = (
    "SELECT c.command_id, c.fingerprint, n.name, s.aggregate_id, c.version, c.position, c.count, c.refusal "
    "FROM tusk_commands c JOIN tusk_streams s ON s.id = c.stream "
    "JOIN tusk_names n ON n.id = s.aggregate_type "
    "WHERE c.command_id IN (VALUES "
)
# Commands with events in the order of those, the others by their own index, each as many as are wanted.
LEDGER = (
    "SELECT c.command_id, c.fingerprint, n.name, s.aggregate_id, c.version, c.position, c.count, c.refusal "
    "FROM (SELECT * FROM (SELECT c.* FROM tusk_events e CROSS JOIN tusk_commands c "
    "ON c.command_id = e.command_id WHERE e.position > ?1 AND e.ordinal = 0 ORDER BY e.position LIMIT ?3) "
    "UNION ALL SELECT * FROM (SELECT * FROM tusk_commands "
    "WHERE count = 0 AND (position, command_id) > (?1, ?2) ORDER BY position, command_id LIMIT ?3)) c "
    "JOIN tusk_streams s ON s.id = c.stream JOIN tusk_names n ON n.id = s.aggregate_type "
    "ORDER BY c.position, c.count = 0, c.command_id LIMIT ?3"
)
# The order of joins is the order of the answer: by aggregate, and inside by the index over versions.
STREAMS = (
    "FROM (SELECT column1 AS number, column2 AS aggregate_type, column3 AS aggregate_id, column4 AS after "
    "FROM (VALUES {})) AS w "
    "CROSS JOIN tusk_names n ON n.name = w.aggregate_type "
    "CROSS JOIN tusk_streams s ON s.aggregate_id = w.aggregate_id AND s.aggregate_type = n.id "
    "CROSS JOIN tusk_events e INDEXED BY tusk_events_stream ON e.stream = s.id AND e.version > w.after"
)
STREAM = (
    "FROM tusk_streams s CROSS JOIN tusk_events e INDEXED BY tusk_events_stream ON e.stream = s.id "
    "WHERE s.aggregate_id = ? AND s.aggregate_type = (SELECT id FROM tusk_names WHERE name = ?) "
    "AND e.version > ?"
)
# A clock may have been set back between two events: the answer ends before the first one that is too late.
BEFORE_FIRST_LATER = (
    "AND e.version < ifnull((SELECT min(version) FROM tusk_events WHERE stream = s.id AND timestamp > ?), "
    "9223372036854775807)"
)
OF_AGGREGATE = "e.stream IN (SELECT id FROM tusk_streams WHERE aggregate_id = ?)"
# Events whose correlation id is their command's own are found through the ledger: their positions are dense.
OF_CORRELATION = (
    "e.position IN (SELECT position FROM tusk_events WHERE correlation_id = ? UNION ALL "
    "SELECT f.position FROM tusk_commands c JOIN tusk_events f "
    "ON f.position BETWEEN c.position - c.count + 1 AND c.position "
    "WHERE c.command_id = ? AND f.correlation_id IS NULL)"
)


class Reader:
    """Answers questions about the log. All threads may share one; each brings its connection."""

    def __init__(self) -> None:
        self._pages = Pages()

    def recorded(self, connection: apsw.Connection, command_ids: Collection[bytes]) -> dict[bytes, Recorded]:
        """The ledger rows of those of the commands that have one."""
        found: dict[bytes, Recorded] = {}
        for cursor in execute_rows(connection, _find_commands, 1, list(command_ids)):
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            for command_id, fingerprint, *rest in rows:
                found[command_id] = Recorded(command_id, unsigned(fingerprint), *rest)
        return found

    def ledger(self, connection: apsw.Connection, after: Recorded | None, limit: int) -> list[Recorded]:
        """Rows of the ledger behind one, in the order of their places."""
        return [
            Recorded(command_id, unsigned(fingerprint), *rest)
            for command_id, fingerprint, *rest in fetch_all(connection, LEDGER, (*place_behind(after), limit))
        ]

    def streams(
        self, connection: apsw.Connection, streams: Collection[StreamId], after: Mapping[StreamId, int]
    ) -> dict[StreamId, Sequence[StoredEvent]]:
        """All events of each of the aggregates, behind a version where one is named."""
        wanted = list(dict.fromkeys(streams))
        found: list[list[StoredEvent]] = [[] for _ in wanted]
        for start in range(0, len(wanted), 256):
            part = wanted[start : start + 256]
            values = [
                value
                for number, each in enumerate(part, start)
                for value in (number, *each, after.get(each, 0))
            ]
            source = STREAMS.format(rows_of_parameters(4, len(part)))
            for number, *event in self._pages.read(connection, source, values, ("wanted", *ALL_FIELDS)):
                found[number].append(StoredEvent._make(event))
        for events in found:
            # They come in this order already; SQL does not promise it.
            events.sort(key=_version)
        return dict(zip(wanted, found, strict=True))

    def stream(
        self,
        connection: apsw.Connection,
        stream: StreamId,
        after_version: int,
        until_version: int | None,
        until: int | None,
        limit: int | None,
    ) -> list[StoredEvent]:
        """Events of one aggregate, in order, up to a version or a time."""
        source, parameters = STREAM, [stream.aggregate_id, stream.aggregate_type, after_version]
        if until_version is not None:
            source += " AND e.version <= ?"
            parameters.append(until_version)
        if until is not None:
            source += f" {BEFORE_FIRST_LATER}"
            parameters.append(until)
        source += " ORDER BY e.version LIMIT ?"
        parameters.append(-1 if limit is None else limit)
        return list(map(StoredEvent._make, self._pages.read(connection, source, parameters, ALL_FIELDS)))

    def log(
        self,
        connection: apsw.Connection,
        after: int,
        limit: int,
        types: Collection[str] | None,
        aggregate_id: str | None,
        correlation_id: bytes | None,
        backwards: bool,
    ) -> list[StoredEvent]:
        """Events of all aggregates, in the order of positions or against it."""
        conditions: list[str] = []
        parameters: list[Any] = []
        if aggregate_id is not None:
            conditions.append(OF_AGGREGATE)
            parameters.append(aggregate_id)
        if correlation_id is not None:
            conditions.append(OF_CORRELATION)
            parameters += (correlation_id, correlation_id)
        # With one of these there are few events, found by their index: the plus keeps SQLite from walking
        # the whole log in its order instead.
        position = "+e.position" if conditions else "e.position"
        if types is not None:
            conditions.append(_of_types(len(types)))
            parameters += types
        if after or not backwards:
            conditions.append(f"{position} {'<' if backwards else '>'} ?")
            parameters.append(after)
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        source = (
            f"FROM tusk_events e JOIN tusk_streams s ON s.id = e.stream {where}"
            f"ORDER BY {position} {'DESC' if backwards else 'ASC'} LIMIT ?"
        )
        parameters.append(limit)
        return list(map(StoredEvent._make, self._pages.read(connection, source, parameters, ALL_FIELDS)))

    def at(self, connection: apsw.Connection, positions: Collection[int]) -> list[StoredEvent]:
        """The events at these positions, in order."""
        source = (
            "FROM json_each(?) j JOIN tusk_events e ON e.position = j.value "
            "JOIN tusk_streams s ON s.id = e.stream ORDER BY e.position"
        )
        wanted = orjson.dumps(list(dict.fromkeys(positions))).decode()
        return list(map(StoredEvent._make, self._pages.read(connection, source, [wanted], ALL_FIELDS)))

    def scan(
        self,
        connection: apsw.Connection,
        after: int,
        limit: int,
        types: Sequence[str] | None,
        fields: Sequence[str],
    ) -> list[tuple[Any, ...]]:
        """Events as bare tuples, only with what is asked for."""
        source = "FROM tusk_events e "
        if NEED_STREAMS.intersection(fields):
            source += "JOIN tusk_streams s ON s.id = e.stream "
        source += "WHERE e.position > ? "
        parameters: list[Any] = [after]
        if types is not None:
            source += f"AND {_of_types(len(types))} "
            parameters += types
        source += "ORDER BY e.position LIMIT ?"
        parameters.append(limit)
        if types is None:
            return list(self._pages.read(connection, source, parameters, ("position", "type", *fields)))
        wanted = ("position", "type_index", *fields)
        return list(self._pages.read(connection, source, parameters, wanted, types))

    def names(self, connection: apsw.Connection) -> list[str]:
        """The names of all types of events and of aggregates."""
        return [name for (name,) in fetch_all(connection, "SELECT name FROM tusk_names")]

    def head(self, connection: apsw.Connection) -> int:
        """The position of the newest event."""
        (position,) = fetch_one(connection, "SELECT max(position) FROM tusk_events")
        return position or 0

    def count(self, connection: apsw.Connection, after: int, types: Collection[str]) -> int:
        """How many events of some types stand behind a position."""
        sql = f"SELECT count(*) FROM tusk_events e WHERE e.position > ? AND {_of_types(len(types))}"
        (count,) = fetch_one(connection, sql, (after, *types))
        return int(count)


def _of_types(count: int) -> str:
    # Looked up inside the statement: a type that is new would otherwise be missed between two statements.
    return f"e.type IN (SELECT id FROM tusk_names WHERE name IN ({','.join('?' * count)}))"


def _find_commands(rows: int) -> str:
    return FIND_COMMANDS + rows_of_parameters(1, rows) + ")"


def _version(event: StoredEvent) -> int:
    return event.version
