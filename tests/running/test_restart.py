"""Which settings an edit cannot change while the application runs."""

from __future__ import annotations

import pytest

from tusk_runtime.model.configuration import Kafka, Sasl, Settings, Tls
from tusk_runtime.running.backends import needs_restart

KAFKA = Kafka(("kafka-1:9092",), {"orders": "orders"})
SASL = Sasl("PLAIN", "shop", "secret")


def settings(kafka: Kafka | None) -> Settings:
    return Settings("shop", "1", "shop", kafka=kafka)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (None, None, []),
        (None, KAFKA, ["[event_store] streaming"]),
        (KAFKA, None, ["[event_store] streaming"]),
        (KAFKA, KAFKA._replace(brokers=("kafka-2:9092",)), ["`brokers` of Kafka"]),
        (KAFKA, KAFKA._replace(tls=Tls(), sasl=SASL), ["`tls` of Kafka", "`sasl` of Kafka"]),
        (KAFKA._replace(sasl=SASL), KAFKA._replace(sasl=SASL._replace(password="x")), ["`sasl` of Kafka"]),
        (KAFKA, KAFKA._replace(topics={}, retention=60.0, max_record_size=1), []),
    ],
)
def test_of_kafka(old: Kafka | None, new: Kafka | None, told: list[str]) -> None:
    assert needs_restart(settings(old), settings(new)) == told
