"""docs/language.md says everything that the code accepts, and every snippet of the documentation loads."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import language_page
import pytest
from model_golden import diagnose

import tusk_runtime.model
from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language.codes import MISSING_VARIABLE
from tusk_runtime.language.diagnostics import CODES, Code, Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.language.operators import AVAILABLE
from tusk_runtime.language.rejected import REJECTED
from tusk_runtime.language.report import render
from tusk_runtime.model import codes, reference
from tusk_runtime.model.application import OPERATORS
from tusk_runtime.model.reader import Key
from tusk_runtime.model.sections import LATER, SECTIONS
from tusk_runtime.model.shapes import SHAPES, words
from tusk_runtime.types.text import BUILT_IN, CONSTRAINTS

ROOT = Path(__file__).parents[2]
PAGE = language_page.PAGE.read_text()
SNIPPET = re.compile(r"^```tsk( fragment)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WHOLE = {
    code.id for code in vars(codes).values() if isinstance(code, Code) and "TSK350" <= code.id <= "TSK399"
}
"""The warnings over the whole application."""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_generated_parts_are_up_to_date() -> None:
    assert language_page.renewed(PAGE) == PAGE, "run: python tests/model/language_page.py"
    assert set(language_page.generated()) == set(re.findall(r"<!-- ((?!end)[^>]+?) -->\n", PAGE))


def test_every_table_of_keys_is_in_the_page() -> None:
    tables = [
        (module.name, name)
        for module in pkgutil.walk_packages(tusk_runtime.model.__path__, "tusk_runtime.model.")
        for name, value in vars(importlib.import_module(module.name)).items()
        if isinstance(value, tuple) and value and isinstance(value[0], Key) and not isinstance(value, Key)
        if not any(value is place.keys for place in reference.places().values())
    ]
    assert tables == [], "let a key take them: Key(…, keys=…)"


def test_every_section_has_its_keys() -> None:
    assert {*reference.DECLARED, *reference.SET, "types", "event_categories"} == set(SECTIONS)
    assert all(place.keys for place in reference.places().values())


def test_every_accepted_word_is_in_the_page() -> None:
    words = {f"`[{name}]`" for name in SECTIONS} | {f"`{name}`" for name in LATER}
    words |= {f"`{key.name}`" for place in reference.places().values() for key in place.keys}
    words |= {f"`{name}`" for name in (*BUILT_IN, *CONSTRAINTS, "enum", "pii")}
    words |= {f"`{name}`" for names in CONSTRAINTS.values() for name in names}
    words |= {f"`{name}(" for name in FUNCTIONS} | {f"`{code}`" for code in CODES}
    words |= {f"`@{name}(" for name in AVAILABLE} | {f"`@{name}`" for name in REJECTED}
    words |= {f"`{name}`" for name in OPERATORS}
    assert {word for word in words if word not in PAGE} == set()


def test_no_other_word_is_in_the_page() -> None:
    """What looks like a code, a section or an operator is one."""
    assert set(re.findall(r"TSK\d{3}", PAGE)) <= set(CODES)
    operators = {name.partition(".")[0] for name in (*AVAILABLE, *REJECTED)}
    assert set(re.findall(r"`@(\w+)", PAGE)) <= operators | {"name"}
    examples = {"name", "section", "outer", "a", "erased"}
    assert set(re.findall(r"`\[(\w+)(?:\.[\w*]+)?\]", PAGE)) <= {*SECTIONS, *LATER} | examples


def test_every_word_of_a_table_is_explained() -> None:
    """What the code accepts has its words in the reference, and nothing else has."""
    assert set(reference.TYPES) == {*BUILT_IN, "enum", "list", "map"}
    assert set(reference.CONSTRAINTS) == {name for names in CONSTRAINTS.values() for name in names}
    assert set(reference.CONDITIONS) == set(OPERATORS)
    assert {code for code in CODES if not any(map(code.startswith, reference.RANGES))} == set()


def test_every_phrase_of_what_a_key_takes_has_a_shape() -> None:
    phrases = {key.takes for place in reference.places().values() for key in place.keys if not key.later}
    assert {phrase for phrase in phrases if phrase not in SHAPES and not words(phrase)} == set()


def snippets() -> list[tuple[str, bool, str]]:
    """Every snippet with its place, and whether it is a fragment."""
    return [
        (f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}", bool(match[1]), match[2])
        for page in PAGES
        for text in [page.read_text()]
        for match in SNIPPET.finditer(text)
    ]


@pytest.mark.parametrize(("place", "fragment", "text"), snippets(), ids=[s[0] for s in snippets()])
def test_every_snippet_loads(place: str, fragment: bool, text: str) -> None:
    if fragment:
        problems = Problems()
        load_text(text, place, {}, problems)
        # A piece promises nothing about the variables of the whole.
        found = [d for d in problems.sorted() if d.code != MISSING_VARIABLE.id]
    else:
        found = diagnose(text)
        if not place.startswith("README"):
            # A snippet shows one thing: what a whole application would need beside it is left out.
            found = [d for d in found if d.severity == "error" or d.code not in WHOLE]
    assert render(found) == ""
