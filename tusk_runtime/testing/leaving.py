"""What leaves the application in a test: how it is answered, and how it compares with what is expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import orjson

from tusk_runtime.consumers.failures import masked
from tusk_runtime.consumers.leaving import Answer, Call, Leaving, Message, Publication, Run
from tusk_runtime.language.document import Entry, ListNode, MapNode, Node
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import Expected, GivenAnswer
from tusk_runtime.testing.values import ABSENT, Difference, compare, person
from tusk_runtime.types import JSON, to_json


class Answers:
    """What the addresses of a test answer: each one after the other, and its last again and again."""

    def __init__(self, given: Mapping[str, Sequence[GivenAnswer]]) -> None:
        self._given = given
        self._asked: Counter[str] = Counter()

    def __call__(self, call: Call) -> Answer:
        """The answer to a call; that of a whole address goes before that of one without its query."""
        fitting = [address for address in self._given if fits(address, call.url)]
        if not fitting:
            return Answer(200, b"{}", {"content-type": "application/json"})
        address = max(fitting, key=len)
        answers = self._given[address]
        answer = answers[min(self._asked[address], len(answers) - 1)]
        self._asked[address] += 1
        return Answer(
            answer.status, to_json(answer.json), {"content-type": "application/json", **answer.headers}
        )


def fits(address: str, url: str) -> bool:
    """Whether a call goes to an address of a test.

    One without a query fits any, and any text stands for its uuid, as everywhere in a test.
    """
    path, _, query = url.partition("?")
    wanted, _, asked = address.partition("?")
    parts, names = path.split("/"), wanted.split("/")
    same = all(part in (name, person(name)) for name, part in zip(names, parts, strict=False))
    return len(parts) == len(names) and same and asked in ("", query)


def differences(wanted: Sequence[Expected], left: Sequence[Leaving], span: Span) -> Iterator[Difference]:
    """Where what left differs from what is expected, in order; `span` is the place of the test."""
    for index in range(max(len(wanted), len(left))):
        path = f"calls[{index}]"
        if index >= len(wanted):
            yield Difference(path, ABSENT, _told(left[index]), span)
        elif index >= len(left):
            yield Difference(path, wanted[index].node.plain(), ABSENT, wanted[index].span)
        else:
            yield from _compared(wanted[index], left[index], path)


def _compared(expected: Expected, left: Leaving, path: str) -> Iterator[Difference]:
    kind, name, actual = _seen(left)
    node = expected.node
    entry = node.entries[expected.name] if isinstance(node, MapNode) else None
    if entry is None or kind != expected.name or not _same(kind, entry.node, name):
        yield Difference(path, node.plain(), _told(left), expected.span)
        return
    secrets = left.secrets if isinstance(left, Call) else ()
    for each in node if isinstance(node, MapNode) else ():
        if each.key == kind:
            continue
        here = f"{path}.{each.key}"
        if each.key not in actual:
            yield Difference(here, each.node.plain(), ABSENT, each.key_span)
            continue
        for found in compare(_lowered(each), JSON, actual[each.key], here, each.key_span):
            if not (isinstance(found.expected, str) and person(found.expected) == found.actual):
                yield Difference(found.path, found.expected, _hidden(found.actual, secrets), found.span)


def _lowered(entry: Entry) -> Node:
    """What is expected; the names of headers in small letters."""
    node = entry.node
    if entry.key != "headers" or not isinstance(node, MapNode):
        return node
    return MapNode(
        {key.lower(): each._replace(key=key.lower()) for key, each in node.entries.items()}, node.span
    )


def _same(kind: str, node: Node, name: Any) -> bool:
    """Whether it is the same address, function, or list of people."""
    if kind == "http":
        return fits(str(node.plain()), name)
    plain = node.plain()
    return bool((plain if isinstance(node, ListNode) else [plain]) == name)


def _seen(left: Leaving) -> tuple[str, Any, dict[str, Any]]:
    """What left, as a test may say it: its kind, what it is called by, and the rest of its keys."""
    match left:
        case Call():
            rest: dict[str, Any] = {"method": left.method, "body": left.body.decode(errors="replace")}
            rest["headers"] = {name.lower(): value for name, value in left.headers.items()}
            rest["form"] = dict(parse_qsl(rest["body"], keep_blank_values=True))
            with suppress(orjson.JSONDecodeError):
                rest["json"] = orjson.loads(left.body)
            return "http", left.url, rest
        case Message():
            return "email", list(left.to), _mail(left)
        case Publication():
            headers = {name.lower(): value.decode() for name, value in left.headers}
            told: dict[str, Any] = {"value": orjson.loads(left.value), "headers": headers}
            if left.key is not None:
                told["key"] = left.key.decode()
            return "publish", [left.topic], told
        case Run():
            return "call", [left.function], {"with": orjson.loads(to_json(_given(left)))}


def _mail(message: Message) -> dict[str, Any]:
    said = {"text": message.text, "html": message.html}
    return {"subject": message.subject, **{key: text for key, text in said.items() if text}}


def _given(run: Run) -> dict[str, Any]:
    """The arguments that the file gives."""
    return {name: value for name, value in run.arguments.items() if name != "event"}


def _told(left: Leaving) -> str:
    """What left, in a few words."""
    kind, name, rest = _seen(left)
    if isinstance(left, Call):
        body = f" {rest['body']}" if left.body else ""
        return masked(f"{kind} {left.method} {name}{body}", left.secrets)
    return f"{kind} {', '.join(name)} {orjson.dumps(rest).decode()}"


def _hidden(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return masked(value, secrets)
    return (
        orjson.loads(masked(to_json(value).decode(), secrets)) if secrets and value is not ABSENT else value
    )
