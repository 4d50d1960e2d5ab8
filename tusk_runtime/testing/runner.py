"""Runs one declared test: the whole application in memory, on a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any

from tusk_runtime.aggregates.fold import EventCodec, codecs_of
from tusk_runtime.clock import VirtualClock
from tusk_runtime.consumers.outside import Recorded
from tusk_runtime.errors import Refused, TuskError
from tusk_runtime.events import Caller, StoredEvent, new_id
from tusk_runtime.language.document import ListNode, MapNode, Node, ScalarNode
from tusk_runtime.model.application import Application, Expected, Step, TestCase
from tusk_runtime.projections.fold import RowCodec, table_of
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.protocol import Decision, NewEvent, Store, StreamId
from tusk_runtime.testing.arriving import message_of
from tusk_runtime.testing.leaving import Answers, differences
from tusk_runtime.testing.values import ABSENT, Difference, compare, person, prepared, wanted
from tusk_runtime.types import DURATION, Record, Type, Validator

ADMIN = Caller(user_id="test", roles=("admin",))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a test. It passed if there is no difference. `seconds` is its real time."""

    case: TestCase
    differences: Sequence[Difference]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.differences


async def run_case(application: Application, case: TestCase) -> Outcome:
    """Run a test. Never raises for what the test does."""
    begin = perf_counter()
    stage = _Stage(application, case)
    try:
        found = await stage.run()
    except TuskError as error:
        found = [Difference("", "the test runs", str(error), case.span)]
    return Outcome(case, found, perf_counter() - begin)


class _Stage:
    """The application while one test runs on it."""

    def __init__(self, application: Application, case: TestCase) -> None:
        self._application = application
        self._case = case
        self._clock = VirtualClock(case.now)
        self._store: Store = memory_store()
        self._outside = Recorded(Answers(case.answers))
        self._runtime = Runtime(
            application, self._store, self._clock, publishing=False, outside=self._outside
        )
        self._codecs: Mapping[str, EventCodec] = codecs_of(application)
        self._caller = _caller(case.by)
        self._refusal: tuple[str, str] | None = None
        self._messages = 0
        self._not_taken = 0
        self._wrong: list[Difference] = []

    async def run(self) -> list[Difference]:
        await self._runtime.start()
        try:
            for step in self._case.given:
                await self._event(step)
            await self._runtime.settle()
            before = await self._store.events.head()
            left = len(self._outside.left)
            for step in self._case.when:
                await self._step(step)
                await self._runtime.settle()  # what follows upon it comes before the next one, as it would
            if not self._wrong:
                await self._check(before)
                if self._case.calls is not None:
                    self._wrong.extend(
                        differences(self._case.calls, self._outside.left[left:], self._case.span)
                    )
        finally:
            await self._runtime.stop()
        return self._wrong

    async def _step(self, step: Step) -> None:
        self._refusal = None
        if step.kind == "event":
            await self._event(step)
        elif step.kind == "after":
            duration = wanted(step.fields, DURATION) if step.fields is not None else None
            if not isinstance(duration, timedelta):
                self._differ("after", "a duration such as 2d", duration, step)
                return
            self._clock.advance(duration)
        elif step.kind == "message":
            await self._message(step)
        else:
            await self._command(step)

    def _differ(self, path: str, expected: Any, actual: Any, at: Step | Expected) -> None:
        self._wrong.append(Difference(path, expected, actual, at.span))

    def _default_id(self, aggregate_type: str) -> str:
        kind = self._application.aggregates[aggregate_type].id.kind
        return person(aggregate_type) if kind == "uuid" else "1" if kind == "integer" else aggregate_type

    def _id(self, given: Any, aggregate_type: str) -> str:
        if given is None:
            return self._default_id(aggregate_type)
        return str(prepared(given, self._application.aggregates[aggregate_type].id))

    async def _event(self, step: Step) -> None:
        """Store an event as a fact."""
        event = self._application.events[step.name]
        owner = next((a.name for a in self._application.aggregates.values() if step.name in a.on), None)
        if owner is None:
            self._differ(step.name, "an aggregate that applies the event", "none", step)
            return
        fields = _plain(step.fields)
        stream = StreamId(owner, self._id(fields.pop("aggregate_id", None), owner))
        type_ = Type("record", record=event.fields)
        try:
            data = (
                Validator(event.fields, "forbid").python(prepared(fields, type_))
                if event.declared
                else fields
            )
        except Refused as refusal:
            self._differ(step.name, "data that fits the event", _told(refusal), step)
            return
        past = await self._store.events.read_stream(stream)
        decision = Decision(
            new_id(),
            0,
            stream.aggregate_type,
            stream.aggregate_id,
            len(past),
            self._clock.now(),
            b"{}",
            [NewEvent(event.stored_type, self._codecs[step.name].encode(data))],
        )
        await self._store.events.append([decision])

    async def _command(self, step: Step) -> None:
        command = self._application.commands[step.name]
        fields = _plain(step.fields)
        given = fields.pop("aggregate_id", None)
        aggregate_id = self._id(given, command.aggregate) if command.takes_aggregate_id else given
        type_ = Type("record", record=command.fields)
        try:
            await self._runtime.execute(
                step.name,
                prepared(fields, type_),
                aggregate_id=aggregate_id,
                caller=self._caller,
                internal=True,
            )
        except Refused as refusal:
            self._refusal = (refusal.message, _told(refusal))
            if self._case.rejected is None or step is not self._case.when[-1]:
                self._differ(step.name, "accepted", f"refused: {_told(refusal)}", step)

    async def _message(self, step: Step) -> None:
        """Hand over a message; where the test says how many dead letters there are, it may be one."""
        self._messages += 1
        try:
            message = message_of(step, self._messages, self._application, self._clock.now())
            await self._runtime.take_message(
                message.topic, message.value or b"", key=message.key, headers=message.headers
            )
        except Refused as refusal:
            self._not_taken += 1
            self._refusal = (refusal.message, _told(refusal))
            case = self._case
            if case.dead_letters is None and (case.rejected is None or step is not case.when[-1]):
                self._differ(f"message of {step.name}", "taken", f"not taken: {_told(refusal)}", step)

    async def _check_dead_letters(self, expected: Expected) -> None:
        counts = await self._store.deliveries.counts()
        kept = sum(each.get("parked", 0) + each.get("refused", 0) for each in counts.values())
        if kept + self._not_taken != int(expected.name):
            self._differ("dead_letters", int(expected.name), kept + self._not_taken, expected)

    async def _check(self, before: int) -> None:
        case = self._case
        stored = [
            event for event in await self._store.events.read(before, limit=10_000) if self._counts(event)
        ]
        if case.rejected is not None:
            self._check_rejected(case.rejected)
        if case.events is not None:
            for index in range(max(len(case.events), len(stored))):
                path = f"events[{index}]"
                if index >= len(case.events):
                    self._wrong.append(Difference(path, ABSENT, self._shown(stored[index]), case.span))
                elif index >= len(stored):
                    self._differ(path, case.events[index].name, ABSENT, case.events[index])
                else:
                    self._wrong.extend(self._event_differences(case.events[index], stored[index], path))
        rest = list(stored)
        for expected in case.includes:
            while rest and self._event_differences(expected, rest[0], ""):
                rest.pop(0)
            if not rest:
                self._differ("includes", expected.name, ABSENT, expected)
                break
            rest.pop(0)
        for expected in case.state:
            await self._check_state(expected)
        for expected in case.rows:
            await self._check_rows(expected)
        for expected in case.query:
            await self._check_query(expected)
        if case.dead_letters is not None:
            await self._check_dead_letters(case.dead_letters)

    def _counts(self, stored: StoredEvent) -> bool:
        """Whether an event is compared: the runtime's own are where the test names them."""
        named = {expected.name for expected in (*(self._case.events or ()), *self._case.includes)}
        return stored.type in named or not self._application.gives(stored.type)

    def _check_rejected(self, node: Node) -> None:
        text = node.value if isinstance(node, ScalarNode) else True
        if self._refusal is None:
            self._wrong.append(Difference("rejected", text, "accepted", node.span))
        elif isinstance(text, str) and text not in self._refusal[1]:
            self._wrong.append(Difference("rejected", text, self._refusal[1], node.span))

    def _event_differences(self, expected: Expected, stored: StoredEvent, path: str) -> list[Difference]:
        name, _ = self._application.stored.shown(stored.type)
        if expected.name != name:
            return [Difference(path, expected.name, self._shown(stored), expected.span)]
        event = self._application.events[name]
        actual = dict(self._codecs[name].decode(stored.data))
        fields = Record(event.name, event.fields.fields)
        found = []
        node = expected.node
        if isinstance(node, MapNode) and "aggregate_id" in node:
            entry = node.entries["aggregate_id"]
            wanted_id = self._id(entry.node.plain(), stored.aggregate_type)
            if wanted_id != stored.aggregate_id:
                found.append(
                    Difference(f"{path}.aggregate_id", wanted_id, stored.aggregate_id, entry.key_span)
                )
            node = MapNode({k: e for k, e in node.entries.items() if k != "aggregate_id"}, node.span)
        if not (isinstance(node, ScalarNode) and node.value is None):
            found.extend(compare(node, Type("record", record=fields), actual, path, expected.span))
        return found

    def _shown(self, stored: StoredEvent) -> str:
        return f"{self._application.stored.shown(stored.type)[0]} {stored.data.decode()}"

    async def _check_state(self, expected: Expected) -> None:
        aggregate = self._application.aggregates[expected.name]
        node = expected.node
        entries = dict(node.entries) if isinstance(node, MapNode) else {}
        id_entry = entries.pop("aggregate_id", None)
        aggregate_id = self._id(id_entry.node.plain() if id_entry else None, aggregate.name)
        try:
            answer = await self._runtime.aggregate(aggregate.name, aggregate_id)
        except Refused as refusal:
            self._differ(f"state {aggregate.name}", "there", refusal.message, expected)
            return
        type_ = Type("record", record=aggregate.state)
        self._wrong.extend(
            compare(MapNode(entries, node.span), type_, answer.state, aggregate.name, expected.span)
        )

    async def _check_rows(self, expected: Expected) -> None:
        projection = self._application.projections[expected.name]
        codec, table = RowCodec(projection), table_of(projection)
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        sql = f'SELECT {names} FROM "{table.name}"'  # noqa: S608 - names are checked at load
        actual = [codec.decode(row) for row in await self._store.read_models.select(sql, (), timeout=5.0)]
        type_ = Type("record", record=projection.columns)
        items = expected.node.items if isinstance(expected.node, ListNode) else (expected.node,)
        left = list(actual)
        for index, item in enumerate(items):
            path = f"{expected.name}[{index}]"
            options = [(list(compare(item, type_, row, path, expected.span)), row) for row in left]
            if not options:
                self._wrong.append(Difference(path, item.plain(), ABSENT, item.span))
                continue
            differences, row = min(options, key=lambda option: len(option[0]))
            left.remove(row)
            self._wrong.extend(differences)
        for row in left:
            self._differ(expected.name, ABSENT, row, expected)

    async def _check_query(self, expected: Expected) -> None:
        query = self._application.queries[expected.name]
        node = expected.node
        params_node = node.get("params") if isinstance(node, MapNode) else None
        rows_node = node.get("rows") if isinstance(node, MapNode) else None
        params = prepared(_plain(params_node), Type("record", record=query.params))
        try:
            answer = await self._runtime.query(expected.name, params, caller=self._caller)
        except Refused as refusal:
            self._differ(f"query {expected.name}", "an answer", _told(refusal), expected)
            return
        row = Type("record", record=query.columns)
        type_ = {"many": Type("list", item=row), "one": row}.get(query.returns)
        if type_ is None:
            type_ = next(iter(query.columns.fields.values())).type
        if rows_node is not None:
            self._wrong.extend(compare(rows_node, type_, answer.rows, expected.name, expected.span))


def _plain(node: Node | None) -> dict[str, Any]:
    found = node.plain() if isinstance(node, MapNode) else {}
    return dict(found)


def _caller(by: Mapping[str, Any] | None) -> Caller:
    if by is None:
        return ADMIN
    roles = by.get("roles", ())
    return Caller(
        by.get("user_id"), tuple(roles) if isinstance(roles, list) else (str(roles),), by.get("tenant_id")
    )


def _told(refusal: Refused) -> str:
    """The refusal with the fields that it names."""
    errors = refusal.details.get("errors") or ()
    parts = [f"`{e.get('field')}` {e.get('message')}" for e in errors if isinstance(e, Mapping)]
    return refusal.message + (": " + "; ".join(parts) if parts else "")
