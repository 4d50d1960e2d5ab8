"""Lines → a store: checked as a whole before anything is written, and written so that it can go on."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from tusk_runtime.errors import BadInput, OutcomeUnknown, StoreError, StoreUnavailable
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.store.protocol import EventStore, Held, Recorded
from tusk_runtime.store.transfer.exporting import commands_of
from tusk_runtime.store.transfer.lines import LONGEST, Command, End, Head, Line, read

COMMANDS, BYTES = 500, 4 * 1024 * 1024
"""How much is written in one transaction."""


@dataclass(frozen=True)
class Declared:
    """The names that commands may have; None: any."""

    events: Collection[str] | None = None
    aggregates: Collection[str] | None = None

    def check(self, command: Command) -> None:
        """Raises ValueError naming the nearest."""
        _check_name("aggregate", command.recorded.aggregate_type, self.aggregates)
        for event in command.decision.events:
            _check_name("event", event.type, self.events)


def _check_name(kind: str, name: str, known: Collection[str] | None) -> None:
    if known is not None and name not in known:
        help_ = did_you_mean(name, known)
        raise ValueError(f"the file declares no {kind} `{name}`" + (f"; {help_}" if help_ else ""))


class _Numbered(NamedTuple):
    number: int
    text: bytes


def _lines(source: BinaryIO) -> Iterator[_Numbered]:
    """The lines with their ends, from the beginning. Raises BadInput for one that is cut off."""
    source.seek(0)
    number = 0
    while text := source.readline(LONGEST):
        number += 1
        if not text.endswith(b"\n"):
            too_long = len(text) == LONGEST
            raise BadInput(number, "the line is too long" if too_long else "the line is cut off")
        yield _Numbered(number, text)


def check(source: BinaryIO, declared: Declared, progress: Callable[[int], None] = lambda done: None) -> End:
    """Read a whole export, and see that it is one. Raises BadInput with the first line that is wrong.

    `progress` hears how many bytes were read. The memory does not grow with the export.
    """
    checking = _Checking(declared)
    done = number = 0
    for number, text in _lines(source):
        try:
            checking.line(read(text[:-1]), text)
        except ValueError as error:
            raise BadInput(number, str(error)) from None
        done += len(text)
        progress(done)
    if checking.end is None:
        raise BadInput(number + 1, "the export ends too early: its last line is missing")
    return checking.end


class _Checking:
    """What was read of an export, and whether the next line may follow. Raises ValueError."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._digest = hashlib.sha256()
        self._head: Head | None = None
        self._position = self._commands = 0
        self._place = (-1, False, b"")
        self.end: End | None = None

    def line(self, line: Line, text: bytes) -> None:
        if self.end is not None:
            raise ValueError("nothing may follow on the last line of the export")
        if isinstance(line, End):
            self._finish(line)
        elif isinstance(line, Head):
            self._begin(line)
        elif self._head is None:
            raise ValueError("the head of the export is missing: it begins with its format")
        else:
            self._command(line)
        self._digest.update(text)

    def _begin(self, head: Head) -> None:
        if self._head is not None:
            raise ValueError("the head of an export stands there a second time")
        if head.after:
            raise ValueError(f"the export begins behind position {head.after}: what stands before is missing")
        self._head = head

    def _command(self, command: Command) -> None:
        row = command.recorded
        position = self._position + row.count
        if row.position != position:
            raise ValueError(
                f"its {row.count} events end at position {row.position}, and what stands before at "
                f"{self._position}: something is missing, or out of order"
            )
        if row.place <= self._place:
            raise ValueError("the command does not stand at its place in the ledger")
        self._declared.check(command)
        self._position, self._place = position, row.place
        self._commands += 1

    def _finish(self, end: End) -> None:
        if self._head is None:
            raise ValueError("the head of the export is missing: it begins with its format")
        if (end.commands, end.events) != (self._commands, self._position) or self._head.head != end.events:
            raise ValueError(
                f"the export holds {self._commands} commands and {self._position} events, "
                f"and should hold {end.commands} and {self._head.head}"
            )
        if end.sha256 != self._digest.hexdigest():
            raise ValueError("what stands before is not what was exported: its digest is another one")
        self.end = end


async def load(
    source: BinaryIO, events: EventStore, progress: Callable[[int], None] = lambda done: None
) -> int:
    """Write all commands of an export that was checked. Returns how many of them were there already.

    The store has to be empty, or to hold nothing but the beginning of the same export: so what was
    interrupted goes on. Raises StoreError where it holds something else, and BadInput for a command that it
    does not take.
    """
    there = commands_of(events, await events.head())
    known, done = 0, 0
    batch: list[tuple[int, Command]] = []
    size = 0
    more, broken = True, False
    for number, text in _lines(source):
        line = read(text[:-1])
        done += len(text)
        if not isinstance(line, Command):
            continue
        more = more and await _is_there(there, number, text)
        if more:
            known += 1
            continue
        if not broken:
            broken = True
            await _break_promises(events)
        batch.append((number, line))
        size += len(text)
        if len(batch) >= COMMANDS or size >= BYTES:
            await _append(events, batch)
            batch, size = [], 0
            progress(done)
    if more and await anext(there, None) is not None:
        raise _not_empty()
    if batch:
        await _append(events, batch)
    progress(done)
    return known


async def _is_there(there: AsyncIterator[tuple[bytes, Recorded]], number: int, text: bytes) -> bool:
    """Whether the store holds this line as its next one; False if it holds no more. Raises StoreError."""
    found = await anext(there, None)
    if found is not None and found[0] != text:
        raise _not_empty()
    return found is not None


async def _break_promises(events: EventStore) -> None:
    """Keep no promise about unique values: the next start of the application counts what was written."""

    async def fill(definitions: Collection[bytes]) -> Held:
        return {}

    if kept := await events.promises():
        await events.promise({name: [] for name in kept}, fill)


def _not_empty() -> StoreError:
    return StoreError(
        "the store holds commands that are not those of the export: an import needs an empty store"
    )


async def _append(events: EventStore, batch: Sequence[tuple[int, Command]]) -> None:
    try:
        answers = await events.append([command.decision for _, command in batch])
    except (StoreUnavailable, OutcomeUnknown) as error:
        raise type(error)(f"{error}\n  help: import the same again: it goes on where it stopped") from error
    except StoreError as error:
        if len(batch) > 1:  # nothing was written: one after the other they tell which one it is
            for each in batch:
                await _append(events, [each])
            return
        raise BadInput(
            batch[0][0],
            f"the store does not take the command: {error}\n"
            "  help: what stands before it was written: begin again with an empty store",
        ) from None
    for (number, command), answer in zip(batch, answers, strict=True):
        if answer != command.recorded:
            raise BadInput(
                number,
                "another process wrote into the store meanwhile\n"
                "  help: stop it, and begin again with an empty store",
            )
