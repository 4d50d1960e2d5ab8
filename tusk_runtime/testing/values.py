"""The values of a test: what a text stands for, and how what is expected compares with what there is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tusk_runtime.errors import Refused
from tusk_runtime.events import NAMESPACE
from tusk_runtime.language.document import ListNode, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.types import JSON, Field, Record, Type, Validator


def person(text: str) -> str:
    """The uuid that a text stands for: the same one throughout."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return str(uuid.uuid5(NAMESPACE, f"test {text}"))


def prepared(value: Any, type_: Type) -> Any:
    """A plain value with every text that stands where a uuid is expected replaced by that uuid."""
    if value is None:
        return None
    if type_.kind == "uuid" and isinstance(value, str):
        return person(value)
    if type_.kind == "list" and type_.item is not None and isinstance(value, list):
        return [prepared(item, type_.item) for item in value]
    if type_.kind == "map" and type_.item is not None and isinstance(value, dict):
        return {key: prepared(item, type_.item) for key, item in value.items()}
    if type_.kind == "record" and type_.record is not None and isinstance(value, dict):
        fields = type_.record.fields
        return {key: prepared(v, fields[key].type) if key in fields else v for key, v in value.items()}
    return value


def wanted(node: Node, type_: Type) -> Any:
    """The expected value as a run-time value; the plain value where it does not fit the type.

    Only the fields that are given are compared, so records may be partial.
    """
    type_ = type_.required()
    if isinstance(node, MapNode) and type_.kind == "record" and type_.record is not None:
        fields = type_.record.fields
        return {e.key: wanted(e.node, fields[e.key].type if e.key in fields else JSON) for e in node}
    if isinstance(node, ListNode) and type_.kind == "list" and type_.item is not None:
        return [wanted(item, type_.item) for item in node]
    plain = prepared(node.plain(), type_)
    if plain is None:
        return None
    try:
        record = Record("value", {"value": Field("value", type_)})
        return Validator(record, "forbid").python({"value": plain})["value"]
    except Refused:
        return plain


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where what is expected differs from what there is, and where the file expects it."""

    path: str
    expected: Any
    actual: Any
    span: Span


ABSENT = "(absent)"


def compare(node: Node, type_: Type, actual: Any, path: str, span: Span) -> Iterator[Difference]:
    """Every place where an expected node differs from a run-time value."""
    type_ = type_.required()
    if isinstance(node, MapNode) and isinstance(actual, Mapping):
        fields = type_.record.fields if type_.record is not None else {}
        for entry in node:
            inner = fields[entry.key].type if entry.key in fields else (type_.item or JSON)
            here = f"{path}.{entry.key}" if path else entry.key
            if entry.key not in actual:
                yield Difference(here, entry.node.plain(), ABSENT, entry.key_span)
            else:
                yield from compare(entry.node, inner, actual[entry.key], here, entry.key_span)
        return
    if isinstance(node, ListNode) and isinstance(actual, list):
        inner = type_.item or JSON
        for index, item in enumerate(node):
            here = f"{path}[{index}]"
            if index >= len(actual):
                yield Difference(here, item.plain(), ABSENT, item.span)
            else:
                yield from compare(item, inner, actual[index], here, item.span)
        for index in range(len(node.items), len(actual)):
            yield Difference(f"{path}[{index}]", ABSENT, actual[index], node.span)
        return
    expected = wanted(node, type_)
    if expected != actual or isinstance(expected, bool) != isinstance(actual, bool):
        yield Difference(path, expected, actual, node.span if isinstance(node, ScalarNode) else span)
