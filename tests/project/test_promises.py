"""What the project says of itself."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_module_says_what_it_is() -> None:
    """A module's docstring begins with one whole sentence."""
    for path in (ROOT / "tusk_runtime").rglob("*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        assert docstring, path
        first = docstring.split("\n\n")[0]
        assert first.endswith((".", ":")), f"{path}: {first}"


def test_the_runtime_stays_lean() -> None:
    """At most 20 packages at run time, and no address of a registry in any file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) <= 20
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / lock).read_text()


def test_the_check_imports_no_server() -> None:
    """`tusk check` loads neither the database nor the web server."""
    import subprocess
    import sys

    code = (
        "import sys, tusk_runtime.cli.check; "
        "sys.exit(' '.join(m for m in ('apsw', 'sqlalchemy', 'starlette', 'uvicorn', 'jinja2') if m in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stderr.strip() == ""
