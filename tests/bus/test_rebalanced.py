"""What processes of a group do to each other: who comes too late takes nothing for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from tests.bus.topics import PARTITIONS, Bank
from tusk_runtime.bus.membership import Bounds, Membership, Partition
from tusk_runtime.bus.subscription import Subscription
from tusk_runtime.store.deliveries import Deliveries


@pytest.fixture
async def bank(kafka: str, tmp_path: Path) -> AsyncIterator[Bank]:
    found = Bank(kafka, tmp_path)
    yield found
    await found.stop()


def fee(bank: Bank) -> Subscription:
    found = bank.runtime._followers.runners["Fee of topics"]
    assert isinstance(found, Subscription)
    return found


def deliveries(bank: Bank) -> Deliveries:
    return bank.runtime._store.deliveries


async def take_all(bank: Bank, holder: bytes) -> None:
    """Take all partitions in the store, as another process does, whose turn is over by then."""
    for number in range(PARTITIONS):
        await deliveries(bank).take(f"{bank.name}-fee", f"{bank.name}.money/{number}", holder)


async def test_what_was_taken_too_late_is_taken_back(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    """Kafka still says that the partitions are here, and will not say it again: all is handled, once."""
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20")
    await bank.settled()
    client = fee(bank)._client
    await take_all(bank, b"too late")
    await bank.deposit("a", "20")
    await bank.settled(15)
    await bank.deposit("a", "20")
    await bank.settled(15)
    assert await bank.balance("a") == Decimal("58.50")
    assert "is no longer here" in caplog.text
    assert fee(bank)._client is client


async def test_who_is_no_member_takes_nothing_back(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka says nothing to who is cut off; the process that has the partitions keeps them meanwhile."""
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20")
    await bank.settled()

    async def nobody(self: Membership, offsets: dict[Partition, int]) -> bool:
        return False

    monkeypatch.setattr(Membership, "commit", nobody)
    await take_all(bank, b"has them")
    await bank.deposit("a", "20")
    async with asyncio.timeout(10):
        while not fee(bank)._lost:
            await asyncio.sleep(0.05)
    await asyncio.sleep(2.5)
    source, number = next(iter(fee(bank)._lost))
    claim = await deliveries(bank).take(f"{bank.name}-fee", f"{source}/{number}", b"has them")
    assert claim.epoch == 3


@pytest.mark.parametrize("seconds", [0.0, 3.0])
async def test_what_is_given_anew_while_it_is_taken(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    """Others may have handled something of it in between: where it stands is asked again."""
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20")
    await bank.settled()
    await bank.stop()
    bounds, given = Membership.bounds, asyncio.Event()

    async def slow(self: Membership, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        found = await bounds(self, partitions)
        if str(self._group).endswith("-fee") and not given.is_set():
            given.set()
            self.given = frozenset()
            await self._revoked(partitions)
            await take_all(bank, b"had all of it for a moment")
            asyncio.get_running_loop().call_later(seconds, self._take, self._made.assignment())
            await asyncio.sleep(0)
        return found

    monkeypatch.setattr(Membership, "bounds", slow)
    await bank.start()
    await bank.deposit("a", "20")
    await bank.settled()
    assert given.is_set()
    assert await bank.balance("a") == 39
    assert "is no longer here" not in caplog.text


async def test_who_was_late_blames_nobody(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What others handled meanwhile, and told Kafka of, is no sign that somebody meddles with the group."""
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20")
    await bank.settled()
    await bank.stop()
    committed, meanwhile = Membership.committed, asyncio.Event()

    async def later(self: Membership, partition: Partition) -> int | None:
        if str(self._group).endswith("-fee") and not meanwhile.is_set():
            meanwhile.set()
            await take_all(bank, b"had all of it for a moment")
            return 100
        return await committed(self, partition)

    monkeypatch.setattr(Membership, "committed", later)
    await bank.start()
    await bank.deposit("a", "20")
    await bank.settled()
    assert meanwhile.is_set()
    assert await bank.balance("a") == 39
    assert "somebody else told" not in caplog.text


async def test_somebody_who_tells_kafka_something_else_is_told(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The group goes on where it is."""
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20")
    await bank.settled()
    await bank.stop()
    committed = Membership.committed

    async def told(self: Membership, partition: Partition) -> int | None:
        return 100 if str(self._group).endswith("-fee") else await committed(self, partition)

    monkeypatch.setattr(Membership, "committed", told)
    await bank.start()
    await bank.deposit("a", "20")
    await bank.settled()
    assert await bank.balance("a") == 39
    assert "somebody else told Kafka" in caplog.text


async def test_what_was_given_away_stands_nowhere(bank: Bank) -> None:
    """It is no error of Kafka's when somebody asks a moment too late."""
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20")
    await bank.settled()
    client, gone = fee(bank)._client, (f"{bank.name}.money", PARTITIONS)
    assert client is not None
    assert await client.position(gone) is None
    assert client.end(gone) is None
    assert not client.seek(gone, 0)
    assert not client.pause(gone)
    assert not client.resume(gone)
