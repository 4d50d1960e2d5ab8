"""Consumers that read topics: each event and message is handled, in order by key, whatever Kafka does."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer as Reader
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from kafka_server import KafkaServer
from postgres_server import schema_for
from topics import ANN, BANK, Bank, seen_by

from tusk_runtime.bus import membership, watching
from tusk_runtime.bus.subscription import Subscription
from tusk_runtime.following.messages import Message
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.postgres import PostgresStore


@pytest.fixture
async def bank(kafka: str, tmp_path: Path) -> AsyncIterator[Bank]:
    found = Bank(kafka, tmp_path)
    yield found
    await found.stop()


@pytest.fixture
async def lonely(kafka_server: KafkaServer, tmp_path: Path) -> AsyncIterator[tuple[Bank, KafkaServer]]:
    """A bank whose broker may be disturbed."""
    found = Bank(kafka_server.address, tmp_path)
    yield found, kafka_server
    await found.stop()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was written to the log; it grows."""
    caplog.set_level(logging.INFO, "tusk")
    found: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logging.getLogger("tusk").addHandler(Collect())
    return found


def subscription(bank: Bank, name: str) -> Subscription:
    found = bank.runtime._followers.runners[f"{name} of topics"]
    assert isinstance(found, Subscription)
    return found


async def test_what_is_published_again_has_no_effect_again(bank: Bank, lines: list[str]) -> None:
    """Not even on what is outside of the application; a new record of an old event is known by its version."""
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20", 5)
    await bank.settled()
    assert await bank.runtime.republish(1, caller=ANN) == 5
    await asyncio.sleep(1)
    await bank.settled()
    await bank.deposit("a", "20", 1)
    await bank.settled()
    assert await bank.balance("a") == Decimal("117.00")
    assert len(seen_by(lines)["a"]) == len(set(seen_by(lines)["a"])) == 6


async def test_records_that_anybody_could_write_are_not_believed(bank: Bank) -> None:
    """A record with the relay's headers of an event that is not stored is a dead letter, and gives nothing."""
    await bank.start()
    await bank.open("a")
    await bank.settled()
    topic = f"{bank.name}.money"
    forged = {"event_id": str(uuid.uuid4()), "event_type": "Deposited", "position": "1"}
    bank.write_to(topic, ("a", b'{"amount":"20"}', forged), ("a", b"{}", {"position": "x"}))
    await bank.settled()
    assert await bank.balance("a") == 0
    letters = await bank.runtime._store.deliveries.letters(f"{bank.name}-fee")
    assert [letter.standing for letter in letters] == ["refused"]
    assert "another application writes to the topic" in orjson.loads(letters[0].error)["message"]


# ---- messages from outside ------------------------------------------------------------------------


async def test_messages_from_outside_become_commands(bank: Bank) -> None:
    """Each once by its id; what nothing fits is a dead letter with its reason, and holds nothing up."""
    bank.consumers = BANK
    bank.make_inbox()
    await bank.start()
    await bank.open("a")
    deposit = orjson.dumps({"type": "deposit", "account": "a", "amount": "5.00"})
    bank.write(
        ("a", deposit, {"message-id": "1"}),
        ("a", deposit, {"message-id": "2"}),
        ("a", deposit, {"message-id": "1"}),
        ("a", "{", {"message-id": "3"}),
        ("a", '{"type": "note"}', {}),
        ("a", '{"type": "riddle"}', {}),
        (None, deposit, {}),
        ("a", orjson.dumps({"type": "deposit", "account": "nobody", "amount": "5.00"}), {}),
    )
    await bank.settled()
    assert await bank.balance("a") == 15
    letters = await bank.runtime._store.deliveries.letters(f"{bank.name}-bank")
    assert [letter.standing for letter in letters] == ["refused"] * 3
    assert all(letter.message for letter in letters)


async def test_a_message_that_is_too_large_to_be_kept_stays_a_dead_letter(bank: Bank) -> None:
    """Nobody can handle it again; whoever asks for that is told, and its place is not forgotten."""
    bank.consumers = BANK
    bank.make_inbox()
    settings = ConfigResource(
        ConfigResource.Type.TOPIC,
        bank.inbox,
        incremental_configs=[
            ConfigEntry("max.message.bytes", "4000000", incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin = AdminClient({"bootstrap.servers": bank.address})
    await asyncio.to_thread(admin.incremental_alter_configs([settings])[settings].result, 30)
    await bank.start()
    await bank.open("a")
    bank.write(("a", b'"' + b"x" * 2_000_000 + b'"', {}))
    bank.write(("a", orjson.dumps({"type": "deposit", "account": "a", "amount": "5.00"}), {}))
    await bank.settled()
    group = f"{bank.name}-bank"
    deliveries = bank.runtime._store.deliveries
    for _ in range(2):
        (letter,) = await deliveries.letters(group)
        assert (letter.standing, letter.position) == ("refused", 0)
        assert "bytes" in orjson.loads(letter.error)["message"]
        await deliveries.mark(group, [(letter.source, letter.position)], "retry")
        bank.runtime._followers.look("Bank")
        await bank.settled()
    await deliveries.mark(group, [(letter.source, letter.position)], "drop")
    bank.runtime._followers.look("Bank")
    await bank.settled()
    assert await deliveries.letters(group) == []
    assert await bank.balance("a") == 5


async def test_an_inbox_that_is_read_again_has_no_effect_again(bank: Bank) -> None:
    """Whoever moves the group back, by its progress in the store, gets every message a second time."""
    bank.consumers = BANK
    bank.make_inbox()
    await bank.start()
    await bank.open("a")
    deposit = orjson.dumps({"type": "deposit", "account": "a", "amount": "5.00"})
    bank.write(*[("a", deposit, {"message-id": str(number)}) for number in range(10)])
    bank.write(*[(None, deposit, {}) for _ in range(10)])
    await bank.settled()
    runner = subscription(bank, "Bank")
    for track in list(runner._tracks.values()):
        await track.lane.move(-1)
    await bank.stop()
    await bank.start()
    await bank.settled()
    assert await bank.balance("a") == 100


async def test_a_new_group_begins_where_kafka_was_told(bank: Bank) -> None:
    """So somebody may move a consumer, by a group of another name; one that the store knows stays where it is."""
    bank.consumers = BANK
    bank.make_inbox(1)
    deposit = orjson.dumps({"type": "deposit", "account": "a", "amount": "5.00"})
    bank.write(*[("a", deposit, {"message-id": str(number)}) for number in range(5)])
    await asyncio.to_thread(bank.commit, f"{bank.name}-bank", bank.inbox, 3)
    await bank.start()
    await bank.open("a")
    await bank.settled()
    done = await bank.balance("a")
    letters = await bank.runtime._store.deliveries.letters(f"{bank.name}-bank")
    assert done / 5 + len(letters) == 2  # a letter, where the account was not open yet
    await bank.stop()
    await asyncio.to_thread(bank.commit, f"{bank.name}-bank", bank.inbox, 0)
    bank.consumers = BANK.replace("GROUP-bank", "GROUP-other-bank")
    await asyncio.to_thread(bank.commit, f"{bank.name}-other-bank", bank.inbox, 1)
    await bank.start()
    await bank.settled()
    assert await bank.balance("a") == done + 20
    await bank.stop()
    bank.consumers = BANK
    await bank.start()
    await bank.settled()
    assert await bank.balance("a") == done + 20


async def test_a_topic_that_is_not_there_is_told(bank: Bank) -> None:
    """By its name, with what to do; it is read as soon as somebody makes it."""
    bank.consumers = BANK
    await bank.start()
    part = await bank.until("Bank", lambda part: bool(part.error))
    assert f"Kafka has no topic `{bank.inbox}`: make it, or name another one" in part.error
    await bank.open("a")
    bank.make_inbox()
    bank.write(("a", orjson.dumps({"type": "deposit", "account": "a", "amount": "5.00"}), {}))
    await bank.until("Bank", lambda part: not part.error)
    await bank.settled()
    assert await bank.balance("a") == 5


async def test_a_group_that_somebody_else_uses_is_told(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others of the group are given is not handled here, and is when they are gone."""
    monkeypatch.setattr(watching, "WATCH_SECONDS", 0.5)
    bank.consumers = BANK
    bank.make_inbox()
    await bank.start()
    await bank.open("a")
    await bank.settled()
    stranger = Reader(
        {"bootstrap.servers": bank.address, "group.id": f"{bank.name}-bank", "client.id": "stranger",
         "partition.assignment.strategy": "roundrobin", "session.timeout.ms": 6000}
    )  # fmt: skip
    stranger.subscribe([bank.inbox])
    deposit = orjson.dumps({"type": "deposit", "account": "a", "amount": "5.00"})
    try:
        async with asyncio.timeout(30):
            while not (await bank.part("Bank")).error:
                await asyncio.to_thread(stranger.poll, 0.2)
        error = (await bank.part("Bank")).error
        assert f"the group `{bank.name}-bank` is used by `stranger` at 127.0.0.1, too" in error
        bank.write(*[(str(number), deposit, {}) for number in range(30)])
        for _ in range(20):
            await asyncio.to_thread(stranger.poll, 0.1)
    finally:
        await asyncio.to_thread(stranger.close)
    await bank.until("Bank", lambda part: not part.error and part.detail == "3 partitions here")
    await bank.settled()
    assert await bank.balance("a") == 150


# ---- several processes --------------------------------------------------------------------------


async def test_processes_share_the_partitions_of_a_group(
    bank: Bank, tmp_path: Path, lines: list[str]
) -> None:
    """Each event is handled by one of them; what one leaves behind the other takes over."""
    stores = [PostgresStore(await schema_for("18", tmp_path)) for _ in range(2)]
    one, other = [await bank.start(store) for store in stores]

    async def here(runtime: Runtime) -> str:
        return (await bank.part("Clerk", runtime)).detail

    async with asyncio.timeout(30):
        while {await here(one), await here(other)} != {"1 partition here", "2 partitions here"}:
            await asyncio.sleep(0.1)
    accounts = [f"a{number}" for number in range(12)]
    await bank.open(*accounts)
    for account in accounts:
        await bank.deposit(account, "20", 3)
    async with asyncio.timeout(30):
        while sum(map(len, seen_by(lines).values())) < 36:
            await asyncio.sleep(0.1)
    await one.stop()
    for account in accounts:
        await bank.deposit(account, "20")
    for name in ("Clerk", "Fee"):
        await bank.until(name, lambda part: part.detail == "3 partitions here")
    await bank.settled()
    assert {
        account: sorted(set(versions)) == versions for account, versions in seen_by(lines).items()
    } == dict.fromkeys(accounts, True)
    assert sum(map(len, seen_by(lines).values())) == 48
    assert [await bank.balance(account) for account in accounts] == [Decimal("78.00")] * 12


async def test_standalone_every_process_reads_all(bank: Bank, tmp_path: Path, lines: list[str]) -> None:
    """What is outside is done by each of them, a command takes effect once."""
    more = '[kafka_integration]\nconsumer: "standalone"'
    runtimes = [await bank.start(PostgresStore(await schema_for("18", tmp_path)), more) for _ in range(2)]
    for runtime in runtimes:
        async with asyncio.timeout(30):
            while (await bank.part("Clerk", runtime)).detail != "3 partitions here":
                await asyncio.sleep(0.1)
    await bank.open("a")
    await bank.deposit("a", "20", 5)
    async with asyncio.timeout(30):
        while len(seen_by(lines).get("a", [])) < 10:
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    seen = seen_by(lines)["a"]
    assert {seen.count(version) for version in seen} == {2}
    assert await bank.balance("a") == Decimal("97.50")


async def test_without_offsets_only_what_comes_from_now_on_is_read(bank: Bank) -> None:
    """At every start."""
    bank.consumers = BANK
    bank.make_inbox()
    more = "[event_consumer]\noffset_management: false"
    deposit = orjson.dumps({"type": "deposit", "account": "a", "amount": "5.00"})
    bank.write(("a", deposit, {}))
    await bank.start(more=more)
    await bank.open("a")
    await bank.settled()
    bank.write(("a", deposit, {}))
    await bank.settled()
    await bank.stop()
    bank.write(("a", deposit, {}))
    await bank.start(more=more)
    await bank.settled()
    assert await bank.balance("a") == 5


# ---- what Kafka does ------------------------------------------------------------------------------


async def test_kafka_never_knows_of_more_than_was_handled(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the group from outside sees what is done, not what is being done."""
    bank.consumers = BANK
    bank.make_inbox(1)
    await bank.start()
    await bank.open("a")
    hold = asyncio.Event()
    acceptor = bank.runtime._followers.runners["Bank of topics"]._handed.__self__.acceptor  # type: ignore[attr-defined]
    accept = acceptor.accept

    async def held(message: Message, again: int = 0) -> object:
        if message.offset >= 5:
            await hold.wait()
        return await accept(message, again)

    monkeypatch.setattr(acceptor, "accept", held)
    deposit = orjson.dumps({"type": "deposit", "account": "a", "amount": "5.00"})
    bank.write(*[("a", deposit, {}) for _ in range(5)])
    await asyncio.sleep(2)
    bank.write(*[("a", deposit, {}) for _ in range(5)])
    await asyncio.sleep(7)  # longer than a client commits by itself
    known = await asyncio.to_thread(bank.committed, f"{bank.name}-bank", bank.inbox, 1)
    assert known.get(0, 0) <= 5
    hold.set()
    await bank.settled()
    assert await bank.balance("a") == 50
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(bank.committed, f"{bank.name}-bank", bank.inbox, 1)) != {0: 10}:
            await asyncio.sleep(0.2)


async def test_a_slow_key_does_not_hold_up_other_partitions(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its partition is paused until it is done, and the process stays in the group."""
    bank.consumers = BANK
    bank.make_inbox()
    await bank.start()
    await bank.open("a")
    hold = asyncio.Event()
    acceptor = bank.runtime._followers.runners["Bank of topics"]._handed.__self__.acceptor  # type: ignore[attr-defined]
    accept = acceptor.accept

    async def held(message: Message, again: int = 0) -> object:
        if message.key == b"slow":
            await hold.wait()
        return await accept(message, again)

    monkeypatch.setattr(acceptor, "accept", held)
    deposit = orjson.dumps({"type": "deposit", "account": "a", "amount": "1.00"})
    bank.write(("slow", deposit, {}))
    await asyncio.sleep(2)
    generation = subscription(bank, "Bank")._client.generation  # type: ignore[union-attr]
    for _ in range(10):
        bank.write(*[(str(number), deposit, {}) for number in range(9)])
        await asyncio.sleep(0.8)
    assert 30 < await bank.balance("a") < 90
    hold.set()
    await bank.settled()
    assert await bank.balance("a") == 91
    assert subscription(bank, "Bank")._client.generation == generation  # type: ignore[union-attr]


async def test_a_broker_that_dies_and_comes_back(lonely: tuple[Bank, KafkaServer], lines: list[str]) -> None:
    """Consumers are back within 15 seconds, and every event is handled once, in order."""
    bank, server = lonely
    await bank.start()
    await bank.open("a")
    for seconds in (0.1, 8.0):
        await bank.deposit("a", "20", 3)
        await asyncio.to_thread(server.kill)
        await bank.deposit("a", "20", 2)
        await asyncio.sleep(seconds)
        server.start()
        begin = time.monotonic()
        await bank.settled()
        assert time.monotonic() - begin < 15
    assert await bank.balance("a") == Decimal("195.00")
    assert seen_by(lines)["a"] == sorted(set(seen_by(lines)["a"]))
    assert len(seen_by(lines)["a"]) == 10


async def test_a_broker_that_stands_still(lonely: tuple[Bank, KafkaServer], lines: list[str]) -> None:
    """Past the time-out of the session: it goes on when the broker does, and stops in time when that does not."""
    bank, server = lonely
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20", 3)
    await bank.settled()
    server.freeze()
    await bank.deposit("a", "20", 3)
    await asyncio.sleep(8)
    server.thaw()
    begin = time.monotonic()
    await bank.settled()
    assert time.monotonic() - begin < 15
    assert await bank.balance("a") == Decimal("117.00")
    assert seen_by(lines) == {"a": sorted(set(seen_by(lines)["a"]))}
    server.freeze()
    begin = time.monotonic()
    await bank.stop()
    assert time.monotonic() - begin < 15
    server.thaw()


async def test_a_client_that_gives_up_is_made_anew(
    bank: Bank, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells nobody: that it no longer keeps its place in the group is seen, and so is standing still."""
    monkeypatch.setattr(watching, "WATCH_SECONDS", 0.5)
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20")
    await bank.settled()
    before = subscription(bank, "Fee")._client
    before._client._coordinator._coordination_task.cancel()  # type: ignore[union-attr]
    async with asyncio.timeout(20):
        while subscription(bank, "Fee")._client in (before, None):
            await asyncio.sleep(0.1)
    await bank.deposit("a", "20")
    await bank.settled()
    assert await bank.balance("a") == 39


async def test_a_client_that_gives_nothing_is_made_anew(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is something in the topic, and nothing comes out of it."""
    monkeypatch.setattr(watching, "WATCH_SECONDS", 0.5)
    monkeypatch.setattr(watching, "STUCK_SECONDS", 2.0)
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20")
    await bank.settled()
    before = subscription(bank, "Fee")._client
    fetcher = before._client._fetcher  # type: ignore[union-attr]
    fetcher._fetch_task.cancel()
    await bank.deposit("a", "20")
    await asyncio.sleep(1)  # for what was asked for already
    await bank.deposit("a", "20")
    await bank.settled()
    assert subscription(bank, "Fee")._client is not before
    assert await bank.balance("a") == Decimal("58.50")


async def test_a_topic_that_is_made_anew_is_an_alarm(
    bank: Bank, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told loudly and stays to be seen; what is published again is handled unless it was before."""
    monkeypatch.setattr(membership, "METADATA_SECONDS", 2.0)
    monkeypatch.setattr(watching, "WATCH_SECONDS", 0.5)
    await bank.start()
    await bank.open("a")
    await bank.deposit("a", "20", 5)
    await bank.settled()
    topic, admin = f"{bank.name}.money", AdminClient({"bootstrap.servers": bank.address})
    await asyncio.to_thread(admin.delete_topics([topic])[topic].result, 30)
    await bank.deposit("a", "20", 1)
    await bank.until("@relay", lambda part: "lost" in part.error, 60)
    await bank.runtime.republish(await bank.runtime._store.events.head(), caller=ANN)
    part = await bank.until("Clerk", lambda part: "went back" in part.error, 60)
    assert "`tusk republish`" in part.error
    await bank.runtime.republish(1, caller=ANN)
    await bank.settled()
    assert await bank.balance("a") == Decimal("117.00")
    assert sorted(seen_by(lines)["a"]) == sorted(set(seen_by(lines)["a"]))
    assert len(seen_by(lines)["a"]) == 6
    assert any("went back" in line for line in lines)
