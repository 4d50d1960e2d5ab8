"""`GET /api/events`: a page of the log."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.web.context import Context, json_response
from tusk_runtime.web.encoding import event_json
from tusk_runtime.web.problems import Problem
from tusk_runtime.web.requests import QueryString

PARAMETERS = ("after", "limit", "type", "aggregate_id", "correlation_id", "backwards")


async def events(request: Request) -> Response:
    """Events behind a position, oldest first; with `backwards=true` those before it, newest first."""
    context = Context.of(request)
    parameters = QueryString(request.scope, context.limits, PARAMETERS, repeated="type")
    after = parameters.integer("after") or 0
    limit = parameters.integer("limit", minimum=1, maximum=context.limits.page)
    correlation = parameters.text("correlation_id")
    page = await context.service.events(
        after=after,
        limit=limit or 100,
        types=parameters.texts("type") or None,
        aggregate_id=parameters.text("aggregate_id"),
        correlation_id=None if correlation is None else _uuid(correlation),
        backwards=parameters.flag("backwards"),
    )
    next_after = page[-1].position if page else after
    shown = [event_json(event, context.masks) for event in page]
    # Joined as texts: each event is JSON already, and a page may hold a thousand.
    body = b'{"events":[%b],"next_after":%d}' % (b",".join(shown), next_after)
    return json_response(body)


def _uuid(text: str) -> bytes:
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        raise Problem(
            400,
            "bad-parameter",
            f"correlation_id must be a UUID, not {text[:40]!r}.",
            details={"parameter": "correlation_id"},
        ) from None
