"""`tusk eval`: the value of an expression for an event, checked as it is in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from apps import ACCOUNT
from click.testing import CliRunner, Result

from tusk_runtime.cli.eval import command

ID = "3f0c7a52-6a43-4a53-9d5e-0a3d8f6f1c01"
DEPOSITED = {
    "position": 7,
    "event_id": ID,
    "event_type": "Deposited",
    "aggregate_type": "Account",
    "aggregate_id": "a1",
    "version": 2,
    "timestamp": "2026-01-05T10:00:00.000000Z",
    "data": {"amount": "7.50", "note": None},
    "metadata": {
        "user_id": "ann",
        "roles": ["clerk"],
        "command_id": ID,
        "correlation_id": ID,
        "source": "bank",
    },
}


def run(expression: str, *arguments: str | Path, given: Any = None) -> Result:
    """With `given` on standard input."""
    text = given if isinstance(given, str | bytes) else json.dumps(given)
    return CliRunner().invoke(command, [expression, *map(str, arguments)], input=text)


def value(expression: str, *arguments: str | Path, given: Any = None) -> Any:
    found = run(expression, *arguments, given=given)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT)
    return file


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2", 3),
        ("{{ 1 + 2 }}", 3),
        ("data.amount", "7.50"),
        ("decimal(data.amount) * 2", "15.00"),
        ("data.note ?? 'none'", "none"),
        ("event.event_type", "Deposited"),
        ("event.version", 2),
        ("now", "2026-01-05T10:00:00Z"),
        ("day(now)", "2026-01-05"),
        ("now - now", "PT0S"),
        ("meta.user_id", "ann"),
        ("'clerk' in meta.roles", True),
        ("meta.tenant_id", None),
        ("{{ data.amount }} by {{ meta.source ?? '' }}", "7.50 by bank"),
        ("{'a': [1, 2]}", {"a": [1, 2]}),
    ],
)
def test_the_value_for_an_event(expression: str, expected: Any) -> None:
    assert value(expression, "--event", "-", given=DEPOSITED) == expected


def test_an_event_comes_in_several_forms(tmp_path: Path) -> None:
    """The envelope, a page of one, and only the data; from a file, too."""
    file = tmp_path / "event.json"
    file.write_text(json.dumps(DEPOSITED))
    assert value("data.amount", "--event", file) == "7.50"
    assert value("data.amount", "--event", "-", given={"events": [DEPOSITED], "next_after": 7}) == "7.50"
    assert value("data.amount", "--event", "-", given={"amount": 3}) == 3
    assert "there is no `event` here" in run("event.version", "--event", "-", given={"amount": 3}).stderr
    several = run("data", "--event", "-", given={"events": [DEPOSITED] * 2, "next_after": 7})
    assert (several.exit_code, "a page of 2 events" in several.stderr) == (1, True)


def test_ids_repeat() -> None:
    """`uuid()` derives from the event."""
    ids = {value("uuid('x')", "--event", "-", given=DEPOSITED) for _ in range(2)}
    assert len(ids) == 1
    other = {**DEPOSITED, "event_id": "00000000-0000-0000-0000-000000000001"}
    assert value("uuid('x')", "--event", "-", given=other) not in ids


def test_other_names_are_given_by_file(tmp_path: Path) -> None:
    row = tmp_path / "row.json"
    row.write_text('{"balance": 10}')
    assert (
        value("integer(row.balance) + data.amount", "--row", row, "--event", "-", given={"amount": 3}) == 13
    )
    assert value("command.amount", "--command", "-", given={"amount": 3}) == 3
    assert value("state.balance", "--state", "-", given={"aggregate_type": "A", "state": {"balance": 1}}) == 1
    assert value("[params.a, params.b]", "--param", "a=2", "--param", "b=two") == [2, "two"]
    assert run("1", "--param", "a").exit_code == 2


def test_against_an_application_it_is_checked(app: Path) -> None:
    """The data has its declared types, so that a wrong name and a wrong type are told before the value."""
    assert value("data.amount * 2", "--event", "-", "--app", app, given=DEPOSITED) == "15.00"
    wrong = run("data.amont * 2", "--event", "-", "--app", app, given=DEPOSITED)
    assert wrong.exit_code == 78
    assert "expression:1:6" in wrong.stderr
    assert "     ^^^^^" in wrong.stderr
    assert "did you mean `amount`?" in wrong.stderr
    assert run("data.amount + 'x'", "--event", "-", "--app", app, given=DEPOSITED).exit_code == 78
    assert (
        value("data.amount", "--event", "-", "--app", app, "--type", "Deposited", given={"amount": 1})
        == "1.00"
    )
    state = {"aggregate_type": "Account", "state": {"status": "open", "balance": "5", "owner": None}}
    assert value("state.balance + 1", "--state", "-", "--app", app, given=state) == "6"
    assert run("state.status == 'opn'", "--state", "-", "--app", app, given=state).exit_code == 78


def test_an_event_of_an_older_version_becomes_the_declared_one(app: Path) -> None:
    """Its own `event_version` says of which it is; without one the data is taken as declared."""
    fields = "Deposited: {"
    upcast = 'version: 3, upcast: { 2: { set: { amount: "{{ decimal(data.cents) / 100 }}" } } },'
    app.write_text(ACCOUNT.replace(fields, f"{fields} {upcast}", 1))
    older = {**DEPOSITED, "event_version": 2, "data": {"cents": 750}}
    assert value("data.amount", "--event", "-", "--app", app, given=older) == "7.50"
    assert value("data.amount", "--event", "-", "--app", app, given=DEPOSITED) == "7.50"
    assert value("event.event_type", "--event", "-", "--app", app, given=older) == "Deposited"
    first = run("data.amount", "--event", "-", "--app", app, given={**older, "event_version": 1})
    assert (first.exit_code, "nothing leads from version 1 of Deposited to 3" in first.stderr) == (1, True)
    broken = run("data.amount", "--event", "-", "--app", app, given={**older, "data": {}})
    assert (broken.exit_code, type(broken.exception)) == (1, SystemExit)
    assert "app.tsk:4:" in broken.stderr


def test_a_value_that_is_not_there_is_shown_with_its_parts(app: Path) -> None:
    """Exit code 1, a caret under the part that failed, and what its operands were."""
    found = run("1 + data.amount / (data.amount - 7.5)", "--event", "-", "--app", app, given=DEPOSITED)
    assert found.exit_code == 1
    assert "error[TSK460]: division by zero" in found.stderr
    assert "    ^^^^^^^^^^^" in found.stderr
    assert "`data.amount` is 7.50" in found.stderr
    machine = run("data.x", "--event", "-", "--format", "json", given=DEPOSITED)
    (problem,) = json.loads(machine.stdout)["diagnostics"]
    assert (problem["code"], problem["line"], problem["column"], problem["end_column"]) == ("TSK460", 1, 1, 7)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("", 78), ("{{", 78), ("{{ }}", 78), ("1 +", 78), ("data..x", 78), ("x" * 5000, 78), ("{% if %}", 78),
        ("(" * 200, 78), ("'", 78), ("\n\n", 78), ("9" * 100, 78), ("data.amount.x.y", 1),
        ("[x for x in range(0, 9999999)]", 1),
    ],
)  # fmt: skip
def test_what_has_no_value_is_told(expression: str, code: int) -> None:
    found = run(expression, "--event", "-", given=DEPOSITED)
    assert (found.exit_code, type(found.exception)) == (code, SystemExit)
    assert "error[TSK4" in found.stderr


@pytest.mark.parametrize(
    "given",
    ["", "{", "[]", "1", "null", "\x00", b"\xff\xfe", '{"event_type": 5, "data": {}}',
     '{"event_type": "A", "data": {}, "timestamp": "soon"}', '{"event_type": "A", "data": {}, "event_id": "x"}',
     '{"event_type": "A", "data": {}, "metadata": {"roles": "all"}}', "[" * 5000],
)  # fmt: skip
def test_an_event_that_is_none_is_told(given: str | bytes) -> None:
    found = run("data", "--event", "-", given=given)
    assert (found.exit_code, type(found.exception)) == (1, SystemExit)
    assert found.stderr.startswith("error: ")


def test_what_cannot_be_is_told(app: Path, tmp_path: Path) -> None:
    for arguments, code in (
        (("--event", tmp_path / "nothing"), 1),
        (("--event", tmp_path), 1),
        (("--app", tmp_path / "nothing.tsk"), 78),
        (("--event", "-", "--app", app), 2),
        (("--event", "-", "--app", app, "--type", "Depsited"), 1),
        (("--event", "-", "--app", app, "--type", "Deposited"), 1),
        (("--event", "-", "--type", "Deposited"), 2),
        (("--event", "-", "--state", "-"), 1),
    ):
        found = run("1", *arguments, given={"amuont": 1})
        assert (found.exit_code, type(found.exception)) == (code, SystemExit), (arguments, found.output)
    assert run("1 + '\udcff'").exit_code == 2
