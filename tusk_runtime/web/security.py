"""Who may ask: the token, the session of the page, and checks that a request comes from where it says."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tusk_runtime.errors import StartFailed
from tusk_runtime.events import Caller
from tusk_runtime.web.problems import Problem

SESSION_SECONDS = 24 * 3600
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""What a session is enough for."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,256}")
_SINGLE = (b"host", b"authorization", b"cookie", b"origin", b"content-type", b"content-length")
_REMEMBERED_HOSTS = 64

Headers = Mapping[bytes, bytes]
"""A request's headers by lower-case name."""


def single_headers(raw: Collection[tuple[bytes, bytes]]) -> Headers:
    """Headers as a mapping. One that decides something and comes twice is refused, not guessed at."""
    headers = dict(raw)
    if len(headers) != len(raw):
        names = [name for name, _ in raw]
        for name in _SINGLE:
            if names.count(name) > 1:
                raise Problem(400, "bad-request", f"The header {name.decode()} stands there twice.")
    return headers


class Security:
    """Decides on each request: by the Host that it names, the site that it comes from, and what it shows.

    A program shows the token as a bearer. The page has a session cookie, which is signed with a key that
    derives from the token: it outlives a restart, ends after a day, and is of no use for a command.
    """

    def __init__(self, token: str, allowed_hosts: Collection[str] = ()) -> None:
        if not _TOKEN.fullmatch(token):
            raise ValueError("a token has 32 to 256 characters of A-Z a-z 0-9 _ -")
        self._token_hash = hashlib.sha256(token.encode()).digest()
        self._session_key = hashlib.blake2b(token.encode(), person=b"tusk session", digest_size=32).digest()
        self._configured = frozenset(host.lower() for host in allowed_hosts)
        self._accepted: set[tuple[bytes, Any]] = set()
        self.caller = Caller()

    def check_origin(self, scope: Mapping[str, Any], headers: Headers) -> None:
        """Refuse a foreign Host (a rebound name), and what a page of another site asks for."""
        host = headers.get(b"host")
        if host is None:
            raise Problem(400, "bad-request", "The header Host is missing.")
        server = scope.get("server")
        port = server[1] if server else None
        if (host, port) not in self._accepted:
            if not self._host_allowed(host.decode("latin-1").lower(), port):
                raise Problem(421, "misdirected-request", "This server does not answer under this Host.")
            if len(self._accepted) < _REMEMBERED_HOSTS:
                self._accepted.add((host, port))
        if b"origin" in headers or b"sec-fetch-site" in headers:
            self._check_site(scope, headers, host)

    def _host_allowed(self, host: str, port: int | None) -> bool:
        name, colon, given_port = host.rpartition(":")
        if not colon or host.endswith("]"):
            name, given_port = host, "80"
        if host in self._configured or name in self._configured:
            return True
        return name in LOOPBACK_NAMES and (port is None or given_port == str(port))

    def _check_site(self, scope: Mapping[str, Any], headers: Headers, host: bytes) -> None:
        site = headers.get(b"sec-fetch-site", b"none")
        origin = headers.get(b"origin")
        same_origin = origin is None or origin.lower() == b"%s://%s" % (
            str(scope.get("scheme", "http")).encode(),
            host.lower(),
        )
        if site in (b"none", b"same-origin") and same_origin:
            return
        # Someone may follow a link to the page from anywhere: a navigation reads nothing and does nothing.
        navigates = headers.get(b"sec-fetch-mode") == b"navigate" and scope["method"] in READING_METHODS
        if navigates and scope["path"] == "/" and same_origin:
            return
        raise Problem(403, "cross-site", "Requests from other sites are refused.")

    def has_token(self, headers: Headers) -> bool:
        """Whether the bearer token is there and right. Raises a Problem if it is there and wrong."""
        given = headers.get(b"authorization")
        if given is None:
            return False
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != b"bearer" or not self.is_token(token.strip()):
            raise _unauthorized("The token is not valid here.", error="invalid_token")
        return True

    def is_token(self, token: bytes) -> bool:
        """Whether this is the token. Hashes are compared, so that the time tells nothing about it."""
        return hmac.compare_digest(hashlib.sha256(token).digest(), self._token_hash)

    def require_token(self, headers: Headers) -> None:
        """Refuse what does not show the token itself: anything that changes something."""
        if not self.has_token(headers):
            raise _unauthorized("A bearer token is needed: Authorization: Bearer <token>.")

    def require_reader(self, scope: Mapping[str, Any], headers: Headers) -> None:
        """Refuse what shows neither the token nor a session."""
        if not self.has_token(headers) and not self.has_session(scope, headers):
            raise _unauthorized("A bearer token is needed: Authorization: Bearer <token>.")

    def has_session(self, scope: Mapping[str, Any], headers: Headers) -> bool:
        """Whether the page's cookie is there and holds."""
        cookies = headers.get(b"cookie")
        if cookies is None:
            return False
        name = self.cookie_name(scope).encode()
        for cookie in cookies.split(b";"):
            key, _, value = cookie.strip().partition(b"=")
            if key == name and self._session_holds(value.decode("latin-1")):
                return True
        return False

    def new_session(self) -> str:
        """A fresh value for the cookie: random, with its end, signed."""
        payload = f"{secrets.token_urlsafe(24)}.{int(time.time()) + SESSION_SECONDS}"
        return f"{payload}.{self._sign(payload)}"

    def _session_holds(self, value: str) -> bool:
        payload, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(payload).encode()):
            return False
        return int(payload.rpartition(".")[2]) > time.time()

    def _sign(self, payload: str) -> str:
        return hmac.new(self._session_key, payload.encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def cookie_name(scope: Mapping[str, Any]) -> str:
        """The cookie's name holds the port: cookies of one host are shared between its ports."""
        server = scope.get("server")
        return f"tusk_session_{server[1] if server else 0}"


def _unauthorized(detail: str, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="tusk"' + (f', error="{error}"' if error else "")
    return Problem(401, "unauthorized", detail, headers={"www-authenticate": challenge})


def load_or_create_token(path: Path) -> str:
    """The token in this file; a new one, in a file that only its owner can read, if there is none.

    Raises StartFailed if others can read the file, or if it holds something else.
    """
    try:
        return _read_token(path)
    except FileNotFoundError:
        pass
    token = secrets.token_urlsafe(32)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, token)
    except FileExistsError:
        # Another process was first: its token is the one.
        return _read_token(path)
    except OSError as error:
        raise StartFailed(f"cannot write the token file {path}: {error.strerror}") from error
    return token


def _read_token(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StartFailed(f"cannot read the token file {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise StartFailed(f"the token file {path} is not a plain file")
        if status.st_mode & 0o077:
            raise StartFailed(
                f"others can read the token file {path}",
                help=f"remove it, and a new token is made; or, if nobody has read it: chmod 600 {path}",
            )
        text = file.read(1024).decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(text):
        raise StartFailed(f"the file {path} holds no token", help="remove it, and a new token is made")
    return text


def _create(path: Path, token: str) -> None:
    """Make the whole file appear at once, or fail with FileExistsError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces what another process has put there.
        os.link(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
