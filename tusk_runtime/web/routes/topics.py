"""`POST /api/topics/{topic}`: a message from outside, as of a webhook, for the consumers that accept it."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.consumers.reading import MESSAGE_IDS
from tusk_runtime.errors import OutcomeUnknown
from tusk_runtime.events import id_text, new_id
from tusk_runtime.running.topics import consumers_json
from tusk_runtime.web.context import Context, json_response
from tusk_runtime.web.problems import problem_of
from tusk_runtime.web.requests import QueryString, check_coding, read_body
from tusk_runtime.web.routes.commands import command_id_of
from tusk_runtime.web.security import Headers

KEY = b"idempotency-key"
SECRET = frozenset({b"authorization", b"cookie", b"proxy-authorization"})
OF_THE_CONNECTION = frozenset(
    {
        b"connection", b"content-length", b"host", b"keep-alive", b"proxy-authenticate", b"proxy-connection",
        b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""The headers that are about this one hop, and say nothing of the message."""


async def topic(request: Request) -> Response:
    """Have the consumers take the body, strictly read as JSON whatever its type is said to be."""
    context = Context.of(request)
    parameters = QueryString(request.scope, context.limits, ("key",))
    key = parameters.text("key")
    check_coding(context.headers)
    message_id = new_id()
    headers = message_headers(context.headers, context.limits.idempotency_key, id_text(message_id))
    body = await read_body(request.receive, context.headers, context.limits)
    try:
        taken = await context.service.take_message(
            request.path_params["topic"], body, key=None if key is None else key.encode(), headers=headers
        )
    except OutcomeUnknown as error:
        made = dict(headers).get(MESSAGE_IDS[0]) == id_text(message_id).encode()
        raise problem_of(error, command_id=message_id if made else None) from error
    return json_response(orjson.dumps({"consumers": consumers_json(taken)}))


def message_headers(headers: Headers, limit: int, otherwise: str) -> list[tuple[str, bytes]]:
    """The headers of the message: those of the request that are neither secret nor about the connection.

    Without an id of its own it has that of `Idempotency-Key`, of at most `limit` characters, or `otherwise`.
    """
    named = headers.get(b"connection", b"").lower().split(b",")
    left_out = SECRET | OF_THE_CONNECTION | {name.strip() for name in named}
    found = [(name.decode("latin-1"), value) for name, value in headers.items() if name not in left_out]
    if not any(headers.get(name.encode()) for name in MESSAGE_IDS):
        key = headers.get(KEY)
        if key is not None:
            command_id_of(key, limit)
        message_id = otherwise.encode() if key is None else key.strip()
        found = [(name, value) for name, value in found if name != MESSAGE_IDS[0]]
        found.append((MESSAGE_IDS[0], message_id))
    return found
