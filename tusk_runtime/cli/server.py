"""What verbs share that talk to the running application: where it answers, and requests to it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

import click
import orjson

from tusk_runtime.cli.output import ENV_FILE, environment, stop_failed, stop_invalid
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.report import printable

TRIES = 6
"""How often a request is sent whose repetition does no harm."""


class Where(NamedTuple):
    """Which application is meant, as the command line says it."""

    app: Path | None
    url: str | None
    token: str | None
    env_file: Path | None

    def connect(self) -> Server:
        """The application; ends the process if it is not found."""
        url, token = self.url, self.token
        if url is not None and token is not None:
            return Server(url, token)
        beside = _only_running_here() if self.app is None else _database(self.app, self.env_file)
        server, token_path = (beside.with_name(beside.name + end) for end in (".server", ".token"))
        try:
            url = url or str(orjson.loads(server.read_bytes())["url"])
        except (OSError, ValueError, KeyError):
            stop_failed(
                f"the application does not run ({server} is not there)\n  help: start it: tusk-run FILE.tsk"
            )
        try:
            return Server(url, token or token_path.read_text().strip())
        except OSError:
            stop_failed(
                f"the token cannot be read from {token_path}\n  help: give it with --token or TUSK_TOKEN"
            )


def running_application(function: Callable[..., None]) -> Callable[..., None]:
    """Options that say which running application is meant: one argument `where` of the function."""

    @wraps(function)
    def command(**given: Any) -> None:
        where = Where(*(given.pop(name) for name in Where._fields))
        function(where=where, **given)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: Sequence[Callable[[Callable[..., None]], Callable[..., None]]] = (
    click.option("--app", type=click.Path(path_type=Path), help="The .tsk file of the running application."),
    click.option("--url", help="Where it answers, if it was not started on this machine."),
    click.option(
        "--token", envvar="TUSK_TOKEN", help="The token; that of the running application by default."
    ),
    ENV_FILE,
)


def _database(app: Path, env_file: Path | None) -> Path:
    from tusk_runtime.running.backends import database_path
    from tusk_runtime.running.load import load_or_raise

    try:
        settings = load_or_raise(app, environment(env_file)).settings
    except InvalidConfiguration as error:
        stop_invalid(error)
    return database_path(settings, app)


def _only_running_here() -> Path:
    """The database of the only application that runs from a file under this folder."""
    found = [*Path().glob(".tusk/*.server"), *Path().glob("*/.tusk/*.server")]
    if len(found) == 1:
        return found[0].with_suffix("")
    problem = "no application runs" if not found else "several applications run"
    stop_failed(
        f"{problem} from a file in this folder\n  help: say which with --app FILE.tsk, or --url and --token"
    )


class Server:
    """The running application, over HTTP."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        help: str = "",  # noqa: A002 - the field's name everywhere
    ) -> tuple[int, bytes]:
        """The status and the body of the answer. A request without an answer is sent again, up to `TRIES`
        times; then the process ends, and `help` says what to do."""
        problem: Exception | None = None
        for attempt in range(TRIES):
            if attempt:
                pause(attempt)
            try:
                return self._send(method, path, body, headers or {})
            except (OSError, http.client.HTTPException) as error:
                problem = error
        self._give_up(problem, help)

    def once(self, method: str, path: str, body: Any = None, *, help: str = "") -> Any:  # noqa: A002
        """The JSON of a good answer, with `body` as JSON; another answer, or none, ends the process with what
        it says. It is sent once."""
        content = None if body is None else orjson.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            status, answer = self._send(method, path, content, headers)
        except (OSError, http.client.HTTPException) as error:
            self._give_up(error, help)
        if status != 200:
            stop_refused(status, answer)
        return orjson.loads(answer)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
            self._connection.request(method, path, body, {**self._headers, **headers})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            raise

    def _give_up(self, problem: Exception | None, help_: str) -> NoReturn:
        stop_failed(
            f"the application at {self._host}:{self._port} does not answer: {problem}"
            + (f"\n  help: {help_}" if help_ else "")
        )


def pause(attempt: int) -> None:
    """Wait before the attempt of this number, longer each time."""
    time.sleep(min(0.2 * 2**attempt, 5.0))


def stop_refused(status: int, body: bytes) -> NoReturn:
    """Print why the application refused a request, and exit with 1."""
    if status == 401:
        stop_failed("the application does not accept this token")
    problem = _problem(body)
    help_ = problem.get("help")
    stop_failed(
        printable(str(problem.get("detail") or f"the application answers {status}"))
        + (f"\n  help: {printable(str(help_))}" if help_ else "")
    )


def _problem(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
