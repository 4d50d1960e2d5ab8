"""`POST /api/republish`: publish stored events once more, from a position on."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.errors import Invalid
from tusk_runtime.web.context import Context, json_response
from tusk_runtime.web.problems import broken_json
from tusk_runtime.web.requests import MAX_POSITION, check_content, check_depth, read_body


async def republish(request: Request) -> Response:
    """Let the relay go back; how many events are published again."""
    context = Context.of(request)
    check_content(context.headers)
    body = await read_body(request.receive, context.headers, context.limits)
    check_depth(body, context.limits.depth)
    position, dry_run = _read(body)
    count = await context.service.republish(position, dry_run=dry_run, caller=context.security.caller)
    return json_response(orjson.dumps({"dry_run": dry_run, "from": position, "count": count}))


def _read(body: bytes) -> tuple[int, bool]:
    try:
        found: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise broken_json(error) from None
    if not isinstance(found, dict) or not found.keys() <= {"from", "dry_run"}:
        raise _invalid("", 'write { "from": POSITION }, with "dry_run": true if nothing is to happen')
    position, dry_run = found.get("from"), found.get("dry_run", False)
    if type(position) is not int or not 0 < position <= MAX_POSITION:
        raise _invalid("from", "must be a position of the log, from 1")
    if not isinstance(dry_run, bool):
        raise _invalid("dry_run", "must be true or false")
    return position, dry_run


def _invalid(field: str, message: str) -> Invalid:
    what = f"`{field}` {message}" if field else message
    return Invalid(what, errors=[{"field": field, "message": message}])
