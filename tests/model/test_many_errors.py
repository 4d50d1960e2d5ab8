"""A file with very many errors: the first are told, the rest is left unread, and all of it takes little time."""

from __future__ import annotations

import model_golden
import pytest

from tusk_runtime.language.codes import TOO_MANY
from tusk_runtime.language.parse import MOST_ERRORS
from tusk_runtime.model.codes import NOT_YET

KNOWN = "[events]\n" + "".join(f"E{n:04}: {{}}\n" for n in range(1000))


@pytest.mark.parametrize(
    "text",
    [
        "[runtime]\n" + "".join(f"kye{n}: 1\n" for n in range(1000)),
        KNOWN + "[aggregates.A]\non:\n" + "".join(f"  F{n:04}: {{}}\n" for n in range(1000)),
        "[types]\n" + "".join(f'T{n:04}: "U{n:04}"\n' for n in range(1000)),
        "[types]\n" + "".join(f"T{n:04}: [1]\n" for n in range(500)),
    ],
)
def test_the_first_errors_are_told_and_that_there_are_more(text: str) -> None:
    found = [d for d in model_golden.diagnose(text) if d.severity == "error"]
    assert len(found) == MOST_ERRORS + 1
    assert sum(d.code == TOO_MANY.id for d in found) == 1


def test_one_less_is_told_in_full() -> None:
    found = model_golden.diagnose("[runtime]\n" + "".join(f"kye{n}: 1\n" for n in range(MOST_ERRORS - 1)))
    assert len(found) == MOST_ERRORS - 1
    assert TOO_MANY.id not in {d.code for d in found}


@pytest.mark.parametrize("action", ['{ log: "x" }', '{ send: "Nothing", with: { aggregate_id: "x" } }'])
def test_what_a_consumer_names_and_nothing_declares_counts_once(action: str) -> None:
    """Whoever draws the application reads it, too, and notes it no second time."""
    count, name = MOST_ERRORS - 1, "F" if "log" in action else "E"
    lines = "".join(f"  {name}{n:04}: {action}\n" for n in range(count))
    found = model_golden.diagnose(KNOWN + "[consumers.c]\non:\n" + lines)
    assert sum(d.severity == "error" for d in found) == count
    assert TOO_MANY.id not in {d.code for d in found}


def test_what_is_not_available_yet_hides_no_error() -> None:
    """A file of a later version is told in full, and what is wrong besides."""
    rows = '[projections.p]\nkey: "id"\ncolumns: { id: "uuid" }\non: { E0000: { insert: {} } }\n[queries]\n'
    later = "".join(f'q{n}: {{ from: "p", join: {{}} }}\n' for n in range(2 * MOST_ERRORS))
    found = model_golden.diagnose("[events]\nE0000: {}\n" + rows + later + "[runtime]\nkye: 1\n")
    assert sum(d.code == NOT_YET.id for d in found) == 2 * MOST_ERRORS
    assert "TSK201" in {d.code for d in found}


def test_errors_of_syntax_by_the_hundred_explain_what_follows() -> None:
    """Where text was lost, what is missed is not told; the same block is looked at once."""
    text = KNOWN + "[commands]\n" + "".join(f'C{n}: {{ aggregate: "A", emit: [" }}\n' for n in range(99))
    found = model_golden.diagnose(text)
    assert {d.code for d in found if d.severity == "error"} <= {"TSK014", "TSK016", "TSK019"}
