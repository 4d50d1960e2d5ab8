"""`unique` of aggregates: the values that they hold, who may take one, and what is held already."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from tusk_runtime.aggregates.fold import Folder, State
from tusk_runtime.errors import RuleBroken, Unavailable
from tusk_runtime.expressions import ExpressionFailed
from tusk_runtime.model.application import Aggregate, Unique
from tusk_runtime.store.protocol import EventStore, Held, Reservation, StreamId
from tusk_runtime.types import to_json

PAGE = 5000
STREAMS = 500


class Uniqueness:
    """What the aggregates of one type hold alone."""

    def __init__(self, aggregate: Aggregate) -> None:
        self.aggregate = aggregate
        self._of = {unique.definition: unique for unique in aggregate.unique}

    @property
    def definitions(self) -> Collection[bytes]:
        """The promises."""
        return self._of.keys()

    def held(self, state: State) -> set[Reservation]:
        """What an aggregate in this state holds: values with a null among them are none."""
        if not state.version or state.broken is not None:
            return set()
        found = set()
        for unique in self.aggregate.unique:
            values = [state.values[field] for field in unique.fields]
            if None not in values:
                found.add(Reservation(unique.definition, _digest(values)))
        return found

    def fields(self, definition: bytes) -> str:
        """The fields of a promise, in words."""
        return _words(self._of[definition])


class Holders:
    """Who holds which values, as far as a group of commands knows: what is not known is taken to be free.

    The store knows for sure: where that was wrong it says who holds the value, and the group is decided
    again.
    """

    def __init__(self, known: Mapping[Reservation, StreamId]) -> None:
        self._known: dict[Reservation, StreamId | None] = dict(known)

    def move(
        self, uniqueness: Uniqueness, stream: StreamId, before: State, after: State
    ) -> tuple[list[Reservation], list[Reservation]]:
        """Let an aggregate change: what it takes, and what it lets go. Raises RuleBroken."""
        if before.version and all(
            before.values[field] == after.values[field]
            for unique in uniqueness.aggregate.unique
            for field in unique.fields
        ):
            return [], []
        had, has = uniqueness.held(before), uniqueness.held(after)
        taken = sorted(has - had)
        for value in taken:
            if self._known.get(value) not in (None, stream):
                # The value itself is not told: the ledger keeps the refusal, and it may be personal.
                raise RuleBroken(
                    f"another {stream.aggregate_type} has the same {uniqueness.fields(value.definition)}"
                )
        gone = sorted(had - has)
        self._known |= dict.fromkeys(gone)
        self._known |= dict.fromkeys(taken, stream)
        return taken, gone


class Census:
    """What all aggregates of some types hold, read from the log.

    `read` may take long, and others may append meanwhile; `fill` completes it, while nobody does.
    """

    def __init__(
        self, events: EventStore, folders: Mapping[str, Folder], uniqueness: Mapping[str, Uniqueness]
    ) -> None:
        self._events = events
        self._folders = folders
        self._uniqueness = uniqueness
        self._position = 0
        self._held: dict[Reservation, StreamId] = {}
        self._disputed: set[StreamId] = set()

    async def read(self) -> None:
        """Read the log up to where it ends now."""
        head = await self._events.head()
        changed, self._disputed = self._disputed, set()
        after = self._position
        while after < head:
            page = await self._events.scan(
                after, min(PAGE, head - after), types=None, fields=("aggregate_type", "aggregate_id")
            )
            changed.update(StreamId(type_, id_) for _, _, type_, id_ in page if type_ in self._uniqueness)
            after = page[-1][0] if page else head
        if self._held and changed:
            self._held = {value: holder for value, holder in self._held.items() if holder not in changed}
        await self._take(list(changed))
        self._position = head

    async def fill(self, definitions: Collection[bytes]) -> Held:
        """What is held under some definitions. Raises Unavailable where two aggregates hold the same."""
        await self.read()
        if self._disputed:
            await self._explain(definitions)
        found: dict[bytes, dict[bytes, str]] = {definition: {} for definition in definitions}
        for value, holder in self._held.items():
            if value.definition in found:
                found[value.definition][value.digest] = holder.aggregate_id
        return found

    async def _take(self, streams: list[StreamId]) -> None:
        for start in range(0, len(streams), STREAMS):
            loaded = await self._events.read_streams(streams[start : start + STREAMS])
            for stream, events in loaded.items():
                folder = self._folders[stream.aggregate_type]
                try:
                    state = folder.fold(folder.initial, events)
                except ExpressionFailed:
                    continue  # it takes no commands either
                for value in self._uniqueness[stream.aggregate_type].held(state):
                    other = self._held.setdefault(value, stream)
                    if other != stream:
                        # Perhaps no longer when it is completed: both are looked at again.
                        self._disputed |= {stream, other}

    async def _explain(self, definitions: Collection[bytes]) -> None:
        disputed, self._disputed = sorted(self._disputed), set()
        seen: dict[Reservation, StreamId] = {}
        for stream, events in (await self._events.read_streams(disputed)).items():
            folder = self._folders[stream.aggregate_type]
            uniqueness = self._uniqueness[stream.aggregate_type]
            for value in uniqueness.held(folder.fold(folder.initial, events)):
                other = seen.setdefault(value, stream)
                if other != stream and value.definition in definitions:
                    raise Unavailable(
                        f"`unique` of {stream.aggregate_type} cannot be kept: {other.aggregate_id} and "
                        f"{stream.aggregate_id} have the same {uniqueness.fields(value.definition)}; change "
                        "one of them first"
                    )


def _words(unique: Unique) -> str:
    names = [f"`{field}`" for field in unique.fields]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def _digest(values: list[Any]) -> bytes:
    return blake2b(to_json([_plain(value) for value in values]), digest_size=16).digest()


def _plain(value: Any) -> Any:
    """One form for all values that are equal: `1.50` is `1.5`, and 2.0 is 2."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
