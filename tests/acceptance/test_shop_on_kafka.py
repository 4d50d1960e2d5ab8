"""The shop on PostgreSQL and Kafka: what is ordered over HTTP is on its topic, and another client reads it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from postgres_server import schema_for
from support import Server, copy_of, until

CUSTOMER = "8a5f4f0e-52a3-4d0a-b6c8-54b3c6a2a1d4"
MUGS = {"customer_id": CUSTOMER, "lines": [{"sku": "mug", "quantity": 2, "price": "7.50"}]}


def read(address: str, topic: str, count: int) -> list[Message]:
    """All messages of a topic, of which there are at least so many."""
    options = {"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    consumer = Consumer(options)
    consumer.subscribe([topic])
    found: list[Message] = []
    try:
        while (message := consumer.poll(20.0 if len(found) < count else 1.0)) is not None:
            if message.error() is None:
                found.append(message)
    finally:
        consumer.close()
    assert len(found) >= count
    return found


def headers_of(message: Message) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers()}


@pytest.fixture
async def processes(
    serve: Callable[..., Server], tmp_path: Path, kafka: str
) -> tuple[Server, Server, str, str]:
    """Two processes on one database and one broker, and the prefix of their topics."""
    prefix = f"shop-{uuid.uuid4().hex[:12]}"
    copy_of("shop.tsk", tmp_path)
    file = copy_of("shop_kafka.tsk", tmp_path)
    file.write_text(file.read_text().replace('topic_prefix: "shop"', f'topic_prefix: "{prefix}"'))
    environment = {"DATABASE_URL": await schema_for("18", tmp_path), "KAFKA_BROKERS": kafka}
    one, other = (serve(file, "--no-watch", environment=environment) for _ in range(2))
    await one.start()
    await other.start()
    return one, other, kafka, prefix


async def test_orders_arrive_on_their_topics(processes: tuple[Server, Server, str, str]) -> None:
    """From whichever process, each once, with its bill; what is not for others stays inside."""
    one, other, kafka, prefix = processes

    async def order(server: Server, count: int) -> list[dict[str, Any]]:
        async with server.client() as api:
            answers = [await api.post("/api/commands/PlaceOrder", json=MUGS) for _ in range(count)]
            return [answer.json() for answer in answers]

    placed = [*await order(one, 10), *await order(other, 10)]
    async with one.client() as api:
        user = {"email": "ann@example.com", "name": "Ann"}
        assert (await api.post("/api/commands/CreateUser", json=user)).status_code == 200
        found = await asyncio.to_thread(read, kafka, f"{prefix}.order_events", 20)
        bills = await asyncio.to_thread(read, kafka, f"{prefix}.payment_events", 20)
        parts = (await api.get("/api/status")).json()["parts"]
    wanted = {each["events"][0]["event_id"]: each["aggregate_id"] for each in placed}
    assert {headers_of(each)["event_id"]: each.key().decode() for each in found} == wanted
    assert len(found) == 20
    assert all(orjson.loads(each.value())["total"] == "15.00" for each in found)
    assert sorted(orjson.loads(each.value())["order_id"] for each in bills) == sorted(wanted.values())
    assert {headers_of(each)["causation_id"] for each in bills} == set(wanted)
    topics = (
        await asyncio.to_thread(AdminClient({"bootstrap.servers": kafka}).list_topics, timeout=10)
    ).topics
    assert {name for name in topics if name.startswith(prefix)} == {
        f"{prefix}.order_events",
        f"{prefix}.payment_events",
    }
    assert {part["kind"] for part in parts} >= {"relay", "consumer"}


async def test_another_process_goes_on(processes: tuple[Server, Server, str, str]) -> None:
    """Killed in the middle, the process that publishes leaves nothing behind: all orders arrive, in order."""
    one, other, kafka, prefix = processes
    accepted: set[str] = set()

    async def load(server: Server) -> None:
        async with server.client() as api:
            for _ in range(150):
                answer = await api.post("/api/commands/PlaceOrder", json=MUGS)
                accepted.add(answer.json()["events"][0]["event_id"])

    first = asyncio.create_task(load(one))
    second = asyncio.create_task(load(other))
    await until(lambda: len(accepted) > 60, "orders are placed")
    one.kill()
    with pytest.raises(Exception):  # noqa: B017 - whatever a client says of a server that is gone
        await first
    await second
    found = await asyncio.to_thread(read, kafka, f"{prefix}.order_events", len(accepted))
    ids = [headers_of(each)["event_id"] for each in found]
    assert accepted <= set(ids)
    async with other.client() as api:
        page = (await api.get("/api/events?type=OrderPlaced&limit=1000")).json()["events"]
    assert set(ids) <= {event["event_id"] for event in page}
