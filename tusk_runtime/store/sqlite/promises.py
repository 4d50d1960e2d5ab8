"""The values that aggregates hold alone, kept in the transactions that write their events."""

# Only numbers of parameters come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import apsw

from tusk_runtime.errors import Superseded, Taken
from tusk_runtime.store.driver import (
    execute_all,
    execute_rows,
    fetch_all,
    fetch_one,
    rows_of_parameters,
    transaction,
)
from tusk_runtime.store.protocol import Held, Reservation, StreamId
from tusk_runtime.store.reservations import Changes, differences

ALL = "SELECT u.definition, u.id, n.name FROM tusk_uniques u JOIN tusk_names n ON n.id = u.aggregate_type"


def promises(connection: apsw.Connection) -> dict[str, dict[bytes, int]]:
    """The promises that are kept, with their numbers, by type of aggregates."""
    found: dict[str, dict[bytes, int]] = {}
    for definition, number, name in fetch_all(connection, ALL):
        found.setdefault(name, {})[definition] = number
    return found


def numbers_of(changes: Changes, kept: Mapping[str, Mapping[bytes, int]]) -> dict[bytes, int]:
    """The numbers of the promises that changes are about. Raises Superseded."""
    numbers: dict[bytes, int] = {}
    for name in changes.types:
        numbers |= kept.get(name, {})
    if not changes.definitions <= numbers.keys():
        raise Superseded(changes.types)
    return numbers


def apply(
    connection: apsw.Connection,
    changes: Changes,
    numbers: Mapping[bytes, int],
    streams: Mapping[tuple[str, str], int],
) -> None:
    """Let values go and take others, within a transaction of the caller. Raises Taken.

    `streams` are the numbers of the aggregates that take some.
    """
    holders = _holders(connection, numbers, changes.free)
    if holders:
        raise Taken(holders)
    gone = [part for value in changes.gone for part in (numbers[value.definition], value.digest)]
    execute_all(connection, _delete, 2, gone)
    held = [
        part
        for value, stream in changes.held.items()
        for part in (numbers[value.definition], value.digest, streams[stream])
    ]
    execute_all(connection, _insert, 3, held)


def keep(connection: apsw.Connection, wanted: Mapping[str, Collection[bytes]], held: Held) -> None:
    """Keep these promises for some types, and no others: those of `held` are new, with what is held now."""
    with transaction(connection):
        gone, new = differences(wanted, promises(connection))
        for definition in gone:
            (number,) = fetch_one(
                connection, "DELETE FROM tusk_uniques WHERE definition = ? RETURNING id", (definition,)
            )
            connection.execute("DELETE FROM tusk_reserved WHERE constraint_id = ?", (number,))
        for name, definitions in wanted.items():
            for definition in new.intersection(definitions):
                connection.execute("INSERT OR IGNORE INTO tusk_names (name) VALUES (?)", (name,))
                (number,) = fetch_one(
                    connection,
                    "INSERT INTO tusk_uniques (aggregate_type, definition) "
                    "SELECT id, ? FROM tusk_names WHERE name = ? RETURNING id",
                    (definition, name),
                )
                connection.executemany(
                    "INSERT INTO tusk_reserved (constraint_id, value, stream) "
                    "SELECT ?, ?, s.id FROM tusk_streams s JOIN tusk_names n ON n.id = s.aggregate_type "
                    "WHERE s.aggregate_id = ? AND n.name = ?",
                    ((number, digest, id_, name) for digest, id_ in held[definition].items()),
                )


def _holders(
    connection: apsw.Connection, numbers: Mapping[bytes, int], values: Collection[Reservation]
) -> dict[Reservation, StreamId]:
    definitions = {number: definition for definition, number in numbers.items()}
    asked = [part for value in values for part in (numbers[value.definition], value.digest)]
    found: dict[Reservation, StreamId] = {}
    for cursor in execute_rows(connection, _find, 2, asked):
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        for number, digest, type_, id_ in rows:
            found[Reservation(definitions[number], digest)] = StreamId(type_, id_)
    return found


def _find(rows: int) -> str:
    return (
        f"WITH w (number, value) AS (VALUES {rows_of_parameters(2, rows)}) "
        "SELECT r.constraint_id, r.value, n.name, s.aggregate_id FROM w "
        "CROSS JOIN tusk_reserved r ON r.constraint_id = w.number AND r.value = w.value "
        "JOIN tusk_streams s ON s.id = r.stream JOIN tusk_names n ON n.id = s.aggregate_type"
    )


def _delete(rows: int) -> str:
    return f"DELETE FROM tusk_reserved WHERE (constraint_id, value) IN (VALUES {rows_of_parameters(2, rows)})"


def _insert(rows: int) -> str:
    return f"INSERT INTO tusk_reserved (constraint_id, value, stream) VALUES {rows_of_parameters(3, rows)}"
