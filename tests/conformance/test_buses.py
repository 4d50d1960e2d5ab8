"""One contract for consumers, whatever feeds them: the store's log within the process, or topics of Kafka."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from tests.bus.topics import make_topic
from tests.conformance.conftest import BACKENDS
from tests.conformance.feeding import PARTITIONS, Feed, Stage, gone
from tusk_runtime.bus import membership, subscription
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.errors import Unavailable
from tusk_runtime.events import StoredEvent
from tusk_runtime.model.consuming import Send

GREETING = """
[consumers.Greeting]
group: "GROUP-greeting"
on: { Opened: { send: "Deposit", with: { amount: "1" } } }
"""
FEE = """
[consumers.Fee]
group: "GROUP-fee"
on: { Deposited: { send: "Withdraw", with: { amount: "1" }, when: "{{ data.amount > 10 }}" } }
"""
CLERK = """
[consumers.Clerk]
group: "GROUP-clerk"
on: { Deposited: { log: "seen {{ event.aggregate_id }} {{ event.version }}" } }
"""
# Parks what was deposited as 13, and takes 1 from everything else.
UNLUCKY = """
[consumers.Fee]
group: "GROUP-fee"
on: { Deposited: { send: "Withdraw", with: { amount: "{{ 1 / (data.amount - 13) * (data.amount - 13) }}" } } }
"""

STORES = {backend.name: backend for backend in BACKENDS}
ANY = ["log-memory", "topics-sqlite"]
DURABLE = ["log-sqlite", "log-postgresql-18", "topics-sqlite", "topics-postgresql-18"]


@pytest.fixture(params=ANY)
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """On one store for each feed; `durable` says that a test needs one that outlives a process, on all of them."""
    for module, name in ((subscription, "POLL"), (subscription, "RETRY"), (membership, "FETCH")):
        monkeypatch.setattr(module, f"{name}_SECONDS", 0.05)  # nobody has to wait for the next look
    feed, _, store = request.param.partition("-")
    address = request.getfixturevalue("kafka") if feed == "topics" else ""
    made = Stage(feed, STORES[store], tmp_path, address)
    yield made
    await made.stop()


durable = pytest.mark.parametrize("stage", DURABLE, indirect=True)


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture) -> dict[str, list[int]]:
    """By account the versions of which the clerk wrote a line, in their order; it grows."""
    caplog.set_level(logging.INFO, "tusk.consumers")
    found: dict[str, list[int]] = defaultdict(list)

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (line := record.getMessage()).startswith("Clerk: seen "):
                account, version = line.split()[-2:]
                found[account].append(int(version))

    handler = Collect()
    logging.getLogger("tusk.consumers").addHandler(handler)
    yield found
    logging.getLogger("tusk.consumers").removeHandler(handler)


# ---- what comes -----------------------------------------------------------------------------------


@durable
async def test_it_goes_on_where_it_was(stage: Stage, seen: dict[str, list[int]]) -> None:
    """Each event has its effect once, in order by aggregate; what comes while nobody consumes is not lost."""
    await stage.start(FEE, CLERK)
    await stage.open("a", "b")
    await stage.deposit("a", *["20"] * 5)
    await stage.deposit("b", *["40"] * 5)
    await stage.settled()
    assert await stage.balances("a", "b") == [95, 195]
    assert {account: sorted(set(versions)) == versions for account, versions in seen.items()} == {
        "a": True,
        "b": True,
    }
    assert sum(map(len, seen.values())) == 10
    for name in ("Fee", "Clerk"):
        part = await stage.part(name)
        assert (part.health, part.error, part.detail) == ("running", "", stage.told())
        await stage.runner(name).stop()
    await stage.deposit("a", *["20"] * 5)
    await stage.restart()
    await stage.settled()
    assert await stage.balances("a", "b") == [190, 195]
    assert len(seen["a"]) == 10
    assert seen["a"] == sorted(set(seen["a"]))
    assert len(await stage.events("Withdrawn")) == 15


async def test_a_new_consumer_begins_where_the_log_stands(stage: Stage, seen: dict[str, list[int]]) -> None:
    """It is no replay of what happened before it was there; one that comes back goes on where it was."""
    await stage.start(FEE)
    await stage.open("a")
    await stage.deposit("a", *["1"] * 20)
    await stage.settled()
    await stage.edit(FEE, CLERK, GREETING)
    await stage.deposit("a", *["1"] * 3)
    await stage.open("b")
    await stage.settled()
    assert seen == {"a": [22, 23, 24], "b": [2]}
    await stage.edit(FEE)
    await stage.open("c")
    await stage.edit(FEE, GREETING)
    await stage.settled()
    assert await stage.balances("a", "b", "c") == [23, 1, 1]
    await stage.edit(FEE, GREETING, CLERK)
    await stage.settled()
    assert seen == {"a": [22, 23, 24], "b": [2], "c": [2]}


@durable
async def test_a_consumer_that_is_new_at_a_start_begins_there(
    stage: Stage, seen: dict[str, list[int]]
) -> None:
    """What was there before it was declared is not handled."""
    await stage.start(FEE)
    await stage.open("a")
    await stage.deposit("a", *["1"] * 20)
    await stage.settled()
    await stage.restart(FEE, CLERK)
    await stage.deposit("a", *["1"] * 3)
    await stage.settled()
    assert seen == {"a": [22, 23, 24]}


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
    await stage.start(
        '[consumers.Fee]\ngroup: "GROUP-fee"\nconcurrency: 4\nbatch_size: 50\non: { Deposited: { log: "hello" } }'
    )
    accounts = [f"a{number}" for number in range(10)]
    await stage.open(*accounts)
    await asyncio.gather(*(stage.deposit(account, *["1"] * 20) for account in accounts))
    await stage.settled()
    assert order == {account: list(range(2, 22)) for account in accounts}
    assert most == 4


async def test_what_is_handled_twice_takes_effect_once(stage: Stage) -> None:
    """Whoever stands where it began does all of it again; the ledger, or what was seen, knows each event."""
    await stage.start(FEE)
    await stage.open("a")
    await stage.deposit("a", *["20"] * 5)
    await stage.settled()
    await stage.forget("Fee")
    await stage.settled()
    assert await stage.balances("a") == [95]
    assert len(await stage.events("Withdrawn")) == 5


@durable
async def test_a_killed_one_loses_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended in the middle of a page, behind an effect: all of it comes again, and takes effect once."""
    await stage.start(FEE)
    await stage.open("a", "b")
    await stage.deposit("a", "20")
    await stage.settled()
    act, reached = Actor.act, asyncio.Event()

    async def stuck(self: Actor, event: StoredEvent, *rest: int) -> None:
        await act(self, event, *rest)
        if event.version == 5:
            reached.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(Actor, "act", stuck)
    await stage.deposit("a", *["20"] * 4)
    await stage.deposit("b", *["20"] * 4)
    await asyncio.wait_for(reached.wait(), 20)
    await stage.kill("Fee")
    monkeypatch.setattr(Actor, "act", act)
    await stage.restart()
    await stage.settled()
    assert await stage.balances("a", "b") == [95, 76]
    assert len(await stage.events("Withdrawn")) == 9
    assert await stage.letters() == []


async def test_progress_moves_only_behind_the_effect(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be sent is sent later, and meanwhile nothing says that it was."""
    await stage.start(GREETING)
    await stage.settled()
    before = await stage.saved("Greeting")
    sender = stage.actor("Greeting")._performers[Send]
    with monkeypatch.context() as patch:
        patch.setattr(sender, "_send", gone)
        await stage.open("a")
        part = await stage.until(lambda part: bool(part.error), "Greeting")
        assert "the database is gone" in part.error
        assert await stage.saved("Greeting") == before
    await stage.settled()
    assert await stage.balances("a") == [1]
    assert (await stage.part("Greeting")).error == ""


# ---- what fails -----------------------------------------------------------------------------------


@durable
async def test_what_fails_parks_its_aggregate(stage: Stage) -> None:
    """Later events of it wait, over a restart; others go on; dropped, those behind follow in order, and may
    fail themselves."""
    await stage.start(UNLUCKY)
    await stage.open("a", "b")
    for amount in ("13", "14", "13", "15"):
        await stage.deposit("a", amount)
        await stage.deposit("b", "20")
    await stage.settled()
    assert await stage.balances("a", "b") == [55, 76]
    first, *rest = await stage.letters()
    assert [letter.standing for letter in (first, *rest)] == ["parked", "behind", "behind", "behind"]
    assert {letter.key for letter in (first, *rest)} == {"Account/a"}
    error = orjson.loads(first.error)
    assert "zero" in error["message"]
    assert error["place"].startswith("test.tsk:")
    assert error["values"] == {"(data.amount - 13)": "0.00"}
    assert (await stage.part()).detail == stage.told("1 parked, 3 behind")
    await stage.restart()
    await stage.deposit("a", "15")
    await stage.settled()
    assert await stage.letters() == [first, *rest, *(await stage.letters())[4:]]
    assert await stage.standings() == ["parked", *["behind"] * 4]
    await stage.mark("drop", first)
    left = await stage.letters()
    assert [letter.standing for letter in left] == ["parked", "behind", "behind"]
    assert left[0].position == rest[1].position
    assert await stage.balances("a", "b") == [69, 76]
    await stage.mark("drop", left[0])
    assert await stage.letters() == []
    assert await stage.balances("a", "b") == [67, 76]
    assert (await stage.part()).detail == stage.told()


async def test_an_edit_mends_what_failed(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The letters stay, and are tried again with the new definition; one of what is handled no more is done."""
    await stage.start(UNLUCKY)
    await stage.open("a")
    await stage.deposit("a", "13", "14")
    await stage.settled()
    first, _ = await stage.letters()
    await stage.edit(FEE)
    await stage.deposit("a", "15")
    await stage.settled()
    assert await stage.standings() == ["parked", "behind", "behind"]
    await stage.mark("retry", first)
    assert await stage.letters() == []
    assert await stage.balances("a") == [39]
    await stage.edit(UNLUCKY)
    await stage.deposit("a", "13")
    await stage.settled()
    (letter,) = await stage.letters()
    await stage.edit(
        FEE.replace("Deposited", "Opened").replace(
            'send: "Withdraw", with: { amount: "1" }, when: "{{ data.amount > 10 }}"', 'log: "hello"'
        )
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING, "tusk.following"):
        await stage.mark("retry", letter)
    assert await stage.letters() == []
    assert [record.getMessage() for record in caplog.records] == [
        f"{stage.name}-fee: what stands at position {letter.position} is handled no more"
    ]


@durable
async def test_without_dead_letters_it_stops(stage: Stage, seen: dict[str, list[int]]) -> None:
    """It takes nothing more, says why, also after a restart, and goes on when somebody decided."""
    await stage.start(UNLUCKY + "dead_letter: false\n", CLERK)
    await stage.open("a", "b")
    await stage.deposit("a", "13", "20")
    part = await stage.until(lambda part: part.health == "failed")
    letter = (await stage.letters())[0]
    assert stage.place(letter) in part.error
    await stage.restart()
    await stage.until(lambda part: part.health == "failed")
    await stage.deposit("b", "20")
    await stage.settled()
    assert (await stage.balances("a"))[0] == 33
    if stage.feed == "log":  # where topics feed it, this may be in another partition, which goes on
        assert await stage.balances("b") == [20]
    assert seen == {"a": [2, 3], "b": [2]}
    await stage.mark("drop", letter)
    await stage.until(lambda part: part.health == "running")
    await stage.settled()
    assert await stage.balances("a", "b") == [32, 19]
    assert await stage.letters() == []


async def test_what_takes_too_long_is_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After growing delays, by the clock, and then it is parked."""
    tries = 0

    async def slow(*_: object) -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(10)

    monkeypatch.setattr(Actor, "act", slow)
    await stage.start(
        '[consumers.Fee]\ngroup: "GROUP-fee"\ntimeout: "10ms"\nretry: { attempts: 3, delay: "10s", jitter: false }\n'
        'on: { Opened: { log: "hello" } }'
    )
    await stage.open("a")
    for expected, passes, standing in ((1, 9, "retry"), (1, 1, "retry"), (2, 19, "retry"), (2, 1, "retry")):
        await stage.settled()
        assert (tries, (await stage.letters())[0].standing) == (expected, standing)
        stage.clock.advance(timedelta(seconds=passes))
    await stage.settled()
    (letter,) = await stage.letters()
    assert (tries, letter.standing, letter.attempts) == (3, "parked", 3)
    assert orjson.loads(letter.error)["message"] == "it took longer than 0.01 s"


async def test_a_refused_command_holds_nobody_up(stage: Stage) -> None:
    """It becomes a letter; what comes later is handled; asked again it is decided anew."""
    await stage.start(
        '[consumers.Fee]\ngroup: "GROUP-fee"\n'
        'on: { Deposited: { send: "Withdraw", with: { amount: "{{ data.amount * 2 }}" } } }'
    )
    await stage.open("a")
    await stage.deposit("a", "10")
    await stage.settled()
    (letter,) = await stage.letters()
    assert (letter.standing, letter.key, letter.attempts) == ("refused", "Account/a", 1)
    assert orjson.loads(letter.error)["message"] == "not enough money"
    await stage.mark("retry", letter)
    (again,) = await stage.letters()
    assert (again.standing, again.attempts) == ("refused", 2)
    await stage.deposit("a", "20")  # enough for the first, and refused itself
    await stage.settled()
    await stage.mark("retry", again)
    assert await stage.balances("a") == [10]
    (other,) = await stage.letters()
    assert other.position != letter.position
    await stage.mark("drop", other)
    assert await stage.letters() == []


# ---- edits ----------------------------------------------------------------------------------------


async def test_edits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same definition is the same running object, another one goes on where that was; one that cannot be
    made live leaves all running."""
    await stage.start(GREETING, FEE)
    greeting, fee = stage.runner("Greeting"), stage.runner("Fee")
    await stage.open("a")
    await stage.deposit("a", "20")
    await stage.settled()
    await stage.edit(GREETING, FEE.replace("> 10", "> 11"))
    assert stage.runner("Greeting") is greeting
    assert stage.runner("Fee") is not fee
    await stage.deposit("a", "11", "20")
    await stage.settled()
    assert await stage.balances("a") == [Decimal(50)]
    assert len(await stage.events("Withdrawn")) == 2
    with monkeypatch.context() as patch:
        patch.setattr(stage.runtime._bus, "swap", gone)
        with pytest.raises(Unavailable):
            await stage.edit()
    await stage.open("b")
    await stage.settled()
    assert await stage.balances("b") == [1]


# ---- from one to the other ------------------------------------------------------------------------

moving = pytest.mark.parametrize("stage", ["topics-sqlite"], indirect=True)


@moving
async def test_a_consumer_moves_to_topics_and_back(stage: Stage, seen: dict[str, list[int]]) -> None:
    """Twice, and each time with events that it had not handled: each of them once, in its order."""
    stage.feed = "log"
    await stage.start(FEE, CLERK)
    await stage.open("a", "b")
    feeds: list[Feed] = ["topics", "log", "topics", "log", "log"]
    for feed in feeds:
        await stage.deposit("a", "20")
        await stage.settled()
        for name in ("Fee", "Clerk"):
            await stage.runner(name).stop()
        await stage.deposit("a", "20")
        await stage.deposit("b", "20")
        await stage.restart(feed=feed)
    await stage.deposit("b", "20")
    await stage.settled()
    assert await stage.balances("a", "b") == [190, 114]
    assert {account: len(versions) for account, versions in seen.items()} == {"a": 10, "b": 6}
    assert all(versions == sorted(set(versions)) for versions in seen.values())
    assert len(await stage.events("Withdrawn")) == 16


@moving
async def test_an_event_that_is_published_no_more_comes_from_the_log(
    stage: Stage, seen: dict[str, list[int]]
) -> None:
    """By an edit of what runs, and back by another one."""
    await stage.start(CLERK)
    await stage.open("a")
    inside = "[events.Deposited]\npublish: false\n"
    for consumers, feed in (((CLERK,), "topics"), ((CLERK, inside), "log"), ((CLERK,), "topics")):
        await stage.edit(*consumers)
        stage.feed = feed  # type: ignore[assignment]
        assert stage.runner("Clerk").name == "Clerk"
        await stage.deposit("a", "20", "20")
        await stage.settled()
    assert seen == {"a": [2, 3, 4, 5, 6, 7]}


@moving
async def test_letters_of_topics_become_those_of_the_log(stage: Stage, seen: dict[str, list[int]]) -> None:
    """What is parked stays so, with what waits behind it and what comes from the log; messages from outside
    stay where they are."""
    inbox = (
        UNLUCKY
        + 'topics: ["accounts", "GROUP-inbox"]\naccept: { topic: "GROUP-inbox", when: "{{ message.x == 1 }}", ignore: true }\n'
    )
    make_topic(stage.address, f"{stage.name}-inbox", PARTITIONS, ("a", "{", {}))
    await stage.start(inbox)
    await stage.open("a", "b")
    await stage.deposit("a", "13", "14")
    await stage.settled()
    assert sorted(await stage.standings()) == ["behind", "parked", "refused"]
    await stage.restart(UNLUCKY, feed="log")
    await stage.deposit("a", "15")
    await stage.deposit("b", "20")
    await stage.settled()
    assert await stage.balances("a", "b") == [42, 19]
    parked, *_, foreign = await stage.letters()
    assert [(letter.source, letter.standing) for letter in await stage.letters()] == [
        ("", "parked"), ("", "behind"), ("", "behind"), (foreign.source, "refused")
    ]  # fmt: skip
    assert (await stage.events("Deposited"))[0].position == parked.position
    await stage.mark("drop", parked)
    assert await stage.balances("a") == [40]
    assert await stage.letters() == [foreign]
    assert len(await stage.events("Withdrawn")) == 3


@moving
async def test_letters_of_the_log_are_settled_where_topics_feed(stage: Stage) -> None:
    """Until then what comes of their aggregates from topics waits behind them, and others go on."""
    stage.feed = "log"
    await stage.start(UNLUCKY)
    await stage.open("a", "b")
    await stage.deposit("a", "13", "14")
    await stage.settled()
    await stage.restart(feed="topics")
    await stage.deposit("a", "15")
    await stage.deposit("b", "20")
    await stage.settled()
    assert await stage.balances("a", "b") == [42, 19]
    parts = [part for part in (await stage.runtime.status()).parts if part.name == "Fee"]
    assert sorted(part.detail for part in parts) == [
        "1 behind, 3 partitions here", "1 parked, 1 behind, left in the log"
    ]  # fmt: skip
    first, second, third = await stage.letters()
    assert (first.source, second.source, third.standing) == ("", "", "behind")
    await stage.restart()
    await stage.deposit("a", "15")
    await stage.settled()
    assert await stage.standings() == ["parked", "behind", "behind", "behind"]
    await stage.mark("drop", first)
    async with asyncio.timeout(20):
        while await stage.letters():
            await asyncio.sleep(0.05)
    assert await stage.balances("a", "b") == [54, 19]
    moved = [event.aggregate_id for event in await stage.events("Withdrawn")]
    assert moved == ["b", "a", "a", "a"]
    assert [part.detail for part in (await stage.runtime.status()).parts if part.name == "Fee"] == [
        stage.told()
    ]


# ---- types and topics -----------------------------------------------------------------------------


@moving
async def test_events_of_an_aggregate_in_several_topics(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Topics are not in order with one another: what comes late from one is no less handled."""
    acted: list[tuple[str, int]] = []
    act, held = Actor.act, True

    async def late(self: Actor, event: StoredEvent, *rest: int) -> None:
        if event.type == "Opened" and held:
            raise Unavailable("not yet")
        acted.append((event.type, event.version))
        await act(self, event, *rest)

    monkeypatch.setattr(Actor, "act", late)
    stage.categories = 'accounts: ["Opened"]\nmoney: ["Deposited"]'
    await stage.start(CLERK.replace("on: {", 'on: { Opened: { log: "hello" },'))
    await stage.open("a")
    await stage.deposit("a", "1", "1", "1")
    async with asyncio.timeout(20):
        while await stage.saved("Clerk") < 3:
            await asyncio.sleep(0.02)
    held = False
    await stage.settled()
    assert acted == [("Deposited", 2), ("Deposited", 3), ("Deposited", 4), ("Opened", 1)]
