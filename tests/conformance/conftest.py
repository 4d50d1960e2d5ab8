"""One fixture for all stores: a test asks for what a store can do, never for which one it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.postgres_server import schema_for
from tusk_runtime.store.deliveries import Deliveries
from tusk_runtime.store.memory import MemoryStore
from tusk_runtime.store.postgres import PostgresStore
from tusk_runtime.store.protocol import EventStore, ReadModels, Store
from tusk_runtime.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Backend:
    """A way to make stores. `make(folder)` names the same store for the same folder, if it keeps anything."""

    name: str
    make: Callable[[Path], Awaitable[Store]]
    capabilities: frozenset[str]

    def require(self, capability: str) -> None:
        if capability not in self.capabilities:
            pytest.skip(f"{self.name} is not {capability}")


async def _memory(folder: Path) -> Store:
    return MemoryStore()


async def _sqlite(folder: Path) -> Store:
    return SqliteStore(folder / "store.db")


def _postgres(version: str, **options: Any) -> Callable[[Path], Awaitable[Store]]:
    async def make(folder: Path) -> Store:
        return PostgresStore(await schema_for(version, folder), **options)

    return make


BACKENDS = [
    Backend("memory", _memory, frozenset({"any text"})),
    Backend("sqlite", _sqlite, frozenset({"any text", "durable"})),
    Backend("postgresql-18", _postgres("18"), frozenset({"durable", "shared"})),
    Backend("postgresql-15", _postgres("15", table="events", partitions=4), frozenset({"durable", "shared"})),
]
"""Capabilities: a `durable` store keeps everything when it is closed; several processes may have a `shared`
one open; one of `any text` keeps texts with the character 0, too."""


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.param
    return chosen


@pytest.fixture
async def store(backend: Backend, tmp_path: Path) -> AsyncIterator[Store]:
    made = await backend.make(tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def events(store: Store) -> EventStore:
    return store.events


@pytest.fixture
def read_models(store: Store) -> ReadModels:
    return store.read_models


@pytest.fixture
def deliveries(store: Store) -> Deliveries:
    return store.deliveries
