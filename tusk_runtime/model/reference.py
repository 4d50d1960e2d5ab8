"""The reference out of the code: every section, key, type, function, operator and code, with what it means.

docs/language.md, `tusk explain`, `tusk schema` and `tusk docs` all read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tusk_runtime.expressions import codes as expression_codes  # noqa: F401 - defines its codes
from tusk_runtime.language import codes as language_codes  # noqa: F401 - defines its codes
from tusk_runtime.language.diagnostics import CODES, Code
from tusk_runtime.language.rejected import REJECTED
from tusk_runtime.model import codes as model_codes  # noqa: F401 - defines its codes
from tusk_runtime.model import event_structure, kafka, mail, settings, travelling
from tusk_runtime.model import stored_versions as _stored_versions  # noqa: F401 - defines its code
from tusk_runtime.model.declarations import (
    aggregates,
    commands,
    consumers,
    events,
    own_events,
    projections,
    queries,
    tests,
)
from tusk_runtime.model.reader import Key
from tusk_runtime.model.sections import SECTIONS
from tusk_runtime.types import codes as type_codes  # noqa: F401 - defines its codes
from tusk_runtime.types.text import BUILT_IN
from tusk_runtime.types.text import CONSTRAINTS as CONSTRAINTS_OF

# ---- sections and keys --------------------------------------------------------------------------

DECLARED: Mapping[str, Sequence[Key]] = {
    "events": events.KEYS,
    "aggregates": aggregates.KEYS,
    "commands": commands.KEYS,
    "projections": projections.KEYS,
    "queries": queries.KEYS,
    "consumers": consumers.KEYS,
    "tests": tests.KEYS,
}
"""The keys of the declarations: `[section.Name]`."""

SET: Mapping[str, Sequence[Key]] = {
    "runtime": settings.RUNTIME_KEYS,
    "http": settings.HTTP_KEYS,
    "email": mail.EMAIL_KEYS,
    "event_types": own_events.KEYS,
    "event_structure": event_structure.KEYS,
    "event_store": settings.EVENT_STORE_KEYS,
    "store_config": settings.STORE_CONFIG_KEYS,
    "kafka_config": kafka.KAFKA_CONFIG_KEYS,
    "kafka_integration": travelling.KAFKA_INTEGRATION_KEYS,
    "event_producer": travelling.EVENT_PRODUCER_KEYS,
    "event_consumer": travelling.EVENT_CONSUMER_KEYS,
}
"""The keys of the sections of settings."""


class Section(NamedTuple):
    """A section: its keys, which stand under a name each time where it declares things (`named`)."""

    name: str
    doc: str
    keys: Sequence[Key]
    named: bool

    @property
    def path(self) -> str:
        """Where its keys stand: `commands.*`, or `http`."""
        return f"{self.name}.*" if self.named else self.name


class Place(NamedTuple):
    """A map with keys, by its path: `commands.*.emit`. `key` is the one that takes it."""

    path: str
    keys: Sequence[Key]
    key: Key | None = None


def sections() -> dict[str, Section]:
    """All sections that this version builds, by name."""
    free = ("types", "event_categories")
    return {
        name: Section(name, doc, DECLARED.get(name) or SET.get(name, ()), name in DECLARED or name in free)
        for name, doc in SECTIONS.items()
    }


def places() -> dict[str, Place]:
    """Every map that has keys, by its path, each behind the one that it stands in."""
    found: dict[str, Place] = {}
    for section in sections().values():
        if section.keys:
            for place in _inside(Place(section.path, section.keys)):
                found[place.path] = place
    return found


def _inside(place: Place) -> Iterator[Place]:
    yield place
    for key in place.keys:
        if key.keys:
            # `event → operations`: the map stands under a name.
            path = f"{place.path}.{key.name}" + (".*" if "→" in key.takes else "")
            yield from _inside(Place(path, key.keys, key))


# ---- types --------------------------------------------------------------------------------------

TYPES: Mapping[str, str] = {
    "string": "text, without the character U+0000",
    "email": "text that looks like an e-mail address",
    "url": "text that is an http or https address",
    "uuid": "text that is a UUID, kept in lower case",
    "integer": "a whole number of 64 bits",
    "number": "a double",
    "decimal": 'an exact number of up to 38 digits; in JSON a text, `"12.50"`, numbers are accepted',
    "boolean": "`true` or `false`",
    "enum": 'one of the texts that it lists: `enum(new, paid, "on hold")`',
    "json": "any JSON; checked where it meets a type",
    "datetime": "ISO 8601 with an offset, kept and shown in UTC",
    "date": "ISO 8601, `2026-01-31`",
    "duration": "`90s`, `7d`, or ISO 8601 without months",
    "bytes": "base64",
    "list": "`list<T>`: a JSON list of values of one type",
    "map": "`map<T>`: a JSON object with texts as keys and values of one type",
}
"""What the values of each type are."""

CONSTRAINTS: Mapping[str, str] = {
    "min": "the least: length of texts and bytes, count of lists and maps, value of the rest",
    "max": "the most: length of texts and bytes, count of lists and maps, value of the rest",
    "pattern": "a regular expression in RE2 syntax, over the whole text",
    "places": "the digits behind the point: 90 is kept as 90.00, and what has more is refused",
    "unique": "no value of the list, or of the map, stands in it twice",
}
"""What each constraint asks of a value."""


def types() -> dict[str, str]:
    """All types with what their values are."""
    return {name: doc for name, doc in TYPES.items() if name in BUILT_IN or name in ("enum", "list", "map")}


def types_with(constraint: str) -> list[str]:
    """The types that take a constraint."""
    return [name for name, taken in CONSTRAINTS_OF.items() if constraint in taken]


# ---- operators at load, conditions --------------------------------------------------------------


def rejected_operators() -> dict[str, list[str]]:
    """Advice → the operators of other runtimes that it is for."""
    found: dict[str, list[str]] = {}
    for name, advice in REJECTED.items():
        found.setdefault(advice, []).append(name)
    return found


CONDITIONS: Mapping[str, str] = {
    "eq": "equals",
    "ne": "differs from",
    "gt": "is greater than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "in": "is one of a list",
    "not_in": "is none of a list",
    "between": "is from the first to the second of two values, both included",
    "contains": "has this text in it, in any case",
    "startswith": "begins with this text",
    "is_null": "is null (`true`), or is not (`false`)",
}
"""What each operator of a `where` asks of a column."""

# ---- codes --------------------------------------------------------------------------------------

RANGES: Mapping[str, str] = {
    "TSK0": "Syntax",
    "TSK1": "Files and environment",
    "TSK2": "Sections, keys, values and types",
    "TSK3": "Rules between declarations",
    "TSK4": "Expressions",
    "TSK5": "Starting",
    "TSK6": "Tests",
    "TSK9": "Not available yet",
}
"""What the codes are about, by how they begin."""


def codes() -> dict[str, list[Code]]:
    """All codes in order, by what they are about; nothing where there are none."""
    found = {
        title: [code for _, code in sorted(CODES.items()) if code.id.startswith(prefix)]
        for prefix, title in RANGES.items()
    }
    return {title: listed for title, listed in found.items() if listed}
