"""`[email]`: the server that e-mails are sent by."""

from __future__ import annotations

import re
from typing import cast, get_args

from tusk_runtime.model.codes import BAD_VALUE, MISSING_KEY
from tusk_runtime.model.configuration import Mail, MailTls
from tusk_runtime.model.context import Building
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, shape
from tusk_runtime.types import Type, read_value

EMAIL_KEYS = (
    DESCRIPTION,
    Key("smtp", "host:port", "The server that e-mails are given to, `smtp.example.com:587`.", required=True),
    Key(
        "from",
        "text",
        "Whom they come from: an address, or a name and an address, `Shop <shop@example.com>`.",
        required=True,
    ),
    Key("user", "text", "Who the application is for the server; nobody where nothing is said."),
    Key("password", "text", "The password of `user`; best from `@env`."),
    Key(
        "tls",
        "`starttls`, `ssl` or `none`",
        "How the connection is encrypted: after a greeting (usual at port 587), from its beginning (465), or "
        "not at all; `starttls`.",
    ),
)
EMAIL = Type("email")
_SERVER = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})", re.ASCII)
_HERE = ("localhost", "127.0.0.1", "::1")


def read(b: Building) -> Mail | None:
    """The server of `[email]`; None if there is none, or with problems noted."""
    section = b.sections.get("email")
    if section is None:
        return None
    before = len(b.problems)
    reader = Reader(section.node, EMAIL_KEYS, "[email]", b.problems, section.head)
    host, port = _server(reader)
    sender = _sender(reader)
    user, password = reader.text("user"), reader.text("password")
    tls = cast(MailTls, reader.choice("tls", "starttls", get_args(MailTls)))
    if bool(user) != bool(password) and len(b.problems) == before:
        given, lacking = ("user", "password") if user else ("password", "user")
        b.problems.error(
            MISSING_KEY,
            reader.span_of(given),
            f"[email] has `{given}` and lacks `{lacking}`",
            help=f"write `{lacking}: \"@env('SMTP_{lacking.upper()}')\"`, or remove `{given}`",
        )
    if password and tls == "none" and host not in _HERE:
        b.problems.error(
            BAD_VALUE,
            reader.value_span("tls"),
            "`tls: none` in [email] shows the password to everybody on the way to the server",
            help="write `starttls` or `ssl`",
        )
    return Mail(host, port, sender, user, password, tls) if len(b.problems) == before else None


def _server(reader: Reader) -> tuple[str, int]:
    text = reader.text("smtp")
    match = _SERVER.fullmatch(text)
    if match is not None and 1 <= int(match["port"]) <= 65535:
        return match["host"].strip("[]"), int(match["port"])
    node = reader.node_of("smtp")
    if text and node is not None:
        # In front of an `@` there may be a password.
        named = "a text" if "@" in text else shape(node)
        reader.problems.error(
            BAD_VALUE,
            node.span,
            f"`smtp` of [email] is {named}, which is no address of a server",
            help="write a host and a port: `smtp.example.com:587`",
        )
    return "", 0


def _sender(reader: Reader) -> str:
    from email.utils import parseaddr  # which takes longer than all that is read here

    text = reader.text("from")
    if not text:
        return ""
    _, address = parseaddr(text)
    try:
        if not text.isprintable():
            raise ValueError
        read_value(EMAIL, address)
    except ValueError:
        reader.problems.error(
            BAD_VALUE,
            reader.value_span("from"),
            "`from` of [email] is nobody's address",
            help="write `shop@example.com`, or `Shop <shop@example.com>`",
        )
    return text
