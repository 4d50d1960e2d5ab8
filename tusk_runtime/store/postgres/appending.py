"""Appending: a batch of decisions becomes one statement that is a transaction of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from tusk_runtime.errors import Conflict, OutcomeUnknown, StoreUnavailable
from tusk_runtime.store.postgres.connecting import FAILURES, Address, close, connect, lost, reason, translated
from tusk_runtime.store.postgres.names import WENT_BACK, Names
from tusk_runtime.store.protocol import Decision, Recorded
from tusk_runtime.store.signs import signed
from tusk_runtime.store.waiting import Head

KNOWN_STREAMS = 65_536
"""How many aggregates' numbers and versions are kept in memory: those used last."""

_Key = tuple[str, str]


class Appender:
    """Writes to the log over a connection of its own, one batch after the other.

    What it knows by heart are numbers of names and streams, which never change, and versions, which are
    those of its own last write: the database compares them, since others may write, too. With the
    connection all of it is forgotten, for it may have been another server's.
    """

    def __init__(self, address: Address, names: Names, head: Head) -> None:
        self._address = address
        self._connection: asyncpg.Connection | None = None
        self._head = head
        self._turn = asyncio.Lock()
        self._closed = False
        self._running: set[asyncio.Task[list[Recorded]]] = set()
        self._names: dict[str, int] = {}
        self._streams: dict[_Key, tuple[int, int]] = {}
        parameters = ", ".join(f"${number}" for number in range(1, 24))
        self._append_sql = f"SELECT head, streams FROM {names.append} ({parameters})"  # noqa: S608
        self._add_names = f"INSERT INTO {names.names} (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
        self._all_names = f"SELECT name, id FROM {names.names}"  # noqa: S608

    async def append(self, batch: Sequence[Decision]) -> list[Recorded]:
        """Write all decisions in one durable transaction; see `EventStore.append`."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        # A caller that gives up must not leave the connection in the middle of something.
        task = asyncio.ensure_future(self._append_in_turn(batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Finish what was begun, and close the connection."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        connection, self._connection = self._connection, None
        await close(connection)

    async def _append_in_turn(self, batch: Sequence[Decision]) -> list[Recorded]:
        async with self._turn:
            connection = await self._connected()
            await self._learn_names(connection, batch)
            return await self._append(connection, batch)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._forget()
            try:
                self._connection = await connect(self._address)
            except FAILURES as error:
                raise translated(error, "the database cannot be reached") from error
        return self._connection

    async def _append(self, connection: asyncpg.Connection, batch: Sequence[Decision]) -> list[Recorded]:
        written = _Batch(batch, self._names, self._streams)
        try:
            head, streams = await connection.fetchrow(
                self._append_sql, self._head.position, *written.parameters()
            )
        except asyncpg.PostgresError as error:
            self._forget_versions(batch)
            if error.sqlstate == WENT_BACK:
                # Another server than before, or one that was restored.
                self._drop_connection()
                raise StoreUnavailable(f"the database lost events: {error}") from error
            if lost(error):
                self._drop_connection()
                raise OutcomeUnknown(f"the commit may or may not have happened: {error}") from error
            raise translated(error, "nothing was written") from error
        except FAILURES as error:
            self._forget_versions(batch)
            self._drop_connection()
            if not lost(error):  # a value that cannot be sent
                raise translated(error, "nothing was written") from error
            raise OutcomeUnknown(f"the commit may or may not have happened: {reason(error)}") from error
        self._remember(written.touched(streams))
        if written.count:
            self._head.advance(head + written.count)
        return written.answers(head)

    async def _learn_names(self, connection: asyncpg.Connection, batch: Iterable[Decision]) -> None:
        """Give numbers to names that are new: in a transaction before, since a name alone does no harm."""
        used = {event.type for decision in batch for event in decision.events}
        used.update(decision.aggregate_type for decision in batch)
        missing = sorted(used - self._names.keys())
        if not missing:
            return
        try:
            await connection.execute(self._add_names, missing)
            self._names = dict(await connection.fetch(self._all_names))
        except FAILURES as error:
            if lost(error):
                self._drop_connection()
            raise translated(error, "nothing was written") from error

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        self._forget()

    def _forget(self) -> None:
        self._names.clear()
        self._streams.clear()

    def _forget_versions(self, batch: Iterable[Decision]) -> None:
        for decision in batch:
            self._streams.pop((decision.aggregate_type, decision.aggregate_id), None)

    def _remember(self, touched: dict[_Key, tuple[int, int]]) -> None:
        known = self._streams
        for key, at in touched.items():
            known.pop(key, None)
            known[key] = at  # behind all others: the first ones are those unused for longest
        while len(known) > KNOWN_STREAMS:
            del known[next(iter(known))]


class _Batch:
    """The decisions as columns. Raises Conflict where two of them contradict each other."""

    def __init__(
        self, batch: Sequence[Decision], names: dict[str, int], known: dict[_Key, tuple[int, int]]
    ) -> None:
        self._batch = batch
        self._numbers: dict[_Key, int] = {}
        self._versions: dict[_Key, int] = {}
        self._new_types: list[int] = []
        self._new_ids: list[str] = []
        e_stream, e_version, e_type, e_timestamp = [], [], [], []
        e_command, e_correlation, e_ordinal, e_metadata, e_data = [], [], [], [], []
        c_command, c_fingerprint, c_stream, c_version = [], [], [], []
        c_offset, c_count, c_refusal = [], [], []
        expected: dict[int, int] = {}
        unchecked: set[int] = set()
        offset = 0
        for decision in batch:
            key = decision.aggregate_type, decision.aggregate_id
            stream = self._numbers.get(key)
            if stream is None:
                at = known.get(key)
                if at is None:
                    self._new_types.append(names[decision.aggregate_type])
                    self._new_ids.append(decision.aggregate_id)
                    stream = -len(self._new_ids)
                else:
                    stream = at[0]
                    if at[1] == decision.expected_version:
                        unchecked.add(stream)
                self._numbers[key] = stream
                self._versions[key] = expected[stream] = decision.expected_version
            version = self._versions[key]
            if version != decision.expected_version:
                raise Conflict(
                    f"{decision.aggregate_type} {decision.aggregate_id} is at version {version}, "
                    f"the decision expects {decision.expected_version}"
                )
            command_id, timestamp, metadata = decision.command_id, decision.timestamp, decision.metadata
            correlation_id = decision.correlation_id
            ordinal = 0
            for name, data in decision.events:
                version += 1
                e_stream.append(stream)
                e_version.append(version)
                e_type.append(names[name])
                e_timestamp.append(timestamp)
                e_command.append(command_id)
                e_correlation.append(correlation_id)
                e_ordinal.append(ordinal)
                e_metadata.append(metadata)
                e_data.append(data)
                ordinal += 1
            offset += ordinal
            self._versions[key] = version
            c_command.append(command_id)
            c_fingerprint.append(signed(decision.fingerprint))
            c_stream.append(stream)
            c_version.append(version)
            c_offset.append(offset)
            c_count.append(ordinal)
            c_refusal.append(decision.refusal)
        self.count = offset
        # The unique index finds out about events that others wrote, unless nothing is written here.
        silent = set(expected).difference(e_stream)
        checked = [stream for stream in expected if stream in silent or stream not in unchecked]
        at, e_timestamp = _once(e_timestamp)
        meta, e_metadata = _once(e_metadata)
        self._places = list(zip(c_version, c_offset, c_count, strict=True))
        if c_count.count(1) == len(c_count):
            # What each event says of its command need not be said again: most batches are like this.
            e_ordinal, c_stream, c_version, c_command, c_offset, c_count = [], [], [], [], [], []
        self._columns = (
            checked, [expected[stream] for stream in checked], at, meta,
            e_stream, e_version, e_type, e_command, e_data,
            e_timestamp, _any(e_correlation), e_ordinal, e_metadata,
            c_fingerprint, c_stream, c_version, c_command, c_offset, c_count, _any(c_refusal),
        )  # fmt: skip

    def parameters(self) -> tuple[Sequence[object], ...]:
        """What the function takes behind the head."""
        return (self._new_types, self._new_ids, *self._columns)

    def touched(self, streams: Sequence[int] | None) -> dict[_Key, tuple[int, int]]:
        """The numbers and versions of all streams of the batch; `streams` are the numbers of the new ones."""
        return {
            key: (number if number >= 0 else (streams or ())[-number - 1], self._versions[key])
            for key, number in self._numbers.items()
        }

    def answers(self, head: int) -> list[Recorded]:
        """The rows of the ledger, where the log ended at `head` before."""
        return [
            Recorded(
                each.command_id,
                each.fingerprint,
                each.aggregate_type,
                each.aggregate_id,
                version,
                head + offset,
                count,
                each.refusal,
            )
            for each, (version, offset, count) in zip(self._batch, self._places, strict=True)
        ]


def _once(values: list[Any]) -> tuple[Any, list[Any]]:
    """A value that all have, and nothing; or nothing, and all of them."""
    if values and values.count(values[0]) == len(values):
        return values[0], []
    return None, values


def _any(values: list[bytes | None]) -> list[bytes | None]:
    """All values, or nothing if none is there."""
    return values if values.count(None) < len(values) else []
