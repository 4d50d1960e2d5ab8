"""An application as pages: what it declares, with the descriptions and expressions of its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from tusk_runtime.cli.pages.blocks import Block, Book, Heading, Page, Table, Text, code, codes
from tusk_runtime.language.secrets import masked
from tusk_runtime.model.application import Aggregate, Application, Command, EventType, Projection, Query
from tusk_runtime.model.consuming import Consumer
from tusk_runtime.model.machines import effect_of
from tusk_runtime.types import ABSENT, Record

CREATES = {
    "always": "It creates a new {}, and is refused (409) where there is one already.",
    "never": "The {} must exist; it is refused (404) where there is none.",
    "either": "It creates the {} where there is none yet.",
}
RETURNS = {
    "many": "It answers a page of rows, at most {}.",
    "one": "It answers one row, or 404 where there is none.",
    "scalar": "It answers one value.",
}


def application_book(application: Application) -> Book:
    """The overview, and a page for each kind of declaration that there is."""
    pages = _Pages(application)
    kinds = [page for page in pages.kinds() if page.blocks]
    overview = Page("index", pages.name, _text(pages.tree.get("runtime")), list(pages.overview(kinds)))
    return Book(pages.name, [overview, *kinds], pages.links)


class _Pages:
    """Makes the pages. All texts come from the file's tree, in which secrets are hidden already."""

    def __init__(self, application: Application) -> None:
        self.app = application
        self.tree: dict[str, Any] = masked(application.document.root)
        runtime = _map(self.tree.get("runtime"))
        self.name = str(runtime.get("name") or application.name)
        self.links = self._links()

    def _links(self) -> dict[str, tuple[str, str]]:
        """Where each name is told; one that two kinds share leads nowhere."""
        app = self.app
        declared: Mapping[str, Mapping[str, object]] = {
            "events": app.events, "aggregates": app.aggregates, "commands": app.commands,
            "projections": app.projections, "queries": app.queries, "consumers": app.consumers,
            "types": app.types,
        }  # fmt: skip
        times = Counter(name for names in declared.values() for name in names)
        return {name: (page, name) for page, names in declared.items() for name in names if times[name] == 1}

    def of(self, kind: str, name: str) -> Mapping[str, Any]:
        """What the file says of a declaration."""
        return _map(_map(self.tree.get(kind)).get(name))

    # ---- pages ------------------------------------------------------------------------------------

    def overview(self, kinds: Sequence[Page]) -> Iterator[Block]:
        for page in kinds:
            yield Heading(2, page.title, page.name)
            rows = [
                (code(block.anchor), _text(self.of(page.name, block.anchor)))
                for block in page.blocks
                if isinstance(block, Heading) and block.level == 2
            ]
            if any(about for _, about in rows):
                yield Table(("name", "description"), rows)
            else:
                yield Text(", ".join(name for name, _ in rows) + ".")

    def kinds(self) -> Iterator[Page]:
        app = self.app
        parts: list[tuple[str, str, str, list[Block]]] = [
            ("events", "Events", "What can happen.", [b for e in app.events.values() for b in self.event(e)]),
            ("aggregates", "Aggregates", "What decides, and the states it can be in.",
             [b for a in app.aggregates.values() for b in self.aggregate(a)]),
            ("commands", "Commands", "What may be asked, and when it is refused.",
             [b for c in app.commands.values() for b in self.command(c)]),
            ("projections", "Projections", "Tables that follow the events.",
             [b for p in app.projections.values() for b in self.projection(p)]),
            ("queries", "Queries", "What may be asked of the projections.",
             [b for q in app.queries.values() for b in self.query(q)]),
            ("consumers", "Consumers", "What is done upon events.",
             [b for c in app.consumers.values() for b in self.consumer(c)]),
            ("types", "Types", "Types with a name of their own.",
             [b for name in app.types for b in self.type(name)]),
        ]  # fmt: skip
        return (Page(*part) for part in parts)

    # ---- declarations -----------------------------------------------------------------------------

    def head(self, kind: str, name: str) -> Iterator[Block]:
        yield Heading(2, code(name), name)
        about = _text(self.of(kind, name))
        if about and kind != "types":
            yield Text(about)

    def event(self, event: EventType) -> Iterator[Block]:
        app, said = self.app, self.of("events", event.name)
        category = said.get("category", event.category)
        yield from self.head("events", event.name)
        facts = {
            "Category": [str(category)] if category else [],
            "Version": [str(event.version)] if event.version > 1 else [],
            "Once called": [event.was] if event.was is not None else [],
            "Given by": [c.name for c in app.commands.values() if any(e.event == event.name for e in c.emit)],
            "Applied by": [a.name for a in app.aggregates.values() if event.name in a.on],
            "Followed by": [p.name for p in app.projections.values() if event.name in p.on],
            "Handled by": [c.name for c in app.consumers.values() if event.name in c.on],
        }
        yield from _facts(facts)
        if not event.declared:
            yield Text("Its data is any JSON: the file does not declare its fields.")
        elif not event.fields.fields:
            yield Text("It carries no data.")
        else:
            yield _fields(event.fields, said.get("fields"))

    def aggregate(self, aggregate: Aggregate) -> Iterator[Block]:
        said = self.of("aggregates", aggregate.name)
        yield from self.head("aggregates", aggregate.name)
        yield Text(
            f"Its id is of type {code(str(said.get('id', 'uuid')))}; its state is read at "
            f"{code(f'GET /api/aggregates/{aggregate.name}/{{id}}')}."
        )
        if aggregate.state.fields:
            yield Heading(3, "State", f"{aggregate.name}-state")
            yield _fields(aggregate.state, said.get("state"), given=False)
        commands = [c for c in self.app.commands.values() if c.aggregate == aggregate.name]
        if aggregate.machine is not None:
            yield Heading(3, "State machine", f"{aggregate.name}-machine")
            yield Text(
                f"The field {code(aggregate.machine)}; a new one is {code(str(aggregate.initial_state))}."
            )
        elif commands:
            yield Heading(3, "Commands", f"{aggregate.name}-commands")
        if commands:
            yield _table(("from", "command", "events", "to"), [_step(c, aggregate) for c in commands])
        if aggregate.on:
            yield Heading(3, "What events change", f"{aggregate.name}-on")
            changes = _map(said.get("on"))
            yield Table(
                ("event", "changes"), [(code(name), _assignments(changes.get(name))) for name in aggregate.on]
            )

    def command(self, command: Command) -> Iterator[Block]:
        said = self.of("commands", command.name)
        yield from self.head("commands", command.name)
        way = "It has no endpoint." if command.internal else f"{code(f'POST /api/commands/{command.name}')}."
        yield Text(f"{way} {CREATES[command.creates].format(code(command.aggregate))}")
        if command.id is not None:
            yield Text(f"Which one is meant says {code(_word(said.get('id')))}.")
        elif command.needs_aggregate_id:
            yield Text("Which one is meant says `aggregate_id`, beside the fields.")
        if command.fields.fields:
            yield _fields(command.fields, said.get("fields"))
        rules = [("who may (403)", code(_word(said["allow"])), "")] if "allow" in said else []
        if command.from_states:
            rules.append(("state (409)", codes(command.from_states), ""))
        rules += [
            ("rule (409)", code(_word(rule.get("check"))), _word(rule.get("message", "")))
            for rule in map(_map, _list(said.get("require")))
        ]
        if rules:
            yield Heading(3, "Rules", f"{command.name}-rules")
            yield _table(("what", "must hold", "message"), rules)
        if command.emit:
            yield Heading(3, "Events", f"{command.name}-events")
            yield _table(("event", "when", "for each", "data"), [_emit(e) for e in _list(said.get("emit"))])

    def projection(self, projection: Projection) -> Iterator[Block]:
        said = self.of("projections", projection.name)
        yield from self.head("projections", projection.name)
        indexes = ["(" + ", ".join(index) + ")" for index in projection.indexes]
        readers = [q.name for q in self.app.queries.values() if q.projection == projection.name]
        yield from _facts({"Key": list(projection.key), "Indexes": indexes, "Read by": readers})
        yield _fields(projection.columns, said.get("columns"), given=False, head="column")
        handlers = _map(said.get("on"))
        if handlers:
            yield Heading(3, "What events do", f"{projection.name}-on")
            rows = [_operation(event, _map(one)) for event, each in handlers.items() for one in _list(each)]
            yield _table(("event", "does", "columns", "only"), rows)

    def query(self, query: Query) -> Iterator[Block]:
        said = self.of("queries", query.name)
        yield from self.head("queries", query.name)
        yield Text(
            f"{code(f'GET /api/queries/{query.name}')}. It reads {code(query.projection)}. "
            + RETURNS[query.returns].format(query.limit)
        )
        if query.params.fields:
            yield Heading(3, "Parameters", f"{query.name}-parameters")
            yield _fields(query.params, said.get("params"), head="parameter")
        conditions = [
            (label, _assignments(said[key])) for key, label in (("where", "rows"), ("search", "search"))
            if key in said
        ]  # fmt: skip
        order = [f"{'-' if descending else ''}{column}" for column, descending in query.order_by]
        conditions += [("order", codes(order))] if "order_by" in said else []
        conditions += [("who may (403)", code(_word(said["allow"])))] if "allow" in said else []
        if conditions:
            yield Heading(3, "Which rows", f"{query.name}-rows")
            yield Table(("what", "says"), conditions)
        yield Heading(3, "Answer", f"{query.name}-answer")
        selected = said.get("select")
        columns = _map(self.of("projections", query.projection).get("columns"))
        rows = [
            (code(name), code(str(field.type)), code(_word(_map(selected).get(name, columns.get(name, "")))))
            for name, field in query.columns.fields.items()
        ]
        yield _table(("column", "type", "as the file says"), rows)

    def consumer(self, consumer: Consumer) -> Iterator[Block]:
        said = self.of("consumers", consumer.name)
        yield from self.head("consumers", consumer.name)
        retry = consumer.retry
        times = f"is tried {retry.attempts} times" if retry.attempts > 1 else "is tried once"
        end = "the aggregate's events wait, and the others go on" if consumer.dead_letter else "it stops"
        yield Text(
            f"Its progress is kept under {code(consumer.group)}. "
            f"What fails for technical reasons {times}; then {end}."
        )
        handlers = _map(said.get("on")).items()
        rows = [_action(event, _map(one)) for event, each in handlers for one in _list(each)]
        if rows:
            yield Heading(3, "What it does", f"{consumer.name}-on")
            yield _table(("event", "does", "with", "only"), rows)
        if consumer.accept:
            yield Heading(3, "What it accepts", f"{consumer.name}-accept")
            rows = [_rule(_map(one)) for one in _list(said.get("accept"))]
            yield _table(("topic", "only", "does", "with", "message"), rows)

    def type(self, name: str) -> Iterator[Block]:
        said = _map(self.tree.get("types")).get(name)
        record = self.app.types[name].record
        yield from self.head("types", name)
        if record is not None and isinstance(said, Mapping):
            yield _fields(record, said)
        else:
            yield Text(code(_word(said)))


# ---- pieces ---------------------------------------------------------------------------------------


def _map(value: Any) -> Mapping[str, Any]:
    """A map without the variables that are defined in it."""
    named = value.items() if isinstance(value, Mapping) else ()
    return {name: inner for name, inner in named if not name.startswith("$")}


def _list(value: Any) -> list[Any]:
    """One value where a list is expected is a list of one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(declared: Any) -> str:
    """The description of a declaration."""
    about = _map(declared).get("description")
    return " ".join(about.split()) if isinstance(about, str) else ""


def _word(value: Any) -> str:
    """A value of the file on one line."""
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _facts(facts: Mapping[str, Sequence[str]]) -> Iterator[Block]:
    told = [f"{what}: {codes(names)}." for what, names in facts.items() if names]
    if told:
        yield Text(" ".join(told))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without the columns that hold nothing."""
    kept = [at for at in range(len(head)) if any(row[at] for row in rows)]
    return Table([head[at] for at in kept], [[row[at] for at in kept] for row in rows])


def _fields(record: Record, said: Any, *, given: bool = True, head: str = "field") -> Table:
    """The fields of a record with their types as the file writes them."""
    rows = []
    for name, field in record.fields.items():
        must = "required" if field.required else "optional" if field.default is ABSENT else "has a default"
        row = (code(name), code(_word(_map(said).get(name, str(field.type)))))
        rows.append((*row, must) if given else row)
    return Table((head, "type", "given") if given else (head, "type"), rows)


def _assignments(said: Any) -> str:
    """Each key of a map with its value, a line each."""
    if not isinstance(said, Mapping):
        return code(_word(said)) if said is not None else "nothing"
    return "\n".join(code(f"{name}: {_word(value)}") for name, value in _map(said).items()) or "nothing"


def _step(command: Command, aggregate: Aggregate) -> tuple[str, ...]:
    """A command of an aggregate: from which states, with which events, to which states."""
    effect = effect_of(command, aggregate)
    to = "any state" if effect.ends is None else codes(sorted(effect.ends))
    if effect.stays and aggregate.machine is not None:
        to = f"{to}, or as it was" if to else "as it was"
    start = codes(command.from_states) or ("nothing" if command.creates == "always" else "any")
    return start, code(command.name), codes([emit.event for emit in command.emit]), to


def _emit(said: Any) -> tuple[str, ...]:
    """A line of `emit`."""
    if not isinstance(said, Mapping):
        return code(_word(said)), "", "", "from the command's fields"
    loop = code(_word(said["for_each"])) if "for_each" in said else ""
    when = code(_word(said["when"])) if "when" in said else ""
    data = _assignments(said["data"]) if "data" in said else "from the command's fields"
    return code(_word(said.get("event"))), when, loop, data


def _operation(event: str, said: Mapping[str, Any]) -> tuple[str, ...]:
    """An operation of a projection on an event."""
    kind = next((kind for kind in ("insert", "upsert", "update", "delete") if kind in said), "")
    only = [code(f"{key}: {_word(said[key])}") for key in ("where", "when", "for_each") if key in said]
    return code(event), kind, "" if kind == "delete" else _assignments(said.get(kind)), "\n".join(only)


def _rule(said: Mapping[str, Any]) -> tuple[str, ...]:
    """A rule of a consumer for messages from outside."""
    topic = code(_word(said["topic"])) if "topic" in said else "any"
    only = code(f"when: {_word(said['when'])}") if "when" in said else ""
    if "send" not in said:
        return topic, only, "nothing", "", ""
    fields = _assignments(said["with"]) if "with" in said else "from the message's fields"
    return topic, only, f"send {code(_word(said['send']))}", fields, _assignments(said.get("message", "json"))


def _action(event: str, said: Mapping[str, Any]) -> tuple[str, ...]:
    """An action of a consumer on an event."""
    only = [code(f"{key}: {_word(said[key])}") for key in ("when", "for_each") if key in said]
    if "log" in said:
        line = said["log"]
        return code(event), "log", _assignments(line), "\n".join(only)
    if "email" in said:
        return code(event), "email", _assignments(said["email"]), "\n".join(only)
    if "http" in said:
        call = _map(said["http"])
        body = next((key for key in ("json", "form", "body") if key in call), None)
        method = call.get("method", "POST" if body else "GET")
        address = f"{_word(method)} {_word(call.get('url'))}"
        return (
            code(event),
            f"http {code(address)}",
            "" if body is None else _assignments(call[body]),
            "\n".join(only),
        )
    if "publish" in said:
        message = _map(said["publish"])
        topic = code(_word(message.get("topic")))
        return code(event), f"publish to {topic}", _assignments(message.get("value")), "\n".join(only)
    if "call" in said:
        arguments = _assignments(said["with"]) if "with" in said else ""
        return code(event), f"call {code(_word(said['call']))}", arguments, "\n".join(only)
    fields = _assignments(said["with"]) if "with" in said else "from the event's fields"
    return code(event), f"send {code(_word(said.get('send')))}", fields, "\n".join(only)
