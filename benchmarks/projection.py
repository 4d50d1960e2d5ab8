"""Events through a projection into an SQL table, with the checkpoint in the same transaction.

Ours: a declared projection (`upsert` with a counter and a sum) over a stored log, until it has caught up. The
library: `eventsourcing` reads its notifications in pages, and each event is put into the table together with
its tracking record, as its documentation shows. Both count 200 accounts, on SQLite with `synchronous=FULL`.

    python benchmarks/projection.py --rounds 5 --events 100000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvloop
from commands import Account, Accounts
from eventsourcing.persistence import Tracking
from eventsourcing.sqlite import SQLiteDatastore, SQLiteTrackingRecorder
from measure import alternate, describe, ratio, table

from tusk_runtime.events import new_id
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.build import build
from tusk_runtime.projections.runner import ProjectionRunner
from tusk_runtime.store.protocol import Decision, NewEvent
from tusk_runtime.store.sqlite import SqliteStore

TSK = """
[events]
Deposited: { fields: { account: "string", amount: "integer", note: "string?" } }
[aggregates.Account]
id: "string"
on: { Deposited: {} }
[commands]
Deposit: { aggregate: "Account", creates: "either", fields: { account: "string", amount: "integer", note: "string?" }, emit: "Deposited" }
[projections.totals]
key: "account"
columns: { account: "string", deposits: "integer = 0", total: "integer = 0" }
on:
  Deposited: { upsert: { account: "{{ data.account }}", deposits: "{{ row.deposits + 1 }}", total: "{{ row.total + data.amount }}" } }
"""
ACCOUNTS = 200


async def _ours(folder: Path, events: int) -> float:
    problems = Problems()
    application = build(load_text(TSK, "bench.tsk", {}, problems), "bench.tsk", problems)
    store = SqliteStore(folder / "ours.db")
    await store.open()
    for version in range(0, events // ACCOUNTS, 5):
        decisions = []
        for account in range(ACCOUNTS):
            data = b'{"account":"account-%d","amount":125,"note":"for the piggy bank"}' % account
            news = [NewEvent("Deposited", data)] * 5
            decisions.append(Decision(new_id(), 0, "Account", f"account-{account}", version, 1, b"{}", news))
        await store.events.append(decisions)
    head = await store.events.head()
    runner = ProjectionRunner(application.projections["totals"], application, store.events, store.read_models)
    await runner.open()
    begin = time.perf_counter()
    while await runner.advance():
        pass
    rate = head / (time.perf_counter() - begin)
    rows = await store.read_models.select(
        f'SELECT sum(deposits), sum(total) FROM "{runner.table}"', (), timeout=5
    )
    assert rows[0] == (head, head * 125), rows
    await store.close()
    return rate


def ours(folder: Path, events: int) -> float:
    return uvloop.run(_ours(folder, events))


class Totals(SQLiteTrackingRecorder):
    """The library's view: a table beside its tracking records."""

    def construct_create_table_statements(self) -> list[str]:
        return [
            *super().construct_create_table_statements(),
            "CREATE TABLE IF NOT EXISTS totals (account TEXT PRIMARY KEY, deposits INTEGER, total INTEGER)",
        ]

    def deposited(self, account: str, amount: int, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO totals VALUES (?, 1, ?) ON CONFLICT (account) "
                "DO UPDATE SET deposits = deposits + 1, total = total + excluded.total",
                (account, amount),
            )


def _notifications(app: Accounts, page: int = 1000) -> Iterator[Any]:
    start = 0
    while True:
        found = app.recorder.select_notifications(start + 1, page)
        if not found:
            return
        yield from found
        start = found[-1].id


def library(folder: Path, events: int) -> float:
    app = Accounts(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(folder / "library.db"),
            "AGGREGATE_CACHE_MAXSIZE": "1000",
            "AGGREGATE_CACHE_FASTFORWARD": "n",
            "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
        }
    )
    for _ in range(ACCOUNTS):
        account = Account(owner="x")
        for _ in range(events // ACCOUNTS - 1):
            account.deposit(Decimal(125), "for the piggy bank")
        app.save(account)
    view = Totals(SQLiteDatastore(str(folder / "view.db")))
    view.create_table()
    count = 0
    begin = time.perf_counter()
    for notification in _notifications(app):
        domain_event = app.mapper.to_domain_event(notification)
        tracking = Tracking("accounts", notification.id)
        if isinstance(domain_event, Account.Event) and hasattr(domain_event, "amount"):
            view.deposited(str(domain_event.originator_id), int(domain_event.amount), tracking)
        count += 1
    rate = count / (time.perf_counter() - begin)
    app.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the databases go (default: here)")
    options = parser.parse_args()
    print(describe("eventsourcing", "apsw", "orjson", "uvloop"))
    variants = {
        "ours": lambda f: ours(f, options.events),
        "eventsourcing": lambda f: library(f, options.events // 10),
    }
    rates = alternate(variants, options.rounds, options.folder)
    table(rates, "events/s through a projection")
    print(f"\nours: {ratio(rates, 'ours', 'eventsourcing'):.1f} x the library (goal: at least 20 x)")


if __name__ == "__main__":
    main()
