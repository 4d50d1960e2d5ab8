"""The action `email` of a consumer: to whom something is written, and what."""

from __future__ import annotations

from tusk_runtime.expressions import Expression, Place, Scope, compile_value
from tusk_runtime.language.document import ListNode, MapNode, Node, ScalarNode
from tusk_runtime.model.codes import BAD_VALUE, MISSING_KEY
from tusk_runtime.model.configuration import Mail
from tusk_runtime.model.consuming import Email
from tusk_runtime.model.mail import EMAIL
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, wrong_type
from tusk_runtime.templates import Template, compile_template
from tusk_runtime.types import STRING, Type

EMAIL_ACTION_KEYS = (
    DESCRIPTION,
    Key("to", "address, or a list of them", "To whom it is sent.", required=True),
    Key("subject", "text", "What it is about; it may hold `{{ }}`.", required=True),
    Key("text", "text", "What it says: a template of Jinja2."),
    Key(
        "html",
        "text",
        "What it says as a page: a template, too. Beside `text` whoever reads it sees one of both.",
    ),
)
OPEN = Place(open=True)
"""Personal data may go into e-mails."""


def read_email(
    server: Mail | None,
    declared: bool,
    outer: Reader,
    scope: Scope,
    when: Expression | None,
    for_each: Expression | None,
) -> Email | None:
    """The action in a map that holds `email`; None with problems noted.

    `declared` says whether there is an `[email]`, whatever is wrong with it.
    """
    node = outer.map("email", 'a map such as `{ to: "…", subject: "…", text: "…" }`')
    if node is None:
        return None
    before = len(outer.problems)
    what = f"`email` of {outer.what}"
    reader = Reader(node, EMAIL_ACTION_KEYS, what, outer.problems, outer.span_of("email"))
    if not declared:
        outer.problems.error(
            MISSING_KEY,
            reader.head,
            f"{what} needs a server, and there is no section [email]",
            help='write `[email]` with `smtp: "smtp.example.com:587"` and `from: "shop@example.com"`',
        )
    to = _to(reader, scope)
    if "text" not in reader and "html" not in reader:
        outer.problems.error(
            MISSING_KEY, reader.head, f"{what} says nothing", help='write `text: "…"`, or `html`, or both'
        )
    subject = _subject(reader, scope)
    text, html = (_template(reader, key, scope) for key in ("text", "html"))
    if len(outer.problems) > before or server is None or to is None or subject is None:
        return None
    return Email(server, to, subject, text, html, when, for_each, reader.head)


def _to(reader: Reader, scope: Scope) -> Expression | None:
    node = reader.node_of("to")
    if node is None:
        return None
    if isinstance(node, ListNode):
        many: Node = node
    elif isinstance(node, MapNode):
        wrong_type(reader.problems, node, f"`to` of {reader.what}", "an address, or a list of them")
        return None
    else:
        many = ListNode((node,), node.span)
    return compile_value(many, scope, reader.problems, Type("list", item=EMAIL), OPEN)


def _subject(reader: Reader, scope: Scope) -> Expression | None:
    node = _text(reader, "subject")
    return compile_value(node, scope, reader.problems, STRING, OPEN) if node is not None else None


def _template(reader: Reader, key: str, scope: Scope) -> Template | None:
    node = _text(reader, key)
    if node is None:
        return None
    what = f"`{key}` of {reader.what}"
    return compile_template(node, scope, reader.problems, what, html=key == "html")


def _text(reader: Reader, key: str) -> ScalarNode | None:
    """A text that somebody else will read."""
    node = reader.node_of(key)
    if node is None or not reader.text(key) or not isinstance(node, ScalarNode):
        return None
    if node.secret:
        reader.problems.error(
            BAD_VALUE,
            node.span,
            f"`{key}` of {reader.what} holds a secret, and whoever gets the e-mail would see it",
            help="leave the secret out of the text",
        )
        return None
    return node
