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

from tusk_runtime.following.messages import Message, pack
from tusk_runtime.store.deliveries import Letter
from tusk_runtime.store.sqlite import SqliteStore

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


@pytest.fixture
async def with_topics(running: Application) -> Application:
    """With letters of messages, too, which Kafka has brought before."""
    await running.server.stop()
    store = SqliteStore(running.server.file.parent / ".tusk" / "bank.db")
    await store.open()
    claim = await store.deliveries.take("Booking", "orders/0", b"kafka")
    error = b'{"message":"no rule of accept takes it"}'
    message = Message("orders", 0, 0, b"k", b'{"sku": 7}\n\xff', 1_700_000_000_000, (("type", b"new"),))
    large = message._replace(offset=5, value=b"x" * 2_000_000)
    given = [
        Letter("orders/0", each.offset, "k", "parked", 0, 1, 1, error, pack(each))
        for each in (message, large)
    ]
    await store.deliveries.save("Booking", claim.epoch, 5, source="orders/0", letters=given)
    await store.close()
    await running.server.start()
    return running


async def test_letters_of_topics(with_topics: Application) -> None:
    """They are named as they are listed; personal data may be in any message once the file marks some."""
    listed = (await with_topics.dlq("ls", "Booking")).stdout.splitlines()
    assert [line.split()[1:4] for line in listed[3:5]] == [
        ["orders/0:0", "k", "parked"], ["orders/0:5", "k", "parked"],
    ]  # fmt: skip
    done = await with_topics.dlq("show", "Booking", "orders/0:0")
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("orders/0:0", "no rule of accept takes it", "key: k", "header type: ***", "size: 12 bytes"):
        assert part in done.stdout, part
    assert done.stdout.endswith("\nvalue:\n***\n")
    assert (await with_topics.dlq("show", "Booking", "orders/0:5")).stdout.endswith(
        "size: 2,000,000 bytes\nvalue: too large to be kept\n"
    )
    assert (await with_topics.json("show", "Booking", "orders/0:0"))["message"]["offset"] == 0
    dry = await with_topics.dlq("retry", "Booking", "orders/0:0", "orders/0:5", "--dry-run")
    assert dry.stdout.splitlines()[-1] == "2 dead letters would be handled again"
    assert (await with_topics.dlq("drop", "Booking", "orders/0:5")).returncode == 0
    assert (await with_topics.counts())["Booking"] == {"refused": 2, "parked": 1, "drop": 1}
    gone = await with_topics.dlq("show", "Booking", "orders/1:5")
    assert gone.stderr == "error: Booking has no dead letter at orders/1:5\n"


async def test_the_value_of_a_message_where_nothing_is_personal(with_topics: Application) -> None:
    await with_topics.server.stop()
    file = with_topics.server.file
    file.write_text(file.read_text().replace("? pii", "?"))
    await with_topics.server.start()
    done = await with_topics.dlq("show", "Booking", "orders/0:0")
    assert done.stdout.endswith('header type: new\nsize: 12 bytes\nvalue:\n{"sku": 7}\n\\xff\n')


@pytest.mark.parametrize("text", ["0", "x", "orders:7", "orders/0:-1", "orders/0", "9" * 30, "", "a b/0:7"])
def test_a_place_that_is_none(tmp_path: Path, text: str) -> None:
    for verb in ("show", "retry", "drop"):
        done = tusk("dlq", verb, "Booking", "--", text, cwd=tmp_path)
        assert done.returncode == 2
        assert "is not a position of the log, as 7, or TOPIC/PARTITION:OFFSET" in " ".join(
            done.stderr.split()
        )


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
