"""A single slip of the finger anywhere in a file is told together with the right name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import model_golden

from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ListNode, MapNode, Node
from tusk_runtime.language.load import load_text

SHOP = Path(__file__).parents[2] / "examples" / "shop.tsk"
FIELDS = ("fields", "state", "columns", "params", "OrderLine", "data", "insert", "update", "upsert", "where")
"""The keys under which the names of fields stand."""


class Place(NamedTuple):
    """A name in the file: what it is, and where it stands."""

    kind: str
    name: str
    start: int


class Typo(NamedTuple):
    """One slip: the name as it should be, as it is written, and the whole text."""

    place: Place
    written: str
    text: str


def places(text: str) -> list[Place]:
    """Section names, keys, event names, field names and function names, each at its first use."""
    document = load_text(text, "app.tsk", {}, Problems())
    found = [Place("section", match[1], match.start(1)) for match in re.finditer(r"^\[(\w+)", text, re.M)]
    events = re.findall(r"\w+", " ".join(entry.key for entry in _section(document.root, "events")))
    found += [
        Place("event", name, match.start())
        for name in events
        # The first is the declaration itself, or the line of its category, which only warns.
        for match in list(re.finditer(rf"\b{name}\b", text))[2:]
    ]
    for section in document.root:
        if section.key not in ("event_categories", "types", "tests"):
            found += _keys(section.node, section.key)
    for name in FUNCTIONS:
        found += [Place("function", name, m.start()) for m in re.finditer(rf"\b{name}\(", text)]
        found += [Place("function", name, m.start(1)) for m in re.finditer(rf"\| ({name})\b", text)]
    found += [
        Place("field", match[1], match.start(1))
        for match in re.finditer(r"\b(?:data|command|state|row|params|line|l)\.(\w+)", text)
    ]
    first: dict[tuple[str, str], Place] = {}
    for place in sorted(found, key=lambda place: place.start):
        first.setdefault((place.kind, place.name), place)
    return list(first.values())


def _section(root: MapNode, name: str) -> MapNode:
    node = root.get(name)
    assert isinstance(node, MapNode)
    return node


def _keys(node: Node, parent: str) -> Iterator[Place]:
    """The keys of declarations and of settings, and the fields that are named."""
    if isinstance(node, ListNode):
        for item in node:
            yield from _keys(item, parent)
    if not isinstance(node, MapNode):
        return
    for entry in node:
        declares = parent in ("fields", "state", "columns", "params")
        if not declares and not entry.key[0].isupper() and parent not in ("projections", "queries"):
            kind = "field" if parent in FIELDS else "key"
            yield Place(kind, entry.key, entry.key_span.start)
        inner = parent if parent[0].isupper() or entry.key in FIELDS else entry.key
        yield from _keys(entry.node, entry.key if entry.key in FIELDS else inner)


def slips(name: str) -> Iterator[str]:
    """A letter dropped, doubled, swapped with its neighbour, in the wrong case, and another letter."""
    middle = len(name) // 2
    yield name[:middle] + name[middle + 1 :]
    yield name[:middle] + name[middle] + name[middle:]
    if middle + 1 < len(name):
        yield name[:middle] + name[middle + 1] + name[middle] + name[middle + 2 :]
    yield name[0].swapcase() + name[1:]
    yield name[:middle] + ("x" if name[middle] != "x" else "y") + name[middle + 1 :]


def typos() -> list[Typo]:
    """All slips in examples/shop.tsk that give another text."""
    text = SHOP.read_text()
    return [
        Typo(place, written, text[: place.start] + written + text[place.start + len(place.name) :])
        for place in places(text)
        for written in dict.fromkeys(slips(place.name))
        if written not in ("", place.name)
    ]


def test_a_slip_is_told_once_and_with_the_right_name() -> None:
    cases = typos()
    assert len(cases) >= 300
    missed, several = [], 0
    for typo in cases:
        errors = [d for d in model_golden.diagnose(typo.text) if d.severity == "error"]
        helps = " ".join(error.help for error in errors)
        several += len(errors) > 1
        if not re.search(rf"`[^`]*\b{typo.place.name}\b[^`]*`", helps):
            missed.append(
                f"{typo.place.kind} {typo.place.name} → {typo.written}: {helps or 'nothing is told'}"
            )
    rate = 1 - len(missed) / len(cases)
    print(f"\n{len(cases)} slips, {rate:.1%} told with the right name, {several} with more than one error")
    print("\n".join(missed))
    assert rate >= 0.9
    assert several <= len(cases) / 20
