"""The application with a fake service behind it, asked without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from web_fakes import BASE, BEARER, TOKEN, FakeService

from tusk_runtime.web import Limits, Security, WebApp, create_app


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def app(service: FakeService, limits: Limits) -> WebApp:
    return create_app(service, Security(TOKEN, ["shop.test"]), limits=limits)


@pytest.fixture
async def client(app: WebApp) -> AsyncIterator[httpx.AsyncClient]:
    """Shows the token."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=BEARER) as client:
        yield client


@pytest.fixture
async def stranger(app: WebApp) -> AsyncIterator[httpx.AsyncClient]:
    """Shows nothing."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client
