"""Clients of Kafka that stand still and say nothing are made anew within 30 seconds, while there is something to do."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path

from tests.bus.topics import Bank
from tusk_runtime.bus.subscription import Subscription

SECONDS = 30.0


async def anew(subscription: Subscription, since: float) -> float:
    """Wait for another client; gives how long that took."""
    before = subscription._client
    async with asyncio.timeout(2 * SECONDS):
        while subscription._client in (before, None):
            await asyncio.sleep(0.05)
    return time.monotonic() - since


async def test_within_30_seconds(kafka: str, tmp_path: Path) -> None:
    """One that lost its place in the group, and one that fetches no more."""
    bank = Bank(kafka, tmp_path)
    try:
        await bank.start()
        await bank.open("a")
        await bank.deposit("a", "20")
        await bank.settled()
        fee, clerk = (bank.runtime._followers.runners[f"{name} of topics"] for name in ("Fee", "Clerk"))
        assert isinstance(fee, Subscription)
        assert isinstance(clerk, Subscription)
        fee._client._client._coordinator._coordination_task.cancel()  # type: ignore[union-attr]
        clerk._client._client._fetcher._fetch_task.cancel()  # type: ignore[union-attr]
        began = time.monotonic()
        made = [asyncio.create_task(anew(each, began)) for each in (fee, clerk)]
        while not all(each.done() for each in made):
            await bank.deposit("a", "20")
            await asyncio.sleep(1)
        times = [each.result() for each in made]
        print(f"made anew after {times[0]:.1f} s and {times[1]:.1f} s")
        assert max(times) < SECONDS
        await bank.settled()
        events = await bank.runtime._store.events.read(limit=100_000)
        assert await bank.balance("a") == Decimal("19.50") * sum(each.type == "Deposited" for each in events)
    finally:
        await bank.stop()
