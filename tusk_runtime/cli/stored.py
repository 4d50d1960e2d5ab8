"""What verbs share that look into the store of an application: opened for reading, errors in words."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import click

from tusk_runtime.cli.output import environment, stop_failed, stop_invalid
from tusk_runtime.errors import InvalidConfiguration, Refused, StartFailed, StoreError
from tusk_runtime.language.report import printable
from tusk_runtime.model.application import Application
from tusk_runtime.running.load import load_or_raise
from tusk_runtime.store.protocol import Store

T = TypeVar("T")

LARGEST = 2**63 - 1
"""The last position that a store could have."""


def load(file: Path, env_file: Path | None, format_: str = "text") -> Application:
    """The application of a file; ends the process with what is wrong."""
    try:
        return load_or_raise(file, environment(env_file))
    except InvalidConfiguration as error:
        stop_invalid(error, format_)


def with_store(
    application: Application, file: Path, work: Callable[[Store], Awaitable[T]], *, read_only: bool = True
) -> T:
    """Do something with the open store of an application; ends the process with what went wrong."""
    from tusk_runtime.running.backends import store_of

    async def opened() -> T:
        store = store_of(application.settings, file)
        await store.open(read_only=read_only)
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        return asyncio.run(opened())
    except Refused as error:
        stop_refused(error)
    except (StartFailed, StoreError) as error:
        stop_failed(str(error))
    except UnicodeEncodeError:
        stop_failed("what is given is not UTF-8")  # a name or an id of the command line


def stop_refused(error: Refused) -> NoReturn:
    """Print why a question was turned down, with the nearest name if there is one, and exit with 1."""
    help_ = error.details.get("help")
    stop_failed(printable(error.message) + (f"\n  help: {help_}" if help_ else ""))


class Loaded(NamedTuple):
    """An application that no edit replaces: what `Masks` follows."""

    application: Application


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's standard error while something long runs; it is told how much is done by now."""
    if quiet or not total or not sys.stderr.isatty():
        yield lambda done: None
        return
    with click.progressbar(length=total, file=sys.stderr) as bar:
        yield lambda done: bar.update(done - bar.pos)


def microseconds(text: str) -> int:
    """A time of an option in microseconds since 1970; one without a zone is UTC. Raises BadParameter."""
    from tusk_runtime.web.encoding import microseconds_of

    try:
        return microseconds_of(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"write a time such as 2025-01-31T12:00:00Z, not {text!r}") from None


def time_option(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """The callback of an option that is a time."""
    return None if value is None else microseconds(value)


def id_option(context: click.Context, parameter: click.Parameter, value: str | None) -> bytes | None:
    """The callback of an option that is a UUID."""
    if value is None:
        return None
    try:
        return uuid.UUID(value).bytes
    except ValueError:
        raise click.BadParameter(f"write a UUID, not {value!r}") from None


def position_option(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """The callback of an option that is a position."""
    if value is not None and not is_number(value):
        raise click.BadParameter(f"write a whole number from 0, not {value!r}")
    return None if value is None else int(value)


def is_number(text: str) -> bool:
    """Whether a text is a position or a version: decimal digits."""
    return re.fullmatch(r"[0-9]{1,18}", text) is not None
