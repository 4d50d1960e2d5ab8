"""Every error as `application/problem+json` (RFC 9457): a stable kind, a status, a sentence, no internals."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.types import Send

from tusk_runtime.errors import (
    Conflict,
    OutcomeUnknown,
    Overloaded,
    Refused,
    StoreUnavailable,
    Unavailable,
)
from tusk_runtime.events import id_text, new_id
from tusk_runtime.web.encoding import dumps_leniently

log = logging.getLogger("tusk.web")

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = {429: "1", 503: "2"}

STANDARD_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""What every answer carries, unless it says otherwise."""

TITLES = {
    "unknown-name": "No such name",
    "not-found": "Not found",
    "invalid": "Invalid fields",
    "forbidden": "Forbidden",
    "rule-broken": "Refused by a rule",
    "command-id-reused": "Idempotency-Key used before",
    "not-accepted": "Message not accepted",
    "unavailable": "Unavailable",
    "overloaded": "Too many requests",
    "outcome-unknown": "Outcome unknown",
    "broken-json": "Broken JSON",
    "internal": "Internal error",
}


class Problem(Exception):
    """An answer that says no: raised anywhere in the web layer, rendered in one place."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.details = dict(details or {})
        super().__init__(detail)

    @property
    def title(self) -> str:
        """A short name for people, the same for all problems of a kind."""
        return TITLES.get(self.kind) or self.kind.replace("-", " ").capitalize()

    def as_json(self) -> dict[str, Any]:
        """The members of the body; further details never hide the standard ones."""
        standard = {"type": self.kind, "title": self.title, "status": self.status, "detail": self.detail}
        return standard | self.details | standard

    def body(self) -> bytes:
        """The body in UTF-8."""
        return dumps_leniently(self.as_json())

    def raw_headers(self, length: int) -> list[tuple[bytes, bytes]]:
        """The headers that go with a body of this length."""
        headers = {"content-type": MEDIA_TYPE, "content-length": str(length), **self.headers}
        if self.status in RETRY_SECONDS:
            headers.setdefault("retry-after", RETRY_SECONDS[self.status])
        # A header holds Latin-1 without control characters; what was asked for may hold anything.
        raw = [(key.lower().encode(), _header_value(value)) for key, value in headers.items()]
        return [*raw, *STANDARD_HEADERS]

    async def send(self, send: Send) -> None:
        """Answer with it."""
        body = self.body()
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": self.raw_headers(len(body)),
            }
        )
        await send({"type": "http.response.body", "body": body})


def _header_value(text: str) -> bytes:
    return "".join(c if c.isprintable() else "?" for c in text).encode("latin-1", "replace")


def problem_of(error: BaseException, *, command_id: bytes | None = None) -> Problem:
    """The problem that an exception amounts to. What is not foreseen is logged, and told by an id only."""
    match error:
        case Problem():
            return error
        case Refused():
            return Problem(error.status, error.kind, error.message, details=error.details)
        case Overloaded() | Unavailable():
            return Problem(error.status, error.kind, error.message)
        case OutcomeUnknown():
            return _outcome_unknown(error, command_id)
        case Conflict():
            # Normally decided again long before it comes here: the aggregate is under very heavy fire.
            return Problem(503, "unavailable", "Other writers were first each time. Nothing was written.")
        case StoreUnavailable():
            log.error("the store is unavailable: %s", error)
            return Problem(503, "unavailable", "The store does not answer now. Nothing was written.")
        case HTTPException():
            return _http_problem(error)
        case _:
            return _internal(error)


def _outcome_unknown(error: OutcomeUnknown, command_id: bytes | None) -> Problem:
    log.error("the outcome of a commit is unknown: %s", error)
    if command_id is None:
        return Problem(503, "outcome-unknown", "The outcome is unknown.")
    key = id_text(command_id)
    return Problem(
        503,
        "outcome-unknown",
        f"the outcome is unknown; repeat with the same Idempotency-Key {key}",
        details={"command_id": key},
    )


def _http_problem(error: HTTPException) -> Problem:
    phrase = HTTPStatus(error.status_code).phrase
    return Problem(
        error.status_code,
        phrase.lower().replace(" ", "-"),
        error.detail if error.detail != phrase else f"{phrase}.",
        headers=error.headers,
    )


def _internal(error: BaseException) -> Problem:
    incident = id_text(new_id())
    log.error("internal error %s", incident, exc_info=error)
    return Problem(
        500,
        "internal",
        f"Something went wrong on our side. The log has the details under {incident}.",
        details={"incident": incident},
    )


def broken_json(error: orjson.JSONDecodeError) -> Problem:
    """Where a text stops being JSON."""
    # The text of the error is the decoder's own and names no internals.
    return Problem(
        400,
        "broken-json",
        f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
        details={"line": error.lineno, "column": error.colno},
    )


def unknown_parameters(unknown: Sequence[str], known: Sequence[str]) -> Problem:
    """A query string that asks for what the route does not know."""
    name = unknown[0]
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(known)}."
    return Problem(
        400,
        "unknown-parameter",
        f"There is no parameter {name!r}. {hint}",
        details={"parameters": list(unknown)},
    )
