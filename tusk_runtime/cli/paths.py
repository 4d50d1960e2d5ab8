"""Which files a list of paths means: files themselves, and those in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

STANDARD_INPUT = Path("-")
_NEVER = frozenset({"node_modules", "__pycache__", "venv"})


def files_of(paths: Iterable[Path], suffixes: tuple[str, ...] = (".tsk",)) -> list[Path]:
    """The files named, and in folders all with one of the suffixes, sorted, each once.

    Hidden folders are left out. Raises click.UsageError for a folder without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path == STANDARD_INPUT or not path.is_dir():
            found[path] = None
            continue
        inside = sorted(_walk(path, suffixes))
        if not inside:
            names = " or ".join(f"*{suffix}" for suffix in suffixes)
            raise click.UsageError(f"there is no {names} in the folder {path}")
        found.update(dict.fromkeys(inside))
    return list(found)


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NEVER]
        for name in names:
            if name.endswith(suffixes):
                yield Path(where) / name
