"""Brokers that are none, or not there: what is said of them, and that commands go on."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from stage import Stage


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tusk_runtime.bus.kafka.CALL_SECONDS", 1.0)
    monkeypatch.setattr("tusk_runtime.bus.reasons.PROBE_SECONDS", 0.5)


@pytest.fixture
def website() -> Iterator[str]:
    """A server of HTTP."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def nothing() -> Iterator[str]:
    """A port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that takes connections, and says nothing: a broker that is frozen, or swallowed on the way."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def told(
    stage: Stage, caplog: pytest.LogCaptureFixture, brokers: str, *parts: str, more: str = ""
) -> None:
    """It is in the status and in the log, once; a command is taken meanwhile."""
    await stage.start(brokers, more)
    await stage.open("a")
    part = await stage.until(lambda part: bool(part.error))
    for each in parts:
        assert each in part.error, part.error
    assert part.lag == 1
    logged = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert [each.getMessage() for each in logged] == [f"@relay: {part.error}; trying again"]
    assert not logged[0].exc_info


async def test_a_host_that_nobody_knows(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    parts = "Kafka at kafka.invalid:9092: the name of the host is not found"
    await told(stage, caplog, "kafka.invalid:9092", parts)


async def test_nobody_listens(stage: Stage, caplog: pytest.LogCaptureFixture, nothing: str) -> None:
    await told(stage, caplog, nothing, f"Kafka at {nothing}: nothing listens there")


async def test_somebody_listens_and_says_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture, silent: str
) -> None:
    await told(stage, caplog, silent, f"Kafka at {silent}: it does not answer")


async def test_what_answers_is_no_kafka(stage: Stage, caplog: pytest.LogCaptureFixture, website: str) -> None:
    await told(stage, caplog, website, f"Kafka at {website}: what answers there is no Kafka (it says")


async def test_what_answers_is_no_kafka_and_was_to_encrypt(
    stage: Stage, caplog: pytest.LogCaptureFixture, website: str
) -> None:
    await told(stage, caplog, website, "does not encrypt on this port", more=", tls: true")


async def test_several_brokers_of_which_none_can_be_used(
    stage: Stage, caplog: pytest.LogCaptureFixture, nothing: str
) -> None:
    """Each has its own trouble, and each is told."""
    at = f"kafka.invalid:9092, {nothing}"
    parts = "Kafka at kafka.invalid:9092: the name", f"Kafka at {nothing}: nothing listens there"
    await told(stage, caplog, at, *parts)


async def test_one_broker_that_can_be_used_is_enough(stage: Stage, kafka: str, nothing: str) -> None:
    await stage.start(f"{nothing}, {kafka}")
    await stage.open("a")
    await stage.published()
