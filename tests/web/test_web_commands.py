"""`POST /api/commands/{Command}`: what reaches the service, and what each refusal looks like."""

from __future__ import annotations

import uuid

import pytest

from tusk_runtime.errors import (
    Conflict,
    Forbidden,
    IdReused,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    RuleBroken,
    StartFailed,
    StoreUnavailable,
    Unavailable,
    UnknownName,
)
from tusk_runtime.events import command_id_from, id_text

PATH = "/api/commands/PlaceOrder"


async def test_an_accepted_command_answers_what_it_recorded(client, service):
    key = str(uuid.uuid4())
    answer = await client.post(PATH, json={"customer": "ada"}, headers={"idempotency-key": key})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body = answer.json()
    assert body["command_id"] == key
    assert body["events"][0]["event_type"] == "OrderPlaced"
    [(_, call)] = service.calls
    assert call["fields"] == b'{"customer":"ada"}'
    assert call["command_id"] == uuid.UUID(key).bytes


async def test_a_text_names_a_command_id(client, service):
    await client.post(PATH, json={}, headers={"idempotency-key": "order 4711"})
    assert service.calls[0][1]["command_id"] == command_id_from("order 4711")


async def test_a_command_without_a_key_gets_a_fresh_id(client, service):
    await client.post(PATH, json={})
    await client.post(PATH, json={})
    first, second = (call["command_id"] for _, call in service.calls)
    assert first != second


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb", "k\u00e9y"])
async def test_a_key_that_is_no_visible_text_is_refused(client, service, key):
    answer = await client.post(PATH, json={}, headers={"idempotency-key": key.encode("latin-1")})
    assert answer.status_code == 400
    assert answer.json()["type"] == "bad-idempotency-key"
    assert not service.calls


async def test_a_key_of_255_characters_is_taken(client):
    answer = await client.post(PATH, json={}, headers={"idempotency-key": "x" * 255})
    assert answer.status_code == 200


REFUSALS = [
    (UnknownName("no such command", near="PlaceOrder"), 404, "unknown-name"),
    (NotFound("no such order"), 404, "not-found"),
    (Invalid("wrong", errors=[{"field": "a"}]), 422, "invalid"),
    (Forbidden("you may not"), 403, "forbidden"),
    (RuleBroken("already paid", state="paid"), 409, "rule-broken"),
    (IdReused("used before"), 422, "command-id-reused"),
    (Unavailable("starting"), 503, "unavailable"),
    (Overloaded("too many"), 429, "overloaded"),
    (StoreUnavailable("disk full at /secret/path.db"), 503, "unavailable"),
    (Conflict("INSERT INTO secret"), 503, "unavailable"),
    (OutcomeUnknown("lost /secret/path.db"), 503, "outcome-unknown"),
    (StartFailed("secret"), 500, "internal"),
    (KeyError("secret"), 500, "internal"),
    (RecursionError("secret"), 500, "internal"),
]


@pytest.mark.parametrize(("error", "status", "kind"), REFUSALS, ids=lambda value: type(value).__name__)
async def test_each_error_is_a_problem(client, service, error, status, kind):
    service.error = error
    answer = await client.post(PATH, json={"customer": "ada"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == kind
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


async def test_details_stand_beside_the_standard_members_and_never_hide_them(client, service):
    service.error = RuleBroken("already paid", state="paid", status="shipped", type="x")
    problem = (await client.post(PATH, json={})).json()
    assert problem["state"] == "paid"
    assert problem["status"] == 409
    assert problem["type"] == "rule-broken"


async def test_details_without_a_json_form_do_no_harm(client, service):
    service.error = RuleBroken("no \ud800", thing=object())
    answer = await client.post(PATH, json={})
    assert answer.status_code == 409
    assert answer.json()["thing"] == "<object>"


async def test_an_unknown_outcome_names_the_key_to_repeat(client, service):
    service.error = OutcomeUnknown("lost")
    problem = (await client.post(PATH, json={})).json()
    key = id_text(service.calls[0][1]["command_id"])
    assert problem["command_id"] == key
    assert problem["detail"] == f"the outcome is unknown; repeat with the same Idempotency-Key {key}"


async def test_an_internal_error_is_told_by_an_id_that_the_log_explains(client, service, caplog):
    service.error = ZeroDivisionError("secret")
    problem = (await client.post(PATH, json={})).json()
    assert problem["incident"] in caplog.text
    assert "ZeroDivisionError: secret" in caplog.text


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b'{"a": }', 1, 7),
        (b'{"a": 1,\n "b" 2}', 2, 6),
        (b"", 1, 1),
        (b"\xff", 1, 1),
        (b'{"a":"\\ud800"}', 1, None),
    ],
)
async def test_broken_json_is_told_with_its_place(client, body, line, column):
    answer = await client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["type"] == "broken-json"
    assert problem["line"] == line
    assert column is None or problem["column"] == column


async def test_json_of_a_wrong_shape_is_the_services_to_refuse(client):
    answer = await client.post(PATH, content=b"[1]", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_another_media_type_is_refused(client, service, content_type):
    answer = await client.post(PATH, content=b"{}", headers={"content-type": content_type})
    assert answer.status_code == 415
    assert not service.calls


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", None])
async def test_json_is_taken_under_each_of_its_names(client, content_type):
    headers = {} if content_type is None else {"content-type": content_type}
    assert (await client.post(PATH, content=b"{}", headers=headers)).status_code == 200


async def test_a_compressed_body_is_refused(client, service):
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await client.post(PATH, content=b"{}", headers=headers)).status_code == 415
    assert not service.calls


def body_of(size: int) -> bytes:
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_limit_of_a_body_is_exact(client, service, limits, chunked):
    async def pieces(body: bytes):
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    for size, status in ((limits.body, 200), (limits.body + 1, 413)):
        body = body_of(size)
        content = pieces(body) if chunked else body
        answer = await client.post(PATH, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == status
    assert len(service.calls) == 1


@pytest.mark.parametrize(("depth", "status"), [(64, 200), (65, 400)])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
async def test_the_limit_of_nesting_is_exact(client, depth, status, pair):
    inner = pair[0] * (depth - 1) + "1" + pair[1] * (depth - 1)
    body = '{"x":' + inner + "}"
    answer = await client.post(PATH, content=body.encode(), headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert status == 200 or answer.json()["type"] == "too-deep"


async def test_brackets_in_texts_are_no_nesting(client):
    answer = await client.post(PATH, json={"a": "[" * 500 + '\\"{' * 500, "b": [[]] * 500})
    assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b'"' + b'\\"' * 400_000, b"]" * 100_000])
async def test_hostile_nesting_is_refused_quickly(client, body):
    answer = await client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


async def test_an_internal_command_is_nobodys_to_send(client, service):
    answer = await client.post("/api/commands/ExpireOrder", json={})
    assert answer.status_code == 403
    assert not service.calls


async def test_the_hint_for_an_unknown_command_is_passed_on(client):
    answer = await client.post("/api/commands/PlaceOrdr", json={})
    assert answer.status_code == 404
    assert answer.json()["near"] == "PlaceOrder"


async def test_numbers_beyond_json_stay_as_they_were_sent(client, service):
    body = b'{"n": 123456789012345678901234567890}'
    await client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert service.calls[0][1]["fields"] == body
