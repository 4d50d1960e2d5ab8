"""A bank for tests that break it: its file, a load that remembers every answer, and what has to hold in the end.

An account's events name the balance that the command saw; a consumer does two things upon each deposit, and one that
is refused upon each withdrawal. What has to hold is computed here once more, from the log alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import Connection, Lost, Server, until

Event = dict[str, Any]

ACCOUNTS = [f"account-{number}" for number in range(12)]
ROUTED = {
    "Opened": "accounts",
    "Deposited": "money",
    "Withdrawn": "money",
    "Noted": "notes",
    "Counted": "notes",
}
"""Events and the categories that are published."""

TEXT = """
[runtime]
name: "bank"
version: "1.0"

[event_categories]
accounts: ["Opened"]
money: ["Deposited", "Withdrawn"]
notes: ["Noted", "Counted"]

[events]
Opened: { fields: { owner: "string" } }
Deposited: { fields: { amount: "integer", seen: "integer" } }
Withdrawn: { fields: { amount: "integer", seen: "integer" } }
Noted: { fields: { amount: "integer" } }
Counted: { fields: { amount: "integer" } }

[aggregates.Account]
id: "string"
snapshot_every: 5
state: { balance: "integer = 0" }
on:
  Opened: {}
  Deposited: { balance: "{{ state.balance + data.amount }}" }
  Withdrawn: { balance: "{{ state.balance - data.amount }}" }

[aggregates.Book]
id: "string"
state: { total: "integer = 0" }
on: { Noted: { total: "{{ state.total + data.amount }}" }, Counted: {} }

[commands]
Open: { aggregate: "Account", creates: true, fields: { owner: "string" }, emit: "Opened" }
Note: { aggregate: "Book", creates: "either", fields: { amount: "integer" }, emit: "Noted" }
Count: { aggregate: "Book", creates: "either", fields: { amount: "integer" }, emit: "Counted" }
Deposit: { aggregate: "Account", fields: { amount: "integer(min=1)" },
  emit: { event: "Deposited", data: { seen: "{{ state.balance }}" } } }
Withdraw: { aggregate: "Account", fields: { amount: "integer(min=1)" },
  require: { check: "{{ command.amount <= state.balance }}", message: "not enough money" },
  emit: { event: "Withdrawn", data: { seen: "{{ state.balance }}" } } }

[projections.balances]
key: "account"
columns: { account: "string", balance: "integer = 0", moves: "integer = 0", generation: "integer = 0" }
on:
  Opened: { insert: { generation: "{{ GENERATION }}" } }
  Deposited: { update: { balance: "{{ row.balance + data.amount }}", moves: "{{ row.moves + 1 }}" } }
  Withdrawn: { update: { balance: "{{ row.balance - data.amount }}", moves: "{{ row.moves + 1 }}" } }

[queries.balances]
from: "balances"

[consumers.Clerk]
group: "GROUP"
timeout: "TIMEOUTs"
on:
  Deposited:
    - { send: "Note", with: { aggregate_id: "{{ event.aggregate_id }}", amount: "{{ data.amount }}" } }
    - { send: "Count", with: { aggregate_id: "{{ event.aggregate_id }}", amount: "{{ data.amount }}" } }
  Withdrawn: { send: "Open", with: { owner: "again", aggregate_id: "{{ event.aggregate_id }}" } }
"""
ON_KAFKA = """
[event_store]
streaming: "kafka"

[store_config]
kafka: {{ brokers: "{brokers}", topic_prefix: "{prefix}", partitions: 3 }}
"""
ON_POSTGRESQL = """
[event_store]
backend: "postgresql"

[store_config]
postgresql: { connection_string: "@env('DATABASE_URL')" }
"""


class BankFile:
    """The file of the bank. An edit changes its projection and its consumer."""

    def __init__(self, path: Path, more: str = "", group: str = "Clerk") -> None:
        self.path = path
        self.generation = 0
        self._more = more
        self._group = group
        self.edit()

    def edit(self) -> None:
        """Write another generation, in one step."""
        self.generation += 1
        text = TEXT.replace("GENERATION", str(self.generation)).replace("TIMEOUT", str(30 + self.generation))
        text = text.replace("GROUP", self._group)
        beside = self.path.with_suffix(".new")
        beside.write_text(text + self._more)
        beside.replace(self.path)


@dataclass
class Command:
    """A command that was sent, and the answer that counts: the first one that is not "not now"."""

    id: str
    name: str
    body: bytes
    answer: tuple[int, Any] | None = None


@dataclass
class Load:
    """Clients that send commands and remember what they were told, over as many lives of the process as it takes."""

    seed: int
    commands: list[Command] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    """What was answered that must not be."""
    not_now: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for account in ACCOUNTS:
            self._new("Open", account, owner="ann")

    @property
    def unknown(self) -> list[Command]:
        """Commands without an answer."""
        return [command for command in self.commands if command.answer is None]

    def _new(self, name: str, account: str, **fields: Any) -> Command:
        identity = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        command = Command(identity, name, json.dumps({"aggregate_id": account, **fields}).encode())
        self.commands.append(command)
        return command

    def _next(self) -> Command:
        name = self.random.choices(("Deposit", "Withdraw", "Open"), (6, 3, 1))[0]
        more = {"owner": "bob"} if name == "Open" else {"amount": self.random.randint(1, 9)}
        return self._new(name, self.random.choice(ACCOUNTS), **more)

    async def run(self, server: Server, stop: asyncio.Event, clients: int = 6) -> None:
        """Send commands until told to stop, or until the process is gone."""
        await asyncio.gather(*(self._client(server.connection(), stop) for _ in range(clients)))

    async def _client(self, connection: Connection, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                again = self.unknown[:1] if self.random.random() < 0.1 else []
                await self.send(connection, again[0] if again else self._next())
                await asyncio.sleep(0.02)
        except Lost:
            pass

    async def send(self, connection: Connection, command: Command) -> None:
        """Send a command, maybe again. Raises Lost."""
        path, key = f"/api/commands/{command.name}", {"Idempotency-Key": command.id}
        status, body = await connection.request("POST", path, command.body, key)
        answer = json.loads(body)
        if status in (429, 503):
            self.not_now[answer["detail"]] += 1
        elif command.answer is None:
            command.answer = (status, answer)
        elif command.answer != (status, answer):
            self.found.append(f"{command.id}: first {command.answer}, then {(status, answer)}")

    async def repeat(self, connection: Connection) -> None:
        """Send again what has no answer, until it has one."""

        async def all_answered() -> bool:
            for command in self.unknown:
                await self.send(connection, command)
            return not self.unknown

        await until(all_answered, "every command is answered", 30, 0.1)


async def log_of(connection: Connection) -> list[Event]:
    """The whole log."""
    events: list[Event] = []
    while page := (
        await connection.json(f"/api/events?after={events[-1]['position'] if events else 0}&limit=1000")
    )["events"]:
        events += page
    return events


def behind(status: dict[str, Any], position: int) -> list[str]:
    """What follows the log and has not come to a position; one that nobody runs has none.

    What reads topics has no position, and is behind while something is in them.
    """
    followers = [part for part in status["parts"] if part["kind"] in ("projection", "consumer", "relay")]
    return [
        part["name"]
        for part in followers
        if (part["lag"] != 0 if reads_topics(part) else (part["position"] or 0) < position)
    ]


def reads_topics(part: dict[str, Any]) -> bool:
    """Whether a part reads topics, and not the log."""
    return "partition" in part["detail"]


async def rest(connection: Connection) -> dict[str, Any]:
    """Wait until all that follows the log has taken in all of it. Gives the status."""

    async def settled() -> dict[str, Any] | None:
        status: dict[str, Any] = await connection.json("/api/status")
        marked = (await connection.json("/api/dead-letters?standing=retry"))["letters"]
        calm = not behind(status, status["head"]) and not any(part["error"] for part in status["parts"])
        return status if calm and not marked else None

    while True:
        found: dict[str, Any] = await until(settled, "all that follows the log is where it is", 40, 0.05)
        if not any(map(reads_topics, found["parts"])):
            return found
        await asyncio.sleep(1.5)  # what was published just now is not known yet as what is behind
        again = await settled()
        if again is not None and again["head"] == found["head"]:
            return again


async def check(load: Load, server: Server, generation: int) -> tuple[list[str], list[Event]]:
    """What does not hold, once everything is at rest and every command has an answer; and the log.

    `generation` is that of the file that is live.
    """
    connection = server.connection()
    before = Counter(event["metadata"]["command_id"] for event in await log_of(connection))
    found = [f"{each.id} took effect twice" for each in load.unknown if before[each.id] > 1]
    await load.repeat(connection)
    await rest(connection)
    events = await log_of(connection)
    found += [*load.found, *_answers(load, events), *_order(events), *_effects(events)]
    found += await _rows(connection, events, generation) + await _letters(connection, events)
    return found, events


def _answers(load: Load, events: Sequence[Event]) -> list[str]:
    """Accepted commands gave exactly the events that they were told of; others gave none, nobody else any."""
    found = []
    stored: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if event["aggregate_type"] == "Account":
            stored[event["metadata"]["command_id"]].append(event["event_id"])
    for command in load.commands:
        assert command.answer is not None
        status, answer = command.answer
        told = [each["event_id"] for each in answer["events"]] if status == 200 else []
        if stored.pop(command.id, []) != told:
            found.append(f"{command.name} {command.id}: told {told} with {status}, stored is something else")
    found += [f"nobody asked for {what}" for what in stored]
    if len({event["event_id"] for event in events}) < len(events):
        found.append("an event id comes twice")
    return found


def _order(events: Sequence[Event]) -> list[str]:
    """Positions go up, versions have no holes, and each command saw the balance that its predecessors left."""
    found = []
    positions = [event["position"] for event in events]
    if positions != list(range(1, len(events) + 1)):
        found.append("positions are not dense")
    versions: Counter[tuple[str, str]] = Counter()
    balances: Counter[str] = Counter()
    for event in events:
        key, data = (event["aggregate_type"], event["aggregate_id"]), event["data"]
        versions[key] += 1
        if event["version"] != versions[key]:
            found.append(f"{key}: version {event['version']} instead of {versions[key]}")
        if "seen" in data:
            if data["seen"] != balances[key[1]]:
                found.append(f"{key}: saw {data['seen']} instead of {balances[key[1]]}")
            balances[key[1]] += data["amount"] if event["event_type"] == "Deposited" else -data["amount"]
    return found


def _effects(events: Sequence[Event]) -> list[str]:
    """Each deposit was noted once and counted once, in this order, and nothing else was."""
    deposits = {e["event_id"]: e for e in events if e["event_type"] == "Deposited"}
    effects: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for event in events:
        if event["event_type"] in ("Noted", "Counted"):
            told = (event["event_type"], event["data"]["amount"], event["aggregate_id"])
            effects[event["metadata"]["causation_id"]].append(told)
    found = [f"nothing caused {effects[cause]}" for cause in effects.keys() - deposits.keys()]
    for cause, event in deposits.items():
        amount, account = event["data"]["amount"], event["aggregate_id"]
        if effects[cause] != [("Noted", amount, account), ("Counted", amount, account)]:
            found.append(f"the deposit {cause} had the effects {effects[cause]}")
    in_order = [e["metadata"]["causation_id"] for e in events if e["event_type"] == "Noted"]
    by_account: dict[str, list[str]] = defaultdict(list)
    for cause in in_order:
        by_account[deposits[cause]["aggregate_id"]].append(cause)
    for account, causes in by_account.items():
        if causes != [cause for cause, event in deposits.items() if event["aggregate_id"] == account]:
            found.append(f"{account}: deposits were noted in another order")
    return found


async def _rows(connection: Connection, events: Sequence[Event], generation: int) -> list[str]:
    """The projection holds what a fold of the log gives, by the live file."""
    wanted: dict[str, list[int]] = {}
    for event in events:
        if event["event_type"] == "Opened":
            wanted[event["aggregate_id"]] = [0, 0, generation]
        elif event["event_type"] in ("Deposited", "Withdrawn"):
            row, amount = wanted[event["aggregate_id"]], event["data"]["amount"]
            row[0] += amount if event["event_type"] == "Deposited" else -amount
            row[1] += 1
    head = {"X-Wait-For-Position": str(len(events))}
    rows = (await connection.json("/api/queries/balances?limit=1000", head))["rows"]
    seen = {row["account"]: [row["balance"], row["moves"], row["generation"]] for row in rows}
    return [] if seen == wanted else [f"the projection holds {seen}, wanted {wanted}"]


async def _letters(connection: Connection, events: Sequence[Event]) -> list[str]:
    """There is exactly one letter for each withdrawal; those of topics name records of it."""
    positions: list[int] = []
    topics = False
    after = ""
    while True:
        page = await connection.json(f"/api/dead-letters?standing=refused&limit=1000{after}")
        positions += [letter["position"] for letter in page["letters"]]
        topics |= any(letter["source"] for letter in page["letters"])
        if page["next_after"] is None:
            break
        after = f"&after={page['next_after']}"
    wanted = [event["position"] for event in events if event["event_type"] == "Withdrawn"]
    holds = len(positions) == len(wanted) if topics else positions == wanted
    return [] if holds else [f"letters {len(positions)}, withdrawals {len(wanted)}"]
