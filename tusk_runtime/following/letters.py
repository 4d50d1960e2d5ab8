"""The letters of one source of a consumer, as the store holds them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from tusk_runtime.store.deliveries import Deliveries, Letter, Place, Standing

LOG = ""
"""The source of a letter about an event of the store's own log."""
PAGE = 1000
MARKED: Sequence[Standing] = ("retry", "drop")


class Letters:
    """Which letters there are, and which keys are parked: while a letter of it stands for an event that
    failed, later ones of its key wait behind it. `saved` tells what was stored. Copies of messages
    are not held here: these may be large, and many.
    """

    def __init__(self, group: str, source: str = LOG) -> None:
        self._group = group
        self._source = source
        self._letters: dict[Place, Letter] = {}  # those that are not `behind`
        self._behind: dict[str, set[Place]] = {}  # those that are, by key
        self._blocked: dict[str, Place] = {}  # by key the letter that the others wait for
        self._held: set[str] = set()  # keys for which something of the log waits, where the source is another

    async def learn(self, deliveries: Deliveries) -> None:
        """Read all letters of the source."""
        self._letters, self._behind, self._blocked = {}, {}, {}
        after = (self._source, -1)
        while page := await deliveries.letters(
            self._group, source=self._source, after=after, limit=PAGE, messages=False
        ):
            self.saved(page)
            after = page[-1].source, page[-1].position
        await self._hold(deliveries)

    async def look(self, deliveries: Deliveries) -> None:
        """Learn which letters somebody asked to be tried again or dropped."""
        if self._held:
            await self._hold(deliveries)
        after = (self._source, -1)
        while self._letters:
            marked = await deliveries.letters(
                self._group, source=self._source, standing=MARKED, after=after, limit=PAGE, messages=False
            )
            self._letters |= {place_of(letter): letter for letter in marked}
            if len(marked) < PAGE:
                return
            after = place_of(marked[-1])

    async def _hold(self, deliveries: Deliveries) -> None:
        """Learn which keys have to wait for letters of the log, which the consumer followed before."""
        self._held, after = set(), (LOG, -1)
        while self._source != LOG and (
            page := await deliveries.letters(self._group, source=LOG, after=after, limit=PAGE, messages=False)
        ):
            self._held |= {each.key for each in page if each.standing == "behind" or blocks(each)}
            after = place_of(page[-1])

    def saved(self, letters: Sequence[Letter], done: Sequence[Letter] = ()) -> None:
        """The store holds these letters now, and no longer those that are done."""
        for letter in (*done, *letters):
            place, key = place_of(letter), letter.key
            self._letters.pop(place, None)
            if self._blocked.get(key) == place:
                del self._blocked[key]
            if key in self._behind:
                self._behind[key].discard(place)
                if not self._behind[key]:
                    del self._behind[key]
        for letter in letters:
            if letter.standing == "behind":
                self._behind.setdefault(letter.key, set()).add(place_of(letter))
                continue
            self._letters[place_of(letter)] = letter._replace(message=b"")
            if blocks(letter):
                self._blocked[letter.key] = place_of(letter)

    def parked(self, key: str) -> bool:
        """Whether a new event of this key has to wait."""
        return key in self._blocked or key in self._behind or key in self._held

    def failed(self) -> Letter | None:
        """A letter that stands for an event that failed for good, if there is one."""
        return next((each for each in self._letters.values() if each.standing == "parked"), None)

    def counts(self) -> dict[str, int]:
        """How many letters there are, by what people call them."""
        found = {"parked": 0, "behind": sum(map(len, self._behind.values())), "refused": 0}
        for letter in self._letters.values():
            found["parked" if blocks(letter) else "refused"] += 1
        return found

    def due(self, now: int) -> list[Letter]:
        """Those that are to be dropped, or tried again at a time in microseconds."""
        return [
            letter
            for letter in self._letters.values()
            if letter.standing == "drop" or (letter.standing == "retry" and letter.timestamp <= now)
        ]

    def orphans(self) -> list[str]:
        """The keys whose letters wait for nothing any more."""
        return [key for key in self._behind if key not in self._blocked and key not in self._held]


def place_of(letter: Letter) -> Place:
    """Where a letter's message stands."""
    return letter.source, letter.position


def blocks(letter: Letter) -> bool:
    """Whether later events of its key wait for a letter: not for one that tells of a refused command."""
    return letter.standing != "behind" and not orjson.loads(letter.error).get("refused", False)
