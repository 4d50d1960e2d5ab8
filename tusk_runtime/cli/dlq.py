"""`tusk dlq`: the dead letters of the consumers of a running application."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import click
import orjson

from tusk_runtime.cli.output import FORMAT, print_json, table
from tusk_runtime.cli.server import Server, Where, running_application
from tusk_runtime.language.report import printable
from tusk_runtime.store.deliveries import STANDINGS, place_of_text, place_text

PATH = "/api/dead-letters"
PAGE = 1000
SHOWN = 100
"""Letters that are listed if nothing is said."""
LOOK = "look at what is left: tusk dlq ls"

Letter = Mapping[str, Any]

CONSUMER = click.argument("consumer", metavar="CONSUMER")


def _place(text: str) -> str:
    """Where a letter's event or message stands, in its one form. Raises BadParameter."""
    try:
        return place_text(place_of_text(text))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not {error}.") from None


class _Choice(NamedTuple):
    """Which letters were chosen on the command line."""

    positions: Sequence[str]
    message: str | None
    everything: bool

    def body(self) -> dict[str, Any]:
        """The same for the application. Raises UsageError unless it is exactly one way."""
        if (bool(self.positions), self.message is not None, self.everything).count(True) != 1:
            raise click.UsageError("say which letters: their positions, or --message, or --all")
        if self.positions:
            return {"positions": list(self.positions)}
        return {"all": True} if self.message is None else {"message": self.message}


def _choosing(function: Callable[..., None]) -> Callable[..., None]:
    """What says which letters are meant; the function takes it as its argument `choice`."""

    @wraps(function)
    def command(**given: Any) -> None:
        choice = _Choice(*(given.pop(name) for name in _Choice._fields))
        function(choice=choice, **given)

    for option in reversed(_CHOICE):
        command = option(command)
    return command


_CHOICE: Sequence[Callable[[Callable[..., None]], Callable[..., None]]] = (
    click.argument("positions", metavar="[POSITION]...", nargs=-1, type=_place),
    click.option("--message", help="All whose error has this very message."),
    click.option("--all", "everything", is_flag=True, help="All that are parked or refused."),
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say which these are.")


@click.group("dlq")
def command() -> None:
    """Look at what the consumers of the running application could not handle, and settle it."""


@command.command("ls", short_help="List dead letters, and how many there are.")
@click.argument("consumer", metavar="[CONSUMER]", required=False)
@click.option(
    "--standing",
    "standings",
    multiple=True,
    type=click.Choice(STANDINGS),
    help="Only those that stand so; repeatable.",
)
@click.option("--limit", type=click.IntRange(1), default=SHOWN, help=f"At most so many; {SHOWN} if not said.")
@running_application
@FORMAT
def ls_command(
    consumer: str | None,
    standings: tuple[str, ...],
    limit: int,
    where: Where,
    format_: str,
) -> None:
    """List the dead letters of all consumers, or of one, in the order of consumers and positions.

    `parked` failed for good, and later events of its aggregate wait `behind` it; of `refused` a command was
    refused, and nothing waits; `retry` and `drop` are about to be handled again, or dropped.
    """
    server = where.connect()
    letters: list[Letter] = []
    after = None
    while True:
        left = min(limit - len(letters), PAGE)
        asked = {"consumer": consumer, "standing": standings, "after": after, "limit": left}
        query = urlencode({name: value for name, value in asked.items() if value}, doseq=True)
        page = server.once("GET", f"{PATH}?{query}")
        letters += page["letters"]
        after = page["next_after"]
        if after is None or len(letters) >= limit:
            break
    if format_ == "json":
        print_json({**page, "letters": letters})
        return
    _print_letters(letters)
    if after is not None:
        click.echo(f"… and more: --limit shows more than {limit}")
    for line in _sums(page["counts"]):
        click.echo(line)


@command.command("show", short_help="Show a dead letter with its event or message.")
@CONSUMER
@click.argument("position", type=_place)
@running_application
@FORMAT
def show_command(
    consumer: str,
    position: str,
    where: Where,
    format_: str,
) -> None:
    """Show the dead letter of CONSUMER for the event at POSITION of the log, or for the message at
    TOPIC/PARTITION:OFFSET: what went wrong, and the event, or what was kept of the message.

    Personal data is shown as `***`.
    """
    letter = where.connect().once("GET", f"{PATH}/{quote(consumer, '')}/{quote(position, '/:')}")
    if format_ == "json":
        print_json(letter)
        return
    _print_letter(letter)


@command.command("retry", short_help="Have dead letters handled again.")
@CONSUMER
@_choosing
@DRY_RUN
@running_application
@FORMAT
def retry_command(
    consumer: str,
    choice: _Choice,
    dry_run: bool,
    where: Where,
    format_: str,
) -> None:
    """Have dead letters of CONSUMER handled again: those at POSITIONs, with a message, or all.

    A POSITION is written as `tusk dlq ls` shows it. Each goes on with the action that failed; what was done
    before is not done again. Those behind it follow.
    """
    chosen = choice.body()
    letters = _Letters(where.connect(), consumer, chosen)
    _print_settled("retry", letters.mark("retry", dry_run), format_)


@command.command("drop", short_help="Give dead letters up.")
@CONSUMER
@_choosing
@DRY_RUN
@click.option("--yes", is_flag=True, help="Do not ask.")
@running_application
@FORMAT
def drop_command(
    consumer: str,
    choice: _Choice,
    dry_run: bool,
    yes: bool,
    where: Where,
    format_: str,
) -> None:
    """Give dead letters of CONSUMER up: those at POSITIONs, with a message, or all.

    A POSITION is written as `tusk dlq ls` shows it. Nothing handles their events or messages any more; the
    events stay in the log. Those behind them are handled. It asks before it drops more than one.
    """
    chosen = choice.body()
    letters = _Letters(where.connect(), consumer, chosen)
    if not (dry_run or yes):
        count = letters.mark("drop", True)["count"]
        if count > 1:
            click.confirm(f"drop {count:,} dead letters of {printable(consumer)}?", abort=True, err=True)
    _print_settled("drop", letters.mark("drop", dry_run), format_)


class _Letters(NamedTuple):
    """Chosen letters of a consumer of the running application."""

    server: Server
    consumer: str
    body: dict[str, Any]

    def mark(self, action: str, dry_run: bool) -> dict[str, Any]:
        """Ask for it, or only which letters these would be."""
        path = f"{PATH}/{quote(self.consumer, '')}/{action}"
        answer: dict[str, Any] = self.server.once("POST", path, {**self.body, "dry_run": dry_run}, help=LOOK)
        return answer


def _print_settled(action: str, answer: dict[str, Any], format_: str) -> None:
    if format_ == "json":
        print_json(answer)
        return
    _print_letters(answer["letters"])
    count, dry_run = answer["count"], answer["dry_run"]
    if count > len(answer["letters"]):
        click.echo(f"… and {count - len(answer['letters']):,} more")
    what = f"{count:,} dead {'letter' if count == 1 else 'letters'}"
    done = {"retry": "handled again", "drop": "dropped"}[action]
    click.echo(f"{what} {'would be' if dry_run else 'will be'} {done}")


def _print_letters(letters: Sequence[Letter]) -> None:
    if not letters:
        return
    head = ("consumer", "position", "key", "standing", "since", "message")
    rows = (
        (
            each["consumer"],
            each["place"],
            each["key"],
            each["standing"],
            each["at"][:19] + "Z",
            str(each["error"].get("message", "")),
        )
        for each in letters
    )
    click.echo(table(head, rows))


def _print_letter(letter: Letter) -> None:
    error = {name: value for name, value in letter["error"].items() if name != "refused"}
    rows = [
        ("consumer", letter["consumer"]),
        ("position", letter["place"]),
        ("key", letter["key"]),
        ("standing", letter["standing"]),
        ("since", letter["at"]),
        ("attempts", str(letter["attempts"])),
        ("action", f"{letter['action'] + 1} (the first that is not done)"),
        ("message", str(error.pop("message", ""))),
        *((name, value if isinstance(value, str) else _json(value)) for name, value in error.items()),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {printable(value)}")
    if letter["event"] is not None:
        click.echo("\nevent")
        print_json(letter["event"])
    if letter["message"] is not None:
        _print_message(letter["message"])


def _print_message(message: Mapping[str, Any]) -> None:
    """What was kept of a message of a topic."""
    click.echo("\nmessage")
    rows = [
        ("timestamp", message["timestamp"]),
        ("key", message["key"]),
        *((f"header {header['name']}", header["value"]) for header in message["headers"]),
        ("size", f"{message['size']:,} bytes"),
    ]
    for name, value in rows:
        click.echo(printable(f"{name}: {'none' if value is None else value}"))
    if not message["whole"]:
        click.echo("value: too large to be kept")
    elif message["value"] is None:
        click.echo("value: none")
    else:
        click.echo("value:")
        for line in message["value"].splitlines():
            click.echo(printable(line))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _sums(counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """How many letters each consumer has."""
    if not any(counts.values()):
        yield "no dead letters"
    for consumer, found in counts.items():
        parts = [f"{found[standing]:,} {standing}" for standing in STANDINGS if found.get(standing)]
        yield printable(f"{consumer}: {', '.join(parts)}")
