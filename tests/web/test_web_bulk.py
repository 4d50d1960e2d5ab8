"""The bulk form: verdicts in the order of the lines, whatever the lines are, in bounded memory."""

from __future__ import annotations

import asyncio
import uuid

import orjson
import pytest
from web_fakes import Exchange

from tusk_runtime.errors import OutcomeUnknown, Unavailable
from tusk_runtime.web import Limits
from tusk_runtime.web.routes.bulk import split_lines

PATH = "/api/commands/PlaceOrder"
NDJSON = {"content-type": "application/x-ndjson"}


def line(**fields) -> bytes:
    return orjson.dumps({"command_id": str(uuid.uuid4()), "fields": fields}) + b"\n"


def verdicts(body: bytes) -> list[dict]:
    return [orjson.loads(text) for text in body.splitlines()]


async def test_each_line_gets_its_verdict_in_order(client, service):
    ids = [str(uuid.uuid4()) for _ in range(1000)]
    # Those that begin later end sooner.
    lines = [
        orjson.dumps({"command_id": id_, "fields": {"n": n, "delay": 0.02 if n % 50 == 0 else 0}})
        for n, id_ in enumerate(ids)
    ]
    answer = await client.post(PATH, content=b"\n".join(lines), headers=NDJSON)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    found = verdicts(answer.content)
    assert [verdict["line"] for verdict in found] == list(range(1, 1001))
    assert [verdict["command_id"] for verdict in found] == ids
    assert {verdict["status"] for verdict in found} == {200}
    assert not any(verdict["repeated"] for verdict in found)
    assert [call["fields"]["n"] for _, call in service.calls] == list(range(1000))


async def test_a_repeated_command_says_so(client):
    same = line(n=1)
    found = verdicts((await client.post(PATH, content=same + same, headers=NDJSON)).content)
    assert [verdict["repeated"] for verdict in found] == [False, True]


async def test_wrong_lines_do_not_stop_the_others(client, service, limits):
    content = b"".join([
        line(n=1),
        b'{"command_id": "x", "fields": {\n',
        line(bad=True),
        b"\n",
        b"  \r\n",
        b"[]\n",
        b'{"fields": 1}\n',
        b'{"command_id": 1, "fields": {}}\n',
        b'{"command_id": "", "fields": {}}\n',
        b'{"fields": {}, "more": 1}\n',
        b'{"fields": {"a": "' + b"x" * limits.body + b'"}}\n',
        b'{"fields": {"a":' + b"[" * 70 + b"]" * 70 + b"}}\n",
        b"\xff\xfe\n",
        b'{"fields": {"n": 2}}',
    ])  # fmt: skip
    found = verdicts((await client.post(PATH, content=content, headers=NDJSON)).content)
    assert [(verdict["line"], verdict["status"], verdict.get("type")) for verdict in found] == [
        (1, 200, None),
        (2, 400, "broken-json"),
        (3, 422, "invalid"),
        (6, 400, "malformed-line"),
        (7, 400, "malformed-line"),
        (8, 400, "malformed-line"),
        (9, 400, "bad-idempotency-key"),
        (10, 400, "malformed-line"),
        (11, 413, "content-too-large"),
        (12, 400, "too-deep"),
        (13, 400, "broken-json"),
        (14, 200, None),
    ]
    assert found[2]["errors"] == [{"field": "bad", "message": "is bad"}]
    assert "command_id" in found[2]
    assert len(service.calls) == 3


async def test_the_aggregate_is_named_among_the_fields(client, service):
    await client.post(PATH, content=line(aggregate_id="o1", n=1) + line(aggregate_id=7), headers=NDJSON)
    assert [(call["aggregate_id"], call["fields"]) for _, call in service.calls] == [
        ("o1", {"n": 1}),
        (None, {"aggregate_id": 7}),
    ]


async def test_an_unexpected_error_is_a_verdict_by_id(client, service, caplog):
    service.error = ZeroDivisionError("secret")
    [verdict] = verdicts((await client.post(PATH, content=line(), headers=NDJSON)).content)
    assert verdict["status"] == 500
    assert verdict["incident"] in caplog.text
    assert "secret" not in str(verdict)


async def test_an_unknown_outcome_names_its_command(client, service):
    service.error = OutcomeUnknown("lost")
    [verdict] = verdicts((await client.post(PATH, content=b'{"fields":{}}', headers=NDJSON)).content)
    assert verdict["status"] == 503
    assert verdict["command_id"] in verdict["detail"]


@pytest.mark.parametrize(
    ("path", "status"), [("/api/commands/Nothing", 404), ("/api/commands/ExpireOrder", 403)]
)
async def test_what_holds_for_all_lines_is_said_once(client, service, path, status):
    answer = await client.post(path, content=line(), headers=NDJSON)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert not service.calls


async def test_an_empty_stream_gets_an_empty_answer(client):
    answer = await client.post(PATH, content=b"", headers=NDJSON)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_verdicts_come_while_lines_still_go(app):
    exchange = Exchange(app, "POST", PATH, content_type="application/x-ndjson")
    for number in range(1, 4):
        text = line(n=number)
        exchange.feed(text[:10])
        exchange.feed(text[10:])
        await exchange.until(lambda number=number: len(verdicts(exchange.body)) == number)
    exchange.feed(b"", more=False)
    await exchange.end()
    assert exchange.complete


class TestBounds:
    """A client that sends faster than the service decides, or than it reads."""

    @pytest.fixture
    def limits(self):
        return Limits(bulk_commands=8, bulk_bytes=10_000, stall_seconds=0.1)

    async def test_so_many_run_at_a_time(self, client, service):
        service.delay = 0.001
        answer = await client.post(PATH, content=b"".join(line(n=n) for n in range(100)), headers=NDJSON)
        assert len(verdicts(answer.content)) == 100
        assert service.most_running == 8

    async def test_long_lines_count_by_their_length(self, client, service):
        service.delay = 0.001
        content = b"".join(line(n=n, text="x" * 4000) for n in range(20))
        answer = await client.post(PATH, content=content, headers=NDJSON)
        assert len(verdicts(answer.content)) == 20
        assert service.most_running == 2

    async def test_it_reads_on_only_as_commands_end(self, app, service):
        service.delay = 60
        exchange = Exchange(app, "POST", PATH, content_type="application/x-ndjson")
        for _ in range(100):
            exchange.feed(line())
        await exchange.until(lambda: service.running == 8)
        await asyncio.sleep(0.02)
        assert exchange.inbox.qsize() >= 90
        assert service.running == 8
        exchange.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange.task

    async def test_a_client_that_takes_no_verdicts_is_dropped(self, app, service):
        exchange = Exchange(app, "POST", PATH, content_type="application/x-ndjson")
        exchange.feed(line())
        await exchange.until(lambda: exchange.body)
        exchange.writable.clear()
        for _ in range(100):
            exchange.feed(line())
        await exchange.end()
        assert exchange.aborted
        assert len(service.calls) < 100

    async def test_what_was_begun_is_finished_without_a_listener(self, app, service):
        service.delay = 0.05
        exchange = Exchange(app, "POST", PATH, content_type="application/x-ndjson")
        exchange.feed(line() * 5)
        await exchange.until(lambda: service.running == 5)
        exchange.leave()
        await exchange.end()
        assert service.running == 0
        assert len(service.seen) == 1


async def test_a_server_that_stops_says_where_to_go_on(app):
    exchange = Exchange(app, "POST", PATH, content_type="application/x-ndjson")
    exchange.feed(line() + line())
    await exchange.until(lambda: len(verdicts(exchange.body)) == 2)
    app.close_streams()
    await exchange.end()
    assert exchange.complete
    last = verdicts(exchange.body)[-1]
    assert (last["line"], last["status"], last["type"]) == (3, 503, "unavailable")


async def test_a_service_that_stops_refuses_line_by_line(client, service):
    service.error = Unavailable("it stops")
    found = verdicts((await client.post(PATH, content=line() * 3, headers=NDJSON)).content)
    assert [verdict["status"] for verdict in found] == [503] * 3


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_lines_are_the_same_however_they_are_cut(size):
    text = b"ab\n\nabcde\nabcdefgh\nx\r\nlast"

    async def chunks():
        for start in range(0, len(text), size):
            yield text[start : start + size]

    found = [line async for line in split_lines(chunks(), 5)]
    assert found == [b"ab", b"", b"abcde", None, b"x\r", b"last"]


async def test_nothing_is_kept_of_a_line_that_never_ends():
    async def chunks():
        for _ in range(1000):
            yield b"x" * 100

    assert [found async for found in split_lines(chunks(), 150)] == [None]
