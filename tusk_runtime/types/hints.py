"""What to write in place of a type text that is none."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tusk_runtime.language.diagnostics import nearest

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
    if lower in _OTHER_NAMES and (guess is None or lower in ("text", "int", "float", "time")):
        return f"here it is called `{_OTHER_NAMES[lower]}`"
    return f"did you mean `{guess}`?" if guess else "declare it under `[types]`, or use a built-in one"
