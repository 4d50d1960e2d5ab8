"""What the sections of settings say, once they are read and checked."""

from __future__ import annotations

from typing import Literal, NamedTuple

Backend = Literal["sqlite", "postgresql", "in_memory"]
"""Where events are kept."""

TlsMode = Literal["verify-full", "verify-ca", "require"]


class Tls(NamedTuple):
    """An encrypted connection. The others are paths: who may sign, None for those that the system trusts; and
    what shows who we are."""

    mode: TlsMode = "verify-full"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Postgres(NamedTuple):
    """A PostgreSQL database. `table` is what the table of events is called, None for the usual name;
    `partitions` is over how many it is spread, 0 for none; without `tls` the address says whether it is
    encrypted."""

    dsn: str
    table: str | None = None
    partitions: int = 0
    pool_size: int = 10
    tls: Tls | None = None


class Settings(NamedTuple):
    """What the sections of settings say. `path` is that of the SQLite file, `body_limit` is in bytes."""

    name: str
    version: str
    source: str
    backend: Backend = "sqlite"
    path: str | None = None
    postgres: Postgres | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    body_limit: int = 1024 * 1024
