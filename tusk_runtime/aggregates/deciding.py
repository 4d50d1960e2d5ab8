"""A group of commands and the states of their aggregates → what to write. Pure: no clock, no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tusk_runtime.aggregates.decide import Context
from tusk_runtime.aggregates.fold import State
from tusk_runtime.aggregates.handlers import Handlers
from tusk_runtime.aggregates.uniqueness import Holders
from tusk_runtime.aggregates.waiting import Waiting, refusal_text
from tusk_runtime.clock import to_datetime
from tusk_runtime.errors import Refused
from tusk_runtime.store.protocol import Decision, Reservation, StreamId


def decide_all(
    batch: Sequence[Waiting],
    handlers: Handlers,
    states: dict[StreamId, State],
    timestamp: int,
    known: Mapping[Reservation, StreamId],
) -> list[Decision]:
    """Decide one command after the other; the states are those after all of them then.

    `known` says who holds values that have to be unique, `timestamp` is in microseconds.
    """
    now = to_datetime(timestamp)
    uniqueness = handlers.uniqueness
    holders = Holders(known)
    decisions = []
    for waiting in batch:
        handler, stream = waiting.handler, waiting.stream
        command_id, cause = waiting.command_id, waiting.cause
        state = states[stream]
        meta = handlers.meta(waiting.caller, cause, command_id) if handler.needs_meta else None
        context = Context(command_id, timestamp, now, meta, cause.correlation_id or command_id)
        refusal = None
        reserves: Sequence[Reservation] = ()
        releases: Sequence[Reservation] = ()
        try:
            events, after = handler.decide(waiting.fields, state, stream.aggregate_id, context)
            if uniqueness and events and stream.aggregate_type in uniqueness:
                unique = uniqueness[stream.aggregate_type]
                reserves, releases = holders.move(unique, stream, state, after)
            waiting.events, states[stream] = events, after
            waiting.refusal = None
        except Refused as error:
            waiting.events, waiting.refusal = (), error
            refusal = refusal_text(error)
        decisions.append(
            Decision(
                command_id,
                waiting.fingerprint,
                stream.aggregate_type,
                stream.aggregate_id,
                state.version,
                timestamp,
                handlers.metadata(waiting.caller, cause),
                waiting.events,
                cause.correlation_id,
                refusal,
                reserves,
                releases,
            )
        )
    return decisions
