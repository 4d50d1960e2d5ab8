"""`tusk schema`: JSON Schema, of .tsk files or of what one declares."""

from __future__ import annotations

from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, FORMAT, environment, print_json, show_diagnostics, stop_invalid
from tusk_runtime.errors import InvalidConfiguration


@click.command("schema")
@click.option(
    "--for",
    "file",
    type=click.Path(path_type=Path),
    help="The schemas of the commands, events and queries that this file declares.",
)
@ENV_FILE
@FORMAT
def command(file: Path | None, env_file: Path | None, format_: str) -> None:
    """Print the JSON Schema (2020-12) of a .tsk file, as `tusk show --format json` prints one.

    With --for FILE: {"commands": …, "events": …, "queries": …}, a schema by each name; of a query, one for
    its `params` and one for a `row` of its answer. Both formats are JSON.
    """
    if file is None:
        from tusk_runtime.model.schema import file_schema

        print_json(file_schema())
        return
    from tusk_runtime.model.contracts import contracts
    from tusk_runtime.running.load import load_or_raise

    try:
        application = load_or_raise(file, environment(env_file))
    except InvalidConfiguration as error:
        stop_invalid(error, format_)
    show_diagnostics(application.warnings, "text")
    print_json(contracts(application))
