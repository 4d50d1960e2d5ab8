"""The action `http`: the call that is made, and what its answer means."""

from __future__ import annotations

import hmac
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from tusk_runtime.consumers.failures import FinalFailure, TechnicalFailure, line_of, masked
from tusk_runtime.consumers.leaving import Answer, Call
from tusk_runtime.consumers.outside import Outside
from tusk_runtime.consumers.performing import Arguments, Moment, breaks_headers, id_of, value_of
from tusk_runtime.events import id_text, traceparent
from tusk_runtime.model.consuming import Body, Consumer, Http
from tusk_runtime.types import to_json

CONTENT_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "body": "text/plain; charset=utf-8",
}


class HttpCaller:
    """Makes calls by HTTP.

    A call may be made more than once: each time with the same `Idempotency-Key`, which derives from the
    consumer's group, the event, and which call of its list it is.
    """

    def __init__(self, consumer: Consumer, outside: Outside) -> None:
        self._group = consumer.group
        self._outside = outside

    def name(self, action: Http) -> str:
        """The method and the address, as they are written."""
        return f"http {action.method} {action.address}"

    async def perform(self, action: Http, moment: Moment, arguments: Arguments, what: str) -> object:
        """Make the call, and give the answer.

        Raises TechnicalFailure or FinalFailure unless the answer says that it is done.
        """
        key = id_text(id_of(self._group, moment.event.event_id, what))
        trace = traceparent(moment.event.correlation_id, moment.event.event_id)
        call = _call(action, arguments, {"Idempotency-Key": key, "traceparent": trace})
        try:
            answer = await self._outside.call(call)
        except (TechnicalFailure, FinalFailure) as error:
            raise type(error)(masked(str(error), action.secrets)) from error
        if 200 <= answer.status < 300:
            return _seen(call, answer) if action.answer else None
        failure = TechnicalFailure if _may_change(answer.status) else FinalFailure
        raise failure(_told(action, call, answer))


def _call(action: Http, arguments: Arguments, headers: dict[str, str]) -> Call:
    body = b""
    if action.body is not None:
        headers["Content-Type"] = CONTENT_TYPES[action.body.kind]
        body = _bytes(action.body, arguments)
    if action.sign_with is not None:
        headers["X-Signature"] = f"sha256={hmac.digest(action.sign_with.encode(), body, 'sha256').hex()}"
    if action.headers is not None:
        given: dict[str, str] = value_of(action.headers.function, arguments)
        names = {name.lower() for name in given}
        headers = {name: value for name, value in headers.items() if name.lower() not in names}
        headers |= {name: value.strip() for name, value in given.items()}
        for name, value in given.items():
            if breaks_headers(value):
                raise FinalFailure(f"the header `{name}` holds a character that none may hold")
    url = value_of(action.url.function, arguments)
    return Call(action.method, url, action.hosts, headers, body, action.timeout, action.secrets)


def _bytes(body: Body, arguments: Arguments) -> bytes:
    value: Any = value_of(body.value.function, arguments)
    match body.kind:
        case "json":
            return to_json(value)
        case "form":
            return urlencode(value).encode()
        case _:
            return str(value).encode()


def _seen(call: Call, answer: Answer) -> dict[str, Any]:
    """An answer as later actions see it. Raises TechnicalFailure if a part of it is missing."""
    if answer.end == "broken":
        raise TechnicalFailure(f"the answer to {call.method} broke off")
    json = None
    if answer.end == "whole":
        with suppress(ValueError):
            json = orjson.loads(answer.body)
    return {"status": answer.status, "json": json, "headers": dict(answer.headers)}


def _may_change(status: int) -> bool:
    """Whether the same call may be answered otherwise later."""
    return status >= 500 or status in (408, 429)


def _told(action: Http, call: Call, answer: Answer) -> str:
    """What a dead letter says of an answer: nothing secret, and nothing personal that it echoes."""
    message = f"{call.method} to `{urlsplit(call.url).hostname}` was answered with {answer.status}"
    if action.personal:
        return message
    text = line_of(masked(answer.body.decode(errors="replace"), action.secrets))
    return f"{message}: {text}" if text else message
