"""`message` in `when` of a test: what others write to a topic."""

from __future__ import annotations

from tusk_runtime.language.document import Entry, MapNode, ScalarNode
from tusk_runtime.model.application import Step
from tusk_runtime.model.codes import BAD_TEST
from tusk_runtime.model.context import suggest
from tusk_runtime.model.declarations.topics import Publishing
from tusk_runtime.model.reader import Key, Reader, wrong_type

MESSAGE_KEYS = (
    Key("topic", "name", "The topic, or the category that is published there.", required=True),
    Key("value", "any value", "What it says, as JSON; null where nothing is said."),
    Key("key", "text", "Its key; null where nothing is said."),
    Key("headers", "map of texts", "Its headers."),
)
SHOWN = 'a map such as `{ topic: "TOPIC", value: { … } }`'


def read_message(publishing: Publishing, entry: Entry, what: str) -> Step | None:
    """The message that comes; its step has the name of the topic. None with a problem noted."""
    b, what = publishing.b, f"`message` in {what}"
    if not isinstance(entry.node, MapNode):
        wrong_type(b.problems, entry.node, what, SHOWN)
        return None
    before = len(b.problems)
    reader = Reader(entry.node, MESSAGE_KEYS, what, b.problems, entry.key_span)
    reader.text("key")
    for header in reader.map("headers", "a map of names and texts") or ():
        if not isinstance(header.node, ScalarNode) or not isinstance(header.node.value, str):
            wrong_type(b.problems, header.node, f"the header `{header.key}`", "a text in quotes")
    node, topic = reader.node_of("topic"), None
    if reader.text("topic") and isinstance(node, ScalarNode):
        topic = publishing.topic(node, what)
    if topic is None or len(b.problems) > before:
        return None
    known = sorted({each for consumer in b.consumers.values() for each in consumer.accepted_topics})
    if topic in known or any(kind == "consumers" for kind, _ in b.broken):
        return Step("message", topic, entry.node, entry.key_span)
    advice = suggest(topic, known, "`accept` of the consumers")
    if not known:
        advice = f'let a consumer take it: `accept: [{{ topic: "{topic}", send: "Command" }}]`'
    b.problems.error(
        BAD_TEST,
        reader.value_span("topic"),
        f"no consumer accepts messages of the topic `{topic}`",
        help=advice,
    )
    return None
