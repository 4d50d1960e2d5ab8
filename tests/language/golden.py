"""Reads golden cases: a text, a line of dashes, and what must come of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.language.report import render

CASES = Path(__file__).parent / "cases"
SEPARATOR = "\n-----\n"
NOW = datetime(2026, 1, 31, 9, 5, 7, tzinfo=UTC)
ENVIRONMENT = {"HOST": "db.example", "PORT": "5432", "KEY": "s3cret", "EMPTY": ""}


def split(path: Path) -> tuple[str, str]:
    """The text of a case, and what is expected."""
    text, _, expected = path.read_bytes().decode().partition(SEPARATOR)
    return text + "\n", expected


def plain(value: Any) -> Any:
    """A tree that JSON can hold: decimals become `{"decimal": "…"}`."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {"decimal": str(value)} if isinstance(value, Decimal) else value


def outcome(text: str) -> str:
    """The diagnostics of a text, or its tree as JSON."""
    problems = Problems()
    document = load_text(text, "app.tsk", ENVIRONMENT, problems, now=NOW)
    if len(problems):
        return render(problems.sorted())
    return json.dumps(plain(document.plain()), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":  # rewrites what is expected; read the difference before you keep it
    for case in sorted(CASES.glob("*.case")):
        source, _ = split(case)
        case.write_bytes((source.removesuffix("\n") + SEPARATOR + outcome(source)).encode())
