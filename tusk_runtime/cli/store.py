"""`tusk store`: looks after what an application has stored."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, FAILED, FILE, FORMAT, GOOD, print_json
from tusk_runtime.cli.stored import load, progress, with_store
from tusk_runtime.model.application import Application
from tusk_runtime.running.stored_versions import without_path
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

    Positions and versions have no holes, the ledger says of each command what its events say, all data is
    JSON, and FILE says how events of every stored version are read. The application may run meanwhile: what
    it had stored when this began is read. The digest is that of all events in their order: a copy of the
    store has the same one. The progress of consumers and their dead letters are not looked at.
    """
    application = load(file, env_file, format_)
    quiet = format_ == "json"
    name, verdict = with_store(application, file, lambda store: _verify(application, store, quiet=quiet))
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
        click.echo(f"sha256 of all events: {verdict.sha256}")
    sys.exit(FAILED if verdict.problems else GOOD)


async def _verify(application: Application, store: Store, *, quiet: bool) -> tuple[str, Verdict]:
    with progress(await store.events.head(), quiet=quiet) as bar:
        verdict = await verify(store.events, lambda done, all_: bar(done))
    for problem in await without_path(application, store.events):
        verdict.problems.append(f"{problem.span}: {problem.message}; {problem.help}")
    return store.description, verdict
