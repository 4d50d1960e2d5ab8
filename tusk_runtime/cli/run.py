"""`tusk-run FILE`: runs an application until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import orjson

from tusk_runtime.cli.output import ENV_FILE, FILE, environment, show_diagnostics, stop_failed, stop_invalid
from tusk_runtime.errors import InvalidConfiguration, StartFailed
from tusk_runtime.model.application import Application
from tusk_runtime.running.collector import collect_rarely
from tusk_runtime.running.load import load_or_raise

STOP_SECONDS = 10.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@FILE
@click.option("--listen", metavar="HOST:PORT", help="Instead of what [http] says; port 0 takes a free one.")
@click.option("--no-watch", is_flag=True, help="Do not follow edits of the file.")
@click.option("--verbose", is_flag=True, help="Log more.")
@ENV_FILE
@click.version_option(package_name="tusk-runtime", prog_name="tusk-run")
def main(file: Path, listen: str | None, no_watch: bool, verbose: bool, env_file: Path | None) -> None:
    """Run FILE: its event store, commands, projections, queries, HTTP API and web page.

    Edit FILE while it runs: a good edit is live within a second, a bad one changes nothing. Ctrl-C stops.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        application = _listening(load_or_raise(file, environment(env_file)), listen)
    except InvalidConfiguration as error:
        stop_invalid(error)
    show_diagnostics(application.warnings, "text")
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(file, application, env_file, watch=not no_watch, listen=listen))
    except InvalidConfiguration as error:
        stop_invalid(error)
    except StartFailed as error:
        stop_failed(str(error))
    except KeyboardInterrupt:
        sys.exit(1)


def _listening(application: Application, listen: str | None) -> Application:
    """The application with the address of the command line in place of the file's."""
    if listen is None:
        return application
    host, _, port = listen.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise click.BadParameter("write HOST:PORT, such as 127.0.0.1:8080", param_hint="--listen")
    settings = application.settings._replace(host=host.strip("[]") or "127.0.0.1", port=int(port))
    return application._replace(settings=settings)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    with contextlib.suppress(ImportError):
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    return None


async def _serve(
    file: Path, application: Application, env_file: Path | None, *, watch: bool, listen: str | None
) -> None:
    # Imported here: a file that is wrong is told without loading the database and the web server.
    from tusk_runtime.failpoints import VARIABLE, set_points
    from tusk_runtime.running.backends import database_path, store_of
    from tusk_runtime.running.runtime import Runtime
    from tusk_runtime.running.watch import Watcher
    from tusk_runtime.web import HttpServer, Limits, Security, create_app, load_or_create_token

    set_points(os.environ.get(VARIABLE, ""))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, _stop, stopping)

    settings = application.settings
    store = store_of(settings, file)
    beside = database_path(settings, file)
    runtime = Runtime(application, store)
    async with contextlib.AsyncExitStack() as stack:
        await runtime.start()
        stack.push_async_callback(runtime.stop)
        token_path = beside.with_name(beside.name + ".token")
        token = load_or_create_token(token_path)
        limits = Limits(body=settings.body_limit)
        app = create_app(runtime, Security(token), limits=limits)
        server = HttpServer(app, settings.host, settings.port, limits=limits)
        await server.start()
        collect_rarely()
        stack.push_async_callback(server.stop, STOP_SECONDS)
        url = server.url
        stack.callback(_announce(beside, url))
        if watch:

            def candidate_environment() -> Mapping[str, str]:
                return environment(env_file)

            seen = application.document.files  # as they were read: an edit from then on is noticed
            watcher = Watcher(
                file, candidate_environment, runtime, _say, seen, lambda a: _listening(a, listen)
            )
            await watcher.start()
            stack.push_async_callback(watcher.stop)
        head = await store.events.head()
        _say(
            f"{application.name} {application.version}\n"
            f"  page   {url}/?token={token}\n"
            f"  api    {url}/api/   (Authorization: Bearer $TUSK_TOKEN)\n"
            f"  token  {token_path}\n"
            f"  store  {store.description}, {head:,} events\n"
            f"{'watching ' + str(file) + ' for edits; ' if watch else ''}ctrl-c stops"
        )
        await stopping.wait()
        _say("stopping")


def _announce(beside: Path, url: str) -> Callable[[], None]:
    """Write where this process answers, so that other verbs find it; gives what removes it again."""
    path = beside.with_name(beside.name + ".server")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps({"url": url, "pid": os.getpid()}))
    return lambda: path.unlink(missing_ok=True)


def _stop(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        os._exit(1)  # told twice: at once
    stopping.set()


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()
