"""`topics` of a consumer: which topics it reads, and whether its events come from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from tusk_runtime.language.document import MapNode, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import EventType
from tusk_runtime.model.codes import BAD_NAME, BAD_VALUE, NOT_PUBLISHED, UNUSED_TOPIC
from tusk_runtime.model.configuration import Kafka
from tusk_runtime.model.consuming import Accept
from tusk_runtime.model.context import Building
from tusk_runtime.model.kafka import TOPIC_ADVICE, is_topic
from tusk_runtime.model.reader import Reader
from tusk_runtime.types.values import show


class Publishing(NamedTuple):
    """What names of topics mean: the declared categories, and which of them are published where."""

    b: Building
    kafka: Kafka | None
    categories: Collection[str]

    def topic(self, node: ScalarNode, what: str) -> str | None:
        """The topic that a name means: a category's, or the one that is called so.

        None with a problem noted. Without Kafka a category is its own topic.
        """
        name = str(node.value)
        if self.kafka is None and name in self.categories:
            return name
        if self.kafka is not None and name in self.kafka.topics:
            return self.kafka.topics[name]
        if not is_topic(name):
            named = "a text" if node.secret else show(name, 60)
            problem = f"{what} names {named}, which cannot be a topic"
            self.b.problems.error(BAD_NAME, node.span, problem, help=TOPIC_ADVICE)
            return None
        if name in self.categories:
            self.b.problems.error(
                NOT_PUBLISHED,
                node.span,
                f"{what} names the category `{name}`, which is not published",
                help=f"name `{name}` in `topics` of [kafka_config], or another topic here",
            )
            return None
        return name

    def topic_of(self, event: EventType) -> str | None:
        """The topic that an event is published to."""
        if self.kafka is None or event.category is None or not event.publish:
            return None
        return self.kafka.topics.get(event.category)


class Named(NamedTuple):
    """The topics that `topics` names, and where; `whole`: each of them could be read."""

    topics: Mapping[str, Span]
    whole: bool


def read_topics(publishing: Publishing, reader: Reader) -> Named | None:
    """What `topics` names; None without that key."""
    if "topics" not in reader:
        return None
    before = len(reader.problems)
    found: dict[str, Span] = {}
    what = f"`topics` of {reader.what}"
    items = reader.texts("topics", "a topic or a category, or a list of these")
    for item in items:
        topic = publishing.topic(item, what)
        if topic is not None:
            found.setdefault(topic, item.span)
    if not items and len(reader.problems) == before:
        advice = 'name one: `topics: ["TOPIC"]`, or remove it'
        reader.problems.error(BAD_VALUE, reader.span_of("topics"), f"{what} names none", help=advice)
    return Named(found, len(reader.problems) == before)


def sources(
    publishing: Publishing,
    reader: Reader,
    on: Iterable[str],
    named: Named | None,
    accept: Iterable[Accept],
) -> tuple[bool, tuple[str, ...]]:
    """Whether the events of `on` come from topics, and all topics that are read.

    Notes the events that come from none, and warns of the topics that nothing is taken from.
    """
    rules = list(accept)
    asked = [rule.topic for rule in rules if rule.topic is not None]
    if publishing.kafka is None:
        said = named.topics if named is not None and rules else ()
        return False, tuple(dict.fromkeys([*said, *asked]))
    carried = {name: publishing.topic_of(publishing.b.events[name]) for name in on}
    if named is None:
        published = [topic for topic in carried.values() if topic is not None]
        on_topics = bool(carried) and len(published) == len(carried)
        return on_topics, tuple(dict.fromkeys([*(published if on_topics else ()), *asked]))
    before = len(reader.problems)
    for name, topic in carried.items() if named.whole else ():
        if topic not in named.topics:
            _not_carried(publishing, reader, publishing.b.events[name], topic)
    taken = {*carried.values(), *asked}
    every = any(rule.topic is None for rule in rules)
    if len(reader.problems) == before and not every:
        for topic, span in named.topics.items():
            if topic not in taken:
                _nothing_taken(reader, topic, span)
    return bool(carried), tuple(dict.fromkeys([*named.topics, *asked]))


def _not_carried(publishing: Publishing, reader: Reader, event: EventType, topic: str | None) -> None:
    category = event.category
    without = "leave `topics` out: then it comes from the log"
    if topic is not None:
        advice = f"name its category, too: `{category}`; or leave `topics` out"
    elif event.own:
        advice = "the runtime's own events stay inside: handle them in a consumer without `topics`"
    elif category is None:
        advice = f'put it into a category: `[event_categories]`, `NAME: ["{event.name}"]`; or {without}'
    elif not event.publish:
        advice = f"it has `publish: false`: remove that, or {without}"
    else:
        advice = f"name its category `{category}` in `topics` of [kafka_config], too, or {without}"
    on = reader.node_of("on")
    entry = on.entries.get(event.name) if isinstance(on, MapNode) else None
    if entry is None:
        return  # misspelled, which is told
    why = f"it is published to `{topic}`" if topic is not None else "it is not published"
    reader.problems.error(
        NOT_PUBLISHED,
        entry.key_span,
        f"`{event.name}` in `on` of {reader.what} comes from none of its topics: {why}",
        help=advice,
        related=[(reader.value_span("topics"), "the topics that it reads")],
    )


def _nothing_taken(reader: Reader, topic: str, span: Span) -> None:
    advice = 'name an event that is published there in `on`, or write a rule: `accept: [{ topic: "…" }]`'
    if "accept" in reader:
        advice = "write a rule for it in `accept`, or remove it"
    reader.problems.warning(
        UNUSED_TOPIC,
        span,
        f"{reader.what} takes nothing from the topic `{topic}`",
        help=advice,
    )
