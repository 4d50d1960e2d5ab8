"""Each way of backup in docs/backup.md, as it stands there: under load, restored, verified, and gone on with."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
import pytest
from postgres_server import binaries_of
from stored import Stored, application_on
from support import Lost, Server, until

PAGE = Path(__file__).parents[2] / "docs" / "backup.md"
WRITERS = 8


class Load:
    """Writers that open accounts, and what they were answered, by the key of the command."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = False
        self.answers: dict[str, Any] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._write(number)) for number in range(WRITERS)]
        yield
        self._stop = True
        await asyncio.gather(*tasks)

    async def _write(self, writer: int) -> None:
        connection = self._server.connection()
        for number in itertools.count():
            if self._stop:
                return
            key = f"w{writer}-{number}"
            with contextlib.suppress(Lost):
                self.answers[key] = await opened(connection, key)


async def opened(connection: Any, key: str) -> Any:
    """The answer to a command under a key."""
    body = orjson.dumps({"aggregate_id": key, "owner": "ann"})
    status, answer = await connection.request("POST", "/api/commands/Open", body, {"Idempotency-Key": key})
    assert status == 200, answer
    return orjson.loads(answer)


def run(
    beginning: str, folder: Path, names: dict[str, str], programs: Path | None = None, **env: str
) -> None:
    """Run the command of the page that begins so, in a folder, with other names in it."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(beginning)]
    (command,) = {line.partition("  #")[0].rstrip() for line in lines}
    for name, other in names.items():
        assert name in command, (name, command)
        command = command.replace(name, other)
    path = os.pathsep.join(map(str, (programs or Path(sys.executable).parent, os.environ["PATH"])))
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env={**os.environ, "PATH": path, **env},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stderr)


Restored = Callable[[], Awaitable[Stored]]
"""Makes an application on what was kept."""


async def copied(application: Stored, folder: Path, beginning: str) -> Restored:
    """A copy of the file of a SQLite database."""
    await asyncio.to_thread(run, beginning, application.file.parent, {"shop.db": "bank.db"})

    async def restore() -> Stored:
        other = await application_on("sqlite", folder / "restored")
        (folder / "restored" / ".tusk").mkdir()
        shutil.copy(application.file.parent / "copy.db", folder / "restored" / ".tusk" / "bank.db")
        return other

    return restore


async def dumped(application: Stored, folder: Path, kind: str) -> Restored:
    """A dump of a PostgreSQL schema, restored into another database."""
    programs = binaries_of(kind.partition("-")[2])
    if programs is None:
        pytest.skip("the programs of this server are not here")
    url, _, schema = application.environment["DATABASE_URL"].partition("?search_path=")
    where = {"folder": folder, "programs": programs}
    await asyncio.to_thread(run, "pg_dump", names={"=shop ": f"={schema} "}, DATABASE_URL=url, **where)

    async def restore() -> Stored:
        connection = await asyncpg.connect(url)
        await connection.execute(f"CREATE DATABASE restored_{schema}")
        await connection.close()
        new = f"{url.removesuffix(urlsplit(url).path)}/restored_{schema}"
        await asyncio.to_thread(run, "pg_restore", names={}, NEW_DATABASE_URL=new, **where)
        environment = {**application.environment, "DATABASE_URL": f"{new}?search_path={schema}"}
        (folder / "restored").mkdir()
        shutil.copy(application.file, folder / "restored" / "bank.tsk")
        return Stored(folder / "restored" / "bank.tsk", environment)

    return restore


async def exported(application: Stored, folder: Path, kind: str) -> Restored:
    """Everything as lines of JSON."""
    path = folder / "all.jsonl"
    done = await asyncio.to_thread(application.tusk, "events", "export", "FILE", "--output", path)
    assert done.returncode == 0, done.stderr

    async def restore() -> Stored:
        other = await application_on(kind, folder / "restored")
        done = await asyncio.to_thread(other.tusk, "events", "import", "FILE", path)
        assert done.returncode == 0, done.stderr
        return other

    return restore


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("sqlite", "python -c"),
        ("sqlite", "sqlite3 -readonly"),
        ("sqlite", "export"),
        ("postgresql-18", "pg_dump"),
        ("postgresql-15", "pg_dump"),
        ("postgresql-15", "export"),
    ],
)
async def test_a_backup_under_load(serve: Any, tmp_path: Path, kind: str, way: str) -> None:
    """What was answered before it began is in it, and the application goes on from there."""
    if way.startswith("sqlite3") and not shutil.which("sqlite3"):
        pytest.skip("there is no sqlite3")
    application = await application_on(kind, tmp_path / "first")
    server = serve(application.file, "--no-watch", environment=application.environment)
    await server.start()
    load = Load(server)
    async with load.running():
        await until(lambda: len(load.answers) > 300, "there is something to keep")
        before = dict(load.answers)
        if way == "pg_dump":
            restore = await dumped(application, tmp_path, kind)
        elif way == "export":
            restore = await exported(application, tmp_path, kind)
        else:
            restore = await copied(application, tmp_path, way)
        assert len(load.answers) > len(before), "they went on meanwhile"
    server.kill()

    restored = await restore()
    verified = await asyncio.to_thread(restored.tusk, "store", "verify", "FILE")
    assert verified.returncode == 0, verified.stdout
    again = serve(restored.file, "--no-watch", environment=restored.environment)
    await again.start()
    connection = again.connection()
    head = (await connection.json("/api/status"))["head"]
    assert len(before) <= head
    for key, answer in before.items():
        assert await opened(connection, key) == answer, "the ledger knows it"
    assert (await connection.json("/api/status"))["head"] == head
    new = await opened(connection, "new")
    assert new["position"] == head + 1
    rows = await connection.json("/api/queries/accounts?limit=1", {"X-Wait-For-Position": str(head + 1)})
    assert rows["total"] == head + 1, "the read models hold what the log holds"
