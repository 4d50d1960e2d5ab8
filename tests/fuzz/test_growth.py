"""However a text is made, twice as much of it takes at most about twice as long."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import fuzz_targets
import hostile
import pytest

SMALL, LARGE = 25_000, 100_000
"""Characters of the texts that are compared."""

MOST_SECONDS = 4.0
"""Processor time for the longer one. The goal is 1 s; a machine that does other things takes several times that."""

SLACK = 1.7
"""How much more than proportional the time may grow, for the same reason."""

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
    large = seconds(run, make(LARGE).encode())
    if large < NOTICED:
        return ""
    small = seconds(run, make(SMALL).encode())
    told = f"{small:.3f} s for {SMALL:,} characters, {large:.3f} s for {LARGE:,}"
    return told if large > MOST_SECONDS or large > SLACK * LARGE / SMALL * small else ""


@pytest.mark.slow
@pytest.mark.no_cover  # coverage would be most of the time
@pytest.mark.parametrize("name", CASES)
def test_time_grows_with_the_length(name: str) -> None:
    run, make = CASES[name]
    run(make(100).encode())  # what is built once is not measured
    # Several times before it is told: the machine may have been busy with something else.
    told = [grows_too_fast(run, make)]
    while told[-1] and len(told) < 4:
        told.append(grows_too_fast(run, make))
    assert not told[-1], told


def test_what_grows_too_fast_is_noticed() -> None:
    def quadratic(data: bytes) -> None:
        end = time.thread_time() + 0.3 * (len(data) / LARGE) ** 2
        while time.thread_time() < end:
            pass

    assert "100,000" in grows_too_fast(quadratic, lambda length: "x" * length)
    assert grows_too_fast(lambda data: None, lambda length: "x" * length) == ""


def test_there_are_enough() -> None:
    assert len(CASES) >= 300
