"""A consumer group that never comes to rest, of real processes on one PostgreSQL and one Kafka, under load.

Two processes run all the time, a third one is started and ended again and again, politely and by kills in turn, and one
of the two stands still past its session time-out, now and then. In the end every event and every foreign message has
to have had one effect, those of a key in their order, and Kafka never knows of more than the store has.

    python benchmarks/rebalances.py --seconds 120
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import re
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from measure import describe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kafka_server import private_kafka
from postgres_server import schema_for
from support import Lost, Server, until

from tusk_runtime.events import StoredEvent, id_text
from tusk_runtime.failpoints import VARIABLE
from tusk_runtime.store.postgres import PostgresStore

TSK = """
[runtime]
name: "rebalances"
[event_store]
backend: "postgresql"
streaming: "kafka"
[store_config]
postgresql: {{ connection_string: "@env('DATABASE_URL')" }}
kafka: {{ brokers: "{brokers}", topic_prefix: "{prefix}", partitions: 12 }}
[event_categories]
money: ["Deposited"]

[events]
Deposited: {{ fields: {{ }} }}
Noted: {{ fields: {{ version: "integer" }} }}
Taken: {{ fields: {{ number: "integer" }} }}

[aggregates.Account]
id: "string"
on: {{ Deposited: {{ }} }}
[aggregates.Book]
id: "string"
on: {{ Noted: {{ }} }}
[aggregates.Till]
id: "string"
on: {{ Taken: {{ }} }}

[commands]
Deposit: {{ aggregate: "Account", creates: "either", emit: "Deposited" }}
Note: {{ aggregate: "Book", creates: "either", fields: {{ version: "integer" }}, emit: "Noted" }}
Take: {{ aggregate: "Till", creates: "either", fields: {{ number: "integer" }}, emit: "Taken" }}

[consumers.Clerk]
group: "{prefix}-clerk"
on: {{ Deposited: [
  {{ log: "seen {{{{ event.aggregate_id }}}} {{{{ event.version }}}}" }},
  {{ send: "Note", with: {{ aggregate_id: "{{{{ event.aggregate_id }}}}", version: "{{{{ event.version }}}}" }} }}
] }}
[consumers.Cashier]
group: "{prefix}-cashier"
topics: ["{prefix}-inbox"]
accept: {{ message: {{ till: "string", number: "integer" }}, send: "Take", with: {{ aggregate_id: "{{{{ message.till }}}}" }} }}
"""
SLOW = "consumer.before_action:delay=0.02,follower.handled:delay=0.3"
POINTS = {"first": "", "second": SLOW, "third": SLOW}
"""What is slow is mostly stopped with something in its hands: before an effect, or before it is saved."""
KEYS = 60
CLIENTS = 8
FROZEN_SECONDS = 9.0
"""A session ends after 6 s of silence."""
EVERY_SECONDS = 5.0
TWICE = 0.05
"""The part of foreign messages that somebody sends a second time."""
Pair = tuple[str, int]
"""A key, and the number of one of its messages."""


@dataclass
class Report:
    """What came out, and what was wrong with it."""

    events: int = 0
    messages: int = 0
    lost: int = 0
    twice: int = 0
    disordered: int = 0
    invented: int = 0
    beyond: int = 0
    redelivered: int = 0
    rebalances: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    not_now: int = 0
    frozen: int = 0
    third: Counter[str] = field(default_factory=Counter)
    pauses: dict[str, float] = field(default_factory=dict)
    slowest: float = 0.0
    handling: float = 0.0
    drained: float = 0.0
    compared: int = 0

    @property
    def holds(self) -> bool:
        """Whether each had its one effect, in order, and Kafka knew of nothing that was not handled."""
        return not (self.lost or self.twice or self.disordered or self.invented or self.beyond)

    def count(self, wanted: Sequence[Pair], effects: Sequence[Pair]) -> None:
        """Compare what had to have an effect with the effects, in their order."""
        self.lost += len(set(wanted) - set(effects))
        self.invented += len(set(effects) - set(wanted))
        self.twice += len(effects) - len(set(effects))
        newest: dict[str, int] = {}
        for key, number in dict.fromkeys(effects):
            self.disordered += number < newest.get(key, 0)
            newest[key] = max(number, newest.get(key, 0))

    def __str__(self) -> str:
        rows = [
            ("own events, each with one effect", f"{self.events:,}"),
            ("foreign messages, each with one effect", f"{self.messages:,}"),
            ("lost", f"{self.lost:,}"),
            ("effects twice", f"{self.twice:,}"),
            ("effects out of order in their key", f"{self.disordered:,}"),
            ("effects of nothing", f"{self.invented:,}"),
            ("Kafka knew of more than was handled", f"{self.beyond:,} of {self.compared:,} looks"),
            ("third process started, stopped, killed", " ".join(map(str, self.third.values()))),
            ("the second stood still", f"{self.frozen}"),
            *(
                (f"rebalances that a process saw, {name}", f"{n}")
                for name, n in sorted(self.rebalances.items())
            ),
            *((f"stale saves refused, {name}", f"{n}") for name, n in sorted(self.refused.items())),
            *((f"clients made anew, {name}", f"{n}") for name, n in sorted(self.restarts.items())),
            ("own events handled more than once", f"{self.redelivered:,}"),
            *((f"longest time without an effect, {name}", f"{s:.1f} s") for name, s in self.pauses.items()),
            ("longest from an event to its effect", f"{self.slowest:.1f} s"),
            ("longest from a topic to the effect", f"{self.handling:.1f} s"),
            ("all handled after the end of the load", f"{self.drained:.1f} s"),
            ("commands answered with not now", f"{self.not_now:,}"),
        ]
        return "\n".join(f"{name:<56}{value:>20}" for name, value in rows)


class Attack:
    """The processes, their load, and what is done to them."""

    def __init__(self, folder: Path, database: str, brokers: str, *, rate: float, seed: int) -> None:
        self._prefix = f"rebalances-{uuid.uuid4().hex[:12]}"
        self._database, self._brokers, self._rate = database, brokers, rate
        self._random = random.Random(seed)
        self._store = PostgresStore(database)
        self._servers = [self._server(folder / name, points) for name, points in POINTS.items()]
        self._stop = asyncio.Event()
        self._sent: list[Pair] = []
        self.report = Report()

    def _server(self, folder: Path, points: str) -> Server:
        folder.mkdir(parents=True)
        file = folder / "rebalances.tsk"
        file.write_text(TSK.format(brokers=self._brokers, prefix=self._prefix))
        environment = {"DATABASE_URL": self._database, VARIABLE: points}
        return Server(file, "--no-watch", "--verbose", environment=environment)

    async def run(self, seconds: float) -> Report:
        """Disturb the group for so many seconds, and then count."""
        first, second, third = self._servers
        admin = AdminClient({"bootstrap.servers": self._brokers})
        admin.create_topics([NewTopic(self._inbox, 12, 1)])[self._inbox].result(30)
        try:
            await first.start()
            await second.start()
            await self._store.open(read_only=True)
            await self._all_joined()
            tasks = [
                asyncio.create_task(each)
                for each in (
                    *(self._client(server) for server in (first, first, first, second) for _ in range(2)),
                    self._foreign(),
                    self._come_and_go(third),
                    self._stand_still(second),
                    self._compare(admin),
                )
            ]
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            self._stop.set()
            await asyncio.gather(*tasks)
            await self._settle()
        finally:
            for server in self._servers:
                await server.close()
            await self._store.close()
        return self.report

    @property
    def _inbox(self) -> str:
        return f"{self._prefix}-inbox"

    async def _all_joined(self) -> None:
        """Wait until the partitions of all topics are with somebody."""

        async def there() -> bool:
            return len(await self._positions()) == 24

        await until(there, "all partitions are taken", 40, 0.1)

    async def _positions(self) -> dict[tuple[str, str], int]:
        """By consumer and partition the position up to which the store knows all as handled."""
        connection = await asyncpg.connect(self._database)
        try:
            rows = await connection.fetch(
                "SELECT name, source, position FROM tusk_consumers WHERE source <> ''"
            )
        finally:
            await connection.close()
        return {(name, source): position for name, source, position in rows}

    # ---- the load ------------------------------------------------------------------------------------

    async def _client(self, server: Server) -> None:
        connection = server.connection()
        while not self._stop.is_set():
            began = time.monotonic()
            body = orjson.dumps({"aggregate_id": f"a{self._random.randrange(KEYS)}"})
            with contextlib.suppress(Lost):
                status, _ = await connection.request("POST", "/api/commands/Deposit", body)
                self.report.not_now += status != 200
            await asyncio.sleep(max(0.0, CLIENTS / self._rate - (time.monotonic() - began)))

    async def _foreign(self) -> None:
        """Half as many messages as commands, some of them twice."""
        producer = Producer({"bootstrap.servers": self._brokers, "enable.idempotence": True})
        numbers: Counter[str] = Counter()
        began = time.monotonic()
        for count in itertools.count():
            if self._stop.is_set():
                break
            till = f"t{self._random.randrange(KEYS)}"
            numbers[till] += 1
            self._sent.append((till, numbers[till]))
            for _ in range(1 + (self._random.random() < TWICE)):
                self._write(producer, till, numbers[till])
            producer.poll(0)
            await asyncio.sleep(max(0.0, began + count * 2 / self._rate - time.monotonic()))
        await asyncio.to_thread(producer.flush, 30)

    def _write(self, producer: Producer, till: str, number: int) -> None:
        body = orjson.dumps({"till": till, "number": number})
        producer.produce(self._inbox, body, till, headers={"message-id": f"{till}-{number}"})

    # ---- what is done to the processes -----------------------------------------------------------------

    async def _come_and_go(self, third: Server) -> None:
        """Start and end a process in turn, each time after so many seconds."""
        for end in itertools.cycle(("stopped", "killed")):
            for act in ("started", end):
                if await self._told_to_stop(EVERY_SECONDS):
                    return
                self.report.third[act] += 1
                if act == "started":
                    third.spawn()
                elif act == "stopped":
                    await third.stop()
                else:
                    third.kill()

    async def _stand_still(self, second: Server) -> None:
        """Let a process stand still past its session time-out, and go on then."""
        while not await self._told_to_stop(self._random.uniform(4, 12)):
            self.report.frozen += 1
            os.kill(second.pid, signal.SIGSTOP)
            await self._told_to_stop(FROZEN_SECONDS)
            os.kill(second.pid, signal.SIGCONT)

    async def _told_to_stop(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    async def _compare(self, admin: AdminClient) -> None:
        """See, all the time, that Kafka does not know of more than the store."""
        while not await self._told_to_stop(0.5):
            await self._compare_once(admin)

    async def _compare_once(self, admin: AdminClient) -> None:
        for group in (f"{self._prefix}-clerk", f"{self._prefix}-cashier"):
            asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
            told = (await asyncio.to_thread(asked.result, 30)).topic_partitions
            handled = await self._positions()
            for each in told:
                self.report.compared += 1
                position = handled.get((group, f"{each.topic}/{each.partition}"), -1)
                self.report.beyond += each.offset > position + 1

    # ---- the end ---------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Wait until everything had its effect, or nothing goes on any more, and count."""
        began = moved = time.monotonic()
        effects = 0
        while time.monotonic() - moved < 40:
            events = await self._store.events.read(limit=10_000_000)
            found: dict[str, list[StoredEvent]] = defaultdict(list)
            for event in events:
                found[event.type].append(event)
            now = len(found["Noted"]) + len(found["Taken"])
            if now != effects:
                effects, moved = now, time.monotonic()
            if effects >= len(found["Deposited"]) + len(self._sent):
                break
            await asyncio.sleep(0.5)
        self.report.drained = moved - began
        await asyncio.sleep(3)  # for an effect that comes twice
        published = await asyncio.to_thread(published_at, self._brokers, f"{self._prefix}.money")
        self._count(await self._store.events.read(limit=10_000_000), published)

    def _count(self, events: Sequence[StoredEvent], published: Mapping[str, int]) -> None:
        report = self.report
        at = {id_text(event.event_id): event.timestamp for event in events}
        times: dict[str, list[int]] = {"Clerk": [], "Cashier": []}
        deposits: list[Pair] = []
        noted: list[Pair] = []
        taken: list[Pair] = []
        for event in events:
            if event.type == "Deposited":
                deposits.append((event.aggregate_id, event.version))
            elif event.type == "Noted":
                noted.append((event.aggregate_id, _data(event)["version"]))
                times["Clerk"].append(event.timestamp)
                cause = orjson.loads(event.metadata)["causation_id"]
                report.slowest = max(report.slowest, (event.timestamp - at[cause]) / 1e6)
                since = published.get(cause, event.timestamp // 1000)
                report.handling = max(report.handling, event.timestamp / 1e6 - since / 1e3)
            elif event.type == "Taken":
                taken.append((event.aggregate_id, _data(event)["number"]))
                times["Cashier"].append(event.timestamp)
        report.events, report.messages = len(deposits), len(self._sent)
        report.count(deposits, noted)
        report.count(self._sent, taken)
        for name, moments in times.items():
            report.pauses[name] = max((b - a for a, b in itertools.pairwise(moments)), default=0) / 1e6
        printed = "".join(server.log.read_text(errors="replace") for server in self._servers)
        seen = Counter(re.findall(r"Clerk: (seen \S+ \d+)", printed))
        report.redelivered = sum(times > 1 for times in seen.values())
        report.rebalances = Counter(re.findall(r"(\w+): \d+ partitions? (?:is|are) here now", printed))
        report.refused = Counter(re.findall(r"(\w+): \S+ is no longer here", printed))
        report.restarts = Counter(re.findall(r"(\w+): .*; trying again", printed))


def published_at(address: str, topic: str) -> dict[str, int]:
    """By the id of an event when it first came to its topic, in milliseconds since 1970 UTC."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": uuid.uuid4().hex})
    try:
        found: dict[str, int] = {}
        parts = [TopicPartition(topic, each, OFFSET_BEGINNING) for each in range(12)]
        count = sum(consumer.get_watermark_offsets(each, 30)[1] for each in parts)
        consumer.assign(parts)
        while count > 0:
            messages = consumer.consume(min(5000, count), 30)
            assert messages, f"{count} records do not come"
            count -= len(messages)
            for message in messages:
                event_id = dict(message.headers())["event_id"].decode()
                found[event_id] = min(found.get(event_id, sys.maxsize), message.timestamp()[1])
        return found
    finally:
        consumer.close()


def _data(event: StoredEvent) -> Any:
    return orjson.loads(event.data)


async def attack(folder: Path, brokers: str, *, seconds: float, rate: float, seed: int) -> Report:
    """Attack a group on a schema of its own of the PostgreSQL that tests share."""
    database = await schema_for("18", folder)
    return await Attack(folder, database, brokers, rate=rate, seed=seed).run(seconds)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="(default: 120)")
    parser.add_argument("--rate", type=float, default=200.0, help="commands per second (default: 200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a new folder for the processes' files and logs")
    options = vars(parser.parse_args())
    print(describe("aiokafka", "asyncpg", "confluent-kafka"), "PostgreSQL 18, Apache Kafka")
    with tempfile.TemporaryDirectory(prefix=".bench-kafka-", dir=Path()) as folder, private_kafka() as server:
        place = options.pop("keep") or Path(folder)
        report = asyncio.run(attack(place.resolve(), server.address, **options))
    print(f"\n{report}\n{'passed' if report.holds else 'FAILED'}")
    sys.exit(0 if report.holds else 1)


if __name__ == "__main__":
    main()
