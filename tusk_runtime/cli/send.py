"""`tusk send`: the rows of a file as commands, in bulk, safe to repeat."""

from __future__ import annotations

import csv
import http.client
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import click
import orjson

from tusk_runtime.cli.output import ENV_FILE, FAILED, GOOD, environment, stop_failed, stop_invalid
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.events import NAMESPACE, command_id_from, id_text
from tusk_runtime.language.diagnostics import did_you_mean

CHUNK = 2000
"""Rows in one request."""
TRIES = 6
SHOWN = 10
"""Refused rows that are shown one by one."""

Line = dict[str, Any]


@click.command("send")
@click.argument("name", metavar="COMMAND")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="A .csv file with a head line, or a .jsonl file with an object of fields in each line.",
)
@click.option("--app", type=click.Path(path_type=Path), help="The .tsk file of the running application.")
@click.option("--url", help="Where it answers, if it was not started on this machine.")
@click.option("--token", envvar="TUSK_TOKEN", help="The token; that of the running application by default.")
@click.option(
    "--run",
    "label",
    default="",
    help="A name for this delivery: the same rows under another name count anew.",
)
@click.option("--null", "nulls", multiple=True, metavar="TEXT", help="A cell that means nothing, such as NA.")
@click.option("--ignore-unknown", is_flag=True, help="Leave out columns that are no fields of the command.")
@ENV_FILE
def command(
    name: str,
    source: Path,
    app: Path | None,
    url: str | None,
    token: str | None,
    label: str,
    nulls: tuple[str, ...],
    ignore_unknown: bool,
    env_file: Path | None,
) -> None:
    """Send every row of a file as COMMAND to the running application.

    The id of each command derives from the file's name, the row's number and its content, so that a run that
    was cut off is repeated as it is: what was taken is not taken twice. Exit code 1 if a row is refused.
    """
    server = _Server(*_address(app, url, token, env_file))
    fields = server.fields_of(name)
    counts: Counter[str] = Counter()
    refused: list[Line] = []
    begin = time.perf_counter()
    try:
        with source.open("rb") as stream, _progress(source) as bar:
            rows = _rows(stream, source, set(fields), ignore_unknown, {"", *nulls})
            numbered = enumerate(rows, 1)
            done = 0
            while chunk := list(islice(numbered, CHUNK)):
                lines = [
                    {"command_id": _command_id(source.name, label, number, row), "fields": row}
                    for number, row in chunk
                ]
                first = chunk[0][0]
                for verdict in server.send(name, lines):
                    outcome = _outcome(verdict)
                    counts[outcome] += 1
                    if outcome == "refused" and len(refused) < SHOWN:
                        refused.append({**verdict, "line": first + verdict["line"] - 1})
                at = stream.tell()
                bar.update(at - done)
                done = at
    except _BadFile as error:
        stop_failed(str(error))
    _summary(counts, refused, time.perf_counter() - begin)
    sys.exit(FAILED if counts["refused"] else GOOD)


class _BadFile(Exception):
    """A row that cannot be read."""


def _command_id(file: str, label: str, number: int, row: Line) -> str:
    content = orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()
    return id_text(command_id_from(f"{NAMESPACE} send {file} {label} {number} {content}"))


def _rows(
    stream: BinaryIO, source: Path, fields: set[str], ignore_unknown: bool, nulls: set[str]
) -> Iterator[Line]:
    known = fields | {"aggregate_id"}
    if source.suffix.lower() in (".jsonl", ".ndjson"):
        for number, text in enumerate(stream, 1):
            if not text.strip():
                continue
            try:
                row = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise _BadFile(f"{source}, line {number}: no JSON: {error.msg}") from None
            if not isinstance(row, dict):
                raise _BadFile(f"{source}, line {number}: no JSON object")
            yield _picked(row, known, ignore_unknown, f"{source}, line {number}")
        return
    if source.suffix.lower() != ".csv":
        raise _BadFile(f"{source}: a .csv or .jsonl file is expected")
    reader = csv.reader(_text_lines(stream, source), strict=True)
    try:
        head = next(reader, None)
        if not head:
            raise _BadFile(f"{source}: the head line with the names of the columns is missing")
        # An empty cell is a field that is not given.
        for row_ in reader:
            if len(row_) != len(head):
                raise _BadFile(
                    f"{source}, line {reader.line_num}: {len(row_)} cells, and the head has {len(head)}"
                )
            row = {column: cell for column, cell in zip(head, row_, strict=True) if cell not in nulls}
            yield _picked(row, known, ignore_unknown, f"{source}, line {reader.line_num}")
    except csv.Error as error:
        raise _BadFile(f"{source}, line {reader.line_num}: {error}") from None


def _text_lines(stream: BinaryIO, source: Path) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise _BadFile(f"{source}, line {number}: no UTF-8") from None


def _picked(row: Line, known: set[str], ignore_unknown: bool, place: str) -> Line:
    unknown = [column for column in row if column not in known]
    if not unknown:
        return row
    if ignore_unknown:
        return {column: value for column, value in row.items() if column in known}
    help_ = did_you_mean(unknown[0], known)
    raise _BadFile(
        f"{place}: `{unknown[0]}` is no field of the command"
        + (f"; {help_}" if help_ else "")
        + "\n  help: rename the column, or leave such columns out with --ignore-unknown"
    )


def _outcome(verdict: Line) -> str:
    if verdict["status"] == 200:
        return "repeated" if verdict.get("repeated") else "accepted"
    return "refused"


def _progress(source: Path):  # type: ignore[no-untyped-def]  # click's progress bar
    return click.progressbar(
        length=source.stat().st_size, label=source.name, file=sys.stderr, show_pos=False, show_percent=True
    )


def _summary(counts: Counter[str], refused: list[Line], seconds: float) -> None:
    total = sum(counts.values())
    click.echo(
        f"{total:,} rows in {seconds:.1f} s ({total / max(seconds, 1e-9):,.0f}/s): "
        f"{counts['accepted']:,} accepted, {counts['repeated']:,} were sent before, "
        f"{counts['refused']:,} refused"
    )
    for verdict in refused:
        errors = "; ".join(f"{e.get('field')}: {e.get('message')}" for e in verdict.get("errors") or ())
        click.echo(f"  row {verdict['line']}: {verdict.get('detail', '')}{': ' + errors if errors else ''}")
    if counts["refused"] > len(refused):
        click.echo(f"  … and {counts['refused'] - len(refused):,} more")


def _address(app: Path | None, url: str | None, token: str | None, env_file: Path | None) -> tuple[str, str]:
    """The address and the token: as said, or those of the application that runs here."""
    if url is not None and token is not None:
        return url, token
    beside = _database(app, env_file) if app is not None else _only_running_here()
    server, token_path = beside.with_name(beside.name + ".server"), beside.with_name(beside.name + ".token")
    try:
        url = url or str(orjson.loads(server.read_bytes())["url"])
    except (OSError, ValueError, KeyError):
        stop_failed(
            f"the application does not run ({server} is not there)\n  help: start it: tusk-run FILE.tsk"
        )
    try:
        return url, token or token_path.read_text().strip()
    except OSError:
        stop_failed(f"the token cannot be read from {token_path}\n  help: give it with --token or TUSK_TOKEN")


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


class _Server:
    """The running application, over HTTP."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None

    def fields_of(self, name: str) -> list[str]:
        """The fields of a command, as the application describes it."""
        status, body = self._request("GET", "/openapi.json", None, {})
        if status == 401:
            stop_failed("the application does not accept this token")
        if status != 200:
            stop_failed(f"the application answers {status} for its description")
        description = orjson.loads(body)
        prefix = "/api/commands/"
        commands = [path.removeprefix(prefix) for path in description["paths"] if path.startswith(prefix)]
        if name not in commands:
            stop_failed(f"there is no command `{name}`\n  help: {did_you_mean(name, commands)}")
        content = description["paths"][prefix + name]["post"]["requestBody"]["content"]
        schema = content["application/json"]["schema"]
        while "$ref" in schema:
            schema = description["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return list(schema.get("properties", {}))

    def send(self, name: str, lines: list[Line]) -> list[Line]:
        """The verdicts of a chunk, in order; what the application could not take now is sent again."""
        verdicts: dict[int, Line] = {}
        left = list(range(len(lines)))
        for attempt in range(TRIES):
            if attempt:
                time.sleep(min(0.2 * 2**attempt, 5.0))
            body = b"\n".join(orjson.dumps(lines[index]) for index in left)
            headers = {"Content-Type": "application/x-ndjson"}
            status, answer = self._request("POST", f"/api/commands/{quote(name)}", body, headers)
            if status in (429, 503):
                continue
            if status != 200:
                stop_failed(_detail(answer) or f"the application answers {status}")
            again = []
            for index, text in zip(left, answer.splitlines(), strict=False):
                verdict = orjson.loads(text)
                if verdict["status"] in (429, 503):
                    again.append(index)
                else:
                    verdicts[index] = {**verdict, "line": index + 1}
            # A cut answer: what it does not tell is asked again, under the same ids.
            again.extend(index for index in left if index not in verdicts and index not in again)
            left = sorted(again)
            if not left:
                return [verdicts[index] for index in range(len(lines))]
        stop_failed(
            "the application takes no more rows\n  help: run this again; what was taken is not taken twice"
        )

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        problem: Exception | None = None
        for attempt in range(TRIES):
            if attempt:
                time.sleep(min(0.2 * 2**attempt, 5.0))
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
                self._connection.request(method, path, body, {**self._headers, **headers})
                response = self._connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                problem = error
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
        stop_failed(
            f"the application at {self._host}:{self._port} does not answer: {problem}\n"
            "  help: run this again; what was taken is not taken twice"
        )


def _detail(body: bytes) -> str:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(found.get("detail", "")) if isinstance(found, dict) else ""
