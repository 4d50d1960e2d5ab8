"""`tusk check`: every problem of files, without running them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, FORMAT, GOOD, INVALID, WARNINGS, environment, show_diagnostics
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Diagnostic
from tusk_runtime.running.load import load


@click.command("check")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Warnings are errors: exit code 3.")
@ENV_FILE
@FORMAT
def command(files: tuple[Path, ...], strict: bool, env_file: Path | None, format_: str) -> None:
    """Tell every problem of FILES: code, place, what was expected, what to write.

    Exit codes: 0 good, 3 warnings under --strict, 78 invalid.
    """
    found: list[Diagnostic] = []
    try:
        variables = environment(env_file)
        for file in files:
            found.extend(load(file, variables).diagnostics)
    except InvalidConfiguration as error:
        found.extend(error.diagnostics)
    errors = any(diagnostic.severity == "error" for diagnostic in found)
    show_diagnostics(found, format_)
    if format_ == "text" and not found:
        click.echo(f"{', '.join(str(file) for file in files)}: good")
    sys.exit(INVALID if errors else WARNINGS if found and strict else GOOD)
