"""Reads golden cases: a file, a line of dashes, and the diagnostics that must come of it."""

from __future__ import annotations

from pathlib import Path

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.language.report import render
from tusk_runtime.model.application import Application
from tusk_runtime.model.build import build

CASES = Path(__file__).parent / "cases"
SEPARATOR = "\n-----\n"


def split(path: Path) -> tuple[str, str]:
    """The text of a case, and what is expected."""
    text, _, expected = path.read_text().partition(SEPARATOR)
    return text + "\n", expected


def diagnose(text: str) -> list[Diagnostic]:
    """Everything that is wrong with a text, all stages together."""
    problems = Problems()
    document = load_text(text, "app.tsk", {}, problems)
    try:
        return list(build(document, "app.tsk", problems).warnings)
    except InvalidConfiguration as error:
        return list(error.diagnostics)


def built(text: str) -> Application:
    """The application of a text that is right."""
    problems = Problems()
    try:
        return build(load_text(text, "app.tsk", {}, problems), "app.tsk", problems)
    except InvalidConfiguration as error:
        raise AssertionError(render(error.diagnostics)) from error


def outcome(text: str) -> str:
    """The diagnostics of a text as a person sees them."""
    return render(diagnose(text))


if __name__ == "__main__":  # rewrites what is expected; read the difference before you keep it
    for case in sorted(CASES.glob("*.case")):
        source, _ = split(case)
        case.write_text(source.removesuffix("\n") + SEPARATOR + outcome(source))
