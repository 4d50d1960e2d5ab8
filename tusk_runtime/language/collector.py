"""Pauses Python's garbage collector while a file is read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's garbage collector: next to nothing that a load makes is garbage, and walking all of it
    again and again made a large file take longer than its size explains (twice as long at 20,000 lines)."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
