"""The names that an expression can see, and the types of those that are the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tusk_runtime.types import DATETIME, INTEGER, STRING, UUID, Type, record_of

IDENTITY = "identity"
"""The name of the hidden last parameter of every compiled expression."""

WORDS = frozenset({"true", "false", "null", "and", "or", "not", "in", "if", "else", "for", "is"})

RESERVED = WORDS | {IDENTITY}
"""Names that neither a scope nor a loop may give (nor `as` in a file)."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Names and their types, in the order in which a compiled expression takes their values.

    `timezone` is the one that days and hours are counted in where an expression names no other.
    """

    names: Mapping[str, Type]
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        for name in self.names:
            if name in RESERVED:
                raise ValueError(f"`{name}` is a word of the language and no name for a value")

    def extended(self, **names: Type) -> Scope:
        """The same scope with further names at the end."""
        return Scope({**self.names, **names}, self.timezone)


NOW = DATETIME
"""The type of `now`."""

META = record_of(
    "meta",
    user_id=STRING.or_null(),
    roles=Type("list", item=STRING),
    tenant_id=STRING.or_null(),
    command_id=UUID.or_null(),
    correlation_id=UUID.or_null(),
    causation_id=UUID.or_null(),
    saga_id=STRING.or_null(),
    source=STRING.or_null(),
    version=STRING.or_null(),
)
"""The type of `meta`: who asks, and what it follows from."""


def event_type(aggregate_id: Type = UUID) -> Type:
    """The type of `event`, the envelope, for events of an aggregate whose id is of a type."""
    return record_of(
        "event",
        event_id=UUID,
        event_type=STRING,
        aggregate_id=aggregate_id,
        aggregate_type=STRING,
        version=INTEGER,
        timestamp=DATETIME,
        position=INTEGER,
        category=STRING.or_null(),
    )


def aggregate_type(aggregate_id: Type = UUID) -> Type:
    """The type of `aggregate` in commands: its id and its version (0: new)."""
    return record_of("aggregate", id=aggregate_id, version=INTEGER)


EVENT = event_type()
AGGREGATE = aggregate_type()
LOOP = record_of("loop", index=INTEGER)
"""The type of `loop` beside `for_each`: `loop.index` counts from 1."""
