"""`tusk store verify`, as its user sees it."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from pathlib import Path

from command_line import tusk

from tusk_runtime.store.sqlite import SqliteStore

APP = """
[events]
Opened: {}
[aggregates.Account]
id: "string"
on: { Opened: {} }
[commands]
Open: { aggregate: "Account", creates: true, emit: "Opened" }
"""


def filled(folder: Path) -> Path:
    """An application with three events in its store."""
    from tests.conformance.test_event_store import decision

    file = folder / "bank.tsk"
    file.write_text(APP)

    async def fill() -> None:
        store = SqliteStore(folder / ".tusk" / "bank.db")
        await store.open()
        await store.events.append([decision(str(n), 0, "Opened", aggregate_type="Account") for n in range(3)])
        await store.close()

    asyncio.run(fill())
    return file


def test_a_store_that_is_whole(tmp_path: Path) -> None:
    file = filled(tmp_path)
    done = tusk("store", "verify", file)
    assert (done.returncode, done.stderr) == (0, "")
    told, digest = done.stdout.splitlines()
    assert told.endswith("bank.db: 3 events of 3 aggregates, 3 commands: good")
    assert re.fullmatch("sha256 of all events: [0-9a-f]{64}", digest)


def test_a_store_that_is_not(tmp_path: Path) -> None:
    """Somebody took out the guards and an event."""
    file = filled(tmp_path)
    database = sqlite3.connect(tmp_path / ".tusk" / "bank.db")
    database.execute("DROP TRIGGER tusk_events_no_delete")
    database.execute("DELETE FROM tusk_events WHERE position = 2")
    database.commit()
    database.close()
    done = tusk("store", "verify", file, "--format", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["problems"] == ["position 3 follows 1"]


def test_events_that_the_file_cannot_read(tmp_path: Path) -> None:
    """The store is whole, and the file does not say how its first version is read."""
    file = filled(tmp_path)
    file.write_text(APP.replace("Opened: {}", "Opened: { version: 3, upcast: { 2: {} } }", 1))
    done = tusk("store", "verify", file)
    assert done.returncode == 1
    assert (
        "bank.tsk:3:1: the store holds 3 `Opened`, from position 1 on: version 1, and nothing leads"
        in done.stdout
    )
    assert "`1: {}` if older events fit as they are\n" in done.stdout
    assert "commands: 1 problems" in done.stdout


def test_without_a_store(tmp_path: Path) -> None:
    """None is made by looking."""
    file = tmp_path / "bank.tsk"
    file.write_text(APP)
    done = tusk("store", "verify", file)
    assert done.returncode == 1
    assert "there is no database" in done.stderr
    assert "start the application once" in done.stderr
    assert not (tmp_path / ".tusk").exists()


def test_a_file_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "bank.tsk"
    file.write_text("[events\n")
    assert tusk("store", "verify", file).returncode == 78
