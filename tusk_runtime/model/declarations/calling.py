"""The action `http` of a consumer: which address is called, and with what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast, get_args

from tusk_runtime.expressions import RESERVED, Expression, Place, Scope, compile_value
from tusk_runtime.language.document import ListNode, MapNode, Node, ScalarNode
from tusk_runtime.language.secrets import is_secret_key
from tusk_runtime.model.codes import BAD_NAME, BAD_VALUE, MISSING_KEY, UNKNOWN_KEY
from tusk_runtime.model.consuming import Body, BodyKind, Http, Method
from tusk_runtime.model.named_types import BROKEN
from tusk_runtime.model.names import NAME, check_variable
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader
from tusk_runtime.types import INTEGER, JSON, STRING, Type, record_of

METHODS = get_args(Method)
WITHOUT_BODY = ("GET", "HEAD")
BODIES = get_args(BodyKind)
HTTP_ACTION_KEYS = (
    DESCRIPTION,
    Key(
        "url",
        "address",
        "What is called. Its scheme and host are written out, or come from `@env`; where a `{{ }}` decides "
        "the host, it must be one of `[http] allow_hosts`.",
        required=True,
    ),
    Key(
        "method",
        "`GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`",
        "How it is called; `POST` with a body, else `GET`.",
    ),
    Key("json", "any value", "The body, as JSON; `{{ }}` may stand anywhere in it."),
    Key("form", "map of texts", "The body, as of a form of a page."),
    Key("body", "text", "The body, as it is."),
    Key("headers", "map of texts", "Further headers. They win over those that the runtime sets."),
    Key("timeout", "duration", "How long the call may take; `10s`."),
    Key(
        "sign_with",
        "text",
        "A secret, best from `@env`, by which the body is signed: `X-Signature: sha256=` and the HMAC-SHA256 "
        "in hexadecimal digits.",
    ),
)
TEXT_MAP = Type("map", item=STRING)
ANSWER = record_of("the answer", status=INTEGER, json=JSON, headers=TEXT_MAP)
"""The type of what a call was answered, in later actions."""
FRAMING = ("host", "content-length", "transfer-encoding", "connection")
"""The headers that only who writes the request can know."""
LARGEST_PORT = 65535
SHORTEST_SECRET = 6
"""Parts of secret values that are shorter are not hidden on their own."""
CARRIED = Place(
    "an `http` action carries it out of the application", "say that it may: `pii: true` beside `http`"
)
OPEN = Place(open=True)
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_ADDRESS = re.compile(
    r"https?://(?:[^/?#@\\\s]*@)?(?P<host>[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>\d{1,5}))?(?=[/?#]|\Z)",
    re.ASCII,
)
_SEPARATORS = re.compile(r"\{\{.*?\}\}|[\s?&=/:@]+", re.DOTALL)


def read_http(
    allow_hosts: frozenset[str],
    outer: Reader,
    scope: Scope,
    when: Expression | None,
    for_each: Expression | None,
) -> Http | None:
    """The action in a map that holds `http`; None with problems noted.

    `allow_hosts` are those that an expression may choose.
    """
    node = outer.map("http", 'a map such as `{ url: "https://example.com", json: { … } }`')
    if node is None:
        return None
    before = len(outer.problems)
    personal = outer.flag("pii")
    place = OPEN if personal else CARRIED
    reader = Reader(node, HTTP_ACTION_KEYS, f"`http` of {outer.what}", outer.problems, outer.span_of("http"))
    url = reader.node_of("url")
    hosts = _hosts(reader, allow_hosts) if url is not None else None
    address = compile_value(url, scope, outer.problems, STRING, place) if hosts and url is not None else None
    body = _body(reader, scope, place)
    sign_with = _sign_with(reader)
    headers = _headers(reader, scope, place, signed=sign_with is not None)
    method = _method(reader)
    timeout = reader.duration("timeout", 10.0, "1ms", "1h")
    answer = outer.text("as") if "for_each" not in outer else ""
    if answer:
        check_variable(outer.problems, answer, outer.value_span("as"), set(scope.names), "an answer")
    if len(outer.problems) > before or address is None or hosts is None:
        return None
    return Http(
        method,
        address,
        reader.text("url"),
        hosts,
        headers,
        body,
        timeout,
        sign_with,
        tuple(sorted(set(_secrets(node)), key=lambda secret: (-len(secret), secret))),
        personal,
        answer,
        when,
        for_each,
        reader.head,
    )


def with_answer(scope: Scope, node: MapNode, action: object) -> Scope:
    """What the actions behind an action see: with the answer of a call that has a name, null if it is left
    out. `node` is the action's map; `action` is None where something is wrong with it."""
    if isinstance(action, Http) and action.answer:
        return scope.extended(**{action.answer: ANSWER.or_null() if action.when is not None else ANSWER})
    name = node.get("as") if action is None and "http" in node and "for_each" not in node else None
    text = name.value if isinstance(name, ScalarNode) and isinstance(name.value, str) else ""
    if NAME.match(text) and text not in scope.names and text not in RESERVED:
        return scope.extended(**{text: BROKEN})
    return scope


def _hosts(reader: Reader, allow_hosts: frozenset[str]) -> frozenset[str] | None:
    """The hosts that the address can have; None with a problem noted."""
    text = reader.text("url")
    if not text:
        return None
    literal, braces, _ = text.partition("{{")
    match = _ADDRESS.match(literal)
    if match is not None and int(match["port"] or 0) > LARGEST_PORT:
        match, braces = None, ""
    if match is not None and (match.end() < len(literal) or not braces):
        return frozenset({match["host"].strip("[]").lower()})
    if braces and allow_hosts:
        return allow_hosts
    if braces:
        message = f"a `{{{{ }}}}` decides the host of `url` in {reader.what}, and no host is allowed for that"
        advice = (
            "write the scheme and the host out, with a `/` behind them, or say which hosts it may be: "
            '`[http]` `allow_hosts: ["api.example.com"]`'
        )
    else:
        # It is not shown: it may hold a password.
        message, advice = f"`url` of {reader.what} is no address", "write `https://host/path`"
    reader.problems.error(BAD_VALUE, reader.value_span("url"), message, help=advice)
    return None


def _method(reader: Reader) -> Method:
    bodies = [key for key in BODIES if key in reader]
    method = reader.choice("method", "POST" if bodies else "GET", METHODS)
    if bodies and method in WITHOUT_BODY:
        reader.problems.error(
            UNKNOWN_KEY,
            reader.span_of(bodies[0]),
            f"{reader.what} has a body, and a call by {method} carries none",
            help="write another method, such as `POST`, or give the values in the address",
        )
    return cast(Method, method)


def _body(reader: Reader, scope: Scope, place: Place) -> Body | None:
    bodies = [key for key in BODIES if key in reader]
    if len(bodies) > 1:
        reader.problems.error(
            UNKNOWN_KEY,
            reader.span_of(bodies[1]),
            f"{reader.what} has several bodies: {', '.join(f'`{key}`' for key in bodies)}",
            help="keep one of them",
        )
        return None
    if not bodies:
        return None
    kind = cast(BodyKind, bodies[0])
    if kind == "form" and reader.map("form", "a map of names and texts") is None:
        return None
    expected = {"json": JSON.or_null(), "form": TEXT_MAP, "body": STRING}[kind]
    value = compile_value(cast(Node, reader.node_of(kind)), scope, reader.problems, expected, place)
    return Body(kind, value) if value is not None else None


def _headers(reader: Reader, scope: Scope, place: Place, *, signed: bool) -> Expression | None:
    headers = reader.map("headers", "a map of names and texts")
    if headers is None:
        return None
    kept = (*FRAMING, "x-signature") if signed else FRAMING
    seen: set[str] = set()
    for entry in headers:
        name = entry.key.lower()
        if HEADER.fullmatch(name) is None:
            why, advice = "cannot be the name of one", "use letters, digits and `-`"
        elif name in kept:
            why, advice = "is set by the runtime alone", "remove it"
        elif name in seen:
            why, advice = "is there twice", "keep one: small and large letters make no difference"
        else:
            seen.add(name)
            continue
        reader.problems.error(
            BAD_NAME, entry.key_span, f"the header `{entry.key}` of {reader.what} {why}", help=advice
        )
    return compile_value(headers, scope, reader.problems, TEXT_MAP, place)


def _sign_with(reader: Reader) -> str | None:
    secret = reader.text("sign_with")
    if not secret:
        return None
    if "{{" in secret:
        reader.problems.error(
            BAD_VALUE,
            reader.value_span("sign_with"),
            f"`sign_with` of {reader.what} is the same for all events, and holds no `{{{{ }}}}`",
            help="write `\"@env.secure('NAME')\"`",
        )
    if not any(key in reader for key in BODIES):
        reader.problems.error(
            MISSING_KEY,
            reader.span_of("sign_with"),
            f"{reader.what} has `sign_with` and no body that could be signed",
            help="give it one: `json: { … }`",
        )
    return secret


def _secrets(node: Node, key: str = "") -> Iterator[str]:
    """The texts that nothing may show which is told of the call, and the parts that they are made of."""
    if isinstance(node, MapNode):
        for entry in node:
            yield from _secrets(entry.node, entry.key)
    elif isinstance(node, ListNode):
        for item in node:
            yield from _secrets(item, key)
    elif isinstance(node.value, str) and node.value:
        named = is_secret_key(key) or key.lower() in ("authorization", "cookie")
        if named or node.secret:
            if "{{" not in node.value:
                yield node.value
            for part in _SEPARATORS.split(node.value):
                if len(part) >= SHORTEST_SECRET:
                    yield part
        if (password := re.match(r"https?://[^/?#\s:@]*:([^/?#\s@]+)@", node.value)) is not None:
            yield password[1]
