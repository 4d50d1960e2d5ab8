"""The dead letters of consumers: looked at, handled again, or dropped, by whoever runs the application."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import orjson

from tusk_runtime.errors import Invalid, NotFound, RuleBroken, UnknownName
from tusk_runtime.events import Caller
from tusk_runtime.following.letters import LOG, place_of
from tusk_runtime.following.messages import copied
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.running.service import DeadLetter, DeadLetterPage, LetterPlace, Settlement
from tusk_runtime.store.deliveries import STANDINGS, Letter, Place, Standing, place_text
from tusk_runtime.store.protocol import Store

PAGE = 1000
"""Letters that are read, marked and told of at a time."""
OPEN: Collection[Standing] = ("parked", "refused")
"""How letters stand that wait for somebody."""

log = logging.getLogger("tusk.consumers")


class Tell(Protocol):
    """Writes one of the runtime's own events where they are wanted: `CommandBus.tell`."""

    async def __call__(self, event: str, /, *, caller: Caller, **data: Any) -> None:
        """Write it. Raises Unavailable."""
        ...


class DeadLetters:
    """The dead letters of one application. The store knows a consumer by its group, people by its name.

    Letters of a consumer that is not declared any more are kept, and not shown until it is again.
    """

    def __init__(self, groups: Mapping[str, str], store: Store) -> None:
        self._groups = groups
        self._deliveries = store.deliveries
        self._events = store.events

    async def page(
        self,
        consumer: str | None,
        standing: Collection[Standing] | None,
        after: LetterPlace | None,
        limit: int,
    ) -> DeadLetterPage:
        """At most `limit` letters behind a place; of all consumers by their names. Raises UnknownName."""
        names = sorted(self._groups) if consumer is None else [consumer]
        groups = {name: self._group(name) for name in names}
        found: list[DeadLetter] = []
        for name, group in groups.items():
            if after is not None and name < after.consumer:
                continue
            begin = after[1:] if after is not None and name == after.consumer else (LOG, -1)
            letters = await self._deliveries.letters(
                group,
                standing=standing or STANDINGS,
                after=begin,
                limit=limit + 1 - len(found),
                messages=False,
            )
            found += [DeadLetter(name, letter) for letter in letters]
            if len(found) > limit:
                break
        counts = await self._deliveries.counts()
        return DeadLetterPage(
            found[:limit],
            {name: counts[group] for name, group in groups.items() if group in counts},
            _place(found[limit - 1]) if len(found) > limit else None,
        )

    async def one(self, consumer: str, place: Place) -> DeadLetter:
        """The letter at a place, with its event or message. Raises UnknownName, NotFound."""
        letter = await self._at(consumer, place, messages=True)
        source, position = place
        if source != LOG:
            copy = copied(source, position, letter.message) if letter.message else None
            return DeadLetter(consumer, letter, copy=copy)
        events = await self._events.read(position - 1, 1)
        found = events and events[0].position == position
        return DeadLetter(consumer, letter, events[0] if found else None)

    async def mark(
        self,
        consumer: str,
        action: Settlement,
        *,
        places: Collection[Place] | None,
        message: str | None,
        dry_run: bool,
        caller: Caller,
        tell: Tell,
    ) -> Sequence[DeadLetter]:
        """Ask for letters to be handled again or dropped; see `Service.mark_dead_letters`.

        It is told before it is done: nothing is done that nobody can read of.
        """
        if places is not None and message is not None:
            raise Invalid("letters are chosen by their places or by a message, not by both", errors=[])
        group = self._group(consumer)
        if places is not None:
            letters = [await self._settleable(consumer, place) for place in sorted(set(places))]
        else:
            letters = await self._open(group, message)
        if letters and not dry_run:
            for source, part in _parts(letters):
                await tell(
                    "DeadLettersMarked",
                    caller=caller,
                    consumer=consumer,
                    action=action,
                    source=source or None,
                    positions=[letter.position for letter in part],
                    message=message,
                    **caller._asdict(),
                )
                await self._deliveries.mark(group, [place_of(letter) for letter in part], action)
            log.warning(
                "%s: %s of %d dead letter%s, asked for by %s%s",
                consumer,
                action,
                len(letters),
                "" if len(letters) == 1 else "s",
                caller.user_id or "who has the token",
                "" if message is None else f", with the message {message!r}",
            )
        return [DeadLetter(consumer, letter) for letter in letters]

    async def _at(self, consumer: str, place: Place, *, messages: bool = False) -> Letter:
        source, position = place
        found = await self._deliveries.letters(
            self._group(consumer), source=source, after=(source, position - 1), limit=1, messages=messages
        )
        if not found or place_of(found[0]) != place:
            raise NotFound(f"{consumer} has no dead letter at {_where(place)}", position=_shown(place))
        return found[0]

    async def _settleable(self, consumer: str, place: Place) -> Letter:
        letter = await self._at(consumer, place)
        if letter.standing == "behind":
            raise RuleBroken(
                f"the letter at {_where(place)} only waits behind an earlier one of {letter.key}",
                position=_shown(place),
                help="settle the one that is parked: those behind it follow by themselves",
            )
        return letter

    async def _open(self, group: str, message: str | None) -> list[Letter]:
        """All letters that wait for somebody, or those of them whose error has this message."""
        found: list[Letter] = []
        after = (LOG, -1)
        while page := await self._deliveries.letters(
            group, standing=OPEN, after=after, limit=PAGE, messages=False
        ):
            found += [letter for letter in page if message is None or _message(letter) == message]
            after = place_of(page[-1])
        return found

    def _group(self, consumer: str) -> str:
        group = self._groups.get(consumer)
        if group is None:
            raise UnknownName(f"there is no consumer `{consumer}`", help=did_you_mean(consumer, self._groups))
        return group


def _parts(letters: Sequence[Letter]) -> Iterator[tuple[str, list[Letter]]]:
    """The letters, which are in order, by their source, and so many at a time."""
    for source, of_source in groupby(letters, lambda letter: letter.source):
        every = list(of_source)
        for first in range(0, len(every), PAGE):
            yield source, every[first : first + PAGE]


def _where(place: Place) -> str:
    return place_text(place) if place[0] else f"position {place[1]}"


def _shown(place: Place) -> int | str:
    return place_text(place) if place[0] else place[1]


def _place(found: DeadLetter) -> LetterPlace:
    return LetterPlace(found.consumer, *place_of(found.letter))


def _message(letter: Letter) -> str:
    return str(orjson.loads(letter.error).get("message", ""))
