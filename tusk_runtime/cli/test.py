"""`tusk test`: runs the tests that a file declares."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from tusk_runtime.cli.output import (
    ENV_FILE,
    FAILED,
    FILE,
    FORMAT,
    GOOD,
    environment,
    print_json,
    show_diagnostics,
    stop_invalid,
)
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.model.application import Application
from tusk_runtime.running.load import load_or_raise
from tusk_runtime.testing import Outcome, run_case


@click.command("test")
@FILE
@click.option("-k", "pattern", default="", help="Only the tests whose name contains this.")
@ENV_FILE
@FORMAT
def command(file: Path, pattern: str, env_file: Path | None, format_: str) -> None:
    """Run the [tests.*] of FILE: in memory, on a virtual clock. Exit code 1 if one fails."""
    try:
        application = load_or_raise(file, environment(env_file))
    except InvalidConfiguration as error:
        stop_invalid(error, format_)
    if format_ == "text":
        show_diagnostics(application.warnings, format_)
    outcomes = asyncio.run(_run(application, pattern, format_))
    passed = sum(outcome.passed for outcome in outcomes)
    if format_ == "json":
        print_json({"tests": [_as_json(outcome) for outcome in outcomes], "passed": passed})
    else:
        failed = len(outcomes) - passed
        click.echo(f"\n{passed} passed, {failed} failed" if outcomes else f"no tests in {file}")
    sys.exit(GOOD if passed == len(outcomes) else FAILED)


async def _run(application: Application, pattern: str, format_: str) -> list[Outcome]:
    outcomes = []
    for name, case in application.tests.items():
        if pattern in name:
            outcome = await run_case(application, case)
            outcomes.append(outcome)
            if format_ == "text":
                _tell(outcome)
    return outcomes


def _tell(outcome: Outcome) -> None:
    milliseconds = round(outcome.seconds * 1000)
    if outcome.passed:
        click.echo(f"ok      {outcome.case.name} ({milliseconds} ms)")
        return
    click.echo(f"FAILED  {outcome.case.name} ({milliseconds} ms)  {outcome.case.span}")
    for difference in outcome.differences:
        click.echo(f"  {difference.span}  {difference.path}")
        click.echo(f"    expected  {_word(difference.expected)}")
        click.echo(f"    but was   {_word(difference.actual)}")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.case.name,
        "passed": outcome.passed,
        "seconds": round(outcome.seconds, 4),
        "differences": [
            {
                "path": d.path,
                "expected": d.expected,
                "actual": d.actual,
                "file": d.span.file,
                "line": d.span.line,
                "column": d.span.column,
            }
            for d in outcome.differences
        ],
    }


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
