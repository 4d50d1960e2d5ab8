"""Fail points: named places at which a developer lets the process die, an error happen, or time pass."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import time
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple, get_args

from tusk_runtime.errors import OutcomeUnknown, StartFailed, StoreUnavailable, TuskError, Unavailable
from tusk_runtime.language.diagnostics import nearest

VARIABLE = "TUSK_FAILPOINT"
"""The variable of the process that says what happens where: `name:act`, several with commas."""
SECONDS = 1.0
"""How long `delay` takes where nothing is said."""

Act = Literal["kill", "error", "delay"]

log = logging.getLogger("tusk.failpoints")


class Point(NamedTuple):
    """Where a fail point stands, and what `error` raises there; None where nothing can fail."""

    where: str
    error: type[StoreUnavailable | OutcomeUnknown | Unavailable] | None


NAMES: Mapping[str, Point] = {
    "append.decided": Point("A group of commands is decided, nothing of it is written.", StoreUnavailable),
    "append.before_commit": Point("The group is about to be committed.", StoreUnavailable),
    "append.committed": Point("The group is committed; its process does not know yet.", OutcomeUnknown),
    "append.before_answer": Point("The states count, nobody has an answer.", OutcomeUnknown),
    "projection.computed": Point("A page is folded into rows, in memory only.", Unavailable),
    "projection.before_commit": Point("Rows and checkpoint are about to be committed.", StoreUnavailable),
    "projection.written": Point("Rows and checkpoint are committed.", OutcomeUnknown),
    "follower.claimed": Point("A consumer or the relay is taken, its letters are not read.", Unavailable),
    "follower.read": Point("A page of events is read, none is handled.", Unavailable),
    "follower.handled": Point("All events of a page are handled, progress stands before them.", Unavailable),
    "follower.before_commit": Point("Progress and letters are about to be committed.", StoreUnavailable),
    "follower.saved": Point("Progress and letters are committed.", OutcomeUnknown),
    "follower.settled": Point("Letters were handled again; what became of them is not saved.", Unavailable),
    "follower.released": Point("A consumer or the relay stopped, and others may have it.", Unavailable),
    "consumer.before_action": Point("The next action of an event, or command of a message.", Unavailable),
    "consumer.after_action": Point("An action of an event is done, others may follow.", Unavailable),
    "consumer.letter_left": Point("An event failed; its letter is in memory only.", Unavailable),
    "subscription.taken": Point("Partitions are taken in the store, nothing is read.", Unavailable),
    "subscription.polled": Point("Messages are read, none is handled.", Unavailable),
    "subscription.committed": Point("Kafka knows how far the group is.", Unavailable),
    "subscription.revoked": Point("Partitions are given away, all that was handled is saved.", None),
    "relay.prepared": Point("The topics are there, nothing is sent.", Unavailable),
    "relay.recorded": Point("A page is made into records, none is sent.", Unavailable),
    "relay.sent": Point("The records are on their way, not all are acknowledged.", Unavailable),
    "relay.acknowledged": Point("All records of a page are acknowledged.", Unavailable),
    "reload.built": Point("What is new of the read side has caught up beside the old.", Unavailable),
    "reload.before_swap": Point("Commands and changed consumers stand still, the old are live.", Unavailable),
    "reload.swapped": Point("Commands are decided by the new application, queries answer by the old.", None),
    "reload.before_retire": Point("All of the new application is live, what it replaced still runs.", None),
    "snapshot.before_save": Point("States are written as JSON, not saved.", StoreUnavailable),
    "snapshot.saved": Point("Snapshots are saved, the process has not counted them.", StoreUnavailable),
}  # fmt: skip
"""Every fail point."""


class _Set:
    """What is to happen at one point: each time, or only at the one counted `at`, from 1."""

    def __init__(self, act: Act, seconds: float, at: int | None) -> None:
        self.act = act
        self.seconds = seconds
        self.at = at
        self._count = 0

    def due(self) -> bool:
        """Count, and say whether it happens this time."""
        self._count += 1
        return self.at is None or self._count == self.at


_set: dict[str, list[_Set]] = {}

_FORM = re.compile(r"(?P<act>[^=@]*)(=(?P<seconds>[0-9]+(\.[0-9]+)?))?(@(?P<at>[1-9][0-9]*))?")


def set_points(text: str) -> None:
    """Let happen what a text says, `append.committed:kill@3,follower.saved:delay=0.5`, and nothing else.

    Raises StartFailed, with what is known, if it says anything that is not.
    """
    found: dict[str, list[_Set]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, rest = part.partition(":")
        if name not in NAMES:
            raise StartFailed(f"{VARIABLE}: there is no fail point `{name}`", _known(name, NAMES))
        found.setdefault(name, []).append(_read(part, name, rest))
    _set.clear()
    _set.update(found)
    if found:
        log.warning("fail points are set: %s", text)


def _read(part: str, name: str, text: str) -> _Set:
    form = _FORM.fullmatch(text)
    if form is None or (form["seconds"] and form["act"] in ("kill", "error")):
        raise StartFailed(
            f"{VARIABLE}: `{part}` cannot be read",
            f"write `{name}:kill`, `{name}:error` or `{name}:delay=0.5`; `@3` behind it: the third time only",
        )
    act = form["act"]
    if act not in get_args(Act):
        raise StartFailed(f"{VARIABLE}: a fail point cannot do `{act}`", _known(act, get_args(Act)))
    if act == "error" and NAMES[name].error is None:
        raise StartFailed(f"{VARIABLE}: nothing can fail at `{name}`", "write `kill` or `delay`")
    seconds = float(form["seconds"] or SECONDS)
    return _Set(act, seconds, int(form["at"]) if form["at"] else None)  # type: ignore[arg-type]


def _known(word: str, names: Collection[str]) -> str:
    guess = nearest(word, names)
    first = f"did you mean `{guess}`? " if guess is not None else ""
    return f"{first}known here: {', '.join(f'`{name}`' for name in names)}"


async def hit(name: str) -> None:
    """Let happen at a point what is set for it; mostly nothing. Raises what the table says."""
    if _set:
        for each in _due(name):
            if each.act == "delay":
                await asyncio.sleep(each.seconds)
            else:
                _happen(name, each.act)


def hit_in_thread(name: str) -> None:
    """Like `hit`, for code that blocks, such as a transaction."""
    if _set:
        for each in _due(name):
            if each.act == "delay":
                time.sleep(each.seconds)
            else:
                _happen(name, each.act)


def _due(name: str) -> list[_Set]:
    due = [each for each in _set.get(name, ()) if each.due()]
    for each in due:
        log.warning("%s: %s", name, each.act)
    return due


def _happen(name: str, act: Act) -> None:
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise _error(name)


def _error(name: str) -> TuskError:
    error = NAMES[name].error or Unavailable
    return error(f"the fail point {name}")
