"""`/health/live`, `/health/ready` and `/api/status`: whether it runs, and how far each part is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.errors import Unavailable
from tusk_runtime.web.context import Context, json_response
from tusk_runtime.web.encoding import dumps, parts_of, status_json

# A projection that rebuilds answers from what it has: that is ready, if behind.
_READY = frozenset({"running", "catching up"})


async def live(_request: Request) -> Response:
    """The process answers. The only route without a token, so it says nothing else."""
    return json_response(b'{"status":"live"}')


async def ready(request: Request) -> Response:
    """200 if every part runs, else 503; the parts either way."""
    try:
        status = await Context.of(request).service.status()
    except Unavailable as error:
        return json_response(dumps({"status": "not ready", "parts": [], "detail": error.message}), 503)
    is_ready = all(part.health in _READY for part in status.parts)
    body = dumps({"status": "ready" if is_ready else "not ready", "parts": parts_of(status)})
    return json_response(body, 200 if is_ready else 503)


async def status(request: Request) -> Response:
    """Everything that the page shows about the running parts."""
    return json_response(status_json(await Context.of(request).service.status()))
