"""`/` and its static files: the first page, for people."""

from __future__ import annotations

import hashlib
import time
from http import HTTPStatus
from importlib import resources
from typing import NamedTuple
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.errors import Unavailable
from tusk_runtime.web.context import Context
from tusk_runtime.web.encoding import time_text
from tusk_runtime.web.examples import examples_of
from tusk_runtime.web.problems import STANDARD_HEADERS, Problem
from tusk_runtime.web.security import SESSION_SECONDS

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
_MONTHS = 31 * 24 * 3600


class Asset(NamedTuple):
    """A static file, held in memory."""

    content: bytes
    media_type: str
    digest: str


def _asset(name: str, media_type: str) -> Asset:
    content = (resources.files("tusk_runtime.web") / "pages" / "static" / name).read_bytes()
    return Asset(content, media_type, hashlib.sha256(content).hexdigest()[:16])


# The names are fixed: nothing in an address ever becomes a path.
ASSETS = {
    "tusk.css": _asset("tusk.css", "text/css; charset=utf-8"),
    "tusk.js": _asset("tusk.js", "text/javascript; charset=utf-8"),
    "tail.js": _asset("tail.js", "text/javascript; charset=utf-8"),
    "icon.svg": _asset("icon.svg", "image/svg+xml"),
}

_templates = Environment(
    loader=PackageLoader("tusk_runtime.web", "pages/templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["asset"] = lambda name: f"/static/{name}?v={ASSETS[name].digest}"
_templates.filters["grouped"] = lambda number: f"{number:,}".replace(",", "\u202f")


async def index(request: Request) -> Response:
    """The page; with `?token=` a session first; without either, how to open it."""
    context = Context.of(request)
    given = parse_qs(request.url.query).get("token")
    if given:
        return _new_session(request, context, given[0])
    try:
        context.security.require_reader(request.scope, context.headers)
    except Problem:
        return _locked()
    return await _page(request, context)


def _new_session(request: Request, context: Context, token: str) -> Response:
    """Trade the token for a cookie, and take it out of the address bar and the history."""
    if not context.security.is_token(token.encode()):
        return _locked("The token in this link is not valid here. It may be from another run, or cut off.")
    answer = Response(status_code=303, headers={"location": "/"})
    answer.raw_headers.extend(STANDARD_HEADERS)
    answer.set_cookie(
        context.security.cookie_name(request.scope),
        context.security.new_session(),
        max_age=SESSION_SECONDS,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


def _locked(reason: str = "") -> Response:
    text = _templates.get_template("locked.html").render(reason=reason)
    return _html(text, 401, {"www-authenticate": 'Bearer realm="tusk"'})


async def _page(request: Request, context: Context) -> Response:
    try:
        status = await context.service.status()
        application = context.service.application
    except Unavailable as error:
        headers = {"retry-after": "2", "refresh": "2"}
        return _html(_templates.get_template("unavailable.html").render(reason=error.message), 503, headers)
    commands, queries = examples_of(application, f"{request.url.scheme}://{request.headers['host']}")
    text = _templates.get_template("index.html").render(
        status=status,
        started_at=time_text(status.started_at),
        uptime=uptime_text(time.time() - status.started_at / 1_000_000),
        commands=commands,
        queries=queries,
        event_types=list(application.events),
        first_call=commands[0].curl if commands else "",
    )
    return _html(text)


def uptime_text(seconds: float) -> str:
    """How long something runs, in its two largest units; the script keeps it current in the same form."""
    rest = max(0, int(seconds))
    for unit, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if rest >= size:
            return f"{rest // size} {unit} {rest % size // part} {small}"
    return f"{rest} s"


def _html(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    answer = Response(
        text, status, headers={**SECURITY_HEADERS, **(headers or {})}, media_type="text/html; charset=utf-8"
    )
    answer.raw_headers.extend(STANDARD_HEADERS)
    return answer


async def static(request: Request) -> Response:
    """A static file. Its address changes with its content, so that a browser may keep it."""
    asset = ASSETS.get(request.path_params["name"])
    if asset is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    etag = f'"{asset.digest}"'
    current = request.query_params.get("v") == asset.digest
    headers = {
        "etag": etag,
        "cache-control": f"public, max-age={_MONTHS}, immutable" if current else "no-cache",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'",
    }
    if etag in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)
