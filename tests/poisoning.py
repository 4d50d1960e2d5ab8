"""Messages for a consumer's `accept`, some of which nobody can read: what becomes of them is checked to the last one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tusk_runtime.store.deliveries import Letter, Place
from tusk_runtime.store.protocol import EventStore, Store

PARTITIONS = 12
KEYS = 1000
GROUP = "deposits"
LARGE = 5_000_000
"""Bytes of the value of a message that is too large."""
MODEL = """
[events]
Deposited: { fields: { amount: "decimal(places=2)", number: "integer" } }
[aggregates.Account]
id: "string"
state: { deposits: "integer = 0" }
on: { Deposited: { deposits: "{{ state.deposits + 1 }}" } }
[commands]
Deposit: { aggregate: "Account", creates: "either", fields: { amount: "decimal(places=2)", number: "integer" }, emit: "Deposited" }
[event_store]
streaming: "kafka"
[store_config]
kafka: { brokers: "ADDRESS" }
"""
CONSUMER = """
[consumers.Deposits]
group: "deposits"
topics: ["TOPIC"]
concurrency: 64
accept: [
  { when: "{{ message.type == 'deposit' }}", message: { account: "string", amount: "decimal(places=2)", number: "integer" }, send: "Deposit", with: { aggregate_id: "{{ message.account }}" } },
  { when: "{{ message.type == 'note' }}", ignore: true }
]
"""


class Kind(NamedTuple):
    """A kind of messages that cannot be taken: one for a key, and what its letter says."""

    make: Callable[[bytes], bytes | None]
    reason: str


def _deposit(amount: bytes) -> Callable[[bytes], bytes]:
    return lambda key: b'{"type":"deposit","account":"%s","amount":%s,"number":0}' % (key, amount)


TOO_LARGE = Kind(
    lambda key: b'{"type":"deposit","account":"%s","note":"%s"}' % (key, b"x" * LARGE), "1048576 are taken"
)
KINDS: Mapping[str, Kind] = {
    "bad bytes": Kind(_deposit(b'"\xff\xfe"'), "is no UTF-8: the byte 0xff"),
    "bad JSON": Kind(lambda key: b'{"type":"deposit","account":"%s",' % key, "is no JSON"),
    "depth 10,000": Kind(lambda _: b"[" * 10_000 + b"]" * 10_000, "nests deeper than"),
    "NaN": Kind(_deposit(b"NaN"), "holds NaN, which JSON has not"),
    "huge integer": Kind(_deposit(b"9" * 1000), "an integer of more than 64 bits"),
    "doubled key": Kind(
        lambda key: b'{"type":"deposit","account":"%s","amount":"1","amount":"2","number":0}' % key,
        "holds the key 'amount' twice",
    ),
    "null": Kind(lambda _: b"null", "`when` of no rule"),
    "nothing": Kind(lambda _: None, "`when` of no rule"),
    "empty": Kind(lambda _: b"", "is empty"),
    "unknown type": Kind(lambda _: b'{"type":"riddle"}', "`when` of no rule"),
    "missing key": Kind(
        lambda key: b'{"account":"%s","amount":"1.25","number":0}' % key, "`when` of no rule"
    ),
    "missing field": Kind(lambda key: b'{"type":"deposit","account":"%s"}' % key, "does not fit"),
}


class Written(NamedTuple):
    """What stands in a topic: by account the numbers of the good messages in their order, and where each of the
    others stands, with its kind."""

    good: Mapping[str, list[int]]
    bad: Mapping[Place, Kind]


def messages(count: int, bad: int, large: int) -> Iterator[tuple[bytes, bytes | None, Kind | None]]:
    """So many messages (key, value, kind of a bad one), of which `bad` are bad, and `large` of these too large.

    The bad ones are spread evenly, and have the keys of good ones.
    """
    kinds, made = list(KINDS.values()), 0
    for number in range(count):
        key = b"account-%d" % (number * 7919 % KEYS)
        if (number + 1) * bad // count == number * bad // count:
            yield key, b'{"type":"deposit","account":"%s","amount":"1.25","number":%d}' % (key, number), None
            continue
        is_large = (made + 1) * large // bad != made * large // bad
        kind = TOO_LARGE if is_large else kinds[made % len(kinds)]
        made += 1
        yield key, kind.make(key), kind


def write(address: str, topic: str, given: Iterable[tuple[bytes, bytes | None, Kind | None]]) -> Written:
    """Make a topic that takes large messages, and write messages to it as somebody else does."""
    admin = AdminClient({"bootstrap.servers": address})
    config = {"max.message.bytes": str(2 * LARGE)}
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=config)])[topic].result(30)
    producer = Producer({
        "bootstrap.servers": address, "message.max.bytes": 2 * LARGE, "linger.ms": 5, "enable.idempotence": True,
        "queue.buffering.max.messages": 1_000_000,
    })  # fmt: skip
    good: dict[str, list[int]] = defaultdict(list)
    bad: dict[Place, Kind] = {}

    def placed(kind: Kind) -> Callable[[Any, Any], None]:
        def on_delivery(error: Any, message: Any) -> None:
            assert error is None, error
            bad[f"{topic}/{message.partition()}", message.offset()] = kind

        return on_delivery

    for key, value, kind in given:
        if kind is None and value is not None:
            found = orjson.loads(value)
            good[found["account"]].append(found["number"])
        producer.produce(topic, value, key, on_delivery=None if kind is None else placed(kind))
        producer.poll(0)
    assert producer.flush(60) == 0
    return Written(good, bad)


async def check(store: Store, written: Written, group: str = GROUP) -> None:
    """Every good message gave one event, in order by account, and every other one letter, with its reason."""
    assert await _numbers(store.events) == written.good
    letters: list[Letter] = []
    while page := await store.deliveries.letters(
        group, after=letters[-1][:2] if letters else ("", -1), messages=False
    ):
        letters += page
    places = [(letter.source, letter.position) for letter in letters]
    assert len(places) == len(set(places))
    assert set(places) == set(written.bad)
    for letter in letters:
        assert letter.standing == "refused"
        reason = orjson.loads(letter.error)["message"]
        assert written.bad[letter.source, letter.position].reason in reason, reason


async def _numbers(events: EventStore) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    position = 0
    while page := await events.read(position, 5000):
        for event in page:
            found[event.aggregate_id].append(orjson.loads(event.data)["number"])
        position = page[-1].position
    return found
