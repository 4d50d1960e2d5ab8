"""However a text is made, twice as much of it takes at most about twice as long."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import fuzz_targets
import hostile
import pytest

LENGTHS = (25_000, 50_000, 100_000)
"""Characters of the texts that are compared."""

MOST_SECONDS = 4.0
"""Processor time for the longest: far more than it takes, so that a busy machine does not fail the test."""

SLACK = 1.7
"""How much more than proportional the time may grow, on a machine that does other things as well."""

NOTICED = 0.25
"""Seconds below which nothing is said of growth: there the constant part and chance decide."""

CASES: Mapping[str, tuple[Callable[[bytes], object], Callable[[int], str]]] = {
    f"{target} {name}"[:60]: (run, make)
    for target, run, makers in (
        ("text", lambda data: fuzz_targets.load(data.decode()), hostile.TEXTS),
        ("expression", lambda data: fuzz_targets.expression(b"\x00" + data), hostile.EXPRESSIONS),
        ("type", fuzz_targets.type_text, hostile.TYPES),
        ("env", fuzz_targets.env_file, hostile.ENV_FILES),
    )
    for name, make in makers.items()
}


def seconds(run: Callable[[bytes], object], data: bytes) -> float:
    """Processor time of one run, without the garbage collector, as the runtime loads files."""
    gc.collect()
    gc.disable()
    try:
        begin = time.thread_time()
        run(data)
        return time.thread_time() - begin
    finally:
        gc.enable()


def grows_too_fast(run: Callable[[bytes], object], make: Callable[[int], str]) -> str:
    """What is wrong with how the time grows, or nothing."""
    small, middle, large = (seconds(run, make(length).encode()) for length in LENGTHS)
    told = f"{small:.3f} s, {middle:.3f} s, {large:.3f} s for {', '.join(map(str, LENGTHS))} characters"
    if large > MOST_SECONDS:
        return told
    return told if large > NOTICED and large > SLACK * 4 * small and large > SLACK * 2 * middle else ""


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_time_grows_with_the_length(name: str) -> None:
    run, make = CASES[name]
    run(make(100).encode())  # what is built once is not measured
    # Several times before it is told: the machine may have been busy with something else.
    told = [grows_too_fast(run, make)]
    while told[-1] and len(told) < 4:
        told.append(grows_too_fast(run, make))
    assert not told[-1], told


def test_there_are_enough() -> None:
    assert len(CASES) >= 300
