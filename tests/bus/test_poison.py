"""Messages that nobody can read, among good ones of the same keys, on a real broker: `benchmarks/poison.py` in short."""

from __future__ import annotations

import asyncio
import logging
import uuid
from pathlib import Path

import pytest
from apps import application
from poisoning import CONSUMER, GROUP, MODEL, TOO_LARGE, check, messages, write
from postgres_server import schema_for

from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.postgres import PostgresStore
from tusk_runtime.store.protocol import Store
from tusk_runtime.store.sqlite import SqliteStore

COUNT, BAD, LARGE = 2000, 200, 2


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return SqliteStore(tmp_path / "store.db")
    return PostgresStore(await schema_for("18", tmp_path))


async def test_poison_stops_nothing(kafka: str, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Each is one dead letter with its reason, also when all are tried again; the good ones all take effect."""
    topic = f"poison-{uuid.uuid4().hex[:12]}"
    written = await asyncio.to_thread(write, kafka, topic, messages(COUNT, BAD, LARGE))
    text = MODEL.replace("ADDRESS", kafka) + CONSUMER.replace("TOPIC", topic).replace(GROUP, topic)
    runtime = Runtime(application(text), store)
    caplog.set_level(logging.WARNING, "tusk")
    await runtime.start()
    try:
        runner = runtime._followers.runners["Deposits of topics"]
        assert await runner.wait_for(0, 60)
        await check(store, written, topic)
        lines = [record.getMessage() for record in caplog.records]
        assert {line.partition(":")[0] for line in lines} == {"Deposits"}  # nothing is published
        assert len(lines) < BAD / 2
        assert any("more failed; `tusk dlq ls` shows all" in line for line in lines)
        told = sum("offset" in line for line in lines)
        told += sum(int(line.split()[1]) for line in lines if "more failed" in line)
        assert told == BAD
        kept = [place for place, kind in written.bad.items() if kind is not TOO_LARGE]
        await store.deliveries.mark(topic, kept, "retry")
        runner.look()
        assert await runner.wait_for(0, 60)
        await check(store, written, topic)
        tracks = runner._tracks.values()  # type: ignore[attr-defined]
        held = [each for track in tracks for each in track.lane.hands.letters._letters.values()]
        assert len(held) == BAD
        assert not any(letter.message for letter in held)
        letters = await store.deliveries.letters(topic)
        assert [letter.attempts for letter in letters].count(2) == BAD - LARGE
        assert all(letter.message for letter in letters)
    finally:
        await runtime.stop()
