"""`tusk show`: a file as the runtime reads it."""

from __future__ import annotations

from collections.abc import Iterator
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
from tusk_runtime.language.document import ListNode, MapNode, Node
from tusk_runtime.language.load import load_file

MASK = "***"


@click.command("show")
@FILE
@ENV_FILE
@FORMAT
def command(file: Path, env_file: Path | None, format_: str) -> None:
    """Print FILE as one tree, section by section, with every variable filled in and secrets masked."""
    problems = Problems()
    try:
        document = load_file(file, environment(env_file), problems)
        problems.raise_if_errors()
    except InvalidConfiguration as error:
        stop_invalid(error, format_)
    if document is None:
        return  # told as an error before
    tree = masked(document.root)
    if format_ == "json":
        print_json(_numbers(tree))
    else:
        show_diagnostics(problems.sorted(), format_)
        for line in _lines(tree, ""):
            click.echo(line)


def masked(node: Node) -> Any:
    """The plain tree with every secret hidden."""
    if isinstance(node, MapNode):
        return {entry.key: masked(entry.node) for entry in node}
    if isinstance(node, ListNode):
        return [masked(item) for item in node]
    return MASK if node.secret else node.value


def _numbers(tree: Any) -> Any:
    """Exact decimals as JSON numbers."""
    if isinstance(tree, dict):
        return {key: _numbers(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_numbers(item) for item in tree]
    if tree is None or isinstance(tree, bool | int | str):
        return tree
    return float(tree)


def _lines(tree: Any, path: str) -> Iterator[str]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _lines(value, f"{path}.{key}" if path else key)
    elif isinstance(tree, list) and tree:
        for index, value in enumerate(tree):
            yield from _lines(value, f"{path}[{index}]")
    else:
        yield f"{path} = {_word(tree)}"


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
