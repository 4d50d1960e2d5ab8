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
from tusk_runtime.following.messages import Message, pack
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.running.service import LetterPlace
from tusk_runtime.store.deliveries import Letter, Standing

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
    found = await runtime.dead_letter("Arithmetic", ("", position))
    assert found.event is not None
    assert (found.event.position, found.event.type) == (position, "Withdrawn")
    error = orjson.loads(found.letter.error)
    assert (error["message"], error["values"]) == ("division by zero", {"(data.amount - 5)": "0.00"})


async def test_what_is_not_there_is_refused(runtime: Runtime) -> None:
    with pytest.raises(UnknownName, match="Bookin") as unknown:
        await runtime.dead_letters(consumer="Bookin")
    assert "Booking" in unknown.value.details["help"]
    with pytest.raises(UnknownName):
        await runtime.dead_letter("Bookin", ("", 1))
    with pytest.raises(UnknownName):
        await runtime.mark_dead_letters("Bookin", "drop", caller=ANN)
    for position in (1, 10**9, 2**63 - 1):
        with pytest.raises(NotFound):
            await runtime.dead_letter("Arithmetic", ("", position))
    with pytest.raises(Invalid):
        await runtime.mark_dead_letters("Booking", "drop", places=[("", 1)], message="", caller=ANN)


async def test_a_letter_is_handled_again_and_what_waits_follows(runtime: Runtime) -> None:
    first, second = await positions(runtime, "Arithmetic")
    await runtime.apply(application(MENDED))
    found = await runtime.mark_dead_letters("Arithmetic", "retry", places=[("", first)] * 2, caller=ANN)
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
    await runtime.mark_dead_letters("Arithmetic", "retry", places=[("", first)], caller=ANN)
    await settled(runtime)
    assert (await runtime.dead_letter("Arithmetic", ("", first))).letter.attempts == 2


async def test_a_dropped_letter_is_gone_and_what_waits_is_handled(runtime: Runtime) -> None:
    first, _ = await positions(runtime, "Arithmetic")
    await runtime.mark_dead_letters("Arithmetic", "drop", places=[("", first)], caller=ANN)
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
        await runtime.mark_dead_letters(
            "Arithmetic", "drop", places=[("", parked), ("", waiting[0])], caller=ANN
        )
    assert "parked" in refused.value.details["help"]
    with pytest.raises(NotFound):
        await runtime.mark_dead_letters("Arithmetic", "drop", places=[("", parked), ("", 1)], caller=ANN)
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
    await runtime.mark_dead_letters("Arithmetic", "drop", places=[("", chosen[0])], caller=Caller())
    await settled(runtime)
    await runtime.mark_dead_letters("Arithmetic", "drop", message="nothing has it", caller=ANN)
    told = await runtime.events(types=["DeadLettersMarked"])
    assert [orjson.loads(event.data) for event in told] == [
        {
            "consumer": "Arithmetic",
            "action": "retry",
            "source": None,
            "positions": chosen,
            "message": "division by zero",
            "user_id": "ann",
            "roles": ["operator"],
            "tenant_id": "north",
        },
        {
            "consumer": "Arithmetic",
            "action": "drop",
            "source": None,
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
        await runtime.dead_letter("Booking", ("", 1))
    with pytest.raises(Unavailable):
        await runtime.mark_dead_letters("Booking", "drop", caller=ANN)


MESSAGE = Message("orders", 0, 12, b"k", b'{"x": 1}', 1_700_000_000_000, (("h", b"1"),))


@pytest.fixture
async def topics(runtime: Runtime) -> Runtime:
    """Letters of topics stand beside those of the log."""
    deliveries = runtime._store.deliveries
    for source, offsets in (("orders/0", (11, 12, 13)), ("orders/1", (0,))):
        claim = await deliveries.take("Booking", source, b"kafka")
        standings: list[Standing] = ["parked", "refused", "behind"]
        given = [
            Letter(source, offset, "k", standing, 0, 1, 1, b'{"message":"no command"}', pack(MESSAGE))
            for offset, standing in zip(offsets, standings, strict=False)
        ]
        await deliveries.save("Booking", claim.epoch, 20, source=source, letters=given)
    return runtime


async def places(runtime: Runtime, consumer: str = "Booking") -> list[tuple[str, int, str]]:
    found = (await runtime.dead_letters(consumer=consumer)).letters
    return [(each.letter.source, each.letter.position, each.letter.standing) for each in found]


class TestTopics:
    async def test_their_letters_are_listed_behind_those_of_the_log(self, topics: Runtime) -> None:
        """Without their messages, which may be large."""
        first, second, *_ = await positions(topics, "Booking", "refused")
        whole = [
            ("", first, "refused"), ("", second, "refused"), ("orders/0", 11, "parked"),
            ("orders/0", 12, "refused"), ("orders/0", 13, "behind"), ("orders/1", 0, "parked"),
        ]  # fmt: skip
        assert await places(topics) == whole
        page = await topics.dead_letters(consumer="Booking")
        assert {each.letter.message for each in page.letters} == {b""}
        assert page.counts == {"Booking": {"refused": 3, "parked": 2, "behind": 1}}
        after = LetterPlace("Booking", "orders/0", 12)
        rest = (await topics.dead_letters(consumer="Booking", after=after)).letters
        assert [each.letter.position for each in rest] == [13, 0]

    async def test_one_is_shown_with_its_message(self, topics: Runtime) -> None:
        found = await topics.dead_letter("Booking", ("orders/0", 12))
        assert found.copy is not None
        assert (found.copy.message, found.event) == (MESSAGE, None)
        log_position = (await positions(topics, "Booking", "refused"))[0]
        assert (await topics.dead_letter("Booking", ("", log_position))).copy is None
        for place in (("orders/0", 14), ("orders/1", 12), ("", 12_000), ("orders/0", log_position)):
            with pytest.raises(NotFound):
                await topics.dead_letter("Booking", place)
        with pytest.raises(NotFound, match="no dead letter at orders/1:12"):
            await topics.dead_letter("Booking", ("orders/1", 12))

    async def test_those_of_several_sources_are_settled_at_once(self, topics: Runtime) -> None:
        """Each source is told of in an event of its own."""
        first, *_ = await positions(topics, "Booking", "refused")
        chosen = [("orders/1", 0), ("", first), ("orders/0", 12), ("orders/0", 11)]
        found = await topics.mark_dead_letters("Booking", "drop", places=chosen, caller=ANN)
        assert [each.letter[:2] for each in found] == sorted(chosen)
        told = [orjson.loads(event.data) for event in await topics.events(types=["DeadLettersMarked"])]
        assert [(each["source"], each["positions"]) for each in told] == [
            (None, [first]), ("orders/0", [11, 12]), ("orders/1", [0]),
        ]  # fmt: skip
        await until(lambda: _gone(topics, ("", first)), "the log's letter is dropped")
        assert (await places(topics))[1:] == [
            ("orders/0", 11, "drop"), ("orders/0", 12, "drop"), ("orders/0", 13, "behind"),
            ("orders/1", 0, "drop"),
        ]  # fmt: skip

    async def test_by_their_message_or_all(self, topics: Runtime) -> None:
        some = await topics.mark_dead_letters("Booking", "retry", message="no command", caller=ANN)
        assert [each.letter[:2] for each in some] == [("orders/0", 11), ("orders/0", 12), ("orders/1", 0)]
        every = await topics.mark_dead_letters("Booking", "retry", dry_run=True, caller=ANN)
        assert [each.letter.source for each in every] == ["", ""]

    async def test_one_that_only_waits_cannot_be_chosen(self, topics: Runtime) -> None:
        with pytest.raises(RuleBroken, match="at orders/0:13 only waits behind an earlier one of k"):
            await topics.mark_dead_letters("Booking", "drop", places=[("orders/0", 13)], caller=ANN)

    async def test_who_follows_the_log_leaves_them_alone(self, topics: Runtime) -> None:
        """Though a position of the log is as theirs, and their key as that of an aggregate."""
        position = (await positions(topics, "Arithmetic"))[0]
        deliveries = topics._store.deliveries
        await deliveries.take("Arithmetic", "orders/0", b"kafka")
        given = [
            Letter("orders/0", position, "Account/a", "drop", 0, 1, 1, b"{}"),
            Letter("orders/0", position + 1, "Account/a", "behind", 0, 1, 1, b"{}"),
        ]
        await deliveries.save("Arithmetic", 1, 99, source="orders/0", letters=given)
        await topics.apply(application(MENDED))
        await topics.mark_dead_letters("Arithmetic", "retry", places=[("", position)], caller=ANN)
        await until(lambda: _gone(topics, ("", position), "Arithmetic"), "the log's letter is done")
        await topics.settle()
        left = await places(topics, "Arithmetic")
        assert left[-2:] == [("orders/0", position, "drop"), ("orders/0", position + 1, "behind")]


async def _gone(runtime: Runtime, place: tuple[str, int], consumer: str = "Booking") -> bool:
    return place not in [each[:2] for each in await places(runtime, consumer)]
