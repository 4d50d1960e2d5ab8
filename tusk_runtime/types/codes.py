"""The problems that a type text can have."""

from __future__ import annotations

from tusk_runtime.language.diagnostics import define

SYNTAX = define(
    "TSK250",
    "not a type",
    "A type is written `TYPE(constraints)? pii = default`; all but the name may be left out: "
    "`string`, `date?`, "
    "`integer(min=1) = 1`, `list<OrderLine>(min=1)`, `enum(new, placed) = new`, `email pii`.",
)
UNKNOWN = define(
    "TSK251",
    "unknown type",
    "A type is one of the built-in ones (string email url uuid integer number decimal boolean enum "
    "json datetime "
    "date duration bytes list map) or a name from `[types]`.",
)
CONSTRAINT = define(
    "TSK252",
    "constraint that does not apply",
    "Each kind of type has its own constraints: texts `min max pattern`, numbers `min max`, decimals "
    "also `places`, "
    "datetimes, dates and durations `min max`, bytes `min max`, lists and maps `min max unique`.",
)
BOUND = define(
    "TSK253",
    "constraint with an impossible value",
    "The value of a constraint must be of the kind that it bounds, `min` not above `max`, `places` "
    "between 0 and 38, "
    "and a pattern a regular expression in RE2 syntax (no look-around, no back-references).",
)
DEFAULT = define(
    "TSK254",
    "default that does not fit",
    "The default behind `=` must be a value of the type: `integer(min=1) = 0` or `enum(a, b) = c` are"
    " none. A default "
    "of null needs an optional type.",
)
NESTING = define(
    "TSK255",
    "type too large",
    "Types nest at most 32 deep and hold at most 10,000 fields, everything inside counted.",
)
ERASURE = define(
    "TSK257",
    "personal data that could not be erased",
    "What an event holds of a person must be erasable: a text then reads `[erased]`, anything else is null, "
    "so a `pii` field of an event that is no string, email or url is optional. The id of an aggregate stands "
    "in every event and stays, and the state of a machine is told to whoever asks: neither is `pii`.",
)
ENUM = define(
    "TSK256",
    "enum without proper values",
    'An enum lists its values, each once: `enum(new, placed, "on hold")`.',
)
