"""`accept` of a consumer: which messages from outside become commands, and which are ignored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tusk_runtime.expressions import Expression, Scope, compile_value
from tusk_runtime.expressions.codes import PERSONAL
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.model.codes import BAD_VALUE, MISSING_KEY, UNKNOWN_KEY, UNREACHED_RULE, WRONG_TYPE
from tusk_runtime.model.consuming import Accept
from tusk_runtime.model.declarations.filling import Front
from tusk_runtime.model.declarations.sending import Sending, read_send
from tusk_runtime.model.declarations.topics import Publishing
from tusk_runtime.model.loops import WHEN, read_condition
from tusk_runtime.model.named_types import read_fields
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader
from tusk_runtime.model.scopes import message_scope, record_type
from tusk_runtime.types import JSON, TEXTS, Record, holds_pii, personal

ACCEPT_KEYS = (
    DESCRIPTION,
    Key(
        "topic",
        "name",
        "Whose messages it takes: the name of a topic, or of a category; any of the consumer's `topics` "
        "where nothing is said.",
    ),
    WHEN._replace(doc="Only messages for which this holds, whose `message` is the JSON as it came."),
    Key(
        "message",
        "map of types",
        "The fields that are read out of the message, others are passed over; without it `message` is JSON.",
    ),
    Key("send", "name", "Send this command, also one that is `internal`."),
    Key(
        "with",
        "map of fields",
        "The command's fields; what is not named is filled from the fields of `message`. `aggregate_id` "
        "beside them says which aggregate is meant.",
    ),
    Key("ignore", "`true` or `false`", "`true`: nothing is done with it."),
    Key(
        "id",
        "expression",
        "The `{{ }}` that tells messages apart: one with the same takes effect once. Without it that is the "
        "header `message-id` or `ce_id`, else where the message stands in its topic.",
    ),
)
SHOWN = '`{ topic: "TOPIC", send: "Command" }` or `{ topic: "TOPIC", ignore: true }`'
HINT = "a rule sends a command or ignores the message; other actions stand in `on`, upon an event"
APART = frozenset({"message", "headers", "key", "timestamp", "now"})
"""The names in which the messages of a topic differ."""


def read_accept(publishing: Publishing, reader: Reader, anywhere: bool) -> Iterator[Accept]:
    """The rules of a consumer, those that are right.

    `anywhere`: one that names no topic takes messages of all that the consumer names.
    """
    before = len(reader.problems)
    rules = reader.maps("accept", f"a rule such as {SHOWN}, or a list of rules")
    if not rules and "accept" in reader and len(reader.problems) == before:
        reader.problems.error(
            MISSING_KEY,
            reader.span_of("accept"),
            f"`accept` of {reader.what} has no rule",
            help=f"write {SHOWN}",
        )
    numbered = [(f"rule {number} in `accept` of {reader.what}", node) for number, node in enumerate(rules, 1)]
    readers = [Reader(node, ACCEPT_KEYS, what, reader.problems, node.span, HINT) for what, node in numbered]
    fields = [read_fields(each, "message", "message", publishing.b.types) for each in readers]
    # A rule is asked about messages that are for others: where these hold personal data, so may any.
    marked = any(holds_pii(record_type(record)) for record in fields)
    asked = message_scope(personal(JSON) if marked else JSON)
    for each, record in zip(readers, fields, strict=True):
        before = len(reader.problems)
        rule = _rule(publishing, each, record, asked, anywhere)
        if rule is not None and len(reader.problems) == before:
            yield rule


def _rule(
    publishing: Publishing, reader: Reader, fields: Record, asked: Scope, anywhere: bool
) -> Accept | None:
    """A rule that reads these fields; `asked` is the scope of its `when`."""
    topic = _topic(publishing, reader, anywhere)
    when = read_condition(reader, "when", asked)
    declared = "message" in reader
    scope = message_scope(record_type(fields) if declared else JSON)
    id_ = _id(reader, scope)
    if not _is_one(reader):
        return None
    span = reader.span_of("send" if "send" in reader else "ignore")
    if "send" not in reader:
        return Accept(topic, when, None, None, None, None, None, span)
    front = Front(fields, "the message", "message", "message", json=not declared, key="message")
    sent = read_send(Sending(publishing.b, reader.what, front, None), reader, scope)
    if sent is None:
        return None
    message = fields if declared else None
    return Accept(topic, when, message, sent.command.name, sent.fields, sent.target, id_, span)


def _topic(publishing: Publishing, reader: Reader, anywhere: bool) -> str | None:
    node = reader.node_of("topic")
    if reader.text("topic") and isinstance(node, ScalarNode):
        return publishing.topic(node, reader.what)
    if node is None and not anywhere:
        reader.problems.error(
            MISSING_KEY,
            reader.head,
            f"{reader.what} does not say whose messages it takes",
            help='write `topic: "TOPIC"` in it, or `topics: ["TOPIC"]` beside `accept`',
        )
    return None


def _is_one(reader: Reader) -> bool:
    """Whether a rule either sends or ignores, and has only what goes with that; notes a problem if not."""
    before = len(reader.problems)
    ignores = reader.flag("ignore")
    if len(reader.problems) > before:
        return False
    if "send" not in reader and not ignores:
        known = {key.name for key in ACCEPT_KEYS}
        if all(entry.key in known for entry in reader.node):
            reader.problems.error(
                MISSING_KEY,
                reader.head,
                f"{reader.what} does nothing with a message",
                help='write `send: "Command"`, or `ignore: true`',
            )
        return False
    if not ignores:
        return True
    beside = next((key for key in ("send", "with", "message", "id") if key in reader), None)
    if beside is not None:
        why = "it can only do one of both" if beside == "send" else "a message that is ignored needs none"
        reader.problems.error(
            UNKNOWN_KEY,
            reader.span_of(beside),
            f"{reader.what} has `{beside}` beside `ignore`: {why}",
            help=f"remove `{beside}`, or `ignore`",
        )
    return beside is None


def _id(reader: Reader, scope: Scope) -> Expression | None:
    """What tells messages apart; None with a problem noted if it cannot."""
    node = reader.node_of("id")
    expression = compile_value(node, scope, reader.problems) if node is not None else None
    if node is None or expression is None:
        return None
    type_, what = expression.type, f"`id` of {reader.what}"
    problems = reader.problems
    if APART.isdisjoint(path[0] for path in expression.reads):
        problems.error(
            BAD_VALUE,
            node.span,
            f"{what} is the same for every message, and only the first would take effect",
            help="name what differs: `{{ message.id }}`, or `{{ headers['message-id'] }}`",
        )
    elif type_.kind not in TEXTS and type_.kind not in ("integer", "json"):
        problems.error(
            WRONG_TYPE,
            node.span,
            f"{what} gives {type_}",
            label="expected a text, an integer or a uuid",
            help="name a field that has one, or convert it: `{{ string(…) }}`",
        )
    elif type_.optional and type_.kind != "json":
        problems.error(
            WRONG_TYPE,
            node.span,
            f"{what} may be null",
            label="expected a text, an integer or a uuid",
            help="make the field required, or settle it: `{{ message.id ?? … }}`",
        )
    elif expression.personal:
        problems.error(
            PERSONAL,
            node.span,
            f"{what} is personal data, and what tells messages apart is kept and never erased",
            help="take an id of its own, such as a uuid, or the header `message-id`",
        )
    return expression


def check_reached(rules: Iterable[Accept], topics: Collection[str], reader: Reader) -> None:
    """Warn of the rules that are never asked: earlier ones without `when` take all of their messages."""
    takers: dict[str, Accept] = {}
    last: Accept | None = None
    for rule in rules:
        taker = takers.get(rule.topic, last) if rule.topic is not None else last
        if taker is not None:
            reader.problems.warning(
                UNREACHED_RULE,
                rule.span,
                f"this rule in `accept` of {reader.what} is never asked: its messages are taken before",
                help="give the earlier one a `when`, put this one in front of it, or remove it",
                related=[(taker.span, "this has no `when`")],
            )
        elif rule.when is None:
            takers.update(dict.fromkeys([rule.topic] if rule.topic is not None else topics, rule))
            last = rule if len(takers) == len(topics) else None
