"""Which class keeps the events: the only place that names concrete stores."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from tusk_runtime.errors import StartFailed
from tusk_runtime.model.application import Postgres, Settings
from tusk_runtime.store.protocol import Store

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
        return _postgres_store(settings.postgres)
    return _load("sqlite")(database_path(settings, file))  # type: ignore[call-arg]


def _postgres_store(where: Postgres) -> Store:
    try:
        kind: Any = _load("postgresql")
    except ModuleNotFoundError as error:
        raise StartFailed(
            f"`backend: postgresql` needs the package {error.name}", "pip install 'tusk-runtime[postgres]'"
        ) from None
    store: Store = kind(where.dsn, table=where.table, partitions=where.partitions, pool_size=where.pool_size)
    return store


def memory_store() -> Store:
    """A store that lives and dies with the process."""
    return _load("in_memory")()


def database_path(settings: Settings, file: Path) -> Path:
    """Where the SQLite file is, or would be: the token and the address are kept beside it."""
    if settings.path is None:
        return file.parent / ".tusk" / f"{file.stem}.db"
    path = Path(settings.path)
    return path if path.is_absolute() else file.parent / path


def needs_restart(old: Settings, new: Settings) -> list[str]:
    """The settings that cannot change while the application runs."""
    found = []
    if old.backend != new.backend:
        found.append("[event_store] backend")
    if old.postgres != new.postgres and "postgresql" in (old.backend, new.backend):
        found.append("[store_config] postgresql")
    if old.path != new.path:
        found.append("[store_config] sqlite: path")
    if (old.host, old.port) != (new.host, new.port):
        found.append("[http] listen")
    if old.body_limit != new.body_limit:
        found.append("[http] body_limit")
    return found
