"""The dead letters of a running application: listed, handled again, dropped, and told of."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import orjson
import pytest
from apps import ACCOUNT, application
from support import until

from tusk_runtime.clock import SystemClock
from tusk_runtime.errors import Invalid, NotFound, RuleBroken, Unavailable, UnknownName
from tusk_runtime.events import Caller
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.running.service import LetterPlace

ANN = Caller("ann", ("operator",), "north")
TEXT = f"""
[event_types]
audit_events: true

{ACCOUNT}

[consumers.Booking]
on: {{ Opened: {{ when: "{{{{ data.owner == 'poor' }}}}", send: "Withdraw", with: {{ amount: "1" }} }} }}

[consumers.Arithmetic]
on: {{ Withdrawn: {{ log: "{{{{ string(1 / (data.amount - 5)) }}}}" }}, Closed: {{ log: "closed" }} }}
"""
"""`Booking` takes money that is not there yet; `Arithmetic` fails on 5."""
MENDED = TEXT.replace("data.amount - 5", "data.amount")


@pytest.fixture
async def runtime(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """With dead letters; its consumers look at these only when they are told to."""
    monkeypatch.setattr("tusk_runtime.following.follower.LOOK_SECONDS", 60.0)
    runtime = Runtime(application(TEXT), memory_store(), SystemClock())
    await runtime.start()
    for account, owner in (("a", "poor"), ("b", "ann"), ("c", "poor")):
        await runtime.execute("Open", {"owner": owner, "aggregate_id": account}, caller=ANN)
        await runtime.settle()
    for account in ("a", "b"):
        await runtime.execute("Deposit", {"amount": "20", "aggregate_id": account}, caller=ANN)
        for amount in ("5", "7"):
            await runtime.execute("Withdraw", {"amount": amount, "aggregate_id": account}, caller=ANN)
    await runtime.settle()
    yield runtime
    await runtime.stop()


async def letters(runtime: Runtime) -> list[tuple[str, str, str]]:
    found = (await runtime.dead_letters()).letters
    return [(each.consumer, each.letter.key, each.letter.standing) for each in found]


async def positions(runtime: Runtime, consumer: str, standing: str = "parked") -> list[int]:
    found = (await runtime.dead_letters(consumer=consumer)).letters
    return [each.letter.position for each in found if each.letter.standing == standing]


async def settled(runtime: Runtime) -> None:
    async def nothing_marked() -> bool:
        return not (await runtime.dead_letters(standing=["retry", "drop"])).letters

    await until(nothing_marked, "what was marked is settled")


async def test_letters_are_listed_by_consumer_and_position(runtime: Runtime) -> None:
    assert await letters(runtime) == [
        ("Arithmetic", "Account/a", "parked"),
        ("Arithmetic", "Account/a", "behind"),
        ("Arithmetic", "Account/b", "parked"),
        ("Arithmetic", "Account/b", "behind"),
        ("Booking", "Account/a", "refused"),
        ("Booking", "Account/c", "refused"),
    ]
    page = await runtime.dead_letters(consumer="Booking")
    assert page.counts == {"Booking": {"refused": 2}}
    assert {each.consumer for each in page.letters} == {"Booking"}
    found = await runtime.dead_letters(standing=["parked", "refused"])
    assert [each.letter.standing for each in found.letters] == ["parked", "parked", "refused", "refused"]
    assert found.counts == {"Arithmetic": {"parked": 2, "behind": 2}, "Booking": {"refused": 2}}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7])
async def test_pages_hold_every_letter_once(runtime: Runtime, limit: int) -> None:
    whole = (await runtime.dead_letters()).letters
    found, after, pages = [], None, 0
    while pages == 0 or after is not None:
        page = await runtime.dead_letters(after=after, limit=limit)
        assert len(page.letters) <= limit
        assert pages < len(whole)
        found += page.letters
        after, pages = page.next_after, pages + 1
    assert found == whole
    assert pages == -(-len(whole) // limit)


async def test_a_page_of_one_consumer_begins_at_a_place_of_another(runtime: Runtime) -> None:
    """Those before it in order are left out, whoever asks."""
    after = LetterPlace("Arithmetic", "", 10**9)
    assert len((await runtime.dead_letters(consumer="Booking", after=after)).letters) == 2
    after = LetterPlace("Zoo", "", 0)
    assert not (await runtime.dead_letters(consumer="Booking", after=after)).letters


async def test_a_letter_is_shown_with_its_event(runtime: Runtime) -> None:
    position = (await positions(runtime, "Arithmetic"))[0]
    found = await runtime.dead_letter("Arithmetic", position)
    assert found.event is not None
    assert (found.event.position, found.event.type) == (position, "Withdrawn")
    error = orjson.loads(found.letter.error)
    assert (error["message"], error["values"]) == ("division by zero", {"(data.amount - 5)": "0.00"})


async def test_what_is_not_there_is_refused(runtime: Runtime) -> None:
    with pytest.raises(UnknownName, match="Bookin") as unknown:
        await runtime.dead_letters(consumer="Bookin")
    assert "Booking" in unknown.value.details["help"]
    with pytest.raises(UnknownName):
        await runtime.dead_letter("Bookin", 1)
    with pytest.raises(UnknownName):
        await runtime.mark_dead_letters("Bookin", "drop", caller=ANN)
    for position in (1, 10**9, 2**63 - 1):
        with pytest.raises(NotFound):
            await runtime.dead_letter("Arithmetic", position)
    with pytest.raises(Invalid):
        await runtime.mark_dead_letters("Booking", "drop", positions=[1], message="", caller=ANN)


async def test_a_letter_is_handled_again_and_what_waits_follows(runtime: Runtime) -> None:
    first, second = await positions(runtime, "Arithmetic")
    await runtime.apply(application(MENDED))
    found = await runtime.mark_dead_letters("Arithmetic", "retry", positions=[first, first], caller=ANN)
    assert [(each.letter.position, each.letter.standing) for each in found] == [(first, "parked")]
    await settled(runtime)
    assert await positions(runtime, "Arithmetic") == [second]
    assert [key for consumer, key, _ in await letters(runtime) if consumer == "Arithmetic"] == [
        "Account/b", "Account/b",
    ]  # fmt: skip


async def test_a_refused_command_is_sent_again(runtime: Runtime) -> None:
    """The account a has money by now; c has none, and its letter stays."""
    found = await runtime.mark_dead_letters("Booking", "retry", message="not enough money", caller=ANN)
    assert len(found) == 2
    await settled(runtime)
    left = (await runtime.dead_letters(consumer="Booking")).letters
    assert [(each.letter.key, each.letter.attempts) for each in left] == [("Account/c", 2)]
    assert (await runtime.aggregate("Account", "a")).state["balance"] == 7


async def test_a_letter_that_fails_again_stays(runtime: Runtime) -> None:
    first = (await positions(runtime, "Arithmetic"))[0]
    await runtime.mark_dead_letters("Arithmetic", "retry", positions=[first], caller=ANN)
    await settled(runtime)
    assert (await runtime.dead_letter("Arithmetic", first)).letter.attempts == 2


async def test_a_dropped_letter_is_gone_and_what_waits_is_handled(runtime: Runtime) -> None:
    first, _ = await positions(runtime, "Arithmetic")
    await runtime.mark_dead_letters("Arithmetic", "drop", positions=[first], caller=ANN)
    await settled(runtime)
    keys = [key for consumer, key, _ in await letters(runtime) if consumer == "Arithmetic"]
    assert keys == ["Account/b", "Account/b"]
    assert len(await runtime.events(types=["Withdrawn"])) == 4


async def test_letters_are_chosen_by_their_message(runtime: Runtime) -> None:
    assert not await runtime.mark_dead_letters("Arithmetic", "drop", message="division", caller=ANN)
    found = await runtime.mark_dead_letters("Arithmetic", "drop", message="division by zero", caller=ANN)
    assert len(found) == 2
    await settled(runtime)
    assert not (await runtime.dead_letters(consumer="Arithmetic")).letters
    assert len(await positions(runtime, "Booking", "refused")) == 2


async def test_all_are_those_that_are_parked_or_refused(runtime: Runtime) -> None:
    assert len(await runtime.mark_dead_letters("Booking", "drop", caller=ANN)) == 2
    await settled(runtime)
    assert (await runtime.dead_letters()).counts == {"Arithmetic": {"parked": 2, "behind": 2}}


async def test_a_letter_that_only_waits_cannot_be_chosen(runtime: Runtime) -> None:
    """Nor does anything become of the others that were named with it, or with one that is not there."""
    before = await letters(runtime)
    parked, waiting = (
        (await positions(runtime, "Arithmetic"))[0],
        await positions(runtime, "Arithmetic", "behind"),
    )
    with pytest.raises(RuleBroken, match="Account/a") as refused:
        await runtime.mark_dead_letters("Arithmetic", "drop", positions=[parked, waiting[0]], caller=ANN)
    assert "parked" in refused.value.details["help"]
    with pytest.raises(NotFound):
        await runtime.mark_dead_letters("Arithmetic", "drop", positions=[parked, 1], caller=ANN)
    assert await letters(runtime) == before
    assert not await runtime.events(types=["DeadLettersMarked"])


async def test_a_dry_run_changes_nothing(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    before = (await runtime.dead_letters()).letters
    found = await runtime.mark_dead_letters("Arithmetic", "drop", dry_run=True, caller=ANN)
    assert [each.letter.standing for each in found] == ["parked", "parked"]
    await runtime.settle()
    assert (await runtime.dead_letters()).letters == before
    assert not await runtime.events(types=["DeadLettersMarked"])
    assert not [each for each in caplog.records if "asked for" in each.message]


async def test_it_is_told_who_did_what(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    chosen = await positions(runtime, "Arithmetic")
    await runtime.mark_dead_letters("Arithmetic", "retry", message="division by zero", caller=ANN)
    await settled(runtime)
    await runtime.mark_dead_letters("Arithmetic", "drop", positions=chosen[:1], caller=Caller())
    await settled(runtime)
    await runtime.mark_dead_letters("Arithmetic", "drop", message="nothing has it", caller=ANN)
    told = await runtime.events(types=["DeadLettersMarked"])
    assert [orjson.loads(event.data) for event in told] == [
        {
            "consumer": "Arithmetic",
            "action": "retry",
            "positions": chosen,
            "message": "division by zero",
            "user_id": "ann",
            "roles": ["operator"],
            "tenant_id": "north",
        },
        {
            "consumer": "Arithmetic",
            "action": "drop",
            "positions": chosen[:1],
            "message": None,
            "user_id": None,
            "roles": [],
            "tenant_id": None,
        },
    ]
    assert {event.aggregate_type for event in told} == {"Audit"}
    assert orjson.loads(told[0].metadata)["user_id"] == "ann"
    lines = [each for each in caplog.records if "asked for" in each.getMessage()]
    assert [(each.name, each.levelno) for each in lines] == [("tusk.consumers", logging.WARNING)] * 2
    assert lines[0].getMessage() == (
        "Arithmetic: retry of 2 dead letters, asked for by ann, with the message 'division by zero'"
    )
    assert lines[1].getMessage() == "Arithmetic: drop of 1 dead letter, asked for by who has the token"


async def test_many_letters_are_read_and_told_in_parts(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no event grows with them."""
    monkeypatch.setattr("tusk_runtime.running.dead_letters.PAGE", 1)
    chosen = await positions(runtime, "Booking", "refused")
    assert len(await runtime.mark_dead_letters("Booking", "drop", caller=ANN)) == 2
    await settled(runtime)
    told = await runtime.events(types=["DeadLettersMarked"])
    assert [orjson.loads(event.data)["positions"] for event in told] == [[each] for each in chosen]
    assert not (await runtime.dead_letters(consumer="Booking")).letters


async def test_what_cannot_be_told_is_not_done(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full")

    before = await letters(runtime)
    monkeypatch.setattr(runtime._bus, "tell", tell)
    with pytest.raises(Unavailable):
        await runtime.mark_dead_letters("Arithmetic", "drop", caller=ANN)
    assert await letters(runtime) == before


async def test_the_letters_of_a_removed_consumer_come_back_with_it(runtime: Runtime) -> None:
    without, _, _ = TEXT.partition("[consumers.Arithmetic]")
    await runtime.apply(application(without))
    assert (await runtime.dead_letters()).counts == {"Booking": {"refused": 2}}
    await runtime.apply(application(TEXT))
    assert (await runtime.dead_letters()).counts["Arithmetic"] == {"parked": 2, "behind": 2}


async def test_a_runtime_that_stops_tells_nothing(runtime: Runtime) -> None:
    await runtime.stop()
    with pytest.raises(Unavailable):
        await runtime.dead_letters()
    with pytest.raises(Unavailable):
        await runtime.dead_letter("Booking", 1)
    with pytest.raises(Unavailable):
        await runtime.mark_dead_letters("Booking", "drop", caller=ANN)
