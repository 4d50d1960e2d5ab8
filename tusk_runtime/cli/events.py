"""`tusk events`: the log of an application, read and taken elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import orjson

from tusk_runtime.cli.output import ENV_FILE, FILE, FORMAT, stop_failed
from tusk_runtime.cli.stored import (
    LARGEST,
    Loaded,
    id_option,
    is_number,
    load,
    position_option,
    progress,
    time_option,
    with_store,
)
from tusk_runtime.cli.transfer import export_command, import_command
from tusk_runtime.errors import NotFound, UnknownName
from tusk_runtime.events import StoredEvent, id_text
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.language.report import printable
from tusk_runtime.model.application import Application
from tusk_runtime.store.protocol import EventStore, Store, StreamId

PAGE = 1000
SHOWN = 50
"""Events that are listed if nothing is said."""


@click.group("events")
def command() -> None:
    """Read the events that an application has stored, and take them elsewhere."""


command.add_command(export_command)
command.add_command(import_command)


@dataclass(frozen=True)
class _Wanted:
    """Which events are listed: those behind `after` and before `before` for which all else is true."""

    types: Sequence[str] | None
    aggregate_type: str | None
    aggregate_id: str | None
    correlation_id: bytes | None
    after: int
    before: int
    since: int | None
    until: int | None

    def has(self, event: StoredEvent) -> bool:
        """Whether an event is one of them, as far as the store was not asked for it."""
        return (
            (self.aggregate_type is None or event.aggregate_type == self.aggregate_type)
            and (self.since is None or event.timestamp >= self.since)
            and (self.until is None or event.timestamp <= self.until)
        )


@command.command("ls", short_help="List events, the newest last.")
@FILE
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only events of this type; repeatable.")
@click.option("--aggregate", nargs=2, metavar="TYPE ID", help="Only the events of this aggregate.")
@click.option("--id", "aggregate_id", metavar="ID", help="Only those of aggregates with this id.")
@click.option(
    "--correlation", metavar="UUID", callback=id_option, help="Only those with this correlation id."
)
@click.option(
    "--command", "command_id", metavar="UUID", callback=id_option, help="Only those of this command."
)
@click.option("--after", metavar="N", callback=position_option, help="From behind this position on.")
@click.option("--before", metavar="N", callback=position_option, help="Up to before this position.")
@click.option("--since", metavar="TIME", callback=time_option, help="Not older; without a zone it is UTC.")
@click.option("--until", metavar="TIME", callback=time_option, help="Not newer.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help=f"At most so many; {SHOWN} if not said.")
@click.option("--last", type=click.IntRange(1), metavar="N", help="The newest ones, so many.")
@ENV_FILE
@FORMAT
def ls_command(
    file: Path,
    types: tuple[str, ...],
    aggregate: tuple[str, str] | None,
    aggregate_id: str | None,
    correlation: bytes | None,
    command_id: bytes | None,
    after: int | None,
    before: int | None,
    since: int | None,
    until: int | None,
    limit: int | None,
    last: int | None,
    env_file: Path | None,
    format_: str,
) -> None:
    """List events of the log of FILE, the newest last: the newest ones, or with --after or --since the first.

    The application may run meanwhile. With `--format json` each line is an event as GET /api/events gives it.
    Personal data is shown as `***`.
    """
    if limit is not None and last is not None:
        raise click.UsageError("--limit and --last both say how many: give one of them")
    if aggregate is not None and aggregate_id is not None:
        raise click.UsageError("--aggregate and --id both say of which aggregate: give one of them")
    application = load(file, env_file, format_)
    wanted = _Wanted(
        types or None,
        aggregate[0] if aggregate else None,
        _as_stored(application, *aggregate) if aggregate else aggregate_id,
        correlation,
        after or 0,
        LARGEST if before is None else before,
        since,
        until,
    )
    forwards = last is None and (after is not None or since is not None)
    listing = _Listing(application, format_, last or limit or SHOWN, forwards)
    with_store(application, file, lambda store: listing.run(store.events, wanted, command_id))


def _as_stored(application: Application, aggregate_type: str, aggregate_id: str) -> str:
    declared = application.aggregates.get(aggregate_type)
    return aggregate_id.lower() if declared is not None and declared.id.kind == "uuid" else aggregate_id


class _Listing:
    """Finds the events that are wanted, and prints them."""

    def __init__(self, application: Application, format_: str, limit: int, forwards: bool) -> None:
        from tusk_runtime.web.masking import Masks

        self.application = application
        self._json = format_ == "json"
        self._limit = limit
        self._forwards = forwards
        self._masks = Masks(Loaded(application))

    async def run(self, events: EventStore, wanted: _Wanted, command_id: bytes | None) -> None:
        """Print them. Raises UnknownName and NotFound."""
        if wanted.types:
            stored: list[str] = []
            for name in wanted.types:
                await _check_type(events, self.application, name)
                declared = name in self.application.events
                stored += self.application.stored.of(name) if declared else [name]
            wanted = replace(wanted, types=stored)
        if wanted.aggregate_type is not None and wanted.aggregate_id is not None:
            await _check_aggregate(events, self.application, wanted.aggregate_type, wanted.aggregate_id)
        if command_id is not None:
            wanted = await _of_command(events, wanted, command_id)
        if self._forwards:
            await self._first(events, wanted)
        else:
            await self._newest(events, wanted)

    async def _first(self, events: EventStore, wanted: _Wanted) -> None:
        left, last = self._limit, 0
        async for page in _pages(events, wanted, backwards=False):
            if not left:
                self._tell_more(f"--after {last}")
                return
            shown = page[:left]
            self._print(shown)
            left, last = left - len(shown), shown[-1].position
            if len(shown) < len(page):
                self._tell_more(f"--after {last}")
                return

    async def _newest(self, events: EventStore, wanted: _Wanted) -> None:
        found: list[StoredEvent] = []
        async for page in _pages(events, wanted, backwards=True):
            found += page
            if len(found) > self._limit:
                break
        shown = found[: self._limit]
        if len(found) > len(shown):
            self._tell_more(f"--before {shown[-1].position}")
        self._print(shown[::-1])

    def _print(self, events: Sequence[StoredEvent]) -> None:
        if not events:
            return
        if self._json:
            from tusk_runtime.web.encoding import event_json

            lines = [event_json(event, self._masks).decode("utf-8", "replace") for event in events]
        else:
            from tusk_runtime.cli.event_lines import lines_of

            lines = lines_of(events, self.application, self._masks)
        click.echo("\n".join(lines))

    def _tell_more(self, option: str) -> None:
        if not self._json:
            click.echo(f"… there are more: {option}, or a higher --limit", err=True)


async def _pages(events: EventStore, wanted: _Wanted, *, backwards: bool) -> AsyncIterator[list[StoredEvent]]:
    """The wanted events, page by page; no page is empty."""
    if wanted.before <= wanted.after + 1:
        return
    # To the store, 0 means "from the head" here.
    at = wanted.after if not backwards else 0 if wanted.before == LARGEST else wanted.before
    while True:
        page = await events.read(
            at,
            PAGE,
            types=wanted.types,
            aggregate_id=wanted.aggregate_id,
            correlation_id=wanted.correlation_id,
            backwards=backwards,
        )
        inside = [event for event in page if wanted.after < event.position < wanted.before]
        found = [event for event in inside if wanted.has(event)]
        if found:
            yield found
        if len(page) < PAGE or len(inside) < len(page):
            return
        at = page[-1].position


async def _of_command(events: EventStore, wanted: _Wanted, command_id: bytes) -> _Wanted:
    """The same, but only among the events of a command, which stand together. Raises NotFound."""
    row = (await events.recorded([command_id])).get(command_id)
    if row is None:
        raise NotFound(f"there is no command {id_text(command_id)} in the ledger")
    if row.count == 0:
        what = "had nothing to do" if row.refusal is None else "was refused"
        raise NotFound(f"the command {id_text(command_id)} {what}: it has no events")
    return replace(
        wanted,
        after=max(wanted.after, row.position - row.count),
        before=min(wanted.before, row.position + 1),
    )


async def _check_type(events: EventStore, application: Application, name: str) -> None:
    """See that there can be events of a type: it is declared, or was once. Raises UnknownName."""
    if name not in application.events and not await events.read(0, 1, types=[name]):
        raise UnknownName(f"there is no event `{name}`", help=did_you_mean(name, application.events))


async def _check_aggregate(events: EventStore, application: Application, type_: str, id_: str) -> None:
    if type_ in application.aggregates or await events.read_stream(StreamId(type_, id_), limit=1):
        return
    raise UnknownName(f"there is no aggregate `{type_}`", help=did_you_mean(type_, application.aggregates))


@command.command("show", short_help="Print one event as a whole.")
@FILE
@click.argument("event", metavar="POSITION|EVENT_ID")
@ENV_FILE
@FORMAT
def show_command(file: Path, event: str, env_file: Path | None, format_: str) -> None:
    """Print one event of the log of FILE as a whole: by its position, or by its id, which takes longer.

    The application may run meanwhile. Personal data is shown as `***`.
    """
    position, id_ = (int(event), b"") if is_number(event) else (0, _event_id(event))
    application = load(file, env_file, format_)

    async def find(store: Store) -> StoredEvent:
        return await (_with_id(store.events, id_) if id_ else _at(store.events, position))

    _print_whole(with_store(application, file, find), application, format_)


def _event_id(text: str) -> bytes:
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        raise click.BadParameter(f"write a position or a UUID, not {text!r}") from None


async def _at(events: EventStore, position: int) -> StoredEvent:
    page = await events.read(max(position - 1, 0), 1)
    if not page or page[0].position != position:
        raise NotFound(f"there is no event at position {position}: the newest is at {await events.head()}")
    return page[0]


async def _with_id(events: EventStore, event_id: bytes) -> StoredEvent:
    """The event with this id. It is computed from its command's, so that no index has it: all are read."""
    if command := (await events.recorded([event_id])).get(event_id):
        raise NotFound(
            f"{id_text(event_id)} is the id of a command with {command.count} events",
            help=f"tusk events ls FILE --command {id_text(event_id)}",
        )
    after, head = 0, await events.head()
    with progress(head) as done:
        while page := await events.scan(after, PAGE, types=None, fields=("event_id",)):
            for position, _, found in page:
                if found == event_id:
                    return await _at(events, position)
            after = page[-1][0]
            done(after)
    raise NotFound(f"there is no event with the id {id_text(event_id)}")


def _print_whole(event: StoredEvent, application: Application, format_: str) -> None:
    from tusk_runtime.web.encoding import event_json
    from tusk_runtime.web.masking import Masks

    try:
        whole = orjson.loads(event_json(event, Masks(Loaded(application))))
    except orjson.JSONDecodeError:
        stop_failed(f"the data of event {event.position} is no JSON\n  help: tusk store verify FILE")
    if format_ == "json":
        click.echo(_indented(whole))
        return
    for name, value in whole.items():
        if isinstance(value, dict):
            click.echo("\n".join([name, *map(printable, _indented(value).split("\n"))]))
        else:
            click.echo(f"{name:<14}  {printable(str(value))}")


def _indented(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
