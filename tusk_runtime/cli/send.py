"""`tusk send`: the rows of a file as commands, in bulk, safe to repeat."""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import click
import orjson

from tusk_runtime.cli.output import FAILED, GOOD, stop_failed
from tusk_runtime.cli.server import TRIES, Server, Where, pause, running_application, stop_refused
from tusk_runtime.events import NAMESPACE, command_id_from, id_text
from tusk_runtime.language.diagnostics import did_you_mean

CHUNK = 2000
"""Rows in one request."""
AGAIN = "run this again; what was taken is not taken twice"
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
@running_application
@click.option(
    "--run",
    "label",
    default="",
    help="A name for this delivery: the same rows under another name count anew.",
)
@click.option("--null", "nulls", multiple=True, metavar="TEXT", help="A cell that means nothing, such as NA.")
@click.option("--ignore-unknown", is_flag=True, help="Leave out columns that are no fields of the command.")
def command(
    name: str,
    source: Path,
    label: str,
    nulls: tuple[str, ...],
    ignore_unknown: bool,
    where: Where,
) -> None:
    """Send every row of a file as COMMAND to the running application.

    The id of each command derives from the file's name, the row's number and its content, so that a run that
    was cut off is repeated as it is: what was taken is not taken twice. Exit code 1 if a row is refused.
    """
    commands = _Commands(where.connect())
    fields = commands.fields_of(name)
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
                for verdict in commands.send(name, lines):
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


class _Commands:
    """The commands of the running application."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def fields_of(self, name: str) -> list[str]:
        """The fields of a command, as the application describes it."""
        status, body = self._server.request("GET", "/openapi.json", help=AGAIN)
        if status != 200:
            stop_refused(status, body)
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
                pause(attempt)
            body = b"\n".join(orjson.dumps(lines[index]) for index in left)
            headers = {"Content-Type": "application/x-ndjson"}
            path = f"/api/commands/{quote(name)}"
            status, answer = self._server.request("POST", path, body, headers, help=AGAIN)
            if status in (429, 503):
                continue
            if status != 200:
                stop_refused(status, answer)
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
        stop_failed(f"the application takes no more rows\n  help: {AGAIN}")
