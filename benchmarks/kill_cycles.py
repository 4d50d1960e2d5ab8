"""Kills the shop under load, again and again, and then counts: nothing lost, nothing doubled.

Each command's id and body stand in a synced ledger file before it is sent, and its answer once it came. After
a random time the process group gets SIGKILL and is started again. Commands without an answer are repeated
under their id, now and then; so are some that were answered, also while they still run. In the end the log is
read through the API and compared with the ledger, and every read model with a fold of the log that is written
here once more, as plainly as can be.

    python benchmarks/kill_cycles.py --cycles 500 --seed 1
    python benchmarks/kill_cycles.py --cycles 200 --postgres 18           # on a PostgreSQL server
    python benchmarks/kill_cycles.py --cycles 50 --postgres 18 --kill database   # the server is killed instead
    python benchmarks/kill_cycles.py --cycles 5 --break ledger       # has to fail: else do not trust it
    python benchmarks/kill_cycles.py --cycles 5 --break checkpoint   # the same
    python benchmarks/kill_cycles.py --cycles 5 --break commit       # the same
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from postgres_server import PostgresServer, binaries_of
from support import Connection, DidNotStart, Lost, Server, copy_of, until

IN_FLIGHT = 32
ON_POSTGRESQL = """
[event_store]
backend: "postgresql"

[store_config]
postgresql: { connection_string: "@env('DATABASE_URL')", partitioning: "by_aggregate" }
"""
SKUS = [f"sku-{number}" for number in range(12)]
PAID_ORDERS = [str(uuid.UUID(int=number + 1, version=4)) for number in range(20)]
"""What payments are for: few, because the payments are read order by order."""

Event = dict[str, Any]
Rows = dict[Any, dict[str, Any]]


# --- The ledger ---------------------------------------------------------------------------------------------


@dataclass
class Command:
    """A command that was sent, and every answer that came."""

    id: str
    name: str
    body: bytes
    answers: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def first(self) -> tuple[int, bytes] | None:
        """The answer that counts; None if its outcome is unknown."""
        return self.answers[0] if self.answers else None

    @property
    def accepted(self) -> bool:
        """Whether it was answered "ok"."""
        return bool(self.answers) and self.answers[0][0] == 200


class Ledger:
    """A file whose lines are on the disk before `write` returns. Lines that come together share a sync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, **record: Any) -> None:
        """Write one line."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((json.dumps(record).encode() + b"\n", future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())
        await future

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._sync, b"".join(line for line, _ in batch))
            for _, future in batch:
                if not future.done():
                    future.set_result(None)

    def _sync(self, text: bytes) -> None:
        self._file.write(text)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


# --- The load -----------------------------------------------------------------------------------------------


class Workload:
    """Commands in a fixed order for a seed, as far as the answers come in a fixed order."""

    KINDS = (
        ("CreateUser", 8), ("UpdateUser", 22), ("DeleteUser", 2),
        ("PlaceOrder", 32), ("ConfirmOrder", 8), ("ShipOrder", 8), ("DeliverOrder", 5), ("CancelOrder", 3),
        ("InitiatePayment", 5), ("ProcessPayment", 4), ("FailPayment", 1), ("RefundPayment", 2),
    )  # fmt: skip

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._names = [name for name, _ in self.KINDS]
        self._weights = [weight for _, weight in self.KINDS]
        self._known: dict[str, deque[str]] = {
            kind: deque(maxlen=300) for kind in ("User", "Order", "Payment")
        }

    def next(self) -> Command:
        """A command that was never sent."""
        name = self.random.choices(self._names, self._weights)[0]
        fields = getattr(self, f"_{name}", dict)()
        if name not in ("CreateUser", "PlaceOrder", "InitiatePayment"):
            fields["aggregate_id"] = self._target(name)
        return Command(self._id(), name, json.dumps(fields).encode())

    def learn(self, command: Command, answer: bytes) -> None:
        """Remember the aggregate that a command was about, for commands to come."""
        if command.name in ("CreateUser", "PlaceOrder", "InitiatePayment"):
            kind = {"C": "User", "P": "Order", "I": "Payment"}[command.name[0]]
            self._known[kind].append(json.loads(answer)["aggregate_id"])

    def _id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _target(self, name: str) -> str:
        known = self._known[next(kind for kind in self._known if name.endswith(kind))]
        return self.random.choice(known) if known and self.random.random() < 0.98 else self._id()

    def _CreateUser(self) -> dict[str, Any]:  # noqa: N802 - the command's name
        number = self.random.randrange(10**9)
        return {"email": f"user{number}@example.org", "name": f"Üser {number}"}

    def _UpdateUser(self) -> dict[str, Any]:  # noqa: N802
        return {"name": f"Renamed {self.random.randrange(10**9)}"}

    def _PlaceOrder(self) -> dict[str, Any]:  # noqa: N802
        lines = [
            {
                "sku": self.random.choice(SKUS),
                "quantity": self.random.randint(1, 9),
                "price": str(Decimal(self.random.randint(1, 9999)) / 100),
            }
            for _ in range(self.random.randint(1, 4))
        ]
        odd = self.random.random()
        if odd < 0.04:
            lines = [{"sku": "gift", "quantity": 1, "price": "0"}]
        elif odd < 0.07:
            lines = [{"sku": "yacht", "quantity": 2, "price": "9000.01"}]
        elif odd < 0.10:
            lines[0]["quantity"] = 0
        fields: dict[str, Any] = {"customer_id": self._id(), "lines": lines}
        if odd > 0.5:
            # Now and then an id that is taken already.
            fields["aggregate_id"] = self._target("PlaceOrder") if odd > 0.97 else self._id()
        return fields

    def _ShipOrder(self) -> dict[str, Any]:  # noqa: N802
        return {"carrier": self.random.choice(["dhl", "ups", "post"])}

    def _InitiatePayment(self) -> dict[str, Any]:  # noqa: N802
        amount = str(Decimal(self.random.randint(1, 99999)) / 100)
        return {"order_id": self.random.choice(PAID_ORDERS), "amount": amount}

    def _FailPayment(self) -> dict[str, Any]:  # noqa: N802
        return {"reason": "no cover"}


class Load:
    """Keeps a number of commands in flight until the server is gone."""

    def __init__(self, workload: Workload, ledger: Ledger, report: Report) -> None:
        self.workload = workload
        self.ledger = ledger
        self.report = report
        self.commands: dict[str, Command] = {}
        self.answered = 0
        self._recent: deque[Command] = deque(maxlen=400)

    @property
    def unknown(self) -> list[Command]:
        """Commands that were never answered."""
        return [command for command in self.commands.values() if not command.answers]

    async def run(self, server: Server, in_flight: int) -> None:
        """Send until the server is gone."""
        await asyncio.gather(*(self._work(server.connection()) for _ in range(in_flight)))

    async def repeat(self, server: Server, commands: Sequence[Command], in_flight: int = IN_FLIGHT) -> None:
        """Send commands again under their ids. Stops quietly when the server is gone."""
        left = iter(commands)

        async def work() -> None:
            connection = server.connection()
            try:
                for command in left:
                    self.report.repeated += 1
                    await self.send(connection, command)
            except Lost:
                pass
            finally:
                connection.close()

        await asyncio.gather(*(work() for _ in range(in_flight)))

    async def work_until(self, stop: asyncio.Event, connection: Connection) -> None:
        """Send until told to stop, also while the store is gone."""
        while not stop.is_set():
            await self._work(connection, stop)
            await asyncio.sleep(0.05)

    async def _work(self, connection: Connection, stop: asyncio.Event | None = None) -> None:
        try:
            while stop is None or not stop.is_set():
                if self._recent and self.workload.random.random() < 0.03:
                    # Answered already, still running, or lost with an earlier process.
                    command = self.workload.random.choice(self._recent)
                    self.report.repeated += 1
                else:
                    command = self.workload.next()
                    self._recent.append(command)
                    self.commands[command.id] = command
                    await self.ledger.write(send=command.id, name=command.name, body=command.body.decode())
                await self.send(connection, command)
        except Lost:
            pass
        finally:
            connection.close()

    async def send(self, connection: Connection, command: Command) -> None:
        """Send a command, and note its answer. Raises Lost."""
        path = f"/api/commands/{command.name}"
        headers = {"Idempotency-Key": command.id}
        status, body = await connection.request("POST", path, command.body, headers)
        if status in (429, 503):
            self.report.turned_away += 1
            return
        await self.ledger.write(answer=command.id, status=status, body=body.decode())
        command.answers.append((status, body))
        self.answered += 1
        first = command.answers[0]
        if (status, body) != first:
            self.report.found(
                f"{command.name} {command.id}: first {_short(first)}, repeated {_short((status, body))}"
            )
        elif len(command.answers) == 1 and status == 200:
            self.workload.learn(command, body)


def _short(answer: tuple[int, bytes]) -> str:
    return f"{answer[0]} {answer[1].decode()[:160]}"


# --- The fold, once more ------------------------------------------------------------------------------------


class ShopFold:
    """What the projections of `examples/shop.tsk` have to hold, from raw events, one after another."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.users: Rows = {}
        self.orders: Rows = {}
        self.payments: Rows = {}
        self.sold: Rows = {}
        for event in events:
            self._apply(event["event_type"], event["aggregate_id"], event["timestamp"], event["data"])

    def _apply(self, name: str, id_: str, at: str, data: dict[str, Any]) -> None:
        if name == "UserCreated":
            self.users[id_] = {"user_id": id_, "email": data["email"], "name": data["name"]}
        elif name == "UserUpdated":
            self.users[id_]["name"] = data["name"]
        elif name == "UserDeleted":
            del self.users[id_]
        elif name == "OrderPlaced":
            self._placed(id_, at, data)
        elif name == "OrderConfirmed":
            self.orders[id_]["status"] = "confirmed"
        elif name == "OrderShipped":
            self.orders[id_].update(status="shipped", carrier=data["carrier"])
        elif name == "OrderDelivered":
            self.orders[id_]["status"] = "delivered"
        elif name == "OrderCancelled":
            self.orders[id_]["status"] = "cancelled"
        elif name == "PaymentInitiated":
            amount = Decimal(data["amount"])
            self.payments[id_] = {"payment_id": id_, "order_id": data["order_id"], "amount": amount}
            self.payments[id_]["status"] = "initiated"
        else:
            known = {
                "PaymentProcessed": "processed",
                "PaymentFailed": "failed",
                "PaymentRefunded": "refunded",
            }
            self.payments[id_]["status"] = known[name]

    def _placed(self, id_: str, at: str, data: dict[str, Any]) -> None:
        total, items = Decimal(0), 0
        for line in data["lines"]:
            price, quantity = Decimal(line["price"]), line["quantity"]
            total += price * quantity
            items += quantity
            day = self.sold.setdefault(
                (line["sku"], at[:10]),
                {"sku": line["sku"], "day": at[:10], "quantity": 0, "revenue": Decimal(0)},
            )
            day["quantity"] += quantity
            day["revenue"] += price * quantity
        assert total == Decimal(data["total"]), data
        self.orders[id_] = {
            "order_id": id_,
            "customer_id": data["customer_id"],
            "status": "placed",
            "total": total,
            "items": items,
            "placed_at": datetime.fromisoformat(at),
            "carrier": None,
        }


async def all_events(connection: Connection) -> list[Event]:
    """The whole log."""
    events: list[Event] = []
    while True:
        after = events[-1]["position"] if events else 0
        page = (await connection.json(f"/api/events?after={after}&limit=1000"))["events"]
        if not page:
            return events
        events += page


async def all_rows(
    connection: Connection, query: str, wait_for: int, limit: int = 1000
) -> AsyncIterator[dict[str, Any]]:
    """The rows of a query, page after page, once its projection holds a position."""
    path = f"/api/queries/{query}{'&' if '?' in query else '?'}limit={limit}"
    cursor = ""
    while True:
        answer = await connection.json(path + cursor, {"X-Wait-For-Position": str(wait_for)})
        for row in answer["rows"]:
            yield row
        if not answer.get("next_cursor"):
            return
        cursor = f"&cursor={answer['next_cursor']}"


async def _settled(connection: Connection) -> dict[str, Any] | None:
    """The status, once every projection is where the log is, or has failed."""
    status: dict[str, Any] = await connection.json("/api/status")
    there = all(part["position"] == status["head"] or part["health"] == "failed" for part in status["parts"])
    return status if there else None


async def compare_projections(
    connection: Connection, events: Sequence[Event], twins: Sequence[tuple[str, str]] = ()
) -> list[str]:
    """Where the read models differ from the fold. `twins` are columns of orders that copy another one."""
    fold, head = ShopFold(events), events[-1]["position"] if events else 0
    for order in fold.orders.values():
        order.update({name: order[of] for name, of in twins})
    found: list[str] = []
    status = await until(lambda: _settled(connection), "the projections have taken in the log", 120)
    failed = {part["name"]: part["error"] for part in status["parts"] if part["health"] == "failed"}
    found += [f"{name}: stands still: {error}" for name, error in failed.items()]

    async def check(
        name: str, wanted: Rows, queries: Sequence[str], key: Callable[[Any], Any], limit: int = 1000
    ) -> None:
        seen: Rows = {}
        if name in failed:
            return
        for query in queries:
            async for row in all_rows(connection, query, head, limit):
                for column in ("total", "revenue", "amount"):
                    if column in row:
                        row[column] = Decimal(row[column])
                if "placed_at" in row:
                    row["placed_at"] = datetime.fromisoformat(row["placed_at"])
                if key(row) in seen:
                    found.append(f"{name}: {key(row)} comes twice")
                seen[key(row)] = row
        differing = [k for k in wanted.keys() | seen.keys() if wanted.get(k) != seen.get(k)]
        if differing:
            k = min(differing)
            found.append(
                f"{name}: {len(differing)} rows differ, first: {seen.get(k)}, wanted {wanted.get(k)}"
            )

    await check("users", fold.users, ["users"], lambda row: row["user_id"])
    await check("orders", fold.orders, ["orders"], lambda row: row["order_id"])
    await check("sold", fold.sold, ["bestsellers"], lambda row: (row["sku"], row["day"]), 5)
    paid = [f"payments_of_order?order_id={order}" for order in PAID_ORDERS]
    await check("payments", fold.payments, paid, lambda row: row["payment_id"], 200)
    return found


# --- The verdict --------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What was counted, and what was found."""

    cycles: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    unknown_stored: int = 0
    repeated: int = 0
    turned_away: int = 0
    events: int = 0
    lost: int = 0
    doubled: int = 0
    starts: list[float] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def found(self, violation: str) -> None:
        """Note something that must not be."""
        self.violations.append(violation)

    def __str__(self) -> str:
        lines = [
            f"{self.cycles} kills: {self.acknowledged:,} acknowledged, {self.refused:,} refused, "
            f"{self.unknown:,} unknown at some time ({self.unknown_stored:,} of them stored)",
            f"{self.repeated:,} repeated, {self.turned_away:,} turned away, {self.events:,} events",
            f"{self.lost} lost, {self.doubled} doubled, {len(self.violations)} violations",
        ]
        if self.starts:
            lines.append(
                f"start-up: p50 {statistics.median(self.starts):.2f} s, max {max(self.starts):.2f} s"
            )
        if self.recoveries:
            lines.append(
                f"answers again after the database is back: p50 {statistics.median(self.recoveries):.2f} s, "
                f"max {max(self.recoveries):.2f} s"
            )
        lines += [f"  {violation}" for violation in self.violations[:12]]
        lines.append("FAILED" if self.violations else "passed")
        return "\n".join(lines)


def event_id(command_id: str, index: int) -> str:
    """How the id of a command's n-th event derives from the command's id."""
    digest = bytearray(
        hashlib.blake2b(uuid.UUID(command_id).bytes + index.to_bytes(4, "big"), digest_size=16).digest()
    )
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def check_log(events: Sequence[Event], commands: dict[str, Command], report: Report) -> None:
    """Compare the log with the ledger."""
    versions: Counter[tuple[str, str]] = Counter()
    by_command: dict[str, list[Event]] = {}
    for position, event in enumerate(events, 1):
        stream = event["aggregate_type"], event["aggregate_id"]
        versions[stream] += 1
        if event["version"] != versions[stream]:
            report.found(f"{stream}: version {event['version']} stands where {versions[stream]} belongs")
        if event["position"] != position:
            report.found(f"position {event['position']} stands where {position} belongs")
        by_command.setdefault(event["metadata"]["command_id"], []).append(event)
    for id_ in by_command.keys() - commands.keys():
        report.found(f"the events of {id_} have no command")
    for command in commands.values():
        _check_command(command, by_command.get(command.id, []), report)


def _check_command(command: Command, stored: list[Event], report: Report) -> None:
    what = f"{command.name} {command.id}"
    # Every command of this load that is accepted gives exactly one event.
    if len(stored) > 1:
        report.doubled += 1
        report.found(f"{what}: {len(stored)} events, at {[event['position'] for event in stored]}")
    elif stored and stored[0]["event_id"] != event_id(command.id, 0):
        report.found(f"{what}: its event has the id {stored[0]['event_id']}")
    if command.first is None:
        return
    if not command.accepted:
        if stored:
            report.found(
                f"{what}: refused with {_short(command.first)}, and stored at {stored[0]['position']}"
            )
        return
    answer = json.loads(command.first[1])
    if not stored:
        report.lost += 1
        report.found(f"{what}: acknowledged with {_short(command.first)}, and its event is not there")
        return
    told = [(e["event_id"], e["event_type"], e["version"]) for e in answer["events"]]
    kept = [(e["event_id"], e["event_type"], e["version"]) for e in stored[:1]]
    place = answer["aggregate_id"], answer["position"], answer["version"]
    if told != kept or place != tuple(stored[0][k] for k in ("aggregate_id", "position", "version")):
        report.found(f"{what}: answered {answer}, stored {stored[0]}")


async def verify(server: Server, load: Load) -> None:
    """All that has to hold in the end. The server runs and nothing else writes."""
    report, connection = load.report, server.connection()
    before = await all_events(connection)
    check_log(before, load.commands, report)
    unknown = load.unknown
    stored = {event["metadata"]["command_id"] for event in before}

    await load.repeat(server, unknown)
    for command in unknown:
        if command.first is None:
            report.found(f"{command.name} {command.id} was repeated and still has no answer")
        elif command.id in stored and not command.accepted:
            report.found(f"{command.name} {command.id} was stored, and repeated: {_short(command.first)}")
    everything = list(load.commands.values())
    again = load.workload.random.sample(everything, min(len(everything), 2000))
    await load.repeat(server, [*unknown, *again])
    connection.close()  # it rested for long: the server may have closed it, too

    events = await all_events(connection)
    if events[: len(before)] != before:
        report.found("the log that was read once reads differently now")
    check_log(events, load.commands, report)
    if len(events) != sum(command.accepted for command in everything):
        report.found(f"{len(events)} events, and another number of accepted commands")
    for difference in await compare_projections(connection, events):
        report.found(difference)
    connection.close()
    report.events = len(events)
    report.acknowledged = sum(command.accepted for command in everything)
    report.refused = len(everything) - report.acknowledged - len(load.unknown)


async def run(
    folder: Path,
    *,
    cycles: int,
    seed: int,
    between: tuple[float, float] = (0.05, 1.5),
    broken: str | None = None,
    in_flight: int = IN_FLIGHT,
    dsn: str | None = None,
    database: PostgresServer | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Kill so many times, then check everything.

    The store is a SQLite file, or in the PostgreSQL database at `dsn`. With `database`, the server that it is on,
    this one is killed, and nothing else.
    """
    report = Report()
    dice = random.Random(f"kills {seed}")
    ledger = Ledger(folder / "ledger.jsonl")
    load = Load(Workload(seed), ledger, report)
    command = {} if broken is None else {"command": [sys.executable, __file__, "--serve-broken", broken]}
    file, environment = copy_of("shop.tsk", folder), {}
    if dsn is not None:
        with file.open("a", encoding="utf-8") as text:
            text.write(ON_POSTGRESQL)
        environment["DATABASE_URL"] = dsn
    server = Server(file, "--no-watch", environment=environment, **command)
    ever_unknown: set[str] = set()
    ever_stored: set[str] = set()
    try:
        if database is not None:
            report.starts.append(await server.start())
            await kill_databases(server, database, load, cycles, dice, between, say)
            cycles = 0
        for cycle in range(cycles):
            if cycle and dice.random() < 0.05:
                server.spawn()  # killed while it starts
                await asyncio.sleep(dice.uniform(0.05, 0.5))
                server.kill()
            report.starts.append(await server.start())
            ever_stored.update(await newest_commands(server) & {c.id for c in load.unknown})
            if dice.random() < 0.5:
                await load.repeat(server, load.unknown)
            killing = asyncio.get_running_loop().call_later(dice.uniform(*between), server.kill)
            await load.run(server, in_flight)
            killing.cancel()
            server.kill()
            ever_unknown.update(command.id for command in load.unknown)
            report.cycles += 1
            unknown = len(load.unknown)
            say(f"{report.cycles}/{cycles} kills, {len(load.commands):,} commands, {unknown} unknown")
        if database is None:
            report.starts.append(await server.start())
        say("checking")
        await verify(server, load)
    except DidNotStart as error:
        report.found(f"it did not start again: {error}")
    finally:
        await server.close()
        ledger.close()
    report.unknown = len(ever_unknown)
    report.unknown_stored = len(ever_stored)
    return report


async def kill_databases(
    server: Server,
    database: PostgresServer,
    load: Load,
    cycles: int,
    dice: random.Random,
    between: tuple[float, float],
    say: Callable[[str], None],
) -> None:
    """Kill the database under load and start it again, while the shop runs on."""
    report = load.report
    stop = asyncio.Event()
    working = asyncio.gather(*(load.work_until(stop, server.connection()) for _ in range(IN_FLIGHT)))
    for cycle in range(cycles):
        await asyncio.sleep(dice.uniform(*between))
        await asyncio.to_thread(database.kill)
        await asyncio.sleep(dice.uniform(0, 0.5))
        await asyncio.to_thread(database.start)
        began, before = time.monotonic(), load.answered
        await until(lambda before=before: load.answered > before + IN_FLIGHT, "commands work again", 30)
        report.recoveries.append(time.monotonic() - began)
        report.cycles += 1
        say(f"{cycle + 1}/{cycles} kills of the database, {len(load.commands):,} commands")
    stop.set()
    await working


async def newest_commands(server: Server) -> set[str]:
    """The ids of the commands whose events were stored last."""
    page = await server.connection().json("/api/events?backwards=true&limit=200")
    return {event["metadata"]["command_id"] for event in page["events"]}


# --- Builds that are broken on purpose ----------------------------------------------------------------------


def break_ledger() -> None:
    """Commands are not looked up in the ledger before they run, so that a repeated one runs again."""
    from tusk_runtime.store.sqlite import SqliteEvents, appending

    async def recorded(self: SqliteEvents, command_ids: Any) -> dict[bytes, Any]:
        return {}

    SqliteEvents.recorded = recorded  # type: ignore[method-assign]
    appending.INSERT_COMMANDS = appending.INSERT_COMMANDS.replace("INSERT", "INSERT OR IGNORE", 1)


def break_checkpoint() -> None:
    """Rows are committed at once, and the checkpoint of a page with the next page."""
    from tusk_runtime.store import read_tables

    write = read_tables.write
    behind: dict[str, tuple[int, int]] = {}

    def late(connection: Any, table: Any, upserts: Any, deletes: Any, expected: int, position: int) -> None:
        stored = expected
        if table.name in behind:
            stored, reached = behind.pop(table.name)
            write(connection, table, (), (), stored, reached)
            stored = reached
        write(connection, table, upserts, deletes, stored, stored)
        behind[table.name] = stored, position

    read_tables.write = late


def break_commit() -> None:
    """Commands are answered when they are written, and committed before the next thing is written."""
    from tusk_runtime.store.sqlite import _Writer
    from tusk_runtime.store.sqlite.appending import Appender

    append, relaxed = Appender.append, _Writer._relaxed

    def finish(connection: Any) -> None:
        if not connection.get_autocommit():
            time.sleep(0.05)  # as if the disk were slow
            connection.execute("COMMIT")

    def early(self: Appender, connection: Any, *arguments: Any) -> Any:
        finish(connection)
        return append(self, connection, *arguments)

    def after(self: _Writer, connection: Any, work: Any) -> Any:
        finish(connection)
        return relaxed(self, connection, work)

    Appender.append = early  # type: ignore[method-assign]
    Appender._commit = lambda self, connection: None  # type: ignore[method-assign]
    _Writer._relaxed = after  # type: ignore[method-assign]


BROKEN = {"ledger": break_ledger, "checkpoint": break_checkpoint, "commit": break_commit}


def serve_broken(kind: str, arguments: Sequence[str]) -> None:
    """`tusk-run`, with a guard taken out."""
    from tusk_runtime.cli.run import main as tusk_run

    BROKEN[kind]()
    tusk_run(list(arguments))


def main() -> None:
    """The command line."""
    if sys.argv[1:2] == ["--serve-broken"]:
        serve_broken(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--between", type=float, nargs=2, default=(0.05, 1.5), metavar="SECONDS")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT)
    parser.add_argument("--postgres", choices=["15", "18"], help="On a private PostgreSQL server.")
    parser.add_argument("--kill", choices=["runtime", "database"], default="runtime")
    parser.add_argument("--break", dest="broken", choices=sorted(BROKEN))
    parser.add_argument("--keep", type=Path, help="Work in this folder and leave everything there.")
    options = parser.parse_args()

    def say(text: str) -> None:
        print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        database = None
        if options.postgres is not None:
            binaries = binaries_of(options.postgres)
            if binaries is None:
                sys.exit(f"PostgreSQL {options.postgres} is not here")
            database = PostgresServer(binaries, Path(tempfile.mkdtemp(prefix="tusk-kills-")), durable=True)
            database.make()
            database.start()
        begin = time.monotonic()
        report = asyncio.run(
            run(
                folder,
                cycles=options.cycles,
                seed=options.seed,
                between=tuple(options.between),
                broken=options.broken,
                in_flight=options.in_flight,
                dsn=None if database is None else database.url,
                database=database if options.kill == "database" else None,
                say=say,
            )
        )
        if database is not None:
            database.stop()
    print(file=sys.stderr)
    print(f"seed {options.seed}, {time.monotonic() - begin:.0f} s")
    print(report)
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
