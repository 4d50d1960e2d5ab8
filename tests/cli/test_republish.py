"""`tusk republish` as a user types it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path

from apps import ACCOUNT
from command_line import tusk
from support import Server, until

KAFKA = """
[event_categories]
money: ["Deposited"]
[event_store]
streaming: "kafka"
[store_config]
kafka: { brokers: "@env('KAFKA_BROKERS')", topic_prefix: "@env('PREFIX')", partitions: 1 }
"""


async def test_events_are_published_again(serve: Callable[..., Server], tmp_path: Path, kafka: str) -> None:
    """A dry run counts; then whoever publishes begins again."""
    file = tmp_path / "bank.tsk"
    file.write_text(ACCOUNT + KAFKA)
    environment = {"KAFKA_BROKERS": kafka, "PREFIX": f"test-{uuid.uuid4().hex[:12]}"}
    server = serve(file, "--no-watch", environment=environment)
    await server.start()
    async with server.client() as api:
        await api.post("/api/commands/Open", json={"owner": "ann", "aggregate_id": "a"})
        for _ in range(3):
            await api.post("/api/commands/Deposit", json={"amount": "1", "aggregate_id": "a"})

        async def published() -> bool:
            parts = {part["name"]: part for part in (await api.get("/api/status")).json()["parts"]}
            return parts["@relay"]["lag"] == 0

        await until(published, "all is published", 30)
        done = await asyncio.to_thread(tusk, "republish", "--from", "3", "--dry-run", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "2 events would be published again\n"), done.stderr
        done = await asyncio.to_thread(tusk, "republish", "--from", "1", "--format", "json", cwd=tmp_path)
        assert json.loads(done.stdout) == {"dry_run": False, "from": 1, "count": 3}


async def test_without_kafka(serve: Callable[..., Server], tmp_path: Path) -> None:
    """Nothing is published, and that is told; so is that no application runs."""
    file = tmp_path / "bank.tsk"
    file.write_text(ACCOUNT)
    done = await asyncio.to_thread(tusk, "republish", "--from", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "no application runs" in done.stderr
    server = serve(file, "--no-watch")
    await server.start()
    done = await asyncio.to_thread(tusk, "republish", "--from", "1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing is published" in done.stderr
