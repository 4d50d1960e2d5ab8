"""What the parts of one store are called in a database, where others may have theirs."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

from tusk_runtime.store.naming import PRIVATE_PREFIX, quoted

WENT_BACK = "TK001"
"""The SQLSTATE of an append to a log that ends before what was seen of it."""
SUPERSEDED = "TK002"
"""The SQLSTATE of an append by a process that knows of other promises than those that are kept."""
EARLIER = "TK004"
"""The SQLSTATE of an append to a log whose newest event is of a later time, which is the message."""
TAKEN = "TK003"
"""The SQLSTATE of an append that reserves a value that another aggregate holds."""


STATES = {"went_back": WENT_BACK, "superseded": SUPERSEDED, "taken": TAKEN, "earlier": EARLIER}
OWN = (
    "meta", "names", "streams", "commands", "checkpoints", "snapshots", "uniques", "reserved",
    "consumers", "letters", "seen", "append", "refuse",
)  # fmt: skip
"""What is called after the store's prefix."""


class Names(NamedTuple):
    """The names of tables and functions, in double quotes but for the first three.

    `lock` is the key of the advisory lock that appending takes, `channel` tells of new events.
    """

    prefix: str
    log: str
    channel: str
    lock: int
    meta: str
    names: str
    streams: str
    events: str
    commands: str
    checkpoints: str
    snapshots: str
    uniques: str
    reserved: str
    consumers: str
    letters: str
    seen: str
    append: str
    refuse: str

    def all(self) -> dict[str, Any]:
        """All of them by what they are, for the text of a statement."""
        return {**self._asdict(), **STATES}


def names_of(schema: str, table: str | None = None) -> Names:
    """The names of the store whose events are in a table (`tusk_events`) of a schema of the database.

    Other tables are called after that one: several stores may share a schema. Raises StoreError for a
    hostile name.
    """
    prefix, log = (PRIVATE_PREFIX, f"{PRIVATE_PREFIX}events") if table is None else (f"{table}_", table)
    digest = blake2b(f"{schema}.{log}".encode(), digest_size=8, person=b"tusk store").digest()
    own = {each: quoted(f"{prefix}{each}") for each in OWN}
    return Names(
        prefix=prefix,
        log=log,
        channel=f"tusk_{digest.hex()}",
        lock=int.from_bytes(digest, "big", signed=True),
        events=quoted(log),
        **own,
    )
