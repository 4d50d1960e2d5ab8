"""Commands end to end: JSON in, a durable event and an answer out; against `eventsourcing` and a bare loop.

Ours: `Runtime.execute` with the JSON bytes of a command of examples like the ones users write: fields
validated, a rule checked on the aggregate's state, the event encoded and appended with its ledger row. The
library: an Application on SQLite in its best mode (aggregates cached, no deep copy, no fast-forward), on one
thread and on 16. The limit: a hand-written loop over group commit by the standard library's `sqlite3`, which
does the same decision and nothing else. All with `synchronous=FULL`.

    python benchmarks/commands.py --rounds 5 --commands 20000
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import uvloop
from eventsourcing.application import Application as LibraryApplication
from eventsourcing.domain import Aggregate, event
from measure import alternate, best, describe, ratio, table

from tusk_runtime.events import Caller
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.application import Application
from tusk_runtime.model.build import build
from tusk_runtime.running.collector import collect_rarely
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.protocol import Store
from tusk_runtime.store.sqlite import SqliteStore

TSK = """
[events]
Opened: { fields: { owner: "string" } }
Deposited: { fields: { amount: "decimal(places=2)", note: "string?" } }
[aggregates.Account]
state: { balance: "decimal = 0", owner: "string?" }
on:
  Opened: { owner: "{{ data.owner }}" }
  Deposited: { balance: "{{ state.balance + data.amount }}" }
[commands]
Open: { aggregate: "Account", creates: true, fields: { owner: "string" }, emit: "Opened" }
[commands.Deposit]
aggregate: "Account"
fields: { amount: "decimal(min=0.01, places=2)", note: "string?" }
require: [{ check: "{{ state.balance + command.amount <= 1000000000 }}", message: "too much" }]
emit: "Deposited"
"""
ACCOUNTS = 256
BODY = '{"aggregate_id": "%s", "amount": "1.25", "note": "for the piggy bank"}'
CALLER = Caller("bench", ("admin",))


def application() -> Application:
    problems = Problems()
    return build(load_text(TSK, "bench.tsk", {}, problems), "bench.tsk", problems)


async def clients(send: Callable[[int, int], Awaitable[Any]], commands: int, in_flight: int) -> float:
    """Commands per second with so many in flight, each client with its number and those of its commands."""
    each = commands // in_flight

    async def client(number: int) -> None:
        for index in range(each):
            await send(number, index)

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(in_flight)))
    return each * in_flight / (time.perf_counter() - began)


async def runtime_rate(store: Store, commands: int, in_flight: int) -> float:
    """Commands per second of a runtime on a store that is not open yet."""
    runtime = Runtime(application(), store)
    await runtime.start()
    ids = [str(uuid.uuid4()) for _ in range(ACCOUNTS)]
    await asyncio.gather(
        *(runtime.execute("Open", {"owner": "x"}, aggregate_id=id_, caller=CALLER) for id_ in ids)
    )
    bodies = [(BODY % id_).encode() for id_ in ids]

    def send(number: int, index: int) -> Awaitable[Any]:
        return runtime.execute("Deposit", bodies[(number + index * in_flight) % ACCOUNTS], caller=CALLER)

    rate = await clients(send, commands, in_flight)
    await runtime.stop()
    return rate


def ours(folder: Path, commands: int, in_flight: int) -> float:
    return uvloop.run(runtime_rate(SqliteStore(folder / "ours.db"), commands, in_flight))


def decided(states: dict[str, list[Any]], body: bytes) -> tuple[str, int, str, bytes]:
    """The row of the event that a deposit gives, decided by hand."""
    fields = orjson.loads(body)
    stream, amount = fields["aggregate_id"], Decimal(fields["amount"])
    state = states.setdefault(stream, [0, Decimal(0)])
    if amount < Decimal("0.01") or state[1] + amount > 1000000000:
        raise ValueError("too much")
    state[0] += 1
    state[1] += amount
    return stream, state[0], "Deposited", orjson.dumps({"amount": str(amount), "note": fields["note"]})


class Bare:
    """The same decision over group commit, with nothing around it."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE events (pos INTEGER PRIMARY KEY, stream TEXT, ver INTEGER, type TEXT, data, "
            "UNIQUE (stream, ver))"
        )
        self._states: dict[str, list[Any]] = {}
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[int]]] = []

    def execute(self, body: bytes) -> asyncio.Future[int]:
        loop = asyncio.get_running_loop()
        row = decided(self._states, body)
        future: asyncio.Future[int] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((row, future))
        return future

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO events (stream, ver, type, data) VALUES (?, ?, ?, ?)", [row for row, _ in batch]
        )
        self._db.execute("COMMIT")
        for row, future in batch:
            future.set_result(row[1])

    def close(self) -> None:
        self._db.close()


async def _bare(folder: Path, commands: int, in_flight: int) -> float:
    bare = Bare(folder / "bare.db")
    bodies = [(BODY % uuid.uuid4()).encode() for _ in range(ACCOUNTS)]

    def send(number: int, index: int) -> Awaitable[Any]:
        return bare.execute(bodies[(number + index * in_flight) % ACCOUNTS])

    rate = await clients(send, commands, in_flight)
    bare.close()
    return rate


def bare(folder: Path, commands: int, in_flight: int) -> float:
    return uvloop.run(_bare(folder, commands, in_flight))


class Account(Aggregate):
    """The library's account."""

    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = Decimal(0)

    @event("Deposited")
    def _deposited(self, amount: Decimal, note: str) -> None:
        self.balance += amount

    def deposit(self, amount: Decimal, note: str) -> None:
        if amount < Decimal("0.01") or self.balance + amount > 1000000000:
            raise ValueError("too much")
        self._deposited(amount=amount, note=note)


class Accounts(LibraryApplication[uuid.UUID]):
    """The library's application."""

    def open(self) -> uuid.UUID:
        account = Account(owner="x")
        self.save(account)
        return account.id

    def deposit(self, body: bytes) -> None:
        fields = orjson.loads(body)
        account: Account = self.repository.get(uuid.UUID(fields["aggregate_id"]))
        account.deposit(Decimal(fields["amount"]), fields["note"])
        self.save(account)


def library(folder: Path, commands: int, threads: int) -> float:
    env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "library.db")}
    return library_rate(env, commands, threads)


def library_rate(env: dict[str, str], commands: int, threads: int) -> float:
    """Commands per second of the library's application, in its best mode."""
    best_mode = {
        "AGGREGATE_CACHE_MAXSIZE": "1000",
        "AGGREGATE_CACHE_FASTFORWARD": "n",
        "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
    }
    app = Accounts(env=env | best_mode)
    bodies = [(BODY % app.open()).encode() for _ in range(ACCOUNTS)]
    each = commands // threads

    def client(number: int) -> None:
        for index in range(each):
            # Each thread has accounts of its own: its cache is not for several writers of one.
            app.deposit(bodies[(number + index * threads) % ACCOUNTS])

    begin = time.perf_counter()
    workers = [threading.Thread(target=client, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rate = each * threads / (time.perf_counter() - begin)
    app.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the databases go (default: here)")
    options = parser.parse_args()
    collect_rarely()  # as a server does once it has started, here for all variants alike
    print(describe("eventsourcing", "apsw", "orjson", "uvloop"))
    many, few = options.commands, options.commands // 5
    variants = {
        "bare loop, 1 in flight": lambda f: bare(f, few, 1),
        "ours, 1 in flight": lambda f: ours(f, few, 1),
        "eventsourcing, 1 thread": lambda f: library(f, few, 1),
        "bare loop, 16 in flight": lambda f: bare(f, many, 16),
        "ours, 16 in flight": lambda f: ours(f, many, 16),
        "eventsourcing, 16 threads": lambda f: library(f, few, 16),
        "bare loop, 128 in flight": lambda f: bare(f, many, 128),
        "ours, 128 in flight": lambda f: ours(f, many, 128),
        "bare loop, 256 in flight": lambda f: bare(f, many, 256),
        "ours, 256 in flight": lambda f: ours(f, many, 256),
    }
    rates = alternate(variants, options.rounds, options.folder)
    table(rates, "commands/s")
    peer = best(rates, "eventsourcing, 1 thread", "eventsourcing, 16 threads")
    print(f"\nthe library's best mode: {peer}")
    for flight in (1, 16, 128, 256):
        name = f"ours, {flight} in flight"
        print(
            f"{name:24} {ratio(rates, name, peer):5.1f} x the library's best"
            f"   {ratio(rates, name, f'bare loop, {flight} in flight'):5.2f} of the bare loop"
        )
    print("goals at 128 to 256: at least 10 x the library's best, at least 0.4 of the bare loop")


if __name__ == "__main__":
    main()
