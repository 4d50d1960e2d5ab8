"""What is known by heart of the things that were used last."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def keep_recent(known: dict[K, V], used: Mapping[K, V], most: int) -> None:
    """Put what was used behind all else; where there is more than `most`, forget what was not for longest.

    An eighth goes at once: to look for the first key of a dict takes time in proportion to those that were
    removed before it.
    """
    for key in used:
        known.pop(key, None)
    known |= used
    if len(known) > most:
        for key in list(islice(known, len(known) - most + most // 8)):
            del known[key]
