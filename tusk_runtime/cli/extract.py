"""`tusk extract`: takes the configuration out of a Markdown guide."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from tusk_runtime.cli.output import FORMAT, INVALID, print_json, show_diagnostics, stop_failed, table
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.extract import Extraction, Part, extract
from tusk_runtime.language.load import read_file


@click.command("extract")
@click.argument("guide", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Path(path_type=Path), help="The .tsk file to write.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there already.")
@click.option("--list", "list_", is_flag=True, help="Tell what would be taken, and nothing else.")
@click.option("--fence", "numbers", type=int, multiple=True, help="Only the block of this number; repeat it.")
@FORMAT
def command(
    guide: Path, target: Path | None, force: bool, list_: bool, numbers: tuple[int, ...], format_: str
) -> None:
    """Put the configuration in the fenced blocks of GUIDE together, as one .tsk file.

    A ```tsk block is taken whole, one of another language if it begins with a section or a key and is right;
    both up to their first line of program code. What was taken, and what was not and why, is told on standard
    error. Without --to the configuration goes to standard output.

    Exit codes: 0 good, 1 no configuration or not written, 2 usage, 78 the blocks do not make one right file.
    """
    if list_ and target is not None:
        raise click.UsageError("--list writes nothing: leave out --to")
    problems = Problems()
    source = read_file(guide, problems)
    if source is None:
        show_diagnostics(problems.sorted(), format_)
        sys.exit(INVALID)
    extraction = extract(source, problems, only=numbers)
    _refuse_wrong_numbers(extraction, numbers)
    if list_:
        _list(extraction, format_)
        return
    if format_ == "text":
        click.echo(_table(extraction.parts), err=True)
    if not extraction.taken:
        stop_failed(f"no block of {guide} holds configuration")
    if problems.has_errors:
        show_diagnostics(problems.sorted(), format_)
        if format_ == "text":
            click.echo("nothing is written; --fence takes single blocks", err=True)
        sys.exit(INVALID)
    text = extraction.source.text + "\n"
    if target is not None:
        _write(target, text, force=force)
    if format_ == "json":
        print_json({**_as_json(extraction), "written": target and str(target), "text": text})
    elif target is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"wrote {target}: {_count(extraction)}")


def _list(extraction: Extraction, format_: str) -> None:
    if format_ == "json":
        print_json(_as_json(extraction))
    elif extraction.parts:
        click.echo(_table(extraction.parts))
    else:
        click.echo("no fenced blocks")


def _refuse_wrong_numbers(extraction: Extraction, numbers: Sequence[int]) -> None:
    """What was asked for by its number must be there, and be configuration."""
    missing = set(numbers) - {part.fence.number for part in extraction.parts}
    if missing:
        raise click.UsageError(f"no block has the number {min(missing)}; --list shows them all")
    for part in extraction.parts if numbers else ():
        if part not in extraction.taken:
            reason = part.notes[0] if part.notes else "it is empty"
            stop_failed(f"block {part.fence.number} is not configuration: {reason}")


def _write(target: Path, text: str, *, force: bool) -> None:
    try:
        with target.open("w" if force else "x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except FileExistsError:
        stop_failed(f"{target} is there already; give another name with --to, or overwrite it with --force")
    except OSError as error:
        stop_failed(f"{target} cannot be written: {error.strerror}")


def _count(extraction: Extraction) -> str:
    sections = sum(part.sections for part in extraction.taken)
    keys = sum(part.keys for part in extraction.taken)
    blocks = f"{len(extraction.taken)} of {len(extraction.parts)} blocks"
    return f"{sections} sections, {keys} keys, from {blocks}"


def _table(parts: Sequence[Part]) -> str:
    return table(("FENCE", "LINE", "LANGUAGE", "SECTIONS", "KEYS", "HEADING", "NOTES"), _rows(parts))


def _rows(parts: Sequence[Part]) -> Iterator[Sequence[str]]:
    for part in parts:
        fence = part.fence
        taken = (str(part.sections), str(part.keys)) if part.sections or part.keys else ("-", "-")
        first, *more = part.notes or ("",)
        yield str(fence.number), str(fence.line), fence.language or "-", *taken, fence.heading, first
        for note in more:
            yield "", "", "", "", "", "", note


def _as_json(extraction: Extraction) -> dict[str, Any]:
    return {
        "fences": [
            {
                "number": part.fence.number,
                "line": part.fence.line,
                "language": part.fence.language,
                "heading": part.fence.heading,
                "taken": part in extraction.taken,
                "sections": part.sections,
                "keys": part.keys,
                "notes": list(part.notes),
            }
            for part in extraction.parts
        ]
    }
