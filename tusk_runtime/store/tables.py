"""The store's own tables, described once in SQLAlchemy Core, and the statements that create them.

Importing this costs as much as importing SQLAlchemy: only what makes a new database does it.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

metadata = MetaData()

meta = Table(
    "tusk_meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)
"""What the database says of itself: the version of this schema, and the id of the store."""

names = Table(
    "tusk_names",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    sqlite_strict=True,
)
"""The names of event types and aggregate types; elsewhere they are numbers."""

streams = Table(
    "tusk_streams",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("aggregate_type", Integer, nullable=False),
    Column("aggregate_id", Text, nullable=False),
    sqlite_strict=True,
)
"""The aggregates that a command was ever about. One without events does not exist."""

Index("tusk_streams_aggregate", streams.c.aggregate_id, streams.c.aggregate_type, unique=True)

events = Table(
    "tusk_events",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("stream", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type", Integer, nullable=False),
    Column("timestamp", Integer, nullable=False),
    Column("command_id", LargeBinary, nullable=False),
    Column("correlation_id", LargeBinary),
    Column("ordinal", Integer, nullable=False),
    Column("metadata", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""The log. `ordinal` counts the events of a command from 0: with the command's id it gives the event's id.

`correlation_id` is null where it equals `command_id`; such events are found through the ledger instead.
"""

Index("tusk_events_stream", events.c.stream, events.c.version, unique=True)
Index(
    "tusk_events_correlation",
    events.c.correlation_id,
    sqlite_where=events.c.correlation_id.is_not(None),
)

commands = Table(
    "tusk_commands",
    metadata,
    Column("command_id", LargeBinary, primary_key=True),
    Column("fingerprint", Integer, nullable=False),
    Column("stream", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("refusal", LargeBinary),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)
"""The ledger: the first answer to every command."""

checkpoints = Table(
    "tusk_checkpoints",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("definition", Text, nullable=False),
    Column("position", Integer, nullable=False),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)
"""The tables of read models, and how far into the log each has come."""

IMMUTABLE = (events, commands)


def creation() -> Iterator[str]:
    """The statements that make the schema in an empty SQLite database."""
    dialect = sqlite.dialect()
    for table in metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
    for table in IMMUTABLE:
        for action in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table.name}_no_{action.lower()} BEFORE {action} ON {table.name} "
                f"BEGIN SELECT raise(ABORT, '{table.name} is immutable: {action} is refused'); END"
            )
