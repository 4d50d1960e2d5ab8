"""Which names declarations, fields and columns may have."""

from __future__ import annotations

import re

from tusk_runtime.expressions import RESERVED
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Entry
from tusk_runtime.language.source import Span
from tusk_runtime.model.codes import BAD_NAME
from tusk_runtime.types.text import BUILT_IN

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
COLUMN_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
TYPE_WORDS = frozenset({*BUILT_IN, "enum", "list", "map", "record", "null", "pii"})
"""The names that `[types]` cannot declare."""


def check_name(problems: Problems, entry: Entry, what: str, *, column: bool = False) -> bool:
    """Whether a key can be the name of `what`; notes the problem if not."""
    name = entry.key
    if (COLUMN_NAME if column else NAME).match(name):
        return True
    rule = "letters, digits and `_`, beginning with a letter"
    fixed = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if column:
        rule = "small letters, digits and `_`, at most 63, not beginning with a digit"
        fixed = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", fixed).lower()[:63]
    advice = f"use {rule}"
    if (COLUMN_NAME if column else NAME).match(fixed):
        advice = f"write `{fixed}`: {rule}"
    problems.error(BAD_NAME, entry.key_span, f"`{name}` cannot be the name of {what}", help=advice)
    return False


def check_variable(
    problems: Problems, name: str, span: Span, taken: set[str], what: str = "an element"
) -> bool:
    """Whether an element of a list, or `what`, can have this name where expressions see those of `taken`."""
    if name in taken or name == "loop" or name in RESERVED:
        problems.error(
            BAD_NAME,
            span,
            f"`{name}` is taken: it means something else in this place",
            help='give the element another name, such as `as: "line"`'
            if what == "an element"
            else "give it another name",
        )
        return False
    if not NAME.match(name):
        problems.error(
            BAD_NAME,
            span,
            f"`{name}` cannot be the name of {what}",
            help="use letters, digits and `_`, beginning with a letter",
        )
        return False
    return True
