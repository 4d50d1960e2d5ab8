"""`tusk events export` and `import`: all commands and events, from any store into any other."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from tusk_runtime.cli.output import ENV_FILE, FILE, stop_failed
from tusk_runtime.cli.stored import load, position_option, progress, with_store
from tusk_runtime.errors import BadInput
from tusk_runtime.model.own_events import AUDIT_STREAM, SWITCHES, SYSTEM_STREAM
from tusk_runtime.store.protocol import Store
from tusk_runtime.store.transfer import importing
from tusk_runtime.store.transfer.exporting import export
from tusk_runtime.store.transfer.lines import End


@click.command("export", short_help="Write all commands and events, as lines of JSON.")
@FILE
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write, for its owner only."
)
@click.option(
    "--after",
    default="0",
    metavar="N",
    callback=position_option,
    help="Only what stands behind this position.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@ENV_FILE
def export_command(file: Path, output: Path | None, after: int, force: bool, env_file: Path | None) -> None:
    """Write all commands and events of the store of FILE as lines of JSON: what import makes the same log of.

    That is every command with its events, in their order, up to the newest event when this begins; the
    application may run meanwhile. It holds personal data as it is stored. The progress of consumers and their
    dead letters are left out.
    """
    application = load(file, env_file)
    with contextlib.ExitStack() as stack:
        try:
            target = stack.enter_context(_written(output, force)) if output else sys.stdout.buffer
        except OSError as error:
            stop_failed(f"`{output}` cannot be written: {error.strerror}")
        try:
            end = with_store(application, file, lambda store: _export(store, target, after))
        except BrokenPipeError:
            raise
        except OSError as error:
            stop_failed(f"the export cannot be written: {error.strerror}")
    click.echo(f"{end.commands:,} commands with {end.events:,} events", err=True)


@contextlib.contextmanager
def _written(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A file that stands there under its name once it is whole."""
    if path.exists() and not force:
        stop_failed(f"`{path}` is there already\n  help: name another file, or overwrite it with --force")
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


async def _export(store: Store, target: BinaryIO, after: int) -> End:
    end = End(0, 0, "")
    head = await store.events.head()
    with progress(max(0, head - after), quiet=target is sys.stdout.buffer and sys.stdout.isatty()) as bar:
        async for line in export(store.events, after):
            target.write(line.text)
            bar(line.position - after)
            end = line.end or end
    target.flush()
    return end


@click.command("import", short_help="Fill an empty store with an export.")
@FILE
@click.argument("source", metavar="[INPUT]", default="-", type=click.Path(allow_dash=True, dir_okay=False))
@click.option(
    "--undeclared", is_flag=True, help="Take events and aggregates, too, that FILE does not declare."
)
@ENV_FILE
def import_command(file: Path, source: str, undeclared: bool, env_file: Path | None) -> None:
    """Fill the empty store of FILE with an export: INPUT, or what comes in.

    Positions, ids, timestamps and the answers to commands become what they were. The whole input is checked
    before anything is written. If it is interrupted, import the same again: it goes on where it stopped.
    """
    application = load(file, env_file)
    if application.settings.backend == "in_memory":
        stop_failed("a store in memory ends with its process\n  help: name another backend in [event_store]")
    if source == "-" and sys.stdin.isatty():
        raise click.UsageError("give the export as INPUT, or let it come in")
    declared = importing.Declared()
    if not undeclared:
        types = [type_ for name in application.events for type_ in application.stored.of(name)]
        declared = importing.Declared(
            {*types, *SWITCHES}, {*application.aggregates, AUDIT_STREAM, SYSTEM_STREAM}
        )
    try:
        with _opened(source) as input_:
            size = input_.seek(0, os.SEEK_END)
            with progress(2 * size) as bar:
                end = importing.check(input_, declared, bar)

                async def work(store: Store) -> int:
                    return await importing.load(input_, store.events, lambda done: bar(size + done))

                known = with_store(application, file, work, read_only=False)
    except BadInput as error:
        message, _, help_ = str(error).partition("\n")
        unwritten = help_ or "  help: nothing was written"
        if "declares no" in message:
            unwritten = "  help: nothing was written; declare it, or import with --undeclared"
        stop_failed(f"{'standard input' if source == '-' else source}, {message}\n{unwritten}")
    except OSError as error:
        stop_failed(f"`{source}` cannot be read: {error.strerror}")
    there = f"; {known:,} commands were there already" if known else ""
    click.echo(f"{end.commands:,} commands with {end.events:,} events{there}", err=True)


@contextlib.contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """The input, to be read twice: what comes in is kept in a file meanwhile."""
    if source != "-":
        with Path(source).open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        yield kept
