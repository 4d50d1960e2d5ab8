"""`tusk env`: the environment variables that a file asks for, and never their values."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from tusk_runtime.cli.output import (
    ENV_FILE,
    FILE,
    FORMAT,
    GOOD,
    INVALID,
    environment,
    print_json,
    show_diagnostics,
    stop_invalid,
    table,
)
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Variable
from tusk_runtime.language.load import load_file

MASK = "***"


@click.command("env")
@FILE
@ENV_FILE
@FORMAT
def command(file: Path, env_file: Path | None, format_: str) -> None:
    """List the variables that FILE asks for: whether each is set, its defaults, every place that uses it.

    No value is ever shown, and no default of a secret. Exit code 78 if one is missing that has no default.
    """
    problems = Problems()
    try:
        document = load_file(file, environment(env_file), problems)
    except InvalidConfiguration as error:
        stop_invalid(error, format_)
    uses: dict[str, list[Variable]] = {}
    for use in document.environment if document else ():
        uses.setdefault(use.name, []).append(use)
    missing = [name for name, places in uses.items() if any(_is_missing(use) for use in places)]
    # The table says which variables are missing; what else is wrong may hide others.
    others = [d for d in problems.sorted() if d.code != codes.MISSING_VARIABLE.id]
    if format_ == "json":
        print_json(
            {
                "variables": [_as_json(name, places) for name, places in uses.items()],
                "missing": missing,
                "diagnostics": [diagnostic.as_json() for diagnostic in others],
            }
        )
    else:
        show_diagnostics(others, format_)
        if uses:
            click.echo(table(("VARIABLE", "SET", "DEFAULT", "SECRET", "USED"), _rows(uses)))
        elif document is not None:
            click.echo(f"{file} asks for no variables")
        if missing:
            click.echo(f"missing, and without a default: {', '.join(missing)}", err=True)
    sys.exit(INVALID if missing or any(d.severity == "error" for d in others) else GOOD)


def _is_missing(use: Variable) -> bool:
    return not use.is_set and use.default is None


def _default(use: Variable) -> str | None:
    return MASK if use.secret and use.default is not None else use.default


def _rows(uses: dict[str, list[Variable]]) -> Iterator[Sequence[str]]:
    """A row for each use; the name and whether it is set stand in the first one."""
    for name, places in uses.items():
        head = (name, _word(places[0].is_set))
        for use in places:
            yield (*head, _default(use) or "", _word(use.secret), str(use.span))
            head = ("", "")


def _word(yes: bool) -> str:
    return "yes" if yes else "no"


def _as_json(name: str, places: Sequence[Variable]) -> dict[str, Any]:
    return {
        "name": name,
        "set": places[0].is_set,
        "secret": any(use.secret for use in places),
        "used": [
            {
                "file": use.span.file,
                "line": use.span.line,
                "column": use.span.column,
                "default": _default(use),
                "secret": use.secret,
            }
            for use in places
        ],
    }
