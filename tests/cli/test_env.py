"""`tusk env`: which variables a file asks for, and never what they hold."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import tusk

FILE = """
[http]
listen: "127.0.0.1:@env('APP_PORT', 8080)"

[a]
url: "http://@env('APP_HOST')/"
other: @env('APP_HOST', "local")
key: @env.secure('APP_KEY', 'letmein')
"""


def test_the_table_shows_every_place_and_no_value(tmp_path: Path) -> None:
    """A row for each use; a missing variable makes it 78, and the table is shown all the same."""
    file = tmp_path / "app.tsk"
    file.write_text(FILE)
    found = tusk("env", "app.tsk", cwd=tmp_path, APP_PORT="9999")
    assert found.stdout == (
        "VARIABLE  SET  DEFAULT  SECRET  USED\n"
        "APP_PORT  yes  8080     no      app.tsk:3:20\n"
        "APP_HOST  no            no      app.tsk:6:14\n"
        '               "local"  no      app.tsk:7:8\n'
        "APP_KEY   no   ***      yes     app.tsk:8:6\n"
    )
    assert found.stderr == "missing, and without a default: APP_HOST\n"
    assert found.returncode == 78
    env_file = tmp_path / "variables"
    env_file.write_text("APP_HOST=hidden\nAPP_KEY=hidden\n")
    found = tusk("env", file, "--env-file", env_file)
    assert (found.returncode, found.stderr) == (0, "")
    assert "hidden" not in found.stdout


def test_the_same_as_json(tmp_path: Path) -> None:
    """Names, places and defaults, for machines; no value, and no default of a secret."""
    file = tmp_path / "app.tsk"
    file.write_text(FILE)
    found = tusk("env", "app.tsk", "--format", "json", cwd=tmp_path, APP_KEY="hidden")
    answer = json.loads(found.stdout)
    assert found.returncode == 78
    assert answer["missing"] == ["APP_HOST"]
    assert answer["diagnostics"] == []
    assert [(v["name"], v["set"], v["secret"], len(v["used"])) for v in answer["variables"]] == [
        ("APP_PORT", False, False, 1),
        ("APP_HOST", False, False, 2),
        ("APP_KEY", True, True, 1),
    ]
    assert answer["variables"][1]["used"][1] == {
        "file": "app.tsk",
        "line": 7,
        "column": 8,
        "default": '"local"',
        "secret": False,
    }
    assert "hidden" not in found.stdout
    assert "letmein" not in found.stdout


def test_what_else_is_wrong_is_told(tmp_path: Path) -> None:
    """A file that cannot be read, and one with mistakes: diagnostics, and what could be read."""
    found = tusk("env", tmp_path / "nothing.tsk")
    assert (found.returncode, found.stdout) == (78, "")
    assert "error[TSK100]" in found.stderr
    file = tmp_path / "app.tsk"
    file.write_text("a: @env('APP_X', 1)\nb: yes\n")
    found = tusk("env", file)
    assert found.returncode == 78
    assert "error[TSK012]" in found.stderr
    assert "APP_X" in found.stdout
    file.write_text("a: 1\n")
    found = tusk("env", "app.tsk", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, "app.tsk asks for no variables\n")
