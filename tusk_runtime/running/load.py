"""A file → an Application: the one way that `check`, `run`, `test` and reload share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.collector import collector_paused
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.files import digest
from tusk_runtime.language.load import load_file, load_source
from tusk_runtime.language.source import Source
from tusk_runtime.model.application import Application
from tusk_runtime.model.build import build


class Loaded(NamedTuple):
    """What became of a file: an application unless something is wrong, and everything that was found.

    `files` are those that were read, itself first, with the digests of their contents.
    """

    application: Application | None
    diagnostics: Sequence[Diagnostic]
    files: Mapping[str, bytes]


def load(path: Path, environment: Mapping[str, str]) -> Loaded:
    """Read, resolve, build and check a file. Never raises for what the file says."""
    problems = Problems()
    files: Mapping[str, bytes] = {str(path.absolute()): b""}
    with collector_paused():
        try:
            document = load_file(path, environment, problems)
            if document is None:
                return Loaded(None, problems.sorted(), files)
            files = document.files
            # What could be read is checked all the same, so that every problem is told in one go.
            application = build(document, path.name, problems)
        except InvalidConfiguration as error:
            return Loaded(None, error.diagnostics, files)
    return Loaded(application, application.warnings, files)


def load_piece(source: Source, environment: Mapping[str, str], folder: Path) -> Loaded:
    """Read, resolve, build and check a text that is no file of its own, such as a fence of a guide.

    Its imports begin in `folder`. Never raises for what the text says.
    """
    problems = Problems()
    with collector_paused():
        document = load_source(source, environment, problems, folder=folder)
        try:
            application = build(document, Path(source.name).name, problems)
        except InvalidConfiguration as error:
            return Loaded(None, error.diagnostics, document.files)
    return Loaded(application, application.warnings, document.files)


def load_or_raise(path: Path, environment: Mapping[str, str]) -> Application:
    """The application of a file. Raises InvalidConfiguration."""
    loaded = load(path, environment)
    if loaded.application is None:
        raise InvalidConfiguration(loaded.diagnostics)
    return loaded.application


def digests_of(files: Iterable[str]) -> dict[str, bytes]:
    """The digests of what stands in files now; empty where one cannot be read."""
    found: dict[str, bytes] = {}
    for file in files:
        try:
            found[file] = digest(Path(file).read_bytes())
        except OSError:
            found[file] = b""
    return found
