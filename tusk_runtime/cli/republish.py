"""`tusk republish`: events that were published already, once more."""

from __future__ import annotations

import click

from tusk_runtime.cli.output import FORMAT, print_json
from tusk_runtime.cli.server import Where, running_application


@click.command("republish")
@click.option(
    "--from",
    "position",
    type=click.IntRange(1, 2**63 - 1),
    required=True,
    metavar="POSITION",
    help="The first position of the log; 1 is all.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many events these are.")
@running_application
@FORMAT
def command(position: int, dry_run: bool, where: Where, format_: str) -> None:
    """Publish the stored events once more, from a position of the log on: for a topic that was lost.

    The records are those that were sent before, with the same ids in their headers; a reader that knows an id
    already leaves it out. All topics get theirs again.
    """
    answer = where.connect().once(
        "POST",
        "/api/republish",
        {"from": position, "dry_run": dry_run},
        help="ask again: what is published twice has the same ids",
    )
    if format_ == "json":
        print_json(answer)
        return
    events = f"{answer['count']:,} event{'' if answer['count'] == 1 else 's'}"
    click.echo(f"{events} would be published again" if dry_run else f"{events} are published again")
