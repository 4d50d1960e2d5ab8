"""How a consumer handles the messages of topics: events of its own store, and what others write there."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from tusk_runtime.clock import Clock
from tusk_runtime.consumers.accepting import Acceptor
from tusk_runtime.consumers.acting import Actor
from tusk_runtime.consumers.failures import ActionFailed, FinalFailure
from tusk_runtime.consumers.handling import Attempts
from tusk_runtime.consumers.pointers import Pointer, pointed_at, pointer_of
from tusk_runtime.events import StoredEvent, id_text
from tusk_runtime.following.hands import Changes, Hands, NotKept, key_of, seen_as
from tusk_runtime.following.keys import kept
from tusk_runtime.following.letters import place_of
from tusk_runtime.following.messages import Message, pack, unpack
from tusk_runtime.store.deliveries import Deliveries, Letter
from tusk_runtime.store.protocol import EventStore


class Reception:
    """What the hands of all partitions of a consumer share.

    `own` are the topics that the relay writes to. With `standalone` every process handles everything, and
    what others have handled does not count.
    """

    def __init__(
        self,
        actor: Actor,
        acceptor: Acceptor,
        own: Collection[str],
        events: EventStore,
        deliveries: Deliveries,
        clock: Clock,
        *,
        standalone: bool = False,
    ) -> None:
        self.standalone = standalone
        self.actor = actor
        self.acceptor = acceptor
        self.own = frozenset(own)
        self.events = events
        self.deliveries = deliveries
        self.clock = clock
        self.types = frozenset(actor.types)
        self.names = frozenset(name.encode() for name in actor.consumer.on)

    def hands(self, source: str, slots: asyncio.Semaphore, begin: int) -> MessageHands:
        """The hands of one partition."""
        return MessageHands(self, source, slots, begin)


class MessageHands(Hands[Message]):
    """The hands of one partition of a consumer.

    A record that the relay wrote is a pointer: the event is read from the store, so that it has all that it
    had there, and nobody can make one up. A topic may hold it more than once, and `tusk republish` lets all
    come again: an event is handled unless a later one of its type and aggregate was. Everything else is a
    message from outside, for the rules of `accept`.
    """

    def __init__(self, shared: Reception, source: str, slots: asyncio.Semaphore, begin: int) -> None:
        consumer = shared.actor.consumer
        super().__init__(consumer.group, consumer.concurrency, shared.clock, source=source, slots=slots)
        self._shared = shared
        self._begin = begin
        self._attempts = Attempts(consumer, shared.clock)
        # By offset, those of the page that is handled.
        self._pointers: dict[int, Pointer | None] = {}
        self._events: dict[int, StoredEvent] = {}

    @property
    def halted(self) -> str:
        """The consumer has no dead letters, and a message failed for good."""
        return self._attempts.halted(self.letters)

    # ---- what comes -------------------------------------------------------------------------------

    async def handle(self, page: Sequence[Message], reached: int) -> Changes:
        """Handle new messages; those of a key in order, those of several side by side."""
        self._pointers = pointers = {message.offset: self._pointer(message) for message in page}
        wanted = [message for message in page if self._concerns(message, pointers[message.offset])]
        pointed = [pointer for message in wanted if (pointer := pointers[message.offset]) is not None]
        self._events = {}
        if pointed:
            found = await pointed_at(pointed, self._shared.events)
            for message in wanted:
                pointer = pointers[message.offset]
                if pointer is not None and pointer in found:
                    self._events[message.offset] = found[pointer]
            wanted = await self._unseen(wanted)
        changes = await super().handle(wanted, reached)
        seen: dict[str, int] = {}
        for message in wanted:
            event = self._events.get(message.offset)
            if event is not None and message.offset <= changes.reached:
                seen[seen_as(event)] = event.version
        self._pointers, self._events = {}, {}
        return changes._replace(seen=seen)

    async def _unseen(self, messages: Sequence[Message]) -> list[Message]:
        """The messages without the events that were handled before, and without copies of one another."""
        handled: dict[str, int] = {}
        if not self._shared.standalone:
            keys = {seen_as(event) for event in self._events.values()}
            handled |= await self._shared.deliveries.seen(self.group, keys)
        left = []
        for message in messages:
            event = self._events.get(message.offset)
            if event is not None:
                key = seen_as(event)
                if event.position <= self._begin or event.version <= handled.get(key, 0):
                    continue
                handled[key] = event.version
            left.append(message)
        return left

    async def attempt(self, item: Message, letter: Letter) -> Letter | None:
        """Handle a message from where its letter stands. Gives the letter that is left; None: it is done."""
        what = f"offset {letter.position} of {letter.source}"
        pointer = self._pointers[item.offset] if item.offset in self._pointers else self._pointer(item)
        if pointer is None:
            accept = self._shared.acceptor.accept
            return await self._attempts.attempt(
                letter, lambda: accept(item, letter.attempts), what, parks=False
            )
        event = self._events.get(item.offset) or await self._stored(pointer)
        if event is None:
            return await self._attempts.attempt(letter, lambda: _unknown(pointer), what, parks=False)
        if event.type not in self._shared.types:
            return None
        act = self._shared.actor.act
        return await self._attempts.attempt(letter, lambda: act(event, letter.action, letter.attempts), what)

    def fresh(self, item: Message) -> Letter:
        """The letter of a message that was not tried yet."""
        event = self._events.get(item.offset)
        if event is not None:
            key = key_of(event)
        elif item.key is not None:
            key = kept(f"{item.topic}/{item.key.decode(errors='backslashreplace')}")
        else:
            key = f"{item.source}:{item.offset}"  # nothing keeps it in order with others
        return Letter(self.source, item.offset, key, "behind", 0, 0, 0, b"{}")

    def handled(self) -> None:
        """Say how many more letters there are."""
        self._attempts.handled()

    # ---- letters ----------------------------------------------------------------------------------

    def kept(self, item: Message, letter: Letter) -> Letter:
        """A letter with a copy of its message; of an event of the store the pointer is enough."""
        pointer = self._pointer(item)
        return letter._replace(message=pack(item if pointer is None else item._replace(value=None)))

    async def recall(self, letter: Letter) -> Message | None:
        """The message of a letter, unless its event is handled no more. Raises NotKept."""
        place, packed = place_of(letter), letter.message
        if not packed:
            found = await self._shared.deliveries.letters(
                self.group, source=self.source, after=(self.source, letter.position - 1), limit=1
            )
            packed = next((each.message for each in found if place_of(each) == place), b"")
        message = unpack(*place, packed) if packed else None
        if message is None:
            raise NotKept(
                f"the message at offset {letter.position} of {letter.source} was too large to be kept, and "
                "cannot be handled again: drop its dead letter when you have seen to it"
            )
        pointer = self._pointer(message)
        return None if pointer is not None and pointer.event_type not in self._shared.names else message

    # ---- the relay's records ------------------------------------------------------------------------

    def _pointer(self, message: Message) -> Pointer | None:
        """The event that a record of the relay stands for; None if it is no such record."""
        return pointer_of(message) if message.topic in self._shared.own else None

    def _concerns(self, message: Message, pointer: Pointer | None) -> bool:
        """Whether it is for this consumer: of the relay's records those of the events that it names."""
        if pointer is not None:
            return pointer.event_type in self._shared.names
        return bool(self._shared.actor.consumer.accept) or message.topic not in self._shared.own

    async def _stored(self, pointer: Pointer) -> StoredEvent | None:
        return (await pointed_at([pointer], self._shared.events)).get(pointer)


async def _unknown(pointer: Pointer) -> None:
    missing = FinalFailure(
        f"it stands for the event {id_text(pointer.event_id)} at position {pointer.position}, which this "
        "store does not hold: another application writes to the topic, or the store is an older copy"
    )
    raise ActionFailed(0, missing)
