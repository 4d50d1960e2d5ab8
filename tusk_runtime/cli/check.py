"""`tusk check`: every problem of files, folders and the configuration in Markdown, without running them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, FORMAT, GOOD, INVALID, WARNINGS, environment, show_diagnostics
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.files import LARGEST_FILE, source_of
from tusk_runtime.language.load import read_file
from tusk_runtime.language.report import summary
from tusk_runtime.language.source import Source
from tusk_runtime.running.load import load, load_piece

STANDARD_INPUT = Path("-")
MARKDOWN = (".md", ".markdown")
NOT_ENTERED = ("node_modules", "__pycache__")
"""Folders that hold the files of others, besides hidden ones."""


@click.command("check")
@click.argument("paths", metavar="PATH...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Warnings are errors: exit code 3.")
@click.option("--markdown", is_flag=True, help="Also the Markdown in folders; `-` is Markdown.")
@ENV_FILE
@FORMAT
def command(
    paths: tuple[Path, ...], strict: bool, markdown: bool, env_file: Path | None, format_: str
) -> None:
    """Tell every problem of each PATH: code, place, what was expected, what to write.

    A folder stands for all .tsk files in it, hidden folders and node_modules left out; `-` is standard
    input. Of a Markdown file each ```tsk block is checked as an application of its own. A ```tsk fragment,
    and configuration in a block of another language, is read only: it is a piece of something.

    Exit codes: 0 good, 2 nothing to check, 3 warnings under --strict, 78 invalid.
    """
    checked = _Checked()
    try:
        variables = environment(env_file)
        for path in dict.fromkeys(_expanded(paths, markdown, checked.found)):
            checked.add(path, variables, markdown=markdown)
    except InvalidConfiguration as error:
        checked.found.extend(error.diagnostics)
    checked.finish()
    found = list(checked.found)
    show_diagnostics(found, format_)
    # For one file the last line of its problems says as much.
    if format_ == "text" and (len(checked.files) > 1 or not found):
        click.echo(checked.summary())
    errors = checked.found.has_errors
    sys.exit(INVALID if errors else WARNINGS if found and strict else GOOD)


@dataclass
class _Checked:
    """What was looked at, and everything that was found."""

    found: Problems = field(default_factory=Problems)
    files: list[str] = field(default_factory=list)
    fences: int = 0
    config: int = 0
    _told: dict[str, list[Diagnostic]] = field(default_factory=dict)
    _imported: set[str] = field(default_factory=set)

    def add(self, path: Path, variables: Mapping[str, str], *, markdown: bool) -> None:
        """Check one file, or standard input."""
        if path == STANDARD_INPUT:
            self.files.append("<stdin>")
            source = _standard_input(self.found)
            is_guide = markdown
        else:
            self.files.append(str(path))
            is_guide = path.suffix.lower() in MARKDOWN
            if not is_guide:
                loaded = load(path, variables)
                own = str(path.absolute())
                self._take(own, loaded.diagnostics)
                self._imported.update(file for file in loaded.files if file != own)
                return
            problems = Problems()
            source = read_file(path, problems)
            self._take(str(path), list(problems))
        if source is None:
            return
        if not is_guide:
            self._take("-", load_piece(source, variables, Path.cwd()).diagnostics)
            return
        # Who checks no guide does not wait for what reads them.
        from tusk_runtime.cli.check_guide import check_guide

        for diagnostics in check_guide(source, variables, path.parent):
            self.fences += 1
            if diagnostics is not None:
                self.config += 1
                self._take(str(path), diagnostics)

    def _take(self, file: str, diagnostics: Sequence[Diagnostic]) -> None:
        self._told.setdefault(file, []).extend(diagnostics)

    def finish(self) -> None:
        """Gather what was found. What a file imports is a part of it, and is not checked by itself."""
        seen = dict.fromkeys(self.found)
        for file, diagnostics in self._told.items():
            if file not in self._imported:
                seen.update(dict.fromkeys(diagnostics))
        self.found = Problems()
        self.found.extend(seen)

    def summary(self) -> str:
        """`app.tsk: good`, or `3 files (8 of 12 fences): 2 errors, 1 warning`."""
        what = self.files[0] if len(self.files) == 1 else f"{len(self.files)} files"
        fences = f" ({self.config} of {self.fences} fences)" if self.fences else ""
        return f"{what}{fences}: {summary(self.found) if len(self.found) else 'good'}"


def _expanded(paths: Sequence[Path], markdown: bool, problems: Problems) -> Iterator[Path]:
    """The files that are meant: folders become what is in them."""
    suffixes = (".tsk", *MARKDOWN) if markdown else (".tsk",)
    for path in paths:
        if path == STANDARD_INPUT or not path.is_dir():
            yield path
            continue
        inside = _files_in(path, suffixes, problems)
        if not inside and not problems.has_errors:
            advice = "" if markdown else "; --markdown looks into Markdown files as well"
            raise click.UsageError(f"no {' or '.join(suffixes)} file in {path}{advice}")
        yield from inside


def _files_in(folder: Path, suffixes: Sequence[str], problems: Problems) -> list[Path]:
    """The files with these suffixes in a folder and all folders in it, sorted."""

    def unreadable(error: OSError) -> None:
        problems.error(
            codes.UNREADABLE_FILE,
            Source(str(error.filename), "").span(0, 0),
            f"`{error.filename}` cannot be read: {error.strerror}",
            help="check its permissions",
        )

    inside: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in NOT_ENTERED]
        inside += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes
        ]
    return sorted(inside)


def _standard_input(problems: Problems) -> Source | None:
    """The text on standard input; None, with an error in `problems`, if it is none."""
    content = sys.stdin.buffer.read(LARGEST_FILE + 1)
    start = Source("<stdin>", "").span(0, 0)
    if len(content) > LARGEST_FILE:
        message = "standard input has more than 8 MiB"
        problems.error(codes.FILE_TOO_LARGE, start, message, help="keep data out of declarations")
        return None
    try:
        return source_of(content.decode("utf-8"), "<stdin>")
    except UnicodeDecodeError as error:
        message = f"standard input is not UTF-8: byte 0x{content[error.start]:02x}"
        problems.error(codes.NOT_UTF8, start, message, help="send it as UTF-8")
        return None
