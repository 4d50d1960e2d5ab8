"""`tusk check`: every problem of files, folders and guides, without running them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, FORMAT, GOOD, INVALID, WARNINGS, environment, show_diagnostics
from tusk_runtime.cli.paths import STANDARD_INPUT, files_of
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Diagnostic
from tusk_runtime.running.load import load, load_piece

MARKDOWN = (".md", ".markdown")


@click.command("check")
@click.argument(
    "paths", type=click.Path(path_type=Path, allow_dash=True), nargs=-1, required=True, metavar="PATH..."
)
@click.option("--strict", is_flag=True, help="Warnings are errors: exit code 3.")
@click.option("--markdown", is_flag=True, help="In folders check the .md files, too.")
@ENV_FILE
@FORMAT
def command(
    paths: tuple[Path, ...], strict: bool, markdown: bool, env_file: Path | None, format_: str
) -> None:
    """Tell every problem of files, of all .tsk files in folders, and of the configuration in Markdown.

    A file that another one imports is checked as a part of that one. `-` is standard input. Exit codes: 0
    good, 3 warnings under --strict, 78 invalid.
    """
    files = files_of(paths, (".tsk", *MARKDOWN) if markdown else (".tsk",))
    found: list[Diagnostic] = []
    try:
        found = _check(files, environment(env_file))
    except InvalidConfiguration as error:
        found.extend(error.diagnostics)
    errors = any(diagnostic.severity == "error" for diagnostic in found)
    show_diagnostics(found, format_)
    if format_ == "text" and not found:
        names = ", ".join(str(file) for file in files)
        click.echo(f"{names if len(files) <= 3 else f'{len(files)} files'}: good")
    sys.exit(INVALID if errors else WARNINGS if found and strict else GOOD)


def _check(files: Sequence[Path], variables: Mapping[str, str]) -> list[Diagnostic]:
    """All problems of all files; those of an imported file are told by the file that imports it."""
    results: dict[str, Sequence[Diagnostic]] = {}
    imported: set[str] = set()
    for file in files:
        if file == STANDARD_INPUT:
            from tusk_runtime.language.files import source_of

            text = sys.stdin.buffer.read().decode(errors="replace")
            results["-"] = load_piece(source_of(text, "standard input"), variables, Path.cwd()).diagnostics
        elif file.suffix in MARKDOWN:
            results[str(file)] = _guide(file, variables)
        else:
            loaded = load(file, variables)
            own = str(file.absolute())
            results[own] = loaded.diagnostics
            imported.update(other for other in loaded.files if other != own)
    told = [diagnostic for own, found in results.items() if own not in imported for diagnostic in found]
    return list(dict.fromkeys(told))


def _guide(file: Path, variables: Mapping[str, str]) -> list[Diagnostic]:
    """The problems of every fence of a guide that is configuration."""
    from tusk_runtime.language.diagnostics import Problems
    from tusk_runtime.language.load import read_file
    from tusk_runtime.language.markdown import fences, take

    problems = Problems()
    source = read_file(file, problems)
    found = list(problems)
    for fence in fences(source.text, str(file)) if source is not None else ():
        taken = take(fence)
        found.extend(taken.problems)
        if not fence.is_fragment and not taken.problems:
            for piece in taken.pieces:
                found.extend(load_piece(piece, variables, file.parent).diagnostics)
    return found
