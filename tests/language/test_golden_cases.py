"""Every file in cases/ gives exactly the tree, or exactly the diagnostics, that stand in it."""

from pathlib import Path

import golden
import pytest

CASES = sorted(golden.CASES.glob("*.case"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_case(case: Path) -> None:
    text, expected = golden.split(case)
    assert golden.outcome(text) == expected
    assert expected.startswith(("error[", "warning[")) == case.stem.startswith("bad_")


def test_there_are_enough() -> None:
    broken = [case for case in CASES if case.stem.startswith("bad_")]
    assert len(broken) >= 30
    assert len(CASES) - len(broken) >= 15


def test_every_syntax_code_is_shown_by_a_case() -> None:
    from tusk_runtime.language import codes

    shown = "".join(golden.split(case)[1] for case in CASES)
    files = {"TSK100", "TSK101", "TSK102", "TSK103", "TSK104", "TSK105", "TSK120", "TSK121"}
    files |= {"TSK118", "TSK119"}  # these take several files: test_imports.py
    own = {code.id for name, code in vars(codes).items() if name.isupper() and isinstance(code, tuple)}
    missing = {code for code in own - files if f"[{code}]" not in shown}
    assert missing == {codes.TOO_MANY.id}
