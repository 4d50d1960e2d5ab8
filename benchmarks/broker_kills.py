"""Kills, and freezes, a Kafka broker under load, again and again, and then counts what is on the topic.

An application on SQLite takes commands all the time, at first without any broker. Every event has to be on its topic
at least once, the first appearances of those of an aggregate in their order, and nothing that is not stored. A consumer
reads the topic: every event has to have its effect once, in order by aggregate.

    python benchmarks/broker_kills.py --kills 20 --freezes 4 --down 60
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
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import orjson
import uvloop
from confluent_kafka import Consumer, TopicPartition
from measure import describe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kafka_server import KafkaServer, private_kafka

from tusk_runtime.events import Caller, StoredEvent, id_text
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
Followed: {{ fields: {{ number: "integer" }} }}
[event_categories]
counted: ["Counted"]
[aggregates.Counter]
id: "string"
state: {{ number: "integer = 0" }}
on: {{ Counted: {{ number: "{{{{ data.number }}}}" }} }}
[aggregates.Shadow]
id: "string"
on: {{ Followed: {{ }} }}
[commands]
Follow: {{ aggregate: "Shadow", creates: "either", fields: {{ number: "integer" }}, emit: "Followed" }}
Count: {{ aggregate: "Counter", creates: "either", emit: [{{ event: "Counted", data: {{ number: "{{{{ state.number + 1 }}}}" }} }}] }}
[consumers.Follower]
group: "{prefix}-follower"
on: {{ Counted: {{ send: "Follow", with: {{ aggregate_id: "{{{{ event.aggregate_id }}}}", number: "{{{{ data.number }}}}" }} }} }}
[event_store]
streaming: "kafka"
[store_config]
kafka: {{ brokers: "{address}", topic_prefix: "{prefix}", partitions: 12 }}
"""
CALLER = Caller("bench", ("admin",))
AGGREGATES = 50
FREEZE_SECONDS = 5.0, 30.0

Place = tuple[str, int, str]
"""Key, version and event id."""


def on_topic(address: str, topic: str) -> list[Place]:
    """Every record of a topic, in the order of its partitions."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": uuid.uuid4().hex})
    try:
        parts = [
            TopicPartition(topic, each) for each in consumer.list_topics(topic, 30).topics[topic].partitions
        ]
        count = 0
        for part in parts:
            part.offset, end = consumer.get_watermark_offsets(part, 30)
            count += end - part.offset
        consumer.assign(parts)
        found: list[Place] = []
        while len(found) < count:
            messages = consumer.consume(min(5000, count - len(found)), 30)
            assert messages, f"{len(found)} of {count} records"
            for message in messages:
                assert message.error() is None, message.error()
                headers = {name: value.decode() for name, value in message.headers()}
                version = int(headers["aggregate_version"])
                found.append((message.key().decode(), version, headers["event_id"]))
        return found
    finally:
        consumer.close()


@dataclass
class Report:
    """What is stored, what is on the topic, and how long it took to be published again."""

    events: int = 0
    records: int = 0
    duplicates: int = 0
    lost: int = 0
    invented: int = 0
    disordered: int = 0
    unhandled: int = 0
    twice: int = 0
    late: int = 0
    waited: int = 0
    drained: float = 0.0
    slowest: float = 0.0
    recoveries: dict[str, list[float]] = field(default_factory=lambda: {"kill": [], "freeze": []})
    handled: dict[str, list[float]] = field(default_factory=lambda: {"kill": [], "freeze": []})

    @property
    def holds(self) -> bool:
        """Whether every event is there, in order, had its effect once, and there is nothing else."""
        wrong = (self.lost, self.invented, self.disordered, self.unhandled, self.twice, self.late)
        return not any(wrong)

    def count(self, stored: Sequence[Place], found: Sequence[Place]) -> None:
        """Compare what is stored with what is on the topic."""
        self.events, self.records = len(stored), len(found)
        self.duplicates = len(found) - len(set(found))
        self.lost = len(set(stored) - set(found))
        self.invented = len(set(found) - set(stored))
        newest: dict[str, int] = {}
        for key, version, _ in dict.fromkeys(found):
            self.disordered += version < newest.get(key, 0)
            newest[key] = max(version, newest.get(key, 0))

    def count_effects(self, stored: Sequence[Place], effects: Sequence[tuple[str, int]]) -> None:
        """Compare what is stored with what the consumer did, in its order."""
        self.unhandled = len({place[:2] for place in stored} - set(effects))
        self.twice = len(effects) - len(set(effects))
        numbers: dict[str, list[int]] = {}
        for key, number in dict.fromkeys(effects):
            numbers.setdefault(key, []).append(number)
        self.late = sum(a > b for each in numbers.values() for a, b in pairwise(each))

    def __str__(self) -> str:
        rows = [
            ("events stored", f"{self.events:,}"),
            ("records on the topic", f"{self.records:,}"),
            ("lost", f"{self.lost:,}"),
            ("on the topic, not stored", f"{self.invented:,}"),
            ("out of order in their aggregate", f"{self.disordered:,}"),
            ("duplicates", f"{self.duplicates:,}"),
            ("without an effect", f"{self.unhandled:,}"),
            ("effects twice", f"{self.twice:,}"),
            ("effects out of order in their aggregate", f"{self.late:,}"),
            ("waited while the broker was down at start", f"{self.waited:,}"),
            ("all published after its start", f"{self.drained:.1f} s"),
            ("slowest command", f"{self.slowest * 1000:.0f} ms"),
        ]
        for done, recoveries in (("published", self.recoveries), ("handled", self.handled)):
            for what, times in recoveries.items():
                if times:
                    text = f"{len(times)}; p50 {statistics.median(times):.1f} s, max {max(times):.1f} s"
                    rows.append((f"{done} again after a {what}", text))
        return "\n".join(f"{name:<44}{value:>28}" for name, value in rows)


class Attack:
    """The application, its load, and what is done to the broker."""

    def __init__(self, server: KafkaServer, folder: Path, rate: float, seed: int) -> None:
        self._server = server
        self._rate = rate
        self._random = random.Random(seed)
        self._prefix = f"attack-{uuid.uuid4().hex[:12]}"
        problems = Problems()
        text = TSK.format(address=server.address, prefix=self._prefix)
        application = build(load_text(text, "attack.tsk", {}, problems), "attack.tsk", problems)
        self._store = SqliteStore(folder / "store.db")
        self._runtime = Runtime(application, self._store)
        self._stop = False
        self.report = Report()

    async def run(self, *, kills: int, freezes: int, down: float) -> Report:
        """Disturb the broker, which is down for so many seconds at first, and then count."""
        report = self.report
        if down:
            self._server.kill()
        await self._runtime.start()
        load = asyncio.create_task(self._load())
        if down:
            await asyncio.sleep(down)
            report.waited = (await self._relay()).lag or 0
            self._server.spawn()
            await asyncio.to_thread(self._server.wait)
        began = time.perf_counter()
        await self._quiet(90)
        report.drained = time.perf_counter() - began
        acts = ["kill"] * kills + ["freeze"] * freezes
        self._random.shuffle(acts)
        for number, act in enumerate(acts, 1):
            await asyncio.sleep(self._random.uniform(0.2, 1.5))
            await (self._freeze() if act == "freeze" else self._kill())
            began, head = time.perf_counter(), await self._store.events.head()

            async def since(work: Awaitable[object], began: float = began) -> float:
                await work
                return time.perf_counter() - began

            published, handled = await asyncio.gather(
                since(self._quiet(90)), since(self._handles_behind(head, 90))
            )
            report.recoveries[act].append(published)
            report.handled[act].append(handled)
            print(f"\r{number}/{len(acts)}", end="", file=sys.stderr)
        self._stop = True
        await load
        await self._quiet(90)
        events = await self._all_handled(60)
        await self._runtime.stop()
        stored = [
            (each.aggregate_id, each.version, id_text(each.event_id))
            for each in events
            if each.aggregate_type == "Counter"
        ]
        report.count(stored, await asyncio.to_thread(self._found))
        effects = [(each.aggregate_id, _number(each)) for each in events if each.type == "Followed"]
        report.count_effects(stored, effects)
        return report

    def _found(self) -> list[Place]:
        return on_topic(self._server.address, f"{self._prefix}.counted")

    async def _load(self) -> None:
        while not self._stop:
            began = time.perf_counter()
            await self._runtime.execute(
                "Count", {}, aggregate_id=f"c{self._random.randrange(AGGREGATES)}", caller=CALLER
            )
            self.report.slowest = max(self.report.slowest, time.perf_counter() - began)
            await asyncio.sleep(1 / self._rate)

    async def _freeze(self) -> None:
        self._server.freeze()
        await asyncio.sleep(self._random.uniform(*FREEZE_SECONDS))
        self._server.thaw()

    async def _kill(self) -> None:
        self._server.kill()
        await asyncio.sleep(self._random.uniform(0, 2))
        self._server.spawn()
        await asyncio.to_thread(self._server.wait)

    async def _relay(self) -> PartStatus:
        return next(each for each in (await self._runtime.status()).parts if each.name == RELAY)

    async def _quiet(self, seconds: float) -> PartStatus:
        """Wait until everything that is stored is published."""
        async with asyncio.timeout(seconds):
            while True:
                part = await self._relay()
                if not part.error and part.lag is not None and part.lag < self._rate:
                    return part
                await asyncio.sleep(0.05)

    async def _handles_behind(self, position: int, seconds: float) -> None:
        """Wait until the consumer handled an event that was stored behind a position of the log."""
        async with asyncio.timeout(seconds):
            while True:
                events = await self._store.events.read(position, 100_000)
                stored = {id_text(each.event_id) for each in events}
                if any(orjson.loads(each.metadata).get("causation_id") in stored for each in events):
                    return
                await asyncio.sleep(0.05)

    async def _all_handled(self, seconds: float) -> Sequence[StoredEvent]:
        """The whole log, once each event has its effect, and no other ones come; or when that takes too long."""
        deadline = time.monotonic() + seconds
        while True:
            events = await self._store.events.read(limit=10_000_000)
            counts = [sum(each.type == type_ for each in events) for type_ in ("Counted", "Followed")]
            if counts[1] >= counts[0] or time.monotonic() > deadline:
                await asyncio.sleep(2)
                return await self._store.events.read(limit=10_000_000)
            await asyncio.sleep(0.5)


def _number(event: StoredEvent) -> int:
    number: int = orjson.loads(event.data)["number"]
    return number


def attack(*, kills: int, freezes: int, down: float, rate: float, seed: int) -> Report:
    """Start a broker and attack it."""
    with tempfile.TemporaryDirectory(prefix=".bench-kafka-", dir=Path()) as folder, private_kafka() as server:
        return uvloop.run(
            Attack(server, Path(folder), rate, seed).run(kills=kills, freezes=freezes, down=down)
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--freezes", type=int, default=4, help="of 5 to 30 s (default: 4)")
    parser.add_argument(
        "--down", type=float, default=60.0, help="seconds without a broker at first (default: 60)"
    )
    parser.add_argument("--rate", type=float, default=200.0, help="commands per second (default: 200)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(describe("aiokafka", "confluent-kafka"), "Apache Kafka")
    report = attack(**vars(options))
    print(f"\n{report}\n{'passed' if report.holds else 'FAILED'}")
    sys.exit(0 if report.holds else 1)


if __name__ == "__main__":
    main()
