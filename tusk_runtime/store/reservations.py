"""What a batch of decisions does to the values that aggregates hold alone: for every store alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tusk_runtime.errors import Conflict
from tusk_runtime.store.protocol import Decision, Reservation, StreamId


@dataclass(slots=True)
class Changes:
    """The whole of a batch, for a store to do in this order: see that nobody holds what has to be `free`,
    take back what is `gone`, and write down who holds what is `held`.

    A value that one aggregate lets go and another one takes is in `gone` and in `held`; one that is taken
    and let go again has to be free all the same. `types` are those of the aggregates.
    """

    types: set[str] = field(default_factory=set)
    free: set[Reservation] = field(default_factory=set)
    gone: set[Reservation] = field(default_factory=set)
    held: dict[Reservation, StreamId] = field(default_factory=dict)

    @property
    def definitions(self) -> set[bytes]:
        """The promises that the values are about."""
        return {value.definition for value in self.free | self.gone}


def changes_of(batch: Sequence[Decision]) -> Changes | None:
    """What the decisions do, one after the other; None: nothing. Raises Conflict if they contradict."""
    changes: Changes | None = None
    for decision in batch:
        if not decision.reserves and not decision.releases:
            continue
        if changes is None:
            changes = Changes()
        changes.types.add(decision.aggregate_type)
        for value in decision.releases:
            if value in changes.held:
                del changes.held[value]
            else:
                changes.gone.add(value)
        for value in decision.reserves:
            if value in changes.held:
                raise Conflict("two decisions of the batch take the same value")
            if value not in changes.gone:
                changes.free.add(value)
            changes.held[value] = StreamId(decision.aggregate_type, decision.aggregate_id)
    return changes


def differences(
    wanted: Mapping[str, Collection[bytes]], kept: Mapping[str, Collection[bytes]]
) -> tuple[set[bytes], set[bytes]]:
    """The promises about the wanted types that are kept no longer, and those that are new."""
    before = {definition for name in wanted for definition in kept.get(name, ())}
    after = {definition for definitions in wanted.values() for definition in definitions}
    return before - after, after - before
