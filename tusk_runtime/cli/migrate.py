"""`tusk migrate`: brings the tables that an older version of this program made to the present schema."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, FILE, environment, stop_failed, stop_invalid
from tusk_runtime.errors import InvalidConfiguration, StartFailed
from tusk_runtime.model.configuration import Settings
from tusk_runtime.model.tls import contradicts
from tusk_runtime.running.backends import store_of
from tusk_runtime.running.load import load_or_raise


@click.command("migrate")
@FILE
@click.option(
    "--connection-string",
    "address",
    metavar="URL|NAME",
    help="The address of the database for a role that owns its tables, or the name of an environment "
    "variable that holds it; otherwise that in FILE.",
)
@click.option("--sql", "--dry-run", "sql", is_flag=True, help="Print the statements, and change nothing.")
@ENV_FILE
def command(file: Path, address: str | None, sql: bool, env_file: Path | None) -> None:
    """Bring the store of FILE, which an older version of this program made, to the present schema.

    Stop the application first. It is all done in one transaction, or nothing is; a SQLite file is copied
    before. Events are not changed. Where there is nothing to do it does nothing.
    """
    try:
        variables = environment(env_file)
        settings = load_or_raise(file, variables).settings
    except InvalidConfiguration as error:
        stop_invalid(error)
    store = store_of(_by(settings, address, variables) if address else settings, file)
    try:
        done = asyncio.run(store.migrate(apply=not sql))
    except StartFailed as error:
        stop_failed(str(error))
    if sql:
        click.echo(
            "\n\n".join(part.strip().removesuffix(";") + ";" for part in done.statements),
            nl=bool(done.statements),
        )
    elif not done.statements:
        click.echo(f"{store.description}: schema {done.found}, nothing to do")
    else:
        click.echo(f"{store.description}: brought from schema {done.found} to the present one")
        if done.backup:
            click.echo(f"what was before: {done.backup}")


def _by(settings: Settings, address: str, variables: Mapping[str, str]) -> Settings:
    """The settings with another address of the database."""
    if settings.postgres is None or settings.backend != "postgresql":
        raise click.UsageError(f"--connection-string is for PostgreSQL, and this store is {settings.backend}")
    if "://" not in address:
        if address not in variables:
            raise click.BadParameter(
                f"no environment variable is called {address!r}", param_hint="--connection-string"
            )
        address = variables[address]
    if settings.postgres.tls and (problem := contradicts(address)):
        raise click.BadParameter(f"{problem[0]}: {problem[1]}", param_hint="--connection-string")
    return settings._replace(postgres=settings.postgres._replace(dsn=address))
