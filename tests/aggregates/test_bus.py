"""The command bus: decided one by one, written together, answered once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from apps import ACCOUNT, application
from flaky_store import Flaky

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import (
    Conflict,
    Forbidden,
    IdReused,
    Invalid,
    NotFound,
    OutcomeUnknown,
    RuleBroken,
    StoreError,
    StoreUnavailable,
    Unavailable,
    UnknownName,
)
from tusk_runtime.events import Caller, command_id_from, new_id
from tusk_runtime.running.backends import memory_store
from tusk_runtime.store.protocol import Store, StreamId

ANN = Caller("ann")


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = memory_store()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def bus(store: Store) -> AsyncIterator[CommandBus]:
    bus = CommandBus(store.events, application(ACCOUNT), VirtualClock(1_000_000))
    await bus.start()
    yield bus
    await bus.stop()


async def balance(bus: CommandBus, store: Store, account: str = "a") -> Decimal:
    events = await store.events.read_stream(StreamId("Account", account))
    return bus.fold("Account", events).values["balance"]


async def opened(bus: CommandBus, amount: str = "0") -> None:
    await bus.execute("Open", {"owner": "ann"}, aggregate_id="a", caller=ANN)
    if amount != "0":
        await bus.execute("Deposit", {"amount": amount}, aggregate_id="a", caller=ANN)


async def test_a_command_gives_its_events(bus: CommandBus, store: Store) -> None:
    """The answer holds version and position, and the event is in the store with what fills it."""
    await opened(bus)
    recorded, types, repeated = await bus.execute(
        "Deposit", {"amount": "12.50"}, aggregate_id="a", caller=ANN
    )
    assert (recorded.version, recorded.position, list(types), repeated) == (2, 2, ["Deposited"], False)
    stored = (await store.events.read(after=1))[0]
    assert stored.data == b'{"amount":"12.50"}'
    assert b'"user_id":"ann"' in stored.metadata
    assert await balance(bus, store) == Decimal("12.50")


async def test_refusals_in_their_order(bus: CommandBus) -> None:
    """Fields, existence, allow, from, require: each has its own error, and nothing is written."""
    with pytest.raises(Invalid, match="must be at least"):
        await bus.execute("Deposit", {"amount": "-1"}, aggregate_id="a", caller=ANN)
    with pytest.raises(NotFound, match="no Account a"):
        await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", caller=ANN)
    await opened(bus, "10")
    with pytest.raises(RuleBroken, match="exists already"):
        await bus.execute("Open", {"owner": "ann"}, aggregate_id="a", caller=ANN)
    with pytest.raises(Forbidden):
        await bus.execute("Withdraw", {"amount": "1"}, aggregate_id="a", caller=Caller("mallory"))
    with pytest.raises(RuleBroken, match="not enough money"):
        await bus.execute("Withdraw", {"amount": "11"}, aggregate_id="a", caller=ANN)
    with pytest.raises(RuleBroken, match=r"10(\.00)? is left"):
        await bus.execute("Close", {}, aggregate_id="a", caller=ANN)
    await bus.execute("Withdraw", {"amount": "10"}, aggregate_id="a", caller=ANN)
    await bus.execute("Close", {}, aggregate_id="a", caller=ANN)
    with pytest.raises(RuleBroken, match="is closed; `Deposit` is allowed from open"):
        await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", caller=ANN)
    with pytest.raises(UnknownName) as unknown:
        await bus.execute("Depositt", {}, caller=ANN)
    assert "Deposit" in unknown.value.details["help"]


async def test_a_command_that_emits_nothing_is_accepted(bus: CommandBus) -> None:
    """No event means "accepted, nothing to do"."""
    await opened(bus, "2000")
    recorded, types, _ = await bus.execute("Withdraw", {"amount": "1500"}, aggregate_id="a", caller=ANN)
    assert (recorded.count, list(types), recorded.version) == (0, [], 2)


async def test_a_repeated_id_gets_the_first_answer(bus: CommandBus, store: Store) -> None:
    """Also after a restart, also for a refusal; and adds nothing."""
    await opened(bus, "5")
    key = command_id_from("first try")
    first = await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", command_id=key, caller=ANN)
    again = await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", command_id=key, caller=ANN)
    assert (again[0], list(again[1]), again[2]) == (first[0], ["Deposited"], True)
    refused = command_id_from("too much")
    with pytest.raises(RuleBroken, match="not enough"):
        await bus.execute("Withdraw", {"amount": "50"}, aggregate_id="a", command_id=refused, caller=ANN)
    await bus.execute("Deposit", {"amount": "100"}, aggregate_id="a", caller=ANN)
    other = CommandBus(store.events, application(ACCOUNT), VirtualClock(0))
    await other.start()
    with pytest.raises(RuleBroken, match="not enough"):
        await other.execute("Withdraw", {"amount": "50"}, aggregate_id="a", command_id=refused, caller=ANN)
    assert (await other.execute("Deposit", {"amount": "1"}, aggregate_id="a", command_id=key, caller=ANN))[2]
    await other.stop()
    assert await balance(bus, store) == Decimal("106")


async def test_an_id_belongs_to_one_command(bus: CommandBus) -> None:
    """Another command, or other fields, under a used id: refused."""
    await opened(bus)
    key = new_id()
    await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", command_id=key, caller=ANN)
    with pytest.raises(IdReused):
        await bus.execute("Deposit", {"amount": "2"}, aggregate_id="a", command_id=key, caller=ANN)
    with pytest.raises(IdReused):
        await bus.execute("Deposit", {"amount": "1"}, aggregate_id="b", command_id=key, caller=ANN)


async def test_the_same_id_at_the_same_time(bus: CommandBus, store: Store) -> None:
    """Repeats that arrive together take effect once, and all get the answer."""
    await opened(bus)
    key = new_id()
    answers = await asyncio.gather(
        *(
            bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", command_id=key, caller=ANN)
            for _ in range(20)
        )
    )
    assert len({answer[0] for answer in answers}) == 1
    assert await balance(bus, store) == Decimal("1")


async def test_each_decision_sees_the_one_before(bus: CommandBus, store: Store) -> None:
    """64 withdrawals at once from an account that holds enough for 10: exactly 10 succeed."""
    await opened(bus, "10")
    results = await asyncio.gather(
        *(bus.execute("Withdraw", {"amount": "1"}, aggregate_id="a", caller=ANN) for _ in range(64)),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, Exception) for result in results) == 10
    assert all(isinstance(r, RuleBroken) for r in results if isinstance(r, Exception))
    assert await balance(bus, store) == 0


@pytest.fixture
async def flaky(store: Store) -> AsyncIterator[tuple[CommandBus, Flaky]]:
    log = Flaky(store.events)
    bus = CommandBus(log, application(ACCOUNT), VirtualClock(0))  # type: ignore[arg-type]
    await bus.start()
    await opened(bus, "10")
    yield bus, log
    await bus.stop()


async def test_another_writer_is_noticed(flaky: tuple[CommandBus, Flaky], store: Store) -> None:
    """A conflict is decided again, on what is there now."""
    bus, log = flaky
    log.plan = ["other writer"]
    recorded, _, _ = await bus.execute("Withdraw", {"amount": "10"}, aggregate_id="a", caller=ANN)
    assert recorded.version == 4
    assert await balance(bus, store) == Decimal("1")


async def test_conflicts_end(flaky: tuple[CommandBus, Flaky]) -> None:
    """Endless conflicts give 503, not an endless wait."""
    bus, log = flaky
    log.plan = [Conflict("again")] * 50
    with pytest.raises(Unavailable, match="too many writers"):
        await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", caller=ANN)


async def test_a_lost_answer_is_found_in_the_ledger(flaky: tuple[CommandBus, Flaky], store: Store) -> None:
    """A commit whose outcome is unclear is looked up, never done twice, never called refused."""
    bus, log = flaky
    log.plan = ["lost answer"]
    recorded, types, _ = await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", caller=ANN)
    assert (recorded.version, list(types)) == (3, ["Deposited"])
    assert await balance(bus, store) == Decimal("11")


@pytest.mark.parametrize("what", ["lost answer", OutcomeUnknown("lost"), "commits later"])
async def test_a_database_that_goes_away_with_the_answer(
    flaky: tuple[CommandBus, Flaky], store: Store, what: object
) -> None:
    """Whether the commit happened, did not, or happens after the ledger was asked: one effect, one answer."""
    bus, log = flaky
    log.plan, log.ledger_fails = [what], 2
    recorded, types, _ = await bus.execute("Withdraw", {"amount": "10"}, aggregate_id="a", caller=ANN)
    assert (recorded.version, list(types)) == (3, ["Withdrawn"])
    assert await balance(bus, store) == 0


@pytest.mark.parametrize("then", [[], [StoreUnavailable("gone")], [OutcomeUnknown("lost")] * 50])
async def test_what_cannot_be_found_out_is_unknown(
    flaky: tuple[CommandBus, Flaky], store: Store, then: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that nothing was written while it might have been."""
    monkeypatch.setattr("tusk_runtime.aggregates.ledger.LEDGER_SECONDS", 0.05)
    monkeypatch.setattr("tusk_runtime.aggregates.ledger.LEDGER_PAUSE", 0.01)
    bus, log = flaky
    log.plan = [OutcomeUnknown("lost"), *then]
    if not then:
        log.ledger_fails = 1000
    key = new_id()
    with pytest.raises(OutcomeUnknown):
        await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", command_id=key, caller=ANN)
    log.plan, log.ledger_fails = [], 0
    await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", command_id=key, caller=ANN)
    assert await balance(bus, store) == Decimal("11")


async def test_what_cannot_be_kept_fails_no_neighbour(flaky: tuple[CommandBus, Flaky], store: Store) -> None:
    """A command that the store refuses to take fails alone."""
    bus, log = flaky
    log.poison = new_id()
    ids = [new_id(), log.poison, new_id()]
    results = await asyncio.gather(
        *(
            bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", command_id=each, caller=ANN)
            for each in ids
        ),
        return_exceptions=True,
    )
    assert [isinstance(result, StoreError) for result in results] == [False, True, False]
    assert await balance(bus, store) == Decimal("12")


async def test_a_full_disk_is_503_and_passes(flaky: tuple[CommandBus, Flaky], store: Store) -> None:
    """While the store cannot write, commands are unavailable; afterwards they work on the right state."""
    bus, log = flaky
    log.plan = [StoreUnavailable("the disk is full")]
    with pytest.raises(Unavailable, match="disk is full"):
        await bus.execute("Withdraw", {"amount": "10"}, aggregate_id="a", caller=ANN)
    await bus.execute("Withdraw", {"amount": "10"}, aggregate_id="a", caller=ANN)
    assert await balance(bus, store) == 0


async def test_what_waits_is_decided_by_the_new_application(bus: CommandBus) -> None:
    """A swap happens between two groups; a command that waits is read again."""
    await opened(bus, "10")
    stricter = application(ACCOUNT.replace("<= state.balance", "<= state.balance - 5"))
    swapping = asyncio.create_task(bus.swap(stricter))
    await swapping
    with pytest.raises(RuleBroken):
        await bus.execute("Withdraw", {"amount": "6"}, aggregate_id="a", caller=ANN)
    await bus.execute("Withdraw", {"amount": "5"}, aggregate_id="a", caller=ANN)


async def test_a_command_that_is_gone_after_a_swap_is_refused(bus: CommandBus) -> None:
    """It was taken, but there is nothing left that could decide it; its neighbours are decided."""
    await opened(bus, "10")
    both = [
        asyncio.create_task(bus.execute(name, {"amount": "1"}, aggregate_id="a", caller=ANN))
        for name in ("Withdraw", "Deposit")
    ]
    without = application(re.sub(r"\[commands\.Withdraw\].*?(?=\n\[|\Z)", "", ACCOUNT, flags=re.DOTALL))
    assert "Withdraw" not in without.commands
    async with bus._between:  # a group is being written
        swapping = asyncio.create_task(bus.swap(without))
        await asyncio.sleep(0.01)
    gone, kept = await asyncio.gather(*both, return_exceptions=True)
    await swapping
    assert isinstance(gone, UnknownName)
    assert not isinstance(kept, BaseException)


async def test_time_never_goes_back(store: Store) -> None:
    """No event is older than its predecessor, whatever the clock does."""
    clock = VirtualClock(5_000_000)
    bus = CommandBus(store.events, application(ACCOUNT), clock)
    await bus.start()
    await opened(bus)
    clock.set(1_000_000)
    await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", caller=ANN)
    await bus.stop()
    assert [event.timestamp for event in await store.events.read()] == [5_000_000, 5_000_000]


async def test_stopping_answers_what_was_taken(bus: CommandBus) -> None:
    """What arrived is answered; what arrives later is unavailable."""
    await opened(bus)
    waiting = [
        asyncio.create_task(bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", caller=ANN))
        for _ in range(10)
    ]
    await asyncio.sleep(0)
    await bus.stop()
    assert all(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    with pytest.raises(Unavailable):
        await bus.execute("Deposit", {"amount": "1"}, aggregate_id="a", caller=ANN)


async def test_an_aggregate_that_cannot_be_folded_fails_no_neighbour(store: Store) -> None:
    """Its commands are refused with the place in the file; others in the same group are not."""
    app = application(
        ACCOUNT.replace("{{ state.balance + data.amount }}", "{{ 10 // (data.amount - 7) }}", 1)
    )
    bus = CommandBus(store.events, application(ACCOUNT), VirtualClock(0))
    await bus.start()
    for account, amount in (("a", "7"), ("b", "8")):
        await bus.execute("Open", {"owner": "ann"}, aggregate_id=account, caller=ANN)
        await bus.execute("Deposit", {"amount": amount}, aggregate_id=account, caller=ANN)
    await bus.swap(app)
    bad, good = await asyncio.gather(
        bus.execute("Withdraw", {"amount": "1"}, aggregate_id="a", caller=ANN),
        bus.execute("Withdraw", {"amount": "1"}, aggregate_id="b", caller=ANN),
        return_exceptions=True,
    )
    assert isinstance(bad, Invalid)
    assert "test.tsk:" in bad.details["place"]
    assert not isinstance(good, Exception)
    await bus.stop()
