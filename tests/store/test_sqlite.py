"""What only the store in a SQLite file has to get right: the file, the disk, the process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tusk_runtime.errors import Conflict, OutcomeUnknown, StartFailed, StoreError, StoreUnavailable
from tusk_runtime.events import new_id
from tusk_runtime.store.protocol import Checkpoint, Column, Decision, NewEvent, StreamId, TableSpec
from tusk_runtime.store.sqlite import SqliteStore, appending, files

TABLE = TableSpec("t", [Column("id", "integer"), Column("v", "string")], ["id"])


def decision(
    aggregate_id: str = "a", expected: int = 0, size: int = 2, command_id: bytes | None = None
) -> Decision:
    data = b'"' + b"x" * (size - 2) + b'"'
    return Decision(
        command_id or new_id(), 1, "Order", aggregate_id, expected, 1_000, b"{}", [NewEvent("Placed", data)]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path)
    await made.open()
    yield made
    await made.close()


async def on_writer(store: SqliteStore, work: Callable[[apsw.Connection], Any]) -> Any:
    """Do something on the connection that writes."""
    return await store._writer.run(work)


async def refused(path: Path) -> StartFailed:
    store = SqliteStore(path)
    with pytest.raises(StartFailed) as caught:
        await store.open()
    return caught.value


class TestImmutability:
    @pytest.mark.parametrize("table", ["tusk_events", "tusk_commands"])
    @pytest.mark.parametrize("sql", ["UPDATE {} SET position = position + 1", "DELETE FROM {}"])
    async def test_the_database_refuses_to_change_history(
        self, store: SqliteStore, table: str, sql: str
    ) -> None:
        await store.events.append([decision()])
        with pytest.raises(StoreError, match="immutable"):
            await on_writer(store, lambda connection: connection.execute(sql.format(table)))
        assert len(await store.events.read()) == 1


class TestOpening:
    async def test_missing_folders_are_made(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "a" / "b" / "store.db")
        await store.open()
        await store.close()
        assert (tmp_path / "a" / "b" / "store.db").exists()

    async def test_a_folder(self, tmp_path: Path) -> None:
        assert "folder" in (await refused(tmp_path)).message

    async def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert (await refused(tmp_path / "file" / "store.db")).help

    async def test_a_file_that_is_no_database(self, path: Path) -> None:
        path.write_text("hello " * 1000)
        assert "not a database" in (await refused(path)).message
        assert path.read_text() == "hello " * 1000

    async def test_the_database_of_another_program(self, path: Path) -> None:
        with apsw.Connection(str(path)) as other:
            other.execute("CREATE TABLE customers (id INTEGER)")
        other.close()
        before = path.read_bytes()
        assert "another program" in (await refused(path)).message
        assert path.read_bytes() == before

    async def test_a_newer_schema(self, path: Path) -> None:
        store = SqliteStore(path)
        await store.open()
        await on_writer(store, lambda c: c.execute("UPDATE tusk_meta SET value = 99 WHERE key = 'schema'"))
        await store.close()
        assert "newer" in (await refused(path)).message

    @pytest.mark.parametrize("what", ["store.db", ""])
    async def test_what_cannot_be_written(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, what: str
    ) -> None:
        store = SqliteStore(path)
        await store.open()
        await store.close()
        unwritable = (path.parent / what).resolve()
        real = os.access
        monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != unwritable and real(place, mode))
        failure = await refused(path)
        assert str(unwritable) in failure.message
        assert "chmod" in failure.help

    async def test_a_second_process_is_refused(self, store: SqliteStore, path: Path) -> None:
        failure = await refused(path)
        assert f"already open in process {os.getpid()}" in failure.message
        assert f"`{path}`" in failure.message
        # The one that has it is not disturbed, and when it is gone the next may come.
        await store.events.append([decision()])
        await store.close()
        other = SqliteStore(path)
        await other.open()
        assert await other.events.head() == 1
        await other.close()

    async def test_another_name_for_the_same_file(self, store: SqliteStore, path: Path) -> None:
        link = path.with_name("link.db")
        link.symlink_to(path)
        assert "already open" in (await refused(link)).message

    async def test_a_failed_start_lets_go(self, path: Path) -> None:
        path.write_text("hello " * 1000)
        await refused(path)
        path.unlink()
        store = SqliteStore(path)
        await store.open()
        await store.close()
        assert not [each for each in threading.enumerate() if each.name.startswith("tusk-store")]

    async def test_closing_folds_the_log_into_the_file(self, store: SqliteStore, path: Path) -> None:
        await store.events.append([decision()])
        await store.close()
        assert {each.name for each in path.parent.iterdir()} == {"store.db", "store.db.lock"}

    async def test_its_description_is_what_was_asked_for(self) -> None:
        assert SqliteStore(".tusk/shop.db").description == "sqlite .tusk/shop.db"


class TestReadingOnly:
    async def refused(self, path: Path) -> str:
        with pytest.raises(StartFailed) as caught:
            await SqliteStore(path).open(read_only=True)
        return str(caught.value)

    async def test_what_is_no_store(self, path: Path) -> None:
        assert "there is no database" in await self.refused(path)
        assert not path.exists()
        path.touch()
        assert "is empty" in await self.refused(path)
        path.write_bytes(b"no database" * 500)
        assert "not a database" in await self.refused(path)
        path.unlink()
        apsw.Connection(str(path)).execute("CREATE TABLE notes (text)")
        assert "another program" in await self.refused(path)
        assert "is a folder" in await self.refused(path.parent)

    async def test_a_newer_schema(self, store: SqliteStore, path: Path) -> None:
        await on_writer(
            store, lambda each: each.execute("UPDATE tusk_meta SET value = '99' WHERE key = 'schema'")
        )
        assert "upgrade tusk-runtime" in await self.refused(path)

    async def test_where_nothing_can_be_written(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A backup on a disk for reading only: no file is made beside it."""
        store = SqliteStore(path)
        await store.open()
        await store.events.append([decision()])
        await store.close()
        path.with_name(path.name + ".lock").unlink()
        monkeypatch.setattr(files.os, "access", lambda place, mode: False)
        reading = SqliteStore(path)
        await reading.open(read_only=True)
        assert len(await reading.events.read()) == 1
        assert list(path.parent.iterdir()) == [path]
        await reading.close()


class TestMemoryOfTheWriter:
    async def test_only_so_many_streams_are_remembered(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(appending, "KNOWN_STREAMS", 2)
        for version in range(3):
            await store.events.append([decision(str(number), version) for number in range(5)])
            await store.events.append([decision("often", version)])
        assert list(store._writer._appender._streams) == [("Order", "4"), ("Order", "often")]
        with pytest.raises(Conflict):
            await store.events.append([decision("0", 2)])
        assert await store.events.head() == 18

    async def test_somebody_wrote_behind_its_back(self, store: SqliteStore, path: Path) -> None:
        await store.events.append([decision("a", 0)])
        intruder = apsw.Connection(str(path))
        intruder.execute(
            "INSERT INTO tusk_events SELECT position + 1, stream, version + 1, type, timestamp, "
            "zeroblob(16), NULL, 0, metadata, data FROM tusk_events"
        )
        intruder.close()
        with pytest.raises(Conflict):
            await store.events.append([decision("a", 1)])
        with pytest.raises(Conflict):
            await store.events.append([decision("a", 1)])
        [recorded] = await store.events.append([decision("a", 2)])
        assert (recorded.version, recorded.position) == (3, 3)

    async def test_a_failed_batch_leaves_no_names(self, store: SqliteStore) -> None:
        used = decision("a", 0)
        await store.events.append([used])
        with pytest.raises(Conflict):
            await store.events.append(
                [Decision(used.command_id, 1, "New", "n", 0, 1, b"{}", [NewEvent("Born", b"{}")])]
            )
        await store.events.append([Decision(new_id(), 1, "New", "n", 0, 1, b"{}", [NewEvent("Born", b"{}")])])
        [event] = await store.events.read_stream(StreamId("New", "n"))
        assert (event.type, event.aggregate_type) == ("Born", "New")


class TestFullDisk:
    async def test_it_works_again_once_there_is_room(self, store: SqliteStore) -> None:
        await store.events.append([decision("a", 0)])
        await store.read_models.create(TABLE, Checkpoint("t", "h", 0))
        pages = await on_writer(store, lambda c: c.pragma("page_count"))
        await on_writer(store, lambda c: c.pragma("max_page_count", pages + 4))

        big = decision("a", 1, size=100_000)
        with pytest.raises(StoreUnavailable, match="full"):
            await store.events.append([decision("b", 0), big])
        with pytest.raises(StoreUnavailable, match="full"):
            await store.read_models.write(TABLE, [(1, "x" * 100_000)], [], expected=0, position=1)

        assert await store.events.head() == 1
        assert len(await store.events.read()) == 1
        assert await store.events.recorded([big.command_id]) == {}
        # What still fits is written, and the rest when there is room.
        await store.events.append([decision("c", 0)])
        await on_writer(store, lambda c: c.pragma("max_page_count", 1_000_000))
        await store.events.append([decision("b", 0), big])
        await store.read_models.write(TABLE, [(1, "x")], [], expected=0, position=1)
        assert [event.position for event in await store.events.read()] == [1, 2, 3, 4]

    async def test_at_the_commit(self, failing_disk: FailingDisk, path: Path) -> None:
        store = SqliteStore(path)
        await store.open()
        await store.events.append([decision("a", 0)])
        wanted = decision("a", 1)
        failing_disk.write = apsw.FullError("no space")
        with pytest.raises(StoreUnavailable, match="full"):
            await store.events.append([wanted])
        failing_disk.write = None
        assert await store.events.recorded([wanted.command_id]) == {}
        await store.events.append([wanted])
        assert await store.events.head() == 2
        await store.close()

    async def test_a_failed_fsync_leaves_the_outcome_open(
        self, failing_disk: FailingDisk, path: Path
    ) -> None:
        store = SqliteStore(path)
        await store.open()
        await store.events.append([decision("a", 0)])
        wanted = decision("a", 1)
        failing_disk.sync = apsw.IOError("the disk is on fire")
        with pytest.raises(OutcomeUnknown):
            await store.events.append([wanted])
        # Nothing is built on a log that may not be there.
        with pytest.raises(StoreUnavailable):
            await store.events.append([decision("b", 0)])
        failing_disk.sync = None
        assert await store.events.recorded([wanted.command_id]) == {}
        await store.events.append([wanted])
        assert [event.version for event in await store.events.read(aggregate_id="a")] == [1, 2]
        await store.close()

    async def test_the_progress_of_a_consumer_is_on_the_disk_or_its_outcome_is_open(
        self, failing_disk: FailingDisk, path: Path
    ) -> None:
        store = SqliteStore(path)
        await store.open()
        await store.deliveries.claim("mail", b"a", 60, begin=0)
        await store.read_models.create(TABLE, Checkpoint("t", "h", 0))  # does not wait for the disk
        failing_disk.sync = apsw.IOError("the disk is on fire")
        with pytest.raises(OutcomeUnknown):
            await store.deliveries.save("mail", 1, 5)
        with pytest.raises(StoreUnavailable):
            await store.events.append([decision("a", 0)])
        failing_disk.sync = None
        assert await store.deliveries.progress() == {"mail": 0}
        await store.deliveries.save("mail", 1, 5)
        await store.events.append([decision("a", 0)])
        assert await store.deliveries.progress() == {"mail": 5}
        await store.close()


class FailingDisk(apsw.VFS):
    """A file system that fails when told to."""

    def __init__(self) -> None:
        self.write: Exception | None = None
        self.sync: Exception | None = None
        self.base = apsw.vfs_names()[0]
        super().__init__("failing", self.base, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return FailingFile(self, name, flags)


class FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(disk.base, name, flags)

    def excepthook(self, *error: Any) -> bool:
        return True

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        if self._disk.write is not None:
            raise self._disk.write
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        if self._disk.sync is not None:
            raise self._disk.sync
        super().xSync(flags)


@pytest.fixture
def failing_disk() -> Iterator[FailingDisk]:
    disk = FailingDisk()
    yield disk
    disk.unregister()
    apsw.set_default_vfs(disk.base)


CRASHING = """
import asyncio, sys
from tests.store.test_sqlite import decision
from tusk_runtime.store.sqlite import SqliteStore
from tusk_runtime.store.protocol import StreamId

async def write(store, writer):
    stream = StreamId("Order", str(writer))
    version = len((await store.events.read_streams([stream]))[stream])
    while True:
        wanted = decision(str(writer), version, size=300)
        [recorded] = await store.events.append([wanted])
        version = recorded.version
        print(wanted.command_id.hex(), recorded.position, flush=True)

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    await asyncio.gather(*(write(store, writer) for writer in range(8)))

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_that_it_acknowledged(path: Path) -> None:
    root = Path(__file__).parents[2]
    acknowledged: dict[bytes, int] = {}
    chance = random.Random(7)
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CRASHING, str(path)], stdout=subprocess.PIPE, text=True, cwd=root
        )
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        killer = threading.Timer(0.05 + chance.random() / 5, child.send_signal, (signal.SIGKILL,))
        killer.start()
        lines += child.stdout.readlines()
        child.wait()
        killer.cancel()
        child.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                command_id, position = line.split()
                acknowledged[bytes.fromhex(command_id)] = int(position)

        store = SqliteStore(path)
        await store.open()
        events = await store.events.read(limit=1_000_000)
        assert [event.position for event in events] == list(range(1, len(events) + 1))
        stored = {event.command_id: event.position for event in events}
        assert acknowledged.items() <= stored.items()
        assert len(await store.events.recorded(list(stored))) == len(stored)
        versions: dict[str, int] = {}
        for event in events:
            assert event.version == versions.get(event.aggregate_id, 0) + 1
            versions[event.aggregate_id] = event.version
        await store.close()
    assert len(acknowledged) > 100


async def test_a_busy_loop_does_not_starve_the_threads(store: SqliteStore) -> None:
    """Rows fetched one by one would cost a switch interval each."""

    async def busy(finished: asyncio.Event) -> None:
        while not finished.is_set():
            sum(range(20_000))
            await asyncio.sleep(0)

    async def work(finished: asyncio.Event) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(3):
            await store.events.append([decision(f"{number}-{each}") for each in range(1000)])
        rows = await store.events.scan(0, 5000, types=["Placed"], fields=("aggregate_id", "data"))
        assert len(rows) == 3000
        finished.set()
        return loop.time() - began

    finished = asyncio.Event()
    seconds, _ = await asyncio.gather(work(finished), busy(finished))
    assert seconds < 5, seconds


async def test_a_slow_query_does_not_hold_up_commands(store: SqliteStore) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    slow = [asyncio.create_task(store.read_models.select(endless, (), timeout=0.6)) for _ in range(4)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.4):
        await store.events.append([decision()])
        await store.events.read_stream(StreamId("Order", "a"))
        await store.events.read()
    await asyncio.gather(*slow, return_exceptions=True)


def test_the_schema_has_the_version_that_files_declare() -> None:
    # Whoever changes the tables has to raise the version, and to bring old databases along.
    from tusk_runtime.store.tables import creation

    statements = "".join(creation())
    assert files.SCHEMA_VERSION == 4
    assert statements.count("CREATE TABLE") == 12
    assert "\tposition INTEGER NOT NULL, \n\tstream INTEGER NOT NULL" in statements


class TestWhereItIsWritten:
    """A small batch goes the short way, on the loop, where the disk is quick and the thread has nothing to do."""

    @pytest.fixture
    def threads(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The names of the threads that append, one for each batch."""
        names: list[str] = []
        append = store._writer._appender.append

        def noted(connection: apsw.Connection, *arguments: Any) -> Any:
            names.append(threading.current_thread().name)
            return append(connection, *arguments)

        monkeypatch.setattr(store._writer._appender, "append", noted)
        return names

    async def test_quick_and_small(self, store: SqliteStore, threads: list[str]) -> None:
        store._writer._appender.seconds = 0.0
        await store.events.append([decision("a", 0)])
        assert threads == ["MainThread"]
        assert len(await store.events.read()) == 1

    async def test_a_large_batch(self, store: SqliteStore, threads: list[str]) -> None:
        await store.events.append([decision(str(number)) for number in range(500)])
        assert threads == ["tusk-store-writer-0"]

    async def test_a_slow_disk(self, store: SqliteStore, threads: list[str]) -> None:
        store._writer._appender.seconds = 60.0
        await store.events.append([decision("a", 0)])
        assert threads == ["tusk-store-writer-0"]
        # It is measured there, too: when the disk is quick again, the short way is taken again.
        assert store._writer._appender.seconds < 60

    async def test_a_thread_at_work_has_the_connection_for_itself(
        self, store: SqliteStore, threads: list[str]
    ) -> None:
        let_go = threading.Event()
        busy = asyncio.create_task(on_writer(store, lambda connection: let_go.wait(10)))
        await asyncio.sleep(0)
        appending_ = asyncio.create_task(store.events.append([decision("a", 0)]))
        await asyncio.sleep(0.02)
        assert threads == []
        with pytest.raises(RuntimeError, match="a thread uses this connection"):
            store._writer._lane.run_here(lambda connection: None)
        let_go.set()
        await asyncio.gather(busy, appending_)
        assert threads == ["tusk-store-writer-0"]

    async def test_one_whose_caller_went_away_still_has_it(
        self, store: SqliteStore, threads: list[str]
    ) -> None:
        let_go = threading.Event()
        busy = asyncio.create_task(on_writer(store, lambda connection: let_go.wait(10)))
        await asyncio.sleep(0)
        busy.cancel()
        await asyncio.sleep(0)
        assert busy.cancelled()
        assert not store._writer._lane.idle
        let_go.set()
        await store.events.append([decision("a", 0)])
        assert threads == ["tusk-store-writer-0"]


async def test_the_write_ahead_log_is_kept_short(store: SqliteStore, path: Path) -> None:
    """It is folded into the database on the thread, behind a commit and not inside it."""
    for number in range(60):
        await store.events.append([decision(str(number), size=1_000_000)])
    wal = path.with_name(path.name + "-wal")
    assert wal.stat().st_size < 3 * files.PAGES_BETWEEN_CHECKPOINTS * files.PAGE_BYTES
    assert path.stat().st_size > 30_000_000


async def test_an_interrupted_batch_leaves_no_transaction(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C may hit anywhere on the loop: what comes after finds the log as it is."""
    await store.events.append([decision("a", 0)])

    def interrupt(*anything: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(appending, "execute_all", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store._writer._lane.run_here(store._writer._append, [decision("a", 1)], False)
    [recorded] = await store.events.append([decision("a", 1)])
    assert (recorded.version, recorded.position) == (2, 2)
