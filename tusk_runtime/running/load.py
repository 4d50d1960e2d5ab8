"""A file → an Application: the one way that `check`, `run`, `test` and reload share."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.load import load_file
from tusk_runtime.model.application import Application
from tusk_runtime.model.build import build


class Loaded(NamedTuple):
    """What became of a file: an application unless something is wrong, and everything that was found."""

    application: Application | None
    diagnostics: Sequence[Diagnostic]


def load(path: Path, environment: Mapping[str, str]) -> Loaded:
    """Read, resolve, build and check a file. Never raises for what the file says."""
    problems = Problems()
    with _collector_paused():
        try:
            document = load_file(path, environment, problems)
            if document is None:
                return Loaded(None, problems.sorted())
            # What could be read is checked all the same, so that every problem is told in one go.
            application = build(document, path.name, problems)
        except InvalidConfiguration as error:
            return Loaded(None, error.diagnostics)
    return Loaded(application, application.warnings)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's garbage collector: next to nothing that a load makes is garbage, and walking all of it
    again and again made a large file take longer than its size explains (twice as long at 20,000 lines)."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def load_or_raise(path: Path, environment: Mapping[str, str]) -> Application:
    """The application of a file. Raises InvalidConfiguration."""
    loaded = load(path, environment)
    if loaded.application is None:
        raise InvalidConfiguration(loaded.diagnostics)
    return loaded.application


def digest_of(file: Path) -> bytes:
    """A hash of the content; of nothing where the file cannot be read."""
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=16).digest()
    except OSError:
        return b""
