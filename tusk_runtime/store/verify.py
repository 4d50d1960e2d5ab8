"""Reads a whole log, and says whether it is what a store promises: for every store alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tusk_runtime.events import id_text
from tusk_runtime.store.protocol import EventStore

PAGE = 2000
MOST_PROBLEMS = 100
FIELDS = (
    "aggregate_type", "aggregate_id", "version", "command_id", "data", "metadata",
    "timestamp", "correlation_id",
)  # fmt: skip


@dataclass
class Verdict:
    """What was read, and what is wrong with it: the first hundred problems, in words.

    `sha256` is over all events, whole and in their order: two stores of the same digest hold the same log.
    """

    events: int = 0
    aggregates: int = 0
    commands: int = 0
    sha256: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Command:
    """The events of a command as far as they were read."""

    aggregate: tuple[str, str]
    version: int
    position: int
    count: int = 1


async def verify(
    events: EventStore, progress: Callable[[int, int], None] = lambda done, all_: None
) -> Verdict:
    """Read every event up to the head that the log has now.

    Positions and the versions of each aggregate count from 1 without holes; the events of a command stand
    together, and its row of the ledger says the same of them; data and metadata are JSON objects. `progress`
    hears how many of how many positions were read. The versions of all aggregates are kept in memory.
    """
    return await _Verification(events, progress).run()


class _Verification:
    def __init__(self, events: EventStore, progress: Callable[[int, int], None]) -> None:
        self._events = events
        self._progress = progress
        self._verdict = Verdict()
        self._versions: dict[tuple[str, str], int] = {}
        self._commands: dict[bytes, _Command] = {}
        self._last = b""
        self._digest = hashlib.sha256()

    async def run(self) -> Verdict:
        verdict, after, head = self._verdict, 0, await self._events.head()
        while after < head and len(verdict.problems) < MOST_PROBLEMS:
            page = await self._events.scan(after, min(PAGE, head - after), types=None, fields=FIELDS)
            if not page:
                self._found(f"the log ends at {after}, and its head is {head}")
                break
            for position, name, *row in page:
                self._digest.update(_framed(position, name, *row))
                if position != after + 1:
                    self._found(f"position {position} follows {after}")
                after = position
                self._event(position, *row[:6])
            await self._ask_ledger(last=after >= head)
            self._progress(after, head)
        verdict.aggregates = len(self._versions)
        verdict.sha256 = self._digest.hexdigest()
        del verdict.problems[MOST_PROBLEMS:]
        return verdict

    def _event(
        self,
        position: int,
        type_: str,
        id_: str,
        version: int,
        command_id: bytes,
        data: bytes,
        metadata: bytes,
    ) -> None:
        self._verdict.events += 1
        aggregate = type_, id_
        before = self._versions.get(aggregate, 0)
        if version != before + 1:
            self._found(f"position {position}: {type_} {id_} has version {version} after {before}")
        self._versions[aggregate] = version
        for name, text in (("data", data), ("metadata", metadata)):
            if not _is_object(text):
                self._found(f"position {position}: the {name} of the event is no JSON object")
        command = self._commands.get(command_id)
        if command is None:
            self._commands[command_id] = _Command(aggregate, version, position)
        else:
            if self._last != command_id or command.aggregate != aggregate:
                self._found(f"position {position}: the events of {id_text(command_id)} stand apart")
            command.version, command.position = version, position
            command.count += 1
        self._last = command_id

    async def _ask_ledger(self, *, last: bool) -> None:
        """Compare with the ledger the commands whose events were all read."""
        done = {id_: command for id_, command in self._commands.items() if last or id_ != self._last}
        recorded = await self._events.recorded(list(done))
        for command_id, command in done.items():
            self._verdict.commands += 1
            row = recorded.get(command_id)
            wanted = (*command.aggregate, command.version, command.position, command.count)
            if row is None:
                self._found(f"position {command.position}: {id_text(command_id)} is not in the ledger")
            elif row.refusal is not None:
                self._found(f"position {command.position}: the ledger calls {id_text(command_id)} refused")
            elif (found := row[2:7]) != wanted:
                self._found(
                    f"position {command.position}: the ledger says {_shown(found)} of {id_text(command_id)}, "
                    f"and its events say {_shown(wanted)}"
                )
            del self._commands[command_id]

    def _found(self, problem: str) -> None:
        self._verdict.problems.append(problem)


def _framed(*values: object) -> bytes:
    """Values one after the other, each behind its length, so that none can be taken for two."""
    parts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _shown(row: Sequence[Any]) -> str:
    type_, id_, version, position, count = row
    return f"{count} events of {type_} {id_} up to version {version} at position {position}"
