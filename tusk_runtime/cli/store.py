"""`tusk store`: looks after what an application has stored."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tusk_runtime.cli.output import (
    ENV_FILE,
    FAILED,
    FILE,
    FORMAT,
    GOOD,
    environment,
    print_json,
    stop_failed,
    stop_invalid,
)
from tusk_runtime.errors import InvalidConfiguration, StartFailed, StoreError
from tusk_runtime.running.load import load_or_raise


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
    JSON, and FILE says how events of every stored version are read. A SQLite store must not be running:
    verify a backup of one that is.
    """
    try:
        application = load_or_raise(file, environment(env_file))
    except InvalidConfiguration as error:
        stop_invalid(error, format_)
    try:
        name, verdict = asyncio.run(_verify(application, file, quiet=format_ == "json"))
    except (StartFailed, StoreError) as error:
        stop_failed(str(error))
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


async def _verify(application: Any, file: Path, *, quiet: bool) -> tuple[str, Any]:
    from tusk_runtime.running.backends import store_of
    from tusk_runtime.running.stored_versions import without_path
    from tusk_runtime.store.verify import verify

    store = store_of(application.settings, file)
    await store.open(create=False)
    try:
        total = await store.events.head()
        hidden = quiet or not sys.stderr.isatty() or not total
        with nullcontext() if hidden else click.progressbar(length=total, file=sys.stderr) as bar:
            seen = 0

            def progress(done: int, all_: int) -> None:
                nonlocal seen
                if bar is not None:
                    bar.update(done - seen)
                seen = done

            verdict = await verify(store.events, progress)
            for problem in await without_path(application, store.events):
                verdict.problems.append(f"{problem.span}: {problem.message}; {problem.help}")
            return store.description, verdict
    finally:
        await store.close()
