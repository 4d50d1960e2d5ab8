"""What a right file says of Kafka: brokers, topics, and what is published."""

from __future__ import annotations

import pytest
from model_golden import built, diagnose

from tusk_runtime.model.configuration import Kafka, Sasl, Tls
from tusk_runtime.model.consuming import Consumer

SHOP = """
[events]
Placed: { category: "orders" }
Priced: { publish: false }
Paid: {}
Noted: {}

[event_categories]
description: "What goes out."
orders: ["Priced"]
payments: ["Paid", "Refunded"]
empty: []

[aggregates.Order]
on: { Placed: {}, Priced: {}, Paid: {}, Noted: {}, Refunded: {} }

"""


def kafka(settings: str, config: str = "", store: str = 'streaming: "kafka"') -> Kafka | None:
    return built(
        f"{SHOP}[event_store]\n{store}\n[store_config.kafka]\n{settings}\n[kafka_config]\n{config}\n"
    ).settings.kafka


def on(settings: str, config: str = "") -> Kafka:
    found = kafka(settings, config)
    assert found is not None
    return found


def test_what_is_not_said_has_its_default() -> None:
    topics = {"orders": "orders", "payments": "payments", "empty": "empty"}
    assert on('brokers: "kafka-1:9092"') == Kafka(
        ("kafka-1:9092",), topics, None, 12, None, 1024 * 1024, None, None
    )


def test_what_is_said() -> None:
    assert on(
        'brokers: ["k:1"]\nretention: "7d"\npartitions: 3\nreplication_factor: 2\nmax_record_size: 2MiB\n'
        'tls: { ca: "ca.pem" }\nsasl: { mechanism: "PLAIN", username: "u", password: "p" }\n'
        'topic_prefix: "shop"',
        'topics: "orders"',
    ) == Kafka(
        ("k:1",),
        {"orders": "shop.orders"},
        7 * 86_400,
        3,
        2,
        2 * 1024 * 1024,
        Tls(ca="ca.pem"),
        Sasl("PLAIN", "u", "p"),
    )


@pytest.mark.parametrize("backend", ["sqlite", "in_memory"])
def test_every_backend_can_publish(backend: str) -> None:
    assert kafka('brokers: "k:1"', store=f'streaming: "kafka"\nbackend: "{backend}"') is not None


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ("", {}),
        (
            '[kafka_integration]\nproducer: "async"\nconsumer: "consumer_groups"\nstreaming: "kafka_streams"',
            {},
        ),
        ('[kafka_integration]\nproducer: "sync"', {"pipelined": False}),
        ('[kafka_integration]\nconsumer: "standalone"', {"standalone": True}),
        ("[event_producer]\nasync_producer: false", {"pipelined": False}),
        ("[event_producer]\nbatch_publishing: false", {"batching": False}),
        ("[event_producer]\nerror_handling: false", {"halting": True}),
        ("[event_consumer]\nconsumer_groups: false", {"standalone": True}),
        ("[event_consumer]\noffset_management: false", {"tail": True}),
        (
            '[kafka_integration]\nproducer: "sync"\nconsumer: "standalone"\n'
            "[event_producer]\nasync_producer: false\n[event_consumer]\nconsumer_groups: false",
            {"pipelined": False, "standalone": True},
        ),
    ],
)
def test_how_it_is_written_to_and_read(sections: str, said: dict[str, bool]) -> None:
    assert on('brokers: "k:1"', sections) == on('brokers: "k:1"')._replace(**said)


@pytest.mark.parametrize(
    ("section", "consumer", "parks"),
    [
        ("", "", True),
        ("error_handling: true", "", True),
        ("error_handling: false", "", False),
        ("error_handling: false", "dead_letter: true", True),
        ("error_handling: true", "dead_letter: false", False),
    ],
)
def test_what_consumers_do_that_say_nothing_themselves(section: str, consumer: str, parks: bool) -> None:
    """With Kafka and without; and the consumer is another one where it does something else."""

    def found(section: str) -> Consumer:
        text = (
            f"{SHOP}[event_consumer]\n{section}\n[consumers.C]\non: {{ Placed: {{ log: x }} }}\n{consumer}\n"
        )
        return built(text).consumers["C"]

    assert found(section).dead_letter is parks
    assert (found(section).definition == found("").definition) is (found("").dead_letter is parks)


def test_without_streaming_nothing_is_published() -> None:
    assert kafka('brokers: "k:1"', store='streaming: "in_memory"') is None
    assert kafka("", store="") is None
    assert built(SHOP).settings.kafka is None


@pytest.mark.parametrize(
    ("there", "here", "brokers"),
    [
        ('brokers: "a:1,b:2 , [::1]:3"', "", ("a:1", "b:2", "[::1]:3")),
        ('brokers: ["a:1, b:2", "a:1"]', "", ("a:1", "b:2")),
        ("", 'brokers: "a:1"', ("a:1",)),
        ('brokers: ["b:2", "a:1"]', 'brokers: "a:1, b:2"', ("b:2", "a:1")),
        ("brokers: a:1", "", ("a:1",)),
    ],
)
def test_brokers_stand_in_either_place(there: str, here: str, brokers: tuple[str, ...]) -> None:
    assert on(there, here).brokers == brokers


def test_tls_can_be_switched_off() -> None:
    assert on('brokers: "k:1"\ntls: false').tls is None
    assert on('brokers: "k:1"\ntls: true').tls == Tls()


def test_no_category_may_be_published() -> None:
    assert on('brokers: "k:1"', "topics: []").topics == {}


@pytest.mark.parametrize(
    ("prefix", "category", "good"),
    [
        ("p" * 120, "c" * 128, True),
        ("p" * 120, "c" * 129, False),
        ("", "c" * 249, True),
        ("", "c" * 250, False),
    ],
)
def test_a_topic_has_at_most_249_characters(prefix: str, category: str, good: bool) -> None:
    said = f'topic_prefix: "{prefix}"\n' if prefix else ""
    found = diagnose(
        f'[event_store]\nstreaming: "kafka"\n[store_config.kafka]\nbrokers: "k:1"\n{said}'
        f'[events]\nA: {{ category: "{category}" }}\n[aggregates.X]\non: {{ A: {{}} }}\n'
    )
    assert [d.code for d in found if d.severity == "error"] == ([] if good else ["TSK205"])


def test_events_are_published_with_their_category_unless_they_say_no() -> None:
    events = built(SHOP).events
    assert {name: (event.category, event.publish) for name, event in events.items()} == {
        "Placed": ("orders", True),
        "Priced": ("orders", False),
        "Paid": ("payments", True),
        "Noted": (None, True),
        "Refunded": ("payments", True),
    }


def test_a_password_is_never_shown() -> None:
    found = on('brokers: "k:1"\nsasl: { mechanism: "PLAIN", username: "u", password: "hunter2" }')
    assert found.sasl is not None
    assert found.sasl.password == "hunter2"
    assert "hunter2" not in f"{found!r} {found} {found.sasl} {found.sasl!r}"
    wrong = diagnose(
        '[store_config.kafka]\nbrokers: ["u:hunter2@k:1", "ssl://u:hunter2@k:1"]\nsasl: { password: ["hunter2"] }'
    )
    assert len([d for d in wrong if d.severity == "error"]) == 5
    assert [d for d in wrong if "hunter2" in d.message + d.help] == []
