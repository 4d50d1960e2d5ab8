"""Kills, and freezes, a Kafka broker under load, again and again, and then counts what is on the topic.

An application on SQLite takes commands all the time. Every event has to be on its topic at least once, the first
appearances of those of an aggregate in their order, and nothing that is not stored.

    python benchmarks/broker_kills.py --kills 20
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

import uvloop
from confluent_kafka import Consumer
from measure import describe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kafka_server import KafkaServer, private_kafka

from tusk_runtime.events import Caller, id_text
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.build import build
from tusk_runtime.running.followers import RELAY
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.running.service import PartStatus
from tusk_runtime.store.sqlite import SqliteStore

TSK = """
[events]
Counted: {{ fields: {{ number: "integer" }} }}
[event_categories]
counted: ["Counted"]
[aggregates.Counter]
id: "string"
state: {{ number: "integer = 0" }}
on: {{ Counted: {{ number: "{{{{ data.number }}}}" }} }}
[commands]
Count: {{ aggregate: "Counter", creates: "either", emit: [{{ event: "Counted", data: {{ number: "{{{{ state.number + 1 }}}}" }} }}] }}
[event_store]
streaming: "kafka"
[store_config]
kafka: {{ brokers: "{address}", topic_prefix: "{prefix}", partitions: 12 }}
"""
CALLER = Caller("bench", ("admin",))
AGGREGATES = 50


def on_topic(address: str, topic: str) -> list[tuple[str, int, str]]:
    """Key, version and event id of every record of a topic, in the order of its partitions."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found, quiet = [], 0
    while quiet < 3:
        messages = [each for each in consumer.consume(5000, 2.0) if each.error() is None]
        quiet = 0 if messages else quiet + 1
        for message in messages:
            headers = {name: value.decode() for name, value in message.headers()}
            found.append((message.key().decode(), int(headers["aggregate_version"]), headers["event_id"]))
    consumer.close()
    return found


class Attack:
    """The application, its load, and what is done to the broker."""

    def __init__(self, server: KafkaServer, folder: Path, kills: int, rate: float, seed: int) -> None:
        self._server = server
        self._kills = kills
        self._rate = rate
        self._random = random.Random(seed)
        self._prefix = f"attack-{uuid.uuid4().hex[:12]}"
        problems = Problems()
        text = TSK.format(address=server.address, prefix=self._prefix)
        application = build(load_text(text, "attack.tsk", {}, problems), "attack.tsk", problems)
        self._store = SqliteStore(folder / "store.db")
        self._runtime = Runtime(application, self._store)
        self._stop = False
        self.slowest = 0.0
        self.recoveries: list[float] = []

    async def run(self) -> list[str]:
        """What was violated."""
        await self._runtime.start()
        load = asyncio.create_task(self._load())
        await self._quiet(60)
        for number in range(1, self._kills + 1):
            await asyncio.sleep(self._random.uniform(0.2, 1.5))
            await self._disturb(freeze=number % 5 == 0)
            began = time.perf_counter()
            await self._quiet(90)
            self.recoveries.append(time.perf_counter() - began)
            print(f"\r{number}/{self._kills}", end="", file=sys.stderr)
        self._stop = True
        await load
        await self._quiet(90)
        events = await self._store.events.read(limit=10_000_000)
        await self._runtime.stop()
        stored = [(each.aggregate_id, each.version, id_text(each.event_id)) for each in events]
        return self._compared(stored, await asyncio.to_thread(self._found))

    def _found(self) -> list[tuple[str, int, str]]:
        return on_topic(self._server.address, f"{self._prefix}.counted")

    def _compared(self, stored: list[tuple[str, int, str]], found: list[tuple[str, int, str]]) -> list[str]:
        wrong = [f"{each} is stored and not on the topic" for each in set(stored) - set(found)]
        wrong += [f"{each} is on the topic and not stored" for each in set(found) - set(stored)]
        newest: dict[str, int] = {}
        seen: set[tuple[str, int, str]] = set()
        for key, version, id_ in found:
            if (key, version, id_) in seen:
                continue
            seen.add((key, version, id_))
            if version != newest.get(key, 0) + 1:
                wrong.append(f"{key}: {version} came behind {newest.get(key, 0)}")
            newest[key] = version
        doubled = sum(count - 1 for count in Counter(found).values())
        print(f"\n{len(stored):,} events, {len(found):,} records, {doubled:,} of them duplicates")
        return wrong

    async def _load(self) -> None:
        while not self._stop:
            began = time.perf_counter()
            await self._runtime.execute(
                "Count", {}, aggregate_id=f"c{self._random.randrange(AGGREGATES)}", caller=CALLER
            )
            self.slowest = max(self.slowest, time.perf_counter() - began)
            await asyncio.sleep(1 / self._rate)

    async def _disturb(self, *, freeze: bool) -> None:
        if freeze:
            self._server.freeze()
            await asyncio.sleep(self._random.uniform(3, 8))
            self._server.thaw()
            return
        self._server.kill()
        await asyncio.sleep(self._random.uniform(0, 2))
        self._server.spawn()
        await asyncio.to_thread(self._server.wait)

    async def _quiet(self, seconds: float) -> PartStatus:
        """Wait until everything that is stored is published."""
        async with asyncio.timeout(seconds):
            while True:
                part = next(each for each in (await self._runtime.status()).parts if each.name == RELAY)
                if not part.error and part.lag is not None and part.lag < self._rate:
                    return part
                await asyncio.sleep(0.05)


def attack(kills: int, rate: float, seed: int) -> bool:
    """Whether nothing was violated."""
    with tempfile.TemporaryDirectory(prefix=".bench-kafka-", dir=Path()) as folder, private_kafka() as server:
        each = Attack(server, Path(folder), kills, rate, seed)
        wrong = uvloop.run(each.run())
    times = sorted(each.recoveries)
    print(
        f"published again after the broker is back: p50 {statistics.median(times):.1f} s, max {times[-1]:.1f} s; "
        f"slowest command {each.slowest * 1000:.0f} ms"
    )
    for line in wrong[:20]:
        print(line)
    print(f"{len(wrong)} violations\n{'FAILED' if wrong else 'passed'}")
    return not wrong


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=200.0, help="commands per second (default: 200)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(describe("aiokafka", "confluent-kafka"), "Apache Kafka")
    sys.exit(0 if attack(options.kills, options.rate, options.seed) else 1)


if __name__ == "__main__":
    main()
