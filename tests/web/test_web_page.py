"""`/`, its static files and `/openapi.json`."""

from __future__ import annotations

import json
import shlex
from types import SimpleNamespace

import pytest
from web_fakes import BEARER, FakeService, PartStatus, application, command, query

from tusk_runtime.errors import Unavailable
from tusk_runtime.types import Type
from tusk_runtime.web.examples import examples_of
from tusk_runtime.web.openapi import describe
from tusk_runtime.web.routes.page import ASSETS, uptime_text

XSS = [
    "<script>window.hacked=1</script>",
    '"><img src=x onerror=window.hacked=1>',
    "'><svg/onload=window.hacked=1>",
    "{{ 7*7 }}{% raw %}",
    "javascript:window.hacked=1",
    "</pre></code></style><script>window.hacked=1</script>",
    "&lt;script&gt;",
]


async def test_the_page_shows_what_runs(client, service):
    service.parts.append(
        PartStatus("broken", "projection", "failed", position=3, lag=1234, error="why it failed")
    )
    answer = await client.get("/")
    assert answer.status_code == 200
    text = answer.text
    for shown in (
        "shop",
        "1.2.0",
        "memory",
        "orders",
        "why it failed",
        "1\u202f234",
        "PlaceOrder",
        "count_of_orders",
    ):
        assert shown in text
    assert "ExpireOrder" not in text
    assert "No events yet." in text
    assert 'id="rejected" role="alert" aria-labelledby="rejected-title" hidden' in text


async def test_a_refused_edit_is_shown_as_it_was_printed(client, service):
    service.rejected = "error: <unknown> field\n  --> shop.tsk:3:4"
    text = (await client.get("/")).text
    assert "error: &lt;unknown&gt; field\n  --&gt; shop.tsk:3:4</pre>" in text


async def test_the_page_is_strict_with_the_browser(client, stranger):
    for answer in (await client.get("/"), await stranger.get("/")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        # The policy forbids them, so that they would silently do nothing.
        assert " style=" not in answer.text
        assert " onclick=" not in answer.text
        assert answer.text.count("<script") == answer.text.count('<script src="/static/')


@pytest.mark.parametrize("payload", XSS)
async def test_names_and_texts_are_inert_in_the_page(client, service, payload):
    app = service.application
    app.name = app.version = payload
    app.commands = {payload: command(payload, text=Type("enum", values=(payload,)))}
    app.commands[payload].description = payload
    app.queries = {payload: query(payload, text=Type("enum", values=(payload,)))}
    app.events = {payload: SimpleNamespace(name=payload)}
    service.parts = [PartStatus(payload, payload, payload, error=payload, detail=payload)]
    service.rejected = payload
    text = (await client.get("/")).text
    if "<" in payload or '"' in payload:
        assert payload not in text
    assert "{{" not in payload or "{{ 7*7 }}" in text
    assert text.count("<script") == 2
    assert "<img src=x" not in text
    assert "<svg" not in text
    assert 'href="javascript' not in text


async def test_a_page_that_has_nothing_to_show_yet_comes_back(client, service):
    service.error = Unavailable("it starts")
    answer = await client.get("/")
    assert answer.status_code == 503
    assert "it starts" in answer.text
    assert answer.headers["refresh"] == "2"


async def test_without_a_token_the_page_says_how_to_open_it(stranger):
    answer = await stranger.get("/")
    assert answer.status_code == 401
    assert "prints a link" in answer.text
    assert "shop" not in answer.text


@pytest.mark.parametrize("name", ASSETS)
async def test_a_static_file_is_kept_until_it_changes(stranger, name):
    answer = await stranger.get(f"/static/{name}")
    assert answer.headers["cache-control"] == "no-cache"
    etag = answer.headers["etag"]
    answer = await stranger.get(f"/static/{name}", headers={"if-none-match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    answer = await stranger.get(f"/static/{name}?v={ASSETS[name].digest}")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.content == ASSETS[name].content


@pytest.mark.parametrize("name", ["tusk.js", "tail.js"])
def test_scripts_make_no_markup_from_texts(name):
    script = ASSETS[name].content.decode()
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert forbidden not in script


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/tusk.css/",
        "/static/",
        "/static/TUSK.CSS",
        "/static/a%00",
    ],
)
async def test_no_address_becomes_a_path(stranger, path):
    answer = await stranger.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59.9, "59 s"), (61, "1 m 1 s"), (3600, "1 h 0 m"), (90061, "1 d 1 h")],
)
def test_uptime_has_two_units(seconds, text):
    assert uptime_text(seconds) == text


def words_of(curl: str) -> list[str]:
    # A shell joins continued lines before it looks for words; shlex does not.
    return shlex.split(curl.replace("\\\n", ""))


def test_calls_can_be_pasted_into_a_shell():
    commands, queries = examples_of(application(), "http://127.0.0.1:8080")
    assert [example.name for example in commands] == ["PlaceOrder", "PayOrder", "AddNote"]
    words = words_of(commands[0].curl)
    assert words[:2] == ["curl", "http://127.0.0.1:8080/api/commands/PlaceOrder"]
    assert "Authorization: Bearer $TUSK_TOKEN" in words
    assert json.loads(words[-1]) == {"customer": "text", "lines": [{"sku": "text", "count": 1}]}
    assert json.loads(words_of(commands[1].curl)[-1]) == {"aggregate_id": "an-id", "amount": "1.00"}
    assert json.loads(words_of(commands[2].curl)[-1]) == {"aggregate_id": "an-id", "text": "text"}
    assert words_of(queries[0].curl)[1] == "http://127.0.0.1:8080/api/queries/orders?status=open"
    assert BEARER["authorization"] not in commands[0].curl


@pytest.mark.parametrize("payload", [*XSS, "'; rm -rf /; '", "$(id)", "`id`", "a\nb"])
def test_no_name_or_value_gets_out_of_its_quotes(payload):
    app = application()
    app.commands = {"C": command("C", text=Type("enum", values=(payload,)))}
    app.queries = {"q": query("q", text=Type("enum", values=(payload,)))}
    commands, queries = examples_of(app, "http://127.0.0.1:8080")
    assert json.loads(words_of(commands[0].curl)[-1])["text"] == payload
    assert len(words_of(queries[0].curl)) == 4


# OpenAPI


async def test_the_description_is_served_and_follows_a_reload(client, service):
    document = (await client.get("/openapi.json")).json()
    assert document["info"] == {"title": "shop", "version": "1.2.0"}
    service.application = application()
    service.application.version = "2.0.0"
    assert (await client.get("/openapi.json")).json()["info"]["version"] == "2.0.0"


def walk(value, path=()):
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))


def test_the_description_is_valid_openapi():
    document = describe(application())
    assert document["openapi"] == "3.1.0"
    names = []
    for path, item in document["paths"].items():
        assert path.startswith("/")
        placeholders = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for method, operation in item.items():
            assert method in ("get", "post")
            names.append(operation["operationId"])
            assert operation["responses"]
            for status, response in operation["responses"].items():
                assert status.isdigit()
                assert "$ref" in response or response["description"]
            parameters = operation.get("parameters", [])
            keys = [(parameter["in"], parameter["name"]) for parameter in parameters]
            assert len(keys) == len(set(keys))
            assert {name for place, name in keys if place == "path"} == placeholders
            for parameter in parameters:
                assert parameter["in"] in ("path", "query", "header")
                assert parameter["in"] != "path" or parameter["required"]
                assert isinstance(parameter["schema"], dict)
    assert len(names) == len(set(names))
    for path, value in walk(document):
        if path[-1:] == ("$ref",):
            target = document
            for step in value.removeprefix("#/").split("/"):
                target = target[step]
    json.dumps(document)


def test_the_description_knows_the_fields():
    document = describe(application())
    place = document["paths"]["/api/commands/PlaceOrder"]["post"]["requestBody"]["content"]
    assert place["application/json"]["schema"]["required"] == ["customer", "lines"]
    assert "application/x-ndjson" in place
    pay = document["paths"]["/api/commands/PayOrder"]["post"]["requestBody"]["content"]["application/json"]
    assert pay["schema"]["required"] == ["aggregate_id", "amount"]
    assert "/api/commands/ExpireOrder" not in document["paths"]
    orders = document["paths"]["/api/queries/orders"]["get"]
    assert [parameter["name"] for parameter in orders["parameters"]] == [
        "status", "X-Wait-For-Position", "limit", "cursor",
    ]  # fmt: skip
    answer = orders["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert answer["rows"]["type"] == "array"
    assert "total" in answer
    one = document["paths"]["/api/queries/order"]["get"]["responses"]["200"]
    assert one["content"]["application/json"]["schema"]["properties"]["rows"]["type"] == "object"


def test_what_is_open_is_described_as_open():
    document = describe(FakeService().application)
    assert document["security"] == [{"token": []}]
    open_paths = [
        path for path, item in document["paths"].items() if item.get("get", {}).get("security") == []
    ]
    assert open_paths == ["/health/live"]
