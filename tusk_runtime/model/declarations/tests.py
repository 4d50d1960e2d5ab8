"""`[tests.*]`: given these events, when this happens, then that must be so."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tusk_runtime.clock import to_microseconds
from tusk_runtime.language.diagnostics import Code
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.model.application import Expected, Step, TestCase
from tusk_runtime.model.codes import BAD_TEST, UNDECLARED_COMMAND
from tusk_runtime.model.configuration import Settings
from tusk_runtime.model.context import Building, suggest
from tusk_runtime.model.declarations.arriving import MESSAGE_KEYS, read_message
from tusk_runtime.model.declarations.leaving import ANSWER_KEYS, CALL_KEYS, read_answers, read_calls
from tusk_runtime.model.declarations.topics import Publishing
from tusk_runtime.model.kafka import categories
from tusk_runtime.model.named_types import is_open
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.types import DURATION, Record, read_value

QUERY_KEYS = (
    DESCRIPTION,
    Key("params", "map", "What the query is asked with."),
    Key("rows", "rows", "What it answers: a list of rows, the one row, or the value.", required=True),
)
BY_KEYS = (
    Key("user_id", "text", "Who asks."),
    Key("roles", "names", "The caller's roles."),
    Key("tenant_id", "text", "The caller's tenant."),
)
THEN_KEYS = (
    DESCRIPTION,
    Key("events", "events", "Exactly these since `given`, in order; a list in place of the map means this."),
    Key("includes", "events", "At least these, in order."),
    Key(
        "rejected",
        "`true` or text",
        "The last command is refused, or the last message not taken; with this in the reason.",
    ),
    Key("state", "list of aggregates", "The state of aggregates."),
    Key("rows", "projection → rows", "All rows of a projection, in any order."),
    Key("query", "query → `params`, `rows`", "What a query answers.", keys=QUERY_KEYS),
    Key("sends", "list", "The commands that were sent.", later=True),
    Key(
        "dead_letters",
        "number",
        "How many events and messages could not be handled. Where nothing is said, every message is taken.",
    ),
    Key(
        "calls",
        "list of calls",
        "Exactly these leave the application, in order: calls, e-mails, messages to topics, and functions "
        "that are called.",
        keys=CALL_KEYS,
    ),
    Key("saga", "saga → state", "The states of sagas.", later=True),
)
WHEN_KEYS = (
    Key("message", "map", "What others write to a topic.", keys=MESSAGE_KEYS),
    Key("after", "duration", "So much time passes."),
)
KEYS = (
    DESCRIPTION,
    Key("given", "events", "What has happened before, as facts."),
    Key(
        "when",
        "commands, events, `message`, `after`",
        'What happens; `after: "2d"` lets time pass.',
        keys=WHEN_KEYS,
    ),
    Key("then", "events, or a map of expectations", "What must be so.", required=True, keys=THEN_KEYS),
    Key("now", "datetime", "The time at which the test begins; 2026-01-01T00:00:00Z where nothing is said."),
    Key(
        "by",
        "map",
        "The caller: `user_id`, `roles`, `tenant_id`; an admin where nothing is said.",
        keys=BY_KEYS,
    ),
    Key(
        "answers",
        "address → answer, or a list of them",
        "What a call gets; of a list one after the other, and the last one again and again. All others get "
        "200 and `{}`.",
        keys=ANSWER_KEYS,
    ),
    Key("off", "names", "What is left out.", later=True),
)
START = to_microseconds(datetime(2026, 1, 1, tzinfo=UTC))
BESIDE = ("aggregate_id",)
"""What may stand beside the fields of an event, a command or a state."""


def read(b: Building, settings: Settings) -> dict[str, TestCase]:
    """All tests by name."""
    found = {}
    publishing = Publishing(b, settings.kafka, categories(b))
    for entry, node in b.declarations("tests"):
        reader = Reader(node, KEYS, f"the test `{entry.key}`", b.problems, entry.key_span)
        found[entry.key] = _Case(publishing, reader).read(entry.key)
    return found


class _Case:
    """One test that is being read."""

    def __init__(self, publishing: Publishing, reader: Reader) -> None:
        self.publishing = publishing
        self.b = publishing.b
        self.problems = self.b.problems
        self.reader = reader

    def read(self, name: str) -> TestCase:
        """The test, with problems noted."""
        reader = self.reader
        given = tuple(self._steps("given", events_only=True))
        when = tuple(self._steps("when", events_only=False))
        node = reader.node_of("then")
        events: tuple[Expected, ...] | None = None
        then = Reader(MapNode({}, reader.head), (), "`then`", self.problems, reader.head)
        if isinstance(node, MapNode):
            then = Reader(
                node, THEN_KEYS, f"`then` of {reader.what}", self.problems, reader.span_of("then"),
                "a list of events, or a map with `events`, `rejected`, `state`, `rows`, `query` or `calls`",
            )  # fmt: skip
            if "events" in then:
                events = tuple(self._expected(then, "events", "events"))
        elif node is not None:
            events = tuple(self._events(node, f"`then` of {reader.what}"))
        return TestCase(
            name,
            given,
            when,
            events,
            tuple(self._expected(then, "includes", "events")),
            self._rejected(then),
            tuple(self._expected(then, "state", "aggregates")),
            tuple(self._expected(then, "rows", "projections")),
            tuple(self._expected(then, "query", "queries")),
            self._dead_letters(then),
            read_calls(then),
            read_answers(reader),
            self._now(),
            self._by(),
            reader.head,
        )

    # ---- what happens -----------------------------------------------------------------------------

    def _steps(self, key: str, *, events_only: bool) -> Iterator[Step]:
        node = self.reader.node_of(key)
        for entry in () if node is None else self._named(node, f"`{key}` of {self.reader.what}", "Name"):
            step = self._step(entry, events_only)
            if step is not None:
                yield step

    def _step(self, entry: Entry, events_only: bool) -> Step | None:
        b, name = self.b, entry.key
        if name == "message" and not events_only:
            return read_message(self.publishing, entry, f"`when` of {self.reader.what}")
        if name == "after" and not events_only:
            self._check_duration(entry)
            return Step("after", "after", entry.node, entry.key_span)
        if name in b.commands and not events_only:
            command = b.commands[name]
            beside = BESIDE if command.takes_aggregate_id else ()
            self._check_fields(entry.node, command.fields, f"the command `{name}`", beside)
            return Step("command", name, entry.node, entry.key_span)
        if name in b.events:
            event = b.events[name]
            unread = any(kind in ("handlers", "aggregates") for kind, _ in b.broken)
            if not unread and not any(name in handled for handled in b.handled.values()):
                advice = f"let an aggregate apply it: `on: {{ {name}: {{}} }}`"
                self._error(
                    BAD_TEST, entry, f"no aggregate applies `{name}`, so it cannot happen here", advice
                )
                return None
            if event.declared:
                self._check_fields(entry.node, event.fields, f"the event `{name}`", BESIDE)
            return Step("event", name, entry.node, entry.key_span)
        if ("events", name) in b.broken or ("commands", name) in b.broken:
            return None
        if events_only and name in b.commands:
            self._error(
                BAD_TEST,
                entry,
                f"`{name}` is a command, and `given` takes events",
                "give the events that it leads to, or put it first in `when`",
            )
        elif events_only and name == "message":
            self._error(BAD_TEST, entry, "`given` takes events, no messages", "put it first in `when`")
        elif events_only:
            b.find("events", name, entry.key_span)
        else:
            known = [*b.commands, *b.events, "message", "after"]
            advice = suggest(name, known, "the application")
            self._error(UNDECLARED_COMMAND, entry, f"no command or event `{name}` is declared", advice)
        return None

    def _check_duration(self, entry: Entry) -> None:
        value = entry.node.plain()
        try:
            if not isinstance(value, str):
                raise ValueError
            read_value(DURATION, value)
        except ValueError:
            wrong_type(
                self.problems, entry.node, "`after`", 'a duration in quotes, such as `"2d"` or `"90s"`'
            )

    # ---- what must be so --------------------------------------------------------------------------

    def _expected(self, then: Reader, key: str, kind: str) -> Iterator[Expected]:
        """What a key of `then` expects of declarations of a kind."""
        node = then.node_of(key)
        if node is None:
            return
        what = f"`{key}` of {then.what}"
        if kind == "events":
            yield from self._events(node, what)
            return
        for entry in self._named(node, what, "Name"):
            found: Any = self.b.find(kind, entry.key, entry.key_span)
            if found is None:
                continue
            if kind == "aggregates":
                self._check_fields(entry.node, found.state, f"the state of `{found.name}`", BESIDE)
            elif kind == "projections":
                self._check_rows(entry.node, found.columns, f"the projection `{found.name}`")
            else:
                self._check_query(entry, found.params, found.columns, found.returns)
            yield Expected(found.name, entry.node, entry.key_span)

    def _events(self, node: Node, what: str) -> Iterator[Expected]:
        for entry in self._named(node, what, "Event"):
            event = self.b.find("events", entry.key, entry.key_span)
            if event is None:
                continue
            if event.declared:
                self._check_fields(entry.node, event.fields, f"the event `{event.name}`", BESIDE)
            yield Expected(event.name, entry.node, entry.key_span)

    def _check_query(self, entry: Entry, params: Record, columns: Record, returns: str) -> None:
        what = f"the query `{entry.key}`"
        if not isinstance(entry.node, MapNode):
            wrong_type(
                self.problems, entry.node, f"`query` `{entry.key}`", "`{ params: { … }, rows: [ … ] }`"
            )
            return
        reader = Reader(entry.node, QUERY_KEYS, f"the test of {what}", self.problems, entry.key_span)
        asked = reader.map("params")
        if asked is not None:
            self._check_fields(asked, params, what, (), "parameter")
        rows = reader.node_of("rows")
        if rows is not None and returns != "scalar":
            self._check_rows(rows, columns, what)

    def _check_rows(self, node: Node, columns: Record, what: str) -> None:
        for row in items_of(node):
            if isinstance(row, MapNode):
                self._check_fields(row, columns, what, (), "column")
            else:
                wrong_type(self.problems, row, f"a row of {what}", "a map of columns, or a list of such maps")

    def _check_fields(
        self, node: Node, record: Record, what: str, beside: Collection[str], one: str = "field"
    ) -> None:
        """Fields that do not exist can neither be given nor expected."""
        if is_open(record) or (isinstance(node, ScalarNode) and node.value is None):
            return
        if not isinstance(node, MapNode):
            wrong_type(self.problems, node, what, f"a map of its {one}s `{{ … }}`")
            return
        for entry in node:
            if entry.key not in record.fields and entry.key not in beside:
                advice = suggest(entry.key, [*record.fields, *beside], what)
                self._error(BAD_TEST, entry, f"{what} has no {one} `{entry.key}`", advice)

    def _rejected(self, then: Reader) -> Node | None:
        node = then.node_of("rejected")
        if node is None:
            return None
        if isinstance(node, ScalarNode) and (node.value is True or isinstance(node.value, str)):
            return node
        wrong_type(self.problems, node, f"`rejected` of {then.what}", "`true`, or a part of the message")
        return None

    def _dead_letters(self, then: Reader) -> Expected | None:
        node = then.node_of("dead_letters")
        before = len(self.problems)
        count = then.integer("dead_letters", 0, 0, 1_000_000)
        if node is None or len(self.problems) > before:
            return None
        return Expected(str(count), node, then.span_of("dead_letters"))

    # ---- around -----------------------------------------------------------------------------------

    def _named(self, node: Node, what: str, name: str) -> Iterator[Entry]:
        """The entries of a map, or of a list of maps; a bare name stands for itself."""
        for item in items_of(node):
            if isinstance(item, ScalarNode) and isinstance(item.value, str):
                yield Entry(item.value, item.span, MapNode({}, item.span))
            elif isinstance(item, MapNode):
                yield from item
            else:
                wrong_type(self.problems, item, what, f"a name, or `{{ {name}: {{ … }} }}`")

    def _now(self) -> int:
        text = self.reader.text("now")
        if not text:
            return START
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            node = self.reader.node_of("now")
            assert node is not None  # noqa: S101 - the text came from it
            expected = "a datetime with an offset, such as `2026-01-01T00:00:00Z`"
            wrong_type(self.problems, node, f"`now` of {self.reader.what}", expected)
            return START
        return to_microseconds(moment)

    def _by(self) -> Mapping[str, Any] | None:
        node = self.reader.map("by")
        if node is None:
            return None
        caller = Reader(
            node, BY_KEYS, f"`by` of {self.reader.what}", self.problems, self.reader.span_of("by")
        )
        found: dict[str, Any] = {"roles": [str(role.value) for role in caller.texts("roles")]}
        for key in ("user_id", "tenant_id"):
            if key in caller:
                found[key] = caller.text(key) or None
        return found

    def _error(self, code: Code, entry: Entry, message: str, advice: str) -> None:
        self.problems.error(code, entry.key_span, message, help=advice)
