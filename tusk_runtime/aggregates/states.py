"""The folded states of the aggregates that were used last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tusk_runtime.aggregates.fold import State
from tusk_runtime.aggregates.handlers import Handlers
from tusk_runtime.aggregates.snapshots import Snapshots
from tusk_runtime.expressions import ExpressionFailed
from tusk_runtime.store.protocol import EventStore, StreamId
from tusk_runtime.store.recent import keep_recent

MAX_STATES = 50_000
"""Aggregate states that are kept folded."""


class States:
    """What the log says of aggregates, known by heart. Only what is committed ever comes in here."""

    def __init__(self, store: EventStore, snapshots: Snapshots) -> None:
        self._store = store
        self._snapshots = snapshots
        self._known: dict[StreamId, State] = {}
        self._behind: dict[StreamId, State] = {}

    async def of(self, streams: Iterable[StreamId], handlers: Handlers) -> dict[StreamId, State]:
        """The states of some aggregates; those that are not known are read from the log."""
        known = self._known
        found = {stream: known.get(stream) for stream in streams}
        missing = [stream for stream, state in found.items() if state is None]
        if missing:
            earlier = {stream: self._behind.pop(stream) for stream in missing if stream in self._behind}
            earlier |= await self._snapshots.load([each for each in missing if each not in earlier])
            after = {stream: state.version for stream, state in earlier.items()}
            loaded = await self._store.read_streams(missing, after)
            for stream in missing:
                folder = handlers.folders[stream.aggregate_type]
                events = loaded.get(stream, ())
                try:
                    found[stream] = folder.fold(earlier.get(stream, folder.initial), events)
                except ExpressionFailed as failure:
                    # Its commands are refused; those of its neighbours in the group are not.
                    found[stream] = State(events[-1].version, folder.initial.values, failure)
        return found  # type: ignore[return-value]  # no None is left

    def keep(self, states: Mapping[StreamId, State]) -> None:
        """Remember states, as those used last."""
        keep_recent(self._known, states, MAX_STATES)

    def overtaken(self, streams: Iterable[StreamId]) -> None:
        """Another writer was there first: read what came behind, when they are asked for next."""
        for stream in streams:
            state = self._known.pop(stream, None)
            if state is not None and state.broken is None and len(self._behind) < MAX_STATES:
                self._behind[stream] = state

    def clear(self) -> None:
        """Read everything again."""
        self._known.clear()
        self._behind.clear()
