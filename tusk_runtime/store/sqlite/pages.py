"""Reading the log by pages: all rows of a statement arrive as a few long values, one for each column."""

# Only the names of columns and numbers of parameters come into a statement, never a value.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import apsw
import orjson

from tusk_runtime.events import event_id_of
from tusk_runtime.store.driver import fetch_all, fetch_one


class _Packing(NamedTuple):
    """How a column travels: the SQL that packs all its values into one, and what unpacks them."""

    aggregate: str
    unpack: Callable[[Any], Sequence[Any]]


def _unpack_ids(text: str) -> list[bytes]:
    joined = bytes.fromhex(text)
    return [joined[start : start + 16] for start in range(0, len(joined), 16)]


# JSON holds no control characters, so one of them can stand between documents.
_DOCUMENTS = _Packing("CAST(group_concat({}, char(30)) AS BLOB)", lambda packed: packed.split(b"\x1e"))
_VALUES = _Packing("json_group_array({})", orjson.loads)
_IDS = _Packing("group_concat(hex({}), '')", _unpack_ids)

_COLUMNS: Mapping[str, tuple[str, _Packing]] = {
    "position": ("e.position", _VALUES),
    "type": ("e.type", _VALUES),
    "aggregate_type": ("s.aggregate_type", _VALUES),
    "aggregate_id": ("s.aggregate_id", _VALUES),
    "version": ("e.version", _VALUES),
    "timestamp": ("e.timestamp", _VALUES),
    "command_id": ("e.command_id", _IDS),
    "correlation_id": ("coalesce(e.correlation_id, e.command_id)", _IDS),
    "ordinal": ("e.ordinal", _VALUES),
    "data": ("e.data", _DOCUMENTS),
    "metadata": ("e.metadata", _DOCUMENTS),
    "wanted": ("w.number", _VALUES),
}

_COMPUTED: Mapping[str, tuple[str, ...]] = {"event_id": ("command_id", "ordinal"), "type_index": ("type",)}
"""The columns behind the fields that are not columns themselves."""

NEED_STREAMS = frozenset({"aggregate_type", "aggregate_id"})
"""The fields that are not in the table of events itself."""

ALL_NAMES = "SELECT id, name FROM tusk_names"


class Pages:
    """Reads pages, and knows the names behind the numbers of types. All threads may share one.

    The driver gives up the interpreter lock around each row that it fetches. While the loop is busy, every
    row then waits for a switch interval; a page packed by SQLite waits once, and unpacks faster, too.
    """

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def read(
        self,
        connection: apsw.Connection,
        source: str,
        parameters: Sequence[Any],
        fields: Sequence[str],
        types: Sequence[str] = (),
    ) -> Iterator[tuple[Any, ...]]:
        """The fields of the events that `source` (from FROM to LIMIT) selects, in its order.

        The field `type_index` is the index of the event's type in `types`.
        """
        wanted = _columns_for(tuple(fields))
        columns = _packed(connection, source, parameters, wanted)
        if columns is None:
            columns = _row_by_row(connection, source, parameters, wanted)
        if not columns[wanted[0]]:
            return iter(())
        return zip(*(self._field(connection, field, columns, types) for field in fields), strict=True)

    def _field(
        self,
        connection: apsw.Connection,
        field: str,
        columns: Mapping[str, Sequence[Any]],
        types: Sequence[str],
    ) -> Sequence[Any]:
        if field == "event_id":
            return list(map(event_id_of, columns["command_id"], columns["ordinal"]))
        if field not in ("type", "type_index", "aggregate_type"):
            return columns[field]
        values = columns["type" if field == "type_index" else field]
        numbers = set(values)
        if not numbers <= self._names.keys():
            # A number that was read is committed, and so is its name: this read finds it.
            self._names = dict(fetch_all(connection, ALL_NAMES))
        if field == "type_index":
            index = {name: number for number, name in reversed([*enumerate(types)])}
            meaning: Mapping[int, Any] = {number: index[self._names[number]] for number in numbers}
        else:
            meaning = self._names
        return [meaning[value] for value in values]


@lru_cache
def _columns_for(fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for field in fields for column in _COMPUTED.get(field, (field,))))


def _packed(
    connection: apsw.Connection, source: str, parameters: Sequence[Any], columns: tuple[str, ...]
) -> Mapping[str, Sequence[Any]] | None:
    """The columns of a page, or None if the page cannot travel packed."""
    sql = f"SELECT count(*), {_outer(columns)} FROM ({_inner(columns)} {source})"
    # A page of more than a gigabyte is too big to be packed.
    with suppress(apsw.TooBigError):
        count, *packed = fetch_one(connection, sql, parameters)
        if not count:
            return dict.fromkeys(columns, ())
        page = {
            column: _COLUMNS[column][1].unpack(value) for column, value in zip(columns, packed, strict=True)
        }
        if all(len(values) == count for values in page.values()):
            return page
    return None


def _row_by_row(
    connection: apsw.Connection, source: str, parameters: Sequence[Any], columns: tuple[str, ...]
) -> Mapping[str, Sequence[Any]]:
    rows = fetch_all(connection, f"{_inner(columns)} {source}", parameters)
    return {column: [row[number] for row in rows] for number, column in enumerate(columns)}


@lru_cache
def _outer(columns: tuple[str, ...]) -> str:
    return ", ".join(_COLUMNS[column][1].aggregate.format(column) for column in columns)


@lru_cache
def _inner(columns: tuple[str, ...]) -> str:
    return "SELECT " + ", ".join(f"{_COLUMNS[column][0]} AS {column}" for column in columns)
