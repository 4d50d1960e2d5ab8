"""`tusk show`: a file as the runtime reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tusk_runtime.cli.output import (
    ENV_FILE,
    FILE,
    FORMAT,
    environment,
    print_json,
    show_diagnostics,
    stop_invalid,
)
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Document, ScalarNode
from tusk_runtime.language.load import load_file
from tusk_runtime.language.secrets import leaves, masked


@click.command("show")
@FILE
@click.option("--resolved", is_flag=True, help="As one .tsk text: imports merged, variables replaced.")
@click.option("--sources", is_flag=True, help="Where each value stands, and where it comes from.")
@ENV_FILE
@FORMAT
def command(file: Path, resolved: bool, sources: bool, env_file: Path | None, format_: str) -> None:
    """Print FILE as one tree, section by section, with every variable filled in and secrets masked."""
    if resolved and (sources or format_ == "json"):
        raise click.UsageError("--resolved prints a .tsk text, and goes with neither --sources nor JSON")
    problems = Problems()
    try:
        document = load_file(file, environment(env_file), problems)
        problems.raise_if_errors()
    except InvalidConfiguration as error:
        stop_invalid(error, format_)
    if document is None:
        return  # told as an error before
    if sources:
        _sources(document, format_)
    elif format_ == "json":
        print_json(_numbers(masked(document.root)))
    elif resolved:
        from tusk_runtime.language.printer import print_tree

        click.echo(print_tree(masked(document.root)), nl=False)
    else:
        for leaf in leaves(document.root):
            click.echo(f"{leaf.path} = {_word(leaf.value)}")
    if format_ == "text":
        show_diagnostics(problems.sorted(), format_)


def _sources(document: Document, format_: str) -> None:
    """Each value with its file, line and column, and what gave it if it is not written there."""
    rows: list[dict[str, Any]] = []
    for leaf in leaves(document.root):
        origin = leaf.node.origin if isinstance(leaf.node, ScalarNode) else ""
        span = leaf.span
        rows.append(
            {
                "path": leaf.path,
                "value": leaf.value,
                "file": span.file,
                "line": span.line,
                "column": span.column,
                "origin": origin,
            }
        )
    if format_ == "json":
        print_json({"values": _numbers(rows)})
        return
    shown = [f"{row['path']} = {_word(row['value'])}" for row in rows]
    width = min(max(map(len, shown), default=0), 60)
    for text, row in zip(shown, rows, strict=True):
        origin = f"  from {row['origin']}" if row["origin"] else ""
        click.echo(f"{text:<{width}}  {row['file']}:{row['line']}{origin}")


def _numbers(tree: Any) -> Any:
    """Exact decimals as JSON numbers."""
    if isinstance(tree, dict):
        return {key: _numbers(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_numbers(item) for item in tree]
    if tree is None or isinstance(tree, bool | int | str):
        return tree
    return float(tree)


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
