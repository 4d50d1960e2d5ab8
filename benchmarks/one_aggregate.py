"""64 clients on one aggregate: is every command decided on the state that it says it saw, and how fast?

Each event keeps the balance that its command saw, each refusal names it. Afterwards the log is folded once
more: every event has to have seen what the events before it leave, every refusal what was there at its version
in the ledger, and what was accepted has to be there, once.

    python benchmarks/one_aggregate.py                                   # SQLite, one process
    python benchmarks/one_aggregate.py --postgres 18 --processes 2
    python benchmarks/one_aggregate.py --postgres 18 --processes 2 --break index  # has to fail
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from apps import WITNESSED, application
from measure import describe
from postgres_server import schema_for

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.clock import SystemClock
from tusk_runtime.errors import RuleBroken
from tusk_runtime.events import Caller, FreshId, command_id_from, new_id
from tusk_runtime.store.postgres import PostgresStore
from tusk_runtime.store.protocol import EventStore, Store
from tusk_runtime.store.sqlite import SqliteStore

CALLER = Caller("ann")
ACCOUNT = "a"


def store_at(address: str) -> Store:
    """The store at a `postgresql://` address or in a file."""
    return PostgresStore(address) if address.startswith("postgresql") else SqliteStore(address)


class _Timeless:
    """The events of a store in which time may go back: its order would hide that the index is missing."""

    def __init__(self, inner: EventStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(self, batch: Any, *, in_order: bool = False) -> Any:
        """Append."""
        return await self._inner.append(batch)


async def work(address: str, number: int, commands: int, broken: str) -> dict[str, Any]:
    """Let some clients of one process send commands, one after the other each."""
    store = store_at(address)
    await store.open()
    events: Any = _Timeless(store.events) if broken else store.events
    bus = CommandBus(events, application(WITNESSED), SystemClock())
    await bus.start()
    accepted: list[str] = []
    refused: list[tuple[str, int, int]] = []
    waits: list[float] = []

    async def client(own: int) -> None:
        for turn in range(commands):
            key = FreshId(new_id())
            amount = (own * 7 + turn * 3) % 11 - 6
            begin = time.perf_counter()
            try:
                await bus.execute(
                    "Move", {"amount": amount}, aggregate_id=ACCOUNT, command_id=key, caller=CALLER
                )
                accepted.append(key.hex())
            except RuleBroken as refusal:
                refused.append((key.hex(), amount, int(refusal.message)))
            waits.append(time.perf_counter() - begin)

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # all begin together
    begin = time.perf_counter()
    await asyncio.gather(*(client(own) for own in range(number)))
    seconds = time.perf_counter() - begin
    await bus.stop()
    await store.close()
    return {"accepted": accepted, "refused": refused, "seconds": seconds, "waits": waits}


async def wrong(address: str, reports: Sequence[dict[str, Any]]) -> list[str]:
    """What the log says against the answers."""
    store = store_at(address)
    await store.open()
    events = await store.events.read(limit=10_000_000)
    found, balance, balances = [], 0, {0: 0}
    for event in events:
        data = orjson.loads(event.data)
        if event.version in balances and event.version:
            found.append(f"version {event.version} is there twice")
        if event.type == "Moved":
            if data["seen"] != balance:
                found.append(f"version {event.version} saw {data['seen']}, and there was {balance}")
            balance += data["amount"]
        if balance < 0:
            found.append(f"version {event.version} leaves {balance}")
        balances[event.version] = balance
    ids = [event.command_id.hex() for event in events if event.type == "Moved"]
    answered = [key for report in reports for key in report["accepted"]]
    if sorted(ids) != sorted(answered):
        found.append(f"{len(answered)} commands were accepted, and {len(ids)} events are there")
    refused = [each for report in reports for each in report["refused"]]
    for start in range(0, len(refused), 500):
        page = {bytes.fromhex(key): (amount, seen) for key, amount, seen in refused[start : start + 500]}
        for command_id, row in (await store.events.recorded(list(page))).items():
            amount, seen = page.pop(command_id)
            if balances[row.version] != seen or seen + amount >= 0:
                found.append(
                    f"refused at version {row.version}: saw {seen}, there was {balances[row.version]}"
                )
        found += [f"the refusal of {command_id.hex()} is not in the ledger" for command_id in page]
    await store.close()
    return found


async def prepare(address: str, broken: str) -> None:
    """Open the account; take a guard out, if asked."""
    store = store_at(address)
    await store.open()
    bus = CommandBus(store.events, application(WITNESSED), SystemClock())
    await bus.start()
    await bus.execute("Open", {}, aggregate_id=ACCOUNT, command_id=command_id_from("open"), caller=CALLER)
    await bus.stop()
    await store.close()
    if broken:
        import asyncpg

        connection = await asyncpg.connect(address)
        await connection.execute("DROP INDEX tusk_events_stream")
        await connection.execute("CREATE INDEX tusk_events_stream ON tusk_events (stream, version)")
        await connection.close()


@dataclass
class Report:
    """What the clients did, and what is wrong with it. `waits` are the seconds until each answer, sorted."""

    accepted: int
    refused: int
    seconds: float
    waits: list[float]
    problems: list[str]


async def run(
    address: str, *, processes: int = 1, clients: int = 64, commands: int = 300, broken: str = ""
) -> Report:
    """Let clients loose on one account of an empty store, spread over some processes."""
    await prepare(address, broken)
    command = [sys.executable, __file__, "--clients", str(clients // processes), "--commands", str(commands)]
    command += ["--break", broken] if broken else []
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen([*command, "--worker", address], **pipes) for _ in range(processes)]
    for process in running:
        await asyncio.to_thread(process.stdout.readline)
    outputs = await asyncio.gather(*(asyncio.to_thread(process.communicate, b"go\n") for process in running))
    reports = [json.loads(output) for output, _ in outputs if output]
    problems = [f"{processes - len(reports)} processes failed"] if len(reports) < processes else []
    return Report(
        sum(len(report["accepted"]) for report in reports),
        sum(len(report["refused"]) for report in reports),
        max((report["seconds"] for report in reports), default=0.0),
        sorted(wait for report in reports for wait in report["waits"]),
        problems or await wrong(address, reports),
    )


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres", choices=["15", "18"], help="the server; SQLite if none")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--commands", type=int, default=300, help="of each client")
    parser.add_argument("--break", dest="broken", choices=["index"], default="", help="take a guard out")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(await work(options.worker, options.clients, options.commands, options.broken)))
        return 0
    if not options.postgres and (options.processes > 1 or options.broken):
        parser.error("a SQLite file is open in one process: name --postgres")
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder:
        place = Path(folder).resolve()
        address = str(place / "store.db")
        if options.postgres:
            address = await schema_for(options.postgres, place)
        report = await run(
            address,
            processes=options.processes,
            clients=options.clients,
            commands=options.commands,
            broken=options.broken,
        )
    where = f"PostgreSQL {options.postgres}" if options.postgres else "SQLite, synchronous=FULL"
    print(describe("asyncpg", "apsw"))
    if report.waits:
        print(
            f"{where}, {options.processes} processes, {options.clients} clients on one aggregate: "
            f"{(report.accepted + report.refused) / report.seconds:,.0f} commands/s, "
            f"p50 {statistics.median(report.waits) * 1000:.1f} ms, "
            f"p99 {report.waits[int(len(report.waits) * 0.99)] * 1000:.1f} ms"
        )
    print(f"{report.accepted:,} accepted, {report.refused:,} refused by rule, {len(report.problems)} wrong")
    for problem in report.problems[:10]:
        print(f"  {problem}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
