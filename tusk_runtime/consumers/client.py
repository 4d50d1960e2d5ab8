"""Calls by HTTP, on httpx."""

from __future__ import annotations

import asyncio
import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from tusk_runtime.consumers.failures import FinalFailure, TechnicalFailure
from tusk_runtime.consumers.leaving import Answer, Call, End

MOST_READ = 1024 * 1024
"""How many bytes of an answer are read."""
IDLE_SECONDS = 30.0
LARGEST_PORT = 65535


class Client:
    """Makes calls, over connections that are kept for a while.

    What the environment says of proxies and passwords is not asked, redirects are not followed, cookies are
    not kept: a call goes where the file says, with what the file says.
    """

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=None,  # noqa: S113 - that of the call holds for all of it
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=20, keepalive_expiry=IDLE_SECONDS
            ),
            # What is compressed could be far larger than what is read.
            headers={"User-Agent": "tusk-runtime", "Accept-Encoding": "identity"},
        )

    async def call(self, call: Call) -> Answer:
        """Make a call. Raises TechnicalFailure without an answer, FinalFailure if it cannot be made."""
        request = self._request(call)
        status, body, headers, ended = 0, bytearray(), {}, False
        try:
            async with asyncio.timeout(call.timeout):
                response = await self._client.send(request, stream=True)
                try:
                    status, headers = response.status_code, dict(response.headers.items())
                    async for part in response.aiter_raw():
                        body += part
                        if len(body) > MOST_READ:
                            break
                    ended = True
                finally:
                    await response.aclose()
        except TimeoutError:
            if not status:
                raise TechnicalFailure(f"no answer to {call.method} within {call.timeout:g} s") from None
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, ValueError) as error:
            raise FinalFailure(f"{call.method} cannot be made: {error}") from None
        except httpx.TransportError as error:
            if not status:
                why = str(error) or type(error).__name__
                raise TechnicalFailure(f"no answer to {call.method}: {why}") from None
        end: End = "long" if len(body) > MOST_READ else "whole" if ended else "broken"
        return Answer(status, bytes(body[:MOST_READ]), headers, end)

    def _request(self, call: Call) -> httpx.Request:
        headers = [(name.encode(), value.encode()) for name, value in call.headers.items()]
        try:
            request = self._client.build_request(call.method, call.url, headers=headers, content=call.body)
            host = request.url.host.lower()
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise FinalFailure(f"the address cannot be called: {error}") from None
        if not 0 <= (request.url.port or 0) <= LARGEST_PORT:
            raise FinalFailure("the address has a port that cannot be")
        if request.url.scheme not in ("http", "https") or host not in call.hosts:
            raise FinalFailure(f"the address leads to `{host[:100]}`, which is not allowed")
        return request

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()
