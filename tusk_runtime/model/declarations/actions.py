"""The actions of a consumer: what is done upon an event, one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import cast, get_args

from tusk_runtime.expressions import Expression, Place, Scope, compile_value
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import EventType
from tusk_runtime.model.codes import BAD_VALUE, MISSING_KEY, UNKNOWN_KEY
from tusk_runtime.model.configuration import Settings
from tusk_runtime.model.consuming import Action, Level, Log, Send
from tusk_runtime.model.context import Building
from tusk_runtime.model.declarations.calling import HTTP_ACTION_KEYS, read_http, with_answer
from tusk_runtime.model.declarations.filling import Front
from tusk_runtime.model.declarations.mailing import EMAIL_ACTION_KEYS, read_email
from tusk_runtime.model.declarations.publishing import PUBLISH_ACTION_KEYS, read_publish
from tusk_runtime.model.declarations.python import read_call
from tusk_runtime.model.declarations.sending import Sending, read_send
from tusk_runtime.model.loops import FOR_EACH, WHEN, read_condition, read_loop
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.types import STRING

LOG_KEYS = (
    DESCRIPTION,
    Key("level", "`debug`, `info`, `warning` or `error`", "How much it matters; `info`."),
    Key("message", "text", "What to say; it may hold `{{ }}`.", required=True),
)
ACTION_KEYS = (
    DESCRIPTION,
    Key("send", "name", "Send this command, also one that is `internal`."),
    Key(
        "with",
        "map of fields",
        "The command's fields; what is not named is filled from the event's. `aggregate_id` beside them says "
        "which aggregate is meant. Or the arguments of a `call`.",
    ),
    Key("log", "text or map", "Write a line to the log of the process.", keys=LOG_KEYS),
    WHEN,
    FOR_EACH,
    Key(
        "as",
        "name",
        "The element's name in the other keys; `item` where nothing is said. Beside an `http` without "
        "`for_each`, the answer's name in later actions.",
    ),
    Key("http", "map", "Call an address.", keys=HTTP_ACTION_KEYS),
    Key("email", "map", "Send an e-mail by the server of `[email]`.", keys=EMAIL_ACTION_KEYS),
    Key("publish", "map", "Write a message to a topic of Kafka.", keys=PUBLISH_ACTION_KEYS),
    Key("call", "name", "Call a function of Python, `module:function`; `with` gives its arguments."),
    Key(
        "pii",
        "`true` or `false`",
        "Whether `http` or `publish` carries personal data out, or `call` gets it; `false`.",
    ),
)
ACTIONS = ("send", "log", "http", "email", "publish", "call")
SHOWN = '`{ send: "Command" }` or `{ log: "text" }`'
WITHOUT_WITH = {
    "log": "write what is to be seen into the text: `{{ data.field }}`",
    "email": "write what is to be read into the text: `{{ data.field }}`",
    "http": "write what is sent into the call's own map: `json: { … }`",
    "publish": "write what is sent into its own map: `value: { … }`",
}
"""What to write in place of `with` beside an action that takes none."""
LOGGED = Place(
    "whoever reads the log of the process sees it",
    "name the aggregate instead: `{{ event.aggregate_id }}`",
)
WITHOUT_PII = {
    "send": "mark the fields of the command: `pii` in their types",
    "log": f"remove it: {LOGGED.why}",
    "email": "remove it: personal data may go into e-mails",
}
"""What to write in place of `pii` beside an action that does not take it."""


@dataclass(frozen=True, slots=True)
class Upon:
    """The event upon which something is done, and what the actions see of it.

    `owners` are the types of aggregates that the event can be of. `what` names the place in words, `span` is
    that of the event's name.
    """

    b: Building
    settings: Settings
    event: EventType
    owners: Collection[str]
    scope: Scope
    what: str
    span: Span


def read_actions(upon: Upon, node: Node) -> Iterator[Action]:
    """The actions upon an event, one or a list of them: those that are right."""
    items = items_of(node)
    if not items or (isinstance(node, ScalarNode) and node.value is None):
        _no_action(upon.b.problems, upon.span, upon.what)
        return
    for item in items:
        if isinstance(item, MapNode):
            action = _action(upon, item)
            if action is not None:
                yield action
            upon = replace(upon, scope=with_answer(upon.scope, item, action))
            continue
        advice = ""
        if isinstance(item, ScalarNode) and item.value in upon.b.commands:
            advice = f'write `{{ send: "{item.value}" }}`'
        wrong_type(upon.b.problems, item, upon.what, f"an action such as {SHOWN}", advice)


def _action(upon: Upon, node: MapNode) -> Action | None:
    problems = upon.b.problems
    before = len(problems)
    hint = "the fields of the command stand in `with: { … }`" if "send" in node else ""
    if "log" in node:
        hint = 'a level stands in the log\'s own map: `log: { level: "warning", message: "…" }`'
    reader = Reader(node, ACTION_KEYS, upon.what, problems, upon.span, hint)
    kind = _kind(reader)
    if kind is None:
        return None
    scope, for_each = upon.scope, None
    if kind != "http" or "for_each" in reader:
        scope, for_each = read_loop(reader, upon.scope)
    when = read_condition(reader, "when", scope)
    action = _read(kind, upon, reader, scope, when, for_each)
    return action if len(problems) == before else None


def _read(
    kind: str,
    upon: Upon,
    reader: Reader,
    scope: Scope,
    when: Expression | None,
    for_each: Expression | None,
) -> Action | None:
    if kind == "send":
        action: Action | None = _send(upon, reader, scope, when, for_each)
    else:
        if kind != "call":
            _no_with(reader, kind)
        if kind == "log":
            action = _log(reader, scope, when, for_each)
        elif kind == "email":
            settings = upon.settings
            declared = "email" in upon.b.sections
            action = read_email(settings.mail, declared, reader, scope, when, for_each)
        elif kind == "call":
            action = read_call(upon.settings.allow_python, reader, scope, when, for_each)
        elif kind == "publish":
            action = read_publish(upon.settings.kafka, reader, scope, when, for_each)
        else:
            action = read_http(upon.settings.allow_hosts, reader, scope, when, for_each)
    if "pii" in reader and kind in WITHOUT_PII:
        reader.problems.error(
            UNKNOWN_KEY,
            reader.span_of("pii"),
            f"{reader.what} has `pii` beside `{kind}`, and only `http`, `publish` and `call` take it",
            help=WITHOUT_PII[kind],
        )
    return action


def _no_with(reader: Reader, kind: str) -> None:
    if "with" in reader:
        reader.problems.error(
            UNKNOWN_KEY,
            reader.span_of("with"),
            f"{reader.what} has `with` beside `{kind}`, and only `send` and `call` take one",
            help=WITHOUT_WITH[kind],
        )


def _kind(reader: Reader) -> str | None:
    """The one action of a map; None with a problem noted."""
    named = [name for name in ACTIONS if name in reader or name in reader.node]
    if len(named) > 1:
        pair = ", ".join(f"{{ {name}: … }}" for name in named)
        reader.problems.error(
            UNKNOWN_KEY,
            reader.node.entries[named[1]].key_span if named[1] in reader.node else reader.head,
            f"{reader.what} has several actions in one map: {', '.join(f'`{name}`' for name in named)}",
            help=f"write a list: `[{pair}]`",
        )
        return None
    if not named:
        known = {key.name for key in ACTION_KEYS}
        if all(entry.key in known for entry in reader.node):
            _no_action(reader.problems, reader.head, reader.what)
        return None
    return named[0]


def _no_action(problems: Problems, span: Span, what: str) -> None:
    problems.error(MISSING_KEY, span, f"{what} has no action", help=f"write {SHOWN}")


# ---- log ------------------------------------------------------------------------------------------


def _log(reader: Reader, scope: Scope, when: Expression | None, for_each: Expression | None) -> Action | None:
    node, level = reader.node_of("log"), "info"
    if isinstance(node, MapNode):
        what = f"`log` of {reader.what}"
        inner = Reader(node, LOG_KEYS, what, reader.problems, reader.span_of("log"))
        level = inner.choice("level", "info", get_args(Level))
        node = inner.node_of("message")
        if node is None:
            return None
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str) or not node.value:
        expected = 'a text in quotes, or `{ level: "warning", message: "…" }`'
        wrong_type(reader.problems, cast(Node, node), f"`log` of {reader.what}", expected)
        return None
    if node.secret:
        reader.problems.error(
            BAD_VALUE,
            node.span,
            f"`log` of {reader.what} holds a secret, and whoever reads the log would see it",
            help="leave the secret out of the text",
        )
        return None
    message = compile_value(node, scope, reader.problems, STRING, LOGGED)
    if message is None:
        return None
    return Log(cast(Level, level), message, when, for_each, reader.span_of("log"))


# ---- send -----------------------------------------------------------------------------------------


def _send(
    upon: Upon, reader: Reader, scope: Scope, when: Expression | None, for_each: Expression | None
) -> Action | None:
    event = upon.event
    what = f"the event `{event.name}`"
    front = Front(event.fields, what, "event", "data", extendable=not event.own, json=not event.declared)
    sent = read_send(Sending(upon.b, upon.what, front, list(upon.owners)), reader, scope)
    if sent is None:
        return None
    span = reader.value_span("send")
    return Send(sent.command.name, sent.fields, sent.target, sent.same, when, for_each, span)
