"""Cuts the connection to PostgreSQL while it commits, again and again: one effect and one answer per command.

A proxy stands between the runtime and the server. It cuts the connection that appends before the server has
the statement, while the server works on it, or when the answer is on its way. Every command carries an id. Who
gets no answer repeats it, as a client would. In the end each command has exactly one effect, nobody was ever
told that a command was rejected which took effect, and nobody was told two different answers.

    python benchmarks/cut_connections.py --postgres 18 --cuts 1000
    python benchmarks/cut_connections.py --postgres 18 --cuts 50 --break ledger   # has to fail: else do not trust it
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from apps import ACCOUNT, application
from measure import describe
from postgres_server import schema_for, server_of

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import SystemClock
from tusk_runtime.errors import OutcomeUnknown, Refused, Unavailable
from tusk_runtime.events import Caller, new_id
from tusk_runtime.store.postgres import PostgresEvents, PostgresStore
from tusk_runtime.store.protocol import StreamId

MOMENTS = ("before", "meanwhile", "answer")
CALLER = Caller("ann")
COMMANDS_AT_ONCE = 4


class Proxy:
    """Passes everything on, and cuts the connection that appends when it is told to."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cut = ""
        """The moment at which the next append is cut."""
        self.cuts: Counter[str] = Counter()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut everything."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            await self._connection(reader, writer, up_reader, up_writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            for each in (writer, up_writer):
                each.transport.abort()

    async def _connection(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        appends = False
        answers = asyncio.create_task(_pass_on(up_reader, writer))
        try:
            while data := await reader.read(65536):
                appends = appends or b"_append" in data
                moment = self.cut if appends and data[:1] == b"B" else ""
                if moment:
                    self.cut = ""
                    self.cuts[moment] += 1
                if moment == "before":
                    return
                if moment == "answer":
                    # What the server says now arrives nowhere.
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                up_writer.write(data)
                await up_writer.drain()
                if moment == "meanwhile":
                    return
                if moment == "answer":
                    await up_reader.read(65536)
                    return
        finally:
            answers.cancel()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


@dataclass
class Report:
    """What became of the commands."""

    commands: int = 0
    cuts: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0
    unavailable: int = 0
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        cuts = ", ".join(f"{count} {moment}" for moment, count in sorted(self.cuts.items()))
        return "\n".join(
            [
                f"{sum(self.cuts.values())} connections cut ({cuts}), {self.commands:,} commands, "
                f"{self.seconds:.1f} s",
                f"{self.unknown} answered as unknown, {self.unavailable} as unavailable, all repeated",
                f"{len(self.violations)} violations",
                *self.violations[:10],
                "FAILED" if self.violations else "passed",
            ]
        )


async def run(dsn: str, *, cuts: int, broken: bool = False, seed: int = 1) -> Report:
    """Cut so many connections of a store at an address, which is empty."""
    report, dice = Report(), random.Random(seed)
    began = time.monotonic()
    url = urlsplit(dsn)
    proxy = Proxy(url.port or 5432)
    await proxy.start()
    through = url._replace(netloc=f"{url.username}@127.0.0.1:{proxy.port}").geturl()
    store = PostgresStore(through)
    await store.open()
    events: Any = _Forgetful(store.events) if broken else store.events
    bus = CommandBus(events, application(ACCOUNT), SystemClock())
    await bus.start()
    opened: dict[str, int] = {}

    async def account(name: str) -> None:
        """Open an account and pay into it, whatever it takes."""
        for command, fields in (("Open", {"owner": "o"}), ("Deposit", {"amount": "1"})):
            key = new_id()
            first: Any = None
            report.commands += 1
            for _ in range(40):
                try:
                    recorded, _, _ = await bus.execute(
                        command, fields, aggregate_id=name, command_id=key, caller=CALLER
                    )
                except OutcomeUnknown:
                    report.unknown += 1
                    continue
                except Unavailable:
                    report.unavailable += 1
                    await asyncio.sleep(0.05)
                    continue
                except Refused as refusal:
                    report.violations.append(f"{command} {name} was rejected: {refusal}")
                    return
                if first is not None:
                    if recorded != first:
                        report.violations.append(f"{command} {name}: first {first}, then {recorded}")
                    break
                first = recorded  # once more: the answer has to be the same
            else:
                report.violations.append(f"{command} {name} was never answered twice")
        opened[name] = 2

    number = 0
    while sum(proxy.cuts.values()) < cuts and not len(report.violations) > 20:
        proxy.cut = dice.choice(MOMENTS)
        names = [f"a{number + each}" for each in range(COMMANDS_AT_ONCE)]
        number += COMMANDS_AT_ONCE
        await asyncio.gather(*(account(name) for name in names))
    proxy.cut = ""
    for name, versions in opened.items():
        stored = await store.events.read_stream(StreamId("Account", name))
        if [event.type for event in stored] != ["Opened", "Deposited"][:versions]:
            report.violations.append(f"{name} holds {[event.type for event in stored]}")
    await bus.stop()
    await store.close()
    await proxy.stop()
    report.cuts = dict(proxy.cuts)
    report.seconds = time.monotonic() - began
    return report


class _Forgetful:
    """The events of a store whose ledger is asked in vain."""

    def __init__(self, inner: PostgresEvents) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def recorded(self, command_ids: Any) -> Mapping[bytes, Any]:
        """Nothing."""
        return {}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--postgres", choices=["15", "18"], default="18")
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--break", dest="broken", choices=["ledger"])
    options = parser.parse_args()
    if server_of(options.postgres) is None:
        sys.exit(f"PostgreSQL {options.postgres} is not here")

    async def attack() -> Report:
        dsn = await schema_for(options.postgres, Path(tempfile.gettempdir()) / str(os.getpid()))
        return await run(dsn, cuts=options.cuts, broken=options.broken is not None, seed=options.seed)

    print(describe("asyncpg"), f"PostgreSQL {options.postgres}")
    report = asyncio.run(attack())
    print(report)
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
