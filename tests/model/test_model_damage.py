"""A file that is damaged anywhere is told about where it is damaged, and never stops the build itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from model_golden import diagnose

SHOP = (Path(__file__).parents[2] / "examples" / "shop.tsk").read_text()
LINES = SHOP.split("\n")
CONTENT = [i for i, line in enumerate(LINES) if line.strip() and not line.lstrip().startswith(("#", "["))]
VALUES = re.compile(r': *("[^"]*"|\{[^{}]*\}|\[[^\[\]]*\]|true|\d+)')


def errors(text: str) -> list[int]:
    """The lines of all errors."""
    return [d.span.line for d in diagnose(text) if d.severity == "error"]


def test_a_line_that_cannot_be_read_is_told_there_and_explains_what_is_missed() -> None:
    counts = []
    for index in CONTENT[::3]:
        indent = LINES[index][: len(LINES[index]) - len(LINES[index].lstrip())]
        broken = indent + 'oops "' + LINES[index].strip().replace('"', "'")
        found = errors("\n".join([*LINES[:index], broken, *LINES[index + 1 :]]))
        assert index + 1 in found
        counts.append(len(found))
    assert sum(count == 1 for count in counts) >= 0.8 * len(counts)


def test_a_line_that_is_missing_never_raises() -> None:
    for index in CONTENT[1::3]:
        errors("\n".join([*LINES[:index], *LINES[index + 1 :]]))


@pytest.mark.parametrize("value", ["null", "5", '"x y"', "[1, { a: 2 }]", "[]", '"{{ x }}"'])
def test_a_value_of_another_kind_never_raises_and_has_few_errors(value: str) -> None:
    counts = [
        len(errors(SHOP[: match.start(1)] + value + SHOP[match.end(1) :]))
        for match in list(VALUES.finditer(SHOP))[::9]
    ]
    assert sum(count <= 2 for count in counts) >= 0.9 * len(counts)
