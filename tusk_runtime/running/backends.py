"""Which class keeps the events: the only place that names concrete stores."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tusk_runtime.errors import StartFailed
from tusk_runtime.model.configuration import Postgres, Settings, Tls
from tusk_runtime.store.protocol import Store

if TYPE_CHECKING:
    from tusk_runtime.encryption import Encryption

STORES = {
    "sqlite": "tusk_runtime.store.sqlite:SqliteStore",
    "postgresql": "tusk_runtime.store.postgres:PostgresStore",
    "in_memory": "tusk_runtime.store.memory:MemoryStore",
}


def _load(kind: str) -> type[Store]:
    module, _, name = STORES[kind].partition(":")
    found: type[Store] = getattr(import_module(module), name)
    return found


def store_of(settings: Settings, file: Path) -> Store:
    """The store that the settings ask for, not yet open. A relative path begins at the file's folder."""
    if settings.backend == "in_memory":
        return memory_store()
    if settings.postgres is not None and settings.backend == "postgresql":
        return _postgres_store(settings.postgres, file)
    return _load("sqlite")(database_path(settings, file))  # type: ignore[call-arg]


def _postgres_store(where: Postgres, file: Path) -> Store:
    try:
        kind: Any = _load("postgresql")
    except ModuleNotFoundError as error:
        raise StartFailed(
            f"`backend: postgresql` needs the package {error.name}", "pip install 'tusk-runtime[postgres]'"
        ) from None
    encryption = encryption_of(where.tls, file) if where.tls is not None else None
    store: Store = kind(
        where.dsn,
        table=where.table,
        partitions=where.partitions,
        pool_size=where.pool_size,
        encryption=encryption,
    )
    return store


def memory_store() -> Store:
    """A store that lives and dies with the process."""
    return _load("in_memory")()


def database_path(settings: Settings, file: Path) -> Path:
    """Where the SQLite file is, or would be: the token and the address are kept beside it."""
    if settings.path is None:
        return file.parent / ".tusk" / f"{file.stem}.db"
    return _beside(settings.path, file)


def encryption_of(tls: Tls, file: Path) -> Encryption:
    """What `tls` asks for; its paths begin at the folder of the file."""
    from tusk_runtime.encryption import Encryption

    mode, *paths = tls
    return Encryption(mode, *(_beside(path, file) if path else None for path in paths))


def _beside(path: str, file: Path) -> Path:
    """A path as it stands in a file, which begins at the file's folder."""
    return file.parent / path  # an absolute one stays as it is


def needs_restart(old: Settings, new: Settings) -> list[str]:
    """The settings that cannot change while the application runs."""
    found = []
    if old.backend != new.backend:
        found.append("[event_store] backend")
    if old.postgres != new.postgres and "postgresql" in (old.backend, new.backend):
        found.append("[store_config] postgresql")
    if old.path != new.path:
        found.append("[store_config] sqlite: path")
    if (old.kafka is None) != (new.kafka is None):
        found.append("[event_store] streaming")
    if old.kafka is not None and new.kafka is not None:
        found += [
            f"`{name}` of Kafka"
            for name in ("brokers", "tls", "sasl")
            if getattr(old.kafka, name) != getattr(new.kafka, name)
        ]
    if (old.host, old.port) != (new.host, new.port):
        found.append("[http] listen")
    if old.body_limit != new.body_limit:
        found.append("[http] body_limit")
    return found
