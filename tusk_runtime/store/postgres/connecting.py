"""Connections to PostgreSQL: with a limit on everything, and errors in our words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from ssl import SSLContext
from struct import Struct
from typing import Any, NamedTuple

import asyncpg

from tusk_runtime.errors import Conflict, StoreError, StoreUnavailable

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 30.0
LOCK_SECONDS = 10.0
IDLE_SECONDS = 30.0
"""How long a connection may rest within a transaction before the server ends both."""


class Address(NamedTuple):
    """Where the database is, and as whom; without `ssl` it says itself whether it is encrypted."""

    dsn: str
    ssl: SSLContext | None = None


async def connect(address: Address, *, read_only: bool = False) -> asyncpg.Connection:
    """Open a connection. Raises what asyncpg raises."""
    connection = await asyncpg.connect(
        address.dsn,
        ssl=address.ssl,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS + 5,  # the server's own limit comes first
        server_settings=_server_settings(read_only),
    )
    try:
        await teach(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def make_pool(address: Address, size: int, *, read_only: bool) -> asyncpg.Pool:
    """A pool of at most `size` connections, which come and go by themselves."""
    pool = asyncpg.create_pool(
        address.dsn,
        ssl=address.ssl,
        min_size=0,
        max_size=size,
        init=teach,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS + 5,
        server_settings=_server_settings(read_only),
    )
    await pool
    return pool


def _server_settings(read_only: bool) -> dict[str, str]:
    return {
        "application_name": "tusk",
        "timezone": "UTC",
        "jit": "off",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "on" if read_only else "off",
        "statement_timeout": _milliseconds(STATEMENT_SECONDS),
        "lock_timeout": _milliseconds(LOCK_SECONDS),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_SECONDS),
    }


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


async def teach(connection: asyncpg.Connection) -> None:
    """Let values of read models travel as `TableSpec` says that they are encoded."""

    async def codec(name: str, encode: Callable[..., Any], decode: Callable[..., Any], form: str) -> None:
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=encode, decoder=decode, format=form
        )

    await codec("numeric", str, str, "text")
    await codec("bool", _bool_out, _bool_in, "binary")
    await codec("timestamptz", _moment_out, _moment_in, "binary")
    await codec("date", str, str, "text")


_LONG = Struct("!q")
_EPOCH = datetime.fromisoformat("2000-01-01T00:00:00Z")
_MICROSECOND = timedelta(microseconds=1)


def _bool_out(value: int) -> bytes:
    if value not in (0, 1):
        raise ValueError(f"{value!r} is no boolean")
    return b"\x01" if value else b"\x00"


def _bool_in(data: bytes) -> int:
    return data[0]


def _moment_out(text: str) -> bytes:
    return _LONG.pack((datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND)


def _moment_in(data: bytes) -> str:
    moment = _EPOCH + timedelta(microseconds=_LONG.unpack(data)[0])
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment.year > 999 else _early(moment)


def _early(moment: datetime) -> str:
    # The C library writes the year 33 as `33`.
    return f"{date.isoformat(moment)}T{moment.time().isoformat('microseconds')}Z"


def lost(error: BaseException) -> bool:
    """Whether an error is one of the connection: what was asked of the server may have happened."""
    return isinstance(error, _LOST) and not isinstance(error, asyncpg.DataError)


def reason(error: BaseException) -> str:
    """What an error of the driver says."""
    if isinstance(error, asyncpg.InternalClientError | asyncpg.InterfaceError) and lost(error):
        return "the connection was lost"  # the driver speaks of its own state
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def translated(error: BaseException, what: str) -> StoreError:
    """What an error of the driver means to those who use a store; `what` was not done."""
    detail = reason(error)
    if isinstance(
        error, asyncpg.UniqueViolationError | asyncpg.SerializationError | asyncpg.DeadlockDetectedError
    ):
        return Conflict(f"another writer was first ({detail})")
    if lost(error) or isinstance(error, _NOT_NOW):
        return StoreUnavailable(f"{what}: {detail}")
    return StoreError(f"{what}: {detail}")


FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # where a connection dies in the middle of a statement
    OSError,
    TimeoutError,
)
"""What asyncpg raises."""

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,  # the server stops; a statement that was cancelled is one, too
    OSError,
    TimeoutError,
)
_NOT_NOW = (
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


async def close(connection: asyncpg.Connection | None) -> None:
    """Close a connection, whatever state it is in, and do not wait long."""
    if connection is None or connection.is_closed():
        return
    with suppress(*FAILURES):
        await connection.close(timeout=2)
        return
    connection.terminate()
