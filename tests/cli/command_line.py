"""The command line as a user types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def tusk(
    *arguments: str | Path, cwd: Path | None = None, program: str = "tusk", stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of the package, and give what it printed."""
    return subprocess.run(
        [BIN / program, *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        cwd=cwd,
        input=stdin,
        env={**os.environ, "NO_COLOR": "1", **env},
        check=False,
    )
