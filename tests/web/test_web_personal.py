"""Personal data: masked wherever it is shown, in clear where it was asked for."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from apps import application
from web_fakes import BASE, BEARER, TOKEN, Exchange

from tusk_runtime.clock import VirtualClock
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.web import Security, create_app

PEOPLE = """
[types]
Address: { street: "string pii", city: "string" }

[events]
Registered: { fields: { name: "string(max=20) pii", born: "date? pii", homes: "list<Address>", code: "string" } }
Renamed: { fields: { name: "string pii", times: "integer" } }

[aggregates.Person]
id: "string"
state: { name: "string? pii", homes: "list<Address>?", code: "string?" }
on:
  Registered: { name: "{{ data.name }}", homes: "{{ data.homes }}", code: "{{ data.code }}" }
  Renamed: { name: "{{ data.name }}" }

[commands.Register]
aggregate: "Person"
creates: true
fields: { name: "string(max=20) pii", born: "date? pii", homes: "list<Address>", code: "string(pattern='[a-z]+')" }
require: { check: "{{ command.name != 'Byron' }}", message: "{{ mask(command.name) }} is taken" }
emit: "Registered"

[commands.Rename]
aggregate: "Person"
fields: { name: "string pii" }
emit: [{ event: "Renamed", when: "{{ integer(command.name) > 0 }}", data: { times: 1 } }]

[projections.people]
key: "id"
columns: { id: "string", name: "string pii", code: "string" }
on: { Registered: { insert: { name: "{{ data.name }}", code: "{{ data.code }}" } } }

[projections.names]
key: "name"
columns: { name: "string pii", id: "string" }
on: { Registered: { insert: { name: "{{ data.name }}", id: "{{ event.aggregate_id }}" } } }

[queries.people]
from: "people"
params: { name: "string? pii" }
where: { name: "{{ params.name }}" }
select: { id: "{{ row.id }}", greeting: "Dear {{ row.name }}", code: "{{ row.code }}" }
"""
ADA = {
    "aggregate_id": "a",
    "name": "Lovelace",
    "born": "1815-12-10",
    "homes": [{"street": "St James's Square", "city": "London"}],
    "code": "ada",
}
SECRETS = ("Lovelace", "1815", "James")


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    runtime = Runtime(application(PEOPLE), memory_store(), VirtualClock(1_000_000))
    await runtime.start()
    yield runtime
    await runtime.stop()


@pytest.fixture
async def people(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """The application, asked over HTTP, with one person in it."""
    transport = httpx.ASGITransport(create_app(runtime, Security(TOKEN, ["shop.test"])))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=BEARER) as client:
        answer = await client.post("/api/commands/Register", json=ADA)
        assert answer.status_code == 200
        await runtime.settle()
        yield client


def secrets_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


async def test_browsing_is_masked(people):
    [event] = (await people.get("/api/events")).json()["events"]
    assert event["data"] == {
        "name": "***",
        "born": "***",
        "homes": [{"street": "***", "city": "London"}],
        "code": "ada",
    }
    body = (await people.get("/api/aggregates/Person/a")).json()
    assert body["state"] == {"name": "***", "homes": [{"street": "***", "city": "London"}], "code": "ada"}
    past = await people.get("/api/aggregates/Person/a?version=1")
    assert past.json()["state"] == body["state"]
    assert secrets_in((await people.get("/")).text) == []


async def test_live_events_are_masked(runtime, people):
    exchange = Exchange(people._transport.app, "GET", "/api/events/live?after=0")
    exchange.feed(b"", more=False)
    await exchange.until(lambda: b"data: " in exchange.body)
    exchange.leave()
    await exchange.end()
    assert b'"name":"***"' in exchange.body
    assert secrets_in(exchange.body.decode()) == []


async def test_what_was_asked_for_is_in_clear(runtime, people):
    """Answers, what is stored, and what conditions compare with."""
    body = (await people.get("/api/queries/people?name=Lovelace")).json()
    assert body["rows"] == [{"id": "a", "greeting": "Dear Lovelace", "code": "ada"}]
    [stored] = await runtime.events()
    assert orjson.loads(stored.data)["name"] == "Lovelace"


async def test_null_stays_null(people):
    await people.post("/api/commands/Register", json={**ADA, "aggregate_id": "b", "born": None, "name": "X"})
    [_, event] = (await people.get("/api/events")).json()["events"]
    assert "born" not in event["data"]
    assert event["data"]["name"] == "***"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Lovelace, Countess of the Analytical Engine"}, "`name` must have at most 20 characters"),
        ({"born": "1815-13-10"}, "`born` must be a date, not ***"),
        ({"homes": [{"street": 1815, "city": "London"}]}, "must be a text, not a number"),
        ({"homes": "James Square"}, "must be a list, not a text"),
        ({"homes": ["James Square"]}, "must be an object with the fields of Address, not a text"),
        ({"code": "A1"}, "must match the pattern [a-z]+, not 'A1'"),
    ],
)
async def test_refused_fields_do_not_repeat_it(people, changes, told):
    answer = await people.post("/api/commands/Register", json={**ADA, "aggregate_id": "b", **changes})
    assert answer.status_code == 422
    assert told in answer.text
    assert secrets_in(answer.text) == []


async def test_refused_parameters_do_not_repeat_it(people):
    answer = await people.get("/api/queries/people?name=Lovelace&name=Byron")
    assert answer.status_code == 422
    assert secrets_in(answer.text) == []


async def test_rules_and_failures_do_not_repeat_it(people):
    answer = await people.post("/api/commands/Register", json={**ADA, "aggregate_id": "b", "name": "Byron"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "B*** is taken")
    answer = await people.post("/api/commands/Rename", json={"aggregate_id": "a", "name": "Lovelace"})
    assert answer.status_code == 422
    assert "must be an integer, not ***" in answer.json()["detail"]
    assert answer.json()["values"] == {"command.name": "***"}
    assert secrets_in(answer.text) == []


async def test_a_failed_projection_does_not_repeat_it(runtime, people, caplog):
    """The log, the status and the page name the key's column's place, not the key."""
    with caplog.at_level(logging.DEBUG):
        await people.post("/api/commands/Register", json={**ADA, "aggregate_id": "b"})
        await runtime.settle()
    status = (await people.get("/api/status")).text
    assert "a row with the key *** is there already" in status
    for text in (caplog.text, status, (await people.get("/")).text, (await people.get("/health/ready")).text):
        assert secrets_in(text) == []


async def test_what_is_declared_no_more_is_masked(runtime, people):
    """Nobody knows what of it was personal."""
    gone = PEOPLE.replace(' code: "string" } }\nRenamed', ' codex: "string?" } }\nRenamed')
    gone = gone.replace(', code: "{{ data.code }}"', "").replace('code: "string(', 'codex: "string(')
    gone = gone.replace(', code: "string" }', " }").replace(', code: "{{ row.code }}"', "")
    await runtime.apply(application(gone))
    [event] = (await people.get("/api/events")).json()["events"]
    assert (event["data"]["code"], event["data"]["name"]) == ("***", "***")
    await runtime.apply(
        application(
            """
[events]
Other: { fields: { name: "string pii" } }
[aggregates.Thing]
on: { Other: {} }
"""
        )
    )
    [event] = (await people.get("/api/events")).json()["events"]
    assert set(event["data"].values()) == {"***"}


async def test_nothing_is_masked_where_nothing_is_marked(runtime, people):
    await runtime.apply(application(PEOPLE.replace(" pii", "")))
    [event] = (await people.get("/api/events")).json()["events"]
    assert event["data"]["name"] == "Lovelace"


async def test_the_description_says_what_is_personal(people):
    paths = (await people.get("/openapi.json")).json()["paths"]
    command = paths["/api/commands/Register"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert command["properties"]["name"]["x-pii"] is True
    assert "x-pii" not in command["properties"]["code"]
    assert command["properties"]["homes"]["items"]["properties"]["street"]["x-pii"] is True
    query = paths["/api/queries/people"]["get"]
    rows = query["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["rows"]
    assert [name for name, field in rows["items"]["properties"].items() if "x-pii" in field] == ["greeting"]
    assert query["parameters"][0]["schema"]["x-pii"] is True
    state = paths["/api/aggregates/Person/{id}"]["get"]["responses"]["200"]["content"]["application/json"]
    name = state["schema"]["properties"]["state"]["properties"]["name"]
    assert name["enum"] == ["***", None]
