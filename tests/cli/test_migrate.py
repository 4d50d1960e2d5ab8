"""`tusk migrate`, as its user sees it: an application of an older version goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest
from apps import ACCOUNT
from command_line import tusk

from tests.postgres_server import schema_for
from tests.store.old_stores import make_postgresql, make_sqlite

ON_POSTGRESQL = """
[event_store]
backend: "postgresql"
[store_config]
postgresql: { connection_string: "@env('DATABASE_URL')" }
"""


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    file = tmp_path / "bank.tsk"
    file.write_text(ACCOUNT)
    make_sqlite(tmp_path / ".tusk" / "bank.db")
    return file


async def _takes_a_command(server: Any) -> None:
    await server.start()
    async with server.client() as api:
        done = await api.post("/api/commands/Withdraw", json={"aggregate_id": "anna", "amount": "15.00"})
        assert (done.status_code, done.json()["version"]) == (200, 4), done.text
    await server.stop()


async def test_an_application_goes_on(bank: Path, serve: Any) -> None:
    refused = tusk("store", "verify", bank)
    assert refused.returncode == 1
    assert "help: bring it there: tusk migrate FILE" in refused.stderr
    shown = tusk("migrate", bank, "--sql")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("BEGIN IMMEDIATE;\n\nCREATE TABLE tusk_snapshots (")
    assert shown.stdout.endswith(";\n\nCOMMIT;\n")
    done = tusk("migrate", bank)
    assert (done.returncode, done.stderr) == (0, "")
    assert "bank.db: brought from schema 1 to the present one\nwhat was before: " in done.stdout
    assert tusk("migrate", bank).stdout.endswith("bank.db: schema 4, nothing to do\n")
    assert tusk("migrate", bank, "--sql").stdout == ""
    assert "4 events of 2 aggregates, 3 commands: good\n" in tusk("store", "verify", bank).stdout
    await _takes_a_command(serve(bank, "--no-watch"))


def test_one_of_the_second_version(bank: Path) -> None:
    """Only what came since is made."""
    database = bank.with_name(".tusk") / "bank.db"
    database.unlink()
    make_sqlite(database, 2)
    shown = tusk("migrate", bank, "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("BEGIN IMMEDIATE;\n\nCREATE TABLE tusk_consumers (")
    assert "tusk_snapshots" not in shown.stdout
    assert "bank.db: brought from schema 2 to the present one\n" in tusk("migrate", bank).stdout
    assert "4 events of 2 aggregates, 3 commands: good\n" in tusk("store", "verify", bank).stdout


def test_one_of_the_third_version(bank: Path) -> None:
    """How far a consumer had come, and what it could not handle, is still there."""
    database = bank.with_name(".tusk") / "bank.db"
    database.unlink()
    make_sqlite(database, 3)
    assert "tusk_snapshots" not in tusk("migrate", bank, "--dry-run").stdout
    assert "bank.db: brought from schema 3 to the present one\n" in tusk("migrate", bank).stdout
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("SELECT source, position FROM tusk_consumers ORDER BY name").fetchall() == [
        ("", 4), ("", 3),
    ]  # fmt: skip
    assert connection.execute("SELECT position, message FROM tusk_letters").fetchall() == [(2, b""), (3, b"")]
    connection.close()


async def test_on_postgresql(bank: Path, serve: Any, tmp_path: Path) -> None:
    """The role that may change the tables is named by a variable, or by its address."""
    bank.write_text(ACCOUNT + ON_POSTGRESQL)
    url = await schema_for("18", tmp_path)
    connection = await asyncpg.connect(url)
    await make_postgresql(connection)
    await connection.close()
    wrong = url.replace("postgres@", "nobody:hunter2@")
    refused = tusk("migrate", bank, DATABASE_URL=wrong)
    assert refused.returncode == 1
    assert "hunter2" not in refused.stderr + refused.stdout
    unset = tusk("migrate", bank, "--connection-string", "OWNER_URL", DATABASE_URL=wrong)
    assert unset.returncode == 2
    assert "no environment variable is called 'OWNER_URL'" in unset.stderr
    shown = tusk("migrate", bank, "--dry-run", "--connection-string", url, DATABASE_URL=wrong)
    assert shown.stdout.startswith("BEGIN;\n\nSET LOCAL search_path TO t_")
    done = tusk("migrate", bank, "--connection-string", "OWNER_URL", DATABASE_URL=wrong, OWNER_URL=url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "brought from schema 1" in done.stdout
    await _takes_a_command(serve(bank, "--no-watch", environment={"DATABASE_URL": url}))


def test_an_address_for_a_file(bank: Path) -> None:
    done = tusk("migrate", bank, "--connection-string", "postgresql://x@y/z")
    assert done.returncode == 2
    assert "--connection-string is for PostgreSQL" in done.stderr


def test_in_memory_there_is_nothing_to_do(bank: Path) -> None:
    bank.write_text(ACCOUNT + '\n[event_store]\nbackend: "in_memory"\n')
    assert tusk("migrate", bank).stdout == "memory: schema 4, nothing to do\n"


def test_a_file_that_is_wrong(bank: Path) -> None:
    bank.write_text("[events\n")
    assert tusk("migrate", bank).returncode == 78
