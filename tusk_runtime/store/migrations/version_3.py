"""Version 3 has tables for the progress of consumers and for their dead letters."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text

_LONG = BigInteger().with_variant(Integer(), "sqlite")
_CODE_POINTS = Text(collation="C").with_variant(Text(), "sqlite")


def upgrade(op: Operations, prefix: str, log: str) -> None:
    """Add the tables and their indexes."""
    lean: dict[str, Any] = {"sqlite_with_rowid": False, "sqlite_strict": True}
    op.create_table(
        f"{prefix}consumers",
        Column("name", Text, primary_key=True),
        Column("position", _LONG, nullable=False),
        Column("epoch", _LONG, nullable=False),
        Column("holder", LargeBinary, nullable=False),
        Column("until", _LONG, nullable=False),
        **lean,
    )
    op.create_table(
        f"{prefix}letters",
        Column("consumer", Text, primary_key=True),
        Column("source", _CODE_POINTS, primary_key=True),
        Column("position", _LONG, primary_key=True, autoincrement=False),
        Column("key", Text, nullable=False),
        Column("standing", Text, nullable=False),
        Column("action", Integer, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("timestamp", _LONG, nullable=False),
        Column("error", LargeBinary, nullable=False),
        **lean,
    )
    for column in ("key", "standing"):
        op.create_index(
            f"{prefix}letters_{column}", f"{prefix}letters", ["consumer", column, "source", "position"]
        )
