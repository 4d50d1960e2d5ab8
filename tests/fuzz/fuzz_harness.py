"""Runs one target under atheris: `python fuzz_harness.py TARGET [options of libFuzzer] [corpus]`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent))

# The branches of the package are what guides the search.
with atheris.instrument_imports(include=["tusk_runtime"], enable_loader_override=False):
    import fuzz_targets

if __name__ == "__main__":
    target = sys.argv.pop(1)

    def once(data: bytes) -> None:
        fuzz_targets.run(target, data)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
