"""Version 4 keeps the progress of consumers by source, with a letter its message, and versions by key."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text, sql

_LONG = BigInteger().with_variant(Integer(), "sqlite")
_CODE_POINTS = Text(collation="C").with_variant(Text(), "sqlite")
_LEAN: dict[str, Any] = {"sqlite_with_rowid": False, "sqlite_strict": True}


def upgrade(op: Operations, prefix: str, log: str) -> None:
    """Add the columns, what is there belonging to the store's log, and the table."""
    if op.get_context().dialect.name == "sqlite":
        _anew(op, prefix)
    else:
        _added(op, prefix)
    op.create_table(
        f"{prefix}seen",
        Column("consumer", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("version", _LONG, nullable=False),
        **_LEAN,
    )


def _added(op: Operations, prefix: str) -> None:
    empty = sql.text("''")
    consumers, letters = f"{prefix}consumers", f"{prefix}letters"
    op.add_column(consumers, Column("source", _CODE_POINTS, nullable=False, server_default=empty))
    op.add_column(letters, Column("message", LargeBinary, nullable=False, server_default=empty))
    op.alter_column(consumers, "source", server_default=None)
    op.alter_column(letters, "message", server_default=None)
    op.drop_constraint(f"{consumers}_pkey", consumers, type_="primary")
    op.create_primary_key(None, consumers, ["name", "source"])


def _anew(op: Operations, prefix: str) -> None:
    """SQLite cannot give a table another primary key."""
    consumers, letters = f"{prefix}consumers", f"{prefix}letters"
    for table in (consumers, letters):
        op.rename_table(table, f"{table}_before")
    op.create_table(
        consumers,
        Column("name", Text, primary_key=True),
        Column("position", _LONG, nullable=False),
        Column("epoch", _LONG, nullable=False),
        Column("holder", LargeBinary, nullable=False),
        Column("until", _LONG, nullable=False),
        Column("source", _CODE_POINTS, primary_key=True),
        **_LEAN,
    )
    op.create_table(
        letters,
        Column("consumer", Text, primary_key=True),
        Column("source", _CODE_POINTS, primary_key=True),
        Column("position", _LONG, primary_key=True, autoincrement=False),
        Column("key", Text, nullable=False),
        Column("standing", Text, nullable=False),
        Column("action", Integer, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("timestamp", _LONG, nullable=False),
        Column("error", LargeBinary, nullable=False),
        Column("message", LargeBinary, nullable=False),
        **_LEAN,
    )
    for table, new in ((consumers, "''"), (letters, "x''")):
        op.execute(f"INSERT INTO {table} SELECT *, {new} FROM {table}_before")  # noqa: S608 - our names
        op.drop_table(f"{table}_before")
    for column in ("key", "standing"):
        op.create_index(f"{letters}_{column}", letters, ["consumer", column, "source", "position"])
