"""`tusk state`: an aggregate as its events make it, now or in the past, and what changed in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import orjson

from tusk_runtime.cli.output import ENV_FILE, FILE, FORMAT, print_json, table
from tusk_runtime.cli.stored import Loaded, is_number, load, microseconds, with_store
from tusk_runtime.errors import Invalid, NotFound
from tusk_runtime.events import StoredEvent
from tusk_runtime.language.report import printable
from tusk_runtime.model.application import Application
from tusk_runtime.running.history import answer_of, stream_of
from tusk_runtime.running.service import AggregateAnswer
from tusk_runtime.store.protocol import EventStore, StreamId

MOST_VERSIONS = 2**31 - 1
"""Of an aggregate, in any store."""


class _Moment(NamedTuple):
    """A version of an aggregate, or a time (µs), as it was written."""

    text: str
    version: int | None = None
    time: int | None = None


def _moment(text: str) -> _Moment:
    if is_number(text):
        return _Moment(text, version=int(text))
    try:
        return _Moment(text, time=microseconds(text))
    except click.BadParameter:
        example = "a version, or a time such as 2025-01-31T12:00:00Z"
        raise click.BadParameter(f"write {example}, not {text!r}") from None


@click.command("state")
@FILE
@click.argument("aggregate_type", metavar="TYPE")
@click.argument("aggregate_id", metavar="ID")
@click.option("--at", metavar="VERSION|TIME", help="As it was then; a time without a zone is UTC.")
@click.option(
    "--diff", nargs=2, metavar="A B", help="What changed between two versions or times, and by what."
)
@ENV_FILE
@FORMAT
def command(
    file: Path,
    aggregate_type: str,
    aggregate_id: str,
    at: str | None,
    diff: tuple[str, str] | None,
    env_file: Path | None,
    format_: str,
) -> None:
    """Print the state of the aggregate TYPE ID, as the events in the store of FILE make it.

    The application may run meanwhile. Version 0 is the time before its first event. Personal data is shown as
    `***`.
    """
    if at is not None and diff is not None:
        raise click.UsageError("--at shows one state, --diff compares two: give one of them")
    moments = [_moment(text) for text in diff or ([at] if at is not None else ())]
    application = load(file, env_file, format_)
    past = _Past(application)

    async def read(store: Any) -> list[_Then]:
        stream = stream_of(application, aggregate_type, aggregate_id)
        return [await past.at(store.events, stream, each) for each in moments or [_Moment("")]]

    found = with_store(application, file, read)
    if diff is not None:
        before, after = found
        _print_difference(application, before, after, format_)
    else:
        _print_state(found[0], format_)


class _Then(NamedTuple):
    """An aggregate as it was: `shown` is its state as it may be shown, both as JSON values.

    Before the first event there is no answer, and the state is empty.
    """

    stream: StreamId
    answer: AggregateAnswer | None
    events: Sequence[StoredEvent]
    state: Mapping[str, Any]
    shown: Mapping[str, Any]


class _Past:
    """Folds events by the declaration that the file holds now."""

    def __init__(self, application: Application) -> None:
        from tusk_runtime.aggregates.handlers import Handlers
        from tusk_runtime.web.masking import Masks

        self._handlers = Handlers(application)
        self._masks = Masks(Loaded(application))

    async def at(self, events: EventStore, stream: StreamId, moment: _Moment) -> _Then:
        """The aggregate at a moment. Raises NotFound where there is none, and Invalid."""
        version = None if moment.version is None else min(moment.version, MOST_VERSIONS)
        found = await events.read_stream(stream, until_version=version, until=moment.time)
        if not found:
            if moment.text and await events.read_stream(stream, limit=1):
                return _Then(stream, None, (), {}, {})
            raise NotFound(f"there is no {stream.aggregate_type} {stream.aggregate_id}")
        if moment.version is not None and found[-1].version < moment.version:
            name = f"{stream.aggregate_type} {stream.aggregate_id}"
            raise Invalid(f"{name} has {found[-1].version} versions: there is no version {moment.version}")
        folder = self._handlers.folder(stream.aggregate_type)
        answer = answer_of(stream, found, lambda _, each: folder.fold(folder.initial, each))
        return _Then(stream, answer, found, _plain(answer.state), _plain(self._masks.state(answer)))


def _plain(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run-time values as those of JSON."""
    from tusk_runtime.web.encoding import dumps

    plain: Mapping[str, Any] = orjson.loads(dumps(state))
    return plain


def _place(then: _Then) -> dict[str, Any]:
    from tusk_runtime.web.encoding import time_text

    if then.answer is None:
        return {"version": 0, "position": 0, "timestamp": None}
    return {
        "version": then.answer.version,
        "position": then.answer.position,
        "timestamp": time_text(then.events[-1].timestamp),
    }


def _print_state(then: _Then, format_: str) -> None:
    type_, id_ = then.stream
    if format_ == "json":
        head = {"aggregate_type": type_, "aggregate_id": id_, **_place(then)}
        print_json({**head, "state": then.shown})
        return
    if then.answer is None:
        click.echo(printable(f"{type_} {id_} did not exist yet"))
        return
    place = _place(then)
    click.echo(
        printable(f"{type_} {id_}")
        + f"  version {place['version']}, position {place['position']}, {place['timestamp']}"
    )
    if then.shown:
        click.echo(table(("field", "value"), ((name, _word(value)) for name, value in then.shown.items())))


def _print_difference(application: Application, before: _Then, after: _Then, format_: str) -> None:
    from tusk_runtime.cli.event_lines import lines_of
    from tusk_runtime.web.encoding import event_json
    from tusk_runtime.web.masking import Masks

    if len(before.events) > len(after.events):
        raise click.UsageError("--diff A B: A is the earlier one")
    masks = Masks(Loaded(application))
    events = after.events[len(before.events) :]
    changes = list(_changes("", before.state, after.state, before.shown, after.shown))
    type_, id_ = after.stream
    if format_ == "json":
        print_json(
            {
                "aggregate_type": type_,
                "aggregate_id": id_,
                "from": _place(before),
                "to": _place(after),
                "changes": [change._asdict() for change in changes],
                "events": [orjson.loads(event_json(event, masks)) for event in events],
            }
        )
        return
    click.echo(printable(f"{type_} {id_}") + f"  version {len(before.events)} → {len(after.events)}")
    if changes:
        rows = ((each.field, _word(each.before), _word(each.after)) for each in changes)
        click.echo(table(("field", "before", "after"), rows))
    else:
        click.echo("no field changed")
    if events:
        click.echo("\n" + "\n".join(lines_of(events, application, masks)))


class _Change(NamedTuple):
    """A field that is not the same: its path, and what it was and is; None where it is not there."""

    field: str
    before: Any
    after: Any


def _changes(path: str, old: Any, new: Any, old_shown: Any, new_shown: Any) -> Iterator[_Change]:
    """What differs, down to the fields of records and the keys of maps, as far as it may be shown."""
    if old == new:
        return
    sides = (old, new, old_shown, new_shown)
    if path and not all(isinstance(side, dict) for side in sides):
        yield _Change(path, old_shown, new_shown)
        return
    for name in dict.fromkeys((*old, *new)):
        inner = [side.get(name) for side in sides]
        yield from _changes(f"{path}.{name}" if path else name, *inner)


def _word(value: Any) -> str:
    return orjson.dumps(value).decode()
