"""Fixtures for all tests: real processes that end with the test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka_server import KafkaServer, kafka_address, private_kafka
from support import Server

# The scripts that measure are also what the acceptance tests run, shorter.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Server]]:
    """Makes servers, not yet started, that are killed when the test ends."""
    servers: list[Server] = []

    def make(file: Path, *arguments: str, **options: Any) -> Server:
        server = Server(file, *arguments, **options)
        servers.append(server)
        return server

    yield make
    for server in servers:
        await server.close()


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The address of a broker that all tests share, and none may disturb: topics and groups need names of their own."""
    with kafka_address() as address:
        yield address


@pytest.fixture
def kafka_server() -> Iterator[KafkaServer]:
    """A broker of the test's own, which it may kill, start again, freeze and thaw."""
    with private_kafka() as server:
        yield server
