"""What to write in place of a type text that is none, and of a value that is none of its type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.types.constraints import LENGTHS
from tusk_runtime.types.kinds import Type
from tusk_runtime.types.values import show

EXAMPLE = (
    "a type is written as in `string`, `date?`, `integer(min=1) = 1`, `list<string>` or `enum(new, paid)`"
)

_OTHER_NAMES = {
    "int": "integer", "long": "integer", "bigint": "integer", "int64": "integer", "float": "number",
    "double": "number", "real": "number", "text": "string", "str": "string", "varchar": "string",
    "char": "string", "bool": "boolean", "money": "decimal", "numeric": "decimal", "bigdecimal": "decimal",
    "timestamp": "datetime", "time": "datetime", "timestamptz": "datetime", "interval": "duration",
    "array": "list", "set": "list", "dict": "map", "object": "map", "hash": "map", "any": "json",
    "jsonb": "json", "guid": "uuid", "uri": "url", "blob": "bytes", "binary": "bytes", "mail": "email",
}  # fmt: skip
"""What the types are called elsewhere."""

_MARKED = re.compile(r"\bpii\s*$")


def misplaced(text: str, at: int) -> str:
    """What to write where something does not belong at a place of a type text."""
    head, rest = text[:at], text[at:]
    if _MARKED.search(head) and rest[:1] in ("?", "("):
        return "the mark stands behind the type and all that belongs to it: `string(min=1)? pii`"
    if head.count("(") > head.count(")"):
        return "constraints are written `(min=1, max=10)`; close them with `)`"
    if head.count("<") > head.count(">"):
        return "close `<` with `>`, as in `list<string>`"
    if "?" in head and rest[:1] == "(":
        return "the `?` comes behind the constraints: `string(min=1)?`"
    if "=" in head:
        if re.match(r"pii\b", rest):
            return "the mark comes before the default: `string pii = 'x'`"
        return "quote a default of several words"
    return EXAMPLE


def unknown_type(name: str, known: Iterable[str]) -> str:
    """What to write in place of a type that does not exist."""
    if name == "pii":
        return "the mark stands behind a type: `string pii`"
    guess = nearest(name, list(known))
    lower = name.lower()
    if lower in _OTHER_NAMES and (guess is None or guess.islower()):
        return f"here it is called `{_OTHER_NAMES[lower]}`"
    return f"did you mean `{guess}`?" if guess else "declare it under `[types]`, or use a built-in one"


_EXAMPLES: Mapping[str, tuple[str, str]] = {
    "string": ("a text in quotes", ""),
    "email": ("an e-mail address", "anna@example.org"),
    "url": ("an address with its scheme", "https://example.org/"),
    "uuid": ("a UUID", "0b9d1f6e-0000-4000-8000-000000000001"),
    "integer": ("a whole number", "12"),
    "number": ("a number", "0.5"),
    "decimal": ("a number", "12.50"),
    "boolean": ("`true` or `false`", ""),
    "datetime": ("a datetime", "2026-01-31T09:30:00Z"),
    "date": ("a date", "2026-01-31"),
    "duration": ("a duration", "90s"),
    "bytes": ("bytes as base64", "YQ=="),
    "list": ("a list", "[a, b]"),
    "map": ("a map", "{ key: value }"),
    "json": ("a value that JSON has", ""),
    "null": ("`null`", ""),
}


def how_to_write(type_: Type) -> str:
    """Advice for the writer of a value that is none of the type, or that breaks its constraints."""
    if type_.kind == "enum":
        return "write one of " + ", ".join(f"`{value}`" for value in type_.values[:12])
    if type_.record is not None:
        return f"write a map with the fields of {type_.record.name}"
    what, example = _EXAMPLES[type_.kind]
    if bounds := _bounds(type_):
        return f"write {what} {bounds}"
    return f"write {what}, such as `{example}`" if example else f"write {what}"


def _bounds(type_: Type) -> str:
    """The constraints of a type in words, the first that it has."""
    unit = LENGTHS.get(type_.kind)
    behind = f" {unit[1]}" if unit else ""
    low, high = (None if bound is None else show(bound) for bound in (type_.min, type_.max))
    if low is not None and high is not None:
        return f"{'with' if unit else 'from'} {low} to {high}{behind}"
    if low is not None or high is not None:
        if unit and (low or high) == "1":
            behind = f" {unit[0]}"
        bound = f"at least {low}" if high is None else f"at most {high}"
        return f"{'with' if unit else 'of'} {bound}{behind}"
    if type_.pattern is not None:
        return f"that matches `{type_.pattern}` as a whole"
    return "without repeats" if type_.unique else ""
