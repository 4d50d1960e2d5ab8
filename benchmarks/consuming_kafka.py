"""Consuming topics of a real Kafka broker, against aiokafka that only reads, and against FastStream.

All read a topic of 12 partitions from its beginning, as the only member of a group; the time runs from when they are
given their partitions. aiokafka and FastStream do nothing with them, and tell Kafka every five seconds how far they are. Ours does
each once: an event of its own store is looked up there, a line that the log's level hides is made of it, and the versions
that were handled are saved with the progress; a message from outside becomes a command, stored with its id. Both are
durable before the next page counts.

At rest: commands at a steady rate, from the answer to one until the command that a consumer sends upon its event is
stored, by way of the relay and Kafka, and over the store's own log.

    python benchmarks/consuming_kafka.py --rounds 5 --events 50000
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
from collections.abc import Callable, Mapping
from pathlib import Path

import uvloop
from aiokafka import AIOKafkaConsumer
from consuming import CALLER, TSK, application, ask
from faststream.kafka import KafkaBroker
from measure import alternate, describe, ratio, table
from poison import CLEAN, Handled, handled
from poison import Bench as Foreign
from postgres import Bench as Databases

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kafka_server import private_kafka
from poisoning import PARTITIONS, messages, write
from postgres_server import PostgresServer, binaries_of

from tusk_runtime.running.collector import collect_rarely
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.postgres import PostgresStore
from tusk_runtime.store.protocol import Store
from tusk_runtime.store.sqlite import SqliteStore

KAFKA = """
[event_categories]
asked: ["Asked"]
[event_store]
streaming: "kafka"
[store_config]
kafka: { brokers: "ADDRESS", topic_prefix: "PREFIX", partitions: COUNT }
"""
READER = """
[consumers.Reader]
concurrency: 64
on: { Asked: { log: { level: "debug", message: "{{ event.aggregate_id }} asked for {{ data.amount }}" } } }
"""
ANSWERING = """
[consumers.Answering]
concurrency: 64
on: { Asked: { send: "Answer" } }
"""
PER_SECOND = 200
Opened = Callable[[Path], Store]


class Bench:
    """The variants on one broker. What stores are made of is named."""

    def __init__(self, address: str, stores: Mapping[str, Opened], events: int) -> None:
        self._address = address
        self._stores = stores
        self._events = events
        self._outside = f"bench-{uuid.uuid4().hex[:12]}"
        self._relayed = ""
        self.cpu: dict[str, list[float]] = {}
        write(address, self._outside, messages(events, 0, 0))

    def _noted(self, name: str, found: Handled) -> float:
        self.cpu.setdefault(name, []).append(found.cpu)
        return found.rate

    def _timed(self, name: str, began: tuple[float, float]) -> float:
        seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        return self._noted(name, Handled(self._events / seconds, cpu / self._events * 1e6))

    def aiokafka(self, name: str, *, relayed: bool) -> float:
        """The client that ours uses, with nothing around it."""

        async def read() -> float:
            consumer = AIOKafkaConsumer(
                self._relayed if relayed else self._outside, bootstrap_servers=self._address,
                group_id=uuid.uuid4().hex, auto_offset_reset="earliest",
            )  # fmt: skip
            await consumer.start()
            began, count = await _assigned(consumer), 0
            while count < self._events:
                found = await consumer.getmany(timeout_ms=500)
                count += sum(map(len, found.values()))
            rate = self._timed(name, began)
            await consumer.stop()
            return rate

        return uvloop.run(read())

    def faststream(self, name: str, *, batch: bool) -> float:
        """FastStream as its guide has it: a subscriber of JSON, of one message or of many at a time."""

        async def read() -> float:
            broker = KafkaBroker(self._address, logger=None)
            done = asyncio.Event()
            count = 0

            def counted(number: int) -> None:
                nonlocal count
                count += number
                if count == self._events:
                    done.set()

            async def one(message: dict[str, object]) -> None:
                counted(1)

            async def many(messages: list[dict[str, object]]) -> None:
                counted(len(messages))

            subscriber = broker.subscriber(
                self._outside, batch=batch, group_id=uuid.uuid4().hex, auto_offset_reset="earliest"
            )
            subscriber(many if batch else one)
            await broker.start()
            began = await _assigned(subscriber.consumer)
            await done.wait()
            rate = self._timed(name, began)
            await broker.stop()
            return rate

        return uvloop.run(read())

    def foreign(self, name: str, folder: Path, store: str) -> float:
        """Messages from outside become commands of ours."""
        bench = Foreign(self._address, self._stores[store], self._events)
        return self._noted(name, Handled(bench.run(folder, CLEAN), bench.cpu[CLEAN][-1]))

    def own(self, name: str, folder: Path, store: str) -> float:
        """Events that our relay published come back to a consumer of ours."""
        prefix = f"bench-{uuid.uuid4().hex[:12]}"
        model, opened = TSK + self._kafka(prefix), self._stores[store](folder)
        self._relayed = f"{prefix}.asked"

        async def consume() -> Handled:
            runtime = Runtime(application(model + READER), opened)
            await runtime.start()
            await _joined(runtime, "Reader")
            await runtime.apply(application(model))  # it stands still, and begins before all of this:
            await ask(runtime, self._events)
            relay = runtime._followers.runners["@relay"]
            assert await relay.wait_for((await runtime.status()).head, 300)
            await runtime.apply(application(model + READER))
            found = await handled(runtime, "Reader", self._events)
            await runtime.stop()
            return found

        return self._noted(name, uvloop.run(consume()))

    def delays(self, folder: Path, store: str, *, kafka: bool, seconds: float) -> list[float]:
        """Seconds from the answer to each command until the consumer's own is stored."""
        prefix = f"bench-{uuid.uuid4().hex[:12]}"
        model, opened = TSK + ANSWERING + (self._kafka(prefix) if kafka else ""), self._stores[store](folder)

        async def measured() -> list[float]:
            runtime = Runtime(application(model), opened)
            await runtime.start()
            if kafka:
                await _joined(runtime, "Answering")
            answered: dict[str, float] = {}
            stored: dict[str, float] = {}
            count = int(seconds * PER_SECOND)

            async def look() -> None:
                position = 0
                while len(stored) < count:
                    await opened.events.wait_beyond(position, 1.0)
                    found, now = await opened.events.read(position, 1000), time.perf_counter()
                    position = found[-1].position if found else position
                    stored.update({each.aggregate_id: now for each in found if each.type == "Answered"})

            async def send(number: int) -> None:
                await runtime.execute("Ask", {"amount": "1"}, aggregate_id=f"c{number}", caller=CALLER)
                answered[f"c{number}"] = time.perf_counter()

            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                group.create_task(look())
                for number in range(count):
                    await asyncio.sleep(max(0, began + number / PER_SECOND - time.perf_counter()))
                    group.create_task(send(number))
            await runtime.stop()
            return [stored[name] - answered[name] for name in answered]

        # What is stored before its answer has arrived was not waited for.
        return [max(0.0, each) for each in uvloop.run(measured())]

    def _kafka(self, prefix: str) -> str:
        text = KAFKA.replace("ADDRESS", self._address).replace("PREFIX", prefix)
        return text.replace("COUNT", str(PARTITIONS))


async def _assigned(consumer: AIOKafkaConsumer) -> tuple[float, float]:
    """Now, and the CPU until now, when a client has its partitions."""
    while not consumer.assignment():
        await asyncio.sleep(0.001)
    return time.perf_counter(), time.process_time()


async def _joined(runtime: Runtime, consumer: str) -> None:
    while not runtime._followers.runners[f"{consumer} of topics"]._tracks:  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)


def report(bench: Bench, rates: dict[str, list[float]]) -> None:
    """Print what was measured."""
    table(rates, "events/s")
    print()
    for name, values in bench.cpu.items():
        print(f"{name:44}{statistics.median(values):8.1f} µs of CPU per event")
    print(f"\n{'of aiokafka that only reads (goal 0.3)':44}{'events/s':>12}{'CPU':>12}")
    for name in rates:
        if not name.startswith("ours"):
            continue
        base = RELAYED if "own" in name else OUTSIDE
        cpu = statistics.median(bench.cpu[base]) / statistics.median(bench.cpu[name])
        print(f"{name:44}{ratio(rates, name, base):>12.2f}{cpu:>12.2f}")


OUTSIDE, RELAYED = "aiokafka, messages from outside", "aiokafka, records of our relay"


def variants(bench: Bench, stores: Mapping[str, Opened]) -> dict[str, Callable[[Path], float]]:
    """What is compared; records of the relay are read after ours has written them."""
    ours = {
        f"ours, {what}, {store}": (what, store) for what in ("own events", "commands") for store in stores
    }
    found: dict[str, Callable[[Path], float]] = {
        OUTSIDE: lambda _: bench.aiokafka(OUTSIDE, relayed=False),
        "FastStream, in batches": lambda _: bench.faststream("FastStream, in batches", batch=True),
        "FastStream, one by one": lambda _: bench.faststream("FastStream, one by one", batch=False),
    }
    for name, (what, store) in ours.items():
        run = bench.own if what == "own events" else bench.foreign
        found[name] = lambda folder, n=name, s=store, r=run: r(n, folder, s)
    return found | {RELAYED: lambda _: bench.aiokafka(RELAYED, relayed=True)}


def latency(bench: Bench, stores: Mapping[str, Opened], rounds: int, seconds: float, folder: Path) -> None:
    """Print how soon a command gives the next one."""
    names = {
        f"{store}, {'Kafka' if kafka else 'the log'}": (store, kafka)
        for store in stores
        for kafka in (True, False)
    }
    found: dict[str, list[float]] = {name: [] for name in names}

    def measured(place: Path, name: str) -> float:
        store, kafka = names[name]
        delays = bench.delays(place, store, kafka=kafka, seconds=seconds)
        found[name] += delays
        return statistics.median(delays)

    print(f"\ncommand answered → consumer's command stored, {PER_SECOND} commands/s")
    alternate({name: lambda place, n=name: measured(place, n) for name in names}, rounds, folder)
    for name, delays in found.items():
        delays.sort()
        at = [delays[int(len(delays) * part)] * 1000 for part in (0.5, 0.99)]
        print(f"{name:44}p50 {at[0]:6.1f} ms, p99 {at[1]:6.1f} ms")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of the steady rate, each round (default: 5)"
    )
    parser.add_argument("--no-throughput", action="store_true", help="only how soon")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    binaries = binaries_of("18")
    if binaries is None:
        sys.exit("PostgreSQL 18 is not here")
    folder = Path(tempfile.mkdtemp(prefix=".bench-consuming-", dir=Path()))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else
    server = PostgresServer(binaries, (folder / "postgres").resolve(), durable=True)
    server.make()
    server.start()
    databases = Databases(server)
    stores: dict[str, Opened] = {
        "SQLite": lambda place: SqliteStore(place / "store.db"),
        "PostgreSQL": lambda _: PostgresStore(databases.fresh()),
    }
    collect_rarely()
    versions = describe("aiokafka", "faststream", "apsw", "asyncpg", "uvloop")
    print(f"{versions}, Apache Kafka, PostgreSQL 18 with fsync, {options.events:,} events a run")
    try:
        with private_kafka() as broker:
            bench = Bench(broker.address, stores, options.events)
            if not options.no_throughput:
                report(bench, alternate(variants(bench, stores), options.rounds, folder))
            latency(bench, stores, options.rounds, options.seconds, folder)
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
