"""`tusk fmt`: files in their one form."""

from __future__ import annotations

import difflib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tusk_runtime.cli.output import FAILED, FORMAT, GOOD, INVALID, print_json, show_diagnostics
from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.files import LARGEST_FILE, read_text, source_of, text_of
from tusk_runtime.language.formatter import NotFaithful, formatted
from tusk_runtime.language.source import Source

STDIN = Path("-")


@dataclass(slots=True)
class Result:
    """What became of one text: `after` is None if it could not be read, `error` says what else went wrong."""

    name: str
    before: str
    after: str | None = None
    error: str = ""

    @property
    def changes(self) -> bool:
        """Whether the text is not in its one form."""
        return self.after is not None and self.after != self.before


@click.command("fmt")
@click.argument("paths", type=click.Path(path_type=Path, allow_dash=True), nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing, and tell which files would change: exit code 1.")
@click.option("--diff", is_flag=True, help="Write nothing, and print what would change: exit code 1.")
@FORMAT
def command(paths: tuple[Path, ...], check: bool, diff: bool, format_: str) -> None:
    """Put files into their one form: indentation, spaces, blank lines. What they say stays the same.

    PATHS are files, folders (for every .tsk in them), or `-` for standard input, whose formatted text is
    printed. A file with syntax errors is left as it is, and told of.

    Exit codes: 0 good, 1 something would change (--check, --diff) or could not be written, 78 syntax errors.
    """
    problems = Problems()
    writes = not (check or diff)
    if STDIN in paths:
        if len(paths) > 1:
            raise click.UsageError("`-` stands alone: standard input is one file")
        if writes and format_ == "json":
            raise click.UsageError("`-` prints a .tsk text; with --format json, add --check or --diff")
        text = text_of(sys.stdin.buffer, "<stdin>", LARGEST_FILE, problems)
        results = [_format(text, "<stdin>", problems)]
        if writes and results[0].after is not None:
            click.echo(results[0].after, nl=False)
    else:
        results = []
        for path in _files(paths, problems):
            text = read_text(path, str(path), LARGEST_FILE, problems, None)
            results.append(_format(text, str(path), problems))
            if writes and results[-1].changes:
                _write(path, results[-1])
    told = "formatted" if writes else "would change"
    if format_ == "json":
        _print_json(results, problems, told, diff)
    else:
        _print(results, problems, "" if writes and STDIN in paths else told, diff)
    failed = any(result.error or (result.changes and not writes) for result in results)
    sys.exit(INVALID if problems.has_errors else FAILED if failed else GOOD)


def _format(text: str | None, name: str, problems: Problems) -> Result:
    """Format a text; None stands for one that could not be read, which is told already."""
    result = Result(name, text or "")
    try:
        if text is not None:
            result.after = formatted(source_of(text, name), problems)
    except NotFaithful:
        result.error = (
            f"`{name}` was left as it is: formatted, it would say something else. "
            "This is a fault of `tusk fmt`, not of the file"
        )
    return result


# ---- files ----------------------------------------------------------------------------------------------


def _files(paths: Sequence[Path], problems: Problems) -> list[Path]:
    """The files that paths name, each once."""
    found: dict[Path, Path] = {}
    for path in paths:
        for file in _in_folder(path, problems) if path.is_dir() else [path]:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _in_folder(folder: Path, problems: Problems) -> list[Path]:
    """Every `.tsk` file in a folder and those below it, hidden folders left out."""
    place = Source(str(folder), "").span(0, 0)

    def unreadable(error: OSError) -> None:
        message = f"`{error.filename}` cannot be read: {error.strerror}"
        problems.error(codes.UNREADABLE_FILE, place, message, help="check its permissions")

    found: list[Path] = []
    for here, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(here, name) for name in sorted(names) if name.endswith(".tsk")]
    if not found and not problems.has_errors:
        message = f"there is no .tsk file in `{folder}`"
        problems.error(codes.NO_FILE, place, message, help="name a .tsk file, or a folder with some in it")
    return found


def _write(path: Path, result: Result) -> None:
    """Put the formatted text in the place of a file, as a whole or not at all."""
    try:
        # A link stays a link, and points at the new text.
        _replace(path.resolve(), result.after or "")
    except OSError as error:
        result.error = f"`{result.name}` cannot be written: {error.strerror or error}"


def _replace(path: Path, text: str) -> None:
    if not os.access(path, os.W_OK):  # a file that is read-only stays, whatever its folder allows
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, temporary)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# ---- answers --------------------------------------------------------------------------------------------


def _print(results: Sequence[Result], problems: Problems, told: str, diff: bool) -> None:
    """As text. Nothing is `told` of a text that was printed itself."""
    for result in results:
        if result.changes and told and not result.error:
            click.echo(_diff(result) if diff else f"{result.name}: {told}", nl=not diff)
    show_diagnostics(problems.sorted(), "text")
    errors = [result.error for result in results if result.error]
    for error in errors:
        click.echo(f"error: {error}", err=True)
    if told and not (errors or problems.has_errors or any(result.changes for result in results)):
        click.echo(f"{results[0].name if len(results) == 1 else f'{len(results)} files'}: good")


def _print_json(results: Sequence[Result], problems: Problems, told: str, diff: bool) -> None:
    files: list[dict[str, Any]] = []
    for result in results:
        file = {"file": result.name, "result": told if result.changes else "unchanged"}
        if result.error:
            file |= {"result": "failed", "message": result.error}
        elif result.after is None:
            file["result"] = "invalid"
        elif result.changes and diff:
            file["diff"] = _diff(result)
        files.append(file)
    print_json({"files": files, "diagnostics": [diagnostic.as_json() for diagnostic in problems.sorted()]})


def _diff(result: Result) -> str:
    """The unified difference, as `patch` reads it."""
    before, after = _lines(result.before), _lines(result.after or "")
    lines = difflib.unified_diff(before, after, result.name, f"{result.name} (formatted)", lineterm="")
    return "\n".join([*lines, ""])


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        lines.pop()
    return lines
