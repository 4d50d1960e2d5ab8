"""The generated parts of docs/language.md; `python tests/model/language_page.py` renews them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tusk_runtime.cli.pages.markdown import table
from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language.operators import OPERATORS
from tusk_runtime.model import reference
from tusk_runtime.model.reader import Key
from tusk_runtime.model.sections import LATER, SECTIONS
from tusk_runtime.types.text import CONSTRAINTS

PAGE = Path(__file__).parents[2] / "docs" / "language.md"


def keys(declared: Sequence[Key]) -> str:
    """The keys of a map that this version builds, and the names of those that come later."""
    now = [key for key in declared if not key.later and key.name != "description"]
    later = [f"`{key.name}`" for key in declared if key.later]
    rows = [(f"`{key.name}`" + (" (required)" if key.required else ""), key.takes, key.doc) for key in now]
    text = table(("key", "takes", "meaning"), rows)
    return text + (f"\n\nNot available yet: {' '.join(later)}." if later else "")


def types() -> str:
    """All types with their values and constraints."""
    return table(
        ("type", "values", "constraints"),
        [
            (f"`{name}`", doc, " ".join(f"`{constraint}`" for constraint in CONSTRAINTS.get(name, ())))
            for name, doc in reference.types().items()
        ],
    )


def functions() -> str:
    """All functions with their signatures."""
    rows = []
    for function in FUNCTIONS.values():
        signatures = "<br>".join(f"`{part.strip()}`" for part in function.text.split(";"))
        rows.append((signatures, function.doc))
    return table(("function", "gives"), rows)


def operators() -> str:
    """The operators at load."""
    return table(("operator", "gives"), [(one.form, one.doc) for one in OPERATORS.values()])


def rejected() -> str:
    """The operators of other runtimes, by what a declaration says instead."""
    rows = [
        (" ".join(f"`@{name}`" for name in names), advice)
        for advice, names in reference.rejected_operators().items()
    ]
    return table(("operator", "instead"), rows)


def diagnostics() -> str:
    """All codes with title and explanation, by their hundreds."""
    return "\n\n".join(
        f"### {title}\n\n"
        + table(("code", "title", "explanation"), [(f"`{c.id}`", c.title, c.explanation) for c in codes])
        for title, codes in reference.codes().items()
    )


def generated() -> dict[str, str]:
    """All generated parts by name."""
    conditions = [(f"`{name}`", f"the column {doc}") for name, doc in reference.CONDITIONS.items()]
    constraints = [(f"`{name}`", doc) for name, doc in reference.CONSTRAINTS.items()]
    return {
        "types": types(),
        "constraints": table(("constraint", "asks for"), constraints),
        "operators": operators(),
        "rejected": rejected(),
        "functions": functions(),
        "where": table(("operator", "holds where"), conditions),
        "sections": table(
            ("section", "what stands in it"), [(f"`[{name}]`", doc) for name, doc in SECTIONS.items()]
        ),
        "later": ", ".join(f"`{name}`" for name in sorted(LATER)),
        "diagnostics": diagnostics(),
        **{f"keys {place.path}": keys(place.keys) for place in reference.places().values()},
    }


def renewed(page: str) -> str:
    """The page with every generated part as it is now. Raises KeyError for a part that does not exist."""
    parts = generated()

    def part(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n\n{parts[match[1]]}\n\n<!-- end -->"

    return re.sub(r"<!-- ((?!end)[^>]+?) -->\n.*?<!-- end -->", part, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
