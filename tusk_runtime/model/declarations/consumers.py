"""`[consumers.*]`: what is done upon events, behind the log."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, cast, get_args

from tusk_runtime.language.document import Entry
from tusk_runtime.model.application import EventType
from tusk_runtime.model.codes import BAD_NAME, BAD_VALUE, MISSING_KEY, SAME_NAME, UNDECLARED_EVENT
from tusk_runtime.model.configuration import Settings
from tusk_runtime.model.consuming import Accept, Action, Backoff, Consumer, Email, Http, Publish, Retry, Send
from tusk_runtime.model.context import Building
from tusk_runtime.model.declarations.accepting import ACCEPT_KEYS, check_reached, read_accept
from tusk_runtime.model.declarations.actions import ACTION_KEYS, Upon, read_actions
from tusk_runtime.model.declarations.projections import id_of
from tusk_runtime.model.declarations.topics import Publishing, read_topics, sources
from tusk_runtime.model.definitions import definition_hash, event_definition
from tusk_runtime.model.kafka import categories
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader
from tusk_runtime.model.scopes import consumer_scope, event_data

RETRY_KEYS = (
    DESCRIPTION,
    Key("attempts", "number", "How often it is tried in all; 5, at most 1000."),
    Key("delay", "duration", "How long to wait before the second time; `1s`."),
    Key(
        "backoff",
        "`fixed`, `linear` or `exponential`",
        "How the wait grows: not at all, by `delay` each time, or to twice as much; `exponential`.",
    ),
    Key("max_delay", "duration", "The longest wait; `60s`, or `delay` where that is longer."),
    Key(
        "jitter",
        "`true` or `false`",
        "Whether a wait ends somewhere in its second half, so that not all come back together; `true`.",
    ),
)
KEYS = (
    DESCRIPTION,
    Key(
        "on",
        "event → actions",
        "What is done upon each event: an action, or a list, done in its order.",
        keys=ACTION_KEYS,
    ),
    Key("group", "name", "The name under which its progress is kept; its own where nothing is said."),
    Key("concurrency", "number", "Of how many aggregates events are handled at a time; 8, at most 64."),
    Key("batch_size", "number", "How many events are read at a time; 500, at most 10000."),
    Key("timeout", "duration", "How long all actions of one event may take; `30s`."),
    Key("retry", "map", "How what failed for technical reasons is tried again.", keys=RETRY_KEYS),
    Key(
        "dead_letter",
        "`true` or `false`",
        "Whether an event that failed for good is parked and the others go on; `false`: the consumer stops "
        "there. `true`, or what `error_handling` of `[event_consumer]` says.",
    ),
    Key(
        "on_refused",
        "`dead_letter` or `ignore`",
        "What becomes of a command that is refused: it is kept as a dead letter, behind which nothing waits, "
        "or it is forgotten; `dead_letter`.",
    ),
    Key(
        "topics",
        "names",
        "The topics that it reads, by their names or those of categories, beside those that `accept` names. "
        "Where nothing is said, those of the events in `on` if all of them are published; else these come "
        "from the log.",
    ),
    Key(
        "accept",
        "rule, or list of rules",
        "What is done with messages from outside: the first rule that fits takes one.",
        keys=ACCEPT_KEYS,
    ),
)
HINT = "what is done upon an event stands in `on: { Event: { … } }`"
SHORTEST, LONGEST = "1ms", "1d"
"""The bounds of what a consumer waits for."""
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", re.ASCII)
OnRefused = Literal["dead_letter", "ignore"]


def read(b: Building, settings: Settings) -> None:
    """Read all consumers into `b.consumers`."""
    owners = _owners(b)
    publishing = Publishing(b, settings.kafka, categories(b))
    groups: dict[str, tuple[str, Reader]] = {}
    for entry, node in b.declarations("consumers"):
        reader = Reader(node, KEYS, f"the consumer `{entry.key}`", b.problems, entry.key_span, HINT)
        consumer = _consumer(b, settings, publishing, reader, entry.key, owners)
        b.consumers[entry.key] = consumer
        if consumer.group in groups:
            _same_group(consumer, reader, *groups[consumer.group])
        groups.setdefault(consumer.group, (entry.key, reader))


def _consumer(
    b: Building,
    settings: Settings,
    publishing: Publishing,
    reader: Reader,
    name: str,
    owners: Mapping[str, Collection[str]],
) -> Consumer:
    before = len(b.problems)
    on = _on(b, settings, reader, owners)
    named = read_topics(publishing, reader)
    accept = tuple(read_accept(publishing, reader, named is not None))
    on_topics, topics = sources(publishing, reader, on, named, accept)
    if len(b.problems) == before:
        check_reached(accept, topics, reader)
    return Consumer(
        name,
        _group(reader, name),
        on,
        reader.integer("concurrency", 8, 1, 64),
        reader.integer("batch_size", 500, 1, 10_000),
        reader.duration("timeout", 30.0, SHORTEST, LONGEST),
        _retry(reader),
        reader.flag("dead_letter", default=settings.dead_letter),
        cast(OnRefused, reader.choice("on_refused", "dead_letter", get_args(OnRefused))),
        on_topics,
        topics,
        accept,
        _definition(b, settings, reader, on, on_topics, topics, accept),
        reader.text("description"),
        reader.head,
    )


def _owners(b: Building) -> dict[str, dict[str, None]]:
    """Event → the types of aggregates that it can be of: those whose commands emit it."""
    found: dict[str, dict[str, None]] = {}
    for command in b.commands.values():
        for emit in command.emit:
            found.setdefault(emit.event, {})[command.aggregate] = None
    return found


def _on(
    b: Building, settings: Settings, reader: Reader, owners: Mapping[str, Collection[str]]
) -> dict[str, tuple[Action, ...]]:
    found: dict[str, tuple[Action, ...]] = {}
    on = reader.map("on", 'a map of events and what is done: `{ Event: { send: "Command" } }`')
    if not on and (on is not None or "on" not in reader) and "accept" not in reader.node:
        b.problems.error(
            MISSING_KEY,
            reader.span_of("on"),
            f"{reader.what} does nothing: it names no event",
            help='write `on: { Event: { send: "Command" } }`, or `accept: [{ … }]` for messages from outside',
        )
    for entry in on or ():
        event = _event(b, reader, entry)
        if event is None:
            continue
        upon = Upon(
            b,
            settings,
            event,
            # One that no command emits can still be of the aggregates that apply it.
            owners.get(event.name) or b.appliers(event.name),
            consumer_scope(event_data(event.fields, event.declared), id_of(b, event.name)),
            f"`{event.name}` in `on` of {reader.what}",
            entry.key_span,
        )
        found[event.name] = tuple(read_actions(upon, entry.node))
    return found


def _event(b: Building, reader: Reader, entry: Entry) -> EventType | None:
    if entry.key == "*":
        b.problems.error(
            UNDECLARED_EVENT,
            entry.key_span,
            f"`*` in `on` of {reader.what}: a consumer names the events that it handles",
            help="write one line for each of them; only a projection takes every event",
        )
        return None
    return cast("EventType | None", b.find("events", entry.key, entry.key_span))


def _group(reader: Reader, name: str) -> str:
    group = reader.text("group", name)
    if _GROUP.fullmatch(group) is None:
        reader.problems.error(
            BAD_NAME,
            reader.value_span("group"),
            f"`{group}` cannot be the group of {reader.what}",
            help="use letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most 200",
        )
        return name
    return group


def _same_group(consumer: Consumer, reader: Reader, other: str, first: Reader) -> None:
    reader.problems.error(
        SAME_NAME,
        reader.value_span("group"),
        f"the consumers `{other}` and `{consumer.name}` have one group, `{consumer.group}`",
        help="give one of them another `group`: the progress of each is kept under it",
        related=[(first.value_span("group"), "the group of the other")],
    )


def _retry(reader: Reader) -> Retry:
    usual = Retry()
    node = reader.map("retry", "a map such as `{ attempts: 5, delay: 1s }`")
    if node is None:
        return usual
    what = f"`retry` of {reader.what}"
    inner = Reader(node, RETRY_KEYS, what, reader.problems, reader.span_of("retry"))
    delay = inner.duration("delay", usual.delay, SHORTEST, LONGEST)
    longest = inner.duration("max_delay", max(usual.max_delay, delay), SHORTEST, LONGEST)
    if longest < delay:
        reader.problems.error(
            BAD_VALUE,
            inner.value_span("max_delay"),
            f"`max_delay` of {what} is shorter than its `delay`",
            help="write one that is at least as long as `delay`",
            related=[(inner.value_span("delay"), "the delay")] if "delay" in inner else [],
        )
    return Retry(
        inner.integer("attempts", usual.attempts, 1, 1000),
        delay,
        cast(Backoff, inner.choice("backoff", usual.backoff, get_args(Backoff))),
        longest,
        inner.flag("jitter", default=usual.jitter),
    )


def _definition(
    b: Building,
    settings: Settings,
    reader: Reader,
    on: Mapping[str, tuple[Action, ...]],
    on_topics: bool,
    topics: Sequence[str],
    accept: Sequence[Accept],
) -> str:
    """The hash of all that decides what the consumer does."""
    plain = reader.node.plain()
    plain.pop("description", None)
    events = [event_definition(b.events[name]) for name in sorted(on)]
    actions = [action for each in on.values() for action in each]
    sends = [action for action in actions if isinstance(action, Send)]
    reached: list[object] = [sorted(action.hosts) for action in actions if isinstance(action, Http)]
    reached += [tuple(action.server) for action in actions if isinstance(action, Email)]
    if "dead_letter" not in reader:
        reached.append(settings.dead_letter)
    if settings.kafka is not None and any(isinstance(action, Publish) for action in actions):
        reached.append(settings.kafka.max_record_size)
    if topics:
        reached.append([on_topics, *sorted(topics)])
        reached += [repr(rule.message) for rule in accept]
    sent = {send.command for send in sends} | {rule.command for rule in accept if rule.command is not None}
    commands = [b.commands[name] for name in sorted(sent)]
    asked = [(c.name, c.aggregate, repr(c.fields), c.takes_aggregate_id) for c in commands]
    named = {c.aggregate for c in commands}
    ids = sorted(
        (a.name, repr(a.id))
        for a in b.aggregates.values()
        if a.name in named or not on.keys().isdisjoint(a.on)
    )
    return definition_hash(plain, events, asked, [send.same for send in sends], ids, *reached)
