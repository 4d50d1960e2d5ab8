"""Opening a store: its tables made or checked, and what is wrong told in words."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg

from tusk_runtime.errors import StartFailed
from tusk_runtime.store.naming import SCHEMA_VERSION
from tusk_runtime.store.postgres.connecting import CONNECT_SECONDS, LOCK_SECONDS
from tusk_runtime.store.postgres.names import Names, names_of

OLDEST_SERVER = 14


async def made_or_checked(
    connection: asyncpg.Connection, table: str | None, partitions: int | None, place: str
) -> Names:
    """The names of the store, whose schema is there afterwards. Raises StartFailed.

    Where it is not there it is made, with so many partitions; None: it is not made.
    """
    names = await names_in(connection, table, place)
    async with connection.transaction():
        # Of several processes that start together one makes the tables.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", names.lock)
        found = await schema_version(connection, names, place)
        if found is None:
            if partitions is None:
                raise nothing_yet(place)
            # Imported here: only a new schema needs SQLAlchemy, which takes most of the time to start.
            from tusk_runtime.store.postgres.schema import make_schema

            await make_schema(connection, names, partitions)
        elif found < SCHEMA_VERSION:
            raise StartFailed(
                f"the tables in {place} were made by an older version of this program: their schema is "
                f"{found}, and this version needs {SCHEMA_VERSION}",
                "bring them there: tusk migrate FILE",
            )
    return names


async def names_in(connection: asyncpg.Connection, table: str | None, place: str) -> Names:
    """The names of a store in the schema that a connection sees. Raises StartFailed."""
    version = connection.get_server_version()
    if version.major < OLDEST_SERVER:
        raise StartFailed(
            f"the database {place} runs PostgreSQL {version.major}",
            f"this program needs version {OLDEST_SERVER} or newer",
        )
    schema = await connection.fetchval("SELECT current_schema()")
    if schema is None:
        raise StartFailed(
            f"the database {place} has none of the schemas that this role looks for tables in",
            "make one, or name one: `?search_path=NAME` at the end of the connection string",
        )
    return names_of(schema, table)


async def schema_version(connection: asyncpg.Connection, names: Names, place: str) -> int | None:
    """The version of the store's tables, None where they are not there.

    Raises StartFailed for a newer one, and for the table of another program.
    """
    there = await connection.fetchrow(
        "SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL", names.meta, names.events
    )
    if not there[0]:
        if there[1]:
            raise StartFailed(
                f"the table {names.events} in {place} is that of another program",
                "give another `table_name`, or another database",
            )
        return None
    found = int(
        await connection.fetchval(f"SELECT value FROM {names.meta} WHERE key = 'schema'") or 0  # noqa: S608
    )
    if found > SCHEMA_VERSION:
        raise StartFailed(
            f"the tables in {place} were made by a newer version of this program: their schema is "
            f"{found}, and this version knows schemas up to {SCHEMA_VERSION}",
            "upgrade tusk-runtime, or name another database",
        )
    return found


def nothing_yet(place: str) -> StartFailed:
    """There is no store, and none is to be made."""
    return StartFailed(f"there are no tables in {place} yet", "start the application once")


def place_of(dsn: str) -> str:
    """Where a database is, without the password."""
    try:
        url = urlsplit(dsn)
        host = f"{url.hostname or 'localhost'}:{url.port or 5432}"
    except ValueError:
        return "of this connection string"
    return f"{host}/{url.path.strip('/') or url.username or ''}"


def why(error: BaseException) -> str:
    """What went wrong, without the password."""
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # A connection string that cannot be read stands in the message, with its password.
    return "the connection string cannot be read" if isinstance(error, ValueError) else str(error)


def advice_for(error: BaseException) -> str:
    """What to do about it."""
    for kind, advice in _ADVICE:
        if isinstance(error, kind):
            return advice
    return "see the log of the database server"


_ADVICE: tuple[tuple[type[BaseException], str], ...] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "check the user and the password"),
    (asyncpg.InvalidCatalogNameError, "make the database: createdb NAME"),
    (
        asyncpg.InsufficientPrivilegeError,
        "let a role that may create tables start it once: GRANT CREATE ON SCHEMA",
    ),
    (
        asyncpg.LockNotAvailableError,
        f"another process kept the schema locked for {LOCK_SECONDS:g} s: try again",
    ),
    (asyncpg.TooManyConnectionsError, "raise max_connections of the server, or lower pool_size"),
    (OSError, "start the server, or check the host and the port"),
    (TimeoutError, "check the host, the port, and what stands between"),
    (ValueError, "write it as postgresql://user:password@host:5432/database"),
)
