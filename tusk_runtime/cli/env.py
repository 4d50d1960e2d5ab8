"""`tusk env`: the environment variables that a file asks for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
)
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Variable
from tusk_runtime.language.load import load_file
from tusk_runtime.language.secrets import MASK, is_secret_key


@click.command("env")
@FILE
@ENV_FILE
@FORMAT
def command(file: Path, env_file: Path | None, format_: str) -> None:
    """List every environment variable that FILE and its imports ask for: where, set or not, default.

    Values are never shown. Exit code 78 if one without a default is not set.
    """
    problems = Problems()
    try:
        document = load_file(file, environment(env_file), problems)
    except InvalidConfiguration as error:
        document = None
        problems.extend(error.diagnostics)
    rows = _rows(document.environment) if document is not None else []
    # Which variables are missing stands in the table; other errors may hide some.
    others = [d for d in problems.sorted() if d.severity == "error" and d.code != codes.MISSING_VARIABLE.id]
    if format_ == "json":
        print_json({"variables": rows})
    elif rows:
        _table(rows)
    elif document is not None:
        click.echo(f"{file} asks for no variable")
    show_diagnostics(others, "text")
    sys.exit(INVALID if problems.has_errors else GOOD)


def _rows(uses: Sequence[Variable]) -> list[dict[str, Any]]:
    """One row for each variable, in the order of the text."""
    rows: dict[str, dict[str, Any]] = {}
    for use in uses:
        row = rows.get(use.name)
        if row is None:
            row = rows[use.name] = {"name": use.name, "set": use.is_set, "secret": False, "required": False}
            row.update(defaults=[], used=[])
        row["secret"] = row["secret"] or use.secret or is_secret_key(use.name)
        row["required"] = row["required"] or use.default is None
        if use.default is not None and use.default not in row["defaults"]:
            row["defaults"].append(use.default)
        span = use.span
        row["used"].append({"file": span.file, "line": span.line, "column": span.column})
    for row in rows.values():
        if row["secret"]:
            row["defaults"] = [MASK for _ in row["defaults"]]
    return list(rows.values())


def _table(rows: Sequence[dict[str, Any]]) -> None:
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        state = "set" if row["set"] else "MISSING" if row["required"] else "not set"
        default = f", default {' or '.join(row['defaults'])}" if row["defaults"] else ""
        secret = ", secret" if row["secret"] else ""
        places = ", ".join(f"{use['file']}:{use['line']}" for use in row["used"])
        click.echo(f"{row['name']:<{width}}  {state}{default}{secret}  {places}")
