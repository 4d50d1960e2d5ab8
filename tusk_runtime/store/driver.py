"""The SQLite driver, apsw, as both stores use it: statements of many rows, and errors in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import apsw

from tusk_runtime.errors import StoreError, StoreUnavailable

DECIMAL_COLLATION = "tusk_decimal"
"""The collation of decimal texts: by value, so that `90` equals `90.00` and stands before `100`."""

_LARGEST_CHUNK = 256
_MOST_PARAMETERS = 16_000
_MOST_SQL = 16_000


def register_decimals(connection: apsw.Connection) -> None:
    """Teach a connection the collation of decimal texts and `tusk_fold`. Every connection needs both."""
    connection.create_collation(DECIMAL_COLLATION, _compare_decimals)
    connection.create_scalar_function("tusk_fold", _fold, 1, deterministic=True)


def _fold(*values: Any) -> Any:
    """A text without the difference between small and capital letters, in any script."""
    (text,) = values
    return text.casefold() if isinstance(text, str) else text


def _compare_decimals(left: str, right: str) -> int:
    if left == right:
        return 0
    a, b = _decimal_key(left), _decimal_key(right)
    return (a > b) - (a < b)


@lru_cache(maxsize=4096)
def _decimal_key(text: str) -> tuple[int, Decimal, str]:
    # A collation has to order every text, also what is no number: those come after all numbers.
    try:
        value = Decimal(text)
    except InvalidOperation:
        return 1, Decimal(0), text
    return (0, value, "") if value.is_finite() else (1, Decimal(0), text)


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """A write transaction: committed at the end, rolled back by any error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: apsw.Connection) -> None:
    """End a transaction that failed, unless SQLite has done it by itself (as it may on a full disk)."""
    if not connection.get_autocommit():
        connection.execute("ROLLBACK")


def fetch_all(connection: apsw.Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """All rows of a statement."""
    return connection.execute(sql, parameters).fetchall()


def fetch_one(connection: apsw.Connection, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
    """The row of a statement that always has one."""
    (row,) = connection.execute(sql, parameters).fetchall()
    return row


def execute_rows(
    connection: apsw.Connection, sql: Callable[[int], str], width: int, values: Sequence[Any]
) -> Iterator[apsw.Cursor]:
    """Run a statement that takes many rows of parameters at once, in as few calls as possible.

    `sql(n)` gives the statement for n rows of `width` parameters each, and `values` are the rows laid end
    to end. The driver gives up the interpreter lock around every call: a loop that is busy meanwhile makes
    each of them wait for a switch interval or longer, so a call per row would take seconds.
    """
    # Halves of a fixed size instead of the exact number keep the statements few, and so prepared.
    size = min(_LARGEST_CHUNK, _MOST_PARAMETERS // width)
    rows, done = len(values) // width, 0
    while done < rows:
        while size > rows - done or len(sql(size)) > _MOST_SQL:
            if size == 1:
                break
            size //= 2
        whole = size == rows
        yield connection.execute(sql(size), values if whole else values[done * width : (done + size) * width])
        done += size


def execute_all(
    connection: apsw.Connection, sql: Callable[[int], str], width: int, values: Sequence[Any]
) -> None:
    """`execute_rows` for statements that return nothing."""
    for _ in execute_rows(connection, sql, width, values):
        pass


@lru_cache(maxsize=1024)
def rows_of_parameters(width: int, count: int) -> str:
    """`(?,?),(?,?)`: the parameters of `count` rows."""
    row = "(" + ",".join("?" * width) + ")"
    return ",".join([row] * count)


def translated(error: apsw.Error, where: str) -> StoreError:
    """What an error of the driver means to those who use a store; `where` names the database."""
    for kind, meaning in _UNAVAILABLE.items():
        if isinstance(error, kind):
            return StoreUnavailable(f"{where}: {meaning} ({error})")
    return StoreError(f"{where}: {error}")


_UNAVAILABLE: dict[type[apsw.Error], str] = {
    apsw.FullError: "the disk is full",
    apsw.ReadOnlyError: "the database cannot be written",
    apsw.BusyError: "another process holds a lock on the database",
    apsw.LockedError: "another connection holds a lock on the database",
    apsw.IOError: "the disk fails",
    apsw.CantOpenError: "the database cannot be opened",
    apsw.CorruptError: "the database is damaged",
    apsw.NotADBError: "the file is not a database",
    apsw.NoMemError: "the memory is exhausted",
    apsw.PermissionsError: "access to the database is denied",
    apsw.InterruptError: "the statement was stopped",
    apsw.ConnectionClosedError: "the store is closed",
}
