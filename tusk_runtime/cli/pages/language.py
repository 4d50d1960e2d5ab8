"""The reference of the language as pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tusk_runtime.cli.pages.blocks import Block, Book, Code, Heading, Page, Table, Text, code, codes
from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language.operators import OPERATORS
from tusk_runtime.model import reference
from tusk_runtime.model.examples.context import CONTEXT
from tusk_runtime.model.examples.mistakes import MISTAKES
from tusk_runtime.model.examples.places import PLACES
from tusk_runtime.model.reader import Key
from tusk_runtime.model.sections import LATER
from tusk_runtime.types.text import CONSTRAINTS


def language_book() -> Book:
    """Sections, types, functions, operators and codes."""
    pages = [
        Page(
            "index",
            "The language of .tsk files",
            "Everything that a file can say in this version, out of the code that reads it.",
            list(_overview()),
        ),
        Page("sections", "Sections", "What stands in a file, and which keys it takes.", list(_sections())),
        Page("types", "Types", "A type is a text, `TYPE(constraints)? = default`.", list(_types())),
        Page(
            "functions",
            "Functions",
            "Each is a filter, too: `x | f(y)` is `f(x, y)`. `T` is any type, `N` a numeric one.",
            list(_functions()),
        ),
        Page("operators", "Operators at load", "They are carried out once, at load.", list(_operators())),
        Page("codes", "Diagnostics", "What each code means.", list(_codes())),
    ]
    links = {f"[{name}]": ("sections", name) for name in reference.sections()}
    links |= {c.id: ("codes", c.id) for listed in reference.codes().values() for c in listed}
    return Book("The language", pages, links)


def _overview() -> Iterator[Block]:
    yield Heading(2, "Sections", "sections")
    rows = [(code(f"[{section.name}]"), section.doc) for section in reference.sections().values()]
    yield Table(("section", "what stands in it"), rows)
    if LATER:
        yield Text(f"Not available yet: {codes(sorted(LATER))}.")
    yield Heading(2, "The application of the examples", "examples")
    yield Text("The examples on these pages stand beside this file.")
    yield Code(CONTEXT)


def _sections() -> Iterator[Block]:
    for section in reference.sections().values():
        form = f"[{section.name}.Name]" if section.name in reference.DECLARED else f"[{section.name}]"
        yield Heading(2, code(f"[{section.name}]"), section.name)
        yield Text(f"{section.doc} It is written {code(form)}.")
        if not section.keys:
            yield Code(PLACES.get(section.name, ""), "Example")
        for place in reference.places().values():
            if place.path.split(".")[0] != section.name:
                continue
            if place.key is not None:
                yield Heading(3, code(place.path.replace(".*", "")), place.path.replace(".*", ""))
                yield Text(place.key.doc)
            yield from _keys(place.keys)
            if place.path in PLACES:
                yield Code(PLACES[place.path], "Example")


def _keys(keys: Sequence[Key]) -> Iterator[Block]:
    rows = [
        (code(key.name) + (" (required)" if key.required else ""), key.takes, key.doc)
        for key in keys
        if not key.later
    ]
    yield Table(("key", "takes", "meaning"), rows)
    later = [key.name for key in keys if key.later]
    if later:
        yield Text(f"Not available yet: {codes(later)}.")


def _types() -> Iterator[Block]:
    yield Heading(2, "All types", "types")
    yield Table(
        ("type", "values", "constraints"),
        [(code(name), doc, codes(CONSTRAINTS.get(name, ()))) for name, doc in reference.types().items()],
    )
    yield Text("A `?` behind a type allows null. A field is required unless it has `?` or a default.")
    yield Heading(2, "Constraints", "constraints")
    yield Table(
        ("constraint", "asks for", "of"),
        [(code(name), doc, codes(reference.types_with(name))) for name, doc in reference.CONSTRAINTS.items()],
    )


def _functions() -> Iterator[Block]:
    yield Heading(2, "All functions", "functions")
    rows = []
    for function in FUNCTIONS.values():
        rows.append(("\n".join(code(part) for part in function.text.split(";")), function.doc))
    yield Table(("function", "gives"), rows)
    yield Heading(2, "Conditions on columns", "conditions")
    yield Text("In `where`: `column: { gte: value }`. A value alone means `eq`, a list `in`.")
    conditions = [(code(name), f"the column {doc}") for name, doc in reference.CONDITIONS.items()]
    yield Table(("operator", "holds where"), conditions)


def _operators() -> Iterator[Block]:
    yield Heading(2, "Available", "available")
    yield Table(("operator", "gives"), [(operator.form, operator.doc) for operator in OPERATORS.values()])
    yield Heading(2, "What a declaration says instead", "rejected")
    rows = [
        (codes([f"@{name}" for name in names]), advice)
        for advice, names in reference.rejected_operators().items()
    ]
    yield Table(("operator", "instead"), rows)


def _codes() -> Iterator[Block]:
    for title, listed in reference.codes().items():
        yield Heading(2, title, title.lower().replace(" ", "-").replace(",", ""))
        for found in listed:
            yield Heading(3, f"{found.id}: {found.title}", found.id)
            yield Text(found.explanation)
            if found.id in MISTAKES:
                yield Code(MISTAKES[found.id].wrong, "Wrong")
                yield Code(MISTAKES[found.id].right, "Right")
