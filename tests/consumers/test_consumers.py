"""Consumers: every event handled, in order by aggregate, once in effect, and nothing lost that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest
from apps import ACCOUNT, application

from tusk_runtime.clock import VirtualClock
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.errors import Unavailable
from tusk_runtime.events import Caller, StoredEvent, id_text
from tusk_runtime.following.follower import Follower
from tusk_runtime.model.consuming import Send
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.deliveries import Letter
from tusk_runtime.store.protocol import Store

ANN = Caller("ann", (), "north")
GREETING = """
[consumers.Greeting]
on: { Opened: { send: "Deposit", with: { amount: "1" } } }
"""
FEE = """
[consumers.Fee]
on: { Deposited: { send: "Withdraw", with: { amount: "1" }, when: "{{ data.amount > 10 }}" } }
"""
# Parks what was deposited as 13, and takes 1 from everything else.
UNLUCKY = """
[consumers.Fee]
on: { Deposited: { send: "Withdraw", with: { amount: "{{ 1 / (data.amount - 13) * (data.amount - 13) }}" } } }
"""
START = 1_000_000


class Stage:
    """A runtime on a store that outlives it, and what the consumers left there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = VirtualClock(START)
        self.runtime: Runtime

    async def start(self, *parts: str) -> None:
        self.runtime = Runtime(application("\n".join((ACCOUNT, *parts))), self.store, self.clock)
        await self.runtime.start()

    async def edit(self, *parts: str) -> None:
        await self.runtime.apply(application("\n".join((ACCOUNT, *parts))))

    async def run(self, command: str, account: str = "a", **fields: str) -> None:
        await self.runtime.execute(command, fields, aggregate_id=account, caller=ANN)

    async def settled(self) -> None:
        await self.runtime.settle()

    async def balance(self, account: str = "a") -> Decimal:
        found: Decimal = (await self.runtime.aggregate("Account", account)).state["balance"]
        return found

    async def events(self, account: str | None = None) -> list[StoredEvent]:
        return list(await self.store.events.read(limit=10_000, aggregate_id=account))

    async def letters(self, consumer: str = "Fee") -> list[Letter]:
        return list(await self.store.deliveries.letters(consumer))

    def runner(self, consumer: str = "Fee") -> Follower:
        return self.runtime._followers.runners[consumer]

    async def mark(self, standing: str, *letters: Letter, consumer: str = "Fee") -> None:
        places = [(letter.source, letter.position) for letter in letters]
        await self.store.deliveries.mark(consumer, places, standing)  # type: ignore[arg-type]
        await self.settled()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage(memory_store())
    yield stage
    await stage.runtime.stop()


async def test_an_event_sends_a_command(stage: Stage) -> None:
    """To its own aggregate, with what it follows from, in the name of the consumer."""
    await stage.start(GREETING)
    await stage.run("Open", owner="ann")
    await stage.settled()
    opened, deposited = await stage.events("a")
    assert await stage.balance() == 1
    assert deposited.correlation_id == opened.correlation_id
    meta = orjson.loads(deposited.metadata)
    assert meta["causation_id"] == id_text(opened.event_id)
    assert (meta["user_id"], meta["tenant_id"]) == ("consumer Greeting", "north")


async def test_a_condition_leaves_an_event_out(stage: Stage) -> None:
    """`when` decides on the event's data."""
    await stage.start(FEE)
    await stage.run("Open", owner="ann")
    await stage.run("Deposit", amount="10")
    await stage.run("Deposit", amount="20")
    await stage.settled()
    assert await stage.balance() == 29


async def test_one_command_for_each_element(stage: Stage) -> None:
    """`for_each` sends several, each once, also where the same is sent twice."""
    await stage.start(
        "[consumers.Greeting]\n"
        'on: { Opened: [{ send: "Deposit", for_each: "{{ [1, 2, 3] }}", as: "n", when: "{{ n != 2 }}", '
        'with: { amount: "{{ n }}" } }, { send: "Deposit", with: { amount: "1" } }] }'
    )
    await stage.run("Open", owner="ann")
    await stage.settled()
    assert [orjson.loads(event.data).get("amount") for event in await stage.events()] == [
        None,
        "1.00",
        "3.00",
        "1.00",
    ]


async def test_a_line_in_the_log(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """`log` writes with its level."""
    await stage.start(
        '[consumers.Teller]\non: { Opened: { log: { level: "warning", message: "{{ data.owner }} came" } } }'
    )
    with caplog.at_level(logging.WARNING, "tusk.consumers"):
        await stage.run("Open", owner="ann")
        await stage.settled()
    assert [record.getMessage() for record in caplog.records] == ["Teller: ann came"]


async def test_what_is_handled_twice_takes_effect_once(stage: Stage) -> None:
    """A process that dies before its progress is kept does all of it again; the ledger knows each command."""
    await stage.start(FEE)
    await stage.run("Open", owner="ann")
    for _ in range(5):
        await stage.run("Deposit", amount="20")
    await stage.settled()
    runner = stage.runner()
    await runner.stop()
    claim = await stage.store.deliveries.claim("Fee", b"somebody else", 60, begin=0)
    assert claim is not None
    await stage.store.deliveries.save("Fee", claim.epoch, 0)
    await stage.store.deliveries.release("Fee", b"somebody else")
    await runner.start(0)
    await stage.settled()
    assert await stage.balance() == 95


async def test_progress_moves_only_behind_the_effect(stage: Stage) -> None:
    """What could not be sent is sent later, and meanwhile nothing says that it was."""
    await stage.start(GREETING)
    runner, sent = stage.runner("Greeting"), asyncio.Event()
    sender = runner.hands._actor._performers[Send]  # type: ignore[attr-defined]
    send = sender._send

    async def gone(*_: object, **__: object) -> None:
        sent.set()
        raise Unavailable("the database is gone")

    sender._send = gone
    await stage.run("Open", owner="ann")
    await sent.wait()
    await asyncio.sleep(0.05)
    assert await stage.store.deliveries.progress() == {"Greeting": 0}
    assert (
        "the database is gone"
        in {part.name: part.error for part in (await stage.runtime.status()).parts}["Greeting"]
    )
    sender._send = send
    await stage.settled()
    assert await stage.balance() == 1
    assert runner.error == ""


async def test_a_refused_command_holds_nobody_up(stage: Stage) -> None:
    """It becomes a letter; what comes later is handled; asked again it is decided anew."""
    await stage.start(
        '[consumers.Fee]\non: { Deposited: { send: "Withdraw", with: { amount: "{{ data.amount * 2 }}" } } }'
    )
    await stage.run("Open", owner="ann")
    await stage.run("Deposit", amount="10")
    await stage.settled()
    (letter,) = await stage.letters()
    assert (letter.standing, letter.key, letter.attempts) == ("refused", "Account/a", 1)
    assert orjson.loads(letter.error)["message"] == "not enough money"
    await stage.mark("retry", letter)
    (again,) = await stage.letters()
    assert (again.standing, again.attempts) == ("refused", 2)
    await stage.run("Deposit", amount="20")  # enough for the first, and refused itself
    await stage.settled()
    await stage.mark("retry", again)
    assert await stage.balance() == 10
    (other,) = await stage.letters()
    assert other.position != letter.position
    await stage.mark("drop", other)
    assert await stage.letters() == []


async def test_a_refused_command_may_be_ignored(stage: Stage) -> None:
    """`on_refused: ignore` goes on with the next action."""
    await stage.start(
        '[consumers.Fee]\non_refused: "ignore"\n'
        'on: { Opened: [{ send: "Withdraw", with: { amount: "5" } }, { send: "Deposit", with: { amount: "7" } }] }'
    )
    await stage.run("Open", owner="ann")
    await stage.settled()
    assert await stage.balance() == 7
    assert await stage.letters() == []


async def test_an_event_that_fails_parks_its_aggregate(stage: Stage) -> None:
    """Later events of the aggregate wait behind it, all others go on; dropped, the others follow in order."""
    await stage.start(UNLUCKY)
    for account in ("a", "b"):
        await stage.run("Open", account, owner="ann")
    for amount in ("13", "14", "15"):
        await stage.run("Deposit", "a", amount=amount)
        await stage.run("Deposit", "b", amount="20")
    await stage.settled()
    assert (await stage.balance("a"), await stage.balance("b")) == (42, 57)
    first, *rest = await stage.letters()
    assert [letter.standing for letter in (first, *rest)] == ["parked", "behind", "behind"]
    told = orjson.loads(first.error)
    assert "zero" in told["message"]
    assert told["place"].startswith("test.tsk:")
    assert told["values"] == {"(data.amount - 13)": "0.00"}
    parts = {part.name: part for part in (await stage.runtime.status()).parts}
    assert parts["Fee"].detail == "1 parked, 2 behind"
    await stage.mark("drop", first)
    assert await stage.letters() == []
    assert await stage.balance("a") == 40


async def test_an_edit_mends_what_failed(stage: Stage) -> None:
    """The letters stay, and are tried again with the new definition."""
    await stage.start(UNLUCKY)
    await stage.run("Open", owner="ann")
    for amount in ("13", "14"):
        await stage.run("Deposit", amount=amount)
    await stage.settled()
    first, _ = await stage.letters()
    await stage.edit('[consumers.Fee]\non: { Deposited: { send: "Withdraw", with: { amount: "1" } } }')
    await stage.run("Deposit", amount="15")
    await stage.settled()
    assert [letter.standing for letter in await stage.letters()] == ["parked", "behind", "behind"]
    await stage.mark("retry", first)
    assert await stage.letters() == []
    assert await stage.balance() == 39


async def test_a_letter_of_what_is_handled_no_more(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Tried again, it is done, and a line tells so; what waited behind it follows."""
    await stage.start(UNLUCKY)
    await stage.run("Open", owner="ann")
    await stage.run("Deposit", amount="13")
    await stage.settled()
    (letter,) = await stage.letters()
    await stage.edit('[consumers.Fee]\non: { Opened: { log: "hello" } }')
    caplog.clear()
    with caplog.at_level(logging.WARNING, "tusk.following"):
        await stage.mark("retry", letter)
    assert await stage.letters() == []
    assert [record.getMessage() for record in caplog.records] == [
        "Fee: what stands at position 2 is handled no more"
    ]


async def test_what_waits_may_fail_itself(stage: Stage) -> None:
    """Then it stands for its aggregate, and the rest wait behind it."""
    await stage.start(UNLUCKY)
    await stage.run("Open", owner="ann")
    for amount in ("13", "14", "13", "15"):
        await stage.run("Deposit", amount=amount)
    await stage.settled()
    first, _, third, _ = await stage.letters()
    await stage.mark("drop", first)
    left = await stage.letters()
    assert [letter.standing for letter in left] == ["parked", "behind"]
    assert left[0].position == third.position
    assert await stage.balance() == 54


async def test_without_dead_letters_a_consumer_stops(stage: Stage) -> None:
    """It takes nothing more, says why, and goes on when somebody decided."""
    await stage.start(UNLUCKY + "dead_letter: false\n")
    await stage.run("Open", owner="ann")
    await stage.run("Open", "b", owner="bob")
    await stage.run("Deposit", amount="13")
    await stage.settled()
    await stage.run("Deposit", "b", amount="20")
    await stage.settled()
    part = next(part for part in (await stage.runtime.status()).parts if part.name == "Fee")
    assert part.health == "failed"
    assert "position 3" in part.error
    assert await stage.balance("b") == 20
    await stage.mark("drop", *await stage.letters())
    await stage.settled()
    assert await stage.balance("b") == 19
    assert next(p for p in (await stage.runtime.status()).parts if p.name == "Fee").health == "running"


async def test_what_takes_too_long_is_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After growing delays, by the clock, and then it is parked."""
    tries = 0

    async def slow(*_: object) -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(10)

    monkeypatch.setattr(Actor, "act", slow)
    await stage.start(
        '[consumers.Fee]\ntimeout: "10ms"\nretry: { attempts: 3, delay: "10s", jitter: false }\n'
        'on: { Opened: { log: "hello" } }'
    )
    await stage.run("Open", owner="ann")
    for expected, passes, standing in ((1, 9, "retry"), (1, 1, "retry"), (2, 19, "retry"), (2, 1, "retry")):
        await stage.settled()
        assert (tries, (await stage.letters())[0].standing) == (expected, standing)
        stage.clock.advance(timedelta(seconds=passes))
    await stage.settled()
    (letter,) = await stage.letters()
    assert (tries, letter.standing, letter.attempts) == (3, "parked", 3)
    assert orjson.loads(letter.error)["message"] == "it took longer than 0.01 s"


async def test_order_is_kept_by_aggregate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of one aggregate never overtake each other, those of others do; at most as many at a time."""
    order: dict[str, list[int]] = {}
    running = most = 0
    act = Actor.act

    async def tell(self: Actor, event: StoredEvent, *rest: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001 * (event.position % 3))
        order.setdefault(event.aggregate_id, []).append(event.version)
        running -= 1
        await act(self, event, *rest)

    monkeypatch.setattr(Actor, "act", tell)
    await stage.start('[consumers.Fee]\nconcurrency: 4\nbatch_size: 50\non: { Deposited: { log: "hello" } }')
    accounts = [f"a{number}" for number in range(10)]
    for account in accounts:
        await stage.run("Open", account, owner="ann")
    await asyncio.gather(
        *(stage.run("Deposit", account, amount="1") for _ in range(20) for account in accounts)
    )
    await stage.settled()
    assert order == {account: list(range(2, 22)) for account in accounts}
    assert most == 4


async def test_a_new_consumer_begins_now(stage: Stage) -> None:
    """It is no replay of what happened before it was there; one that comes back goes on where it was."""
    await stage.start()
    await stage.run("Open", owner="ann")
    await stage.edit(GREETING)
    await stage.run("Open", "b", owner="bob")
    await stage.settled()
    await stage.edit()
    await stage.run("Open", "c", owner="cid")
    await stage.edit(GREETING)
    await stage.settled()
    assert [await stage.balance(account) for account in "abc"] == [0, 1, 1]


async def test_an_edit_elsewhere_leaves_a_consumer_alone(stage: Stage) -> None:
    """The same definition is the same running object; another one takes its place."""
    await stage.start(GREETING, FEE)
    greeting, fee = stage.runner("Greeting"), stage.runner("Fee")
    await stage.edit(GREETING, FEE.replace("> 10", "> 11"))
    assert stage.runner("Greeting") is greeting
    assert stage.runner("Fee") is not fee
    await stage.run("Open", owner="ann")
    await stage.settled()
    assert await stage.balance() == 1


async def test_a_refused_edit_leaves_consumers_running(stage: Stage) -> None:
    """What stood still for an edit that could not be made live goes on."""
    await stage.start(GREETING)
    await stage.run("Open", owner="ann")
    await stage.settled()
    swap = stage.runtime._bus.swap

    async def fail(*_: object) -> None:
        raise Unavailable("not now")

    stage.runtime._bus.swap = fail  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await stage.edit()
    stage.runtime._bus.swap = swap  # type: ignore[method-assign]
    await stage.run("Open", "b", owner="bob")
    await stage.settled()
    assert await stage.balance("b") == 1
