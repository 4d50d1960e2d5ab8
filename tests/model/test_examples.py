"""The short examples are what they say: mistakes of exactly one code, and pieces of a file that load."""

from __future__ import annotations

import pytest
from model_golden import built, diagnose

from tusk_runtime.language.report import render
from tusk_runtime.model import reference
from tusk_runtime.model.examples.context import CONTEXT
from tusk_runtime.model.examples.mistakes import MISTAKES
from tusk_runtime.model.examples.places import PLACES
from tusk_runtime.testing import run_case


def found(example: str, code: str = "") -> set[str]:
    """The codes of an example's errors; of its warnings only the one that is asked for."""
    problems = diagnose(CONTEXT + example + "\n")
    return {problem.code for problem in problems if problem.severity == "error" or problem.code == code}


def test_the_context_is_right() -> None:
    assert render(diagnose(CONTEXT)) == ""


@pytest.mark.parametrize("code", MISTAKES)
def test_a_mistake_gives_exactly_its_code(code: str) -> None:
    wrong, right = MISTAKES[code]
    assert found(wrong, code) == {code}, render(diagnose(CONTEXT + wrong + "\n"))
    assert found(right, code) == set(), render(diagnose(CONTEXT + right + "\n"))


def test_mistakes_are_of_codes_that_exist() -> None:
    assert set(MISTAKES) <= {code.id for codes in reference.codes().values() for code in codes}
    assert len(MISTAKES) >= 40


@pytest.mark.parametrize("path", PLACES)
def test_the_example_of_a_place_loads(path: str) -> None:
    assert found(PLACES[path]) == set(), render(diagnose(CONTEXT + PLACES[path]))


def test_every_place_has_an_example() -> None:
    """And what is required stands in it."""
    assert set(PLACES) == {*reference.places(), "types", "event_categories"}
    for path, place in reference.places().items():
        required = [key.name for key in place.keys if key.required]
        assert [name for name in required if f"{name}:" not in PLACES[path]] == [], path


async def test_the_tests_in_the_examples_pass() -> None:
    application = built(
        CONTEXT + "\n".join(text for path, text in PLACES.items() if path.startswith("tests."))
    )
    for case in application.tests.values():
        outcome = await run_case(application, case)
        assert outcome.passed, (case.name, outcome.differences)
