"""From a file, or a text, to a document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Document
from tusk_runtime.language.files import LARGEST_FILE, ProjectFiles, read_text, source_of
from tusk_runtime.language.imports import Importer, without_files
from tusk_runtime.language.layers import merged
from tusk_runtime.language.parse import parse
from tusk_runtime.language.resolve import resolve
from tusk_runtime.language.source import Source
from tusk_runtime.language.surroundings import Surroundings


def load_file(
    path: Path,
    environment: Mapping[str, str],
    problems: Problems,
    *,
    name: str | None = None,
    now: datetime | None = None,
) -> Document | None:
    """The document in a file, with all that it imports; None if the file cannot be read.

    `name` is shown in place of the path; `now`, in UTC, is what `@date` sees.
    """
    files = ProjectFiles(path, name if name is not None else str(path), problems)
    surroundings = _surroundings(environment, now)
    layer = Importer(files, surroundings, problems).main()
    if layer is None:
        return None
    return Document(merged(layer, problems), files.read, tuple(surroundings.asked))


def load_text(
    text: str,
    name: str,
    environment: Mapping[str, str],
    problems: Problems,
    *,
    folder: Path | None = None,
    now: datetime | None = None,
) -> Document:
    """The document in a text, under the name that diagnostics show; `folder` is where its imports begin."""
    return load_source(source_of(text, name), environment, problems, folder=folder, now=now)


def load_source(
    source: Source,
    environment: Mapping[str, str],
    problems: Problems,
    *,
    folder: Path | None = None,
    now: datetime | None = None,
) -> Document:
    """The document in a source."""
    surroundings = _surroundings(environment, now)
    if folder is None:
        tree = parse(source, problems)
        without_files(tree, problems)
        return Document(resolve(tree, surroundings, problems).root, {}, tuple(surroundings.asked))
    files = ProjectFiles(folder / Path(source.name).name, source.name, problems)
    layer = Importer(files, surroundings, problems).of_text(source)
    return Document(merged(layer, problems), files.read, tuple(surroundings.asked))


def _surroundings(environment: Mapping[str, str], now: datetime | None) -> Surroundings:
    return Surroundings(environment) if now is None else Surroundings(environment, now)


def read_file(path: Path, problems: Problems, *, name: str | None = None) -> Source | None:
    """Read a UTF-8 file of at most 8 MiB. None, with an error in `problems`, if that is not possible."""
    shown = name if name is not None else str(path)
    text = read_text(path, shown, LARGEST_FILE, problems, None)
    return None if text is None else source_of(text, shown)
