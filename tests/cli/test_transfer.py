"""`tusk events export` and `import`: the same store comes out, whatever it goes through."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from stored import ANN, COMMANDS, KINDS, Stored, application_on

from tusk_runtime.errors import StoreUnavailable
from tusk_runtime.events import command_id_from
from tusk_runtime.running.load import load_or_raise
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.protocol import Decision, NewEvent
from tusk_runtime.store.transfer import importing
from tusk_runtime.store.transfer.exporting import export

ODD = (
    # Data that reading and writing would change, or cannot hold at all, comes back byte for byte.
    b'{"n": 1.50}', b'{"big":123456789012345678901234567890}', b'{"a":1,"a":2}', b'{"u":"\\u00e9"}',
    b'{"deep":' + b"[" * 300 + b"]" * 300 + b"}", b'{"e":1E5,"z":-0.0}', b"no JSON",
)  # fmt: skip


@pytest.fixture
async def full(request: pytest.FixtureRequest, tmp_path: Path) -> Stored:
    """An application with commands of all kinds, some of several events, some with odd data."""
    application = await application_on(request.param, tmp_path / "full")
    await application.run(*COMMANDS)
    store = application.opened()
    await store.open()
    odd = Decision(
        b"\x07" * 16, 2**64 - 1, "Account", "Ünï \u2028x", 0, -5, b'{"m": 1}',
        [NewEvent("Deposited", data) for data in ODD], b"\x01" * 16,
    )  # fmt: skip
    refused = Decision(b"\x08" * 16, 0, "Account", "z", 0, 9, b"{}", refusal=b'{"why": "no"}')
    await store.events.append([odd, refused])
    many = [
        Decision(
            bytes([9, n // 256, n % 256]) + bytes(13), n, "Account", f"m{n % 7}", n // 7, n, b"{}",
            [NewEvent("Deposited", b"{}")],
        )
        for n in range(1500)
    ]  # fmt: skip
    await store.events.append(many)
    await store.close()
    return application


async def moved(application: Stored, *arguments: Any) -> Any:
    return await asyncio.to_thread(application.invoke, "events", *arguments)


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("full", KINDS, indirect=True)
async def test_from_any_store_into_any_other(full: Stored, to: str, tmp_path: Path) -> None:
    """Byte for byte: what is exported of the copy is what the copy was made of."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    done = await moved(full, "export", "FILE", "--output", first)
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "1,509 commands with 1,512 events\n"
    other = await application_on(to, tmp_path / "other")
    done = await moved(other, "import", "FILE", first)
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "1,509 commands with 1,512 events\n"
    assert (await moved(other, "export", "FILE", "--output", second)).exit_code == 0
    assert second.read_bytes() == first.read_bytes()

    old, new = full.opened(), other.opened()
    await old.open(read_only=True)
    await new.open(read_only=True)
    assert await new.events.read(limit=9999) == await old.events.read(limit=9999)
    assert await new.events.ledger(limit=9999) == await old.events.ledger(limit=9999)
    await old.close()
    await new.close()

    verified = await asyncio.to_thread(other.invoke, "store", "verify", "FILE", "--format", "json")
    # One of the odd ones is no JSON, and so it was before.
    assert json.loads(verified.stdout)["problems"] == ["position 12: the data of the event is no JSON object"]


@pytest.fixture
async def bank(tmp_path: Path) -> Stored:
    application = await application_on("sqlite", tmp_path / "bank")
    await application.run(*COMMANDS)
    return application


@pytest.fixture
def exported(bank: Stored) -> list[str]:
    """The lines of an export."""
    done = bank.invoke("events", "export", "FILE")
    assert done.exit_code == 0, done.stderr
    lines: list[str] = done.stdout.splitlines()
    return lines


@pytest.fixture
async def empty(tmp_path: Path) -> Stored:
    return await application_on("sqlite", tmp_path / "empty")


def test_what_the_lines_say(exported: list[str]) -> None:
    found = [json.loads(line) for line in exported]
    assert found[0] == {"format": "tusk-events", "version": 1, "after": 0, "head": 5}
    digest = hashlib.sha256("".join(f"{line}\n" for line in exported[:-1]).encode()).hexdigest()
    assert found[-1] == {"end": {"commands": 7, "events": 5, "sha256": digest}}
    assert [line["position"] for line in found[1:-1]] == [1, 2, 3, 3, 4, 4, 5]
    refused, idle = found[4], found[6]
    assert refused["refusal"]["kind"] == "rule-broken"
    assert refused["events"] == idle["events"] == []
    assert "refusal" not in idle
    assert found[5]["events"] == [{"type": "Deposited", "data": {"amount": "2000.50", "note": "Grüße"}}]
    assert found[5]["timestamp"] == 1_735_689_605_000_000
    assert found[5]["metadata"]["user_id"] == "ann"


async def test_a_repeated_command_gets_its_first_answer(bank: Stored, empty: Stored, tmp_path: Path) -> None:
    """Also the refused one, and the one that had nothing to do; and life goes on."""
    path = tmp_path / "all.jsonl"
    assert (await moved(bank, "export", "FILE", "--output", path)).exit_code == 0
    assert (await moved(empty, "import", "FILE", path)).exit_code == 0
    runtimes = [Runtime(load_or_raise(each.file, {}), each.opened()) for each in (bank, empty)]
    answers: list[list[Any]] = []
    for runtime in runtimes:
        await runtime.start()
        told: list[Any] = []
        for number, (name, fields) in enumerate(COMMANDS, 1):
            try:
                answer = await runtime.execute(
                    name, fields, command_id=command_id_from(f"c{number}"), caller=ANN
                )
            except Exception as error:
                told.append((type(error), str(error)))
            else:
                assert answer.repeated
                told.append(answer.as_json())
        await runtime.settle()
        told.append((await runtime.query("accounts", {}, caller=ANN)).rows)
        fresh = await runtime.execute("Deposit", {"aggregate_id": "a", "amount": "1"}, caller=ANN)
        told.append((fresh.recorded.version, fresh.recorded.position))
        await runtime.stop()
        answers.append(told)
    assert answers[0] == answers[1]
    assert answers[0][-1] == (4, 6)


def test_standard_input_and_output(bank: Stored, empty: Stored) -> None:
    lines = bank.invoke("events", "export", "FILE").stdout_bytes
    done = empty.invoke("events", "import", "FILE", input=lines)
    assert done.exit_code == 0, done.output
    assert empty.invoke("events", "export", "FILE").stdout_bytes == lines


def test_the_file_of_an_export(bank: Stored, tmp_path: Path) -> None:
    """Only its owner reads it; it is there once it is whole, and is not overwritten by mistake."""
    path = tmp_path / "all.jsonl"
    assert bank.invoke("events", "export", "FILE", "--output", path).exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    done = bank.invoke("events", "export", "FILE", "--output", path, "--after", "3")
    assert (done.exit_code, path.read_bytes()) == (1, before)
    assert "--force" in done.stderr
    assert bank.invoke("events", "export", "FILE", "--output", path, "--after", "3", "--force").exit_code == 0
    assert path.read_bytes() != before
    assert {each.name for each in tmp_path.iterdir()} == {"bank", "all.jsonl"}
    done = bank.invoke("events", "export", "FILE", "--output", tmp_path / "no" / "all.jsonl")
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr


def test_only_what_stands_behind(bank: Stored, empty: Stored) -> None:
    done = bank.invoke("events", "export", "FILE", "--after", "3")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found[0] == {"format": "tusk-events", "version": 1, "after": 3, "head": 5}
    assert [line["position"] for line in found[1:-1]] == [3, 4, 4, 5], "what had no events may be later, too"
    assert bank.invoke("events", "export", "FILE", "--after", "99").exit_code == 0
    done = empty.invoke("events", "import", "FILE", input=done.stdout_bytes)
    assert done.exit_code == 1
    assert "line 1: the export begins behind position 3" in done.stderr


def resealed(lines: list[str], **end: Any) -> list[str]:
    """The lines with an end that fits them."""
    body = lines[:-1]
    digest = hashlib.sha256("".join(f"{line}\n" for line in body).encode()).hexdigest()
    found = json.loads(lines[-1])["end"] | {"sha256": digest} | end
    return [*body, json.dumps({"end": found}, separators=(",", ":"))]


def edited(line: int, old: str, new: str) -> Any:
    def edit(lines: list[str]) -> list[str]:
        assert old in lines[line - 1], lines[line - 1]
        return resealed([*lines[: line - 1], lines[line - 1].replace(old, new), *lines[line:]])

    return edit


def moved_line(line: int, to: int) -> Any:
    def edit(lines: list[str]) -> list[str]:
        lines = list(lines)
        lines.insert(to - 1, lines.pop(line - 1))
        return resealed(lines)

    return edit


BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": (lambda lines: [], "line 1: the export ends too early"),
    "a cut line": (lambda lines: [*lines[:3], lines[3][:40]], "line 4: it is no JSON"),
    "the end is missing": (lambda lines: lines[:-1], "line 9: the export ends too early"),
    "lines are missing": (lambda lines: [*lines[:6], lines[-1]], "line 7: the export holds 5 commands and 4"),
    "a line is missing": (
        lambda lines: resealed([*lines[:3], *lines[4:]]),
        "line 4: its 0 events end at position 3, and what stands before at 2",
    ),
    "a refusal is missing": (
        lambda lines: resealed([*lines[:4], *lines[5:]]),
        "line 8: the export holds 6 commands",
    ),
    "the head is missing": (lambda lines: resealed(lines[1:]), "line 1: the head of the export is missing"),
    "only an end": (lambda lines: [lines[-1]], "line 1: the head of the export is missing"),
    "two heads": (
        lambda lines: resealed([lines[0], *lines]),
        "line 2: the head of an export stands there a second",
    ),
    "more behind the end": (lambda lines: [*lines, lines[1]], "line 10: nothing may follow"),
    "another format": (edited(1, "tusk-events", "events"), "line 1: it is the head of another format"),
    "a later version": (edited(1, '"version":1', '"version":2'), "line 1: it is version 2 of the format"),
    "no object": (lambda lines: resealed([lines[0], "[]", *lines[1:]]), "line 2: it is no JSON object"),
    "an empty line": (lambda lines: resealed([lines[0], "", *lines[1:]]), "line 2: it is no JSON"),
    "blanks": (edited(2, '"events":[', '"events": ['), "line 2: it was changed"),
    "one more field": (edited(2, '"events":[', '"more":1,"events":['), "line 2: it was changed"),
    "no field": (edited(2, '"aggregate_id":"a",', ""), "line 2: it has no `aggregate_id`"),
    "a position": (
        edited(3, '"position":2', '"position":3'),
        "line 3: its 1 events end at position 3, and what stands before at 1",
    ),
    "a text": (edited(3, '"position":2', '"position":"2"'), "line 3: its `position` is no number"),
    "a version": (
        edited(2, '"version":1,"pos', '"version":0,"pos'),
        "line 2: it has 1 events, and leaves version 0",
    ),
    "out of order": (moved_line(5, 2), "line 2: its 0 events end at position 3"),
    "among those at a position": (moved_line(5, 4), "line 4: its 0 events end at position 3"),
    "a digit of an amount": (
        lambda lines: [line.replace('"10.00"', '"99.00"') for line in lines],
        "line 9: what stands before is not what was exported",
    ),
    "another event": (
        edited(4, '"Deposited"', '"Deposted"'),
        "line 4: the file declares no event `Deposted`",
    ),
    "another aggregate": (
        edited(2, '"Account"', '"Acount"'),
        "line 2: the file declares no aggregate `Acount`",
    ),
    "a count": (
        lambda lines: resealed(lines, commands=8),
        "line 9: the export holds 7 commands and 5 events",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_input_is_refused_before_anything_is_written(
    name: str, exported: list[str], empty: Stored
) -> None:
    edit, told = BROKEN[name]
    text = "".join(f"{line}\n" for line in edit(exported))
    done = empty.invoke("events", "import", "FILE", input=text.encode())
    assert done.exit_code == 1, done.output
    assert f"standard input, {told}" in done.stderr, done.stderr
    assert "nothing was written" in done.stderr
    assert not (empty.file.parent / ".tusk").exists()


def test_a_file_that_is_cut_off(exported: list[str], empty: Stored, tmp_path: Path) -> None:
    """At every byte of the last lines, and at some of all others."""
    whole = "".join(f"{line}\n" for line in exported).encode()
    path = tmp_path / "cut.jsonl"
    for length in [*range(0, len(whole), 97), *range(len(whole) - 200, len(whole))]:
        path.write_bytes(whole[:length])
        done = empty.invoke("events", "import", "FILE", path)
        assert done.exit_code == 1, length
        assert f"{path}, line " in done.stderr
    assert not (empty.file.parent / ".tusk").exists()
    path.write_bytes(whole)
    assert empty.invoke("events", "import", "FILE", path).exit_code == 0


def test_undeclared_names_are_taken_when_asked_for(exported: list[str], empty: Stored) -> None:
    lines = edited(4, '"Deposited"', '"Deposted"')(exported)
    text = "".join(f"{line}\n" for line in lines).encode()
    refused = empty.invoke("events", "import", "FILE", input=text)
    assert "did you mean `Deposited`?" in refused.stderr
    assert "--undeclared" in refused.stderr
    assert empty.invoke("events", "import", "FILE", "--undeclared", input=text).exit_code == 0


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (edited(4, '"version":2', '"version":3'), "line 4: the store does not take the command"),
        (None, "line 7: the store does not take the command"),
    ],
    ids=["a version", "an id again"],
)
def test_what_only_the_store_can_know(edit: Any, told: str, exported: list[str], empty: Stored) -> None:
    """A hole in the versions of an aggregate, an id that is there twice: in a file that was made so."""
    if edit is None:
        first, again = (json.loads(exported[n])["command_id"] for n in (1, 6))
        edit = edited(7, again, first)
    text = "".join(f"{line}\n" for line in edit(exported)).encode()
    done = empty.invoke("events", "import", "FILE", input=text)
    assert done.exit_code == 1
    assert told in done.stderr, done.stderr
    assert "begin again with an empty store" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
async def test_only_into_an_empty_store(kind: str, bank: Stored, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    assert (await moved(bank, "export", "FILE", "--output", path)).exit_code == 0
    other = await application_on(kind, tmp_path / "other")
    await other.run(("Open", {"aggregate_id": "mine", "owner": "me"}))
    done = await moved(other, "import", "FILE", path)
    assert done.exit_code == 1
    assert "an import needs an empty store" in done.stderr
    assert len((await moved(other, "ls", "FILE")).stdout.splitlines()) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_was_interrupted_goes_on(
    kind: str, bank: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stopped: also between commands without events at the same position."""
    path = tmp_path / "all.jsonl"
    assert (await moved(bank, "export", "FILE", "--output", path)).exit_code == 0
    monkeypatch.setattr(importing, "COMMANDS", 1)
    other = await application_on(kind, tmp_path / "other")
    store = other.opened()
    await store.open()
    events = store.events
    for stop in range(8):

        class Interrupted:
            """A store that goes away before a command."""

            left = 1

            def __getattr__(self, name: str) -> Any:
                return getattr(events, name)

            async def append(self, batch: Any) -> Any:
                if not self.left:
                    raise StoreUnavailable("gone")
                self.left -= 1
                return await events.append(batch)

        with path.open("rb") as source:
            if stop < 6:
                with pytest.raises(StoreUnavailable, match="it goes on where it stopped"):
                    await importing.load(source, Interrupted())  # type: ignore[arg-type]
            else:
                assert await importing.load(source, Interrupted()) == stop  # type: ignore[arg-type]
    await store.close()
    assert (await moved(other, "import", "FILE", path)).stderr.endswith("; 7 commands were there already\n")
    again = tmp_path / "again.jsonl"
    await moved(other, "export", "FILE", "--output", again)
    assert again.read_bytes() == path.read_bytes()
    # Once it lives, it is a store of its own.
    await other.run(("Open", {"aggregate_id": "mine", "owner": "me"}))


async def test_a_store_that_went_on_is_not_taken_for_an_interrupted_import(
    bank: Stored, empty: Stored, tmp_path: Path
) -> None:
    path = tmp_path / "all.jsonl"
    assert (await moved(bank, "export", "FILE", "--output", path)).exit_code == 0
    assert (await moved(empty, "import", "FILE", path)).exit_code == 0
    store = empty.opened()
    await store.open()
    await store.events.append(
        [Decision(b"n" * 16, 1, "Account", "n", 0, 1, b"{}", [NewEvent("Opened", b"{}")])]
    )
    await store.close()
    done = await moved(empty, "import", "FILE", path)
    assert (done.exit_code, "an import needs an empty store" in done.stderr) == (1, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_snapshot_while_others_append(kind: str, tmp_path: Path) -> None:
    """It ends at the head of its beginning, and no command is missing or divided."""
    application = await application_on(kind, tmp_path / "busy")
    store, reading = application.opened(), application.opened()
    await store.open()
    written, stop = 0, False

    async def write() -> None:
        nonlocal written
        while not stop:
            ids = [written.to_bytes(8, "big") + bytes([n]) * 8 for n in range(20)]
            await store.events.append(
                [
                    Decision(
                        id_,
                        1,
                        "Account",
                        f"{written}-{n}",
                        0,
                        1,
                        b"{}",
                        [NewEvent("Opened", b"{}")] * (n % 3),
                    )
                    for n, id_ in enumerate(ids)
                ]
            )
            written += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(write())
    while written < 60:
        await asyncio.sleep(0.01)
    await reading.open(read_only=True)
    before = await reading.events.head()
    lines = [json.loads(line.text) async for line in export(reading.events)]
    after = await reading.events.head()
    stop = True
    await task
    head = lines[0]["head"]
    assert before <= head < after
    assert lines[-1]["end"]["events"] == lines[-2]["position"] == head
    position = 0
    for line in lines[1:-1]:
        position += len(line["events"])
        assert line["position"] == position
    await reading.close()
    await store.close()


def test_it_is_not_for_a_store_in_memory(bank: Stored, exported: list[str]) -> None:
    bank.file.write_text('[event_store]\nbackend: "in_memory"\n' + bank.file.read_text())
    for verb in ("export", "import"):
        done = bank.invoke("events", verb, "FILE", input="x")
        assert done.exit_code == 1
        assert "a store in memory ends with its process" in done.stderr


@pytest.mark.parametrize(
    ("table", "where", "position"),
    [
        ("events", "position = 4", 4),
        ("commands", "position = 5", 5),
        ("commands", "position = 3 AND count = 1", 3),
    ],
)
def test_a_store_that_is_damaged_is_not_exported(
    bank: Stored, tmp_path: Path, table: str, where: str, position: int
) -> None:
    """An end that says all is well would be a lie."""
    database = sqlite3.connect(bank.file.parent / ".tusk" / "bank.db")
    database.execute(f"DROP TRIGGER tusk_{table}_no_delete")
    database.execute(f"DELETE FROM tusk_{table} WHERE {where}")
    database.commit()
    database.close()
    path = tmp_path / "all.jsonl"
    done = bank.invoke("events", "export", "FILE", "--output", path)
    assert done.exit_code == 1
    assert f"at position {position}" in done.stderr
    assert "tusk store verify" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["bank"]
