"""Reads the keys of a map: which exist, which are required, what kind of value each takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tusk_runtime.language.diagnostics import Problems, nearest
from tusk_runtime.language.document import Entry, ListNode, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.codes import BAD_VALUE, MISSING_KEY, NOT_A_CHOICE, NOT_YET, UNKNOWN_KEY, WRONG_TYPE
from tusk_runtime.types.values import parse_duration, show

SIZE_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"(\d{1,15})\s*(B|KB|MB|GB|KiB|MiB|GiB)?\Z")
LATER_HELP = "remove it: this version of the runtime does not build it yet"


class Key(NamedTuple):
    """A key of a section or declaration: its name, what it takes, and what it does, as documented.

    `takes` is one of the phrases of `shapes`, which say the same to machines; or, where a key takes one of a
    few words, these words: "`many`, `one` or `scalar`". `keys` are the keys of the map that it takes, or of
    each of the maps. `later` marks a key that the language has and this version refuses by name.
    """

    name: str
    takes: str
    doc: str
    required: bool = False
    later: bool = False
    keys: Sequence[Key] = ()


TYPES = 'a map of names and types, such as `{ name: "string" }`'
"""What the keys take that declare fields."""

DESCRIPTION = Key("description", "text", "What this is for, for people.")


@dataclass(slots=True)
class Reader:
    """The entries of one map, checked against its keys when it is made.

    The typed getters note a problem and give the default where the value does not fit. A key that is
    misspelled is told and then read as the one that was meant, so that nothing follows from it. `hint` says
    where other keys probably belong.
    """

    node: MapNode
    keys: Sequence[Key]
    what: str
    problems: Problems
    head: Span
    hint: str = ""
    _entries: dict[str, Entry] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        known = {key.name: key for key in self.keys}
        for entry in self.node:
            key = known.get(entry.key)
            if key is None:
                self._unknown(entry, known)
            elif key.later:
                self.problems.error(
                    NOT_YET,
                    entry.key_span,
                    f"`{entry.key}` in {self.what} is not available yet",
                    help=LATER_HELP,
                )
            else:
                self._entries[entry.key] = entry
        for key in self.keys:
            if key.required and key.name not in self._entries:
                self.problems.error(
                    MISSING_KEY,
                    self.head,
                    f"{self.what} lacks the key `{key.name}`",
                    help=f"write `{key.name}: …` ({key.takes}): {key.doc}",
                )

    def _unknown(self, entry: Entry, known: Mapping[str, Key]) -> None:
        absent = [name for name in known if name not in self.node]
        guess = nearest(entry.key, absent) or nearest(entry.key, known)
        if guess is not None:
            advice = f"did you mean `{guess}`?"
        else:
            names = [key.name for key in self.keys if not key.later and key is not DESCRIPTION]
            advice = "keys here: " + ", ".join(f"`{name}`" for name in names)
            advice = f"{self.hint}; {advice}" if self.hint else advice
        self.problems.error(
            UNKNOWN_KEY, entry.key_span, f"unknown key `{entry.key}` in {self.what}", help=advice
        )
        if guess in absent and guess is not None and not known[guess].later:
            self._entries.setdefault(guess, entry)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def node_of(self, key: str) -> Node | None:
        """The node under a key that is known, or None."""
        entry = self._entries.get(key)
        return entry.node if entry else None

    def span_of(self, key: str) -> Span:
        """The place of a key, or of the declaration if it is not there."""
        entry = self._entries.get(key)
        return entry.key_span if entry else self.head

    def value_span(self, key: str) -> Span:
        """The place of a key's value, or of the declaration if it is not there."""
        entry = self._entries.get(key)
        return entry.node.span if entry else self.head

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        node = self.node_of(key)
        if node is None:
            return default
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value:
            return node.value
        self._wrong(node, key, "a text in quotes")
        return default

    def flag(self, key: str, default: bool = False) -> bool:
        """`true` or `false`."""
        node = self.node_of(key)
        if node is None:
            return default
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, bool):
            return value
        # A variable of the environment is a text without quotes.
        if isinstance(node, ScalarNode) and value in ("true", "false") and not node.quoted:
            return value == "true"
        self._wrong(node, key, "`true` or `false`")
        return default

    def integer(self, key: str, default: int, minimum: int, maximum: int) -> int:
        """A whole number between bounds."""
        node = self.node_of(key)
        if node is None:
            return default
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(node, ScalarNode) and isinstance(value, str) and not node.quoted:
            value = int(value) if re.fullmatch(r"-?\d{1,18}", value, re.ASCII) else value
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong(node, key, f"a whole number from {minimum} to {maximum}")
            return default
        if not minimum <= value <= maximum:
            self.problems.error(
                BAD_VALUE,
                node.span,
                f"`{key}` is {value}",
                help=f"write a whole number from {minimum} to {maximum}",
            )
            return default
        return value

    def size(self, key: str, default: int, maximum: int) -> int:
        """A size in bytes, such as `1MiB`."""
        node = self.node_of(key)
        if node is None:
            return default
        value = node.value if isinstance(node, ScalarNode) and not isinstance(node.value, bool) else None
        match = _SIZE.match(str(value)) if isinstance(value, str | int) else None
        if match is None:
            self._wrong(node, key, "a size such as `64KB` or `1MiB`")
            return default
        size = int(match[1]) * SIZE_UNITS[match[2] or "B"]
        if not 0 < size <= maximum:
            advice = f"write a size from 1B to {maximum // SIZE_UNITS['MiB']}MiB"
            self.problems.error(BAD_VALUE, node.span, f"`{key}` is {value}", help=advice)
            return default
        return size

    def duration(self, key: str, default: float, minimum: str, maximum: str) -> float:
        """A duration such as `30s` between bounds, in seconds."""
        node = self.node_of(key)
        if node is None:
            return default
        expected = f"a duration from `{minimum}` to `{maximum}`, such as `90s` or `5m`"
        value = node.value if isinstance(node, ScalarNode) and not node.secret else None
        if not isinstance(value, str):
            self._wrong(node, key, expected)
            return default
        try:
            found = parse_duration(value)
        except ValueError as error:
            problem = f"`{key}` of {self.what}: {error}"
            self.problems.error(BAD_VALUE, node.span, problem, help=f"write {expected}")
            return default
        if not parse_duration(minimum) <= found <= parse_duration(maximum):
            self.problems.error(BAD_VALUE, node.span, f"`{key}` is {value}", help=f"write {expected}")
            return default
        return found.total_seconds()

    def choice(self, key: str, default: str, choices: Collection[str], later: Collection[str] = ()) -> str:
        """One of a few words; those of `later` are refused as not available yet."""
        node = self.node_of(key)
        if node is None:
            return default
        value = node.value if isinstance(node, ScalarNode) and not node.secret else None
        if not isinstance(value, str):
            self._wrong(node, key, either(choices))
        elif value in choices:
            return value
        elif value in later:
            self.problems.error(
                NOT_YET,
                node.span,
                f"`{key}: {value}` in {self.what} is not available yet",
                help=f"write {either(choices)}",
            )
        else:
            guess = nearest(value, [*choices, *later])
            self.problems.error(
                NOT_A_CHOICE,
                node.span,
                f"`{value}` is not a choice of `{key}` in {self.what}",
                help=(f"did you mean `{guess}`? " if guess else "") + f"write {either(choices)}",
            )
        return default

    def texts(self, key: str, expected: str = "a name, or a list of names") -> list[ScalarNode]:
        """A list of texts; a single one is a list of one. Empty if the key is not there."""
        node = self.node_of(key)
        found = []
        for item in () if node is None else items_of(node):
            if isinstance(item, ScalarNode) and isinstance(item.value, str):
                found.append(item)
            else:
                self._wrong(item, key, expected)
        return found

    def map(self, key: str, expected: str = "a map `{ name: … }`") -> MapNode | None:
        """A map."""
        node = self.node_of(key)
        if node is None or isinstance(node, MapNode):
            return node
        self._wrong(node, key, expected)
        return None

    def maps(self, key: str, expected: str = "a map `{ … }`, or a list of maps") -> list[MapNode]:
        """A list of maps; a single one is a list of one."""
        node = self.node_of(key)
        found = []
        for item in () if node is None else items_of(node):
            if isinstance(item, MapNode):
                found.append(item)
            else:
                self._wrong(item, key, expected)
        return found

    def _wrong(self, node: Node, key: str, expected: str) -> None:
        wrong_type(self.problems, node, f"`{key}` of {self.what}", expected)


def items_of(node: Node) -> Sequence[Node]:
    """The items of a list; a single value is a list of one."""
    return node.items if isinstance(node, ListNode) else (node,)


def wrong_type(problems: Problems, node: Node, what: str, expected: str, advice: str = "") -> None:
    """Note that a value is of another kind than expected."""
    if not advice:
        advice = f"write {expected}"
        number = isinstance(node, ScalarNode) and not isinstance(node.value, str) and node.value is not None
        if number and expected == "a text in quotes":
            advice = f'write it in quotes: `"{node.span.text}"`'
    problems.error(
        WRONG_TYPE, node.span, f"{what} is {shape(node)}", label=f"expected {expected}", help=advice
    )


def shape(node: Node) -> str:
    """What a value is, in words."""
    if isinstance(node, MapNode):
        return "a map"
    if isinstance(node, ListNode):
        return "a list"
    value = node.value
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return "a text" if node.secret else f"the text {show(value, 40)}"
    return f"the number {value}"


def either(choices: Collection[str]) -> str:
    """The choices in words."""
    names = [f"`{choice}`" for choice in choices]
    return ", ".join(names[:-1]) + " or " + names[-1] if len(names) > 1 else names[0]
