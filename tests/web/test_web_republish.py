"""Publishing once more over HTTP: from a position, by who has the token."""

from __future__ import annotations

import pytest


async def test_events_are_published_again(client, service):
    answer = await client.post("/api/republish", json={"from": 5})
    assert answer.json() == {"dry_run": False, "from": 5, "count": 7}
    (name, asked), *_ = service.calls
    assert (name, asked["position"], asked["dry_run"]) == ("republish", 5, False)
    assert (await client.post("/api/republish", json={"from": 5, "dry_run": True})).json()["dry_run"] is True
    assert service.calls[-1][1]["dry_run"] is True


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "`from` must be a position"),
        ({"from": 0}, "`from` must be a position"),
        ({"from": "1"}, "`from` must be a position"),
        ({"from": True}, "`from` must be a position"),
        ({"from": 2**63}, "`from` must be a position"),
        ({"from": 1, "dry_run": 1}, "`dry_run` must be true or false"),
        ({"from": 1, "topic": "orders"}, 'write { "from": POSITION }'),
        ([1], 'write { "from": POSITION }'),
    ],
)
async def test_what_is_wrong_is_told(client, service, body, message):
    answer = await client.post("/api/republish", json=body)
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert service.calls == []


async def test_no_json(client):
    answer = await client.post("/api/republish", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
