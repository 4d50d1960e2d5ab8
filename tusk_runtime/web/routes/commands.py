"""`POST /api/commands/{Command}`: one command, on a path without a framework because it is the hot one."""

from __future__ import annotations

import orjson
from starlette.types import Receive, Scope, Send

from tusk_runtime.errors import Forbidden, Refused
from tusk_runtime.events import Caller, command_id_from, new_id
from tusk_runtime.running.service import Service
from tusk_runtime.web.limits import Limits
from tusk_runtime.web.problems import STANDARD_HEADERS, Problem, broken_json, problem_of
from tusk_runtime.web.requests import check_content, check_depth, read_body
from tusk_runtime.web.security import Headers

PREFIX = "/api/commands/"
BULK_TYPE = "application/x-ndjson"
_JSON = (b"content-type", b"application/json")


class CommandRoute:
    """Answers one command with what it recorded."""

    def __init__(self, service: Service, limits: Limits) -> None:
        self._service = service
        self._limits = limits

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, name: str, headers: Headers, caller: Caller
    ) -> None:
        """Run the command `name` with the body of the request. Raises what refuses it."""
        check_content(headers, BULK_TYPE)
        key = headers.get(b"idempotency-key")
        command_id = new_id() if key is None else command_id_of(key, self._limits.idempotency_key)
        body = await read_body(receive, headers, self._limits)
        check_depth(body, self._limits.depth)
        check_not_internal(self._service, name)
        try:
            answer = await self._service.execute(name, body, command_id=command_id, caller=caller)
        except Exception as error:
            raise explained(error, body, command_id) from error
        content = orjson.dumps(answer.as_json())
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [_JSON, (b"content-length", b"%d" % len(content)), *STANDARD_HEADERS],
            }
        )
        await send({"type": "http.response.body", "body": content})


def check_not_internal(service: Service, name: str) -> None:
    """Refuse a command that only the application itself may send."""
    command = service.application.commands.get(name)
    if command is not None and command.internal:
        raise Forbidden(f"{name} is internal: only the application itself sends it.", command=name)


def command_id_of(key: bytes, limit: int) -> bytes:
    """The command id for the header Idempotency-Key."""
    text = key.decode("latin-1").strip()
    if not 0 < len(text) <= limit or not (text.isascii() and text.isprintable()):
        raise Problem(
            400,
            "bad-idempotency-key",
            f"An Idempotency-Key is a UUID, or any text of 1 to {limit} visible ASCII characters.",
        )
    return command_id_from(text)


def explained(error: Exception, body: bytes, command_id: bytes) -> Problem:
    """What became of the command; a body that is not JSON at all is told from one with wrong fields."""
    if isinstance(error, Refused | orjson.JSONDecodeError):
        # Decoding once more costs only those who sent something wrong, and tells line and column.
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as broken:
            return broken_json(broken)
    return problem_of(error, command_id=command_id)
