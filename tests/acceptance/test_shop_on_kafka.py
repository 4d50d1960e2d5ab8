"""The shop on PostgreSQL and Kafka: what is ordered over HTTP is on its topic, and another client reads it."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from postgres_server import schema_for
from support import Server, copy_of, until

from tests.bus.topics import make_topic, write_to
from tests.cli.command_line import tusk

CUSTOMER = "8a5f4f0e-52a3-4d0a-b6c8-54b3c6a2a1d4"
PARTITIONS = 12
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


class Shop(NamedTuple):
    """Two processes on one database and one broker, each with the page of its own, and the names that are theirs."""

    one: Server
    other: Server
    kafka: str
    prefix: str
    inbox: str

    async def place(self, server: Server, count: int) -> list[dict[str, Any]]:
        """Place orders."""
        async with server.client() as api:
            answers = [await api.post("/api/commands/PlaceOrder", json=MUGS) for _ in range(count)]
            return [answer.json() for answer in answers]

    async def events(self, event_type: str) -> list[dict[str, Any]]:
        """All events of a type."""
        async with self.other.client() as api:
            page = await api.get(f"/api/events?type={event_type}&limit=1000")
            found: list[dict[str, Any]] = page.json()["events"]
            return found

    async def part(self, server: Server, consumer: str) -> dict[str, Any]:
        """How a consumer is in one process."""
        async with server.client() as api:
            parts = (await api.get("/api/status")).json()["parts"]
        return next(part for part in parts if part["name"] == consumer)

    async def partitions(self, consumer: str = "Billing") -> tuple[int, int]:
        """How many partitions each process has for a consumer."""
        one, other = [await self.part(server, consumer) for server in (self.one, self.other)]
        return int(one["detail"].split()[0]), int(other["detail"].split()[0])

    async def shared(self) -> bool:
        """Whether each process has some of the partitions of every consumer, and both together all."""
        found = [await self.partitions(consumer) for consumer in ("Billing", "Clerk", "PaymentProvider")]
        return all(min(each) > 0 and sum(each) == PARTITIONS for each in found)

    async def billed(self, orders: Collection[str]) -> bool:
        """Whether there are as many bills as orders."""
        return len(await self.events("PaymentInitiated")) >= len(orders)


@pytest.fixture
async def shop(serve: Callable[..., Server], tmp_path: Path, kafka: str) -> Shop:
    """It runs, and its topic for messages from outside is there."""
    prefix = f"shop-{uuid.uuid4().hex[:12]}"
    inbox = f"inbox-of-{prefix}"
    environment = {"DATABASE_URL": await schema_for("18", tmp_path), "KAFKA_BROKERS": kafka}
    make_topic(kafka, inbox, PARTITIONS)
    servers = []
    for name in ("one", "other"):
        copy_of("shop.tsk", tmp_path / name)
        file = copy_of("shop_kafka.tsk", tmp_path / name)
        text = file.read_text().replace('topic_prefix: "shop"', f'topic_prefix: "{prefix}"')
        text = re.sub(r"(?m)^(\[consumers\.(\w+)\])$", rf'\1\ngroup: "{prefix}-\2"', text)
        file.write_text(text.replace("payments.inbox", inbox))
        servers.append(serve(file, "--no-watch", environment=environment))
        await servers[-1].start()
    return Shop(*servers, kafka, prefix, inbox)


async def test_orders_arrive_on_their_topics(shop: Shop) -> None:
    """From whichever process, each once, with its bill; what is not for others stays inside."""
    one, other, kafka, prefix, _ = shop
    placed = [*await shop.place(one, 10), *await shop.place(other, 10)]
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


async def test_another_process_goes_on(shop: Shop) -> None:
    """Killed in the middle, the process that publishes leaves nothing behind: all orders arrive, in order."""
    one, other, kafka, prefix, _ = shop
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


async def test_what_the_payment_provider_writes(shop: Shop) -> None:
    """Its messages are commands, each once by its id; what cannot be one is a dead letter with all that it was."""
    placed = await shop.place(shop.one, 2)
    orders = {each["aggregate_id"] for each in placed}
    await until(lambda: shop.billed(orders), "both orders are billed", 30)
    taken, failed = sorted(event["aggregate_id"] for event in await shop.events("PaymentInitiated"))

    def message(number: str, **fields: str) -> tuple[str, str, dict[str, str]]:
        return "k-17", json.dumps(fields), {"message-id": number, "x-origin": "tests"}

    odd = message("4", type="failed", payment="no id")
    messages = [
        message("1", type="succeeded", payment=taken),
        message("1", type="succeeded", payment=taken),
        message("2", type="failed", payment=failed, reason="no money"),
        message("3", type="statement"),
        odd,
        message("1", type="succeeded", payment=taken),
    ]
    await asyncio.to_thread(write_to, shop.kafka, shop.inbox, *messages)
    async with shop.other.client() as api:

        async def letters() -> list[dict[str, Any]]:
            page = (await api.get("/api/dead-letters?consumer=PaymentProvider")).json()
            found: list[dict[str, Any]] = page["letters"]
            return found

        (letter,) = await until(letters, "there is a letter", 30)

        async def handled() -> bool:
            parts = [await shop.part(server, "PaymentProvider") for server in (shop.one, shop.other)]
            return all(part["lag"] == 0 for part in parts) and bool(await shop.events("PaymentFailed"))

        await until(handled, "all messages are handled", 30)
        shown = (await api.get(f"/api/dead-letters/PaymentProvider/{letter['place']}")).json()["message"]
        rows = [
            (await api.get(f"/api/queries/payments_of_order?order_id={order}")).json()["rows"]
            for order in orders
        ]
    assert [event["aggregate_id"] for event in await shop.events("PaymentProcessed")] == [taken]
    assert [event["data"] for event in await shop.events("PaymentFailed")] == [{"reason": "no money"}]
    assert sorted(row["status"] for (row,) in rows) == ["failed", "processed"]
    assert (letter["standing"], letter["source"].rpartition("/")[0]) == ("refused", shop.inbox)
    assert "payment" in letter["error"]["message"]
    assert (shown["key"], shown["value"]) == odd[:2]
    assert {header["name"]: header["value"] for header in shown["headers"]} == odd[2]
    done = await asyncio.to_thread(
        tusk, "dlq", "show", "PaymentProvider", letter["place"], cwd=shop.one.file.parent
    )
    for text in (
        "k-17",
        "header x-origin: tests",
        "header message-id: 4",
        odd[1],
        letter["error"]["message"],
    ):
        assert text in done.stdout


async def test_two_processes_share_a_group(shop: Shop) -> None:
    """Both handle what comes; one is killed, the other has all within 15 seconds; nothing is lost or doubled."""
    await until(shop.shared, "each process has some of the partitions", 30)
    orders = [each["aggregate_id"] for each in await shop.place(shop.one, 40)]
    async with shop.one.client() as api:
        for order in orders:
            await api.post("/api/commands/CancelOrder", json={"aggregate_id": order, "reason": "mind"})

    def told(server: Server) -> list[str]:
        return re.findall(r"order (\S+) was cancelled", server.printed())

    await until(lambda: len(told(shop.one)) + len(told(shop.other)) >= 40, "the clerk told of all orders", 30)
    assert sorted(told(shop.one) + told(shop.other)) == sorted(orders)
    assert told(shop.one)
    assert told(shop.other)

    placing = asyncio.create_task(shop.place(shop.other, 100))
    await asyncio.sleep(0.5)
    shop.one.kill()
    begin = time.monotonic()

    async def has_all() -> bool:
        return (await shop.part(shop.other, "Billing"))["detail"].startswith(f"{PARTITIONS} partitions")

    await until(has_all, "the other process has all partitions", 30)
    assert time.monotonic() - begin < 15
    orders += [each["aggregate_id"] for each in await placing]
    await until(lambda: shop.billed(orders), "all orders are billed", 30)
    await shop.one.start()
    await until(shop.shared, "each process has some of the partitions again", 30)
    orders += [each["aggregate_id"] for each in await shop.place(shop.one, 20)]
    await until(lambda: shop.billed(orders), "all orders are billed", 30)
    bills = Counter(event["data"]["order_id"] for event in await shop.events("PaymentInitiated"))
    assert bills == Counter(orders)
    assert set(bills.values()) == {1}
