"""Appending alone: our store against bare group commit, side by side, on a real disk.

Every writer appends one event at a time to an aggregate of its own and awaits its own acknowledgement. The
limit is what the machine gives without any of our promises: the standard library's `sqlite3` on the event
loop, one naive table, one transaction for all that arrived together, `synchronous=FULL`. Ours adds the full
envelope (event and command ids, correlation, metadata, time), the ledger of commands, interned names, the
check of versions, and a thread that keeps the loop free.

    python benchmarks/append.py --rounds 7 --events 40000
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import orjson
import uvloop

from tusk_runtime.events import new_id
from tusk_runtime.store.protocol import Decision, NewEvent, Recorded
from tusk_runtime.store.sqlite import SqliteStore

PAYLOAD = orjson.dumps(
    {
        "order_id": "ord-000000000001", "customer_id": "cus-000000001", "sku": "SKU-000042", "quantity": 3,
        "price": "19.90", "currency": "EUR", "warehouse": "north", "priority": False, "note": "at the door",
        "placed_on": "2024-05-01",
    }
)  # fmt: skip
METADATA = b'{"user_id":"u-1"}'

Append = Callable[[int, int], Awaitable[Any]]


class BareGroupCommit:
    """What arrives together is written together, on the loop, and each caller gets its own future."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE events (pos INTEGER PRIMARY KEY, stream TEXT, ver INTEGER, type TEXT, data, "
            "UNIQUE (stream, ver))"
        )
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[int]]] = []
        self._streams: dict[int, str] = {}
        self._position = 0

    def append(self, writer: int, version: int) -> Awaitable[int]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        stream = self._streams.get(writer) or self._streams.setdefault(writer, str(uuid.uuid4()))
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append(((stream, version, "OrderPlaced", PAYLOAD), future))
        return future

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO events (stream, ver, type, data) VALUES (?, ?, ?, ?)", [row for row, _ in batch]
        )
        self._db.execute("COMMIT")
        for _, future in batch:
            self._position += 1
            future.set_result(self._position)

    async def close(self) -> None:
        self._db.close()


class OurGroupCommit:
    """The least that can stand above `EventStore.append`: one flush in flight, the next batch gathers."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._waiting: list[tuple[Decision, asyncio.Future[Recorded]]] = []
        self._task: asyncio.Task[None] | None = None
        self._streams: dict[int, str] = {}

    def append(self, writer: int, version: int) -> Awaitable[Recorded]:
        future: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        stream = self._streams.get(writer) or self._streams.setdefault(writer, str(uuid.uuid4()))
        decision = Decision(
            command_id=new_id(),
            fingerprint=0x9E3779B97F4A7C15,
            aggregate_type="Order",
            aggregate_id=stream,
            expected_version=version,
            timestamp=time.time_ns() // 1000,
            metadata=METADATA,
            events=(NewEvent("OrderPlaced", PAYLOAD),),
        )
        self._waiting.append((decision, future))
        if self._task is None:
            self._task = asyncio.create_task(self._flush())
        return future

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            answers = await self._store.events.append([decision for decision, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                future.set_result(answer)
            await asyncio.sleep(0)  # those who were answered come back with their next command
        self._task = None

    async def close(self) -> None:
        await self._store.close()


async def drive(append: Append, writers: int, events: int) -> float:
    """Events per second with so many writers, each awaiting its own acknowledgement."""
    each = events // writers

    async def write(writer: int) -> None:
        for version in range(each):
            await append(writer, version)

    began = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(writers)))
    return each * writers / (time.perf_counter() - began)


async def bare(folder: Path, writers: int, events: int) -> float:
    target = BareGroupCommit(folder / "bare.db")
    rate = await drive(target.append, writers, events)
    await target.close()
    return rate


async def ours(folder: Path, writers: int, events: int) -> float:
    store = SqliteStore(folder / "ours.db")
    await store.open()
    target = OurGroupCommit(store)
    rate = await drive(target.append, writers, events)
    assert await store.events.head() == events // writers * writers
    await target.close()
    return rate


async def compact(folder: Path, writers: int, events: int) -> float:
    """Ours without group commit above it: batches of as many decisions as there are writers."""
    store = SqliteStore(folder / "compact.db")
    await store.open()
    streams = [str(uuid.uuid4()) for _ in range(writers)]
    event = (NewEvent("OrderPlaced", PAYLOAD),)
    began = time.perf_counter()
    for version in range(events // writers):
        now = time.time_ns() // 1000
        await store.events.append(
            [Decision(new_id(), 1, "Order", stream, version, now, METADATA, event) for stream in streams]
        )
    rate = events // writers * writers / (time.perf_counter() - began)
    await store.close()
    return rate


VARIANTS: dict[str, tuple[Callable[[Path, int, int], Any], int]] = {
    "bare, 256 writers": (bare, 256),
    "ours, 256 writers": (ours, 256),
    "ours, batches of 256": (compact, 256),
    "bare, 16 writers": (bare, 16),
    "ours, 16 writers": (ours, 16),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each variant runs (default: 5)")
    parser.add_argument("--events", type=int, default=40_000, help="events per run (default: 40000)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the databases go (default: here)")
    parser.add_argument("--asyncio", action="store_true", help="the standard event loop instead of uvloop")
    options = parser.parse_args()

    folder = Path(tempfile.mkdtemp(prefix=".bench-append-", dir=options.folder))
    print(
        f"Python {platform.python_version()}, sqlite3 {sqlite3.sqlite_version}, apsw {apsw.apsw_version()} "
        f"with SQLite {apsw.sqlite_lib_version()}, {'asyncio' if options.asyncio else 'uvloop'}, "
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n"
        f"synchronous=FULL, WAL, {file_system(folder)}, {fsyncs(folder):.0f} fsync/s, "
        f"payload {len(PAYLOAD)} bytes, {options.events} events a run, {options.rounds} rounds"
    )
    run = asyncio.run if options.asyncio else uvloop.run
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    try:
        for number in range(options.rounds):
            for name, (variant, writers) in VARIANTS.items():
                place = folder / f"{number}-{name}"
                place.mkdir()
                rates[name].append(run(variant(place, writers, options.events)))
                shutil.rmtree(place)
    finally:
        shutil.rmtree(folder)

    print(f"\n{'events/s':24}{'median':>10}{'min':>10}{'max':>10}   x bare, per round")
    for name, values in rates.items():
        base = rates[f"bare, {VARIANTS[name][1]} writers"]
        ratios = [value / limit for value, limit in zip(values, base, strict=True)]
        print(
            f"{name:24}{statistics.median(values):>10,.0f}{min(values):>10,.0f}{max(values):>10,.0f}   "
            f"{statistics.median(ratios):.2f}  ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        )


def file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, where the system tells."""
    mounts = Path("/proc/mounts")
    best, kind = "", "unknown file system"
    for line in mounts.read_text().splitlines() if mounts.exists() else ():
        _, point, type_, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, type_
    return kind


def fsyncs(folder: Path, count: int = 200) -> float:
    """How often a second a small write reaches the disk."""
    with open(folder / "probe", "wb", buffering=0) as probe:
        began = time.perf_counter()
        for _ in range(count):
            probe.write(b"x" * 4096)
            os.fdatasync(probe.fileno())
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
