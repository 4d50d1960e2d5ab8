"""A single slip of the finger anywhere in a file is told together with the right name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import model_golden

from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ListNode, MapNode, Node
from tusk_runtime.language.load import load_text
from tusk_runtime.types.text import BUILT_IN, CONSTRAINTS

EXAMPLES = sorted(
    path
    for path in (Path(__file__).parents[2] / "examples").glob("*.tsk")
    if "\nimport:" not in path.read_text()  # a text by itself has no folder to import from
)
FIELDS = ("fields", "state", "columns", "params", "OrderLine", "data", "insert", "update", "upsert", "where")
"""The keys under which the names of fields stand."""

LOADING = """\
$environment: "test"
$place: "data"
$net: { host: "127.0.0.1", port: 8080 }

[runtime]
name: "loading-${environment}"
version: @if($environment == "test", "1", @env("VERSION", "2"))

[http]
listen: "${net.host}:${net.port}"
body_limit: $environment == "test" ? 1MB : 8MB

[store_config]
sqlite: { path: "${place}/@env('DATABASE', 'app')-${runtime.name}.db" }

[event_store]
backend: "sqlite"
"""
"""What happens at load, which the examples have little of."""


class Place(NamedTuple):
    """A name in a file: what it is, and where it stands."""

    kind: str
    name: str
    start: int


class Typo(NamedTuple):
    """One slip: the name as it should be, as it is written, and the whole text."""

    file: str
    place: Place
    written: str
    text: str


class File:
    """A text, what it declares, and which stretches of it belong to which section."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = load_text(text, "app.tsk", {}, Problems()).root
        heads = [(match[1], match.start()) for match in re.finditer(r"^\[([\w.]+)", text, re.M)]
        ends = [start for _, start in heads[1:]] + [len(text)]
        self.sections = [(name, start, end) for (name, start), end in zip(heads, ends, strict=True)]

    def declared(self, section: str) -> list[str]:
        node = self.root.get(section)
        return [entry.key for entry in node] if isinstance(node, MapNode) else []

    def find(
        self, kind: str, pattern: str, *sections: str, names: Iterable[str] | None = None
    ) -> Iterator[Place]:
        """The places that the first group of a pattern finds in some sections (all, if none is named)."""
        known = None if names is None else set(names)
        for name, start, end in self.sections or [("", 0, len(self.text))]:
            if not sections or name.partition(".")[0] in sections:
                for match in re.compile(pattern, re.M).finditer(self.text, start, end):
                    if known is None or match[1] in known:
                        yield Place(kind, match[1], match.start(1))


def places(text: str) -> list[Place]:
    """Every kind of name that a file holds, each name at its first use."""
    file = File(text)
    found = [Place("section", name.partition(".")[0], start + 1) for name, start, _ in file.sections]
    found += [place for section in file.root for place in _section_keys(section.key, section.node)]
    found += [place for of in (_uses, _values, _types, _expressions, _loading) for place in of(file)]
    first: dict[tuple[str, str], Place] = {}
    for place in sorted(found, key=lambda place: place.start):
        first.setdefault((place.kind, place.name), place)
    return list(first.values())


def _section_keys(section: str, node: Node) -> Iterator[Place]:
    if section not in ("event_categories", "types", "tests"):
        yield from _keys(node, section)


def _keys(node: Node, parent: str) -> Iterator[Place]:
    """The keys of declarations and of settings, and the fields that are named."""
    if isinstance(node, ListNode):
        for item in node:
            yield from _keys(item, parent)
    if not isinstance(node, MapNode):
        return
    for entry in node:
        declares = parent in ("fields", "state", "columns", "params", "select")
        if not declares and not entry.key[0].isupper() and parent not in ("projections", "queries"):
            kind = "field" if parent in FIELDS else "key"
            yield Place(kind, entry.key, entry.key_span.start)
        inner = parent if parent[0].isupper() or entry.key in FIELDS else entry.key
        yield from _keys(entry.node, entry.key if entry.key in (*FIELDS, "select") else inner)


def _uses(file: File) -> Iterator[Place]:
    """Names of declarations where they are used: in other declarations, and in tests."""
    events = file.declared("events")
    for name in events:
        # The first is the declaration itself, or the line of its category, which only warns.
        for match in list(re.finditer(rf"\b{name}\b", file.text))[2:]:
            yield Place("event", name, match.start())
    used = r"(?<![\w@$.])(\w+): [\[{]"
    yield from file.find("command", r"(?<![\w@$.])(\w+): \{", "tests", names=file.declared("commands"))
    yield from file.find("aggregate", r'aggregate: "(\w+)"', "commands")
    yield from file.find("projection", r'from: "(\w+)"', "queries", names=file.declared("projections"))
    yield from file.find("projection of a test", used, "tests", names=file.declared("projections"))
    yield from file.find("query of a test", r"query: \{ (\w+):", "tests")
    columns = {name for name in re.findall(r"(\w+): ", file.text) if re.search(rf'"-?{name}"', file.text)}
    yield from file.find("column", r'"-?(\w+)"[,\]]', "projections", "queries", names=columns)


def _values(file: File) -> Iterator[Place]:
    """Words that are one of a few: values of enums, states, choices of keys."""
    values = {value for inside in re.findall(r"enum\(([^)]*)\)", file.text) for value in inside.split(", ")}
    quoted = r'(?<![\w(])"(\w+)"'
    yield from file.find("value", quoted, "aggregates", names=values)
    enums = [(start, end) for _, start, end in file.sections if "enum(" in file.text[start:end]]
    for place in file.find("value of a column", quoted, "projections", names=values):
        if any(start < place.start < end for start, end in enums):  # elsewhere the column is any text
            yield place
    for line in re.finditer(r"from: (\[[^\]]*\]|\"\w+\")", file.text):
        for word in re.finditer(r'"(\w+)"', line[0]):
            if word[1] in values:
                yield Place("state", word[1], line.start() + word.start(1))
    yield from file.find("choice", r'\b(?:creates|returns|backend): "(\w+)"')


def _types(file: File) -> Iterator[Place]:
    known = {*BUILT_IN, "list", "map", "enum", *file.declared("types")}
    yield from file.find(
        "type",
        r'(?:"|<)(\w+)(?=[^"\n]*")',
        "types",
        "events",
        "commands",
        "projections",
        "queries",
        names=known,
    )
    constraints = {name for names in CONSTRAINTS.values() for name in names}
    yield from file.find("constraint", r"[(,] ?(\w+)=", names=constraints)


def _expressions(file: File) -> Iterator[Place]:
    for name in FUNCTIONS:
        yield from file.find("function", rf"(?<![\w@.])({name})\(", names=None)
        yield from file.find("filter", rf"\| ({name})\b")
    yield from file.find("field", r"\b(?:data|command|state|row|params|line|l)\.(\w+)")
    yield from file.find("root", r"\{\{ (data|command|state|row|params)\.")


def _loading(file: File) -> Iterator[Place]:
    """Operators and variables; the definition of a variable is no use of it."""
    yield from (Place("operator", m[1], m.start(1)) for m in re.finditer(r"@([a-z.]+)\(", file.text))
    yield from (Place("variable", m[1], m.start(1)) for m in re.finditer(r"\$(\w+)(?!\w*:)", file.text))
    yield from (Place("variable in a text", m[1], m.start(1)) for m in re.finditer(r"\$\{(\w+)", file.text))
    yield from (
        Place("key of a variable", m[1], m.start(1)) for m in re.finditer(r"\$\{\w+\.(\w+)", file.text)
    )


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
    """All slips in all examples that give another text; what several examples have, in the first."""
    texts = {path.name: path.read_text() for path in EXAMPLES}
    first: dict[tuple[str, str], tuple[str, str, Place]] = {}
    for file, text in {**texts, "loading": LOADING}.items():
        for place in places(text):
            first.setdefault((place.kind, place.name), (file, text, place))
    return [
        Typo(file, place, written, text[: place.start] + written + text[place.start + len(place.name) :])
        for file, text, place in first.values()
        for written in dict.fromkeys(slips(place.name))
        if written not in ("", place.name)
    ]


def test_what_is_looked_through_is_right() -> None:
    for text in (*(path.read_text() for path in EXAMPLES), LOADING):
        assert [d.message for d in model_golden.diagnose(text) if d.severity == "error"] == []


def test_a_slip_is_told_once_and_with_the_right_name() -> None:
    cases = typos()
    kinds = Counter(typo.place.kind for typo in cases)
    assert len(cases) >= 800
    missed, several = [], []
    for typo in cases:
        found = model_golden.diagnose(typo.text)
        errors = [d for d in found if d.severity == "error"]
        helps = " ".join(d.help for d in errors or found)
        where = f"{typo.file}: {typo.place.kind} {typo.place.name} → {typo.written}: "
        if len(errors) > 1:
            several.append(where + "; ".join(error.message for error in errors))
        if not re.search(rf"`[^`]*\b{typo.place.name}\b[^`]*`", helps):
            missed.append(where + (helps or "nothing is told"))
    rate = 1 - len(missed) / len(cases)
    print(f"\n{len(cases)} slips ({', '.join(f'{n} {kind}' for kind, n in kinds.items())})")
    print(f"{rate:.1%} told with the right name, {len(several)} with more than one error")
    print("\n".join(["", *missed, "", *several]))
    assert rate >= 0.95
    assert len(several) <= len(cases) / 20
