"""The signatures of functions, written as text: `replace(s: text, old: text, new: text) -> string`.

A parameter names kinds, with `|` between alternatives: a kind of `types`, `text` (all kinds of texts),
`moment` (date or datetime), `numeric` (integer, number, decimal), `any`, `list<…>`, `map<…>`. One capital
letter stands for whatever it meets: `T` any type, `N` a numeric one, `M` a moment. A `?` behind it takes
null, too; `=` a default makes it optional; `…` repeats the last one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tusk_runtime.types import DATE, DATETIME, DURATION, JSON, NUMERIC, STRING, TEXTS, Type

_GROUPS: dict[str, frozenset[str]] = {
    "text": frozenset(TEXTS),
    "string": frozenset(TEXTS),
    "moment": frozenset({"date", "datetime"}),
    "numeric": frozenset(NUMERIC),
    "M": frozenset({"date", "datetime"}),
    "N": frozenset(NUMERIC),
}


class Parameter(NamedTuple):
    """A parameter: its name, what it takes, whether it takes null, whether it may be left out."""

    name: str
    text: str
    optional: bool
    default: bool

    def hint(self, value: str | None) -> Type | None:
        """The type that a literal takes here; `value` is that of a text."""
        kinds = self.text.split("|")
        if value is not None and ("moment" in kinds or "M" in kinds):
            return DATE if len(value) == 10 else DATETIME
        for kind, type_ in (("date", DATE), ("datetime", DATETIME), ("duration", DURATION)):
            if kind in kinds and "text" not in kinds:
                return type_
        return None


@dataclass(frozen=True)
class Signature:
    """A signature taken apart."""

    name: str
    parameters: tuple[Parameter, ...]
    result: str
    repeats: bool

    def result_type(self, bound: dict[str, Type]) -> Type:
        """The type of the result where the letters stand for these types."""
        return _type(self.result, bound)

    @cached_property
    def arity(self) -> tuple[int, int | None]:
        """How many arguments it takes at least and at most."""
        low = sum(not p.default for p in self.parameters)
        return low, None if self.repeats else len(self.parameters)


_SIGNATURE = re.compile(r"(\w+)\((.*)\) -> (\S+)")
_PARAMETER = re.compile(r"(\w+)(?:: ([^\s=?]+)(\?)?)?( = .+)?")


def read_signature(text: str) -> Signature:
    """Take the text of a signature apart."""
    match = _SIGNATURE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a signature: {text}")
    repeats = match[2].endswith("…")
    parts = [
        part for part in re.split(r", (?![^<]*>)", match[2].removesuffix("…").removesuffix(", ")) if part
    ]
    parameters = []
    for part in parts:
        found = _PARAMETER.fullmatch(part)
        if found is None:
            raise ValueError(f"not a signature: {text}")
        parameters.append(Parameter(found[1], found[2] or "any", bool(found[3]), bool(found[4])))
    return Signature(match[1], tuple(parameters), match[3], repeats)


def accepts(parameter: Parameter, type_: Type, bound: dict[str, Type]) -> Type | None:
    """The type as which a parameter takes a value, or None if it does not. Binds the letters it meets."""
    alternatives = parameter.text.split("|")
    for alternative in alternatives:
        if (found := _match(alternative, type_, bound)) is not None:
            return found
    if type_.kind == "json" and len(alternatives) == 1:
        return _from_json(alternatives[0], bound)
    return None


def _match(wanted: str, type_: Type, bound: dict[str, Type]) -> Type | None:
    if wanted in ("any", "T"):
        bound.setdefault("T", type_.required())
        return type_
    if wanted in ("N", "M") or wanted in _GROUPS:
        if type_.kind not in _GROUPS[wanted]:
            return None
        bound.setdefault(wanted, _without_constraints(type_))
        return type_
    inner = re.fullmatch(r"(list|map)<(.+)>", wanted)
    if inner is None:
        return type_ if type_.kind == wanted else None
    if type_.kind != inner[1] or type_.item is None:
        return None
    item = type_.item
    if inner[2] == "T":
        bound.setdefault("T", item)
        return type_
    if item.optional:
        return None
    return type_ if _match(inner[2], item, bound) is not None else None


def _from_json(wanted: str, bound: dict[str, Type]) -> Type | None:
    """What a JSON value is read as, where only one kind will do."""
    if wanted in ("list<T>", "list"):
        bound.setdefault("T", JSON)
        return Type("list", item=JSON)
    if wanted in ("map<T>", "map"):
        bound.setdefault("T", JSON)
        return Type("map", item=JSON)
    if wanted in ("text", "string"):
        return STRING
    if wanted in ("integer", "boolean", "date", "datetime", "duration", "decimal"):
        return _type(wanted, {})
    return None


def _without_constraints(type_: Type) -> Type:
    return Type(type_.kind, places=type_.places)


def _type(text: str, bound: dict[str, Type]) -> Type:
    if text.endswith("?"):
        return _type(text[:-1], bound).or_null()
    if text in bound:
        return bound[text]
    inner = re.fullmatch(r"(list|map)<(.+)>", text)
    if inner is not None:
        return Type("list" if inner[1] == "list" else "map", item=_type(inner[2], bound))
    return Type(text)  # type: ignore[arg-type]


_SHOWN = {
    "any": "a value", "T": "a value", "N": "a number", "M": "a date or datetime", "numeric": "a number",
    "moment": "a date or datetime", "text": "a text", "string": "a text", "boolean": "true or false",
    "integer": "an integer", "list<T>": "a list", "list<N>": "a list of numbers", "list<boolean>": "a"
    " list of booleans",
    "map<T>": "a map",
}  # fmt: skip


def shown(text: str) -> str:
    """What a parameter takes, for messages."""
    return " or ".join(_SHOWN.get(part, f"a {part}") for part in text.split("|"))
