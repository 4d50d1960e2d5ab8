"""A batch of decisions as the columns that the function in the database takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, islice, repeat
from typing import Any, TypeVar

import orjson

from tusk_runtime.errors import Conflict, Superseded
from tusk_runtime.store.protocol import Decision, Recorded, Reservation
from tusk_runtime.store.reservations import changes_of
from tusk_runtime.store.signs import signed

Key = tuple[str, str]
"""An aggregate: its type and its id."""
Kept = Mapping[str, Mapping[bytes, int]]
"""The promises that are kept, with their numbers, by type of aggregates."""
_NONE: Mapping[bytes, int] = {}

_TYPES = (
    "bigint", "boolean", "integer[]", "text[]", "bigint[]", "integer[]", "bigint", "bytea",
    "bigint[]", "integer[]", "integer[]", "bytea[]", "bytea[]", "bigint[]", "bytea[]", "integer[]", "bytea[]",
    "bigint[]", "bigint[]", "integer[]", "bytea[]", "bigint[]", "integer[]", "bytea[]",
    "integer[]", "integer[]", "integer[]", "integer[]", "bytea[]", "bigint[]",
)  # fmt: skip
# The driver looks at each number of an array, whether it is an array itself, and twice. A text is quicker.
_IN_TEXT = [type_ in ("integer[]", "bigint[]") for type_ in _TYPES]
PARAMETERS = ", ".join(
    f"${number}::text::{type_}" if in_text else f"${number}"
    for number, (type_, in_text) in enumerate(zip(_TYPES, _IN_TEXT, strict=True), 1)
)

T = TypeVar("T")


class Batch:
    """The decisions as columns; `kept` are the promises that are kept, with their numbers, by type.

    Raises Conflict where two of the decisions contradict each other, and Superseded where they are about
    other promises.
    """

    def __init__(
        self,
        batch: Sequence[Decision],
        names: dict[str, int],
        known: dict[Key, tuple[int, int]],
        kept: Kept,
    ) -> None:
        self._batch = batch
        self._places: dict[Key, tuple[int, int]] = {}  # the number of a stream, and its version so far
        new: list[Key] = []
        streams: list[int] = []
        after: list[int] = []
        counts: list[int] = []
        unsure: dict[int, int] = {}
        idle: dict[int, int] = {}
        for decision in batch:
            key = decision.aggregate_type, decision.aggregate_id
            expected, count = decision.expected_version, len(decision.events)
            place = self._places.get(key)
            if place is None:
                place = known.get(key)
                if place is None:
                    new.append(key)
                    place = -len(new), -1
                stream, version = place
                if version != expected:
                    unsure[stream] = expected
                elif not count:
                    idle[stream] = expected
            else:
                stream, version = place
                if version != expected:
                    raise Conflict(
                        f"{decision.aggregate_type} {decision.aggregate_id} is at version {version}, "
                        f"the decision expects {expected}"
                    )
            self._places[key] = stream, expected + count
            streams.append(stream)
            after.append(expected + count)
            counts.append(count)
        # The unique index finds out about events that others wrote, unless nothing is written here, or the
        # version is one that this connection has not written itself: those the database has to compare.
        checked = unsure | idle
        self._after, self._counts = after, counts
        self.types = {type_ for type_, _ in self._places}
        self.changes = changes_of(batch)
        self.numbers = {
            definition: n for type_ in self.types for definition, n in kept.get(type_, _NONE).items()
        }
        self.count = sum(counts)
        self._columns = (
            [names[type_] for type_, _ in new],
            [id_ for _, id_ in new],
            list(checked),
            list(checked.values()),
            *_columns(batch, names, streams, after, counts),
            [names[type_] for type_ in self.types],
            sorted(self.numbers.values()),
            *self._reservations(),
        )

    def _reservations(self) -> Iterator[list[Any] | None]:
        """What has to be free, is let go, and is held by a stream from now on."""
        changes, numbers = self.changes, self.numbers
        if changes is None:
            yield from (None,) * 4
            return
        if not changes.definitions <= numbers.keys():
            raise Superseded(changes.types)
        rows: list[tuple[int, Reservation, int]] = [(0, value, 0) for value in changes.free]
        rows += [(1, value, 0) for value in changes.gone]
        rows += [(2, value, self._places[stream][0]) for value, stream in changes.held.items()]
        yield [what for what, _, _ in rows]
        yield [numbers[value.definition] for _, value, _ in rows]
        yield [value.digest for _, value, _ in rows]
        yield [stream for _, _, stream in rows]

    def parameters(self) -> list[object]:
        """What the function takes behind the head and the order."""
        return [
            _array(value) if in_text and isinstance(value, list) else value
            for value, in_text in zip(self._columns, _IN_TEXT[2:], strict=True)
        ]

    def touched(self, streams: Sequence[int] | None) -> dict[Key, tuple[int, int]]:
        """The numbers and versions of all streams of the batch; `streams` are the numbers of the new ones."""
        if not streams:
            return self._places
        return {
            key: (number if number >= 0 else streams[-number - 1], version)
            for key, (number, version) in self._places.items()
        }

    def answers(self, head: int) -> list[Recorded]:
        """The rows of the ledger, where the log ended at `head` before."""
        batch = self._batch
        rows = zip(
            [each.command_id for each in batch],
            [each.fingerprint for each in batch],
            [each.aggregate_type for each in batch],
            [each.aggregate_id for each in batch],
            self._after,
            islice(accumulate(self._counts, initial=head), 1, None),
            self._counts,
            [each.refusal for each in batch],
            strict=True,
        )
        return list(map(tuple.__new__, repeat(Recorded), rows))  # as `Recorded._make` does, a third faster


def _columns(
    batch: Sequence[Decision], names: dict[str, int], streams: list[int], after: list[int], counts: list[int]
) -> Iterator[Any]:
    """The columns of events, then those of commands, in the order of the function's parameters."""
    events = [event for decision in batch for event in decision.events]
    commands = [decision.command_id for decision in batch]
    at, timestamps = _once([decision.timestamp for decision in batch])
    meta, metadata = _once([decision.metadata for decision in batch])
    correlations = _any([decision.correlation_id for decision in batch])
    # What each event says of its command need not be said again where each command has one.
    single = counts.count(1) == len(counts)

    def spread(values: list[T]) -> list[T]:
        if single:
            return values
        return [value for value, count in zip(values, counts, strict=bool(values)) for _ in range(count)]

    yield at
    yield meta
    yield spread(streams)
    if single:
        yield after
    else:
        yield [end - count + i for end, count in zip(after, counts, strict=True) for i in range(1, count + 1)]
    yield [names[event.type] for event in events]
    yield spread(commands)
    yield [event.data for event in events]
    yield spread(timestamps)
    yield spread(correlations)
    yield [] if single else [ordinal for count in counts for ordinal in range(count)]
    yield spread(metadata)
    yield [signed(decision.fingerprint) for decision in batch]
    yield [] if single else streams
    yield [] if single else after
    yield [] if single else commands
    yield [] if single else list(accumulate(counts))
    yield [] if single else counts
    yield _any([decision.refusal for decision in batch])


def _array(numbers: list[int]) -> str:
    """Numbers as PostgreSQL writes an array."""
    return "{" + orjson.dumps(numbers)[1:-1].decode() + "}"


def _once(values: list[Any]) -> tuple[Any, list[Any]]:
    """A value that all have, and nothing; or nothing, and all of them."""
    if values and values.count(values[0]) == len(values):
        return values[0], []
    return None, values


def _any(values: list[bytes | None]) -> list[bytes | None]:
    """All values, or nothing if none is there."""
    return values if values.count(None) < len(values) else []
