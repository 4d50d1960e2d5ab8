"""Who gets in: the token, the page's session, hosts and sites, over every route."""

from __future__ import annotations

import os
import stat

import httpx
import pytest
from web_fakes import BASE, TOKEN

from tusk_runtime.errors import StartFailed
from tusk_runtime.web import Security, load_or_create_token
from tusk_runtime.web.app import ROUTES

ROUTE_TABLE = [
    ("POST", "/api/commands/PlaceOrder"),
    ("GET", "/api/queries/orders"),
    ("GET", "/api/aggregates/Order/order-1"),
    ("GET", "/api/events"),
    ("GET", "/api/events/live"),
    ("GET", "/api/dead-letters"),
    ("GET", "/api/dead-letters/Greeting/7"),
    ("GET", "/api/dead-letters/Greeting/orders/0:7"),
    ("POST", "/api/dead-letters/Greeting/retry"),
    ("POST", "/api/dead-letters/Greeting/drop"),
    ("POST", "/api/topics/payments"),
    ("POST", "/api/republish"),
    ("GET", "/api/status"),
    ("GET", "/health/ready"),
    ("GET", "/openapi.json"),
    ("GET", "/"),
    ("GET", "/nothing"),
]
OPEN = [("GET", "/health/live"), ("GET", "/static/tusk.css")]


def test_the_table_covers_every_route():
    covered = {path for _, path in [*ROUTE_TABLE, *OPEN]}
    for route in ROUTES:
        assert any(route.path_regex.match(path) for path in covered), route.path


@pytest.mark.parametrize(("method", "path"), ROUTE_TABLE)
@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", "", TOKEN],
)
async def test_nothing_answers_without_the_token(stranger, service, method, path, authorization):
    headers = {} if authorization is None else {"authorization": authorization}
    answer = await stranger.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not service.calls


@pytest.mark.parametrize(("method", "path"), OPEN)
async def test_what_is_open_needs_no_token(stranger, method, path):
    assert (await stranger.request(method, path)).status_code == 200


@pytest.mark.parametrize(("method", "path"), [*ROUTE_TABLE, *OPEN])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1:9", "127.0.0.1", "localhost",
     "127.0.0.1.evil.example:8080",
     "localhost:8080@evil.example", "0.0.0.0:8080", ""],
)  # fmt: skip
async def test_a_foreign_host_is_misdirected(client, service, method, path, host):
    answer = await client.request(method, path, headers={"host": host})
    assert answer.status_code == 421
    assert not service.calls


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "shop.test", "shop.test:99"],
)
async def test_own_hosts_are_served(client, host):
    assert (await client.get("/api/status", headers={"host": host})).status_code == 200


async def test_a_header_that_decides_may_not_come_twice(client, service):
    headers = [("host", "127.0.0.1:8080"), ("host", "evil.example")]
    answer = await client.get("/api/status", headers=httpx.Headers(headers))
    assert answer.status_code == 400
    assert not service.calls


CROSS_SITE = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "https://127.0.0.1:8080"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "http://127.0.0.1:8080.evil.example"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
    {"sec-fetch-site": "nonsense"},
]


@pytest.mark.parametrize(("method", "path"), ROUTE_TABLE)
@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
async def test_other_sites_are_refused_even_with_the_token(client, service, method, path, headers):
    answer = await client.request(method, path, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["type"] == "cross-site"
    assert not service.calls


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": BASE},
        {"origin": BASE.upper()},
    ],
)
async def test_the_own_site_is_served(client, headers):
    assert (await client.post("/api/commands/PlaceOrder", json={}, headers=headers)).status_code == 200


async def test_a_link_from_elsewhere_may_open_the_page(client):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert (await client.get("/", headers=headers)).status_code == 200
    assert (await client.get("/api/events", headers=headers)).status_code == 403


async def test_there_is_no_cors(client):
    answer = await client.get("/api/status", headers={"origin": BASE})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    answer = await client.options(
        "/api/commands/PlaceOrder", headers={"access-control-request-method": "POST"}
    )
    assert answer.status_code == 405


async def test_the_link_trades_the_token_for_a_session(stranger, service):
    answer = await stranger.get(f"/?token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("tusk_session_8080=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert TOKEN not in cookie
    # The client keeps the cookie now.
    assert (await stranger.get("/")).status_code == 200
    assert (await stranger.get("/api/status")).status_code == 200
    # It lets nobody do anything.
    service.calls.clear()
    for method, path in ROUTE_TABLE:
        if method == "POST":
            assert (await stranger.post(path, json={})).status_code == 401, path
    assert (await stranger.request("DELETE", "/api/events")).status_code == 401
    assert not service.calls


async def test_each_session_is_another(stranger):
    first = (await stranger.get(f"/?token={TOKEN}")).headers["set-cookie"]
    assert (await stranger.get(f"/?token={TOKEN}")).headers["set-cookie"] != first


async def test_a_wrong_token_in_the_link_opens_nothing(stranger):
    answer = await stranger.get("/?token=<script>alert(1)</script>")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "<script" not in answer.text


def scope(port: int = 8080) -> dict[str, object]:
    return {"server": ("127.0.0.1", port), "method": "GET", "path": "/", "scheme": "http"}


def test_a_session_ends_and_cannot_be_forged(monkeypatch):
    security = Security(TOKEN)
    value = security.new_session()
    nonce, ends, signature = value.split(".")

    def holds(value: str, by: Security = security, port: int = 8080) -> bool:
        return by.has_session(scope(), {b"cookie": f"a=b; tusk_session_{port}={value}; c=d".encode()})

    assert holds(value)
    assert holds(value, Security(TOKEN)), "it outlives a restart"
    assert not holds(value, Security("u" * 43))
    assert not holds(value, port=9)
    for forged in ("", ".", "..", f"{nonce}.{int(ends) + 1}.{signature}", f"{nonce}.{ends}.",
                   f"x.{ends}.{signature}",
                   f"{nonce}.{ends}.é", TOKEN):  # fmt: skip
        assert not holds(forged), forged
    monkeypatch.setattr("time.time", lambda: int(ends) + 1)
    assert not holds(value)


@pytest.mark.parametrize("token", ["", "short", "x" * 31, "x" * 31 + " ", "x" * 300])
def test_a_weak_token_is_refused(token):
    with pytest.raises(ValueError, match="a token has"):
        Security(token)


async def test_a_websocket_is_declined(app):
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "websocket"}, None, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


# The token file


def test_a_new_token_is_for_its_owner_only(tmp_path):
    path = tmp_path / "new" / "shop.token"
    token = load_or_create_token(path)
    assert len(token) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_token(path) == token
    assert [file.name for file in path.parent.iterdir()] == ["shop.token"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_token_that_others_can_read_is_refused(tmp_path, mode):
    path = tmp_path / "token"
    load_or_create_token(path)
    path.chmod(mode)
    with pytest.raises(StartFailed, match="others can read the token file") as refused:
        load_or_create_token(path)
    assert "chmod 600" in refused.value.help


@pytest.mark.parametrize("content", ["", "short", "x" * 40 + "\nmore", "\xff" * 50])
def test_a_file_that_holds_no_token_is_refused(tmp_path, content):
    path = tmp_path / "token"
    path.write_text(content, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(StartFailed, match="holds no token"):
        load_or_create_token(path)


def test_a_link_or_a_folder_in_place_of_the_file_is_refused(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    load_or_create_token(elsewhere)
    link = tmp_path / "link"
    link.symlink_to(elsewhere)
    with pytest.raises(StartFailed, match="cannot read"):
        load_or_create_token(link)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with pytest.raises(StartFailed, match="not a plain file"):
        load_or_create_token(fifo)


def test_the_first_of_two_processes_wins(tmp_path, monkeypatch):
    path = tmp_path / "token"
    import tusk_runtime.web.security as security

    create = security._create

    def late(path, token):
        create(path, "w" * 43)
        create(path, token)

    monkeypatch.setattr(security, "_create", late)
    assert load_or_create_token(path) == "w" * 43
