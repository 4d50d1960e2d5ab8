"""The relay: stored events onto topics of a real Kafka broker, against two clients that only send.

All send the same values, under the same keys, to a topic of 12 partitions, with an idempotent producer, all replicas in
sync, and lz4. The limits hold their records in memory and add two headers. Ours reads the events out of a SQLite
store, adds the whole envelope, and keeps its progress in the store.

    python benchmarks/relay.py --rounds 5 --events 100000
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from pathlib import Path

import uvloop
from aiokafka import AIOKafkaProducer
from append import METADATA, PAYLOAD
from confluent_kafka import Producer as ConfluentProducer
from confluent_kafka.admin import AdminClient, NewTopic
from measure import alternate, describe, ratio, table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kafka_server import private_kafka

from tusk_runtime.bus.kafka import Address
from tusk_runtime.bus.records import Recorder
from tusk_runtime.bus.relay import PAGE, Relay
from tusk_runtime.clock import SystemClock
from tusk_runtime.events import new_id
from tusk_runtime.following.follower import Follower
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.build import build
from tusk_runtime.running.collector import collect_rarely
from tusk_runtime.store.protocol import Decision, NewEvent
from tusk_runtime.store.sqlite import SqliteStore

TSK = """
[event_categories]
orders: ["OrderPlaced"]
[event_store]
streaming: "kafka"
[store_config]
kafka: {{ brokers: "{address}", topic_prefix: "{prefix}" }}
"""
AGGREGATES = 1000
PARTITIONS = 12


class Bench:
    """The variants on one broker, each with a topic of its own."""

    def __init__(self, address: str, events: int) -> None:
        self._address = address
        self._events = events
        self._keys = [str(uuid.uuid4()) for _ in range(AGGREGATES)]
        self.cpu: dict[str, list[float]] = {}

    def topic(self) -> str:
        """A new topic."""
        name = f"bench-{uuid.uuid4().hex[:12]}"
        admin = AdminClient({"bootstrap.servers": self._address})
        admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)
        return name

    def timed(self, name: str, began: tuple[float, float]) -> float:
        """Events per second since then; the CPU of this process is kept."""
        self.cpu.setdefault(name, []).append((time.process_time() - began[1]) / self._events * 1e6)
        return self._events / (time.perf_counter() - began[0])

    def aiokafka(self, _: Path) -> float:
        """The client that ours uses, with nothing around it."""

        async def send() -> float:
            topic = self.topic()
            producer = AIOKafkaProducer(
                bootstrap_servers=self._address, enable_idempotence=True, acks="all", compression_type="lz4",
                linger_ms=5, max_batch_size=256 * 1024,
            )  # fmt: skip
            await producer.start()
            began = time.perf_counter(), time.process_time()
            for number in range(self._events):
                key = self._keys[number % AGGREGATES].encode()
                headers = [("event_id", b"0" * 36), ("event_type", b"OrderPlaced")]
                await producer.send(topic, PAYLOAD, key=key, headers=headers)
            await producer.flush()
            rate = self.timed("aiokafka", began)
            await producer.stop()
            return rate

        return uvloop.run(send())

    def confluent(self, _: Path) -> float:
        """The client in C."""
        topic = self.topic()
        producer = ConfluentProducer({
            "bootstrap.servers": self._address, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
            "compression.type": "lz4", "queue.buffering.max.messages": self._events + 1,
        })  # fmt: skip
        began = time.perf_counter(), time.process_time()
        for number in range(self._events):
            key = self._keys[number % AGGREGATES].encode()
            headers = [("event_id", b"0" * 36), ("event_type", b"OrderPlaced")]
            producer.produce(topic, PAYLOAD, key=key, headers=headers)
            if number % 1000 == 0:
                producer.poll(0)
        left = producer.flush(60)
        assert not left, left
        return self.timed("confluent-kafka", began)

    def ours(self, folder: Path) -> float:
        """The relay of a store that holds the events already."""

        async def publish() -> float:
            store = SqliteStore(folder / "store.db")
            await store.open()
            await self._fill(store)
            prefix = f"bench-{uuid.uuid4().hex[:12]}"
            text = TSK.format(address=self._address, prefix=prefix)
            problems = Problems()
            application = build(load_text(text, "bench.tsk", {}, problems), "bench.tsk", problems)
            kafka = application.settings.kafka
            assert kafka is not None
            recorder = Recorder(application)
            relay = Relay("@relay", recorder, Address(kafka, None), store.events, SystemClock())
            await relay.prepare()  # makes the topic
            follower = Follower("@relay", PAGE, relay, store)
            began = time.perf_counter(), time.process_time()
            await follower.start(0)
            assert await follower.wait_for(self._events, 300)
            rate = self.timed("ours", began)
            await follower.stop()
            await store.close()
            return rate

        return uvloop.run(publish())

    async def _fill(self, store: SqliteStore) -> None:
        for version in range(self._events // AGGREGATES):
            await store.events.append([
                Decision(new_id(), 1, "Order", key, version, time.time_ns() // 1000, METADATA,
                         (NewEvent("OrderPlaced", PAYLOAD),))
                for key in self._keys
            ])  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    events = options.events // AGGREGATES * AGGREGATES
    collect_rarely()
    print(describe("aiokafka", "confluent-kafka", "uvloop"), f"Apache Kafka, {events:,} events a run")
    with private_kafka() as server:
        bench = Bench(server.address, events)
        rates = alternate(
            {"aiokafka": bench.aiokafka, "confluent-kafka": bench.confluent, "ours": bench.ours},
            options.rounds,
            Path(),
        )
    table(rates, "events/s")
    for name, values in bench.cpu.items():
        print(f"{name:24} {sorted(values)[len(values) // 2]:6.1f} µs of CPU per event")
    print(f"\nours {ratio(rates, 'ours', 'aiokafka'):.2f} of aiokafka that only sends (goal 0.7), "
          f"{ratio(rates, 'ours', 'confluent-kafka'):.2f} of confluent-kafka")  # fmt: skip


if __name__ == "__main__":
    main()
