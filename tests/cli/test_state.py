"""`tusk state`: an aggregate now, at a version, at a time, and what changed in between."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from stored import COMMANDS, KINDS, Stored, application_on

NESTED = """
[types]
Address: { street: "string pii", city: "string" }
[events]
Moved: { fields: { to: "Address", note: "string?" } }
Counted: { fields: { by: "integer" } }
[aggregates.Person]
id: "uuid"
state: { home: "Address?", notes: "list<string> = []", counts: "map<integer> = {}" }
on:
  Moved: { home: "{{ data.to }}", notes: "{{ state.notes + [data.note ?? '-'] }}" }
  Counted: { counts: "{{ combine(state.counts, {'x': data.by}) }}" }
[commands]
Move: { aggregate: "Person", creates: "either", fields: { to: "Address", note: "string?" }, emit: "Moved" }
Count: { aggregate: "Person", creates: "either", fields: { by: "integer" }, emit: "Counted" }
"""
ANN = "3f0c7a52-6a43-4a53-9d5e-0a3d8f6f1c01"


@pytest.fixture(params=KINDS)
async def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Stored:
    application = await application_on(request.param, tmp_path)
    await application.run(*COMMANDS)
    return application


@pytest.fixture
async def small(tmp_path: Path) -> Stored:
    application = await application_on("sqlite", tmp_path)
    await application.run(*COMMANDS)
    return application


def test_as_it_is(bank: Stored) -> None:
    done = bank.invoke("state", "FILE", "Account", "a")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Account a  version 3, position 5, 2025-01-01T00:00:07.000000Z",
        "field    value",
        'status   "open"',
        'balance  "7.50"',
        'owner    "ann"',
    ]


def state(application: Stored, *options: str) -> Any:
    done = application.invoke("state", "FILE", "Account", "a", *options, "--format", "json")
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def test_as_it_was(bank: Stored) -> None:
    assert state(bank, "--at", "2") == {
        "aggregate_type": "Account",
        "aggregate_id": "a",
        "version": 2,
        "position": 3,
        "timestamp": "2025-01-01T00:00:03.000000Z",
        "state": {"status": "open", "balance": "10.00", "owner": "ann"},
    }
    for time in ("2025-01-01T00:00:03Z", "2025-01-01T00:00:06.999999", "2025-01-01 01:00:05+01:00"):
        assert state(bank, "--at", time)["version"] == 2
    assert state(bank, "--at", "2025-01-01T00:00:07")["version"] == 3
    assert state(bank, "--at", "2030-01-01") == state(bank)
    nothing = {"version": 0, "position": 0, "timestamp": None, "state": {}}
    assert state(bank, "--at", "0").items() >= nothing.items()
    assert state(bank, "--at", "2024-12-31T23:59:59").items() >= nothing.items()


def test_a_version_that_no_store_could_have(bank: Stored) -> None:
    done = bank.invoke("state", "FILE", "Account", "a", "--at", "9" * 18)
    assert done.exit_code == 1
    assert "there is no version 999999999999999999" in done.stderr


def test_what_changed(bank: Stored) -> None:
    done = bank.invoke("state", "FILE", "Account", "a", "--diff", "1", "3")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Account a  version 1 → 3",
        "field    before  after",
        'balance  "0"     "7.50"',
        "",
        '3  2025-01-01T00:00:03.000000Z  Deposited  Account a  v2  {"amount":"10.00"}',
        '5  2025-01-01T00:00:07.000000Z  Withdrawn  Account a  v3  {"amount":"2.50"}',
    ]
    by_time = state(bank, "--diff", "2025-01-01T00:00:01", "2026-01-01")
    assert by_time["changes"] == [{"field": "balance", "before": "0", "after": "7.50"}]
    assert [event["position"] for event in by_time["events"]] == [3, 5]
    assert (by_time["from"]["version"], by_time["to"]["version"]) == (1, 3)
    begin = state(bank, "--diff", "0", "1")
    assert begin["changes"][0] == {"field": "status", "before": None, "after": "open"}
    assert state(bank, "--diff", "2", "2")["changes"] == []


def test_it_is_what_the_api_answers(small: Stored) -> None:
    """The same code folds for both."""
    from tusk_runtime.running.load import load_or_raise
    from tusk_runtime.running.runtime import Runtime
    from tusk_runtime.web.encoding import aggregate_json
    from tusk_runtime.web.masking import Masks

    async def asked() -> Any:
        runtime = Runtime(load_or_raise(small.file, {}), small.opened())
        await runtime.start()
        answer = await runtime.aggregate("Account", "a", version=2)
        await runtime.stop()
        return json.loads(aggregate_json(answer, Masks(runtime)))

    assert state(small, "--at", "2").items() >= asyncio.run(asked()).items()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("Acount", "a"), 1, "did you mean `Account`?"),
        (("Account", "z"), 1, "there is no Account z"),
        (("Account", "z", "--at", "1"), 1, "there is no Account z"),
        (("Account", "\udcff"), 1, "is not UTF-8"),
        (("Account", "a", "--at", "4"), 1, "has 3 versions: there is no version 4"),
        (("Account", "a", "--diff", "1", "9"), 1, "has 3 versions: there is no version 9"),
        (("Account", "a", "--diff", "3", "1"), 2, "A is the earlier one"),
        (("Account", "a", "--at", "noon"), 2, "write a version, or a time such as"),
        (("Account", "a", "--at", "9999-12-31T23:59:59-23:59"), 0, "version 3"),
        (("Account", "a", "--at", "1", "--diff", "1", "2"), 2, "give one of them"),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be(small: Stored, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = small.invoke("state", "FILE", *arguments)
    assert done.exit_code == code, done.output
    assert told in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_state_that_cannot_be_folded(small: Stored) -> None:
    text = small.file.read_text()
    small.file.write_text(
        text.replace("state.balance - data.amount }}", "state.balance - 1 / (data.amount - 2.5) }}")
    )
    done = small.invoke("state", "FILE", "Account", "a")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "an expression of the application failed" in done.stderr
    assert small.invoke("state", "FILE", "Account", "a", "--at", "2").exit_code == 0


def test_fields_within_fields(tmp_path: Path) -> None:
    """Records and maps are compared part by part; what is personal has changed, and is not shown."""

    async def filled() -> Stored:
        application = await application_on("sqlite", tmp_path, NESTED)
        await application.run(
            ("Move", {"aggregate_id": ANN, "to": {"street": "Elm 1", "city": "Bern"}}),
            ("Move", {"aggregate_id": ANN, "to": {"street": "Elm 2", "city": "Bern"}, "note": "n"}),
            ("Count", {"aggregate_id": ANN, "by": 2}),
        )
        return application

    application = asyncio.run(filled())
    done = application.invoke("state", "FILE", "Person", ANN.upper(), "--diff", "1", "3", "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["changes"] == [
        {"field": "home.street", "before": "***", "after": "***"},
        {"field": "notes", "before": ["-"], "after": ["-", "n"]},
        {"field": "counts.x", "before": None, "after": 2},
    ]
    for arguments in ((), ("--at", "1"), ("--diff", "0", "3")):
        done = application.invoke("state", "FILE", "Person", ANN, *arguments)
        assert done.exit_code == 0, done.output
        assert "Elm" not in done.output
