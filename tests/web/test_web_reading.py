"""Queries, aggregates, events, status and health: what is asked, and what is answered."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from web_fakes import PartStatus

from tusk_runtime.errors import Unavailable
from tusk_runtime.web.encoding import dumps, microseconds_of, time_text


async def test_a_query_answers_rows_and_position(client, service):
    service.rows = [
        {
            "total": Decimal("12.50"),
            "at": datetime(2025, 1, 31, 12, tzinfo=UTC),
            "on": date(2025, 1, 31),
            "took": timedelta(hours=1, seconds=1.5),
            "raw": b"tusk",
        }
    ]
    answer = await client.get("/api/queries/orders?status=open&tag=a&tag=b&tag=c&limit=10&cursor=xyz")
    assert answer.status_code == 200
    body = answer.json()
    assert body["rows"][0]["total"] == "12.50"
    assert body["rows"][0]["at"].startswith("2025-01-31T12:00:00")
    assert body["rows"][0]["took"] == "PT1H1.5S"
    assert body["rows"][0]["raw"] == "dHVzaw=="
    assert (body["position"], body["next_cursor"], body["total"]) == (7, "abc", 42)
    [(_, call)] = service.calls
    assert call["params"] == {"status": "open", "tag": ["a", "b", "c"]}
    assert (call["limit"], call["cursor"], call["wait_for"]) == (10, "xyz", None)


async def test_a_query_can_wait_for_a_position(client, service):
    await client.get("/api/queries/orders", headers={"x-wait-for-position": "17"})
    assert service.calls[0][1]["wait_for"] == 17


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/queries/orders?limit=x", {}),
        ("/api/queries/orders?limit=0", {}),
        ("/api/queries/orders?limit=1&limit=2", {}),
        ("/api/queries/orders?cursor=a&cursor=b", {}),
        ("/api/queries/orders", {"x-wait-for-position": "-1"}),
        ("/api/queries/orders", {"x-wait-for-position": "1_000"}),
        ("/api/queries/orders?a=%ff", {}),
        ("/api/events?after=-1", {}),
        ("/api/events?after=1e3", {}),
        ("/api/events?after=99999999999999999999", {}),
        ("/api/events?after=٣", {}),
        ("/api/events?limit=1001", {}),
        ("/api/events?limit=0", {}),
        ("/api/events?after=1&after=2", {}),
        ("/api/events?correlation_id=x", {}),
        ("/api/events?backwards=yes", {}),
        ("/api/events?typ=OrderPlaced", {}),
        ("/api/events/live?after=x", {}),
        ("/api/events/live", {"last-event-id": "x"}),
        ("/api/aggregates/Order/1?version=x", {}),
        ("/api/aggregates/Order/1?at=yesterday", {}),
        ("/api/aggregates/Order/1?version=1&at=2025-01-01", {}),
    ],
)
async def test_a_bad_parameter_is_a_problem(client, service, path, headers):
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert not service.calls


async def test_an_unknown_parameter_is_refused_with_its_neighbour(client):
    problem = (await client.get("/api/events?aggregat_id=1")).json()
    assert problem["type"] == "unknown-parameter"
    assert "Did you mean aggregate_id?" in problem["detail"]


async def test_a_long_query_string_is_refused(client, limits):
    assert (await client.get("/api/queries/orders?a=" + "x" * (limits.query_string - 2))).status_code == 200
    assert (await client.get("/api/queries/orders?a=" + "x" * (limits.query_string - 1))).status_code == 414


async def test_an_unknown_query_is_not_found(client):
    answer = await client.get("/api/queries/nothing")
    assert (answer.status_code, answer.json()["type"]) == (404, "unknown-name")


async def test_an_aggregate_answers_its_state(client, service):
    answer = await client.get("/api/aggregates/Order/order%2F1")
    assert answer.json() == {
        "aggregate_type": "Order",
        "aggregate_id": "order/1",
        "version": 3,
        "position": 9,
        "state": {"status": "open"},
    }
    await client.get("/api/aggregates/Order/1?version=2")
    assert service.calls[-1][1]["version"] == 2


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-01T00:00:01Z",
        "2025-01-01T01:00:01+01:00",
        "2025-01-01T01:00:01%2B01:00",
        "2025-01-01T00:00:01",
    ],
)
async def test_an_aggregate_as_it_was_at_a_time(client, service, text):
    await client.get(f"/api/aggregates/Order/1?at={text}")
    assert service.calls[0][1]["at"] == 1_735_689_601_000_000


async def test_an_aggregate_that_is_not_there(client):
    answer = await client.get("/api/aggregates/Order/nobody")
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


async def test_events_are_a_page_of_the_log(client, service):
    for number in range(5):
        service.next(data={"n": number})
    body = (await client.get("/api/events?after=2&limit=2")).json()
    assert [event["position"] for event in body["events"]] == [3, 4]
    assert body["next_after"] == 4
    event = body["events"][0]
    stored = service.log[2]
    assert event["event_id"] == str(uuid.UUID(bytes=stored.event_id))
    assert event["timestamp"] == "2025-01-01T00:00:03.000000Z"
    assert event["data"] == {"n": 2}
    assert event["metadata"] == {
        "user_id": None,
        "command_id": str(uuid.UUID(bytes=stored.command_id)),
        "correlation_id": str(uuid.UUID(bytes=stored.correlation_id)),
    }


async def test_events_can_be_chosen(client, service):
    correlation = uuid.uuid4()
    path = f"/api/events?type=A&type=B&aggregate_id=o1&correlation_id={correlation}&backwards=true"
    body = (await client.get(path)).json()
    assert body == {"events": [], "next_after": 0}
    call = service.calls[0][1]
    assert call["types"] == ["A", "B"]
    assert call["correlation_id"] == correlation.bytes
    assert (call["aggregate_id"], call["backwards"], call["limit"]) == ("o1", True, 100)


async def test_health_and_status_tell_the_parts(client, service):
    assert (await client.get("/health/live")).json() == {"status": "live"}
    answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert [part["name"] for part in answer.json()["parts"]] == ["commands", "orders"]
    status = (await client.get("/api/status")).json()
    assert status["application"] == "shop"
    assert status["parts"][1]["lag"] == 0
    service.parts.append(PartStatus("broken", "projection", "failed", error="why"))
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["parts"][2]["error"] == "why"


async def test_what_does_not_answer_is_not_ready(client, service):
    service.error = Unavailable("it starts")
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "it starts"
    assert (await client.get("/api/status")).status_code == 503


@pytest.mark.parametrize(
    "path", ["/nothing", "/api", "/api/events/", "/static/../app.py", "/static/x", "/api/queries/"]
)
async def test_an_unknown_path_is_a_problem(client, path):
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/commands/PlaceOrder", "POST"),
        ("DELETE", "/api/events", "GET"),
        ("POST", "/api/events/live", "GET"),
        ("HEAD", "/api/events/live", "GET"),
        ("PUT", "/", "GET"),
    ],
)
async def test_a_wrong_method_says_which_are_right(client, method, path, allowed):
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert allowed in answer.headers["allow"]


def test_times_are_exact_to_the_microsecond():
    for microseconds in (0, 1, 1_735_689_600_123_456, 253_402_300_799_999_999):
        assert microseconds_of(time_text(microseconds)) == microseconds


def test_mappings_of_any_kind_are_objects():
    from types import MappingProxyType

    assert dumps(MappingProxyType({"a": Decimal("1.0")})) == b'{"a":"1.0"}'
