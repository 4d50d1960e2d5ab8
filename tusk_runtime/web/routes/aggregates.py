"""`GET /api/aggregates/{Type}/{id}`: the state of an aggregate, now or in the past."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.web.context import Context, json_response
from tusk_runtime.web.encoding import aggregate_json, microseconds_of
from tusk_runtime.web.problems import Problem
from tusk_runtime.web.requests import QueryString

PARAMETERS = ("version", "at")


async def aggregate(request: Request) -> Response:
    """The state, at `?version=` or `?at=` if one of them is given."""
    context = Context.of(request)
    parameters = QueryString(request.scope, context.limits, PARAMETERS)
    version = parameters.integer("version")
    at = parameters.text("at")
    if version is not None and at is not None:
        raise Problem(400, "bad-parameter", "Give version or at, not both.")
    answer = await context.service.aggregate(
        request.path_params["type"],
        request.path_params["id"],
        version=version,
        at=None if at is None else _time(at),
    )
    return json_response(aggregate_json(answer, context.masks))


def _time(text: str) -> int:
    try:
        return microseconds_of(text)
    except (ValueError, OverflowError):
        raise Problem(
            400,
            "bad-parameter",
            f"at must be a time such as 2025-01-31T12:00:00Z, not {text[:40]!r}.",
            details={"parameter": "at"},
        ) from None
