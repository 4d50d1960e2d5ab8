"""What the acceptance tests and the benchmarks share: a real process, and a bare client for load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
import orjson

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent
READY = "ctrl-c stops"
"""The end of what `tusk-run` prints once it answers."""


def missing(message: str) -> NoReturn:
    """What a test needs is not on this machine: it fails in CI, and is skipped elsewhere, loudly."""
    import pytest

    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Lost(Exception):
    """The connection ended before the answer: what became of the request is unknown."""


class DidNotStart(Exception):
    """The process ended, or did not become ready in time; the text is what it printed."""


class Server:
    """`tusk-run` on a file, as a process group of its own. What it prints goes into a file beside it."""

    def __init__(
        self,
        file: Path,
        *arguments: str,
        listen: str = "127.0.0.1:0",
        command: Sequence[str] = (str(BIN / "tusk-run"),),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.file = file
        self.log = file.with_name(file.stem + ".log")
        self.url = self.token = self.page = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._listen = listen
        self._command = [*dying_with_us(), *command, str(file), *arguments]
        self._environment = {**os.environ, "NO_COLOR": "1", **(environment or {})}
        self._printed_before = 0
        self._connections: list[Connection] = []

    @property
    def pid(self) -> int:
        """The process, which leads its group."""
        assert self.process is not None
        return self.process.pid

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    def printed(self) -> str:
        """What this run has printed so far."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._printed_before :].decode(errors="replace")

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        self._printed_before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, "--listen", self._listen],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.file.parent,
                env=self._environment,
                start_new_session=True,
            )

    async def start(self, seconds: float = 30.0) -> float:
        """Start, and wait until it answers. Gives the seconds that took. Raises DidNotStart."""
        begin = time.monotonic()
        self.spawn()
        assert self.process is not None
        while READY not in (text := self.printed()):
            if self.process.poll() is not None or time.monotonic() - begin > seconds:
                self.kill()
                raise DidNotStart(f"exit code {self.process.returncode}:\n{self.printed()}")
            await asyncio.sleep(0.005)
        taken = time.monotonic() - begin
        for line in text.splitlines():
            name, _, rest = line.strip().partition(" ")
            if name == "page":
                self.page = rest.strip()
                self.url = self.page.partition("/?")[0]
                self.token = self.page.partition("token=")[2]
        return taken

    async def ended(self, seconds: float) -> int:
        """Wait until the process has ended. Gives its exit code. Raises TimeoutError."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while (code := self.process.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"still running after {seconds:g} s:\n{self.printed()[-2000:]}")
            await asyncio.sleep(0.005)
        return code

    async def stop(self, seconds: float = 15.0) -> int:
        """Ask it to end with SIGTERM. Gives its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await self.ended(seconds)

    def listen_again(self) -> None:
        """The next start takes the port that this one had, so that clients find it."""
        self._listen = f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End the whole group with SIGKILL, if it runs."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    async def close(self) -> None:
        """Kill it, and let go of all connections to it."""
        self.kill()
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        await asyncio.sleep(0.01)  # the loop tells the transports

    def client(self) -> httpx.AsyncClient:
        """A client that shows the token; to be closed by the caller."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, trust_env=False, timeout=30
        )

    def connection(self) -> Connection:
        """A bare keep-alive connection, not yet open."""
        connection = Connection(self.port, self.token)
        self._connections.append(connection)
        return connection


def dying_with_us() -> list[str]:
    """A prefix that ends the process with this one, should this one be killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


class Connection:
    """HTTP/1.1 with keep-alive and nothing else, so that the load costs little."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n".encode()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and the body of the answer. Raises Lost."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        if method == "POST":
            fields += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        try:
            if self._writer is None or self._reader is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(f"{method} {path}".encode() + self._head + fields.encode() + b"\r\n" + body)
            head = await self._reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            content = await self._reader.readexactly(length)
            if b"connection: close" in lines:
                self.close()
        except (OSError, EOFError) as error:
            self.close()
            raise Lost(str(error)) from None
        return int(head[9:12]), content

    async def json(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The body of a GET that has to succeed."""
        status, body = await self.request("GET", path, headers=headers)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {body.decode()}")
        return orjson.loads(body)

    def close(self) -> None:
        """Let go of the socket."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


async def until(
    condition: Callable[[], Awaitable[Any] | Any], what: str, seconds: float = 10.0, step: float = 0.01
) -> Any:
    """Ask until the condition gives something true, and give that. Raises AssertionError past the time."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(step)


def copy_of(example: str, folder: Path) -> Path:
    """A copy of an example in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(EXAMPLES / example, folder / example))
