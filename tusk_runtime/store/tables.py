"""The store's own tables, described once in SQLAlchemy Core for every database.

Importing this costs as much as importing SQLAlchemy: only what makes a new database does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

LONG = BigInteger().with_variant(Integer(), "sqlite")
"""A number of 64 bits, which is SQLite's only integer."""
CODE_POINTS = Text(collation="C").with_variant(Text(), "sqlite")
"""A text that is ordered by its code points, whatever the language of the database is."""


class Tables(NamedTuple):
    """The tables of one store.

    `meta` is what the database says of itself: the version of this schema, and the id of the store.
    `names` are those of event types and aggregate types; elsewhere they are numbers. `streams` are the
    aggregates that a command was ever about; one without events does not exist. `events` is the log;
    `ordinal` counts the events of a command from 0: with the command's id it gives the event's id; its
    `correlation_id` is null where it equals `command_id`, such events are found through the ledger instead.
    `commands` is the ledger: the first answer to every command. `checkpoints` are the tables of read models,
    and how far into the log each has come. `snapshots` are states of aggregates at a version, as the
    definition beside them folded them: a cache. `uniques` are the promises that no two aggregates of a type
    hold the same values, each by the definition that says which values those are; `reserved` are the values
    that are held, as digests. `consumers` says how far each consumer has come in each source, and who has it
    until when, in microseconds; `letters` points to what they could not handle; `seen` holds the version of
    the last event of each key that they handled, where the events come from topics.
    """

    meta: Table
    names: Table
    streams: Table
    events: Table
    commands: Table
    checkpoints: Table
    snapshots: Table
    uniques: Table
    reserved: Table
    consumers: Table
    letters: Table
    seen: Table

    @property
    def immutable(self) -> tuple[Table, ...]:
        """Those whose rows never change."""
        return self.events, self.commands


def describe(prefix: str = "tusk_", log: str = "tusk_events", *, partitioned: bool = False) -> Tables:
    """The tables by these names: `log` is that of the events, `prefix` begins the others.

    `partitioned` spreads the events over partitions by their stream, on PostgreSQL. Positions are unique by
    the way they are given out then, since a unique index has to hold the column that makes the partitions.
    """
    metadata = MetaData()
    ours: dict[str, Any] = {"sqlite_strict": True}
    lean: dict[str, Any] = {"sqlite_with_rowid": False, "sqlite_strict": True}
    tables = Tables(
        meta=Table(
            f"{prefix}meta",
            metadata,
            Column("key", Text, primary_key=True),
            Column("value", Text, nullable=False),
            **lean,
        ),
        names=Table(
            f"{prefix}names",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("name", Text, nullable=False, unique=True),
            **ours,
        ),
        streams=Table(
            f"{prefix}streams",
            metadata,
            Column("id", LONG, primary_key=True),
            Column("aggregate_type", Integer, nullable=False),
            Column("aggregate_id", Text, nullable=False),
            **ours,
        ),
        events=Table(
            log,
            metadata,
            Column("position", LONG, primary_key=True, autoincrement=False),
            Column("stream", LONG, nullable=False, primary_key=partitioned, autoincrement=False),
            Column("version", Integer, nullable=False),
            Column("type", Integer, nullable=False),
            Column("timestamp", LONG, nullable=False),
            Column("command_id", LargeBinary, nullable=False),
            Column("correlation_id", LargeBinary),
            Column("ordinal", Integer, nullable=False),
            Column("metadata", LargeBinary, nullable=False),
            Column("data", LargeBinary, nullable=False),
            postgresql_partition_by="HASH (stream)" if partitioned else None,
            **ours,
        ),
        commands=Table(
            f"{prefix}commands",
            metadata,
            Column("command_id", LargeBinary, primary_key=True),
            Column("fingerprint", LONG, nullable=False),
            Column("stream", LONG, nullable=False),
            Column("version", Integer, nullable=False),
            Column("position", LONG, nullable=False),
            Column("count", Integer, nullable=False),
            Column("refusal", LargeBinary),
            **lean,
        ),
        checkpoints=Table(
            f"{prefix}checkpoints",
            metadata,
            Column("table_name", Text, primary_key=True),
            Column("name", Text, nullable=False),
            Column("definition", Text, nullable=False),
            Column("position", LONG, nullable=False),
            **lean,
        ),
        snapshots=Table(
            f"{prefix}snapshots",
            metadata,
            Column("stream", LONG, primary_key=True, autoincrement=False),
            Column("definition", LargeBinary, nullable=False),
            Column("version", Integer, nullable=False),
            Column("state", LargeBinary, nullable=False),
            **lean,
        ),
        uniques=Table(
            f"{prefix}uniques",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("aggregate_type", Integer, nullable=False),
            Column("definition", LargeBinary, nullable=False, unique=True),
            **ours,
        ),
        reserved=Table(
            f"{prefix}reserved",
            metadata,
            Column("constraint_id", Integer, primary_key=True, autoincrement=False),
            Column("value", LargeBinary, primary_key=True),
            Column("stream", LONG, nullable=False),
            **lean,
        ),
        consumers=Table(
            f"{prefix}consumers",
            metadata,
            Column("name", Text, primary_key=True),
            Column("position", LONG, nullable=False),
            Column("epoch", LONG, nullable=False),
            Column("holder", LargeBinary, nullable=False),
            Column("until", LONG, nullable=False),
            Column("source", CODE_POINTS, primary_key=True),
            **lean,
        ),
        letters=Table(
            f"{prefix}letters",
            metadata,
            Column("consumer", Text, primary_key=True),
            Column("source", CODE_POINTS, primary_key=True),
            Column("position", LONG, primary_key=True, autoincrement=False),
            Column("key", Text, nullable=False),
            Column("standing", Text, nullable=False),
            Column("action", Integer, nullable=False),
            Column("attempts", Integer, nullable=False),
            Column("timestamp", LONG, nullable=False),
            Column("error", LargeBinary, nullable=False),
            Column("message", LargeBinary, nullable=False),
            **lean,
        ),
        seen=Table(
            f"{prefix}seen",
            metadata,
            Column("consumer", Text, primary_key=True),
            Column("key", Text, primary_key=True),
            Column("version", LONG, nullable=False),
            **lean,
        ),
    )
    streams, events = tables.streams.c, tables.events.c
    Index(f"{prefix}streams_aggregate", streams.aggregate_id, streams.aggregate_type, unique=True)
    Index(f"{log}_stream", events.stream, events.version, unique=True)
    correlated = events.correlation_id.is_not(None)
    # The commands that wrote no event are found by no event. It costs nothing where others are written.
    commands = tables.commands.c
    idle = commands["count"] == 0
    Index(
        f"{prefix}commands_idle",
        commands.position,
        commands.command_id,
        sqlite_where=idle,
        postgresql_where=idle,
    )
    Index(
        f"{log}_correlation",
        events.correlation_id,
        sqlite_where=correlated,
        postgresql_where=correlated,
    )
    # Whoever runs a consumer asks again and again for those that somebody marked.
    letters = tables.letters.c
    for one in (letters.key, letters.standing):
        Index(f"{prefix}letters_{one.name}", letters.consumer, one, letters.source, letters.position)
    return tables


def creation() -> Iterator[str]:
    """The statements that make the schema in an empty SQLite database."""
    dialect = sqlite.dialect()
    tables = describe()
    for table in sorted(tables, key=lambda each: each.name):
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
    yield from guards(tables)


def guards(tables: Tables) -> Iterator[str]:
    """The statements that make SQLite's triggers, which every migration makes anew."""
    for table in tables.immutable:
        for action in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table.name}_no_{action.lower()} BEFORE {action} ON {table.name} "
                f"BEGIN SELECT raise(ABORT, '{table.name} is immutable: {action} is refused'); END"
            )
