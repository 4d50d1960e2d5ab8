"""`GET /openapi.json`: what the application that is live now answers to."""

from __future__ import annotations

from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.model.application import Application
from tusk_runtime.web.context import Context, json_response
from tusk_runtime.web.encoding import dumps
from tusk_runtime.web.openapi import describe


class _ByIdentity:
    """An application as a cache key: a reload makes another object, and the old one is let go."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.application is self.application

    def __hash__(self) -> int:
        return id(self.application)


@lru_cache(maxsize=1)
def _document(key: _ByIdentity) -> bytes:
    return dumps(describe(key.application))


async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return json_response(_document(_ByIdentity(Context.of(request).service.application)))
