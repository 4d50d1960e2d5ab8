"""First the effect, then the progress, and an inbox: the same attack on builds that do it in another way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from rebalances import Pair, Report

from tests.bus.topics import Bank
from tusk_runtime.bus import membership
from tusk_runtime.bus.beginning import Beginning, Beginnings
from tusk_runtime.bus.membership import Bounds, Membership, Partition
from tusk_runtime.consumers import accepting, sending
from tusk_runtime.consumers.receiving import MessageHands
from tusk_runtime.events import StoredEvent, id_text, new_id
from tusk_runtime.failpoints import set_points
from tusk_runtime.following.hands import Changes
from tusk_runtime.following.lane import Lane
from tusk_runtime.following.messages import Message
from tusk_runtime.store.deliveries import Claim
from tusk_runtime.store.sqlite import SqliteStore

CONSUMERS = """
[consumers.Bank]
group: "GROUP-bank"
topics: ["GROUP-inbox"]
accept: { message: { account: "string", amount: "decimal(places=2)" }, send: "Deposit", with: { aggregate_id: "{{ message.account }}" } }
[consumers.Fee]
group: "GROUP-fee"
on: { Deposited: { send: "Withdraw", with: { amount: "0.01" } } }
"""
ACCOUNTS = ("a", "b", "c")
ROUND = 8
"""Messages for each account, in each of three rounds."""
HELD = "consumer.before_action:delay=1"
"""When it is stopped, most of a page was read and is not handled."""
AGAIN = ",".join(f"follower.handled:error@{number}" for number in range(1, 8))
"""What was handled comes once more."""


@pytest.fixture(autouse=True)
def points() -> Iterator[None]:
    set_points("")
    yield
    set_points("")


@pytest.fixture
async def bank(kafka: str, tmp_path: Path) -> AsyncIterator[Bank]:
    found = Bank(kafka, tmp_path, CONSUMERS)
    found.make_inbox()
    yield found
    await found.stop()


class Attack:
    """Rounds of messages: some are being handled when the process stops, some come twice."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._sent: list[Pair] = []

    async def run(self) -> Report:
        """What became of them."""
        bank, report = self._bank, Report()
        await bank.start()
        await bank.open(*ACCOUNTS)
        self._write()
        await bank.settled()
        set_points(HELD)
        self._write()
        await asyncio.sleep(1.5)
        await bank.stop()
        set_points("")
        handled = sum(event.type == "Deposited" for event in await self._events())
        known = await asyncio.to_thread(bank.committed, f"{bank.name}-bank", bank.inbox)
        report.beyond = max(0, sum(known.values()) - handled)
        await bank.start()
        await bank.settled()
        set_points(AGAIN)
        self._write()
        await bank.settled()
        await bank.stop()
        self._count(report, await self._events())
        print(report)
        return report

    def _write(self) -> None:
        """The next messages; their amounts are their numbers."""
        first = len(self._sent) // len(ACCOUNTS) + 1
        new = [(account, number) for number in range(first, first + ROUND) for account in ACCOUNTS]
        self._sent += new
        self._bank.write(
            *((key, orjson.dumps({"account": key, "amount": f"{number}.00"}), {}) for key, number in new)
        )

    async def _events(self) -> Sequence[StoredEvent]:
        store = SqliteStore(self._bank.folder / "store.db")
        await store.open()
        try:
            return await store.events.read(limit=100_000)
        finally:
            await store.close()

    def _count(self, report: Report, events: Sequence[StoredEvent]) -> None:
        """Each message gave a deposit, each deposit gave a fee."""
        deposits = {id_text(each.event_id): each for each in events if each.type == "Deposited"}
        taken = [
            (each.aggregate_id, int(float(orjson.loads(each.data)["amount"]))) for each in deposits.values()
        ]
        causes = [
            deposits[orjson.loads(each.metadata)["causation_id"]]
            for each in events
            if each.type == "Withdrawn"
        ]
        report.count(self._sent, taken)
        wanted = [(each.aggregate_id, each.version) for each in deposits.values()]
        report.count(wanted, [(each.aggregate_id, each.version) for each in causes])


async def test_each_has_its_one_effect(bank: Bank) -> None:
    report = await Attack(bank).run()
    assert report.holds


async def test_progress_before_the_effect(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not handled when the process stopped is behind the progress, and never handled."""

    async def too_early(self: Lane[Message], page: Sequence[Message], reached: int) -> None:
        await self._save(Changes([], [], reached))
        self.position = reached
        await self.hands.handle(page, reached)

    monkeypatch.setattr(Lane, "take", too_early)
    report = await Attack(bank).run()
    assert report.lost > 0


class CommittingByItself(AIOKafkaConsumer):  # type: ignore[misc]
    """What a client does where nobody forbids it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "enable_auto_commit": True, "auto_commit_interval_ms": 100})


async def test_a_client_that_commits_by_itself(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka knows of more than was handled, and people see what is not true; the store still says where to go on."""
    monkeypatch.setattr(membership, "AIOKafkaConsumer", CommittingByItself)
    report = await Attack(bank).run()
    assert report.beyond > 0
    assert not report.lost


async def test_a_client_that_commits_by_itself_and_is_believed(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on where Kafka says leaves out what was read and not handled."""
    find = Beginnings.find

    async def believing(
        self: Beginnings, client: Membership, partition: Partition, claim: Claim, bounds: Bounds
    ) -> Beginning:
        told = await client.committed(partition)
        return await find(self, client, partition, claim, bounds) if told is None else Beginning(told - 1)

    monkeypatch.setattr(membership, "AIOKafkaConsumer", CommittingByItself)
    monkeypatch.setattr(Beginnings, "find", believing)
    report = await Attack(bank).run()
    assert report.lost > 0


async def test_no_inbox(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes again is new each time."""

    async def all_of_them(self: MessageHands, messages: Sequence[Message]) -> list[Message]:
        return list(messages)

    monkeypatch.setattr(accepting, "id_from", lambda origin: new_id())
    monkeypatch.setattr(sending, "id_of", lambda *parts: new_id())
    monkeypatch.setattr(MessageHands, "_unseen", all_of_them)
    report = await Attack(bank).run()
    assert report.twice > 0
    assert not report.lost
