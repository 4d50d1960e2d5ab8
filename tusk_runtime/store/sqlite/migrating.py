"""A database file that an older version wrote: copied, and then brought to the present schema."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import apsw
from sqlalchemy.dialects import sqlite

from tusk_runtime.errors import StartFailed
from tusk_runtime.store.driver import register_decimals, transaction
from tusk_runtime.store.migrations import statements
from tusk_runtime.store.naming import SCHEMA_VERSION
from tusk_runtime.store.protocol import Migration
from tusk_runtime.store.sqlite.files import ProcessLock, failed, is_ours, schema_version
from tusk_runtime.store.tables import Tables, describe, guards


def migrate(path: Path, *, apply: bool) -> Migration:
    """Bring a database to the present schema, in one transaction. Raises StartFailed.

    Without `apply` it is only read, and may be in use.
    """
    if not path.exists():
        raise StartFailed(f"there is no database `{path}` yet", "start the application once")
    if not apply:
        return _migrate(path, apsw.SQLITE_OPEN_READONLY)
    lock = ProcessLock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise StartFailed(f"`{path}` cannot be opened: {error.strerror}") from error
    try:
        return _migrate(path, apsw.SQLITE_OPEN_READWRITE)
    finally:
        lock.release()


def _migrate(path: Path, flags: int) -> Migration:
    try:
        connection = apsw.Connection(str(path), flags=flags)
        try:
            connection.set_busy_timeout(2000)
            connection.pragma("synchronous", "full")
            register_decimals(connection)
            if not is_ours(connection, path):
                raise StartFailed(f"there are no tables in `{path}` yet", "start the application once")
            found = schema_version(connection, path)
            if found == SCHEMA_VERSION:
                return Migration(found)
            plan = _plan(connection, found)
            if flags == apsw.SQLITE_OPEN_READONLY:
                return Migration(found, ["BEGIN IMMEDIATE", *plan, "COMMIT"])
            backup = _copy(connection, path, found)
            with transaction(connection):
                for statement in plan:
                    connection.execute(statement)
            return Migration(found, plan, str(backup))
        finally:
            connection.close()
    except apsw.Error as error:
        raise failed(error, path) from error
    except OSError as error:
        raise StartFailed(
            f"`{path}` cannot be copied: {error.strerror}", "make room, and see to the rights on its folder"
        ) from error


def _plan(connection: apsw.Connection, found: int) -> list[str]:
    tables = describe()
    return [
        *statements(found, sqlite.dialect(), "tusk_", tables.events.name),
        *_dropped(connection, tables),
        *guards(tables),
        f"UPDATE tusk_meta SET value = '{SCHEMA_VERSION}' WHERE key = 'schema'",  # noqa: S608 - a number
    ]


def _dropped(connection: apsw.Connection, tables: Tables) -> list[str]:
    """What takes away our triggers, and none that somebody else has put on a table."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
    ours = tuple(f"{table.name}_no_" for table in tables.immutable)
    return [f'DROP TRIGGER "{name}"' for (name,) in rows.fetchall() if str(name).startswith(ours)]


def _copy(connection: apsw.Connection, path: Path, found: int) -> Path:
    """A copy of the database beside it, under a name that nothing has, complete before it has that name."""
    names = (path.with_name(f"{path.name}.schema-{found}{f'.{n}' if n else ''}") for n in count())
    backup = next(name for name in names if not name.exists())
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, path.stat().st_mode & 0o777))
    copy = apsw.Connection(str(part))
    try:
        with copy.backup("main", connection, "main") as pages:
            pages.step()
    finally:
        copy.close()
    part.rename(backup)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return backup
