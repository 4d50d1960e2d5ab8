"""A store that is open for reading only stands beside the one that writes, and changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conformance.conftest import Backend
from tests.conformance.test_event_store import decision, fill
from tests.conformance.test_read_models import ORDERS
from tusk_runtime.errors import StartFailed, StoreUnavailable
from tusk_runtime.store.protocol import Checkpoint, Store


async def test_it_follows_what_is_written(backend: Backend, store: Store, tmp_path: Path) -> None:
    backend.require("durable")
    recorded = await fill(store.events)
    reading = await backend.make(tmp_path)
    await reading.open(read_only=True)
    assert await reading.events.head() == 6
    assert await reading.events.read() == await store.events.read()
    assert await reading.events.recorded([recorded[0].command_id]) == {recorded[0].command_id: recorded[0]}
    waiting = asyncio.create_task(reading.events.wait_beyond(6, 20))
    await store.events.append([decision("new", 0, "Placed")])
    assert await waiting == 7
    assert await reading.events.wait_beyond(7, 0.05) == 7
    assert await reading.events.count(5) == 2
    assert len(await reading.events.read(6)) == 1
    await reading.close()


async def test_it_writes_nothing(backend: Backend, store: Store, tmp_path: Path) -> None:
    backend.require("durable")
    reading = await backend.make(tmp_path)
    await reading.open(read_only=True)
    with pytest.raises(StoreUnavailable, match="for reading only"):
        await reading.events.append([decision("a", 0, "Placed")])
    with pytest.raises(StoreUnavailable, match="for reading only"):
        await reading.read_models.create(ORDERS, Checkpoint("orders", "x", 0))
    with pytest.raises(StoreUnavailable, match="for reading only"):
        await reading.read_models.drop("orders")
    await reading.close()
    with pytest.raises(StoreUnavailable):
        await reading.events.head()
    assert await store.events.head() == 0
    assert not await store.read_models.tables()


async def test_after_the_writer_has_gone(backend: Backend, tmp_path: Path) -> None:
    backend.require("durable")
    store = await backend.make(tmp_path)
    await store.open()
    await fill(store.events)
    await store.close()
    reading = await backend.make(tmp_path)
    await reading.open(read_only=True)
    assert await reading.events.head() == 6
    again = await backend.make(tmp_path)
    await again.open()  # nothing was taken by reading
    await again.close()
    await reading.close()


async def test_nothing_is_there_yet(backend: Backend, tmp_path: Path) -> None:
    """Nothing is made by looking, and the error says what to do."""
    folder = tmp_path / "new"
    folder.mkdir()
    store = await backend.make(folder)
    with pytest.raises(StartFailed, match="help: "):
        await store.open(read_only=True)
    assert not list(folder.iterdir())
