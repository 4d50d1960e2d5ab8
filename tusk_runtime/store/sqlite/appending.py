"""Appending: a batch of decisions becomes one transaction of a few statements, whatever their number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter

import apsw
import orjson

from tusk_runtime.errors import Conflict, Earlier, OutcomeUnknown, StoreUnavailable, Taken
from tusk_runtime.failpoints import hit_in_thread
from tusk_runtime.store.driver import (
    execute_all,
    execute_rows,
    fetch_all,
    fetch_one,
    roll_back,
    rows_of_parameters,
    translated,
)
from tusk_runtime.store.protocol import Decision, Held, Recorded
from tusk_runtime.store.recent import keep_recent
from tusk_runtime.store.reservations import changes_of
from tusk_runtime.store.signs import signed
from tusk_runtime.store.sqlite import promises

KNOWN_STREAMS = 65_536
"""How many aggregates' numbers and versions are kept in memory: those used last."""

INSERT_NAMES = "INSERT INTO tusk_names (id, name) VALUES "
INSERT_STREAMS = "INSERT INTO tusk_streams (id, aggregate_type, aggregate_id) VALUES "
INSERT_EVENTS = (
    "INSERT INTO tusk_events (position, stream, version, type, timestamp, "
    "command_id, correlation_id, ordinal, metadata, data) VALUES "
)
INSERT_COMMANDS = (
    "INSERT INTO tusk_commands (command_id, fingerprint, stream, version, position, count, refusal) VALUES "
)
# One row of JSON instead of a row for each stream, for the reason that `execute_rows` gives.
FIND_STREAMS = (
    "WITH w (number, aggregate_type, aggregate_id) AS (VALUES ",
    ") SELECT json_group_array(json_array(w.number, s.id, "
    "(SELECT max(version) FROM tusk_events WHERE stream = s.id))) "
    "FROM w CROSS JOIN tusk_streams s "
    "ON s.aggregate_id = w.aggregate_id AND s.aggregate_type = w.aggregate_type",
)
HIGHEST = (
    "SELECT (SELECT max(position) FROM tusk_events), (SELECT max(id) FROM tusk_streams), "
    "(SELECT timestamp FROM tusk_events ORDER BY position DESC LIMIT 1)"
)
BEFORE_ALL = -(2**63)
"""A time before any."""
ALL_NAMES = "SELECT name, id FROM tusk_names"

_Key = tuple[str, str]


class Appender:
    """Writes to the log, and knows by heart what it needs to number events.

    It belongs to the connection that writes. What it knows changes only after a commit, so that a failed
    transaction leaves nothing to undo, and after one that failed it is read again. `seconds` is what a
    transaction took lately, on average.
    """

    def __init__(self) -> None:
        self.head = 0
        self.seconds = 0.0
        self._last_stream = 0
        self._newest = BEFORE_ALL
        self._names: dict[str, int] = {}
        self._streams: dict[_Key, tuple[int, int]] = {}
        self._promises: dict[str, dict[bytes, int]] = {}
        self._stale = True
        self._unsynced = False
        self._durable: bool | None = None

    def refresh(self, connection: apsw.Connection) -> None:
        """Read from the database what is known by heart, if that may be out of date."""
        if self._unsynced:
            # After a failed fsync the kernel may have dropped pages of the write-ahead log without a trace.
            # Nothing is built on it before all of it has arrived in the database file.
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
            self._unsynced = False
        if self._stale:
            roll_back(connection)
            position, stream, newest = fetch_one(connection, HIGHEST)
            self.head, self._last_stream = position or 0, stream or 0
            self._newest = newest if newest is not None else BEFORE_ALL
            self._names = dict(fetch_all(connection, ALL_NAMES))
            self._promises = promises.promises(connection)
            self._streams.clear()
            self._stale = False

    def set_durable(self, connection: apsw.Connection, durable: bool) -> None:
        """Choose whether commits wait for the disk. Read models need not: they can be computed again."""
        if self._durable is not durable:
            connection.pragma("synchronous", "full" if durable else "normal")
            self._durable = durable

    def append(
        self, connection: apsw.Connection, batch: Sequence[Decision], in_order: bool
    ) -> list[Recorded]:
        """Write all decisions in one durable transaction; see `EventStore.append`."""
        self.refresh(connection)
        if in_order and batch and batch[0].timestamp < self._newest:
            raise Earlier(self._newest)
        self.set_durable(connection, True)
        known, names = self._streams, self._names
        self._look_up(connection, batch)

        position, last_stream, newest = self.head, self._last_stream, self._newest
        touched: dict[_Key, tuple[int, int]] = {}
        new_names: dict[str, int] = {}
        name_rows: list[object] = []
        stream_rows: list[object] = []
        event_rows: list[object] = []
        command_rows: list[object] = []
        answers: list[Recorded] = []

        def intern(name: str) -> int:
            number = new_names[name] = len(names) + len(new_names) + 1
            name_rows.extend((number, name))
            return number

        for decision in batch:
            aggregate_type, aggregate_id = decision.aggregate_type, decision.aggregate_id
            key = (aggregate_type, aggregate_id)
            at = touched.get(key) or known.get(key)
            if at is None:
                last_stream += 1
                at = (last_stream, 0)
                type_ = names.get(aggregate_type) or new_names.get(aggregate_type) or intern(aggregate_type)
                stream_rows += (last_stream, type_, aggregate_id)
            stream, version = at
            if version != decision.expected_version:
                raise Conflict(
                    f"{aggregate_type} {aggregate_id} is at version {version}, "
                    f"the decision expects {decision.expected_version}"
                )
            command_id, timestamp, metadata = decision.command_id, decision.timestamp, decision.metadata
            correlation_id = decision.correlation_id
            ordinal = 0
            for name, data in decision.events:
                position += 1
                version += 1
                type_ = names.get(name) or new_names.get(name) or intern(name)
                event_rows += (
                    position, stream, version, type_, timestamp,
                    command_id, correlation_id, ordinal, metadata, data,
                )  # fmt: skip
                ordinal += 1
            touched[key] = (stream, version)
            if ordinal:
                newest = timestamp
            fingerprint, refusal = decision.fingerprint, decision.refusal
            command_rows += (command_id, signed(fingerprint), stream, version, position, ordinal, refusal)
            answers.append(
                Recorded(
                    command_id, fingerprint, aggregate_type, aggregate_id, version, position, ordinal, refusal
                )
            )

        changes = changes_of(batch)
        if changes is not None:
            numbers = promises.numbers_of(changes, self._promises)

        # Until all is done, whatever happens: what is known by heart counts for nothing.
        self._stale = True
        began = perf_counter()
        try:
            connection.execute("BEGIN IMMEDIATE")
            if name_rows:
                execute_all(connection, _insert_names, 2, name_rows)
            if stream_rows:
                execute_all(connection, _insert_streams, 3, stream_rows)
            execute_all(connection, _insert_events, 10, event_rows)
            execute_all(connection, _insert_commands, 7, command_rows)
            if changes is not None:
                streams = {key: number for key, (number, _) in touched.items()}
                promises.apply(connection, changes, numbers, streams)
            hit_in_thread("append.before_commit")
            self._commit(connection)
        except (Taken, StoreUnavailable):
            roll_back(connection)
            raise
        except apsw.ConstraintError as error:
            roll_back(connection)
            raise Conflict(_reason(error)) from error
        except apsw.Error as error:
            roll_back(connection)
            raise translated(error, "nothing was written") from error
        finally:
            self.seconds += (perf_counter() - began - self.seconds) / 8

        self.head, self._last_stream, self._newest = position, last_stream, newest
        names.update(new_names)
        keep_recent(self._streams, touched, KNOWN_STREAMS)
        self._stale = False
        return answers

    def keep(self, connection: apsw.Connection, wanted: Mapping[str, Collection[bytes]], held: Held) -> None:
        """Keep these promises for some types of aggregates; see `EventStore.promise`."""
        self.refresh(connection)
        self.set_durable(connection, True)
        self._stale = True
        try:
            promises.keep(connection, wanted, held)
        except apsw.Error as error:
            raise translated(error, "nothing was written") from error

    @contextmanager
    def durably(self, connection: apsw.Connection) -> Iterator[None]:
        """A durable transaction about anything but the log. Raises OutcomeUnknown as `append` does."""
        self.refresh(connection)
        self.set_durable(connection, True)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._commit(connection)
        except BaseException:
            roll_back(connection)
            raise

    def _look_up(self, connection: apsw.Connection, batch: Iterable[Decision]) -> None:
        """Learn the numbers and versions of the streams that exist but are not known."""
        known, names = self._streams, self._names
        missing = list(
            {
                key: None
                for each in batch
                if (key := (each.aggregate_type, each.aggregate_id)) not in known and key[0] in names
            }
        )
        if not missing:
            return
        rows = [
            value
            for number, (type_name, aggregate_id) in enumerate(missing)
            for value in (number, names[type_name], aggregate_id)
        ]
        for cursor in execute_rows(connection, _find_streams, 3, rows):
            found: str = cursor.get
            for number, stream, version in orjson.loads(found):
                known[missing[number]] = (stream, version or 0)

    def _commit(self, connection: apsw.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except (apsw.FullError, apsw.BusyError):
            # The last page of a transaction makes it valid, and that page was not written.
            raise
        except apsw.Error as error:
            # It is rolled back here, but all of it may stand in the write-ahead log, and be found there
            # after a crash. Repeating the same commands is right in both cases.
            roll_back(connection)
            self._unsynced = True
            raise OutcomeUnknown(f"the commit failed: {error}") from error


@lru_cache
def _insert_names(rows: int) -> str:
    return INSERT_NAMES + rows_of_parameters(2, rows)


@lru_cache
def _insert_streams(rows: int) -> str:
    return INSERT_STREAMS + rows_of_parameters(3, rows)


@lru_cache
def _insert_events(rows: int) -> str:
    return INSERT_EVENTS + rows_of_parameters(10, rows)


@lru_cache
def _insert_commands(rows: int) -> str:
    return INSERT_COMMANDS + rows_of_parameters(7, rows)


@lru_cache
def _find_streams(rows: int) -> str:
    return rows_of_parameters(3, rows).join(FIND_STREAMS)


def _reason(error: apsw.ConstraintError) -> str:
    if "tusk_commands" in str(error):
        return "a command id of the batch is in the ledger already"
    return f"another writer appended first ({error})"
