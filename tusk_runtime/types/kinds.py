"""The kinds of values: what a type text such as `list<OrderLine>(min=1)?` stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, NamedTuple

Name = Literal[
    "string", "email", "url", "uuid", "integer", "number", "decimal", "boolean", "json",
    "datetime", "date", "duration", "bytes", "enum", "list", "map", "record", "null",
]  # fmt: skip

TEXTS: frozenset[str] = frozenset({"string", "email", "url", "uuid", "enum"})
"""The kinds whose values are Python texts."""

NUMERIC: frozenset[str] = frozenset({"integer", "number", "decimal"})


class _Absent:
    """The default of a field that has none."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()


@dataclass(frozen=True, slots=True)
class Type:
    """A type: its kind, whether null is a value of it, and its constraints.

    `min` and `max` bound the length of texts, the count of lists and maps, and the value of the rest
    (as a Python value of the kind). `pattern` is a regular expression in RE2 syntax over the whole text.
    `places` are a decimal's digits behind the point. `pii` marks personal data; what is inside of it is
    marked, too.

    Values at run time: texts are str; integer int; number float; decimal Decimal; boolean bool; datetime an
    aware datetime in UTC; date date; duration timedelta; bytes bytes; list list; map and record dict (a
    record has every field of its type, None where it is absent); json whatever JSON gives, numbers with a
    point as float.
    """

    kind: Name
    optional: bool = False
    min: Any = None
    max: Any = None
    pattern: str | None = None
    places: int | None = None
    unique: bool = False
    values: tuple[str, ...] = ()
    item: Type | None = None
    record: Record | None = None
    pii: bool = False

    def required(self) -> Type:
        """The same type without null."""
        return replace(self, optional=False) if self.optional else self

    def or_null(self) -> Type:
        """The same type with null."""
        return self if self.optional else replace(self, optional=True)

    @property
    def entry(self) -> Type:
        """The type of the entries of a list or map."""
        if self.item is None:
            raise TypeError(f"a {self.kind} has no entries")
        return self.item

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields of a record."""
        if self.record is None:
            raise TypeError(f"a {self.kind} has no fields")
        return self.record.fields

    def __str__(self) -> str:
        return self._unmarked() + (" pii" if self.pii else "")

    def _unmarked(self) -> str:
        if self.kind == "enum" and self.values:
            text = f"enum({', '.join(_quoted(value) for value in self.values)})"
        elif self.kind in ("list", "map") and self.item is not None:
            # The mark of the whole says that of its entries.
            text = f"{self.kind}<{self.item._unmarked() if self.pii else self.item}>"
        elif self.kind == "record" and self.record is not None:
            text = self.record.name
        else:
            text = self.kind
        return text + ("?" if self.optional else "")


_PLAIN_WORD = re.compile(r"[^\s,()<>=?\"'\[\]{}]+")


def _quoted(value: str) -> str:
    """A value of an enum as it is written in a type."""
    if _PLAIN_WORD.fullmatch(value):
        return value
    return f"'{value}'" if "'" not in value else '"' + value.replace('"', '\\"') + '"'


class Field(NamedTuple):
    """A field of a record: its type and its default (ABSENT if there is none), as a run-time value."""

    name: str
    type: Type
    default: Any = ABSENT

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is ABSENT and not self.type.optional


@dataclass(frozen=True, slots=True)
class Record:
    """Named fields: a declared `[types.X]`, or the fields of an event, a command, a state or a row."""

    name: str
    fields: Mapping[str, Field]

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.fields)))


def record_of(name: str, /, **types: Type) -> Type:
    """A record type from types by field name."""
    return Type("record", record=Record(name, {key: Field(key, type_) for key, type_ in types.items()}))


STRING = Type("string")
UUID = Type("uuid")
INTEGER = Type("integer")
NUMBER = Type("number")
DECIMAL = Type("decimal")
BOOLEAN = Type("boolean")
JSON = Type("json")
DATETIME = Type("datetime")
DATE = Type("date")
DURATION = Type("duration")
NULL = Type("null", optional=True)
UNKNOWN = Type("json", optional=True)
"""The type of what has a problem that is noted: whatever stands around it says nothing more. Compared by
`is`.
"""

MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)
MAX_DIGITS = 38
"""The digits that a decimal holds."""

Plain = None | bool | int | float | Decimal | str
