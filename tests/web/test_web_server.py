"""The server on a real socket: where it listens, what it bounds, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import httpx
import orjson
import pytest
from web_fakes import BEARER, TOKEN, FakeService

from tusk_runtime.errors import StartFailed
from tusk_runtime.web import HttpServer, Limits, Security, create_app


@asynccontextmanager
async def serving(service: FakeService, limits: Limits | None = None, host: str = "127.0.0.1"):
    limits = limits or Limits()
    server = HttpServer(create_app(service, Security(TOKEN), limits=limits), host, 0, limits=limits)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(1.0)


@asynccontextmanager
async def connected(server: HttpServer):
    reader, writer = await asyncio.open_connection(*server.address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def request(server: HttpServer, line: str = "GET /api/status", *more: str, body: bytes = b"") -> bytes:
    host, port = server.address
    head = [f"{line} HTTP/1.1", f"Host: {host}:{port}", f"Authorization: {BEARER['authorization']}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        return int(head.split(b" ")[1]), head, await reader.readexactly(length)


async def test_it_serves_on_a_free_port(service):
    async with serving(service) as server:
        assert server.health == "running"
        assert server.url == f"http://127.0.0.1:{server.address[1]}"
        async with httpx.AsyncClient(base_url=server.url, headers=BEARER) as client:
            answer = await client.get("/api/status")
            assert answer.status_code == 200
            assert "server" not in answer.headers
            assert "date" in answer.headers
            answer = await client.post("/api/commands/PlaceOrder", json={"customer": "ada"})
            assert answer.json()["version"] == 1
    assert server.health == "stopped"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "::1"])
async def test_loopback_addresses_are_served(service, host):
    try:
        async with serving(service, host=host) as server, httpx.AsyncClient(base_url=server.url) as client:
            status = (await client.get("/health/live")).status_code
            # The other addresses of the loopback network are no names that a browser is expected to use.
            assert status == (421 if host == "127.0.0.2" else 200)
    except StartFailed:
        if host != "::1":
            raise
        pytest.skip("this machine has no IPv6")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com", "", "127.0.0.1.example.com"])
async def test_other_addresses_are_refused(service, host):
    with pytest.raises(StartFailed, match="is not a loopback address") as refused:
        async with serving(service, host=host):
            pass
    assert "[auth]" in refused.value.help


async def test_a_port_in_use_says_so(service, app):
    async with serving(service) as server:
        port = server.address[1]
        with pytest.raises(StartFailed, match=f"port {port} on 127.0.0.1 is in use"):
            await HttpServer(app, "127.0.0.1", port).start()


async def test_a_port_that_is_none_says_so(app):
    with pytest.raises(StartFailed, match="70000 is not a port"):
        await HttpServer(app, "127.0.0.1", 70000).start()


async def test_the_port_is_free_again_after_the_end(service, app):
    async with serving(service) as server:
        port = server.address[1]
        async with httpx.AsyncClient(base_url=server.url, headers=BEARER) as client:
            await client.get("/api/status")
    again = HttpServer(app, "127.0.0.1", port)
    await again.start()
    await again.stop()


async def test_stopping_what_never_started_is_nothing(app):
    await HttpServer(app).stop()


async def test_a_request_in_flight_is_finished(service):
    service.delay = 0.2
    async with serving(service) as server, httpx.AsyncClient(base_url=server.url, headers=BEARER) as client:
        sent = asyncio.create_task(client.post("/api/commands/PlaceOrder", json={}))
        while not service.running:
            await asyncio.sleep(0.01)
        await server.stop(5.0)
        assert (await sent).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await client.get("/api/status")


async def test_a_request_beyond_the_deadline_is_cut(service, caplog):
    service.delay = 60
    async with serving(service) as server, httpx.AsyncClient(base_url=server.url, headers=BEARER) as client:
        sent = asyncio.create_task(client.post("/api/commands/PlaceOrder", json={}))
        while not service.running:
            await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        await server.stop(0.1)
        assert asyncio.get_running_loop().time() - began < 2
        with pytest.raises(httpx.HTTPError):
            (await sent).raise_for_status()
    assert "did not finish in time" in caplog.text


async def test_a_live_stream_ends_at_once(service):
    service.next()
    async with (
        serving(service) as server,
        httpx.AsyncClient(base_url=server.url, headers=BEARER) as client,
        client.stream("GET", "/api/events/live?after=0") as answer,
    ):
        lines = answer.aiter_lines()
        while not (await anext(lines)).startswith("data:"):
            pass
        began = asyncio.get_running_loop().time()
        await server.stop(10.0)
        assert asyncio.get_running_loop().time() - began < 1
        assert [line async for line in lines] == [""]


async def test_a_bulk_request_goes_both_ways_at_once(service):
    async with serving(service) as server, connected(server) as (reader, writer):
        head = ("Content-Type: application/x-ndjson", "Transfer-Encoding: chunked")
        writer.write(request(server, "POST /api/commands/PlaceOrder", *head))
        for number in range(1, 4):
            line = b'{"fields":{"n":%d}}\n' % number
            writer.write(b"%x\r\n%b\r\n" % (len(line), line))
            await writer.drain()
            async with asyncio.timeout(5):
                found = await reader.readuntil(b'"repeated":false}\n')
            assert b'"line":%d' % number in found
        writer.write(b"0\r\n\r\n")
        async with asyncio.timeout(5):
            await reader.readuntil(b"0\r\n\r\n")


async def test_a_stalled_stream_is_dropped(service):
    limits = Limits(stall_seconds=0.2)
    async with serving(service, limits) as server, connected(server) as (_, writer):
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.transport.pause_reading()
        writer.write(request(server, "GET /api/events/live?after=0"))
        while not service.live_readers:
            await asyncio.sleep(0.01)
        for _ in range(300):
            service.next(data={"text": "x" * 100_000})
        async with asyncio.timeout(5):
            while service.live_readers:
                await asyncio.sleep(0.01)


async def test_a_large_head_is_refused(service):
    limits = Limits(head=4096)
    async with serving(service, limits) as server:
        for sent in (
            request(server, "GET /api/status", "X: " + "x" * 4096),
            request(server, "GET /api/status?" + "x" * 4096),
            # A header that never ends is not even shown to the application.
            b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000,
        ):
            async with connected(server) as (reader, writer):
                writer.write(sent)
                status, head, body = await answer_of(reader)
                assert status == 431
                assert b"application/problem+json" in head
                assert orjson.loads(body)["status"] == 431
                assert await reader.read() == b""


@pytest.mark.parametrize(
    "junk",
    [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x00\x00", b"GET /\xff HTTP/1.1\r\n\r\n"],
)
async def test_what_is_not_http_is_a_problem(service, junk):
    async with serving(service) as server, connected(server) as (reader, writer):
        writer.write(junk)
        status, _, body = await answer_of(reader)
        assert status == 400
        assert orjson.loads(body)["type"] == "bad-request"


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_slow_head_is_dropped(service, sent):
    async with serving(service, Limits(receive_seconds=0.1)) as server, connected(server) as (reader, writer):
        writer.write(sent)
        assert (await answer_of(reader))[0] == 408


async def test_a_slow_body_is_dropped(service):
    async with serving(service, Limits(receive_seconds=0.1)) as server, connected(server) as (reader, writer):
        writer.write(request(server, "POST /api/commands/PlaceOrder", "Content-Length: 100", body=b'{"a":'))
        assert (await answer_of(reader))[0] == 408
    assert not service.calls


async def test_an_idle_connection_may_wait(service):
    async with serving(service, Limits(receive_seconds=0.1)) as server, connected(server) as (reader, writer):
        for _ in range(2):
            writer.write(request(server))
            assert (await answer_of(reader))[0] == 200
            await asyncio.sleep(1.3)


async def test_too_many_connections_are_refused(service):
    async with serving(service, Limits(connections=2)) as server:
        async with connected(server) as (_, _), connected(server) as (_, _), connected(server) as (reader, _):
            assert (await answer_of(reader))[0] == 503
        await asyncio.sleep(0.05)
        async with connected(server) as (reader, writer):
            writer.write(request(server))
            assert (await answer_of(reader))[0] == 200


async def test_too_many_requests_are_refused(service):
    service.delay = 0.3
    limits = Limits(requests=3)
    async with (
        serving(service, limits) as server,
        httpx.AsyncClient(base_url=server.url, headers=BEARER) as client,
    ):
        answers = await asyncio.gather(*[client.post("/api/commands/PlaceOrder", json={}) for _ in range(8)])
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * 3 + [503] * 5
        assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 503} == {"2"}


async def test_a_client_that_goes_in_the_middle_leaves_nothing_behind(service, caplog):
    async with serving(service) as server:
        async with connected(server) as (_, writer):
            writer.write(
                request(server, "POST /api/commands/PlaceOrder", "Content-Length: 100", body=b'{"a":')
            )
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)
        assert not service.calls
        assert server._app.in_flight == 0
    assert not caplog.text
