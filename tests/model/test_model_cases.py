"""Every file in cases/ gives exactly the diagnostics that stand in it."""

from __future__ import annotations

from pathlib import Path

import model_golden
import pytest

from tusk_runtime.model import codes

CASES = sorted(model_golden.CASES.glob("*.case"))
OWN = {code.id for name, code in vars(codes).items() if name.isupper()}


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_case(case: Path) -> None:
    text, expected = model_golden.split(case)
    assert model_golden.outcome(text) == expected
    for diagnostic in model_golden.diagnose(text):
        if diagnostic.code in OWN:
            assert diagnostic.help, f"{diagnostic.message}: says nothing of what to write"
            assert diagnostic.span.text, f"{diagnostic.message}: points at nothing"


def test_there_are_enough_and_every_code_is_shown() -> None:
    shown = "".join(model_golden.split(case)[1] for case in CASES)
    assert len(CASES) >= 75
    assert {code for code in OWN if f"[{code}]" not in shown} == set()


def test_problems_of_all_stages_are_told_in_one_run() -> None:
    """Syntax, environment, sections, keys, types, references, expressions and values, each its own error."""
    text, _ = model_golden.split(model_golden.CASES / "many_places.case")
    found = {diagnostic.code for diagnostic in model_golden.diagnose(text)}
    assert found >= {"TSK001", "TSK012", "TSK110", "TSK201", "TSK206", "TSK251", "TSK301", "TSK404"}


def test_what_is_told_stands_in_the_order_of_the_text_and_never_twice() -> None:
    for case in CASES:
        found = model_golden.diagnose(model_golden.split(case)[0])
        assert [d.span.start for d in found] == sorted(d.span.start for d in found)
        assert len({(d.code, d.span.start, d.message) for d in found}) == len(found)
