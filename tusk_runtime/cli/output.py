"""What all verbs share: exit codes, the environment, how problems are shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import orjson

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.env_file import read_env_file
from tusk_runtime.language.report import display_width, printable, render, render_json

GOOD, FAILED, USAGE, WARNINGS, INVALID = 0, 1, 2, 3, 78
"""The exit codes: good; failed at run time; usage; warnings under `--strict`; invalid configuration."""

FILE = click.argument("file", type=click.Path(path_type=Path))
FORMAT = click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How the answer is printed.",
)
ENV_FILE = click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of NAME=value lines, under the variables of the environment.",
)


def environment(env_file: Path | None) -> Mapping[str, str]:
    """The variables that `@env` sees: those of the process win over those of the file."""
    if env_file is None:
        return dict(os.environ)
    problems = Problems()
    found = read_env_file(env_file, problems)
    problems.raise_if_errors()
    return {**found, **os.environ}


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows as aligned columns under their heads. No text of a file acts on the terminal."""
    cells = [head, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(display_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


def show_diagnostics(diagnostics: Sequence[Diagnostic], format_: str, *, err: bool = True) -> None:
    """Print problems; as text they go to standard error, and the last line says who explains a code."""
    if format_ == "json":
        click.echo(render_json(diagnostics))
    elif diagnostics:
        color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        more = f"more about a code: tusk explain {diagnostics[0].code}"
        click.echo(f"{render(diagnostics, colour=color)}{more}\n", err=err)


def stop_invalid(error: InvalidConfiguration, format_: str = "text") -> NoReturn:
    """Print what is wrong with a configuration, and exit with 78."""
    show_diagnostics(error.diagnostics, format_)
    sys.exit(INVALID)


def stop_failed(message: str) -> NoReturn:
    """Print one error, and exit with 1."""
    click.echo(f"error: {message}", err=True)
    sys.exit(FAILED)
