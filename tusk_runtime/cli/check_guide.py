"""The problems of the configuration in a Markdown guide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.extract import Config, config_of
from tusk_runtime.language.markdown import Fence, fences
from tusk_runtime.language.parse import parse
from tusk_runtime.language.resolve import resolve
from tusk_runtime.language.source import Source
from tusk_runtime.language.surroundings import Surroundings
from tusk_runtime.running.load import load_piece


def check_guide(
    guide: Source, variables: Mapping[str, str], folder: Path
) -> Iterator[Sequence[Diagnostic] | None]:
    """What is wrong with each block of a guide in a folder; None for one that is not configuration."""
    for fence in fences(guide):
        yield _problems_of(fence, variables, folder)


def _problems_of(fence: Fence, variables: Mapping[str, str], folder: Path) -> Sequence[Diagnostic] | None:
    if not fence.is_fragment:
        return load_piece(fence.source, variables, folder).diagnostics
    config = Config(fence.source) if fence.is_own else config_of(fence)
    if not isinstance(config, Config):
        return None
    problems = Problems()
    resolve(parse(config.source, problems), Surroundings(variables), problems)
    # A piece promises nothing about the variables of the whole.
    return [d for d in problems.sorted() if d.code != codes.MISSING_VARIABLE.id]
