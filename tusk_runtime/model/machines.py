"""Which states an aggregate can be in, and so which commands can ever run."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tusk_runtime.model.application import Aggregate, Command, Fold

State = str | None
"""A value of the machine; None for all of an aggregate without one."""


class Situation(NamedTuple):
    """What a command finds: whether the aggregate exists, and the state of its machine."""

    exists: bool
    state: State


class Effect(NamedTuple):
    """What the events of a command do to the machine, all of them together.

    `ends` are the states that it can leave the aggregate in, `stays` whether it can leave it as it was, and
    `passes` the states that single events set. None stands for any state.
    """

    emits: bool
    stays: bool
    ends: frozenset[str] | None
    passes: frozenset[str] | None


@dataclass(slots=True)
class Course:
    """All that can become of an aggregate: the situations it can be in, and the commands that can run.

    `touched` are the states that it is in or passes through; `settable` those that some command sets, also
    one that never runs.
    """

    situations: set[Situation] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    touched: set[State] = field(default_factory=set)
    settable: set[State] = field(default_factory=set)

    @property
    def exists(self) -> bool:
        """Whether an aggregate can ever exist."""
        return any(situation.exists for situation in self.situations)


def course_of(aggregate: Aggregate, commands: Iterable[Command]) -> Course:
    """Follow an aggregate from nothing through all its commands."""
    commands = list(commands)
    effects = {command.name: effect_of(command, aggregate) for command in commands}
    machine = aggregate.machine
    states: tuple[State, ...] = aggregate.state.fields[machine].type.values if machine else (None,)
    initial = aggregate.initial_state
    by_state: dict[State, list[Command]] = defaultdict(list)
    anywhere = [command for command in commands if not command.from_states]
    for command in commands:
        for state in command.from_states:
            by_state[state].append(command)
    course = Course(settable={initial})
    for effect in effects.values():
        course.settable.update(states if effect.passes is None else effect.passes)
    waiting = [Situation(False, initial)]
    course.touched.add(initial)
    while waiting:
        now = waiting.pop()
        if now in course.situations:
            continue
        course.situations.add(now)
        for command in (*by_state[now.state], *anywhere):
            if not permits(command, now):
                continue
            effect = effects[command.name]
            if effect.stays and effect.emits:
                waiting.append(Situation(True, now.state))
            if command.name in course.runs:
                continue
            course.runs.add(command.name)
            course.touched.update(states if effect.passes is None else effect.passes)
            waiting += [Situation(True, state) for state in (states if effect.ends is None else effect.ends)]
    return course


def permits(command: Command, situation: Situation) -> bool:
    """Whether existence and state let a command run."""
    if command.creates != "either" and situation.exists == (command.creates == "always"):
        return False
    return not command.from_states or situation.state in command.from_states


def effect_of(command: Command, aggregate: Aggregate) -> Effect:
    """What the events of a command do to the machine, one after another."""
    stays, ends, any_end = True, frozenset[str](), False
    passes, any_pass = frozenset[str](), False
    for emit in command.emit:
        fold = aggregate.on.get(emit.event)
        if fold is None or aggregate.machine is None or aggregate.machine not in fold.fields:
            continue
        values = values_set(fold, aggregate.machine)
        if emit.when is None and emit.for_each is None:
            stays, ends, any_end = False, frozenset(), False
        any_end, any_pass = any_end or values is None, any_pass or values is None
        ends, passes = ends | (values or frozenset()), passes | (values or frozenset())
    return Effect(bool(command.emit), stays, None if any_end else ends, None if any_pass else passes)


def values_set(fold: Fold, field_name: str) -> frozenset[str] | None:
    """The texts that a fold can set a field to; None where that is computed."""
    body = fold.changes.body
    if isinstance(body, ast.BoolOp):  # an expression with a budget opens it first
        body = body.values[-1]
    if not isinstance(body, ast.Dict):
        return None
    named: Mapping[object, ast.expr] = {
        key.value: value
        for key, value in zip(body.keys, body.values, strict=True)
        if isinstance(key, ast.Constant)
    }
    return _texts(named[field_name]) if field_name in named else None


def _texts(value: ast.expr) -> frozenset[str] | None:
    """The literals that an expression chooses from."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return frozenset({value.value})
    if isinstance(value, ast.IfExp):
        one, other = _texts(value.body), _texts(value.orelse)
        return one | other if one is not None and other is not None else None
    return None
