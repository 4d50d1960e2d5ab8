"""On PostgreSQL: appending, commands and reading, against `eventsourcing` and a bare driver, in one run.

The server is a private one with `fsync` on. The limit of appending is a hand-written loop of group commit: one
naive table, one `insert … select * from unnest(…)` by asyncpg for all that arrived together, no lock, no ledger.
Ours adds the envelope, the ledger, names as numbers, the check of versions, and the lock that keeps positions in
order. The library runs in its best mode: functions in the database, aggregates cached.

    python benchmarks/postgres.py --rounds 5
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
import uvloop
from append import PAYLOAD, OurGroupCommit, drive
from commands import ACCOUNTS, BODY, clients, decided, library_rate, runtime_rate
from eventsourcing.application import Application as LibraryApplication
from eventsourcing.domain import Aggregate, event
from measure import alternate, best, describe, ratio, table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from postgres_server import PostgresServer, binaries_of

from tusk_runtime.aggregates.bus import LARGE_BATCH
from tusk_runtime.running.collector import collect_rarely
from tusk_runtime.store.postgres import PostgresStore

NAIVE = (
    "CREATE TABLE events (pos bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text, ver integer, "
    "type text, data bytea, UNIQUE (stream, ver))"
)
INSERT = (
    "INSERT INTO events (stream, ver, type, data) "
    "SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::bytea[])"
)
READ = "SELECT pos, stream, ver, type, data FROM events WHERE pos > $1 ORDER BY pos LIMIT 5000"


class BareGroupCommit:
    """One statement in flight; what arrives meanwhile is the next one."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._streams: dict[int, str] = {}

    def append(self, writer: int, version: int) -> Awaitable[None]:
        """An event of a writer's own aggregate."""
        stream = self._streams.get(writer) or self._streams.setdefault(writer, str(uuid.uuid4()))
        return self.add((stream, version, "OrderPlaced", PAYLOAD))

    def add(self, row: tuple[Any, ...]) -> asyncio.Future[None]:
        """A row of the table."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if self._task is None:
            self._task = asyncio.create_task(self._flush())
        return future

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await self._connection.execute(INSERT, *zip(*(row for row, _ in batch), strict=True))
            for _, future in batch:
                future.set_result(None)
            await asyncio.sleep(0)
        self._task = None


class Bench:
    """The variants, each in a database of its own."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._number = 0

    def fresh(self) -> str:
        """The address of a new database."""
        self._number += 1
        name = f"bench{self._number}"

        async def create() -> None:
            connection = await asyncpg.connect(self._server.url)
            await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()

        asyncio.run(create())
        return urlsplit(self._server.url)._replace(path=f"/{name}").geturl()

    def append(self, kind: str, writers: int, events: int) -> float:
        """Events per second."""
        dsn = self.fresh()

        async def bare() -> float:
            connection = await asyncpg.connect(dsn)
            await connection.execute(NAIVE)
            rate = await drive(BareGroupCommit(connection).append, writers, events)
            await connection.close()
            return rate

        async def ours() -> float:
            store = PostgresStore(dsn)
            await store.open()
            # As the command bus does: of many, one half gathers while the other is being written.
            groups = [OurGroupCommit(store) for _ in range(2 if writers >= LARGE_BATCH else 1)]
            rate = await drive(
                lambda writer, version: groups[writer % len(groups)].append(writer, version), writers, events
            )
            assert await store.events.head() == events // writers * writers
            await store.close()
            return rate

        return uvloop.run(bare() if kind == "bare" else ours())

    def commands(self, kind: str, in_flight: int, commands: int) -> float:
        """Commands per second."""
        dsn = self.fresh()
        if kind == "bare":
            return uvloop.run(_bare_commands(dsn, commands, in_flight))
        return uvloop.run(runtime_rate(PostgresStore(dsn), commands, in_flight))

    def library(self, threads: int, commands: int) -> float:
        """Commands per second of `eventsourcing`."""
        return library_rate(_library_env(self.fresh()), commands, threads)

    def filled(self, events: int) -> str:
        """A database with the same events in the naive table, in ours, and in the library's."""
        dsn = self.fresh()

        async def fill() -> None:
            connection = await asyncpg.connect(dsn)
            await connection.execute(NAIVE)
            await connection.execute(
                "INSERT INTO events (stream, ver, type, data) SELECT md5((n / 50)::text), n % 50, "
                "'OrderPlaced', $1 FROM generate_series(1, $2::integer) n",
                PAYLOAD, events, timeout=600,
            )  # fmt: skip
            store = PostgresStore(dsn)
            await store.open()
            await connection.execute("INSERT INTO tusk_names (name) VALUES ('Order'), ('OrderPlaced')")
            await connection.execute(
                "INSERT INTO tusk_streams (aggregate_type, aggregate_id) "
                "SELECT 1, md5(n::text) FROM generate_series(0, $1::integer / 50) n", events,
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO tusk_events SELECT pos, (pos - 1) / 50 + 1, (pos - 1) % 50 + 1, 2, 0, "
                "decode(md5(pos::text), 'hex'), NULL, 0, '{}', data FROM events", timeout=600,
            )  # fmt: skip
            app: LibraryApplication[uuid.UUID] = LibraryApplication(env=_library_env(dsn))
            placed = app.mapper.to_stored_event(Order(**orjson.loads(PAYLOAD)).pending_events[0])
            app.close()
            await connection.execute(
                "INSERT INTO application_events (notification_id, originator_id, originator_version, topic, "
                "state) SELECT pos, md5(stream)::uuid, ver, $1, $2 FROM events",
                placed.topic, placed.state, timeout=600,
            )  # fmt: skip
            await connection.execute("VACUUM ANALYZE")
            await connection.close()
            await store.close()

        asyncio.run(fill())
        return dsn


def _library_env(dsn: str) -> dict[str, str]:
    url = urlsplit(dsn)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": url.path.strip("/"),
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(url.port),
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "none",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
    }


async def _bare_commands(dsn: str, commands: int, in_flight: int) -> float:
    connection = await asyncpg.connect(dsn)
    await connection.execute(NAIVE)
    log = BareGroupCommit(connection)
    bodies = [(BODY % uuid.uuid4()).encode() for _ in range(ACCOUNTS)]
    states: dict[str, list[Any]] = {}

    def send(number: int, index: int) -> Awaitable[Any]:
        return log.add(decided(states, bodies[(number + index * in_flight) % ACCOUNTS]))

    rate = await clients(send, commands, in_flight)
    await connection.close()
    return rate


async def _bare_read(dsn: str) -> float:
    connection = await asyncpg.connect(dsn)
    began, after, count = time.perf_counter(), 0, 0
    while rows := await connection.fetch(READ, after):
        for row in rows:
            orjson.loads(row[4])
        after, count = rows[-1][0], count + len(rows)
    rate = count / (time.perf_counter() - began)
    await connection.close()
    return rate


async def _our_read(dsn: str) -> float:
    store = PostgresStore(dsn)
    await store.open()
    began, after, count = time.perf_counter(), 0, 0
    while rows := await store.events.scan(after, 5000, types=None, fields=("version", "data")):
        for row in rows:
            orjson.loads(row[3])
        after, count = rows[-1][0], count + len(rows)
    rate = count / (time.perf_counter() - began)
    await store.close()
    return rate


class Order(Aggregate):
    """The library's aggregate whose events say the same as ours."""

    @event("Placed")
    def __init__(
        self, order_id: str, customer_id: str, sku: str, quantity: int, price: str, currency: str,
        warehouse: str, priority: bool, note: str, placed_on: str,
    ) -> None:  # fmt: skip
        self.order_id = order_id


def _library_read(dsn: str) -> float:
    """As the library's own projections read: the event as an object."""
    app: LibraryApplication[uuid.UUID] = LibraryApplication(env=_library_env(dsn))
    began, start, count = time.perf_counter(), 1, 0
    while found := app.recorder.select_notifications(start=start, limit=5000):
        for notification in found:
            app.mapper.to_domain_event(notification)
        start, count = found[-1].id + 1, count + len(found)
    rate = count / (time.perf_counter() - began)
    app.close()
    return rate


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--postgres", choices=["15", "18"], default="18")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--read", type=int, default=1_000_000, help="events that are read (default: 1000000)")
    options = parser.parse_args()
    binaries = binaries_of(options.postgres)
    if binaries is None:
        sys.exit(f"PostgreSQL {options.postgres} is not here")
    folder = Path(tempfile.mkdtemp(prefix=".bench-postgres-", dir=Path()))
    server = PostgresServer(binaries, folder.resolve(), durable=True)
    server.make()
    server.start()
    collect_rarely()
    bench, many, few = Bench(server), options.events, options.events // 10
    print(
        describe("eventsourcing", "asyncpg", "psycopg", "orjson"), f"PostgreSQL {options.postgres}, fsync on"
    )
    try:
        rates = alternate(
            {
                f"{what}, {kind}, {flight}": lambda _, w=what, k=kind, n=flight: getattr(bench, w)(
                    k, n, few if n == 1 else many
                )
                for what in ("append", "commands")
                for flight in (1, 16, 128, 256)
                for kind in ("bare", "ours")
            }
            | {
                f"eventsourcing, {threads} threads": lambda _, n=threads: bench.library(n, few)
                for threads in (1, 16)
            },
            options.rounds,
            folder,
        )
        table(rates, "per second")
        peer = best(rates, "eventsourcing, 1 threads", "eventsourcing, 16 threads")
        print(f"\nthe library's best mode: {peer}")
        for what, goal in (("append", 0.7), ("commands", 0.45)):
            for flight in (1, 16, 128, 256):
                name = f"{what}, ours, {flight}"
                print(
                    f"{name:24} {ratio(rates, name, f'{what}, bare, {flight}'):5.2f} of the bare loop"
                    f"   {ratio(rates, name, peer):6.1f} x the library"
                )
            print(f"goals at 256: {goal} and 25")
        if options.read:
            dsn = bench.filled(options.read)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            read = alternate(
                {
                    "bare driver and orjson": lambda _: uvloop.run(_bare_read(dsn)),
                    "ours": lambda _: uvloop.run(_our_read(dsn)),
                    "eventsourcing": lambda _: _library_read(dsn),
                },
                options.rounds,
                folder,
            )
            table(read, "events read/s")
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            print(f"\nours {ratio(read, 'ours', 'bare driver and orjson'):.2f} of the bare driver (goal 0.6), "
                  f"{ratio(read, 'ours', 'eventsourcing'):.1f} x the library (goal 4); "
                  f"memory grew by {grown:.0f} MiB over {options.rounds} times all events")  # fmt: skip
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
