"""`tusk store`: looks after what an application has stored."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, FAILED, FILE, FORMAT, GOOD, print_json
from tusk_runtime.cli.stored import load, progress, with_store
from tusk_runtime.store.protocol import Store
from tusk_runtime.store.verify import Verdict, verify


@click.group("store")
def command() -> None:
    """Look after what an application has stored."""


@command.command("verify")
@FILE
@ENV_FILE
@FORMAT
def verify_command(file: Path, env_file: Path | None, format_: str) -> None:
    """Read every event of the store of FILE, and say whether it is whole. Exit code 1 if it is not.

    Positions and versions have no holes, the ledger says of each command what its events say, and all data is
    JSON. The application may run meanwhile: what it had stored when this began is read.
    """
    application = load(file, env_file, format_)
    quiet = format_ == "json"
    name, verdict = with_store(application, file, lambda store: _verify(store, quiet=quiet))
    if format_ == "json":
        print_json({"store": name, **asdict(verdict)})
    else:
        for problem in verdict.problems:
            click.echo(problem)
        click.echo(
            f"{name}: {verdict.events:,} events of {verdict.aggregates:,} aggregates, "
            f"{verdict.commands:,} commands: "
            + (f"{len(verdict.problems)} problems" if verdict.problems else "good")
        )
    sys.exit(FAILED if verdict.problems else GOOD)


async def _verify(store: Store, *, quiet: bool) -> tuple[str, Verdict]:
    with progress(await store.events.head(), quiet=quiet) as bar:
        return store.description, await verify(store.events, lambda done, all_: bar(done))
