"""What every store keeps for consumers: who has one, how far it has come, and its dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from tests.conformance.conftest import Backend
from tusk_runtime.errors import Conflict, StoreError, StoreUnavailable
from tusk_runtime.following.keys import MOST, kept
from tusk_runtime.store.deliveries import STANDINGS, Claim, Deliveries, Letter, Standing
from tusk_runtime.store.protocol import Store

A, B = b"a" * 16, b"b" * 16
MAIL = "mail"


def letter(
    position: int, *, source: str = "", key: str = "Order/a", standing: Standing = "parked", action: int = 0
) -> Letter:
    return Letter(source, position, key, standing, action, 3, 1_700_000_000_000_000, b'{"message":"no"}')


async def held(deliveries: Deliveries, letters: Sequence[Letter] = (), consumer: str = MAIL) -> int:
    """A consumer that A has, with letters. Gives the epoch."""
    claim = await deliveries.claim(consumer, A, 60, begin=0)
    assert claim is not None
    await deliveries.save(consumer, claim.epoch, claim.position, letters=letters)
    return claim.epoch


class TestHolding:
    async def test_the_first_one_begins_where_it_is_told(self, deliveries: Deliveries) -> None:
        assert await deliveries.claim(MAIL, A, 60, begin=7) == Claim(1, 7)
        assert await deliveries.progress() == {MAIL: 7}

    async def test_only_the_first_claim_says_where(self, deliveries: Deliveries) -> None:
        await deliveries.claim(MAIL, A, 60, begin=7)
        assert await deliveries.claim(MAIL, A, 60, begin=99) == Claim(1, 7)
        await deliveries.save(MAIL, 1, 12)
        await deliveries.release(MAIL, A)
        assert await deliveries.claim(MAIL, B, 60, begin=99) == Claim(2, 12)

    async def test_nobody_else_gets_it_meanwhile(self, deliveries: Deliveries) -> None:
        await deliveries.claim(MAIL, A, 60, begin=0)
        assert await deliveries.claim(MAIL, B, 60, begin=0) is None
        await deliveries.save(MAIL, 1, 5)
        assert await deliveries.claim(MAIL, A, 60, begin=0) == Claim(1, 5)

    async def test_each_change_of_holder_has_an_epoch_of_its_own(self, deliveries: Deliveries) -> None:
        for epoch, holder in enumerate((A, B, A, B), 1):
            assert await deliveries.claim(MAIL, holder, 60, begin=0) == Claim(epoch, 0)
            assert await deliveries.claim(MAIL, holder, 60, begin=0) == Claim(epoch, 0)
            await deliveries.release(MAIL, holder)

    async def test_only_who_has_it_releases_it(self, deliveries: Deliveries) -> None:
        await deliveries.release(MAIL, A)
        assert await deliveries.progress() == {}
        await deliveries.claim(MAIL, A, 60, begin=0)
        await deliveries.release(MAIL, B)
        assert await deliveries.claim(MAIL, B, 60, begin=0) is None

    async def test_one_that_lapsed_is_taken_over(self, deliveries: Deliveries) -> None:
        await deliveries.claim(MAIL, A, 0.2, begin=0)
        assert await deliveries.claim(MAIL, B, 60, begin=0) is None
        await asyncio.sleep(0.25)
        assert await deliveries.claim(MAIL, B, 60, begin=0) == Claim(2, 0)
        assert await deliveries.claim(MAIL, A, 60, begin=0) is None
        with pytest.raises(Conflict, match="mail is no longer held with epoch 1"):
            await deliveries.save(MAIL, 1, 9)
        assert await deliveries.progress() == {MAIL: 0}

    async def test_who_keeps_one_that_lapsed_goes_on(self, deliveries: Deliveries) -> None:
        """Nobody else had it in between."""
        await deliveries.claim(MAIL, A, 0, begin=0)
        await deliveries.save(MAIL, 1, 3)
        assert await deliveries.claim(MAIL, A, 60, begin=0) == Claim(1, 3)

    async def test_it_is_kept_for_longer(self, deliveries: Deliveries) -> None:
        await deliveries.claim(MAIL, A, 0.1, begin=0)
        await deliveries.claim(MAIL, A, 60, begin=0)
        await asyncio.sleep(0.15)
        assert await deliveries.claim(MAIL, B, 60, begin=0) is None

    async def test_of_many_at_once_one_gets_it(self, deliveries: Deliveries) -> None:
        holders = [bytes([number]) * 16 for number in range(50)]
        claims = await asyncio.gather(*(deliveries.claim(MAIL, each, 60, begin=4) for each in holders))
        assert [each for each in claims if each] == [Claim(1, 4)]

    async def test_consumers_do_not_know_of_each_other(self, deliveries: Deliveries) -> None:
        assert await deliveries.claim(MAIL, A, 60, begin=1) == Claim(1, 1)
        assert await deliveries.claim("bills", B, 60, begin=2) == Claim(1, 2)
        await deliveries.save("bills", 1, 3)
        assert await deliveries.progress() == {MAIL: 1, "bills": 3}


class TestSaving:
    async def test_letters_come_back_as_they_were(self, deliveries: Deliveries) -> None:
        given = [letter(3, action=2), letter(4, key="Order/ä", standing="refused", source="orders/0")]
        await held(deliveries, given)
        assert await deliveries.letters(MAIL) == given

    async def test_one_takes_the_place_of_the_one_before(self, deliveries: Deliveries) -> None:
        epoch = await held(deliveries, [letter(3), letter(4)])
        new = letter(3, action=1, standing="refused", key="Order/b")
        await deliveries.save(MAIL, epoch, 5, letters=[new])
        assert await deliveries.letters(MAIL) == [new, letter(4)]

    async def test_of_two_at_one_place_the_last_one_holds(self, deliveries: Deliveries) -> None:
        await held(deliveries, [letter(3), letter(3, action=1)])
        assert await deliveries.letters(MAIL) == [letter(3, action=1)]

    async def test_those_that_are_done_are_forgotten(self, deliveries: Deliveries) -> None:
        epoch = await held(deliveries, [letter(3), letter(3, source="x"), letter(4)])
        await held(deliveries, [letter(3)], "bills")
        await deliveries.save(MAIL, epoch, 5, done=[("", 3), ("y", 4), ("", 99)])
        assert await deliveries.letters(MAIL) == [letter(4), letter(3, source="x")]
        assert await deliveries.letters("bills") == [letter(3)]

    async def test_one_that_is_both_done_and_given_stays(self, deliveries: Deliveries) -> None:
        epoch = await held(deliveries, [letter(3)])
        await deliveries.save(MAIL, epoch, 5, letters=[letter(3, action=1)], done=[("", 3)])
        assert await deliveries.letters(MAIL) == [letter(3, action=1)]

    async def test_another_epoch_writes_nothing(self, deliveries: Deliveries) -> None:
        epoch = await held(deliveries, [letter(3)])
        for other in (epoch - 1, epoch + 1):
            with pytest.raises(Conflict):
                await deliveries.save(MAIL, other, 9)
            with pytest.raises(Conflict):
                await deliveries.save(MAIL, other, 9, letters=[letter(4)], done=[("", 3)])
        assert await deliveries.letters(MAIL) == [letter(3)]
        assert await deliveries.progress() == {MAIL: 0}

    async def test_one_that_nobody_ever_had(self, deliveries: Deliveries) -> None:
        with pytest.raises(Conflict):
            await deliveries.save(MAIL, 1, 9, letters=[letter(4)])
        assert (await deliveries.progress(), await deliveries.letters(MAIL)) == ({}, [])

    async def test_it_is_all_or_nothing(self, deliveries: Deliveries) -> None:
        """One letter cannot be stored: the progress and all the others stay as they were."""
        epoch = await held(deliveries, [letter(3)])
        broken = letter(5)._replace(error=cast(Any, None))
        with pytest.raises(StoreError) as caught:
            await deliveries.save(MAIL, epoch, 9, letters=[letter(4), broken], done=[("", 3)])
        assert not isinstance(caught.value, Conflict)
        assert await deliveries.letters(MAIL) == [letter(3)]
        assert await deliveries.progress() == {MAIL: 0}
        await deliveries.save(MAIL, epoch, 9, letters=[letter(4)], done=[("", 3)])
        assert await deliveries.letters(MAIL) == [letter(4)]

    async def test_many_at_once(self, deliveries: Deliveries) -> None:
        many = [letter(number) for number in range(700)]
        epoch = await held(deliveries, many)
        assert await deliveries.letters(MAIL) == many
        await deliveries.save(MAIL, epoch, 1, done=[("", number) for number in range(699)])
        assert await deliveries.letters(MAIL) == many[-1:]

    async def test_who_takes_over_finds_all_of_it_or_nothing(self, deliveries: Deliveries) -> None:
        """Of one whose lease lapsed while it saves, and its successor, either comes wholly first."""
        saved = await _races(deliveries, deliveries, rounds=20)
        assert saved <= 20


TOPIC, OTHER = "orders/0", "orders/1"


class TestSources:
    async def test_one_is_taken_from_whoever_had_it(self, deliveries: Deliveries) -> None:
        for epoch, holder in enumerate((A, B, B, A), 1):
            assert await deliveries.take(MAIL, TOPIC, holder) == Claim(epoch, -1)

    async def test_who_had_it_can_save_no_more(self, deliveries: Deliveries) -> None:
        first = await deliveries.take(MAIL, TOPIC, A)
        await deliveries.save(MAIL, first.epoch, 7, source=TOPIC, seen={"Order/a": 3})
        second = await deliveries.take(MAIL, TOPIC, B)
        assert second == Claim(2, 7)
        given = {"letters": [letter(8, source=TOPIC)], "seen": {"Order/a": 9}}
        for more in ({}, {"seen": {"Order/a": 9}}, given):
            with pytest.raises(Conflict, match="mail in orders/0 is no longer held with epoch 1"):
                await deliveries.save(MAIL, first.epoch, 8, source=TOPIC, **cast(Any, more))
        assert await deliveries.letters(MAIL) == []
        assert await deliveries.seen(MAIL, ["Order/a"]) == {"Order/a": 3}
        await deliveries.save(MAIL, second.epoch, 9, source=TOPIC)
        assert await deliveries.take(MAIL, TOPIC, B) == Claim(3, 9)

    async def test_who_takes_it_again_can_save_only_with_the_new_epoch(self, deliveries: Deliveries) -> None:
        """The group was shared out anew meanwhile: somebody else may have had it in between."""
        first = await deliveries.take(MAIL, TOPIC, A)
        await deliveries.take(MAIL, TOPIC, A)
        with pytest.raises(Conflict):
            await deliveries.save(MAIL, first.epoch, 8, source=TOPIC)

    async def test_they_do_not_disturb_each_other(self, deliveries: Deliveries) -> None:
        epoch = await held(deliveries)
        await deliveries.take(MAIL, TOPIC, B)
        await deliveries.take(MAIL, OTHER, A)
        await deliveries.take("bills", TOPIC, A)
        await deliveries.save(MAIL, 1, 5, source=TOPIC)
        await deliveries.save(MAIL, 1, 6, source=OTHER)
        await deliveries.save(MAIL, epoch, 7)
        assert await deliveries.take(MAIL, TOPIC, B) == Claim(2, 5)
        assert await deliveries.take(MAIL, OTHER, B) == Claim(2, 6)
        assert await deliveries.take("bills", TOPIC, B) == Claim(2, -1)
        assert await deliveries.claim(MAIL, A, 60, begin=0) == Claim(epoch, 7)
        assert await deliveries.claim(MAIL, B, 60, begin=0) is None
        with pytest.raises(Conflict):
            await deliveries.save(MAIL, 1, 8, source="orders/2")

    async def test_only_the_log_has_what_is_asked_of_the_log(self, deliveries: Deliveries) -> None:
        await deliveries.take(MAIL, TOPIC, A)
        await deliveries.save(MAIL, 1, 50, source=TOPIC)
        assert await deliveries.progress() == {}
        assert not await deliveries.rewind(MAIL, 3)
        await held(deliveries)
        await deliveries.save(MAIL, 1, 9)
        assert await deliveries.rewind(MAIL, 3)
        await deliveries.release(MAIL, A)
        assert await deliveries.progress() == {MAIL: 3}
        await deliveries.save(MAIL, 1, 51, source=TOPIC)
        assert await deliveries.take(MAIL, TOPIC, A) == Claim(2, 51)

    async def test_letters_of_one(self, deliveries: Deliveries) -> None:
        sources = ("", TOPIC, OTHER)
        every = [letter(n, source=source, key=f"k{n % 2}") for source in sources for n in range(4)]
        every[1] = every[1]._replace(standing="behind")
        await held(deliveries, every)
        for source in sources:
            own = [each for each in every if each.source == source]
            assert await deliveries.letters(MAIL, source=source) == own
            assert await deliveries.letters(MAIL, source=source, limit=2) == own[:2]
            assert await deliveries.letters(MAIL, source=source, after=(source, 1)) == own[2:]
            assert await deliveries.letters(MAIL, source=source, key="k0") == own[::2]
            assert await deliveries.letters(MAIL, source=source, key="k0", after=(source, 0)) == own[2::2]
            assert await deliveries.letters(MAIL, source=source, standing=["retry"]) == []
            parked = [each for each in own if each.standing == "parked"]
            assert await deliveries.letters(MAIL, source=source, standing=["parked", "drop"]) == parked
        assert await deliveries.letters(MAIL, source=OTHER, after=("", 9)) == every[8:]
        assert await deliveries.letters(MAIL, source=OTHER, after=(TOPIC, 0)) == every[8:]
        assert await deliveries.letters(MAIL, source=TOPIC, after=(OTHER, 0)) == []
        assert await deliveries.letters(MAIL, source="orders") == []

    async def test_those_of_several_are_marked_at_once(self, deliveries: Deliveries) -> None:
        await held(deliveries, [letter(1), letter(1, source=TOPIC), letter(1, source=OTHER)])
        assert await deliveries.mark(MAIL, [(TOPIC, 1), ("", 1), ("x/0", 1)], "drop") == 2
        assert [each.standing for each in await deliveries.letters(MAIL)] == ["drop", "drop", "parked"]

    async def test_a_letter_keeps_its_message(self, deliveries: Deliveries) -> None:
        """Also when it is saved without it: the message at its place is always the same."""
        mine = letter(4, source=TOPIC)._replace(message=bytes(range(256)) * 4096)
        epoch = await held(deliveries, [mine, letter(5)])
        assert await deliveries.letters(MAIL, source=TOPIC) == [mine]
        bare = mine._replace(message=b"")
        for more in ({}, {"key": mine.key}, {"standing": ["parked"]}):
            found = await deliveries.letters(MAIL, source=TOPIC, messages=False, **cast(Any, more))
            assert found == [bare]
        await deliveries.save(MAIL, epoch, 5, letters=[bare._replace(attempts=9)])
        assert await deliveries.letters(MAIL, source=TOPIC) == [mine._replace(attempts=9)]
        await deliveries.save(MAIL, epoch, 5, letters=[mine._replace(message=b"other")])
        assert await deliveries.letters(MAIL, source=TOPIC) == [mine._replace(message=b"other")]


class TestKeys:
    LONG = "".join(chr(0x1F300 + n * 7919 % 700) for n in range(25_000))
    """A hundred kilobytes that do not compress well."""

    @pytest.mark.parametrize("key", [LONG, "k" * 100_000, "Order/\0a"])
    async def test_any_key_is_kept(self, deliveries: Deliveries, key: str) -> None:
        name, topic = "c" * 200, f"{'t' * 249}/99999"
        place, other = kept(key), kept(f"{key}!")
        assert place != other
        await deliveries.take(name, topic, A)
        given = [letter(5, source=topic, key=place), letter(6, source=topic, key=other)]
        await deliveries.save(name, 1, 6, source=topic, letters=given, seen={place: 3, other: 4})
        assert await deliveries.letters(name, key=place) == given[:1]
        assert await deliveries.seen(name, [place, other]) == {place: 3, other: 4}

    def test_none_is_kept_as_another(self) -> None:
        for key in ("", "Order/a", "x" * MOST):
            assert kept(key) == key
        keys = ["x" * MOST + "y", "x" * MOST + "z", "x" * 900, "a\0", "a\0\0", "a\ufffd", "a", "a."]
        assert len({kept(key) for key in keys}) == len(keys)
        assert [len(kept(key)) for key in keys[:5]] == [MOST + 1] * 5


class TestSeen:
    async def test_it_never_goes_down(self, deliveries: Deliveries) -> None:
        await deliveries.take(MAIL, TOPIC, A)
        for given, stays in ((3, 3), (2, 3), (3, 3), (7, 7), (1, 7)):
            await deliveries.save(MAIL, 1, 5, source=TOPIC, seen={"Order/a": given})
            assert await deliveries.seen(MAIL, ["Order/a"]) == {"Order/a": stays}

    async def test_also_together_with_letters(self, deliveries: Deliveries) -> None:
        await deliveries.take(MAIL, TOPIC, A)
        await deliveries.save(
            MAIL,
            1,
            5,
            source=TOPIC,
            seen={"Order/a": 3},
            letters=[letter(5, source=TOPIC)],
            done=[(TOPIC, 4)],
        )
        await deliveries.save(MAIL, 1, 6, source=TOPIC, seen={"Order/a": 2}, done=[(TOPIC, 5)])
        assert await deliveries.seen(MAIL, ["Order/a"]) == {"Order/a": 3}
        assert await deliveries.letters(MAIL) == []

    async def test_a_page_of_keys(self, deliveries: Deliveries) -> None:
        """Any text is a key, and those that nobody saw are left out."""
        many = {f"Order/{number}": number for number in range(498)}
        strange = {'"\\\n\x01ä😀$.a[0]': 2**40, "": 1}
        await deliveries.take(MAIL, TOPIC, A)
        await deliveries.save(MAIL, 1, 5, source=TOPIC, seen=many | strange)
        assert await deliveries.seen(MAIL, [*many, *strange, "Order/none"]) == many | strange
        assert await deliveries.seen(MAIL, ["Order/7", "Order/7"]) == {"Order/7": 7}
        assert await deliveries.seen(MAIL, []) == {}
        assert await deliveries.seen("bills", many) == {}

    async def test_it_is_all_or_nothing(self, deliveries: Deliveries) -> None:
        await deliveries.take(MAIL, TOPIC, A)
        broken = letter(5, source=TOPIC)._replace(error=cast(Any, None))
        with pytest.raises(StoreError):
            await deliveries.save(MAIL, 1, 5, source=TOPIC, seen={"Order/a": 3}, letters=[broken])
        assert await deliveries.seen(MAIL, ["Order/a"]) == {}
        assert await deliveries.take(MAIL, TOPIC, A) == Claim(2, -1)

    async def test_holders_of_two_partitions_do_not_wait_for_each_other(self, deliveries: Deliveries) -> None:
        """Though they save the same keys, each in another order."""
        keys = {f"Order/{number}": number for number in range(500)}
        reverse = dict(reversed(keys.items()))
        for source in (TOPIC, OTHER):
            await deliveries.take(MAIL, source, A)
        for position in range(10):
            await asyncio.gather(
                deliveries.save(MAIL, 1, position, source=TOPIC, seen=keys),
                deliveries.save(MAIL, 1, position, source=OTHER, seen=reverse),
            )
        assert await deliveries.seen(MAIL, keys) == keys


class TestReading:
    async def test_they_stand_in_the_order_of_source_and_position(self, deliveries: Deliveries) -> None:
        sources = ["", "B/0", "a/0", "a/1", "ä/0"]
        wanted = [letter(number, source=source) for source in sources for number in (2, 10, 100)]
        await held(deliveries, wanted[::-1])
        assert await deliveries.letters(MAIL) == wanted
        found: list[Letter] = []
        while page := await deliveries.letters(MAIL, after=found[-1][:2] if found else ("", -1), limit=4):
            assert len(page) == min(4, len(wanted) - len(found))
            found += page
        assert found == wanted

    async def test_those_of_some_standing(self, deliveries: Deliveries) -> None:
        await held(deliveries, [letter(n, standing=standing) for n, standing in enumerate(STANDINGS)])
        for number, standing in enumerate(STANDINGS):
            assert await deliveries.letters(MAIL, standing=[standing]) == [letter(number, standing=standing)]
        marked = await deliveries.letters(MAIL, standing=("drop", "retry"))
        assert [each.standing for each in marked] == ["retry", "drop"]
        assert await deliveries.letters(MAIL, standing=()) == []
        assert len(await deliveries.letters(MAIL, standing={*STANDINGS})) == 5

    async def test_those_of_one_key(self, deliveries: Deliveries) -> None:
        one = [letter(3, key="Order/b"), letter(5, key="Order/b", standing="behind")]
        await held(deliveries, [letter(1), *one, letter(4)])
        assert await deliveries.letters(MAIL, key="Order/b") == one
        assert await deliveries.letters(MAIL, key="Order/b", standing=["behind"]) == one[1:]
        assert await deliveries.letters(MAIL, key="Order/b", after=("", 3)) == one[1:]
        assert await deliveries.letters(MAIL, key="Order/b", limit=1) == one[:1]
        assert await deliveries.letters(MAIL, key="Order/c") == []

    async def test_those_of_another_consumer(self, deliveries: Deliveries) -> None:
        await held(deliveries, [letter(1)])
        assert await deliveries.letters("bills") == []

    async def test_how_many_there_are(self, deliveries: Deliveries) -> None:
        assert await deliveries.counts() == {}
        await held(deliveries, [letter(1), letter(2, standing="behind"), letter(3, standing="behind")])
        await held(deliveries, [letter(1, standing="drop")], "bills")
        await held(deliveries, [], "empty")
        assert await deliveries.counts() == {MAIL: {"parked": 1, "behind": 2}, "bills": {"drop": 1}}


class TestMarking:
    async def test_only_what_failed_by_itself_is_marked(self, deliveries: Deliveries) -> None:
        """What waits behind another one goes with that."""
        await held(deliveries, [letter(n, standing=standing) for n, standing in enumerate(STANDINGS)])
        assert await deliveries.mark(MAIL, [("", number) for number in range(7)], "drop") == 4
        assert [each.standing for each in await deliveries.letters(MAIL)] == [
            "drop", "behind", "drop", "drop", "drop",
        ]  # fmt: skip

    async def test_nothing_else_of_it_changes(self, deliveries: Deliveries) -> None:
        await held(deliveries, [letter(1), letter(2), letter(1, source="x")])
        await held(deliveries, [letter(1)], "bills")
        assert await deliveries.mark(MAIL, [("", 1), ("", 1)], "retry") == 1
        assert await deliveries.letters(MAIL) == [
            letter(1, standing="retry"), letter(2), letter(1, source="x"),
        ]  # fmt: skip
        assert await deliveries.letters("bills") == [letter(1)]

    async def test_none(self, deliveries: Deliveries) -> None:
        assert await deliveries.mark(MAIL, [], "retry") == 0
        assert await deliveries.mark(MAIL, [("", 1)], "retry") == 0

    async def test_many_and_by_several_at_once(self, deliveries: Deliveries) -> None:
        """In any order, and while whoever runs the consumer saves: nobody waits for ever."""
        epoch = await held(deliveries, [letter(number) for number in range(700)])
        places = [("", number) for number in range(700)]
        counts = await asyncio.gather(
            deliveries.mark(MAIL, places, "retry"),
            deliveries.mark(MAIL, places[::-1], "drop"),
            deliveries.save(MAIL, epoch, 1, letters=[letter(number) for number in range(699, -1, -1)]),
            deliveries.mark(MAIL, places, "drop"),
        )
        assert [count for count in counts if count is not None] == [700, 700, 700]
        assert sum((await deliveries.counts())[MAIL].values()) == 700


class TestSharing:
    @pytest.fixture
    async def other(self, backend: Backend, store: Store, tmp_path: Path) -> AsyncIterator[Deliveries]:
        """What another process sees of the same store."""
        backend.require("shared")
        made = await backend.make(tmp_path)
        await made.open()
        yield made.deliveries
        await made.close()

    async def test_one_of_two_processes_gets_it(self, deliveries: Deliveries, other: Deliveries) -> None:
        claims = await asyncio.gather(
            deliveries.claim(MAIL, A, 60, begin=0), other.claim(MAIL, B, 60, begin=0)
        )
        assert sorted(map(bool, claims)) == [False, True]

    async def test_of_many_of_two_processes_one_gets_it(
        self, deliveries: Deliveries, other: Deliveries
    ) -> None:
        await deliveries.claim(MAIL, A, 0, begin=0)
        claims = await asyncio.gather(
            *(
                each.claim(MAIL, bytes([number]) * 16, 60, begin=0)
                for number in range(25)
                for each in (deliveries, other)
            )
        )
        # The same holder asks in both processes: the second one only keeps what the first one took.
        assert {each for each in claims if each} == {Claim(2, 0)}
        assert 1 <= len([each for each in claims if each]) <= 2

    async def test_the_other_one_takes_over(self, deliveries: Deliveries, other: Deliveries) -> None:
        epoch = await held(deliveries, [letter(3)])
        assert await other.claim(MAIL, B, 60, begin=0) is None
        await deliveries.save(MAIL, epoch, 4)
        await deliveries.claim(MAIL, A, 0.05, begin=0)
        await asyncio.sleep(0.1)
        assert await other.claim(MAIL, B, 60, begin=0) == Claim(2, 4)
        with pytest.raises(Conflict):
            await deliveries.save(MAIL, epoch, 9, letters=[letter(8)], done=[("", 3)])
        with pytest.raises(Conflict):
            await deliveries.save(MAIL, epoch, 9)
        assert await other.letters(MAIL) == [letter(3)]
        assert await other.progress() == {MAIL: 4}
        assert await deliveries.claim(MAIL, A, 60, begin=0) is None

    async def test_what_one_marks_the_other_sees(self, deliveries: Deliveries, other: Deliveries) -> None:
        await held(deliveries, [letter(3)])
        assert await other.mark(MAIL, [("", 3)], "retry") == 1
        assert await deliveries.letters(MAIL, standing=["retry", "drop"]) == [letter(3, standing="retry")]

    async def test_nobody_writes_behind_a_successor(self, deliveries: Deliveries, other: Deliveries) -> None:
        await _races(deliveries, other, rounds=60)


async def _races(one: Deliveries, other: Deliveries, *, rounds: int) -> int:
    """In each round one saves much, and its lapsed lease is taken over. Gives how often it came first."""
    first = 0
    for round_ in range(rounds):
        consumer = f"c{round_}"
        await one.claim(consumer, A, 0, begin=0)
        saving = asyncio.create_task(
            one.save(consumer, 1, 5, letters=[letter(number) for number in range(50)], done=[("", 99)])
        )
        await asyncio.sleep(0.0002 * (round_ % 10))
        claim = await other.claim(consumer, B, 60, begin=0)
        found = len(await other.letters(consumer))
        with suppress(Conflict):
            await saving
            first += 1
        assert claim in (Claim(2, 0), Claim(2, 5))
        assert found == (50 if claim == Claim(2, 5) else 0)
        assert len(await other.letters(consumer)) == found
        assert (await other.progress())[consumer] == claim.position
        assert (saving.exception() is None) == (claim == Claim(2, 5))
    return first


async def test_all_of_it_is_durable(backend: Backend, tmp_path: Path) -> None:
    backend.require("durable")
    store = await backend.make(tmp_path)
    await store.open()
    epoch = await held(store.deliveries, [letter(3), letter(4)])
    await store.deliveries.save(MAIL, epoch, 7, done=[("", 4)])
    await store.deliveries.mark(MAIL, [("", 3)], "drop")
    await store.deliveries.take(MAIL, TOPIC, A)
    await store.deliveries.save(MAIL, 1, 8, source=TOPIC, seen={"Order/a": 3})
    await store.close()
    again = await backend.make(tmp_path)
    await again.open()
    assert await again.deliveries.progress() == {MAIL: 7}
    assert await again.deliveries.letters(MAIL) == [letter(3, standing="drop")]
    assert await again.deliveries.seen(MAIL, ["Order/a"]) == {"Order/a": 3}
    assert await again.deliveries.take(MAIL, TOPIC, B) == Claim(2, 8)
    assert await again.deliveries.claim(MAIL, B, 60, begin=0) is None
    assert await again.deliveries.claim(MAIL, A, 60, begin=0) == Claim(epoch, 7)
    await again.close()


async def test_for_reading_only(backend: Backend, store: Store, tmp_path: Path) -> None:
    backend.require("durable")
    epoch = await held(store.deliveries, [letter(3)])
    reading = await backend.make(tmp_path)
    await reading.open(read_only=True)
    seen = reading.deliveries
    assert await seen.letters(MAIL) == [letter(3)]
    assert (await seen.progress(), await seen.counts()) == ({MAIL: 0}, {MAIL: {"parked": 1}})
    for refused in (
        seen.claim(MAIL, A, 60, begin=0),
        seen.release(MAIL, A),
        seen.save(MAIL, epoch, 9),
        seen.take(MAIL, TOPIC, A),
        seen.mark(MAIL, [("", 3)], "drop"),
    ):
        with pytest.raises(StoreUnavailable, match="for reading only"):
            await refused
    await reading.close()
    assert await store.deliveries.letters(MAIL) == [letter(3)]
    assert await store.deliveries.claim(MAIL, B, 60, begin=0) is None


async def test_a_store_that_is_closed(backend: Backend, tmp_path: Path) -> None:
    store = await backend.make(tmp_path)
    await store.open()
    await held(store.deliveries)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.deliveries.claim(MAIL, A, 60, begin=0)
    with pytest.raises(StoreUnavailable):
        await store.deliveries.letters(MAIL)


async def test_progress_goes_back(deliveries: Deliveries) -> None:
    """Whoever has the consumer can save no more, and learns of it when it claims again."""
    claim = await deliveries.claim("fee", b"one", 60, begin=0)
    assert claim is not None
    await deliveries.save("fee", claim.epoch, 10)
    assert await deliveries.rewind("fee", 4)
    with pytest.raises(Conflict):
        await deliveries.save("fee", claim.epoch, 11)
    again = await deliveries.claim("fee", b"one", 60, begin=0)
    assert again is not None
    assert (again.position, again.epoch > claim.epoch) == (4, True)
    await deliveries.save("fee", again.epoch, 12)
    assert await deliveries.progress() == {"fee": 12}


async def test_progress_only_goes_back(deliveries: Deliveries) -> None:
    """Forward, or of a consumer that nobody knows, nothing happens."""
    claim = await deliveries.claim("fee", b"one", 60, begin=4)
    assert claim is not None
    assert not await deliveries.rewind("fee", 4)
    assert not await deliveries.rewind("fee", 9)
    assert not await deliveries.rewind("none", 0)
    await deliveries.save("fee", claim.epoch, 5)
    assert await deliveries.progress() == {"fee": 5}
