"""What `accept` and `topics` of a consumer become: rules, topics, where events come from, the definition."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import model_golden
import pytest

from tusk_runtime.expressions import Expression, ExpressionFailed
from tusk_runtime.model.consuming import Accept, Consumer
from tusk_runtime.model.topology import Node, topology_of
from tusk_runtime.types import read_value

BANK = """
[events]
Opened: { fields: { owner: "string" } }
Deposited: { fields: { amount: "decimal(places=2)" } }
Closed: {}
Kept: { category: "accounts", publish: false }
Alone: {}

[event_categories]
accounts: ["Opened", "Closed"]
money: ["Deposited"]

[aggregates.Account]
on: { Opened: {}, Deposited: {}, Closed: {}, Kept: {}, Alone: {} }

[commands]
Open: { aggregate: "Account", creates: true, fields: { owner: "string" }, emit: "Opened" }
Deposit: { aggregate: "Account", fields: { amount: "decimal(places=2)" }, emit: "Deposited" }
Close: { aggregate: "Account", emit: ["Closed", "Kept", "Alone"], internal: true }
"""
KAFKA = """
[event_store]
backend: "in_memory"
streaming: "kafka"
[store_config.kafka]
brokers: "127.0.0.1:9092"
topic_prefix: "bank"
"""
SOMEBODY = "11111111-1111-4111-8111-111111111111"
AT = datetime(2026, 1, 1, tzinfo=UTC)
META = {"tenant_id": None}
PAID = """accept:
  topic: "inbox"
  when: "{{ message.type == 'paid' and message.n > 1 }}"
  message: { account: "uuid", amount: "decimal(places=2)", reference: "string = 'none'", note: "string? pii" }
  send: "Deposit"
  with: { aggregate_id: "{{ message.account }}" }
  id: "{{ message.reference }}"
"""


def consumer(text: str, more: str = "") -> Consumer:
    """The one consumer `c` of the bank, with these lines."""
    return model_golden.built(f"{BANK}{more}\n[consumers.c]\n{text}\n").consumers["c"]


def rule(text: str) -> Accept:
    """The only rule of a consumer."""
    (found,) = consumer(text).accept
    return found


def value(expression: Expression | None, message: Any, **others: Any) -> Any:
    """What an expression of a rule gives for a message."""
    assert expression is not None
    around = {"headers": {}, "key": None, "topic": "inbox", **others}
    assert expression.parameters == ("message", "headers", "key", "topic", "timestamp", "now", "meta")
    return expression(message, around["headers"], around["key"], around["topic"], AT, AT, META)


def test_a_rule_reads_fields_and_sends() -> None:
    found = rule(PAID)
    assert (found.topic, found.command) == ("inbox", "Deposit")
    assert found.message is not None
    assert {name: str(field.type) for name, field in found.message.fields.items()} == {
        "account": "uuid",
        "amount": "decimal",
        "reference": "string",
        "note": "string? pii",
    }
    message = {"account": SOMEBODY, "amount": Decimal("1.50"), "reference": "r-1", "note": None}
    assert value(found.fields, message) == {"amount": Decimal("1.50")}
    assert value(found.target, message) == SOMEBODY
    assert value(found.id, message) == "r-1"


def test_a_condition_sees_the_message_as_it_came() -> None:
    when = rule(PAID).when
    assert value(when, {"type": "paid", "n": 2, "more": [1]}) is True
    assert value(when, {"type": "other"}) is False
    for message in ({}, {"type": "paid"}, None):
        with pytest.raises(ExpressionFailed) as missing:
            value(when, message)
        assert missing.value.missing
    with pytest.raises(ExpressionFailed) as wrong:
        value(when, {"type": "paid", "n": "two"})
    assert not wrong.value.missing


def test_without_fields_the_message_is_json() -> None:
    found = rule(
        """accept: { topic: "t", send: "Open", with: { owner: "{{ message.who[0] }}" }, id: "{{ headers['x'] }}" }"""
    )
    assert found.message is None
    assert found.target is None
    assert value(found.fields, {"who": ["ann"]}) == {"owner": "ann"}
    assert value(found.id, {}, headers={"x": "7"}) == "7"
    with pytest.raises(ExpressionFailed):
        value(found.fields, {"who": [5]})


def test_a_message_is_ignored() -> None:
    assert rule('accept: { topic: "t", ignore: true }')[:7] == ("t", None, None, None, None, None, None)


def test_every_way_to_tell_messages_apart() -> None:
    for text, expected in (
        ("{{ message.id }}", 5),
        ("{{ key ?? '' }}", "k"),
        ("{{ headers['message-id'] }}-{{ topic }}", "m-inbox"),
        ("{{ uuid(message.id) }}", read_value),
    ):
        found = rule(f'accept: {{ topic: "t", send: "Open", with: {{ owner: "x" }}, id: "{text}" }}')
        given = value(found.id, {"id": 5}, key="k", headers={"message-id": "m"})
        assert given == expected or (expected is read_value and len(given) == 36)


INBOX = 'accept: { topic: "inbox", ignore: true }'


def on(*events: str) -> str:
    """`on` with these events."""
    return "on: { " + ", ".join(f'{event}: {{ log: "x" }}' for event in events) + " }\n"


@pytest.mark.parametrize(
    ("text", "on_topics", "topics"),
    [
        (on("Opened"), True, ["bank.accounts"]),
        (on("Opened", "Deposited", "Closed"), True, ["bank.accounts", "bank.money"]),
        (on("Opened") + INBOX, True, ["bank.accounts", "inbox"]),
        (on("Opened", "Kept"), False, []),
        (on("Alone") + INBOX, False, ["inbox"]),
        (INBOX, False, ["inbox"]),
        ('accept: { topic: "money", ignore: true }', False, ["bank.money"]),
        ('topics: ["a", "accounts"]\naccept: [{ ignore: true }]', False, ["a", "bank.accounts"]),
        (on("Opened") + 'topics: ["accounts"]', True, ["bank.accounts"]),
        (on("Opened") + f'topics: ["accounts", "bank.accounts"]\n{INBOX}', True, ["bank.accounts", "inbox"]),
    ],
)
def test_what_is_read_with_kafka(text: str, on_topics: bool, topics: list[str]) -> None:
    found = consumer(text, KAFKA)
    assert (found.on_topics, list(found.topics)) == (on_topics, topics)


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        (on("Opened"), []),
        (on("Opened") + 'topics: ["accounts", "inbox"]', []),
        (on("Alone") + INBOX, ["inbox"]),
        ('topics: ["a", "accounts"]\naccept: [{ topic: "b", ignore: true }]', ["a", "accounts", "b"]),
    ],
)
def test_what_is_taken_without_kafka(text: str, topics: list[str]) -> None:
    found = consumer(text)
    assert (found.on_topics, list(found.topics)) == (False, topics)


def test_a_category_that_is_no_topic_can_be_named_without_kafka() -> None:
    found = consumer(
        'accept: { topic: "all of them", ignore: true }', '[events.Other]\ncategory: "all of them"\n'
    )
    assert found.topics == ("all of them",)


def test_what_is_sent_upon_messages_is_in_the_topology() -> None:
    application = model_golden.built(f"{BANK}[consumers.c]\n{PAID}")
    assert topology_of(application).after(Node("consumer", "c")) == [Node("command", "Deposit")]


def test_the_definition_stays_where_nothing_changes() -> None:
    assert consumer(f'description: "x"\n{PAID}').definition == consumer(PAID).definition


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("n > 1", "n > 2"),
        ("'none'", "'any'"),
        ('"{{ message.reference }}"', '"{{ message.account }}"'),
        ('topic: "inbox"', 'topic: "outbox"'),
        ('fields: { amount: "decimal(places=2)" }, emit', 'fields: { amount: "decimal" }, emit'),
        ("[aggregates.Account]", '[aggregates.Account]\nid: "string"'),
        ('Amount: "decimal(places=2)"', 'Amount: "decimal(places=3)"'),
    ],
    ids=["when", "default", "id", "topic", "command", "aggregate", "named type"],
)
def test_the_definition_changes_with_all_that_decides(before: str, behind: str) -> None:
    text = f'{BANK}[types]\nAmount: "decimal(places=2)"\n[consumers.c]\n'
    text += PAID.replace('amount: "decimal(places=2)"', 'amount: "Amount"')
    assert before in text
    one, other = (model_golden.built(each) for each in (text, text.replace(before, behind, 1)))
    assert one.consumers["c"].definition != other.consumers["c"].definition


def test_the_definition_changes_with_the_topics() -> None:
    """The prefix of topics, and which categories are published, stand elsewhere in the file."""
    text = on("Opened")
    found = {
        consumer(text, more).definition
        for more in (
            "",
            KAFKA,
            KAFKA.replace('"bank"', '"other"'),
            f'{KAFKA}[kafka_config]\ntopics: ["money"]\n',
        )
    }
    # Read from the log it is the same, with Kafka and without.
    assert len(found) == 3


def test_a_condition_that_fails_shows_nothing_personal() -> None:
    """Also one of a rule without such fields: the message may be for the other."""
    text = """accept:
      - { topic: "t", when: "{{ message.n > 5 }}", ignore: true }
      - { topic: "t", when: "{{ message.n == 'none' }}", message: { owner: "string pii" }, send: "Close", with: { aggregate_id: "{{ uuid() }}" } }
    """
    for found in consumer(text).accept:
        with pytest.raises(ExpressionFailed) as failed:
            value(found.when, ["ann"])
        assert "ann" not in str(failed.value) + str(failed.value.values)
    first = consumer(text.replace(" pii", "")).accept[0]
    with pytest.raises(ExpressionFailed) as failed:
        value(first.when, ["ann"])
    assert "ann" in str(failed.value) + str(failed.value.values)


def test_many_rules_and_topics_are_read_quickly() -> None:
    topics = ", ".join(f'"t{i}"' for i in range(5000))
    rules = "\n".join('  - { when: "{{ topic == key }}", ignore: true }' for _ in range(2000))
    text = f"topics: [{topics}]\naccept:\n{rules}\n  - {{ ignore: true }}\n"
    began = time.perf_counter()
    found = consumer(text, KAFKA)
    assert (len(found.topics), len(found.accept)) == (5000, 2001)
    assert time.perf_counter() - began < 10
