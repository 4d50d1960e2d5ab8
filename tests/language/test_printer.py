"""What is printed is read back as the same tree, whatever the tree, and is in the one form of `tusk fmt`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import golden
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_formatter import form, texts
from test_language_properties import KEYS

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.language.printer import print_tree
from tusk_runtime.language.report import render

PIECES = [
    "@", "env", "env('X')", "@query('x')", "@date.now", "${", "}", "$", "{", "#{", "x", "'", '"', "\\", "\n",
    "ann@example.org", " ", "#", "{{ 1 }}", "\u200b", "\x85", "\x7f", "\u2028", "\x07", "é", "😀",
]  # fmt: skip
# No text can hold NUL or half a character.
TEXT = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
)
NAMES = KEYS | TEXT.filter(lambda key: not key.startswith("$") and "fujsen" not in key.lower())
NUMBERS = st.integers(-(10**40), 10**40) | st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda number: abs(number.adjusted()) < 6000
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def read_back(tree: dict[str, Any]) -> None:
    problems = Problems()
    text = print_tree(tree)
    document = load_text(text, "printed.tsk", {}, problems)
    assert not problems.has_errors, text + render(problems.sorted())
    assert typed(document.plain()) == typed(tree), text
    assert form(text) == text


def typed(tree: Any) -> Any:
    """A tree in which `1`, `1.0` and `true` differ."""
    if isinstance(tree, dict):
        return {key: typed(value) for key, value in tree.items()}
    return [typed(item) for item in tree] if isinstance(tree, list) else (type(tree), tree)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES.filter(lambda name: name != "import"), VALUES, max_size=4))
def test_any_tree(tree: dict[str, Any]) -> None:
    read_back(tree)


@pytest.mark.parametrize(("name", "text"), texts(), ids=[name for name, _ in texts()])
def test_every_text_of_the_project(name: str, text: str) -> None:
    problems = Problems()
    document = load_text(text, "app.tsk", golden.ENVIRONMENT, problems, now=golden.NOW)
    if not problems.has_errors:
        read_back(document.plain())


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1e500"),
        Decimal("-1e-6000"),
        Decimal("0.10"),
        Decimal(5),
        "it's @env('X') and ${x}, \u200b unseen",
        "'@a\n" * 5000,
        {"it's @home": {"${x}": 1, "@env('X')": 2, "": 3}},
        {"a": {"b": {"c": ["x" * 60, {"d": "y" * 60}]}}},
    ],
)
def test_what_is_hard_to_write(value: Any) -> None:
    read_back({"section": {"key": value}, "key": value})
