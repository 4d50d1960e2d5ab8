"""What the log says of an aggregate, for a running application and for the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tusk_runtime.aggregates.decide import refusal_of
from tusk_runtime.aggregates.fold import State
from tusk_runtime.errors import UnknownName
from tusk_runtime.events import StoredEvent
from tusk_runtime.expressions import ExpressionFailed
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.model.application import Application
from tusk_runtime.running.service import AggregateAnswer
from tusk_runtime.store.protocol import StreamId

Fold = Callable[[str, Sequence[StoredEvent]], State]
"""The state of a type of aggregate after all events of one."""


def stream_of(application: Application, aggregate_type: str, aggregate_id: str) -> StreamId:
    """An aggregate as the store names it. Raises UnknownName for a type that is not declared."""
    known = application.aggregates
    declared = known.get(aggregate_type)
    if declared is None:
        raise UnknownName(
            f"there is no aggregate `{aggregate_type}`", help=did_you_mean(aggregate_type, known)
        )
    return StreamId(aggregate_type, aggregate_id.lower() if declared.id.kind == "uuid" else aggregate_id)


def answer_of(stream: StreamId, events: Sequence[StoredEvent], fold: Fold) -> AggregateAnswer:
    """The state after all of an aggregate's events up to one. Raises a Refused if it cannot be folded."""
    try:
        state = fold(stream.aggregate_type, events)
    except ExpressionFailed as failure:
        raise refusal_of(failure) from failure
    return AggregateAnswer(*stream, state.version, events[-1].position, state.values)
