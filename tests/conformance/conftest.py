"""One fixture for all stores: a test asks for what a store can do, never for which one it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tusk_runtime.store.memory import MemoryStore
from tusk_runtime.store.protocol import EventStore, ReadModels, Store
from tusk_runtime.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Backend:
    """A way to make stores. `make(folder)` names the same store for the same folder, if it keeps anything."""

    name: str
    make: Callable[[Path], Store]
    capabilities: frozenset[str]

    def require(self, capability: str) -> None:
        if capability not in self.capabilities:
            pytest.skip(f"{self.name} is not {capability}")


BACKENDS = [
    Backend("memory", lambda folder: MemoryStore(), frozenset({"dense"})),
    Backend("sqlite", lambda folder: SqliteStore(folder / "store.db"), frozenset({"dense", "durable"})),
]
"""Capabilities: `dense` positions have no holes; a `durable` store keeps everything when it is closed."""


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.param
    return chosen


@pytest.fixture
async def store(backend: Backend, tmp_path: Path) -> AsyncIterator[Store]:
    made = backend.make(tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def events(store: Store) -> EventStore:
    return store.events


@pytest.fixture
def read_models(store: Store) -> ReadModels:
    return store.read_models
