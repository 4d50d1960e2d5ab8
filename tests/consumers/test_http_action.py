"""Calls by HTTP: what leaves, in which order, how often, and what becomes of each answer."""

from __future__ import annotations

import hashlib
import hmac
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from apps import ACCOUNT, application
from http_server import HttpServer, answer_of

from tusk_runtime.clock import VirtualClock
from tusk_runtime.consumers.client import MOST_READ
from tusk_runtime.consumers.outside import Recorded
from tusk_runtime.errors import StartFailed
from tusk_runtime.events import Caller, traceparent
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.deliveries import Letter
from tusk_runtime.store.protocol import Store

ANN = Caller("ann", (), "north")
CALL = 'on: { Deposited: { http: { url: "URL/pay", json: { amount: "{{ data.amount }}" } } } }'
PATIENT = 'retry: { attempts: 3, delay: "10s", backoff: "fixed", jitter: false }'


class Stage:
    """A runtime with one consumer, `Payer`, and the server that it calls as `URL`."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.clock = VirtualClock(1_000_000)
        self.store: Store = memory_store()
        self.runtime: Runtime

    async def start(self, consumer: str, more: str = "", *, publishing: bool = True) -> None:
        text = f"{ACCOUNT}\n[consumers.Payer]\n{consumer}\n{more}".replace("URL", self.server.url)
        self.runtime = Runtime(application(text), self.store, self.clock, publishing=publishing)
        await self.runtime.start()
        await self.run("Open", owner="ann")

    async def run(self, command: str, account: str = "a", **fields: str) -> None:
        await self.runtime.execute(command, fields, aggregate_id=account, caller=ANN)

    async def deposit(self, account: str = "a", amount: str = "5", note: str = "") -> None:
        more = {"note": note} if note else {}
        await self.run("Deposit", account, amount=amount, **more)
        await self.runtime.settle()

    async def passes(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        await self.runtime.settle()

    async def letters(self) -> list[Letter]:
        return list(await self.store.deliveries.letters("Payer"))

    async def told(self) -> tuple[str, str]:
        """The standing and the message of the only letter."""
        (letter,) = await self.letters()
        return letter.standing, orjson.loads(letter.error)["message"]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    server = HttpServer()
    await server.start()
    stage = Stage(server)
    yield stage
    await stage.runtime.stop()
    await server.stop()


async def test_a_call_carries_what_the_file_says(stage: Stage) -> None:
    """JSON by POST, with a key of its own and no word of the process."""
    await stage.start(CALL)
    await stage.deposit()
    (asked,) = stage.server.asked
    assert (asked.method, asked.path, orjson.loads(asked.body)) == ("POST", "/pay", {"amount": "5.00"})
    assert asked.headers["content-type"] == "application/json"
    assert len(asked.headers["idempotency-key"]) == 36
    (event,) = [event for event in await stage.store.events.read() if event.type == "Deposited"]
    assert asked.headers["traceparent"] == traceparent(event.correlation_id, event.event_id)
    assert asked.headers["user-agent"] == "tusk-runtime"
    assert "authorization" not in asked.headers
    assert await stage.letters() == []


async def test_without_a_body_it_is_a_get(stage: Stage) -> None:
    """And values go into the address."""
    await stage.start('on: { Opened: { http: { url: "URL/x?owner={{ urlencode(data.owner) }}" } } }')
    await stage.run("Open", "b", owner="a b&c")
    await stage.runtime.settle()
    asked = stage.server.asked[1]
    assert (asked.method, asked.path, asked.body) == ("GET", "/x?owner=a%20b%26c", b"")
    assert "content-type" not in asked.headers


@pytest.mark.parametrize(
    ("body", "method", "content_type", "sent"),
    [
        ('form: { a: "x y", b: "{{ data.owner }}&" }', "POST", "application/x-www-form-urlencoded", b"a=x+y&b=ann%26"),
        ('body: "{{ data.owner }} é"', "POST", "text/plain; charset=utf-8", "ann é".encode()),
        ('body: "1,2", headers: { content-type: "text/csv" }', "POST", "text/csv", b"1,2"),
        ("json: null, method: PUT", "PUT", "application/json", b"null"),
        ("json: [1, { a: '{{ now }}' }], method: PATCH", "PATCH", "application/json", b'[1,{"a":"1970-01-01T00:00:01Z"}]'),
    ],
)  # fmt: skip
async def test_every_form_of_a_body(
    stage: Stage, body: str, method: str, content_type: str, sent: bytes
) -> None:
    """Each with its method and its content type, unless the file says otherwise."""
    await stage.start(f'on: {{ Opened: {{ http: {{ url: "URL", {body} }} }} }}')
    await stage.runtime.settle()
    (asked,) = stage.server.asked
    assert (asked.method, asked.headers["content-type"], asked.body) == (method, content_type, sent)


async def test_headers_of_the_file_win(stage: Stage) -> None:
    """Also over the key, whatever their letters; blanks around a value are cut."""
    await stage.start(
        'on: { Opened: { http: { url: "URL", headers: { idempotency-key: "mine", X-Who: " {{ data.owner }} é " } } } }'
    )
    await stage.runtime.settle()
    (asked,) = stage.server.asked
    assert (asked.headers["idempotency-key"], asked.headers["x-who"]) == ("mine", "ann é")


async def test_the_signature_is_that_of_the_body(stage: Stage) -> None:
    """Whoever knows the secret can tell that nobody else sent it, nor changed it."""
    await stage.start('on: { Opened: { http: { url: "URL", json: { a: 1 }, sign_with: "a secret" } } }')
    await stage.runtime.settle()
    (asked,) = stage.server.asked
    expected = hmac.new(b"a secret", asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["x-signature"] == f"sha256={expected}"


async def test_calls_are_made_in_their_order(stage: Stage) -> None:
    """Those of one event, those of its elements, those of the events of an aggregate; each with another key."""
    await stage.start(
        "on: { Deposited: ["
        '{ http: { url: "URL/{{ data.amount }}/{{ n }}" }, for_each: "{{ [1, 2, 3] }}", as: "n", when: "{{ n != 2 }}" },'
        '{ http: { url: "URL/{{ data.amount }}/{{ n }}" }, for_each: "{{ [4] }}", as: "n" },'
        '{ http: { url: "URL/last" } }] }'
    )
    for amount in ("1", "2"):
        await stage.run("Deposit", amount=amount)
    await stage.runtime.settle()
    paths = [asked.path for asked in stage.server.asked]
    assert paths == ["/1.00/1", "/1.00/3", "/1.00/4", "/last", "/2.00/1", "/2.00/3", "/2.00/4", "/last"]
    assert len({asked.headers["idempotency-key"] for asked in stage.server.asked}) == 8


@pytest.mark.parametrize("status", [500, 503, 599, 408, 429])
async def test_what_may_change_is_tried_again(stage: Stage, status: int) -> None:
    """By the clock, with the same key, from the action that failed; the actions before it are not repeated."""
    stage.server.answers = [200, status, status, 200]
    await stage.start(
        f'{PATIENT}\non: {{ Deposited: [{{ http: {{ url: "URL/first", json: 1 }} }}, '
        '{ http: { url: "URL/second", json: 1 } }, { http: { url: "URL/third", json: 1 } }] }'
    )
    await stage.deposit()
    standing, message = await stage.told()
    assert (standing, message) == ("retry", f"POST to `127.0.0.1` was answered with {status}: {{}}")
    await stage.passes(9)
    assert len(stage.server.asked) == 2
    await stage.passes(1)
    assert len(stage.server.asked) == 3
    await stage.passes(10)
    assert [asked.path for asked in stage.server.asked] == [
        "/first",
        "/second",
        "/second",
        "/second",
        "/third",
    ]
    assert len({asked.headers["idempotency-key"] for asked in stage.server.asked}) == 3
    assert await stage.letters() == []


async def test_after_all_attempts_it_is_parked(stage: Stage) -> None:
    """What comes later waits behind it; tried again by hand it has the same key still."""
    stage.server.answers = [503]
    await stage.start(f"{PATIENT}\n{CALL}")
    await stage.deposit()
    await stage.passes(10)
    await stage.passes(10)
    assert (await stage.told())[0] == "parked"
    await stage.deposit(amount="6")
    first, behind = await stage.letters()
    assert (first.attempts, behind.standing, len(stage.server.asked)) == (3, "behind", 3)
    stage.server.answers = [200]
    await stage.store.deliveries.mark("Payer", [(first.source, first.position)], "retry")
    await stage.runtime.settle()
    assert await stage.letters() == []
    keys = [asked.headers["idempotency-key"] for asked in stage.server.asked]
    assert len(set(keys[:4])) == 1
    assert len(set(keys)) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 409, 410, 422, 300])
async def test_a_final_answer_parks_at_once(stage: Stage, status: int) -> None:
    """It is not asked again, and the letter says what was answered."""
    stage.server.answers = [answer_of(status, b'{"error":\n "no such account"}')]
    await stage.start(f"{PATIENT}\n{CALL}")
    await stage.deposit()
    await stage.passes(100)
    assert len(stage.server.asked) == 1
    message = f'POST to `127.0.0.1` was answered with {status}: {{"error": "no such account"}}'
    assert await stage.told() == ("parked", message)


async def test_an_answer_is_cut_and_cleaned(stage: Stage) -> None:
    """At most 200 characters of it, on one line."""
    stage.server.answers = [answer_of(400, b"a\x00b\r\n\xff" + b"x" * 1000)]
    await stage.start(CALL)
    await stage.deposit()
    assert (await stage.told())[1] == "POST to `127.0.0.1` was answered with 400: a b �" + "x" * 195


async def test_secrets_are_hidden_in_what_is_told(stage: Stage) -> None:
    """A server that says what it was sent does not bring secrets into letters."""
    stage.server.answers = [answer_of(403, b"no: Bearer abcdef123, s3cret, word, keyfor?k=querykey")]
    call = (
        "on: { Deposited: { http: { url: \"http://u:word@HOST?k=@env.secure('NONE', 'querykey')\", json: 1, "
        'sign_with: "s3cret", headers: { Authorization: "Bearer abcdef123" } } } }'
    ).replace("HOST", f"127.0.0.1:{stage.server.port}")
    await stage.start(call)
    await stage.deposit()
    assert (await stage.told())[1].endswith("403: no: ***, ***, ***, keyfor?k=***")


async def test_personal_data_comes_back_into_no_letter(stage: Stage) -> None:
    """A call that carries some is told of without the answer's body."""
    stage.server.answers = [answer_of(422, b"ann@example.org is taken")]
    await stage.start(CALL.removesuffix(" }").removesuffix(" }") + ", pii: true } }")
    await stage.deposit()
    assert await stage.told() == ("parked", "POST to `127.0.0.1` was answered with 422")


async def test_redirects_are_not_followed(stage: Stage) -> None:
    """The file says where a call goes, and nobody else."""
    stage.server.answers = [answer_of(307, b"", f"Location: {stage.server.url}/other")]
    await stage.start(CALL)
    await stage.deposit()
    assert [asked.path for asked in stage.server.asked] == ["/pay"]
    assert await stage.told() == ("parked", "POST to `127.0.0.1` was answered with 307")


async def test_silence_is_tried_again(stage: Stage) -> None:
    """No answer in time; the whole event has a longer time."""
    stage.server.answers = [b"", 200]
    await stage.start(f"{PATIENT}\n" + CALL.replace("json:", 'timeout: "50ms", json:'))
    await stage.deposit()
    assert await stage.told() == ("retry", "no answer to POST within 0.05 s")
    await stage.passes(10)
    assert (len(stage.server.asked), await stage.letters()) == (2, [])


async def test_the_time_of_the_whole_event_holds_too(stage: Stage) -> None:
    """A call that may take longer than the event is given up with it, and tried again."""
    stage.server.answers = [b"", 200]
    await stage.start(f'{PATIENT}\ntimeout: "50ms"\n{CALL}')
    await stage.deposit()
    assert await stage.told() == ("retry", "it took longer than 0.05 s")
    await stage.passes(10)
    assert await stage.letters() == []


async def test_half_an_answer_is_as_good_as_its_status(stage: Stage) -> None:
    """Who says 200 has done it, whatever becomes of the rest."""
    stage.server.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"]
    await stage.start(CALL.replace("json:", 'timeout: "50ms", json:'))
    await stage.deposit()
    assert (len(stage.server.asked), await stage.letters()) == (1, [])


async def test_no_more_is_read_than_is_needed(stage: Stage) -> None:
    """An answer without an end neither fills the memory nor takes its time."""
    stage.server.answers = [b"HTTP/1.1 400 No\r\n\r\n" + b"x" * (3 * MOST_READ)]
    await stage.start(CALL)
    await stage.deposit()
    assert (await stage.told())[0] == "parked"


async def test_where_a_host_is_down_other_aggregates_flow(stage: Stage) -> None:
    """Only the aggregate whose call fails waits; when the host is back, its events follow in order."""
    await stage.server.stop()
    await stage.start(
        f'{PATIENT}\non: {{ Deposited: [{{ http: {{ url: "URL/{{{{ data.amount }}}}" }}, when: "{{{{ data.note != null }}}}" }}, '
        '{ send: "Withdraw", with: { amount: 1 } }] }'
    )
    await stage.run("Open", "b", owner="bob")
    await stage.deposit("a", "5", "call")
    await stage.deposit("a", "6", "call")
    await stage.deposit("b", "7")
    standings = [letter.standing for letter in await stage.letters()]
    assert standings == ["retry", "behind"]
    assert "no answer to GET: " in orjson.loads((await stage.letters())[0].error)["message"]
    assert (await stage.runtime.aggregate("Account", "b")).state["balance"] == 6
    assert (await stage.runtime.aggregate("Account", "a")).state["balance"] == 11
    await stage.server.start()
    await stage.passes(10)
    assert [asked.path for asked in stage.server.asked] == ["/5.00", "/6.00"]
    assert (await stage.runtime.aggregate("Account", "a")).state["balance"] == 9
    assert await stage.letters() == []


@pytest.mark.parametrize(
    ("note", "reached"),
    [
        ("http://127.0.0.1:PORT/x", True),
        ("HTTP://127.0.0.1:PORT/x", True),
        ("http://localhost:PORT/x", False),
        ("http://127.0.0.1@localhost:PORT/x", False),
        ("ftp://127.0.0.1:PORT/x", False),
        ("file:///etc/passwd", False),
        ("127.0.0.1:PORT/x", False),
        ("http://127.0.0.1:99999999/x", False),
        ("", False),
    ],
)
async def test_data_chooses_only_allowed_hosts(stage: Stage, note: str, reached: bool) -> None:
    """Anything else is parked, and nothing was called."""
    await stage.start(
        """on: { Deposited: { http: { url: "{{ data.note ?? '' }}" } } }""",
        '[http]\nallow_hosts: "127.0.0.1"\n',
    )
    await stage.deposit(note=note.replace("PORT", str(stage.server.port)))
    assert bool(stage.server.asked) is reached
    if not reached:
        standing, message = await stage.told()
        assert standing == "parked"
        assert "address" in message


async def test_data_makes_no_headers(stage: Stage) -> None:
    """A line break in a value is parked: what stands behind it would be another header."""
    await stage.start(
        """on: { Deposited: { http: { url: "URL", headers: { X-Note: "{{ data.note ?? '' }}" } } } }"""
    )
    await stage.deposit(note="x\r\nX-Other: y")
    assert stage.server.asked == []
    assert await stage.told() == ("parked", "the header `X-Note` holds a character that none may hold")


async def test_a_value_that_cannot_be_had_is_parked(stage: Stage) -> None:
    """With its place in the file, as in any other action."""
    await stage.start(CALL.replace("data.amount", "1 / (data.amount - 5)"))
    await stage.deposit()
    (letter,) = await stage.letters()
    assert (letter.standing, stage.server.asked) == ("parked", [])
    assert orjson.loads(letter.error)["place"].startswith("test.tsk:")


async def test_the_environment_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy nor a cookie comes between."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    stage.server.answers = [answer_of(200, b"", "Set-Cookie: a=b; Path=/")]
    await stage.start(CALL)
    await stage.deposit()
    await stage.deposit()
    assert [asked.headers.get("cookie") for asked in stage.server.asked] == [None, None]


async def test_in_tests_nothing_leaves(stage: Stage) -> None:
    """The call is only kept, and counts as done."""
    await stage.start(CALL, publishing=False)
    await stage.deposit()
    outside: Any = stage.runtime._outside
    assert isinstance(outside, Recorded)
    assert [(call.method, call.url, call.body) for call in outside.left] == [
        ("POST", f"{stage.server.url}/pay", b'{"amount":"5.00"}')
    ]
    assert (stage.server.asked, await stage.letters()) == ([], [])


async def test_connections_end_with_the_application(stage: Stage) -> None:
    """One client makes all calls, also behind an edit, and is closed."""
    await stage.start(CALL)
    await stage.deposit()
    client: Any = stage.runtime._outside._client  # type: ignore[attr-defined]
    text = f"{ACCOUNT}\n[consumers.Payer]\n{CALL.replace('URL', stage.server.url + '/new')}"
    await stage.runtime.apply(application(text))
    await stage.deposit()
    assert [asked.path for asked in stage.server.asked] == ["/pay", "/new/pay"]
    assert stage.runtime._outside._client is client  # type: ignore[attr-defined]
    await stage.runtime.stop()
    assert client._client.is_closed


def test_without_httpx_a_start_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where there is something to call."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "tusk_runtime.consumers.client", raising=False)
    Runtime(application(ACCOUNT), memory_store())
    call = application(f"{ACCOUNT}\n[consumers.Payer]\n{CALL.replace('URL', 'https://example.com')}")
    with pytest.raises(
        StartFailed, match=r"needs the package httpx\n  help: pip install 'tusk-runtime\[http\]'"
    ):
        Runtime(call, memory_store())
    Runtime(call, memory_store(), publishing=False)
