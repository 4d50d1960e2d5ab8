"""The command line as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from apps import ACCOUNT
from command_line import BIN, tusk

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

BROKEN = """
[events]
Opened: { fields: { owner: "strng" } }

[aggregates.Account]
on: { Openned: {} }

[comands]
"""


@pytest.mark.parametrize("name", ["hello", "shop", "flights"])
def test_the_examples_are_good(name: str) -> None:
    """Each example is checked without a warning, and its own tests pass."""
    checked = tusk("check", "--strict", EXAMPLES / f"{name}.tsk")
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
    tested = tusk("test", EXAMPLES / f"{name}.tsk")
    assert tested.returncode == 0, tested.stdout
    assert "0 failed" in tested.stdout


def test_check_tells_everything_at_once(tmp_path: Path) -> None:
    """All problems with their places, as text and as JSON; exit code 78."""
    file = tmp_path / "app.tsk"
    file.write_text(BROKEN)
    found = tusk("check", file)
    assert found.returncode == 78
    for part in ("`string`", "`Opened`", "[commands]", "app.tsk:3:", "app.tsk:6:", "app.tsk:8:"):
        assert part in found.stderr, part
    found = tusk("check", "--format", "json", file)
    assert found.returncode == 78
    diagnostics = json.loads(found.stdout or found.stderr)["diagnostics"]
    assert len(diagnostics) >= 3
    assert {"code", "severity", "file", "line", "column", "end_line", "end_column", "message", "help"} <= set(
        diagnostics[0]
    )


def test_check_of_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, not text: a diagnostic each, never a traceback."""
    (tmp_path / "bad.tsk").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "nothing.tsk", tmp_path / "bad.tsk"):
        found = tusk("check", path)
        assert found.returncode == 78
        assert "Traceback" not in found.stderr
        assert "error[TSK" in found.stderr


def test_strict_makes_warnings_fail(tmp_path: Path) -> None:
    """A warning is told, and stops only under --strict: exit code 3."""
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT + "\n[events.Unused]\n")
    assert tusk("check", file).returncode == 0
    found = tusk("check", "--strict", file)
    assert (found.returncode, "Unused" in found.stderr) == (3, True)


def test_show_prints_the_resolved_tree(tmp_path: Path) -> None:
    """Variables are filled in, secrets masked, types kept; all missing variables are named at once."""
    file = tmp_path / "app.tsk"
    file.write_text(
        "[a]\nport: @env('PORT', 8080)\nurl: \"http://@env('HOST')/\"\nkey: @env.secure('KEY')\nrate: 0.10\n"
    )
    found = tusk("show", file, "--format", "json", HOST="here", KEY="hidden")
    assert json.loads(found.stdout) == {"a": {"port": 8080, "url": "http://here/", "key": "***", "rate": 0.1}}
    missing = tusk("show", file)
    assert missing.returncode == 78
    assert "HOST" in missing.stderr
    assert "KEY" in missing.stderr
    env_file = tmp_path / "variables"
    env_file.write_text("HOST=there\nKEY=x\n")
    assert "there" in tusk("show", file, "--env-file", env_file).stdout


@pytest.mark.parametrize("arguments", [("--format", "json"), ("--resolved",), ("--sources",), ()])
def test_show_hides_the_password_of_kafka(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Whether it stands in the file or comes from the environment, in every form."""
    file = tmp_path / "app.tsk"
    sasl = 'sasl: { mechanism: "PLAIN", username: "shop", password: %s }'
    for password in ('"hunter2"', "@env('KAFKA_PASSWORD')"):
        file.write_text(f'[store_config.kafka]\nbrokers: "kafka-1:9093"\n{sasl % password}\n')
        found = tusk("show", file, *arguments, KAFKA_PASSWORD="hunter2")
        assert found.returncode == 0
        assert "hunter2" not in found.stdout + found.stderr
        assert "***" in found.stdout


def test_show_says_where_values_come_from(tmp_path: Path) -> None:
    """Each value with its file and line, and what gave it."""
    (tmp_path / "base.tsk").write_text("[b]\nlist: [1, 2.50]\n")
    file = tmp_path / "app.tsk"
    file.write_text(
        '@import "base.tsk"\n$port: @env(\'PORT\', 80)\n[a]\nport: $port\nhost: @env("HOST")\nkey: "x"\n'
    )
    shown = tusk("show", "--sources", file, HOST="here").stdout.splitlines()
    assert [line.replace(f"{tmp_path}/", "").split() for line in shown] == [
        ["$port", "=", "80", "app.tsk:2", "from", "default", "of", "PORT"],
        ["b.list[0]", "=", "1", "base.tsk:2"],
        ["b.list[1]", "=", "2.50", "base.tsk:2"],
        ["a.port", "=", "80", "app.tsk:4", "from", "$port"],
        ["a.host", "=", '"here"', "app.tsk:5", "from", "variable", "HOST"],
        ["a.key", "=", '"x"', "app.tsk:6"],
    ]
    rows = json.loads(tusk("show", "--sources", file, "--format", "json", HOST="here").stdout)["values"]
    assert rows[3] == {
        "path": "a.port",
        "value": 80,
        "file": str(file),
        "line": 4,
        "column": 1,
        "origin": "$port",
    }


def test_show_resolved_prints_one_file_that_is_read_as_the_same(tmp_path: Path) -> None:
    """Imports merged, variables replaced, secrets masked."""
    (tmp_path / "base.tsk").write_text(
        '$name: "x"\n[b]\ntext: "${name} costs 5$"\nraw: \'${name} @query(1)\'\n'
    )
    file = tmp_path / "app.tsk"
    file.write_text(
        '@import "base.tsk"\n[a]\ndeep: { list: [1, 2.5, null, true], map: { "a b": $name } }\npassword: "p"\n'
    )
    resolved = tusk("show", "--resolved", file)
    assert "import" not in resolved.stdout
    again = tmp_path / "again.tsk"
    again.write_text(resolved.stdout)
    first, second = (json.loads(tusk("show", f, "--format", "json").stdout) for f in (file, again))
    assert first == second
    assert first["b"] == {"text": "x costs 5$", "raw": "${name} @query(1)"}
    assert first["a"]["password"] == "***"
    assert tusk("show", "--resolved", "--sources", file).returncode == 2


def test_a_wrong_expectation_fails_with_a_field_diff(tmp_path: Path) -> None:
    """The difference names the field, both values, and the line that expects it; exit code 1."""
    file = tmp_path / "app.tsk"
    file.write_text(
        ACCOUNT
        + """
[tests.wrong]
when: [{ Open: { owner: "ann" } }, { Deposit: { amount: 5 } }]
then:
  events:
    - "Opened"
    - Deposited: { amount: 6 }
  rows: { accounts: [{ owner: "ann", moves: 2 }] }
  state: [{ Account: { status: "closed" } }]

[tests.refused]
when: { Deposit: { amount: 5 } }
then: [{ Deposited: { amount: 5 } }]

[tests.right]
when: { Deposit: { amount: 5 } }
then: { rejected: "no Account" }
"""
    )
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "amount: 6" in text)
    found = tusk("test", file)
    assert found.returncode == 1
    assert "1 passed, 2 failed" in found.stdout
    for part in (
        "events[1].amount",
        "expected  6",
        "but was   5",
        f"app.tsk:{line}:",
        "accounts[0].moves",
        "closed",
    ):
        assert part in found.stdout, part
    machine = json.loads(tusk("test", file, "--format", "json").stdout)
    assert machine["passed"] == 1
    assert tusk("test", file, "-k", "right").returncode == 0


def test_new_writes_once(tmp_path: Path) -> None:
    """A template is written where one stands, and nothing is ever overwritten."""
    assert tusk("new", cwd=tmp_path).returncode == 0
    assert (tmp_path / "hello.tsk").read_bytes() == (EXAMPLES / "hello.tsk").read_bytes()
    again = tusk("new", "hello", cwd=tmp_path)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


def test_send_without_an_application(tmp_path: Path) -> None:
    """Nothing runs: told so, with what to do."""
    rows = tmp_path / "rows.csv"
    rows.write_text("owner\nann\n")
    found = tusk("send", "Open", "--from", rows, cwd=tmp_path)
    assert found.returncode == 1
    assert "no application runs" in found.stderr
    assert "Traceback" not in found.stderr


def test_run_refuses_a_wrong_file(tmp_path: Path) -> None:
    """The same diagnostics as `check`, exit code 78, before anything is opened."""
    file = tmp_path / "app.tsk"
    file.write_text(BROKEN)
    found = tusk(file, program="tusk-run")
    assert (found.returncode, "TSK" in found.stderr) == (78, True)
    assert found.stderr == tusk("check", file).stderr
    assert not (tmp_path / ".tusk").exists()


def test_help_names_every_verb() -> None:
    """`tusk --help` lists the verbs, and each has a help of its own."""
    listed = tusk("--help").stdout
    for verb in ("check", "env", "extract", "new", "send", "show", "test"):
        assert verb in listed
        assert tusk(verb, "--help").returncode == 0
    assert tusk("chekc").returncode == 2
    assert shutil.which("tusk-run", path=str(BIN))
