"""What a running application answers: the one door for HTTP, the command line and tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from tusk_runtime.events import Caller, StoredEvent, event_id_text, id_text
from tusk_runtime.following.messages import Copy
from tusk_runtime.model.application import Application
from tusk_runtime.store.deliveries import Letter, Place, Standing
from tusk_runtime.store.protocol import Recorded

Health = Literal["starting", "running", "catching up", "failed", "stopped"]
Settlement = Literal["retry", "drop"]
"""What may become of a dead letter: its message is handled again, or never."""


class CommandAnswer(NamedTuple):
    """What an accepted command answers. `repeated` tells that the ledger gave the first answer again."""

    recorded: Recorded
    types: Sequence[str]
    repeated: bool = False

    def as_json(self) -> dict[str, Any]:
        """The body of `POST /api/commands/{Command}`."""
        recorded = self.recorded
        first_version = recorded.version - recorded.count + 1
        return {
            "command_id": id_text(recorded.command_id),
            "aggregate_id": recorded.aggregate_id,
            "version": recorded.version,
            "position": recorded.position,
            "events": [
                {
                    "event_id": event_id_text(recorded.command_id, index),
                    "event_type": type_,
                    "version": first_version + index,
                }
                for index, type_ in enumerate(self.types)
            ],
        }


class Taken(NamedTuple):
    """What a consumer made of a message: the command that it sent, and the answer to that."""

    command: str
    answer: CommandAnswer

    def as_json(self) -> dict[str, Any]:
        """What the body of `POST /api/topics/{topic}` tells of one consumer."""
        answer = self.answer.as_json()
        del answer["events"]
        return {"command": self.command, **answer}


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """Rows of a query as run-time values, and the position of the log that they stand for.

    `rows` is one row or one value where the query `returns` one or a scalar. `next_cursor` is None on the
    last page; `total` is None unless the query asks for it.
    """

    rows: Any
    position: int
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class AggregateAnswer:
    """An aggregate's state after the event with this version (0: it does not exist)."""

    aggregate_type: str
    aggregate_id: str
    version: int
    position: int
    state: Mapping[str, Any]


class LetterPlace(NamedTuple):
    """Where a dead letter stands among all: they are in the order of these."""

    consumer: str
    source: str
    position: int


class DeadLetter(NamedTuple):
    """A dead letter with the name of its consumer. Where a single one was asked for, `event` is what it is
    about, if the log holds it, and `copy` what was kept of the message, if it came from a topic."""

    consumer: str
    letter: Letter
    event: StoredEvent | None = None
    copy: Copy | None = None


class DeadLetterPage(NamedTuple):
    """Dead letters in order. `counts` says how many there are of each consumer, by how they stand;
    `next_after` is where the next page begins, None on the last one."""

    letters: Sequence[DeadLetter]
    counts: Mapping[str, Mapping[Standing, int]]
    next_after: LetterPlace | None = None


@dataclass(frozen=True, slots=True)
class PartStatus:
    """A running part as people see it. `position` and `lag` (events behind the head) are None where
    they mean nothing; `error` is the last one, while it holds."""

    name: str
    kind: str
    health: Health
    position: int | None = None
    lag: int | None = None
    error: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of everything that runs. `rejected` holds the diagnostics, rendered as text, of the
    last edit if it was refused; `generation` counts the applied editions of the file from 1."""

    application: str
    version: str
    store: str
    head: int
    generation: int
    started_at: int
    parts: Sequence[PartStatus]
    rejected: str = ""
    reload: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)


class Service(Protocol):
    """A running application. All methods may raise Unavailable while it starts or stops."""

    @property
    def application(self) -> Application:
        """The application that is live now; another object after a reload."""
        ...

    async def execute(
        self,
        command: str,
        fields: Mapping[str, Any] | bytes,
        *,
        aggregate_id: str | None = None,
        command_id: bytes | None = None,
        caller: Caller,
    ) -> CommandAnswer:
        """Run a command. `fields` is a mapping or a JSON object in UTF-8, where `aggregate_id` may stand
        beside the fields. Raises a Refused (nothing was written), or OutcomeUnknown."""
        ...

    async def take_message(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Mapping[str, Taken | None]:
        """Have every consumer that takes messages of a topic take this one; None: it ignores the message.

        The headers hold the id by which it takes effect once, unless a rule reads another. Raises
        UnknownName, NotAccepted, what refuses a command, or OutcomeUnknown; a refusal's details tell what all
        made of it.
        """
        ...

    async def query(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        caller: Caller,
        wait_for: int | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> QueryAnswer:
        """Run a query; parameters may be text. `wait_for` waits until the read model holds a position."""
        ...

    async def aggregate(
        self, aggregate_type: str, aggregate_id: str, *, version: int | None = None, at: int | None = None
    ) -> AggregateAnswer:
        """The state of an aggregate, now or as it was at a version or a time (µs). Raises NotFound."""
        ...

    async def events(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        types: Collection[str] | None = None,
        aggregate_id: str | None = None,
        correlation_id: bytes | None = None,
        backwards: bool = False,
    ) -> Sequence[StoredEvent]:
        """A page of the log."""
        ...

    def live(self, after: int | None = None) -> AsyncIterator[Sequence[StoredEvent]]:
        """Events as they are committed, in order, in small pages; from the head, or behind a position.

        An empty page comes every few seconds of silence, so that a reader notices a closed connection.
        """
        ...

    async def republish(self, position: int, *, dry_run: bool = False, caller: Caller) -> int:
        """Publish the events from a position on once more; gives how many these are.

        Whoever publishes, this process or another one, begins there within a few seconds. Raises NotFound if
        nothing is published.
        """
        ...

    async def status(self) -> Status:
        """What runs, how far it is, and what is wrong."""
        ...

    async def dead_letters(
        self,
        *,
        consumer: str | None = None,
        standing: Collection[Standing] | None = None,
        after: LetterPlace | None = None,
        limit: int = 100,
    ) -> DeadLetterPage:
        """A page of the dead letters of all declared consumers, or of one. Raises UnknownName."""
        ...

    async def dead_letter(self, consumer: str, place: Place) -> DeadLetter:
        """The letter of what stands at a place. Raises UnknownName, NotFound."""
        ...

    async def mark_dead_letters(
        self,
        consumer: str,
        action: Settlement,
        *,
        places: Collection[Place] | None = None,
        message: str | None = None,
        dry_run: bool = False,
        caller: Caller,
    ) -> Sequence[DeadLetter]:
        """Let letters of a consumer be handled again, or drop them; gives them as they stood before.

        Those at `places`, else all that are parked or refused, of these only those whose error has the
        `message` if one is given. A dry run only gives them. Without marking any it raises UnknownName,
        NotFound for a place without a letter, or RuleBroken for one that waits behind another.
        """
        ...
