"""The action `publish` of a consumer: to which topic of Kafka something is written, and what."""

from __future__ import annotations

from collections.abc import Mapping

from tusk_runtime.expressions import Expression, Place, Scope, compile_value
from tusk_runtime.language.document import ListNode, MapNode, Node
from tusk_runtime.language.source import Span
from tusk_runtime.model.codes import BAD_NAME, BAD_VALUE, MISSING_KEY
from tusk_runtime.model.configuration import Kafka
from tusk_runtime.model.consuming import Publish
from tusk_runtime.model.declarations.calling import HEADER, OPEN, TEXT_MAP
from tusk_runtime.model.kafka import TOPIC_ADVICE, is_topic
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader
from tusk_runtime.types import JSON, STRING
from tusk_runtime.types.values import show

PUBLISH_ACTION_KEYS = (
    DESCRIPTION,
    Key(
        "topic",
        "name",
        "The topic, as it is called in Kafka: `topic_prefix` is not put in front. It has to be there "
        "already, and is none that events are published to.",
        required=True,
    ),
    Key(
        "key",
        "text",
        "The message's key; it may hold `{{ }}`. Messages of one key stand in one partition.",
    ),
    Key("value", "any value", "The message, as JSON; `{{ }}` may stand anywhere in it.", required=True),
    Key(
        "headers",
        "map of texts",
        "Further headers. They win over those of the runtime, but for `message-id`.",
    ),
)
MESSAGE_ID = "message-id"
"""The header by which receivers tell messages apart: the runtime gives it alone."""
CARRIED = Place(
    "a `publish` action carries it out of the application", "say that it may: `pii: true` beside `publish`"
)


def read_publish(
    kafka: Kafka | None, outer: Reader, scope: Scope, when: Expression | None, for_each: Expression | None
) -> Publish | None:
    """The action in a map that holds `publish`; None with problems noted.

    Without `kafka` nothing can be published.
    """
    node = outer.map("publish", 'a map such as `{ topic: "shipments", value: { … } }`')
    if node is None:
        return None
    before = len(outer.problems)
    what = f"`publish` of {outer.what}"
    personal = outer.flag("pii")
    place = OPEN if personal else CARRIED
    reader = Reader(node, PUBLISH_ACTION_KEYS, what, outer.problems, outer.span_of("publish"))
    if kafka is None:
        outer.problems.error(
            MISSING_KEY,
            reader.head,
            f"{what} needs Kafka, and [event_store] does not say `streaming: kafka`",
            help='write `streaming: "kafka"` under `[event_store]`, and under `[store_config]`: '
            "`kafka: { brokers: \"@env('KAFKA_BROKERS')\" }`",
        )
    _no_secrets(reader, node)
    topic = _topic(reader, kafka.topics if kafka is not None else {})
    key, value = reader.node_of("key"), reader.node_of("value")
    given = compile_value(value, scope, outer.problems, JSON.or_null(), place) if value is not None else None
    named = compile_value(key, scope, outer.problems, STRING, place) if key is not None else None
    headers = _headers(reader, scope, place)
    if len(outer.problems) > before or given is None:
        return None
    return Publish(topic, named, given, headers, personal, when, for_each, reader.head)


def _topic(reader: Reader, published: Mapping[str, str]) -> str:
    """The topic; `published` is category → topic. Notes what cannot be one."""
    topic = reader.text("topic")
    if not topic:
        return ""
    category = next((name for name, found in published.items() if topic in (name, found)), None)
    if "{{" in topic:
        code, why = BAD_VALUE, "is the same for all events, and holds no `{{ }}`"
        advice = "write the name of a topic; for several topics several actions, each with its `when`"
    elif not is_topic(topic):
        code, why, advice = BAD_NAME, f"is {show(topic, 60)}, which is no name of a topic", TOPIC_ADVICE
    elif category is not None:
        code, why = (
            BAD_NAME,
            f"is that of the category `{category}`: events alone stand there, as they are stored",
        )
        advice = f"write another topic, or emit an event that is in the category `{category}`"
    else:
        return topic
    reader.problems.error(code, reader.value_span("topic"), f"`topic` of {reader.what} {why}", help=advice)
    return ""


def _headers(reader: Reader, scope: Scope, place: Place) -> Expression | None:
    headers = reader.map("headers", "a map of names and texts")
    if headers is None:
        return None
    for entry in headers:
        if entry.key.lower() == MESSAGE_ID:
            why = "is set by the runtime alone"
            advice = "remove it: it stays the same however often a message is sent"
        elif HEADER.fullmatch(entry.key) is None:
            why, advice = "cannot be the name of one", "use letters, digits, `-` and `_`"
        else:
            continue
        reader.problems.error(
            BAD_NAME, entry.key_span, f"the header `{entry.key}` of {reader.what} {why}", help=advice
        )
    return compile_value(headers, scope, reader.problems, TEXT_MAP, place)


def _no_secrets(reader: Reader, node: MapNode) -> None:
    span = _secret(node)
    if span is not None:
        reader.problems.error(
            BAD_VALUE,
            span,
            f"{reader.what} holds a secret, and whoever reads the topic would see it",
            help="leave the secret out of the message",
        )


def _secret(node: Node) -> Span | None:
    """The place of the first text in a value that is a secret."""
    if isinstance(node, MapNode):
        inner = [entry.node for entry in node]
    elif isinstance(node, ListNode):
        inner = list(node.items)
    else:
        return node.span if node.secret else None
    return next((span for each in inner if (span := _secret(each)) is not None), None)
