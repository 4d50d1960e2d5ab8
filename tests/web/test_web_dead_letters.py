"""Dead letters over HTTP: listed, shown, and settled by who has the token."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from web_fakes import EPOCH, application, letter, record

from tusk_runtime.errors import RuleBroken, UnknownName
from tusk_runtime.following.messages import Message, copied, pack
from tusk_runtime.running.service import LetterPlace
from tusk_runtime.types import Record, Type
from tusk_runtime.web.encoding import time_text
from tusk_runtime.web.openapi import describe

PREFIX = "/api/dead-letters/Greeting"


async def test_letters_are_listed_with_their_sums(client, service):
    service.letters = [letter(7), letter(8, "behind", action=0, attempts=0, error=b"{}")]
    service.next_letter = LetterPlace("Greeting", "orders/0", 8)
    body = (await client.get("/api/dead-letters")).json()
    assert body["letters"][0] == {
        "consumer": "Greeting",
        "source": "",
        "position": 7,
        "place": "7",
        "key": "Order/order-1",
        "standing": "parked",
        "action": 0,
        "attempts": 1,
        "at": time_text(EPOCH),
        "error": {"message": "division by zero", "refused": False},
    }
    assert body["letters"][1]["error"] == {}
    assert body["counts"] == {"Greeting": {"parked": 2}}
    assert service.calls == [
        ("dead_letters", {"consumer": None, "standing": None, "after": None, "limit": 100})
    ]
    service.next_letter = None
    assert (await client.get(f"/api/dead-letters?after={body['next_after']}")).json()["next_after"] is None
    assert service.calls[-1][1]["after"] == LetterPlace("Greeting", "orders/0", 8)


async def test_letters_can_be_chosen(client, service):
    await client.get(
        "/api/dead-letters?consumer=Greeting&standing=parked&standing=refused&after=Greeting//7&limit=2"
    )
    assert service.calls == [
        (
            "dead_letters",
            {
                "consumer": "Greeting",
                "standing": ["parked", "refused"],
                "after": LetterPlace("Greeting", "", 7),
                "limit": 2,
            },
        )
    ]


@pytest.mark.parametrize(
    "query",
    [
        "standing=lost",
        "after=7",
        "after=Greeting",
        "after=Greeting/7",
        "after=Greeting//x",
        "limit=0",
        "limit=1001",
        "consumer=a&consumer=b",
        "consumers=a",
    ],
)
async def test_a_bad_parameter_of_letters_is_a_problem(client, service, query):
    answer = await client.get(f"/api/dead-letters?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert not service.calls


async def test_a_letter_is_shown_with_its_event(client, service):
    service.next()
    service.letters = [letter(1), letter(2)]
    found = (await client.get(f"{PREFIX}/1")).json()
    assert found["event"]["event_type"] == "OrderPlaced"
    assert found["event"]["data"] == {"customer": "ada", "n": 1}
    assert found["error"]["message"] == "division by zero"
    assert (await client.get(f"{PREFIX}/2")).json()["event"] is None


async def test_personal_data_of_the_event_is_masked(client, service):
    customer = service.application.events["OrderPlaced"].fields.fields
    customer["customer"] = customer["customer"]._replace(type=Type("string", pii=True))
    service.next()
    service.letters = [letter(1)]
    answer = await client.get(f"{PREFIX}/1")
    assert answer.json()["event"]["data"]["customer"] == "***"
    assert '"ada"' not in answer.text


MESSAGE = Message(
    "orders",
    0,
    12,
    b"ada\xff",
    b'{"customer": "ada"}\xfe\n',
    EPOCH // 1000,
    (("type", b"new"), ("type", b"\x00")),
)


def of_topic(message: Message = MESSAGE) -> Any:
    found = letter(12, source="orders/0")
    return found._replace(copy=copied("orders/0", 12, pack(message)))


async def test_a_letter_of_a_topic_is_shown_with_its_message(client, service):
    """What is no UTF-8 in it is escaped."""
    service.letters = [of_topic()]
    for path in (f"{PREFIX}/orders/0:12", f"{PREFIX}/orders/0%3A12", f"{PREFIX}/orders%2F0:12"):
        found = (await client.get(path)).json()
        assert (found["source"], found["position"], found["place"]) == ("orders/0", 12, "orders/0:12")
        assert found["event"] is None
        assert found["message"] == {
            "topic": "orders",
            "partition": 0,
            "offset": 12,
            "timestamp": time_text(EPOCH),
            "key": "ada\\xff",
            "headers": [{"name": "type", "value": "new"}, {"name": "type", "value": "\x00"}],
            "value": '{"customer": "ada"}\\xfe\n',
            "size": 21,
            "whole": True,
        }
    assert service.calls[-1] == ("dead_letter", {"consumer": "Greeting", "place": ("orders/0", 12)})


async def test_only_the_beginning_of_a_message_is_shown(client, service):
    service.letters = [of_topic(MESSAGE._replace(value=b"\xff" * 500_000))]
    found = (await client.get(f"{PREFIX}/orders/0:12")).json()["message"]
    assert (len(found["value"]), found["size"], found["whole"]) == (65_536, 500_000, True)


async def test_of_one_that_was_too_large_its_size_is_shown(client, service):
    service.letters = [of_topic(MESSAGE._replace(value=b"x" * 5_000_000))]
    found = (await client.get(f"{PREFIX}/orders/0:12")).json()["message"]
    assert (found["value"], found["size"], found["whole"]) == (None, 5_000_000, False)


@pytest.mark.parametrize("timestamp", [-1, -(2**63), 2**63 - 1])
async def test_a_time_that_is_none_is_shown_as_none(client, service, timestamp):
    service.letters = [of_topic(MESSAGE._replace(timestamp=timestamp, key=None, value=None, headers=()))]
    found = (await client.get(f"{PREFIX}/orders/0:12")).json()["message"]
    assert (found["timestamp"], found["key"], found["value"], found["headers"]) == (None, None, None, [])


@pytest.mark.parametrize("marked", ["event", "state", "command", "message"])
async def test_what_is_in_a_message_is_masked_where_the_file_marks_anything(client, service, marked):
    """Nobody says what others put in: it may be that, too."""
    personal = record("R", customer=Type("string", pii=True))
    rules = [SimpleNamespace(message=None), SimpleNamespace(message=personal)]
    consumer = SimpleNamespace(accept=rules)
    place = service.application.commands["PlaceOrder"]
    match marked:
        case "event":
            service.application.events["OrderPlaced"] = service.application.events["OrderPlaced"]._replace(
                fields=personal
            )
        case "state":
            service.application.aggregates["Order"].state = personal
        case "command":
            place.fields = Record("R", {**place.fields.fields, **personal.fields})
        case _:
            service.application.consumers["Greeting"] = consumer
    service.letters = [of_topic()]
    found = (await client.get(f"{PREFIX}/orders/0:12")).json()["message"]
    assert (found["value"], found["key"]) == ("***", "ada\\xff")
    assert found["headers"] == [{"name": "type", "value": "***"}] * 2
    service.letters = [of_topic(MESSAGE._replace(value=None))]
    assert (await client.get(f"{PREFIX}/orders/0:12")).json()["message"]["value"] is None


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        (f"{PREFIX}/9", 404, "not-found"),
        ("/api/dead-letters/Greting/9", 404, "unknown-name"),
        (f"{PREFIX}/0", 400, "bad-parameter"),
        (f"{PREFIX}/x", 400, "bad-parameter"),
        (f"{PREFIX}/orders/0:9", 404, "not-found"),
        (f"{PREFIX}/orders/0", 400, "bad-parameter"),
        (f"{PREFIX}/orders/0:x", 400, "bad-parameter"),
        (f"{PREFIX}/orders/x:9", 400, "bad-parameter"),
        (f"{PREFIX}/a%20b/0:9", 400, "bad-parameter"),
        (f"{PREFIX}/" + "9" * 5000, 400, "bad-parameter"),
        (f"{PREFIX}/", 404, "not-found"),
        (PREFIX, 404, "not-found"),
    ],
)
async def test_a_letter_that_is_not_there_is_a_problem(client, path, status, kind):
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (status, kind)


@pytest.mark.parametrize("action", ["retry", "drop"])
@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"positions": [7, "9"]}, {"places": [("", 7), ("", 9)], "message": None, "dry_run": False}),
        (
            {"positions": ["orders/0:0", 7]},
            {"places": [("orders/0", 0), ("", 7)], "message": None, "dry_run": False},
        ),
        ({"message": ""}, {"places": None, "message": "", "dry_run": False}),
        ({"all": True, "dry_run": False}, {"places": None, "message": None, "dry_run": False}),
        ({"message": "no", "dry_run": True}, {"places": None, "message": "no", "dry_run": True}),
    ],
)
async def test_letters_are_settled_by_position_by_message_or_all(client, app, service, action, body, asked):
    service.letters = [letter(7)]
    answer = await client.post(f"{PREFIX}/{action}", json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["dry_run"], found["count"], found["letters"][0]["position"]) == (asked["dry_run"], 1, 7)
    [(method, call)] = service.calls
    caller = call.pop("caller")
    assert caller == app._security.caller
    assert (method, call) == ("mark_dead_letters", {"consumer": "Greeting", "action": action, **asked})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ([], ""),
        ({"all": True, "positions": [1]}, ""),
        ({"message": "a", "positions": [1]}, ""),
        ({"dry_run": True}, ""),
        ({"all": False}, "all"),
        ({"all": 1}, "all"),
        ({"positions": []}, "positions"),
        ({"positions": 7}, "positions"),
        ({"positions": ["x"]}, "positions"),
        ({"positions": ["orders:7"]}, "positions"),
        ({"positions": ["orders/0:-1"]}, "positions"),
        ({"positions": [7.0]}, "positions"),
        ({"positions": [None]}, "positions"),
        ({"positions": ["0"]}, "positions"),
        ({"positions": [True]}, "positions"),
        ({"positions": [0]}, "positions"),
        ({"positions": [2**63]}, "positions"),
        ({"positions": list(range(1, 1002))}, "positions"),
        ({"message": None}, "message"),
        ({"all": True, "dry_run": "yes"}, "dry_run"),
        ({"all": True, "dryrun": True}, "dryrun"),
    ],
    ids=str,
)
async def test_a_body_that_says_no_choice_settles_nothing(client, service, body: Any, field: str):
    answer = await client.post(f"{PREFIX}/drop", content=orjson.dumps(body))
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")
    assert answer.json()["errors"][0]["field"] == field
    assert not service.calls


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b'{"all": tru}', {}, 400),
        (b"[" * 100 + b"]" * 100, {}, 400),
        (b'{"all": true}', {"content-type": "text/plain"}, 415),
        (b'{"all": true}', {"content-type": "application/x-ndjson"}, 415),
        (b'{"all": true}', {"content-encoding": "gzip"}, 415),
        (b'{"message": "' + b"x" * 2**20 + b'"}', {}, 413),
    ],
    ids=["empty", "broken", "deep", "text", "many", "compressed", "large"],
)
async def test_a_body_that_is_no_json_settles_nothing(client, service, content, headers, status):
    answer = await client.post(f"{PREFIX}/drop", content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert not service.calls


@pytest.mark.parametrize(
    ("error", "status"),
    [(UnknownName("there is no consumer"), 404), (RuleBroken("it waits", help="settle the first"), 409)],
)
async def test_a_refusal_is_a_problem(client, service, error, status):
    service.error = error
    answer = await client.post(f"{PREFIX}/retry", json={"all": True})
    assert (answer.status_code, answer.json()["detail"]) == (status, error.message)


async def test_only_the_first_thousand_are_shown(client, service):
    service.letters = [letter(number) for number in range(1, 1002)]
    found = (await client.post(f"{PREFIX}/drop", json={"all": True})).json()
    assert (found["count"], len(found["letters"])) == (1001, 1000)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/dead-letters", "GET"),
        ("POST", f"{PREFIX}/7", "GET"),
        ("DELETE", f"{PREFIX}/retry", "POST"),
        ("DELETE", f"{PREFIX}/7", "GET"),
    ],
)
async def test_letters_know_their_methods(client, service, method, path, allowed):
    answer = await client.request(method, path, json={"all": True})
    assert (answer.status_code, allowed in answer.headers["allow"]) == (405, True)
    assert not service.calls


def test_the_description_tells_of_dead_letters():
    paths = describe(application())["paths"]
    assert {path: list(paths[path]) for path in paths if "dead-letters" in path} == {
        "/api/dead-letters": ["get"],
        "/api/dead-letters/{consumer}/{position}": ["get"],
        "/api/dead-letters/{consumer}/{topic}/{place}": ["get"],
        "/api/dead-letters/{consumer}/retry": ["post"],
        "/api/dead-letters/{consumer}/drop": ["post"],
    }
