"""What every route works with: the service, the limits, and who is connected."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.running.service import Service
from tusk_runtime.web.limits import Limits
from tusk_runtime.web.masking import Masks
from tusk_runtime.web.problems import STANDARD_HEADERS, Problem
from tusk_runtime.web.security import Headers, Security


class Streams:
    """The live streams that are open: so many at most, and all end at once when the server stops."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.open = 0
        self.closing = asyncio.Event()

    @contextlib.contextmanager
    def admit(self) -> Iterator[None]:
        """Count a stream while it lasts. Raises a Problem if there are too many."""
        if self.closing.is_set():
            raise Problem(503, "unavailable", "The server stops.")
        if self.open >= self._limit:
            raise Problem(503, "overloaded", f"There are {self._limit} live streams already.")
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of one request."""

    service: Service
    security: Security
    limits: Limits
    streams: Streams
    headers: Headers
    masks: Masks

    @staticmethod
    def of(request: Request) -> Context:
        """The surroundings of this request."""
        context: Context = request.scope["tusk"]
        return context


def json_response(body: bytes, status: int = 200) -> Response:
    """An answer in JSON."""
    return response(body, "application/json", status)


def response(body: bytes, media_type: str, status: int = 200) -> Response:
    """An answer with the headers that all have."""
    answer = Response(body, status, media_type=media_type)
    answer.raw_headers.extend(STANDARD_HEADERS)
    return answer
