"""Events of older versions over HTTP: by the name that they have now, with their version, as they are stored."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from apps import application
from web_fakes import BASE, BEARER, TOKEN, Exchange

from tusk_runtime.clock import VirtualClock
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.web import Security, create_app

FIRST = """
[events]
SignedUp: { fields: { mail: "string", name: "string", code: "string", town: "string" } }
Left: {}
[aggregates.Person]
id: "string"
on: { SignedUp: {}, Left: {} }
[commands]
SignUp: { aggregate: "Person", creates: true, fields: { mail: "string", name: "string", code: "string", town: "string" }, emit: "SignedUp" }
Leave: { aggregate: "Person", creates: false, emit: "Left" }
"""
SECOND = """
[events]
Left: {}
[events.Registered]
was: "SignedUp"
version: 2
fields: { email: "string pii", name: "string", code: "string" }
upcast: { 1: { rename: { mail: "email" }, set: { name: "{{ data.code }}" }, remove: "town" } }
[aggregates.Person]
id: "string"
on: { Registered: {}, Left: {} }
[commands]
Register: { aggregate: "Person", creates: true, fields: { email: "string pii", name: "string", code: "string" }, emit: "Registered" }
Leave: { aggregate: "Person", creates: false, emit: "Left" }
"""


@pytest.fixture
async def people() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who signed up and left by the first edition, and somebody who registered by the second."""
    runtime = Runtime(application(FIRST), memory_store(), VirtualClock(1_000_000))
    await runtime.start()
    transport = httpx.ASGITransport(create_app(runtime, Security(TOKEN, ["shop.test"])))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=BEARER) as client:
        first = {"aggregate_id": "a", "mail": "ada@x.test", "name": "Ada", "code": "a1", "town": "Ely"}
        await client.post("/api/commands/SignUp", json=first)
        await client.post("/api/commands/Leave", json={"aggregate_id": "a"})
        await runtime.apply(application(SECOND))
        second = {"aggregate_id": "b", "email": "bob@x.test", "name": "n", "code": "b1"}
        answer = await client.post("/api/commands/Register", json=second)
        assert answer.json()["events"][0]["event_type"] == "Registered"
        yield client
    await runtime.stop()


async def test_an_event_is_shown_by_its_name_and_as_it_is_stored(people: httpx.AsyncClient) -> None:
    """What a step changes is masked: of the first edition nobody said what was personal."""
    shown = [
        (event["event_type"], event["event_version"], event["version"], event["data"])
        for event in (await people.get("/api/events")).json()["events"]
    ]
    assert shown == [
        ("Registered", 1, 1, {"mail": "***", "name": "***", "code": "a1", "town": "***"}),
        ("Left", 1, 2, {}),
        ("Registered", 2, 1, {"email": "***", "name": "n", "code": "b1"}),
    ]


async def test_a_filter_finds_every_version_and_name(people: httpx.AsyncClient) -> None:
    found = (await people.get("/api/events?type=Registered")).json()["events"]
    assert [event["position"] for event in found] == [1, 3]
    assert (await people.get("/api/events?type=SignedUp")).status_code == 404
    assert (await people.get("/api/events?type=Registered@2")).status_code == 404


async def test_the_live_events_do_too(people: httpx.AsyncClient) -> None:
    exchange = Exchange(people._transport.app, "GET", "/api/events/live?after=0&type=Registered")
    exchange.feed(b"", more=False)
    await exchange.until(lambda: exchange.body.count(b"data: ") == 2)
    exchange.leave()
    await exchange.end()
    assert b'"event_type":"Registered","event_version":1' in exchange.body
    assert b'"event_type":"Registered","event_version":2' in exchange.body
    assert b"x.test" not in exchange.body


async def test_without_personal_data_nothing_is_hidden(people: httpx.AsyncClient) -> None:
    service = people._transport.app._service
    await service.apply(application(SECOND.replace(" pii", "")))
    first, *_ = (await people.get("/api/events")).json()["events"]
    assert first["data"] == {"mail": "ada@x.test", "name": "Ada", "code": "a1", "town": "Ely"}
