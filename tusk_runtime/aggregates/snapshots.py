"""`snapshot_every` of aggregates: states kept beside the log, so that no long history is read again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson

from tusk_runtime.aggregates.fold import Folder, State
from tusk_runtime.errors import StoreError
from tusk_runtime.failpoints import hit
from tusk_runtime.model.application import Aggregate
from tusk_runtime.store.protocol import EventStore, Snapshot, StreamId
from tusk_runtime.types import Type, decoder, to_json

AUDITED = 64
"""One of so many snapshots, the first one among them, is compared with what the whole log says."""
MOST_WAITING = 10_000
MOST_AT_ONCE = 200
PAUSE = 1.0
"""Seconds of rest after the store has failed."""

log = logging.getLogger("tusk.snapshots")


class StateCodec:
    """Turns the states of one type of aggregates into JSON and back; null is written, unlike in events."""

    def __init__(self, aggregate: Aggregate) -> None:
        self.definition = bytes.fromhex(aggregate.definition)
        self.every = aggregate.snapshot_every
        self._decode = decoder(Type("record", record=aggregate.state))

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """The JSON text."""
        return to_json(values)

    def decode(self, state: bytes) -> Mapping[str, Any]:
        """The values of the state's fields."""
        values: Mapping[str, Any] = orjson.loads(state)
        return values if self._decode is None else self._decode(values)


class Snapshots:
    """Saves states that commands have left, behind their backs, and gives them back.

    A snapshot is only a cache of the log: it counts for the definition that folded it, what stands behind it
    is always read, one of 64 is compared with the whole history, and where one differs none of its definition
    is trusted any more. `distrusted` is called then, so that what was loaded is read again.
    """

    def __init__(self, events: EventStore, distrusted: Callable[[], Awaitable[None]]) -> None:
        self._events = events
        self._distrusted = distrusted
        self._codecs: dict[str, StateCodec] = {}
        self._folders: Mapping[str, Folder] = {}
        self._waiting: dict[StreamId, State] = {}
        self._doubtful: dict[StreamId, State] = {}
        self._dropped: set[bytes] = set()
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._turn = 0
        self.saved = 0
        self.audited = 0
        self.error = ""

    def follow(self, folders: Mapping[str, Folder]) -> None:
        """Take the definitions of an application that becomes live."""
        self._folders = folders
        self._codecs = {
            name: StateCodec(folder.aggregate)
            for name, folder in folders.items()
            if folder.aggregate.snapshot_every
        }
        self._waiting.clear()
        self._doubtful.clear()
        self.error = ""

    @property
    def used(self) -> bool:
        """Whether any type of aggregates has snapshots."""
        return bool(self._codecs) or bool(self.error)

    def start(self) -> None:
        """Begin to save."""
        self._task = asyncio.create_task(self._run(), name="snapshots")

    async def stop(self) -> None:
        """Stop, whatever waits: it is only a cache."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def load(self, streams: Iterable[StreamId]) -> dict[StreamId, State]:
        """States of some of the aggregates, each at some version."""
        codecs = self._codecs
        asked = [stream for stream in streams if stream.aggregate_type in codecs]
        if not asked:
            return {}
        found: dict[StreamId, State] = {}
        for stream, snapshot in (await self._events.snapshots(asked)).items():
            codec = codecs[stream.aggregate_type]
            if snapshot.definition == codec.definition:
                try:
                    found[stream] = State(snapshot.version, codec.decode(snapshot.state))
                except Exception as error:
                    self._distrust(stream, f"cannot be read: {error}")
                    return {}
                self._doubt(stream, found[stream])
        return found

    def note(self, before: Mapping[StreamId, State], after: Mapping[StreamId, State]) -> None:
        """Save the states that have come past a multiple of `snapshot_every`."""
        codecs = self._codecs
        if not codecs:
            return
        for stream, state in after.items():
            codec = codecs.get(stream.aggregate_type)
            if codec is None or state.version // codec.every == before[stream].version // codec.every:
                continue
            if stream in self._waiting or len(self._waiting) < MOST_WAITING:
                self._waiting[stream] = state
                self._doubt(stream, state)
                self._arrived.set()

    def _doubt(self, stream: StreamId, state: State) -> None:
        if self._turn % AUDITED == 0:
            self._doubtful[stream] = state
            self._arrived.set()
        self._turn += 1

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._doubtful or self._waiting or self._dropped:
                try:
                    await self._audit()
                    await self._drop()
                    await self._save()
                except StoreError as error:
                    log.warning("some snapshots are left out: %s", error)
                    await asyncio.sleep(PAUSE)
                except Exception as error:
                    self._codecs = {}
                    self.error = f"{type(error).__name__}: {error}"
                    asyncio.get_running_loop().call_exception_handler(
                        {"message": "snapshots", "exception": error}
                    )

    async def _audit(self) -> None:
        doubtful, self._doubtful = self._doubtful, {}
        for stream, state in doubtful.items():
            codec = self._codecs.get(stream.aggregate_type)
            folder = self._folders[stream.aggregate_type]
            if codec is None:
                continue
            events = await self._events.read_stream(stream, until_version=state.version)
            told = folder.fold(folder.initial, events)
            self.audited += 1
            if told.version != state.version or codec.encode(told.values) != codec.encode(state.values):
                self._distrust(stream, "differs from what its events say")

    async def _save(self) -> None:
        snapshots: list[Snapshot] = []
        while self._waiting and len(snapshots) < MOST_AT_ONCE:
            stream, state = self._waiting.popitem()
            codec = self._codecs.get(stream.aggregate_type)
            if codec is None:
                continue
            text = codec.encode(state.values)
            if codec.decode(text) != state.values:
                self._distrust(stream, "would not come back as it was")
                return
            snapshots.append(Snapshot(stream, codec.definition, state.version, text))
        if snapshots:
            await hit("snapshot.before_save")
            await self._events.save_snapshots(snapshots)
            await hit("snapshot.saved")
            self.saved += len(snapshots)

    def _distrust(self, stream: StreamId, why: str) -> None:
        """Use no snapshots of this type of aggregates any more; the log alone counts."""
        self.error = f"the snapshot of {stream.aggregate_type} {stream.aggregate_id} {why}: none is used"
        log.error("%s", self.error)
        self._dropped.add(self._codecs.pop(stream.aggregate_type).definition)
        self._arrived.set()

    async def _drop(self) -> None:
        """Forget what is not trusted, and what came from it."""
        if self._dropped:
            await self._distrusted()
            for definition in list(self._dropped):
                await self._events.drop_snapshots(definition)
                self._dropped.discard(definition)
