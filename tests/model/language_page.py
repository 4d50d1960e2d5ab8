"""The generated parts of docs/language.md; `python tests/model/language_page.py` renews them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language import codes as language_codes  # noqa: F401 - defines its codes
from tusk_runtime.language import operators
from tusk_runtime.language.diagnostics import CODES
from tusk_runtime.model import codes as model_codes  # noqa: F401 - defines its codes
from tusk_runtime.model import sections, settings
from tusk_runtime.model.application import OPERATORS
from tusk_runtime.model.declarations import (
    aggregates,
    commands,
    emits,
    events,
    operations,
    projections,
    queries,
    tests,
)
from tusk_runtime.model.reader import Key
from tusk_runtime.types.text import BUILT_IN, CONSTRAINTS

PAGE = Path(__file__).parents[2] / "docs" / "language.md"

KEYS: Mapping[str, Sequence[Key]] = {
    "events": events.KEYS,
    "aggregates": aggregates.KEYS,
    "commands": commands.KEYS,
    "require": commands.RULE_KEYS,
    "emit": emits.EMIT_KEYS,
    "projections": projections.KEYS,
    "operations": operations.OPERATION_KEYS,
    "queries": queries.KEYS,
    "search": queries.SEARCH_KEYS,
    "tests": tests.KEYS,
    "then": tests.THEN_KEYS,
    "then_query": tests.QUERY_KEYS,
    "by": tests.BY_KEYS,
    "runtime": settings.RUNTIME_KEYS,
    "http": settings.HTTP_KEYS,
    "event_store": settings.EVENT_STORE_KEYS,
    "store_config": settings.STORE_CONFIG_KEYS,
    "sqlite": settings.SQLITE_KEYS,
}
"""Every table of keys that the model reads, by the name of its place in the page."""

TYPES: Mapping[str, str] = {
    "string": "text",
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


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def keys(declared: Sequence[Key]) -> str:
    """The keys of a map that this version builds, and the names of those that come later."""
    now = [key for key in declared if not key.later and key.name != "description"]
    later = [f"`{key.name}`" for key in declared if key.later]
    rows = [(f"`{key.name}`" + (" (required)" if key.required else ""), key.takes, key.doc) for key in now]
    text = table(("key", "takes", "meaning"), rows)
    return text + (f"\n\nNot available yet: {' '.join(later)}." if later else "")


def types() -> str:
    """All types with their values and constraints."""
    names = [*(name for name in TYPES if name in BUILT_IN or name in ("enum", "list", "map"))]
    return table(
        ("type", "values", "constraints"),
        [(f"`{name}`", TYPES[name], " ".join(f"`{c}`" for c in CONSTRAINTS.get(name, ()))) for name in names],
    )


def functions() -> str:
    """All functions with their signatures."""
    rows = []
    for function in FUNCTIONS.values():
        signatures = "<br>".join(f"`{part.strip()}`" for part in function.text.split(";"))
        rows.append((signatures, function.doc))
    return table(("function", "gives"), rows)


def load_operators() -> str:
    """All operators at load: how each is written, and what it gives."""
    return table(("operator", "gives"), [(one.form, one.doc) for one in operators.OPERATORS.values()])


def diagnostics() -> str:
    """All codes with title and explanation, by their hundreds."""
    parts = []
    for prefix, title in RANGES.items():
        rows = [
            (f"`{c.id}`", c.title, c.explanation) for _, c in sorted(CODES.items()) if c.id.startswith(prefix)
        ]
        if rows:
            parts.append(f"### {title}\n\n" + table(("code", "title", "explanation"), rows))
    return "\n\n".join(parts)


def generated() -> dict[str, str]:
    """All generated parts by name."""
    return {
        "types": types(),
        "functions": functions(),
        "operators": load_operators(),
        "where": " ".join(f"`{operator}`" for operator in OPERATORS),
        "sections": table(
            ("section", "what stands in it"),
            [(f"`[{name}]`", doc) for name, doc in sections.SECTIONS.items()],
        ),
        "later": ", ".join(f"`{name}`" for name in sorted(sections.LATER)),
        "diagnostics": diagnostics(),
        **{f"keys {name}": keys(declared) for name, declared in KEYS.items()},
    }


def renewed(page: str) -> str:
    """The page with every generated part as it is now. Raises KeyError for a part that does not exist."""
    parts = generated()

    def part(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n\n{parts[match[1]]}\n\n<!-- end -->"

    return re.sub(r"<!-- ((?!end)[^>]+?) -->\n.*?<!-- end -->", part, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
