"""`tusk dlq` as a user types it, against an application that runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apps import ACCOUNT
from command_line import tusk
from support import Server, until

TEXT = (
    ACCOUNT.replace('note: "string?"', 'note: "string? pii"')
    + """
[consumers.Booking]
on: { Opened: { send: "Withdraw", with: { amount: "1" } } }

[consumers.Arithmetic]
on: { Deposited: { log: "{{ string(1 / (data.amount - 5)) }}" } }
"""
)
"""`Booking` takes money that is not there yet; `Arithmetic` fails on 5."""


class Application:
    """An application that runs, with dead letters, and the command line in its folder."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def dlq(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `tusk dlq` in the folder of the application."""
        folder = self.server.file.parent
        return await asyncio.to_thread(tusk, "dlq", *arguments, cwd=folder, stdin=stdin)

    async def json(self, *arguments: str) -> Any:
        """What it prints as JSON."""
        done = await self.dlq(*arguments, "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many letters there are."""
        async with self.server.client() as client:
            found: dict[str, dict[str, int]] = (await client.get("/api/dead-letters")).json()["counts"]
            return found

    async def become(self, counts: dict[str, dict[str, int]]) -> None:
        """Wait until there are so many letters."""

        async def so_many() -> bool:
            return await self.counts() == counts

        await until(so_many, f"there are {counts}")


@pytest.fixture
async def running(serve: Callable[..., Server], tmp_path: Path) -> Application:
    file = tmp_path / "bank.tsk"
    file.write_text(TEXT)
    server = serve(file, "--no-watch")
    await server.start()
    application = Application(server)
    async with server.client() as client:
        for account in ("a", "b"):
            answer = await client.post("/api/commands/Open", json={"owner": "ann", "aggregate_id": account})
            assert answer.status_code == 200, answer.text
        await application.become({"Booking": {"refused": 2}})  # before there is any money
        for amount in ("5", "7"):
            await client.post(
                "/api/commands/Deposit", json={"amount": amount, "note": "ada", "aggregate_id": "a"}
            )
    await application.become({"Arithmetic": {"parked": 1, "behind": 1}, "Booking": {"refused": 2}})
    return application


async def test_letters_are_listed_with_sums(running: Application) -> None:
    """A line for each, what it says, and how many each consumer has; of one consumer, or of all."""
    done = await running.dlq("ls")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines, first, second = done.stdout.splitlines()
    assert head.split() == ["consumer", "position", "key", "standing", "since", "message"]
    assert [line.split()[:4:2] + line.split()[3:4] for line in lines] == [
        ["Arithmetic", "Account/a", "parked"],
        ["Arithmetic", "Account/a", "behind"],
        ["Booking", "Account/a", "refused"],
        ["Booking", "Account/b", "refused"],
    ]
    assert lines[0].endswith("division by zero")
    assert lines[2].endswith("not enough money")
    assert (first, second) == ("Arithmetic: 1 parked, 1 behind", "Booking: 2 refused")
    assert (await running.dlq("ls", "Booking")).stdout.splitlines()[-1] == "Booking: 2 refused"
    assert len((await running.dlq("ls", "--standing", "parked")).stdout.splitlines()) == 4
    short = (await running.dlq("ls", "--limit", "3")).stdout
    assert "… and more: --limit shows more than 3" in short
    found = await running.json("ls")
    assert [each["standing"] for each in found["letters"]] == ["parked", "behind", "refused", "refused"]
    assert found["counts"] == await running.counts()
    unknown = await running.dlq("ls", "Bokking")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "there is no consumer `Bokking`" in unknown.stderr
    assert "Booking" in unknown.stderr.splitlines()[1]


async def test_a_letter_is_shown_with_its_event(running: Application) -> None:
    """What went wrong, where, and with which values; personal data of the event is masked."""
    listed = (await running.json("ls"))["letters"]
    done = await running.dlq("show", "Arithmetic", str(listed[0]["position"]))
    for part in ("division by zero", "bank.tsk:", "(data.amount - 5)", '"event_type": "Deposited"'):
        assert part in done.stdout, part
    assert "the first that is not done" in done.stdout
    assert '"note": "***"' in done.stdout
    assert '"ada"' not in done.stdout
    found = await running.json("show", "Arithmetic", str(listed[0]["position"]))
    assert found["event"]["data"] == {"amount": "5.00", "note": "***"}
    nothing = await running.dlq("show", "Booking", "999")
    assert (nothing.returncode, nothing.stderr) == (
        1,
        "error: Booking has no dead letter at position 999\n",
    )


async def test_letters_are_handled_again(running: Application) -> None:
    """A dry run says which; what is refused again stays, what is taken is gone."""
    position = str((await running.json("ls", "Booking"))["letters"][0]["position"])
    done = await running.dlq("retry", "Booking", position, "--dry-run")
    assert done.stdout.splitlines()[-1] == "1 dead letter would be handled again"
    assert (await running.counts())["Booking"] == {"refused": 2}
    done = await running.dlq("retry", "Booking", "--message", "not enough money")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 dead letters will be handled again")
    await running.become({"Arithmetic": {"parked": 1, "behind": 1}, "Booking": {"refused": 1}})
    found = await running.json("retry", "Booking", "--all", "--dry-run")
    assert (found["dry_run"], found["count"], found["letters"][0]["key"]) == (True, 1, "Account/b")


async def test_several_are_dropped_only_after_a_question(running: Application) -> None:
    """One is dropped at once; those that waited behind it are handled."""
    for answer in ("n\n", ""):
        done = await running.dlq("drop", "Booking", "--all", stdin=answer)
        assert done.returncode == 1
        assert "drop 2 dead letters of Booking?" in done.stderr
        assert "dropped" not in done.stdout
    dry = await running.dlq("drop", "Booking", "--all", "--dry-run")
    assert dry.stdout.splitlines()[-1] == "2 dead letters would be dropped"
    assert (await running.counts())["Booking"] == {"refused": 2}
    done = await running.dlq("drop", "Booking", "--all", stdin="y\n")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 dead letters will be dropped")
    await running.become({"Arithmetic": {"parked": 1, "behind": 1}})
    one = await running.dlq("drop", "Arithmetic", "--message", "division by zero")
    assert (one.returncode, one.stderr) == (0, "")
    await running.become({})
    assert (await running.dlq("ls")).stdout == "no dead letters\n"
    assert (
        await running.dlq("drop", "Booking", "--all", "--yes")
    ).stdout == "0 dead letters will be dropped\n"
    assert "Booking: drop of 2 dead letters" in running.server.printed()


async def test_yes_asks_nothing(running: Application) -> None:
    done = await running.dlq("drop", "Booking", "--message", "not enough money", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    await running.become({"Arithmetic": {"parked": 1, "behind": 1}})


async def test_one_that_only_waits_is_refused_with_what_to_do(running: Application) -> None:
    waiting = str((await running.json("ls", "--standing", "behind"))["letters"][0]["position"])
    done = await running.dlq("drop", "Arithmetic", waiting)
    assert done.returncode == 1
    assert "only waits behind an earlier one of Account/a" in done.stderr
    assert "help: settle the one that is parked" in done.stderr


async def test_the_application_is_found_by_its_file_or_its_address(running: Application) -> None:
    """As `tusk send` finds it; a wrong token is told."""
    server = running.server
    by_file = await asyncio.to_thread(tusk, "dlq", "ls", "--app", server.file)
    assert by_file.returncode == 0, by_file.stderr
    address = ("--url", server.url, "--token")
    assert (await asyncio.to_thread(tusk, "dlq", "ls", *address, server.token)).returncode == 0
    wrong = await asyncio.to_thread(tusk, "dlq", "ls", *address, "x" * 43)
    assert (wrong.returncode, wrong.stderr) == (1, "error: the application does not accept this token\n")
    await server.stop()
    gone = await asyncio.to_thread(tusk, "dlq", "ls", *address, server.token)
    assert gone.returncode == 1
    assert f"the application at 127.0.0.1:{server.port} does not answer" in gone.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("7", "--all"), ("--all", "--message", "a"), ("7", "--message", "")]
)
def test_exactly_one_choice_is_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    for action in ("retry", "drop"):
        done = tusk("dlq", action, "Booking", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "say which letters" in done.stderr


@pytest.mark.parametrize("verb", [("ls",), ("show", "A", "7"), ("retry", "A", "7"), ("drop", "A", "--all")])
def test_without_a_running_application_it_says_how_to_start_one(
    tmp_path: Path, verb: tuple[str, ...]
) -> None:
    """The same words as those of `tusk send`."""
    none = tusk("dlq", *verb, cwd=tmp_path)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    send = tusk("send", "Open", "--from", rows, cwd=tmp_path)
    assert (none.returncode, none.stderr) == (send.returncode, send.stderr)
    assert none.returncode == 1
    assert "no application runs" in none.stderr
    file = tmp_path / "app.tsk"
    file.write_text(TEXT)
    stopped = tusk("dlq", *verb, "--app", file)
    assert stopped.returncode == 1
    assert "start it: tusk-run FILE.tsk" in stopped.stderr


def test_the_verb_is_in_the_list() -> None:
    assert "dlq" in tusk("--help").stdout
    assert "Look at what consumers could not handle" in tusk("--help").stdout
