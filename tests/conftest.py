"""Fixtures for all tests: real processes that end with the test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
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
