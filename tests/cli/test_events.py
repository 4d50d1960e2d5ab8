"""`tusk events ls` and `show`, on each kind of store, beside an application that runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from stored import COMMANDS, KINDS, Stored, application_on
from support import until

from tusk_runtime.cli import events as verb
from tusk_runtime.events import command_id_from, event_id_text, id_text

SECRET = """
[events]
Met: { fields: { name: "string pii", at: "string?" } }
[aggregates.Person]
id: "uuid"
state: { name: "string? pii" }
on: { Met: { name: "{{ data.name }}" } }
[commands]
Meet: { aggregate: "Person", creates: true, fields: { name: "string pii", at: "string?" }, emit: "Met" }
"""


@pytest.fixture(params=KINDS)
async def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Stored:
    application = await application_on(request.param, tmp_path)
    await application.run(*COMMANDS)
    return application


@pytest.fixture
async def small(tmp_path: Path) -> Stored:
    """One on SQLite."""
    application = await application_on("sqlite", tmp_path)
    await application.run(*COMMANDS)
    return application


def command_id(number: int) -> str:
    return id_text(command_id_from(f"c{number}"))


async def listed_beside(application: Stored, *options: str) -> list[int]:
    """The same, in a coroutine."""
    return await asyncio.to_thread(listed, application, *options)


def listed(application: Stored, *options: str) -> list[int]:
    """The positions that are listed."""
    return positions_of(application.invoke("events", "ls", "FILE", *options, "--format", "json"))


def positions_of(done: Any) -> list[int]:
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return [json.loads(line)["position"] for line in done.stdout.splitlines()]


def test_a_line_for_each_event(bank: Stored) -> None:
    done = bank.tusk("events", "ls", "FILE")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        '1  2025-01-01T00:00:01.000000Z  Opened     Account a  v1  {"owner":"ann"}',
        '2  2025-01-01T00:00:02.000000Z  Opened     Account b  v1  {"owner":"bob"}',
        '3  2025-01-01T00:00:03.000000Z  Deposited  Account a  v2  {"amount":"10.00"}',
        '4  2025-01-01T00:00:05.000000Z  Deposited  Account b  v2  {"amount":"2000.50","note":"Grüße"}',
        '5  2025-01-01T00:00:07.000000Z  Withdrawn  Account a  v3  {"amount":"2.50"}',
    ]


def test_json_lines_are_those_of_the_api(bank: Stored) -> None:
    done = bank.tusk("events", "ls", "FILE", "--format", "json", "--last", "1")
    assert json.loads(done.stdout) == {
        "position": 5,
        "event_id": event_id_text(command_id_from("c7"), 0),
        "event_type": "Withdrawn",
        "event_version": 1,
        "aggregate_type": "Account",
        "aggregate_id": "a",
        "version": 3,
        "timestamp": "2025-01-01T00:00:07.000000Z",
        "data": {"amount": "2.50"},
        "metadata": {
            "user_id": "ann",
            "roles": ["admin"],
            "source": "bank",
            "version": json.loads(done.stdout)["metadata"]["version"],
            "command_id": command_id(7),
            "correlation_id": command_id(7),
        },
    }


@pytest.mark.parametrize(
    ("options", "positions"),
    [
        (("--type", "Opened"), [1, 2]),
        (("--type", "Opened", "--type", "Withdrawn"), [1, 2, 5]),
        (("--aggregate", "Account", "a"), [1, 3, 5]),
        (("--id", "b"), [2, 4]),
        (("--id", "nobody"), []),
        (("--correlation", command_id(3)), [3]),
        (("--command", command_id(5)), [4]),
        (("--command", command_id(5), "--after", "4"), []),
        (("--after", "3"), [4, 5]),
        (("--after", "1", "--limit", "2"), [2, 3]),
        (("--after", "1", "--last", "2"), [4, 5]),
        (("--before", "3"), [1, 2]),
        (("--before", "4", "--last", "2"), [2, 3]),
        (("--before", "1"), []),
        (("--before", "0"), []),
        (("--after", "1", "--before", "3"), [2]),
        (("--after", "99"), []),
        (("--before", "99", "--limit", "1"), [5]),
        (("--since", "2025-01-01T00:00:03Z"), [3, 4, 5]),
        (("--since", "2025-01-01T00:00:03", "--limit", "1"), [3]),
        (("--until", "2025-01-01T01:00:03+01:00"), [1, 2, 3]),
        (("--since", "2025-01-01T00:00:02", "--until", "2025-01-01T00:00:04"), [2, 3]),
        (("--aggregate", "Account", "a", "--type", "Deposited", "--since", "2024-01-01"), [3]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_what_is_wanted(small: Stored, options: tuple[str, ...], positions: list[int]) -> None:
    assert listed(small, *options) == positions


def test_more_than_a_page_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are put together without a gap, whichever filter thins them out."""

    async def filled() -> Stored:
        application = await application_on("sqlite", tmp_path)
        opened = [("Open", {"aggregate_id": str(n), "owner": "x"}) for n in range(10)]
        await application.run(
            *opened, *(("Deposit", {"aggregate_id": "3", "amount": n}) for n in range(1, 8))
        )
        return application

    application = asyncio.run(filled())
    monkeypatch.setattr(verb, "PAGE", 3)

    assert listed(application) == list(range(1, 18))
    assert listed(application, "--after", "2") == list(range(3, 18))
    assert listed(application, "--after", "2", "--limit", "6") == list(range(3, 9))
    assert listed(application, "--last", "7") == list(range(11, 18))
    assert listed(application, "--until", "2025-01-01T00:00:04") == [1, 2, 3, 4]
    assert listed(application, "--since", "2025-01-01T00:00:15") == [15, 16, 17]
    assert listed(application, "--aggregate", "Account", "3") == [4, *range(11, 18)]
    last = ("--after", "0", "--limit", "17")
    assert listed(application, *last) == list(range(1, 18))


def test_the_rest_is_told(small: Stored) -> None:
    """What is left out is said, with the option that goes on there."""
    done = small.invoke("events", "ls", "FILE", "--limit", "2")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["4", "5"]
    assert "--before 4" in done.stderr
    done = small.invoke("events", "ls", "FILE", "--after", "0", "--limit", "2")
    assert "--after 2" in done.stderr
    assert small.invoke("events", "ls", "FILE", "--limit", "5").stderr == ""
    assert small.invoke("events", "ls", "FILE", "--after", "0", "--limit", "5").stderr == ""


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--type", "Openned"), 1, "did you mean `Opened`?"),
        (("--aggregate", "Acount", "a"), 1, "did you mean `Account`?"),
        (("--type", "\udcff"), 1, "is not UTF-8"),
        (("--id", "\udcff"), 1, "is not UTF-8"),
        (("--command", command_id(4)), 1, "was refused: it has no events"),
        (("--command", command_id(6)), 1, "had nothing to do: it has no events"),
        (("--command", command_id(99)), 1, "no command"),
        (("--command", "c3"), 2, "write a UUID"),
        (("--since", "yesterday"), 2, "write a time such as"),
        (("--limit", "0"), 2, "0"),
        (("--after", "-1"), 2, "-1"),
        (("--limit", "1", "--last", "1"), 2, "give one of them"),
        (("--aggregate", "Account", "a", "--id", "a"), 2, "give one of them"),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be(small: Stored, options: tuple[str, ...], code: int, told: str) -> None:
    done = small.invoke("events", "ls", "FILE", *options)
    assert (done.exit_code, done.stdout) == (code, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_types_that_are_declared_no_more(small: Stored) -> None:
    """What the log holds is found under the name that it had."""
    text = small.file.read_text().replace("Withdrawn", "TakenOut").replace("Account", "Konto")
    small.file.write_text(text)
    assert listed(small, "--type", "Withdrawn") == [5]
    assert listed(small, "--aggregate", "Account", "b") == [2, 4]
    assert listed(small, "--type", "TakenOut") == []


def test_one_event_as_a_whole(bank: Stored) -> None:
    done = bank.tusk("events", "show", "FILE", "4")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "event_type      Deposited" in lines
    assert "aggregate_id    b" in lines
    assert lines[lines.index("data") :][:5] == [
        "data",
        "{",
        '  "amount": "2000.50",',
        '  "note": "Grüße"',
        "}",
    ]
    assert f'  "command_id": "{command_id(5)}",' in lines
    by_id = bank.tusk("events", "show", "FILE", event_id_text(command_id_from("c5"), 0))
    assert by_id.stdout == done.stdout
    as_json = bank.tusk("events", "show", "FILE", "4", "--format", "json")
    assert json.loads(as_json.stdout)["data"] == {"amount": "2000.50", "note": "Grüße"}


@pytest.mark.parametrize(
    ("event", "code", "told"),
    [
        ("6", 1, "the newest is at 5"),
        ("0", 1, "no event at position 0"),
        (command_id(99), 1, "no event with the id"),
        (command_id(3), 1, f"tusk events ls FILE --command {command_id(3)}"),
        ("latest", 2, "write a position or a UUID"),
        ("9" * 40, 2, "write a position or a UUID"),
    ],
)
def test_an_event_that_is_not_there(small: Stored, event: str, code: int, told: str) -> None:
    done = small.invoke("events", "show", "FILE", event)
    assert (done.exit_code, done.stdout) == (code, "")
    assert told in done.stderr


async def test_personal_data_is_masked(tmp_path: Path) -> None:
    person = "3f0c7a52-6a43-4a53-9d5e-0a3d8f6f1c01"
    application = await application_on("sqlite", tmp_path, SECRET)
    await application.run(("Meet", {"aggregate_id": person, "name": "Ann Example", "at": "home"}))
    for arguments in (("ls", "FILE"), ("ls", "FILE", "--format", "json"), ("show", "FILE", "1")):
        done = application.tusk("events", *arguments)
        assert "Ann Example" not in done.stdout
        assert "***" in done.stdout
        assert "home" in done.stdout
    assert await listed_beside(application, "--aggregate", "Person", person.upper()) == [1]


async def test_texts_do_not_act_on_the_terminal(tmp_path: Path) -> None:
    application = await application_on("sqlite", tmp_path)
    evil = "a\x1b[2Jb\u202ec"
    await application.run(("Open", {"aggregate_id": "x", "owner": evil}))
    for arguments in (("ls", "FILE"), ("show", "FILE", "1")):
        done = application.tusk("events", *arguments)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        assert "\u202e" not in done.stdout


async def test_beside_a_process_that_runs(serve: Any, tmp_path: Path) -> None:
    """On SQLite, too: what is answered is read at once, and the process goes on."""
    application = await application_on("sqlite", tmp_path)
    server = serve(application.file, "--no-watch")
    await server.start()
    async with server.client() as api:
        for number in range(3):
            body = {"aggregate_id": f"n{number}", "owner": "ann"}
            assert (await api.post("/api/commands/Open", json=body)).status_code == 200
            assert await listed_beside(application) == list(range(1, number + 2))
        verified = await asyncio.to_thread(application.tusk, "store", "verify", "FILE")
        assert verified.returncode == 0
        assert (await api.post("/api/commands/Open", json={**body, "aggregate_id": "z"})).status_code == 200
    # Killed: what stands in the write-ahead log only is read, too.
    server.kill()
    assert await listed_beside(application) == [1, 2, 3, 4]
    await server.start()
    async with server.client() as api:

        async def all_there() -> bool:
            return bool((await api.get("/api/status")).json()["head"] == 4)

        await until(all_there, "the process has all events")


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    application = asyncio.run(application_on("sqlite", tmp_path))
    done = application.tusk("events", "ls", "FILE")
    assert (done.returncode, done.stdout) == (1, "")
    assert "start the application once" in done.stderr
    assert not (tmp_path / ".tusk").exists()
    application.file.write_text('[event_store]\nbackend: "in_memory"\n' + application.file.read_text())
    done = application.tusk("events", "ls", "FILE")
    assert done.returncode == 1
    assert "a store in memory ends with its process" in done.stderr
    application.file.write_text("[events\n")
    assert application.tusk("events", "ls", "FILE").returncode == 78
