"""`[types]`: names for types, and the fields that events, commands, states and rows are made of."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Entry, ListNode, MapNode, Node, ScalarNode
from tusk_runtime.model.codes import BAD_NAME, TYPE_CYCLE
from tusk_runtime.model.names import TYPE_WORDS, check_name
from tusk_runtime.model.reader import DESCRIPTION, TYPES, Reader, wrong_type
from tusk_runtime.types import ABSENT, UNKNOWN, Field, Record, Type, TypeText, parse_type
from tusk_runtime.types import codes as type_codes
from tusk_runtime.types.text import MAX_DEPTH

_WORD = re.compile(r"\w+")
BROKEN = UNKNOWN
"""Stands for a type that could not be read: anything goes with it, so that nothing follows from it."""
NO_KEYS = frozenset({"json", "list", "map", "record", "bytes"})
"""The kinds of types whose values tell nothing apart: no rows, and no aggregates."""


class OpenRecord(Record):
    """The fields of a map that could not be read in full: there may be others, so nothing is missed in it."""

    __slots__ = ()


def is_open(record: Record) -> bool:
    """Whether a record may have other fields than those that are known."""
    return isinstance(record, OpenRecord)


class NamedTypes(Mapping[str, Type]):
    """The `[types]` of a file, each read when it is first asked for, so that they may stand in any order."""

    def __init__(self, section: MapNode | None, problems: Problems) -> None:
        self._entries = section.entries if section is not None else {}
        self._problems = problems
        self._types: dict[str, Type] = {}
        self._open: list[str] = []
        self._depth = 0
        self._texts: dict[str, TypeText] = {}

    def parse(self, node: ScalarNode, problems: Problems) -> TypeText | None:
        """The type that a text stands for, or None with a problem noted; each text is read once."""
        text = str(node.value)
        if text in self._texts:
            return self._texts[text]
        found = parse_type(node, self, problems)
        if found is not None:
            self._texts[text] = found
        return found

    @property
    def used(self) -> set[str]:
        """The words of all types that were read: a named type that is not among them is not used."""
        return {word for text in self._texts for word in _WORD.findall(text)}

    def __getitem__(self, name: str) -> Type:
        if name in self._types:
            return self._types[name]
        entry = self._entries[name]
        if name in self._open:
            loop = " → ".join([*self._open[self._open.index(name) :], name])
            self._problems.error(
                TYPE_CYCLE,
                entry.key_span,
                f"the type `{name}` contains itself: {loop}",
                help="keep the id of the other in place of it, or make that field `json`",
            )
            return BROKEN
        levels = _levels(entry.node)
        if self._open and self._depth + levels > MAX_DEPTH:
            self._problems.error(
                type_codes.NESTING,
                entry.key_span,
                f"the types {self._open[0]} … {name} nest more than {MAX_DEPTH} deep",
                help="take levels out, or use `json`",
            )
            return self._types.setdefault(name, BROKEN)
        self._open.append(name)
        self._depth += levels
        try:
            self._types[name] = type_ = self._read(entry)
        finally:
            self._open.pop()
            self._depth -= levels
        return type_

    def _read(self, entry: Entry) -> Type:
        node = entry.node
        if entry.key in TYPE_WORDS:
            self._problems.error(
                BAD_NAME,
                entry.key_span,
                f"`{entry.key}` cannot be the name of a type: it is a word of the types themselves",
                help="give it another name, such as `Money` or `OrderLine`",
            )
            return BROKEN
        if not check_name(self._problems, entry, "a type"):
            return BROKEN
        if isinstance(node, MapNode):
            self._check_description(node)
            return Type("record", record=fields_of(node, entry.key, self, self._problems))
        if not (isinstance(node, ScalarNode) and isinstance(node.value, str)):
            wrong_type(
                self._problems, node, f"the type `{entry.key}`", "a type in quotes, or a map of fields"
            )
            return BROKEN
        found = self.parse(node, self._problems)
        if found is None:
            return BROKEN
        if found.default is not ABSENT:
            self._problems.error(
                type_codes.DEFAULT,
                node.span,
                f"the type `{entry.key}` has a default, which only fields have",
                help=f'take it out, and write it at the field: `field: "{entry.key} = …"`',
            )
        return found.type

    def _check_description(self, node: MapNode) -> None:
        """In `[types]` every key is a field, and so is `description`."""
        text = node.get(DESCRIPTION.name)
        if not isinstance(text, ScalarNode) or not isinstance(text.value, str) or " " not in text.value:
            return
        scratch = Problems()
        if parse_type(text, self, scratch) is None:
            self._problems.error(
                type_codes.SYNTAX,
                text.span,
                "`description` is a field here like any other, and this is no type",
                help="describe the type in a comment above it: `# …`",
            )
            del node.entries[DESCRIPTION.name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _levels(node: Node) -> int:
    """How many levels a declared type adds at most, before those that it names."""
    texts = [entry.node for entry in node] if isinstance(node, MapNode) else [node]
    return 1 + max((str(t.value).count("<") for t in texts if isinstance(t, ScalarNode)), default=0)


def read_fields(
    reader: Reader,
    key: str,
    owner: str,
    named: NamedTypes,
    *,
    what: str = "field",
    reserved: Collection[str] = (),
) -> Record:
    """The record that a key declares; without the key an empty one, an open one if it holds no map."""
    if key not in reader:
        return Record(owner, {})
    node = reader.map(key, TYPES)
    if node is None:
        return OpenRecord(owner, {})
    return fields_of(node, owner, named, reader.problems, what=what, reserved=reserved)


def fields_of(
    node: MapNode,
    owner: str,
    named: NamedTypes,
    problems: Problems,
    *,
    what: str = "field",
    reserved: Collection[str] = (),
) -> Record:
    """A record from a map of names and type texts; `reserved` names are refused.

    A field whose type cannot be read takes anything; one whose name cannot be gives an open record.
    """
    fields: dict[str, Field] = {}
    column = what == "column"
    unnamed = False
    for entry in node:
        name = entry.key
        if name in reserved:
            problems.error(
                BAD_NAME,
                entry.key_span,
                f"`{name}` cannot be the name of a {what}: it stands beside the {what}s already",
                help="remove it, or give it another name",
            )
        elif check_name(problems, entry, f"a {what}", column=column):
            fields[name] = _field(name, entry.node, f"the {what} `{name}`", named, problems)
        else:
            unnamed = True
    return OpenRecord(owner, fields) if unnamed else Record(owner, fields)


def _field(name: str, node: Node, what: str, named: NamedTypes, problems: Problems) -> Field:
    found = None
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        found = named.parse(node, problems)
    elif isinstance(node, MapNode):
        wrong_type(
            problems,
            node,
            what,
            "a type in quotes",
            'declare the fields as `[types.X]`, and write `"X"` here',
        )
    elif isinstance(node, ListNode):
        wrong_type(problems, node, what, "a type in quotes", 'for a list write `"list<string>"`')
    else:
        wrong_type(problems, node, what, "a type in quotes", 'write a type in quotes, such as `"string"`')
    return Field(name, found.type, found.default) if found is not None else Field(name, BROKEN, None)
