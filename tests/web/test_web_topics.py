"""Messages from outside over HTTP: taken at once by all who accept them, once, or with the reasons why not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from apps import ACCOUNT, application
from web_fakes import BASE, BEARER, TOKEN, FakeService

from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import OutcomeUnknown, Overloaded
from tusk_runtime.events import Caller, StoredEvent
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.web import Limits, Security, create_app
from tusk_runtime.web.openapi import describe

BANK = """
[consumers.Bank]
accept:
  - topic: "payments"
    when: "{{ message.kind == 'in' }}"
    message: { account: "string", amount: "decimal(min=0.01, places=2)" }
    send: "Deposit"
    with: { aggregate_id: "{{ message.account }}", note: "{{ key ?? '' }} {{ headers['x-from'] ?? '' }}" }
  - topic: "payments"
    when: "{{ message.kind == 'out' }}"
    message: { account: "string", amount: "decimal(min=0.01, places=2)" }
    send: "Withdraw"
    with: { aggregate_id: "{{ message.account }}" }
  - { topic: "payments", when: "{{ message.kind == 'noise' }}", ignore: true }
  - topic: "numbered"
    send: "Deposit"
    with: { aggregate_id: "a", amount: "1" }
    id: "{{ message.number }}"
"""
FEES = """
[consumers.Fees]
accept: [{ topic: "payments", send: "Withdraw", with: { aggregate_id: "a", amount: "1" } }]
"""
IN = {"kind": "in", "account": "a", "amount": "12.50"}


class Place:
    """A running application with an open account `a`, and who has its token."""

    def __init__(self, runtime: Runtime, client: httpx.AsyncClient) -> None:
        self.runtime = runtime
        self.client = client

    async def post(self, value: Any, topic: str = "payments", **headers: str) -> httpx.Response:
        content = value if isinstance(value, bytes) else orjson.dumps(value)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return await self.client.post(f"/api/topics/{topic}", content=content, headers=named)

    async def events(self) -> list[StoredEvent]:
        return list(await self.runtime._store.events.read(1, 1000))


async def started(text: str) -> AsyncIterator[Place]:
    runtime = Runtime(application(text), memory_store(), VirtualClock(1_000_000))
    await runtime.start()
    await runtime.execute("Open", {"owner": "ann"}, aggregate_id="a", caller=Caller("ann"))
    app = create_app(runtime, Security(TOKEN), limits=Limits(body=100_000))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=BEARER) as client:
        yield Place(runtime, client)
    await runtime.stop()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async for each in started(ACCOUNT + BANK):
        yield each


@pytest.fixture
async def both() -> AsyncIterator[Place]:
    """With a second consumer of the same topic."""
    async for each in started(ACCOUNT + BANK + FEES):
        yield each


# ---- what is taken ---------------------------------------------------------------------------------


async def test_a_message_is_taken(place: Place) -> None:
    """And the answer tells by whom, and as which command. Its type is not asked for; the key is in the URL."""
    answer = await place.client.post(
        "/api/topics/payments?key=k1",
        content=orjson.dumps(IN),
        headers={"X-From": "b", "Content-Type": "text/x"},
    )
    (event,) = await place.events()
    assert answer.status_code == 200
    assert set(answer.json()["consumers"]["Bank"]) == {
        "command", "command_id", "aggregate_id", "version", "position",
    }  # fmt: skip
    found = answer.json()["consumers"]["Bank"]
    assert (found["command"], found["aggregate_id"], found["version"]) == ("Deposit", "a", 2)
    assert found["position"] == event.position
    assert orjson.loads(event.data) == {"amount": "12.50", "note": "k1 b"}
    assert orjson.loads(event.metadata)["user_id"] == "consumer Bank"


async def test_a_message_is_ignored(place: Place) -> None:
    """By a rule that says so."""
    answer = await place.post({"kind": "noise"})
    assert (answer.status_code, answer.json()) == (200, {"consumers": {"Bank": {"ignored": True}}})


async def test_all_who_accept_it_take_it(both: Place) -> None:
    """Each as its own command."""
    await both.post(IN)
    answer = await both.post(IN)
    assert {name: each["command"] for name, each in answer.json()["consumers"].items()} == {
        "Bank": "Deposit",
        "Fees": "Withdraw",
    }


@pytest.mark.parametrize("header", ["message-id", "ce-id", "idempotency-key"])
async def test_it_takes_effect_once(place: Place, header: str) -> None:
    """By the header that names it; without one each is another."""
    first = await place.post(IN, **{header: "m1"})
    again = await place.post(IN, **{header: "m1"})
    assert again.json() == first.json()
    assert len(await place.events()) == 1
    await place.post(IN, **{header: "m2"})
    await place.post(IN)
    await place.post(IN, **{header: ""} if header != "idempotency-key" else {})
    assert len(await place.events()) == 4


async def test_a_rule_reads_the_id(place: Place) -> None:
    """Whatever the headers say."""
    for number, key in [(1, "a"), (1, "b"), (2, "a")]:
        answer = await place.post({"number": number}, "numbered", message_id=key)
        assert answer.status_code == 200
    assert len(await place.events()) == 2


# ---- what is not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b"{", "the value of a message of topic `payments` is no JSON"),
        (b"", "is empty: write `null`"),
        (b'{"kind": NaN}', "holds NaN"),
        (b'{"kind": "in", "kind": "out"}', "holds the key 'kind' twice"),
        (b"[" * 5000, "nests deeper than 64 levels"),
        (b'{"kind": "\xff"}', "is no UTF-8"),
        ({"kind": "other"}, "`when` of no rule for topic `payments` fits the message"),
        ({"kind": "in", "account": "a"}, "does not fit: `amount` is required"),
    ],
)
async def test_what_cannot_be_taken_is_told(place: Place, value: Any, detail: str) -> None:
    """As a problem, and nothing of it is kept."""
    answer = await place.post(value)
    assert (answer.status_code, answer.json()["type"]) == (422, "not-accepted")
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]
    assert answer.json()["consumers"] == {"Bank": {"error": answer.json()["detail"]}}
    assert await place.events() == []


async def test_every_wrong_field_is_told(place: Place) -> None:
    answer = await place.post({"kind": "in", "amount": "x"})
    assert [error["field"] for error in answer.json()["errors"]] == ["account", "amount"]


async def test_a_refusal_is_the_commands_own(place: Place) -> None:
    """With its status."""
    answer = await place.post({"kind": "out", "account": "a", "amount": 5})
    assert (answer.status_code, answer.json()["type"]) == (409, "rule-broken")
    assert answer.json()["detail"] == "not enough money"
    answer = await place.post({"kind": "in", "account": "nobody", "amount": 5})
    assert answer.status_code == 404


async def test_an_id_that_comes_with_something_else(place: Place) -> None:
    await place.post(IN, message_id="m1")
    answer = await place.post({**IN, "amount": 1}, message_id="m1")
    assert (answer.status_code, answer.json()["type"]) == (422, "command-id-reused")
    assert "a message of the same id came before" in answer.json()["detail"]


async def test_what_the_others_made_of_it_is_told(both: Place) -> None:
    """Where one cannot take it and another does: to send it again with the same id is safe."""
    await both.post(IN)
    answer = await both.post({"kind": "other"}, message_id="m1")
    assert answer.status_code == 422
    consumers = answer.json()["consumers"]
    assert consumers["Fees"]["command"] == "Withdraw"
    assert "fits the message" in consumers["Bank"]["error"]


async def test_an_unknown_topic(place: Place) -> None:
    """With those that there are."""
    answer = await place.post(IN, "payment")
    assert answer.status_code == 404
    assert answer.json()["topics"] == ["numbered", "payments"]
    assert "payments" in answer.json()["help"]


async def test_what_is_too_large(place: Place) -> None:
    assert (await place.post(b'"' + b"x" * 100_000 + b'"')).status_code == 413


async def test_what_asks_wrongly(place: Place) -> None:
    """A compressed body, an unknown parameter, a key that is none, another method, no token."""
    url = "/api/topics/payments"
    assert (
        await place.client.post(url, content=b"x", headers={"Content-Encoding": "gzip"})
    ).status_code == 415
    assert (await place.client.post(f"{url}?kay=1", json=IN)).status_code == 400
    assert (await place.client.post(url, json=IN, headers={"Idempotency-Key": "x" * 300})).status_code == 400
    assert (await place.client.get(url)).status_code == 405
    del place.client.headers["authorization"]
    assert (await place.client.post(url, json=IN)).status_code == 401
    assert await place.events() == []


async def test_after_an_edit_the_new_rules_hold(place: Place) -> None:
    edited = BANK.replace('"payments"', '"bookings"')
    await place.runtime.apply(application(ACCOUNT + edited))
    assert (await place.post(IN)).status_code == 404
    assert (await place.post(IN, "bookings")).status_code == 200


# ---- the request -----------------------------------------------------------------------------------


async def test_what_of_a_request_is_the_message(client: httpx.AsyncClient, service: FakeService) -> None:
    """Neither what is secret nor what is about the connection; an id of its own if it brings none."""
    answer = await client.post(
        "/api/topics/a.b?key=%C3%A9",
        content=b"not even JSON",
        headers={
            "Cookie": "tusk_session=1",
            "Proxy-Authorization": "x",
            "X-Signature": "s",
            "Connection": "keep-alive, X-Hop",
            "X-Hop": "1",
        },
    )
    assert answer.status_code == 200
    ((_, asked),) = service.calls
    headers = dict(asked["headers"])
    assert (asked["topic"], asked["value"], asked["key"]) == ("a.b", b"not even JSON", "é".encode())
    assert headers["x-signature"] == b"s"
    assert len(headers["message-id"]) == 36
    assert not {"authorization", "cookie", "proxy-authorization", "host", "content-length", "x-hop"} & set(
        headers
    )
    await client.post("/api/topics/a", content=b"1", headers={"Idempotency-Key": " m1 ", "ce-id": "m2"})
    assert "message-id" not in dict(service.calls[-1][1]["headers"])


async def test_what_nobody_knows_is_repeated_by_its_id(
    client: httpx.AsyncClient, service: FakeService
) -> None:
    """An id that was made here is told, so that the same message can come again."""
    service.error = OutcomeUnknown("gone")
    answer = await client.post("/api/topics/a", content=b"1")
    assert answer.status_code == 503
    made = dict(service.calls[-1][1]["headers"])["message-id"].decode()
    assert answer.json()["command_id"] == made
    answer = await client.post("/api/topics/a", content=b"1", headers={"message-id": "m1"})
    assert "command_id" not in answer.json()
    service.error = Overloaded("too many")
    assert (await client.post("/api/topics/a", content=b"1")).status_code == 429


def test_it_is_described() -> None:
    """Where a consumer accepts messages, with its topics."""
    operation = describe(application(ACCOUNT + BANK))["paths"]["/api/topics/{topic}"]["post"]
    assert operation["parameters"][0]["schema"] == {"enum": ["numbered", "payments"]}
    assert "/api/topics/{topic}" not in describe(application(ACCOUNT))["paths"]
