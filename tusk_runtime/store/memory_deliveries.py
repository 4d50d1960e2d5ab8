"""What the store in memory keeps for consumers: the tables of SQLite, in a database of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from tusk_runtime.errors import StoreUnavailable
from tusk_runtime.store.delivery_tables import TableDeliveries
from tusk_runtime.store.driver import transaction, translated

T = TypeVar("T")
P = ParamSpec("P")

CREATE = """
CREATE TABLE tusk_consumers (
    name TEXT, position INTEGER NOT NULL, epoch INTEGER NOT NULL, holder BLOB NOT NULL,
    until INTEGER NOT NULL, source TEXT, PRIMARY KEY (name, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE tusk_letters (
    consumer TEXT, source TEXT, position INTEGER, key TEXT NOT NULL, standing TEXT NOT NULL,
    action INTEGER NOT NULL, attempts INTEGER NOT NULL, timestamp INTEGER NOT NULL, error BLOB NOT NULL,
    message BLOB NOT NULL, PRIMARY KEY (consumer, source, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE tusk_seen (
    consumer TEXT, key TEXT, version INTEGER NOT NULL, PRIMARY KEY (consumer, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX tusk_letters_key ON tusk_letters (consumer, key, source, position);
CREATE INDEX tusk_letters_standing ON tusk_letters (consumer, standing, source, position);
"""


class MemoryDeliveries(TableDeliveries):
    """The progress of consumers and their dead letters, until the store is closed."""

    def __init__(self) -> None:
        super().__init__(self._run, self._change)
        self._opened: apsw.Connection | None = None
        self._closed = False

    def close(self) -> None:
        """Forget everything."""
        self._closed = True
        if self._opened is not None:
            self._opened.close(force=True)

    async def _run(
        self, work: Callable[Concatenate[apsw.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return work(self._connection, *args, **kwargs)
        except apsw.Error as error:
            raise translated(error, "the store") from error

    async def _change(
        self, work: Callable[Concatenate[apsw.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        def changed(connection: apsw.Connection) -> T:
            with transaction(connection):
                return work(connection, *args, **kwargs)

        return await self._run(changed)

    @property
    def _connection(self) -> apsw.Connection:
        # Opened when first used: most tests have no consumers.
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._opened is None:
            self._opened = apsw.Connection(":memory:")
            self._opened.execute(CREATE)
        return self._opened
