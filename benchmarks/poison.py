"""A topic of which each tenth message is poison, against one of good messages only, on a real Kafka broker.

A consumer with `accept` makes commands out of them. All stand in a topic of 12 partitions before it begins. After
each round it is checked that every good message gave one event, in order by key, and every poison one dead letter with
the reason that fits.

    python benchmarks/poison.py --rounds 3 --messages 100000 [--sqlite]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import uvloop
from consuming import application
from measure import alternate, describe, ratio, table
from postgres import Bench as Databases

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kafka_server import private_kafka
from poisoning import CONSUMER, MODEL, check, messages, write
from postgres_server import PostgresServer, binaries_of

from tusk_runtime.bus.subscription import Subscription
from tusk_runtime.running.collector import collect_rarely
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.postgres import PostgresStore
from tusk_runtime.store.protocol import Store
from tusk_runtime.store.sqlite import SqliteStore

LARGE = 20
"""Poison of 5 MB in a run; the other kinds are as frequent as one another."""
CLEAN, POISONED = "good messages only", "a tenth is poison"


class Handled(NamedTuple):
    """Messages per second, and microseconds of CPU for each."""

    rate: float
    cpu: float


async def handled(runtime: Runtime, consumer: str, count: int) -> Handled:
    """From when the partitions are here until so many messages are handled and their progress is saved."""
    found = runtime._followers.runners[f"{consumer} of topics"]
    assert isinstance(found, Subscription)
    while not found._tracks:
        await asyncio.sleep(0.001)
    began, cpu = time.perf_counter(), time.process_time()
    while sum(track.lane.position + 1 for track in found._tracks.values()) < count:
        await asyncio.sleep(0.005)
    return Handled(count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1e6)


class Bench:
    """The two variants, each on a topic and a store of its own."""

    def __init__(self, address: str, store: Callable[[Path], Store], count: int) -> None:
        self._address = address
        self._store = store
        self._count = count
        self.cpu: dict[str, list[float]] = {CLEAN: [], POISONED: []}

    def run(self, folder: Path, name: str) -> float:
        """Messages per second until all are handled."""
        bad = self._count // 10 if name == POISONED else 0
        topic = f"bench-{uuid.uuid4().hex[:12]}"
        written = write(self._address, topic, messages(self._count, bad, min(LARGE, bad)))

        store = self._store(folder)
        model = MODEL.replace("ADDRESS", self._address)

        async def measured() -> float:
            runtime = Runtime(application(model), store)
            await runtime.start()
            await runtime.apply(application(model + CONSUMER.replace("TOPIC", topic)))
            rate, cpu = await handled(runtime, "Deposits", self._count)
            self.cpu[name].append(cpu)
            await check(store, written)
            await runtime.stop()
            return rate

        return uvloop.run(measured())


def report(bench: Bench, rates: dict[str, list[float]]) -> None:
    """Print what was measured."""
    table(rates, "messages/s")
    for name, values in bench.cpu.items():
        good = 0.9 if name == POISONED else 1
        commands = statistics.median(rates[name]) * good
        print(
            f"{name:44}{commands:>12,.0f} commands/s, {statistics.median(values):.0f} µs of CPU per message"
        )
    print(f"\npoisoned {ratio(rates, POISONED, CLEAN):.2f} of the clean run (goal 0.8)")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--sqlite", action="store_true", help="on SQLite instead of PostgreSQL")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=".bench-poison-", dir=Path()))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else
    # What `tusk-run` writes to its log is part of the work.
    logging.basicConfig(filename=folder / "log", format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    server = None
    if not options.sqlite:
        binaries = binaries_of("18")
        if binaries is None:
            sys.exit("PostgreSQL 18 is not here")
        server = PostgresServer(binaries, (folder / "postgres").resolve(), durable=True)
        server.make()
        server.start()
    collect_rarely()
    kept = "SQLite, synchronous=FULL" if server is None else "PostgreSQL 18, fsync on"
    print(describe("aiokafka", "apsw", "asyncpg", "uvloop"), f"Apache Kafka, {kept}")
    databases = None if server is None else Databases(server)

    def opened(place: Path) -> Store:
        return SqliteStore(place / "store.db") if databases is None else PostgresStore(databases.fresh())

    try:
        with private_kafka() as broker:
            bench = Bench(broker.address, opened, options.messages)
            variants = {name: lambda place, n=name: bench.run(place, n) for name in (CLEAN, POISONED)}
            report(bench, alternate(variants, options.rounds, folder))
        lines = (folder / "log").read_text().count("\n")
        print(f"{lines / options.rounds:,.0f} lines in the log per poisoned run")
    finally:
        if server is not None:
            server.stop()
        logging.shutdown()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
