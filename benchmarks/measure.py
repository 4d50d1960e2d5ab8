"""What the benchmarks share: where they run, alternating rounds, medians and paired ratios."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

Variant = Callable[[Path], float]


def describe(*packages: str) -> str:
    """The machine and the versions, in one line."""
    found = ", ".join(f"{name} {version(name)}" for name in packages)
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {found}, {os.cpu_count()} cores, load {load:.1f}"


def syncs_per_second(folder: Path, seconds: float = 0.5) -> float:
    """How often a second this disk syncs a small write."""
    path = folder / "sync"
    with path.open("wb", buffering=0) as file:
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            count += 1
    path.unlink()
    return count / seconds


def alternate(variants: Mapping[str, Variant], rounds: int, folder: Path) -> dict[str, list[float]]:
    """The rates of each variant, A B C A B C …, each run in a folder of its own."""
    root = Path(tempfile.mkdtemp(prefix=".bench-", dir=folder))
    rates: dict[str, list[float]] = {name: [] for name in variants}
    try:
        print(f"synchronous=FULL on {syncs_per_second(root):,.0f} syncs/s")
        for number in range(rounds):
            for index, (name, variant) in enumerate(variants.items()):
                place = root / f"{number}-{index}"
                place.mkdir()
                rates[name].append(variant(place))
                shutil.rmtree(place)
    finally:
        shutil.rmtree(root)
    return rates


def table(rates: Mapping[str, list[float]], unit: str) -> None:
    """Print median, least and most of each variant."""
    print(f"\n{unit:44}{'median':>12}{'min':>12}{'max':>12}")
    for name, values in rates.items():
        print(f"{name:44}{statistics.median(values):>12,.0f}{min(values):>12,.0f}{max(values):>12,.0f}")


def ratio(rates: Mapping[str, list[float]], ours: str, base: str) -> float:
    """The median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(rates[ours], rates[base], strict=True))


def best(rates: Mapping[str, list[float]], *names: str) -> str:
    """The variant with the highest median."""
    return max(names, key=lambda name: statistics.median(rates[name]))
