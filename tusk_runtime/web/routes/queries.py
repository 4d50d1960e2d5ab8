"""`GET /api/queries/{query}`: the parameters are the query string, the answer says how fresh it is."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.web.context import Context, json_response
from tusk_runtime.web.encoding import query_json
from tusk_runtime.web.problems import Problem
from tusk_runtime.web.requests import integer_of, query_pairs

RESERVED = ("cursor", "limit")
WAIT_HEADER = "x-wait-for-position"


async def query(request: Request) -> Response:
    """Run a query. What its parameters mean, and which there are, is the service's to say."""
    context = Context.of(request)
    params: dict[str, Any] = {}
    for name, value in query_pairs(request.scope, context.limits):
        if name not in params:
            params[name] = value
        elif isinstance(params[name], list):
            params[name].append(value)
        else:
            params[name] = [params[name], value]
    cursor = _single(params, "cursor")
    limit = _single(params, "limit")
    wait = request.headers.get(WAIT_HEADER)
    answer = await context.service.query(
        request.path_params["query"],
        params,
        caller=context.security.caller,
        wait_for=None if wait is None else integer_of("X-Wait-For-Position", wait.strip()),
        cursor=cursor,
        limit=None if limit is None else integer_of("limit", limit, minimum=1),
    )
    return json_response(query_json(answer))


def _single(params: dict[str, Any], name: str) -> str | None:
    """Take a reserved parameter out: it belongs to every query, not to the declared ones."""
    value: str | list[str] | None = params.pop(name, None)
    if isinstance(value, list):
        raise Problem(400, "bad-parameter", f"The parameter {name!r} stands there twice.")
    return value
