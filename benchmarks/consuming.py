"""Consumers over the store's log: how many events a second give their command, and how soon.

Each event of a consumer gives one command to its own aggregate, decided, stored and acknowledged as any other. At
rest: one command at a time, from its answer until the event that the consumer's command gives is in the store.

    python benchmarks/consuming.py --rounds 5 --events 20000
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from pathlib import Path

import uvloop
from measure import alternate, describe, table

from tusk_runtime.events import Caller
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.application import Application
from tusk_runtime.model.build import build
from tusk_runtime.running.collector import collect_rarely
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.sqlite import SqliteStore

TSK = """
[events]
Asked: { fields: { amount: "decimal(places=2)" } }
Answered: { fields: { amount: "decimal(places=2)" } }
[aggregates.Case]
id: "string"
state: { asked: "integer = 0", answered: "integer = 0" }
on:
  Asked: { asked: "{{ state.asked + 1 }}" }
  Answered: { answered: "{{ state.answered + 1 }}" }
[commands]
Ask: { aggregate: "Case", creates: "either", fields: { amount: "decimal(places=2)" }, emit: "Asked" }
Answer: { aggregate: "Case", creates: "either", fields: { amount: "decimal(places=2)" }, emit: "Answered" }
"""
CONSUMER = """
[consumers.Answering]
concurrency: 64
on: { Asked: { send: "Answer" } }
"""
CALLER = Caller("bench", ("admin",))
AGGREGATES = 1000


def application(text: str) -> Application:
    problems = Problems()
    return build(load_text(text, "bench.tsk", {}, problems), "bench.tsk", problems)


async def ask(runtime: Runtime, events: int) -> None:
    """Send so many commands, many at a time."""
    waiting = iter(range(events))

    async def client() -> None:
        for number in waiting:
            await runtime.execute(
                "Ask", {"amount": "1.25"}, aggregate_id=f"case-{number % AGGREGATES}", caller=CALLER
            )

    await asyncio.gather(*(client() for _ in range(256)))


def behind(folder: Path, events: int) -> float:
    """Events per second of a consumer that has all of them before it."""

    async def run() -> float:
        runtime = Runtime(application(TSK + CONSUMER), SqliteStore(folder / "store.db"))
        await runtime.start()
        await runtime.apply(application(TSK))  # it stands still
        await ask(runtime, events)
        began = time.perf_counter()
        await runtime.apply(application(TSK + CONSUMER))
        while (await runtime.status()).head < 2 * events:
            await asyncio.sleep(0.005)
        rate = events / (time.perf_counter() - began)
        await runtime.stop()
        return rate

    return uvloop.run(run())


def commands(folder: Path, events: int) -> float:
    """The same commands from 64 clients, with no consumer: what the consumer can reach at most."""

    async def run() -> float:
        runtime = Runtime(application(TSK), SqliteStore(folder / "store.db"))
        await runtime.start()
        waiting = iter(range(events))

        async def client() -> None:
            for number in waiting:
                await runtime.execute(
                    "Answer", {"amount": "1.25"}, aggregate_id=f"case-{number % AGGREGATES}", caller=CALLER
                )

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(64)))
        rate = events / (time.perf_counter() - began)
        await runtime.stop()
        return rate

    return uvloop.run(run())


async def delays(folder: Path, count: int) -> list[float]:
    """Seconds from the answer to a command until the consumer's own is stored, one after the other."""
    runtime = Runtime(application(TSK + CONSUMER), SqliteStore(folder / "store.db"))
    await runtime.start()
    found = []
    for number in range(count):
        answer = await runtime.execute("Ask", {"amount": "1"}, aggregate_id=f"c{number}", caller=CALLER)
        began, position = time.perf_counter(), answer.recorded.position
        while await runtime._store.events.wait_beyond(position, 1.0) <= position:
            pass
        found.append(time.perf_counter() - began)
    await runtime.stop()
    return sorted(found)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=20_000)
    options = parser.parse_args()
    collect_rarely()
    print(describe("apsw", "uvloop"))
    variants = {
        "the consumer's commands, from 64 clients": lambda folder: commands(folder, options.events),
        "the consumer": lambda folder: behind(folder, options.events),
    }
    table(alternate(variants, options.rounds, Path()), "per second")
    delayed: list[float] = []

    def measured(folder: Path) -> float:
        found = uvloop.run(delays(folder, 300))
        delayed.extend(found)
        return statistics.median(found)

    alternate({"delay": measured}, options.rounds, Path())
    delayed.sort()
    at = {name: delayed[int(len(delayed) * part)] * 1000 for name, part in (("p50", 0.5), ("p99", 0.99))}
    print(f"\ncommand answered → consumer's command stored: p50 {at['p50']:.1f} ms, p99 {at['p99']:.1f} ms")


if __name__ == "__main__":
    main()
