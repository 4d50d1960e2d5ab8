"""Real data in bulk: 20,000 flights of 2013 sent, cut off and sent again, and every number checked."""

from __future__ import annotations

import flights
import pytest
from support import copy_of

ROWS, FEWER_ROWS = 20_000, 6_000


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The CSV file."""
    return flights.unzip(tmp_path_factory.mktemp("flights"), ROWS)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The beginning of it, which is enough to be cut off in the middle."""
    return flights.unzip(tmp_path_factory.mktemp("short"), FEWER_ROWS)


async def test_every_number_is_right_and_sending_twice_adds_nothing(serve, tmp_path, source):
    """All rows of all three queries equal a computation from the CSV that shares no code with the package."""
    wanted = flights.expected(source)
    server = serve(copy_of("flights.tsk", tmp_path), "--no-watch")
    await server.start()
    sent = await flights.send(server, source)
    print(sent.text)
    assert (sent.code, sent.rows, sent.accepted, sent.repeated, sent.refused) == (0, ROWS, ROWS, 0, 0)
    assert await flights.differences(server, wanted) == []

    again = await flights.send(server, source)
    assert (again.code, again.accepted, again.repeated, again.refused) == (0, 0, ROWS, 0)
    assert "were sent before" in again.text
    assert await flights.differences(server, wanted) == []


async def test_a_killed_server_is_caught_up_with(serve, tmp_path, short):
    """The server dies half-way and comes back: the sender goes on by itself, and no row counts twice."""
    server = serve(copy_of("flights.tsk", tmp_path), "--no-watch")
    await server.start()
    wanted = flights.expected(short)
    sender = flights.Sender(server, short)
    await sender.start()
    await flights.grown(server, wanted.events.total() // 3)
    server.kill()
    assert await flights.restart(server) < 10
    sent = await sender.finish()
    assert sent.code == 0, sent.text
    assert sent.accepted + sent.repeated == FEWER_ROWS
    assert await flights.differences(server, wanted) == []

    again = await flights.send(server, short)
    assert (again.accepted, again.repeated) == (0, FEWER_ROWS)
    assert await flights.differences(server, wanted) == []


async def test_a_killed_sender_is_repeated(serve, tmp_path, short):
    """The sender dies half-way; the same call again sends the rest, and no row counts twice."""
    server = serve(copy_of("flights.tsk", tmp_path), "--no-watch")
    await server.start()
    wanted = flights.expected(short)
    sender = flights.Sender(server, short)
    await sender.start()
    await flights.grown(server, wanted.events.total() // 3)
    await sender.kill()
    sent = await flights.send(server, short)
    assert sent.code == 0, sent.text
    assert sent.accepted + sent.repeated == FEWER_ROWS
    assert 0 < sent.repeated < FEWER_ROWS
    assert await flights.differences(server, wanted) == []


async def test_a_sender_without_a_server_says_so(serve, tmp_path, short):
    """A server that stays away: exit code 1 and one clear message, no traceback."""
    server = serve(copy_of("flights.tsk", tmp_path), "--no-watch")
    await server.start()
    assert await server.stop() == 0
    sent = await flights.send(server, short)
    assert sent.code == 1
    assert "the application does not run" in sent.text
    assert "Traceback" not in sent.text
