"""`GET /api/events/live`: frames, where it goes on from, and readers that do not read."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import orjson
import pytest
from web_fakes import Exchange, stored

from tusk_runtime.errors import Unavailable
from tusk_runtime.web import Limits


@pytest.fixture
def limits():
    return Limits(heartbeat_seconds=0.05, stall_seconds=0.1, streams=3)


@asynccontextmanager
async def reading(app, path="/api/events/live?after=0", **headers):
    exchange = Exchange(app, "GET", path, **headers)
    exchange.feed(b"", more=False)
    yield exchange
    exchange.leave()
    await exchange.end()


def frames(body: bytes) -> list[dict[str, str]]:
    """What a browser makes of it: blocks of fields; comments are nothing."""
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            found.append(fields)
    return found


def positions(body: bytes) -> list[int]:
    return [orjson.loads(frame["data"])["position"] for frame in frames(body) if "data" in frame]


async def test_events_come_as_frames(app, service):
    service.next()
    async with reading(app) as exchange:
        await exchange.until(lambda: positions(exchange.body) == [1])
        service.next("OrderPaid")
        await exchange.until(lambda: positions(exchange.body) == [1, 2])
        assert exchange.status == 200
        assert exchange.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert exchange.headers["cache-control"] == "no-store"
    retry, first, second = frames(exchange.body)
    assert retry == {"retry": "1000"}
    assert first["id"] == "1"
    assert second["id"] == "2"
    assert orjson.loads(second["data"])["event_type"] == "OrderPaid"


async def test_without_a_place_it_begins_at_the_head(app, service):
    service.next()
    async with reading(app, "/api/events/live") as exchange:
        await exchange.until(lambda: service.live_readers == 1)
        await asyncio.sleep(0.01)
        service.next()
        await exchange.until(lambda: positions(exchange.body) == [2])


async def test_the_last_event_id_wins_over_the_address(app, service):
    for _ in range(5):
        service.next()
    async with reading(app, last_event_id="3") as exchange:
        await exchange.until(lambda: positions(exchange.body) == [4, 5])


async def test_a_selection_moves_on_over_what_it_leaves_out(app, service):
    for type_ in ("OrderPlaced", "OrderPaid", "OrderPlaced"):
        service.next(type_)
    async with reading(app, "/api/events/live?after=0&type=OrderPaid&type=Other") as exchange:
        await exchange.until(lambda: len(frames(exchange.body)) == 3)
    _, event, place = frames(exchange.body)
    assert event["id"] == "2"
    assert place == {"id": "3"}


async def test_a_line_break_in_the_data_ends_no_frame(app, service):
    service.add(stored(1)._replace(data=b'{\r\n"a":\n\n"data: x"\r}'))
    async with reading(app) as exchange:
        await exchange.until(lambda: positions(exchange.body) == [1])
    assert orjson.loads(frames(exchange.body)[1]["data"])["data"] == {"a": "data: x"}


async def test_silence_is_broken_by_comments(app):
    async with reading(app) as exchange:
        await exchange.until(lambda: exchange.body.count(b": \n\n") >= 2)
    assert frames(exchange.body) == [{"retry": "1000"}]


async def test_a_reader_that_leaves_is_let_go(app, service):
    async with reading(app) as exchange:
        await exchange.until(lambda: service.live_readers == 1)
        assert app.open_streams == 1
    assert service.live_readers == 0
    assert app.open_streams == 0


async def test_a_stalled_reader_is_dropped_and_costs_a_page(app, service, caplog):
    exchange = Exchange(app, "GET", "/api/events/live?after=0")
    await exchange.until(lambda: service.live_readers == 1)
    exchange.writable.clear()
    for _ in range(1000):
        service.next()
    await exchange.end()
    assert exchange.aborted
    assert not exchange.complete
    assert service.live_readers == 0
    assert "dropped" in caplog.text
    assert positions(exchange.body) == []


async def test_too_many_streams_are_refused(app, limits):
    others = [Exchange(app, "GET", "/api/events/live") for _ in range(limits.streams)]
    await others[-1].until(lambda: app.open_streams == limits.streams)
    late = Exchange(app, "GET", "/api/events/live")
    await late.end()
    assert late.status == 503
    assert orjson.loads(late.body)["type"] == "overloaded"
    for other in others:
        other.leave()
        await other.end()
    assert app.open_streams == 0


async def test_streams_end_at_once_when_the_server_stops(app, service):
    exchange = Exchange(app, "GET", "/api/events/live")
    await exchange.until(lambda: service.live_readers == 1)
    app.close_streams()
    await exchange.end(0.5)
    assert exchange.complete
    late = Exchange(app, "GET", "/api/events/live")
    await late.end()
    assert late.status == 503


async def test_a_service_that_stops_ends_the_stream(app, service):
    service.error = Unavailable("it stops")
    exchange = Exchange(app, "GET", "/api/events/live")
    await exchange.end()
    assert exchange.complete
    assert not exchange.aborted


async def test_an_error_in_the_stream_breaks_it_off(app, service, caplog):
    service.error = KeyError("secret")
    exchange = Exchange(app, "GET", "/api/events/live")
    await exchange.end()
    assert exchange.aborted
    assert b"secret" not in exchange.body
    assert "KeyError" in caplog.text
