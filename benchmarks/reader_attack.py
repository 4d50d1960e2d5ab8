"""Tries to make a reader of the log skip an event: many writers, rollbacks, transactions that stay open.

Several processes append over several connections each. Some appends are rolled back, some transactions rest
before they commit, and one that has nothing to do with the store stays open all the time. Readers follow the
log meanwhile. In the end the whole log is read once more: each reader has to have seen every event of it, in
the order of positions, and every aggregate in the order of its versions.

    python benchmarks/reader_attack.py --postgres 18 --events 100000
    python benchmarks/reader_attack.py --postgres 18 --events 5000 --break lock   # has to fail: else do not trust it
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from measure import describe
from postgres_server import schema_for, server_of

from tusk_runtime.errors import Conflict
from tusk_runtime.events import new_id
from tusk_runtime.store.postgres import PostgresStore
from tusk_runtime.store.protocol import Decision, NewEvent, StreamId

PROCESSES = 2
WRITERS = 8
ROLLBACKS = 0.1
RESTS = 0.02
"""The part of transactions that rest before they commit."""
REST_SECONDS = 0.05
EVENTS_PER_AGGREGATE = 50
PAGE = 500


@dataclass
class Report:
    """What the readers saw."""

    events: int = 0
    skipped: int = 0
    inverted: int = 0
    backwards: int = 0
    delays: list[float] = field(default_factory=list)
    seconds: float = 0.0
    rolled_back: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was skipped, and all stood in order."""
        return not (self.skipped or self.inverted or self.backwards)

    def __str__(self) -> str:
        delays = sorted(self.delays)
        return (
            f"{self.events:,} events in {self.seconds:.1f} s, {self.rolled_back:,} appends rolled back\n"
            f"{self.skipped:,} skipped, {self.inverted:,} out of order in their aggregate, "
            f"{self.backwards:,} positions seen late\n"
            f"from decision to reader: p50 {statistics.median(delays) * 1e3:.1f} ms, "
            f"p99 {delays[len(delays) * 99 // 100] * 1e3:.1f} ms, max {delays[-1] * 1e3:.1f} ms\n"
            f"{'passed' if self.holds else 'FAILED'}"
        )


def decision(aggregate: str, version: int) -> Decision:
    """One event that tells when it was decided."""
    now = b'{"at":%.6f}' % time.time()
    return Decision(new_id(), 0, "Thing", aggregate, version, 0, b"{}", [NewEvent("Happened", now)])


async def write(dsn: str, number: int, events: int, aggregates: int) -> int:
    """Append so many events over one connection. Gives how many appends were rolled back."""
    dice = random.Random(number)
    store = PostgresStore(dsn)
    await store.open()
    # Transactions of the same function that stay open, as those of a slow machine do.
    raw = await asyncpg.connect(dsn)
    rolled_back = written = 0
    while written < events:
        aggregate = f"a{dice.randrange(aggregates)}"
        stream = await store.events.read_stream(StreamId("Thing", aggregate))
        version = len(stream)
        if dice.random() < RESTS and stream:
            transaction = raw.transaction()
            await transaction.start()
            try:
                await raw.execute(
                    "SELECT tusk_append(0, '{}', '{}', '{}', '{}', 0, '{}', ARRAY[s.id], ARRAY[$2::integer], "
                    "ARRAY[(SELECT id FROM tusk_names WHERE name = 'Happened')], ARRAY[$3::bytea], "
                    "ARRAY[$4::bytea], '{}', '{}', '{}', '{}', ARRAY[0], '{}', '{}', '{}', '{}', '{}', '{}') "
                    "FROM tusk_streams s WHERE s.aggregate_id = $1",
                    aggregate, version + 1, new_id(), b'{"at":%.6f}' % time.time(),
                )  # fmt: skip
                await asyncio.sleep(REST_SECONDS * dice.random())
                if dice.random() < ROLLBACKS:
                    raise Conflict("on purpose")
                await transaction.commit()
                written += 1
            except (asyncpg.PostgresError, Conflict):
                await transaction.rollback()
                rolled_back += 1
            continue
        try:
            wrong = dice.random() < ROLLBACKS
            batch = [decision(aggregate, version)]
            if wrong:  # fails behind the first one, which has drawn a position then
                batch.append(decision(f"a{dice.randrange(aggregates)}-none", 7))
            await store.events.append(batch)
            written += 1
        except Conflict:
            rolled_back += 1
    await raw.close()
    await store.close()
    return rolled_back


async def follow(store: PostgresStore, total: int, report: Report, patience: float) -> list[int]:
    """Read the log as it grows, until so many events were seen or nothing comes any more."""
    seen: list[int] = []
    versions: dict[str, int] = {}
    quiet = time.monotonic()
    while len(seen) < total and time.monotonic() - quiet < patience:
        after = seen[-1] if seen else 0
        page = await store.events.scan(after, PAGE, types=None, fields=("aggregate_id", "version", "data"))
        now = time.time()
        for position, _, aggregate, version, data in page:
            report.backwards += bool(seen) and position <= seen[-1]
            report.inverted += version <= versions.get(aggregate, 0)
            versions[aggregate] = version
            report.delays.append(now - float(data[6:-1]))
            seen.append(position)
        if page:
            quiet = time.monotonic()
        else:
            await store.events.wait_beyond(after, 0.2)
    return seen


def without_lock(definition: str) -> str:
    """The function that appends, with positions out of a sequence, as a table's own key has them."""
    broken = definition.replace("PERFORM pg_advisory_xact_lock(", "PERFORM abs(")
    assert broken != definition
    return broken.replace("SELECT head + e.number,", "SELECT nextval('naive'),")


async def run(
    dsn: str, *, events: int, broken: bool = False, processes: int = PROCESSES, patience: float = 20.0
) -> Report:
    """Attack the store at an address, which is empty."""
    report = Report()
    store = PostgresStore(dsn)
    await store.open()
    admin = await asyncpg.connect(dsn)
    if broken:
        text = await admin.fetchval("SELECT pg_get_functiondef('tusk_append'::regproc)")
        await admin.execute("CREATE SEQUENCE naive")
        await admin.execute(without_lock(text))
    each = events // (processes * WRITERS)
    total = each * processes * WRITERS
    # It writes, too, and has nothing to do with the store.
    foreign = await asyncpg.connect(dsn)
    await foreign.execute("CREATE TABLE unrelated (n integer)")
    transaction = foreign.transaction()
    await transaction.start()
    await foreign.execute("INSERT INTO unrelated VALUES (1)")

    began = time.monotonic()
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--write", dsn, "--number", str(number), "--events", str(each),
            stdout=subprocess.PIPE,
        )
        for number in range(processes)
    ]  # fmt: skip
    readers = [asyncio.create_task(follow(store, total, report, patience)) for _ in range(2)]
    outputs = await asyncio.gather(*(worker.communicate() for worker in workers))
    if any(worker.returncode for worker in workers):
        raise AssertionError("a writer failed; see above")
    seen = await asyncio.gather(*readers)
    report.seconds = time.monotonic() - began
    report.rolled_back = sum(int(out) for out, _ in outputs)
    await transaction.rollback()

    rows = await admin.fetch("SELECT position FROM tusk_events ORDER BY position")
    whole = {row[0] for row in rows}
    report.events = len(whole)
    report.skipped = sum(len(whole.difference(positions)) for positions in seen)
    for connection in (foreign, admin):
        await connection.close()
    await store.close()
    return report


async def write_all(dsn: str, number: int, events: int) -> None:
    """What a process of writers does."""
    aggregates = max(40, events * WRITERS * PROCESSES // EVENTS_PER_AGGREGATE)
    counts = await asyncio.gather(
        *(write(dsn, number * 1000 + each, events, aggregates) for each in range(WRITERS))
    )
    print(sum(counts))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--postgres", choices=["15", "18"], default="18")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--break", dest="broken", choices=["lock"])
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        asyncio.run(write_all(options.write, options.number, options.events))
        return
    server = server_of(options.postgres)
    if server is None:
        sys.exit(f"PostgreSQL {options.postgres} is not here")

    async def attack() -> Report:
        dsn = await schema_for(options.postgres, Path(tempfile.gettempdir()) / str(os.getpid()))
        return await run(dsn, events=options.events, broken=options.broken is not None)

    print(describe("asyncpg"), f"PostgreSQL {options.postgres}")
    report = asyncio.run(attack())
    print(report)
    sys.exit(0 if report.holds else 1)


if __name__ == "__main__":
    main()
