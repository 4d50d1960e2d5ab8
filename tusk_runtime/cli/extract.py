"""`tusk extract`: takes the configuration out of a Markdown guide."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from tusk_runtime.cli.output import FORMAT, INVALID, print_json, show_diagnostics, stop_failed
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import read_file
from tusk_runtime.language.markdown import Taken, fences, joined, take


@click.command("extract")
@click.argument("guide", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Path(path_type=Path), help="The file to write.")
@click.option("--force", is_flag=True, help="Overwrite the file of --to.")
@click.option(
    "--fence", "numbers", type=click.IntRange(1), multiple=True, help="Only this fence; repeatable."
)
@click.option("--list", "only_list", is_flag=True, help="Only say what each fence holds.")
@FORMAT
def command(
    guide: Path, target: Path | None, force: bool, numbers: tuple[int, ...], only_list: bool, format_: str
) -> None:
    """Take the configuration out of the fences of GUIDE, without program code, and write one .tsk.

    What was taken, and why something was not, is told on standard error.
    """
    problems = Problems()
    source = read_file(guide, problems)
    try:
        problems.raise_if_errors()
        found = fences(source.text, str(guide)) if source is not None else []
        missing = [number for number in numbers if number > len(found)]
        if missing:
            raise click.UsageError(f"{guide} has {len(found)} fences, and no fence {missing[0]}")
        wanted = [fence for fence in found if not numbers or fence.number in numbers]
        taken = [take(fence, asked=bool(numbers)) for fence in wanted]
        text = "" if only_list else joined(taken, problems)
        problems.raise_if_errors()
    except InvalidConfiguration as error:
        show_diagnostics(error.diagnostics, format_)
        sys.exit(INVALID)
    if not only_list and not text:
        _tell(taken, format_)
        stop_failed(f"{guide} holds no configuration; --list says why each fence was left out")
    if text and target is not None:
        _write(target, text, force)
    _tell(taken, format_, text=text if target is None else "")


def _write(target: Path, text: str, force: bool) -> None:
    try:
        with target.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        stop_failed(f"{target} is there already; give another name with --to, or --force")
    except OSError as error:
        stop_failed(f"{target} cannot be written: {error.strerror}")
    click.echo(f"wrote {target}", err=True)


def _tell(taken: Sequence[Taken], format_: str, *, text: str = "") -> None:
    """What came of each fence; the configuration itself goes to standard output."""
    rows = [
        {
            "fence": one.fence.number,
            "line": one.fence.source.first_line - 1,
            "language": one.fence.language,
            "heading": one.fence.heading,
            "lines": sum(piece.text.count("\n") for piece in one.pieces),
            "left_out": one.why,
        }
        for one in taken
    ]
    if format_ == "json":
        print_json({"fences": rows, "text": text})
        return
    click.echo(text, nl=False)
    for row in rows:
        what = f"left out: {row['left_out']}" if row["left_out"] else f"{row['lines']} lines taken"
        heading = f"  ({row['heading']})" if row["heading"] else ""
        name = row["language"] or "no language"
        click.echo(f"fence {row['fence']}, line {row['line']}, {name}: {what}{heading}", err=True)
