"""Python's garbage collector in a process that serves."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New objects before the collector looks at them (Python's own: 700)."""


def collect_rarely() -> None:
    """Call once, when everything is started.

    What was made to start lives on to the end, and need not be walked again and again. What a command makes
    lives until its group is written, and then goes without the collector: to look at every 700 objects walked
    a group of 256 a dozen times for nothing, and cost up to a tenth of the throughput.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
