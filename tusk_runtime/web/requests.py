"""Reading what a client sends: bodies within their limits, numbers and names of a query string."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from tusk_runtime.types.strict_json import nests_deeper
from tusk_runtime.web.limits import Limits
from tusk_runtime.web.problems import Problem, unknown_parameters
from tusk_runtime.web.security import Headers

MAX_POSITION = 2**63 - 1
_DIGITS = re.compile(r"[0-9]{1,19}")


class Disconnected(Exception):
    """The client went away before its request was complete: there is nobody to answer."""


def media_type(headers: Headers) -> str:
    """The media type of the body without its parameters; empty if the client names none."""
    return headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower().decode("latin-1")


def check_content(headers: Headers, bulk: str = "") -> None:
    """Refuse a body that says of itself that it is not JSON. `bulk` is the type of many commands, where these
    are taken, too."""
    content_type = media_type(headers)
    if content_type not in ("application/json", ""):
        many = f" (or {bulk}: many commands)" if bulk else ""
        raise Problem(
            415,
            "unsupported-media-type",
            f"The body must be application/json{many}, not {content_type[:80]!r}.",
            headers={"accept-post": f"application/json, {bulk}" if bulk else "application/json"},
        )
    check_coding(headers)


def check_coding(headers: Headers) -> None:
    """Refuse a compressed body: what it grows to cannot be known before."""
    coding = headers.get(b"content-encoding", b"identity")
    if coding.strip().lower() != b"identity":
        raise Problem(415, "unsupported-media-type", "The body must not be compressed.")


async def read_body(receive: Receive, headers: Headers, limits: Limits) -> bytes:
    """The whole body. Raises a Problem if it is longer than the limit or takes too long."""
    announced = headers.get(b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > limits.body:
        raise too_large(limits.body)
    try:
        async with asyncio.timeout(limits.receive_seconds) as deadline:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            body: bytes = message.get("body", b"")
            if not message.get("more_body", False):
                if len(body) > limits.body:
                    raise too_large(limits.body)
                return body
            pieces = [body]
            size = len(body)
            while message.get("more_body", False):
                if size > limits.body:
                    raise too_large(limits.body)
                deadline.reschedule(asyncio.get_running_loop().time() + limits.receive_seconds)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
    except TimeoutError:
        raise Problem(
            408, "request-timeout", "The body did not arrive in time.", headers={"connection": "close"}
        ) from None
    if size > limits.body:
        raise too_large(limits.body)
    return b"".join(pieces)


def too_large(limit: int) -> Problem:
    """The answer to a body beyond the limit."""
    detail = f"The body is longer than {limit} bytes."
    return Problem(413, "content-too-large", detail, details={"limit": limit})


def check_depth(body: bytes, limit: int) -> None:
    """Refuse JSON that nests deeper than the limit, before anything recurses over it."""
    if nests_deeper(body, limit):
        detail = f"The body nests deeper than {limit} levels."
        raise Problem(400, "too-deep", detail, details={"limit": limit})


def query_pairs(scope: Scope, limits: Limits) -> list[tuple[str, str]]:
    """The query string, decoded, in order."""
    raw: bytes = scope.get("query_string", b"")
    if len(raw) > limits.query_string:
        raise Problem(414, "uri-too-long", f"The query string is longer than {limits.query_string} bytes.")
    if not raw:
        return []
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=1000, errors="strict")
    except ValueError:
        raise Problem(400, "bad-request", "The query string is not well-formed.") from None


class QueryString:
    """The query string of a route that knows its parameters."""

    def __init__(self, scope: Scope, limits: Limits, known: Collection[str], repeated: str = "") -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in query_pairs(scope, limits):
            self._values.setdefault(name, []).append(value)
        if unknown := [name for name in self._values if name not in known]:
            raise unknown_parameters(unknown, sorted(known))
        for name, values in self._values.items():
            if len(values) > 1 and name != repeated:
                raise Problem(400, "bad-parameter", f"The parameter {name!r} stands there twice.")

    def text(self, name: str) -> str | None:
        """A parameter as it is; None if it is not there."""
        values = self._values.get(name)
        return values[0] if values else None

    def texts(self, name: str) -> list[str]:
        """All values of a parameter that may be repeated."""
        return self._values.get(name, [])

    def integer(self, name: str, *, minimum: int = 0, maximum: int = MAX_POSITION) -> int | None:
        """A whole number within bounds; None if it is not there."""
        text = self.text(name)
        return None if text is None else integer_of(name, text, minimum=minimum, maximum=maximum)

    def flag(self, name: str) -> bool:
        """`true` or `false`; false if it is not there."""
        text = self.text(name)
        if text not in (None, "true", "false"):
            raise Problem(400, "bad-parameter", f"{name} must be true or false, not {text!r}.")
        return text == "true"


def integer_of(name: str, text: str, *, minimum: int = 0, maximum: int = MAX_POSITION) -> int:
    """A whole number in decimal digits. Raises a Problem that names it."""
    # int() alone would also take blanks, underscores and digits of other scripts.
    if not _DIGITS.fullmatch(text) or not minimum <= int(text) <= maximum:
        raise Problem(
            400,
            "bad-parameter",
            f"{name} must be a whole number from {minimum} to {maximum}, not {text[:40]!r}.",
            details={"parameter": name},
        )
    return int(text)
