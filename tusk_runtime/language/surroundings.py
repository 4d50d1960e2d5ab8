"""What a load sees of the world: environment variables, files, and one moment that is `now`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tusk_runtime.language.document import Variable
from tusk_runtime.language.layers import Layer
from tusk_runtime.language.source import Span

ReadText = Callable[[str, Span], str | None]
"""Reads the file that `@file` names: the path as written, and its place."""

ReadLayer = Callable[[str, Span], Layer | None]
"""Loads the file that `@name.tsk.get` names."""


@dataclass(slots=True)
class Surroundings:
    """Handed from outside, so that loading itself touches no clock, no environment and no disk.

    `read_text` and `read_layer` are None where a text has no folder. `asked` gathers the uses of variables.
    """

    environment: Mapping[str, str]
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    read_text: ReadText | None = None
    read_layer: ReadLayer | None = None
    asked: list[Variable] = field(default_factory=list)
