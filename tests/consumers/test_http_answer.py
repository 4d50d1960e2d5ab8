"""The answer of a call, under its name in later actions: what they see, and what becomes of it in a retry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import orjson
import pytest
from apps import ACCOUNT, application
from http_server import HttpServer, answer_of
from smtp_server import SmtpServer

from tusk_runtime.clock import VirtualClock
from tusk_runtime.consumers.client import MOST_READ
from tusk_runtime.events import Caller
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.deliveries import Letter
from tusk_runtime.store.protocol import Store

ANN = Caller("ann", (), "north")
PATIENT = 'retry: { attempts: 3, delay: "10s", backoff: "fixed", jitter: false }'
ASK = '{ http: { url: "URL/ask" }, as: "asked" }'
TELL = '{ http: { url: "URL/tell", json: { status: "{{ asked.status }}", json: "{{ asked.json }}" } } }'


class Stage:
    """A runtime with one consumer, which calls a server as `URL` when an account is opened."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.clock = VirtualClock(1_000_000)
        self.store: Store = memory_store()
        self.runtime: Runtime

    async def start(self, *actions: str, more: str = "") -> None:
        on = f"{PATIENT}\non:\n  Opened:\n" + "".join(f"    - {action}\n" for action in actions)
        text = f"{ACCOUNT}\n[consumers.Asker]\n{on}{more}".replace("URL", self.server.url)
        self.runtime = Runtime(application(text), self.store, self.clock)
        await self.runtime.start()
        await self.runtime.execute("Open", {"owner": "ann"}, aggregate_id="a", caller=ANN)
        await self.runtime.settle()

    async def passes(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        await self.runtime.settle()

    async def letters(self) -> list[Letter]:
        return list(await self.store.deliveries.letters("Asker"))

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.server.asked]

    @property
    def told(self) -> object:
        """What the last call carried."""
        return orjson.loads(self.server.asked[-1].body)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    server = HttpServer()
    await server.start()
    stage = Stage(server)
    yield stage
    await stage.runtime.stop()
    await server.stop()


async def test_later_actions_see_the_answer(stage: Stage) -> None:
    """Its status, its JSON, and its headers, whose names are in small letters; also beside a `for_each`."""
    stage.server.answers = [
        answer_of(201, b'{"ref": ["r", 1.5, null]}', "X-Next: n", "X-Both: a", "X-Both: b"),
        200,
    ]
    await stage.start(
        ASK,
        "{ http: { url: \"URL/{{ asked.headers['x-next'] }}/{{ n }}/{{ loop.index }}\", json: "
        '{ status: "{{ asked.status }}", ref: "{{ asked.json.ref }}", both: "{{ asked.headers[\'x-both\'] }}", '
        'other: "{{ asked.headers[\'x-other\'] ?? \'none\' }}" } }, for_each: "{{ [7] }}", as: "n" }',
    )
    assert stage.paths == ["/ask", "/n/7/1"]
    assert stage.told == {"status": 201, "ref": ["r", 1.5, None], "both": "a, b", "other": "none"}
    assert await stage.letters() == []


async def test_a_command_carries_what_was_answered(stage: Stage) -> None:
    stage.server.answers = [answer_of(200, b'{"amount": "12.50"}')]
    await stage.start(ASK, '{ send: "Deposit", with: { amount: "{{ decimal(asked.json.amount) }}" } }')
    assert (await stage.runtime.aggregate("Account", "a")).state["balance"] == 12.5


async def test_a_call_that_is_left_out_has_no_answer(stage: Stage) -> None:
    await stage.start(
        ASK.replace(" }, as", " }, when: \"{{ data.owner != 'ann' }}\", as"),
        '{ http: { url: "URL/tell", json: { none: "{{ asked == null }}" } } }',
    )
    assert (stage.paths, stage.told) == (["/tell"], {"none": True})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<p>no</p>",
        b"\xff",
        b"NaN",
        b"[" * 100_000,
        b'"' + b"x" * MOST_READ + b'"',
        b"1" + b" " * MOST_READ,
        b"null",
    ],
)
async def test_what_is_no_json_is_null(stage: Stage, body: bytes) -> None:
    """Nor is what is longer than what is read."""
    stage.server.answers = [answer_of(200, body), 200]
    await stage.start(ASK, TELL)
    assert stage.told == {"status": 200, "json": None}


async def test_json_of_the_full_length_is_read(stage: Stage) -> None:
    stage.server.answers = [answer_of(200, b"[1]" + b" " * (MOST_READ - 3)), 200]
    await stage.start(ASK, TELL)
    assert stage.told == {"status": 200, "json": [1]}


async def test_a_retry_asks_again_for_what_it_needs(stage: Stage) -> None:
    """With the same key; the action between them is not done again."""
    stage.server.answers = [answer_of(200, b"1"), 200, 503, answer_of(200, b"2"), 200]
    await stage.start(ASK, '{ http: { url: "URL/between" } }', TELL, '{ http: { url: "URL/last" } }')
    (letter,) = await stage.letters()
    assert (letter.standing, letter.action) == ("retry", 2)
    assert stage.told == {"status": 200, "json": 1}
    await stage.passes(10)
    assert stage.paths == ["/ask", "/between", "/tell", "/ask", "/tell", "/last"]
    keys = [asked.headers["idempotency-key"] for asked in stage.server.asked]
    assert (keys[3], keys[4]) == (keys[0], keys[2])
    assert orjson.loads(stage.server.asked[4].body) == {"status": 200, "json": 2}
    assert await stage.letters() == []


async def test_a_retry_does_not_ask_for_what_nobody_reads_any_more(stage: Stage) -> None:
    stage.server.answers = [200, 200, 503, 200]
    await stage.start(ASK, TELL, '{ http: { url: "URL/last", json: "{{ data.owner }}" } }')
    await stage.passes(10)
    assert stage.paths == ["/ask", "/tell", "/last", "/last"]


async def test_a_retry_goes_on_where_it_was_when_nobody_answers(stage: Stage) -> None:
    """The call that is made again fails for now, then for good: the letter says which action is not done."""
    stage.server.answers = [200, 200, 503, 503, 404]
    await stage.start(ASK, '{ http: { url: "URL/between" } }', TELL)
    await stage.passes(10)
    (letter,) = await stage.letters()
    assert (letter.standing, letter.action, letter.attempts) == ("retry", 2, 2)
    await stage.passes(10)
    (letter,) = await stage.letters()
    assert (letter.standing, letter.action, letter.attempts) == ("parked", 2, 3)
    assert stage.paths == ["/ask", "/between", "/tell", "/ask", "/ask"]


async def test_half_an_answer_is_none(stage: Stage) -> None:
    """One that breaks off is asked for again; where nobody wants it the status is enough."""
    half = answer_of(200, b'{"a": 1}')[:-4]
    stage.server.answers = [half, 200]
    await stage.start('{ http: { url: "URL/ask", timeout: "100ms" }, as: "asked" }', TELL)
    (letter,) = await stage.letters()
    assert (letter.standing, orjson.loads(letter.error)["message"]) == (
        "retry",
        "the answer to GET broke off",
    )
    await stage.passes(10)
    assert stage.paths == ["/ask", "/ask", "/tell"]


async def test_an_email_reads_the_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its template does: when the server of e-mails is away, the call is made again for it."""
    monkeypatch.setattr("smtplib.socket.getfqdn", lambda *_: "here.example.com")  # asks the network otherwise
    mails = SmtpServer()
    await mails.start()
    mails.answers = {"MAIL": "451 later"}
    stage.server.answers = [answer_of(200, b'{"ref": "r1"}'), answer_of(200, b'{"ref": "r2"}')]
    settings = f'\n[email]\nsmtp: "127.0.0.1:{mails.port}"\nfrom: "bank@example.com"\ntls: none\n'
    text = '{ email: { to: "ann@example.org", subject: "x", text: "It is {{ asked.json.ref }}" } }'
    try:
        await stage.start(ASK, text, more=settings)
        (letter,) = await stage.letters()
        assert (letter.standing, letter.action) == ("retry", 1)
        mails.answers = {}
        await stage.passes(10)
        (given,) = mails.given
        assert given.message.get_content().strip() == "It is r2"
        assert stage.paths == ["/ask", "/ask"]
    finally:
        await mails.stop()
