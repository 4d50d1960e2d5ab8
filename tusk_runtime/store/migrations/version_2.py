"""Version 2 has tables for snapshots and for what is unique, and finds the commands without events."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, sql

_LONG = BigInteger().with_variant(Integer(), "sqlite")


def upgrade(op: Operations, prefix: str, log: str) -> None:
    """Add the tables and the index."""
    lean: dict[str, Any] = {"sqlite_with_rowid": False, "sqlite_strict": True}
    op.create_table(
        f"{prefix}snapshots",
        Column("stream", _LONG, primary_key=True, autoincrement=False),
        Column("definition", LargeBinary, nullable=False),
        Column("version", Integer, nullable=False),
        Column("state", LargeBinary, nullable=False),
        **lean,
    )
    idle = sql.text("count = 0")
    op.create_index(
        f"{prefix}commands_idle",
        f"{prefix}commands",
        ["position", "command_id"],
        sqlite_where=idle,
        postgresql_where=idle,
    )
    op.create_table(
        f"{prefix}uniques",
        Column("id", Integer, primary_key=True),
        Column("aggregate_type", Integer, nullable=False),
        Column("definition", LargeBinary, nullable=False, unique=True),
        sqlite_strict=True,
    )
    op.create_table(
        f"{prefix}reserved",
        Column("constraint_id", Integer, primary_key=True, autoincrement=False),
        Column("value", LargeBinary, primary_key=True),
        Column("stream", _LONG, nullable=False),
        **lean,
    )
