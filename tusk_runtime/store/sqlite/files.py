"""The database file: opened in the right modes, by one process only, and only if it is ours."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import apsw

from tusk_runtime.errors import StartFailed
from tusk_runtime.store.driver import fetch_all, register_decimals, transaction, translated
from tusk_runtime.store.naming import SCHEMA_VERSION

PAGE_BYTES = 4096
CACHE_KIBIBYTES = 32 * 1024
PAGES_BETWEEN_CHECKPOINTS = 4000
STATEMENTS = 256


class ProcessLock:
    """An exclusive lock on `<database>.lock`, held while the store is open.

    SQLite would let several processes write in turns, but the writer knows versions and positions by heart.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._file = -1

    def acquire(self) -> None:
        """Take the lock. Raises StartFailed naming the process that has it."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(self._file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            self._file = -1
            raise StartFailed(
                f"`{self._path.with_suffix('')}` is already open in process {owner}",
                "stop that process first, or give this one a database of its own",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back. The file stays: removing it could take the next owner's lock away."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def prepare(path: Path) -> None:
    """Make the folder of a database, and see that the database could be written.

    Raises StartFailed with what to do.
    """
    if path.is_dir():
        raise StartFailed(f"`{path}` is a folder", f"name a file in it, such as `{path / 'tusk.db'}`")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartFailed(
            f"the folder `{path.parent}` cannot be made: {error.strerror}", "make it, or name another one"
        ) from error
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.W_OK):
            raise StartFailed(
                f"`{place}` cannot be written", f"give this user the right to: chmod u+w '{place}'"
            )


def connect_writer(path: Path) -> apsw.Connection:
    """Open, check and if need be make the database. Raises StartFailed with what to do."""
    try:
        connection = apsw.Connection(str(path), statementcachesize=STATEMENTS)
        try:
            connection.set_busy_timeout(2000)
            _make_or_check(connection, path)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            # A statement of many rows keeps the pages it changes until it is done: not in a file, please.
            connection.pragma("temp_store", "memory")
            connection.pragma("cache_size", -CACHE_KIBIBYTES)
            register_decimals(connection)
        except BaseException:
            connection.close(force=True)
            raise
    except apsw.Error as error:
        raise failed(error, path) from error
    return connection


def check_readable(path: Path) -> None:
    """See that there is a database of ours that can be read. Raises StartFailed with what to do."""
    if path.is_dir():
        raise StartFailed(f"`{path}` is a folder", f"name a file in it, such as `{path / 'tusk.db'}`")
    try:
        connection = connect_reader(path)
        try:
            if not is_ours(connection, path):
                raise StartFailed(f"the database `{path}` is empty", "start the application once")
            _check_version(connection, path)
        finally:
            connection.close()
    except apsw.Error as error:
        raise failed(error, path) from error


def connect_reader(path: Path) -> apsw.Connection:
    """Open the database for reading only."""
    name, flags = str(path), apsw.SQLITE_OPEN_READONLY
    if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        # A backup on a disk that cannot be written: the files that readers share cannot be made beside it.
        name, flags = f"{path.as_uri()}?immutable=1", flags | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(name, flags=flags, statementcachesize=STATEMENTS)
    connection.set_busy_timeout(2000)
    restrict(connection)
    register_decimals(connection)
    return connection


def checkpoint(connection: apsw.Connection) -> None:
    """Bring the write-ahead log into the database as far as no reader needs it; the rest next time."""
    with suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def restrict(connection: apsw.Connection) -> None:
    """Keep what runs on a connection from writing and from opening other files."""
    connection.pragma("query_only", True)
    connection.pragma("trusted_schema", False)
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)


def _make_or_check(connection: apsw.Connection, path: Path) -> None:
    if connection.readonly("main"):
        raise StartFailed(f"`{path}` cannot be written", f"give this user the right to: chmod u+w '{path}'")
    if not is_ours(connection, path):
        connection.pragma("page_size", PAGE_BYTES)
        # Imported here: only a new database needs SQLAlchemy, which takes most of the time to start.
        from tusk_runtime.store.tables import creation

        make_schema(connection, tuple(creation()))
        return
    _check_version(connection, path)


def _check_version(connection: apsw.Connection, path: Path) -> None:
    if (version := schema_version(connection, path)) < SCHEMA_VERSION:
        raise StartFailed(
            f"`{path}` was written by an older version of this program: its schema is {version}, "
            f"and this version needs {SCHEMA_VERSION}",
            "bring it there: tusk migrate FILE",
        )


def is_ours(connection: apsw.Connection, path: Path) -> bool:
    """Whether the store's tables are there; not if there are none. Raises StartFailed if there are others."""
    objects = {name for (name,) in fetch_all(connection, "SELECT name FROM sqlite_schema")}
    if objects and "tusk_meta" not in objects:
        raise StartFailed(
            f"`{path}` is the database of another program", "name a file that does not exist yet"
        )
    return bool(objects)


def make_schema(connection: apsw.Connection, statements: Sequence[str]) -> None:
    """Create the store's own tables in one transaction."""
    with transaction(connection):
        for statement in statements:
            connection.execute(statement)
        about = {"schema": str(SCHEMA_VERSION), "store": str(uuid.uuid4())}
        for item in about.items():
            connection.execute("INSERT INTO tusk_meta (key, value) VALUES (?, ?)", item)


def schema_version(connection: apsw.Connection, path: Path) -> int:
    """The version of the store's tables in a database that has them. Raises StartFailed for a newer one."""
    row = connection.execute("SELECT value FROM tusk_meta WHERE key = 'schema'").fetchone()
    version = int(row[0]) if row else 0
    if version > SCHEMA_VERSION:
        raise StartFailed(
            f"`{path}` was written by a newer version of this program: its schema is {version}, "
            f"and this version knows schemas up to {SCHEMA_VERSION}",
            "upgrade tusk-runtime, or name another file",
        )
    return version


def failed(error: apsw.Error, path: Path) -> StartFailed:
    """What an error of the driver means to those who open a database."""
    return StartFailed(str(translated(error, f"`{path}`")), _advice(error))


def _advice(error: apsw.Error) -> str:
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        return "name another file, or restore this one from a backup"
    if isinstance(error, apsw.FullError):
        return "make room on the disk"
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return "close the other program that has this file open"
    return "check the path and the rights of this user on it"
