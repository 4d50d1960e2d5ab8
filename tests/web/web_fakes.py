"""A service that answers from memory, and an application with one of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import orjson

from tusk_runtime.errors import Invalid, NotFound, UnknownName
from tusk_runtime.events import Caller, StoredEvent, event_id_of, new_id
from tusk_runtime.language.source import Source
from tusk_runtime.model.application import EventType, StoredTypes
from tusk_runtime.running.service import (
    AggregateAnswer,
    CommandAnswer,
    DeadLetter,
    DeadLetterPage,
    LetterPlace,
    PartStatus,
    QueryAnswer,
    Status,
    Taken,
)
from tusk_runtime.store.deliveries import Letter, Place, place_text
from tusk_runtime.store.protocol import Recorded
from tusk_runtime.types import Field, Record, Type, record_of

TOKEN = "t" * 43
PORT = 8080
BASE = f"http://127.0.0.1:{PORT}"
BEARER = {"authorization": f"Bearer {TOKEN}"}
NOWHERE = Source("fake.tsk", "").span(0, 0)
EPOCH = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z


def record(name: str, **types: Type) -> Record:
    found = record_of(name, **types).record
    assert found is not None
    return found


def command(name: str, *, internal: bool = False, needs_id: bool = True, **types: Type) -> Any:
    return SimpleNamespace(
        name=name,
        description=f"What {name} does.",
        aggregate="Order",
        fields=record(name, **types),
        internal=internal,
        needs_aggregate_id=needs_id,
        takes_aggregate_id=True,
    )


def query(name: str, returns: str = "many", total: bool = False, **types: Type) -> Any:
    return SimpleNamespace(
        name=name,
        description="",
        projection="orders",
        params=record(name, **types),
        columns=record("row", id=Type("string"), total=Type("decimal", places=2)),
        returns=returns,
        total=total,
        limit=100,
    )


def application() -> Any:
    events = {
        name: EventType(name, record(name, customer=Type("string")), None, "", NOWHERE)
        for name in ("OrderPlaced", "OrderPaid", "OrderShipped")
    }
    lines = Type("list", item=record_of("Line", sku=Type("string"), count=Type("integer", min=1)))
    place = command("PlaceOrder", needs_id=False, customer=Type("string", min=1), lines=lines)
    note = record("Note", text=Type("string"), urgent=Type("boolean", optional=True))
    note = Record("Note", {**note.fields, "stars": Field("stars", Type("integer"), 3)})
    commands = [
        place,
        command("PayOrder", amount=Type("decimal", places=2)),
        command("ExpireOrder", internal=True),
        SimpleNamespace(**{**vars(command("AddNote")), "fields": note}),
    ]
    queries = [
        query("orders", total=True, status=Type("enum", values=("open", "paid"))),
        query("order", returns="one", id=Type("string")),
        query("count_of_orders", returns="scalar"),
    ]
    return SimpleNamespace(
        name="shop",
        version="1.2.0",
        commands={item.name: item for item in commands},
        queries={item.name: item for item in queries},
        aggregates={"Order": SimpleNamespace(name="Order", state=record("Order", status=Type("string")))},
        events=events,
        stored=StoredTypes(events),
        projections={},
        consumers={},
    )


def stored(position: int, type_: str = "OrderPlaced", data: Any = None, **changes: Any) -> StoredEvent:
    command_id = new_id()
    event = StoredEvent(
        position=position,
        event_id=event_id_of(command_id, 0),
        type=type_,
        aggregate_type="Order",
        aggregate_id=f"order-{position}",
        version=1,
        timestamp=EPOCH + position * 1_000_000,
        command_id=command_id,
        correlation_id=command_id,
        data=orjson.dumps(data if data is not None else {"customer": "ada", "n": position}),
        metadata=b'{"user_id":null}',
    )
    return event._replace(**changes)


def letter(position: int, standing: str = "parked", consumer: str = "Greeting", **changes: Any) -> DeadLetter:
    error = b'{"message":"division by zero","refused":false}'
    found = Letter("", position, "Order/order-1", standing, 0, 1, EPOCH, error)  # type: ignore[arg-type]
    return DeadLetter(consumer, found._replace(**changes))


class FakeService:
    """Keeps what it was asked in `calls`; raises `error` if there is one."""

    def __init__(self) -> None:
        self.application = application()
        self.log: list[StoredEvent] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.error: BaseException | None = None
        self.delay = 0.0
        self.running = 0
        self.most_running = 0
        self.seen: set[bytes] = set()
        self.rows: Any = [{"id": "order-1", "total": "12.50"}]
        self.silence = 5.0
        self.parts: list[PartStatus] = [
            PartStatus("commands", "commands", "running"),
            PartStatus("orders", "projection", "running", position=0, lag=0),
        ]
        self.rejected = ""
        self.generation = 1
        self.started_at = int(time.time() * 1_000_000)
        self.added = asyncio.Event()
        self.live_readers = 0
        self.letters: list[DeadLetter] = []
        self.next_letter: LetterPlace | None = None

    def add(self, *events: StoredEvent) -> None:
        self.log.extend(events)
        self.added.set()
        self.added = asyncio.Event()

    def next(self, type_: str = "OrderPlaced", data: Any = None, **changes: Any) -> StoredEvent:
        event = stored(len(self.log) + 1, type_, data, **changes)
        self.add(event)
        return event

    def _ask(self, method: str, /, **what: Any) -> None:
        self.calls.append((method, what))
        if self.error is not None:
            raise self.error

    async def execute(
        self,
        command: str,
        fields: Mapping[str, Any] | bytes,
        *,
        aggregate_id: str | None = None,
        command_id: bytes | None = None,
        caller: Caller,
    ) -> CommandAnswer:
        self._ask("execute", command=command, fields=fields, aggregate_id=aggregate_id, command_id=command_id)
        if command not in self.application.commands:
            raise UnknownName(f"There is no command {command!r}. Did you mean PlaceOrder?", near="PlaceOrder")
        if isinstance(fields, bytes):
            try:
                fields = orjson.loads(fields)
            except orjson.JSONDecodeError as error:
                raise Invalid("the body is not JSON") from error
        if not isinstance(fields, dict) or fields.get("bad"):
            raise Invalid("bad fields", errors=[{"field": "bad", "message": "is bad"}])
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(fields.get("delay", self.delay))
        self.running -= 1
        assert command_id is not None
        repeated = command_id in self.seen
        self.seen.add(command_id)
        recorded = Recorded(command_id, 1, "Order", aggregate_id or "order-1", 1, len(self.log) + 1, 1, None)
        return CommandAnswer(recorded, ("OrderPlaced",), repeated)

    async def take_message(self, topic: str, value: bytes, **options: Any) -> Mapping[str, Taken | None]:
        self._ask("take_message", topic=topic, value=value, **options)
        recorded = Recorded(new_id(), 1, "Order", "order-1", 1, len(self.log) + 1, 1, None)
        answer = CommandAnswer(recorded, ("OrderPlaced",))
        return {"Bank": Taken("PayOrder", answer), "Audit": None}

    async def query(self, name: str, params: Mapping[str, Any], **options: Any) -> QueryAnswer:
        self._ask("query", name=name, params=params, **options)
        if name not in self.application.queries:
            raise UnknownName(f"There is no query {name!r}.")
        return QueryAnswer(self.rows, 7, next_cursor="abc", total=42)

    async def aggregate(
        self, aggregate_type: str, aggregate_id: str, *, version: int | None = None, at: int | None = None
    ) -> AggregateAnswer:
        self._ask("aggregate", type=aggregate_type, id=aggregate_id, version=version, at=at)
        if aggregate_id == "nobody":
            raise NotFound("There is no Order nobody.")
        return AggregateAnswer(aggregate_type, aggregate_id, version or 3, 9, {"status": "open"})

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
        self._ask(
            "events",
            after=after,
            limit=limit,
            types=types,
            aggregate_id=aggregate_id,
            correlation_id=correlation_id,
            backwards=backwards,
        )
        found = [event for event in self.log if not types or event.type in types]
        if backwards:
            return [event for event in reversed(found) if not after or event.position < after][:limit]
        return [event for event in found if event.position > after][:limit]

    async def live(self, after: int | None = None) -> AsyncIterator[Sequence[StoredEvent]]:
        self._ask("live", after=after)
        self.live_readers += 1
        try:
            position = len(self.log) if after is None else after
            while True:
                added = self.added
                page = [event for event in self.log if event.position > position][:100]
                if page:
                    position = page[-1].position
                    yield page
                    continue
                try:
                    await asyncio.wait_for(added.wait(), self.silence)
                except TimeoutError:
                    yield ()
        finally:
            self.live_readers -= 1

    async def dead_letters(self, **options: Any) -> DeadLetterPage:
        self._ask("dead_letters", **options)
        return DeadLetterPage(self.letters, {"Greeting": {"parked": len(self.letters)}}, self.next_letter)

    async def dead_letter(self, consumer: str, place: Place) -> DeadLetter:
        self._ask("dead_letter", consumer=consumer, place=place)
        if consumer != "Greeting":
            raise UnknownName(f"there is no consumer `{consumer}`", help="did you mean `Greeting`?")
        for found in self.letters:
            if found.letter[:2] == place:
                events = [event for event in self.log if ("", event.position) == place]
                return found._replace(event=events[0] if events else None)
        raise NotFound(f"{consumer} has no dead letter at {place_text(place)}")

    async def mark_dead_letters(self, consumer: str, action: str, **options: Any) -> Sequence[DeadLetter]:
        self._ask("mark_dead_letters", consumer=consumer, action=action, **options)
        return self.letters

    async def republish(self, position: int, **options: Any) -> int:
        self._ask("republish", position=position, **options)
        return 7

    async def status(self) -> Status:
        self._ask("status")
        return Status(
            application=self.application.name,
            version=self.application.version,
            store="memory",
            head=len(self.log),
            generation=self.generation,
            started_at=self.started_at,
            parts=self.parts,
            rejected=self.rejected,
        )


class Exchange:
    """One request to an ASGI application whose answer can be watched while it is written."""

    def __init__(self, app: Any, method: str, path: str, **headers: str) -> None:
        path, _, query = path.partition("?")
        raw = {"host": f"127.0.0.1:{PORT}", **BEARER, **headers}
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "scheme": "http",
            "server": ("127.0.0.1", PORT),
            "headers": [(key.replace("_", "-").encode(), value.encode()) for key, value in raw.items()],
            "extensions": {"tusk.abort": self.abort},
        }
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False
        self.aborted = False
        self.writable = asyncio.Event()
        self.writable.set()
        self.task = asyncio.create_task(app(self.scope, self.inbox.get, self.send))

    def abort(self) -> None:
        self.aborted = True

    async def send(self, message: dict[str, Any]) -> None:
        await self.writable.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {key.decode(): value.decode() for key, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.complete = not message.get("more_body", False)

    def feed(self, body: bytes, more: bool = True) -> None:
        self.inbox.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self.inbox.put_nowait({"type": "http.disconnect"})

    async def until(self, condition: Any, seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.002)

    async def end(self, seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            await self.task
