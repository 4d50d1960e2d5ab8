"""`then.calls` and `answers` of a test: what leaves the application, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from tusk_runtime.language.document import MapNode, Node, ScalarNode
from tusk_runtime.model.application import Expected, GivenAnswer
from tusk_runtime.model.codes import BAD_VALUE, MISSING_KEY, UNKNOWN_KEY
from tusk_runtime.model.consuming import Method
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type

CALL_KEYS = (
    Key("http", "address", "It is called; one without a `?` fits whatever stands behind it."),
    Key("method", f"{', '.join(f'`{m}`' for m in get_args(Method)[:-1])} or `HEAD`", "How it is called."),
    Key("json", "any value", 'The body, as JSON: a decimal is a text there, `"12.50"`.'),
    Key("form", "map of texts", "The body, as of a form of a page."),
    Key("body", "text", "The body, as it is."),
    Key("headers", "map of texts", "Some of the headers."),
    Key("email", "address, or a list of them", "All to whom an e-mail goes."),
    Key("subject", "text", "What it is about."),
    Key("text", "text", "What it says."),
    Key("html", "text", "What it says as a page."),
    Key("publish", "name", "The topic that a message is published to."),
    Key("key", "text", "The message's key."),
    Key("value", "any value", "The message, as JSON."),
    Key("call", "name", "The function of Python that is called, `module:function`."),
    Key("with", "map of any values", "Some of its arguments, as JSON."),
)
KINDS: Mapping[str, tuple[str, ...]] = {
    "http": ("method", "json", "form", "body", "headers"),
    "email": ("subject", "text", "html"),
    "publish": ("key", "value", "headers"),
    "call": ("with",),
}
"""What a line of `calls` is about, by the key that says so, and what may stand beside that."""
ANSWER_KEYS = (
    DESCRIPTION,
    Key("status", "number", "The status; 200."),
    Key("json", "any value", "The body, as JSON; `{}`."),
    Key("headers", "map of texts", "The headers."),
)
SHOWN = '`{ http: "https://host/path", json: { … } }`'


def read_calls(then: Reader) -> tuple[Expected, ...] | None:
    """What has to leave, in order; each is named by its kind. None if the test says nothing about it."""
    node = then.node_of("calls")
    if node is None:
        return None
    found = (_call(then, item) for item in items_of(node))
    return tuple(expected for expected in found if expected is not None)


def _call(then: Reader, node: Node) -> Expected | None:
    what = f"a line of `calls` in {then.what}"
    if not isinstance(node, MapNode):
        wrong_type(then.problems, node, what, f"a map such as {SHOWN}")
        return None
    before = len(then.problems)
    reader = Reader(node, CALL_KEYS, what, then.problems, node.span)
    kinds = [kind for kind in KINDS if kind in reader]
    if len(kinds) != 1:
        if not kinds and len(then.problems) == before:
            message, advice = f"{what} names nothing that leaves", f"write {SHOWN}"
            then.problems.error(MISSING_KEY, node.span, message, help=advice)
        elif kinds:
            message = f"{what} names several: {', '.join(f'`{kind}`' for kind in kinds)}"
            advice = "write a line for each of them"
            then.problems.error(UNKNOWN_KEY, reader.span_of(kinds[1]), message, help=advice)
        return None
    kind = kinds[0]
    for key in CALL_KEYS:
        if key.name in reader and key.name not in (kind, *KINDS[kind]):
            keys = ", ".join(f"`{name}`" for name in KINDS[kind])
            message = f"{what} has `{key.name}` beside `{kind}`"
            advice = f"beside `{kind}` may stand {keys}"
            then.problems.error(UNKNOWN_KEY, reader.span_of(key.name), message, help=advice)
    _check_shapes(reader, kind)
    return Expected(kind, node, node.span) if len(then.problems) == before else None


def _check_shapes(reader: Reader, kind: str) -> None:
    if kind == "email":
        reader.texts("email", "an address, or a list of them")
    else:
        reader.text(kind)
    if "method" in reader:
        reader.choice("method", "GET", get_args(Method))
    for key in ("form", "headers", "with"):
        reader.map(key)
    for key in ("subject", "text", "html", "body", "key"):
        reader.text(key)


def read_answers(test: Reader) -> dict[str, tuple[GivenAnswer, ...]]:
    """What addresses answer, one after the other; the last one again and again."""
    found: dict[str, tuple[GivenAnswer, ...]] = {}
    for entry in test.map("answers", 'a map `{ "https://host/path": { status: 503 } }`') or ():
        what = f"the answer of `{entry.key}` in {test.what}"
        if not entry.key.startswith(("http://", "https://")):
            test.problems.error(
                BAD_VALUE,
                entry.key_span,
                f"`{entry.key}` in `answers` of {test.what} is no address",
                help='write the whole address in quotes: `"https://host/path"`',
            )
        answers = []
        for item in items_of(entry.node):
            if isinstance(item, MapNode):
                answers.append(_answer(Reader(item, ANSWER_KEYS, what, test.problems, entry.key_span)))
            else:
                wrong_type(test.problems, item, what, "a map `{ status: 503 }`, or a list of such maps")
        if not answers and not list(items_of(entry.node)):
            advice = "write `{ status: 503 }`"
            test.problems.error(MISSING_KEY, entry.key_span, f"{what} is empty", help=advice)
        found[entry.key] = tuple(answers)
    return found


def _answer(reader: Reader) -> GivenAnswer:
    body = reader.node_of("json")
    return GivenAnswer(
        reader.integer("status", 200, 100, 599),
        {} if body is None else body.plain(),
        dict(_headers(reader)),
    )


def _headers(reader: Reader) -> Iterator[tuple[str, str]]:
    for entry in reader.map("headers", "a map of names and texts") or ():
        value: Any = entry.node.value if isinstance(entry.node, ScalarNode) else None
        if isinstance(value, str):
            yield entry.key.lower(), value
        else:
            wrong_type(reader.problems, entry.node, f"the header `{entry.key}`", "a text in quotes")
