"""Warns of what can never be: commands that never run, states that are never reached or never left."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model import codes
from tusk_runtime.model.application import Aggregate, Command
from tusk_runtime.model.machines import Course, Situation, course_of, permits
from tusk_runtime.model.reader import either
from tusk_runtime.model.survey import Survey
from tusk_runtime.model.topology import Node


def check(s: Survey) -> None:
    """Note what can never be, each at its cause: what only follows from another is not told."""
    commands: dict[str, list[Command]] = defaultdict(list)
    for command in s.b.commands.values():
        commands[command.aggregate].append(command)
    for aggregate in s.b.aggregates.values():
        own = commands[aggregate.name]
        if ("aggregates", aggregate.name) in s.unread.holding or any(
            ("commands", command.name) in s.unread.holding for command in own
        ):
            continue
        _foreign_events(s, aggregate)
        course = course_of(aggregate, own)
        if own and not course.exists:
            _never_exists(s, aggregate, own)
        elif own:
            idle = _never_run(s, aggregate, own, course)
            if aggregate.machine is not None:
                _never_reached(s, aggregate, aggregate.machine, course, idle)
                _never_left(s, aggregate, aggregate.machine, own, course)


def _foreign_events(s: Survey, aggregate: Aggregate) -> None:
    for event in aggregate.on:
        emitters = s.topology.before(Node("event", event), "emits")
        owners = {s.b.commands[emitter.name].aggregate for emitter in emitters}
        if emitters and aggregate.name not in owners:
            command = s.b.commands[emitters[0].name]
            s.problems.warning(
                codes.FOREIGN_EVENT,
                s.place("aggregates", aggregate.name, "on", event),
                f"`{aggregate.name}` never gets `{event}`: only commands of `{command.aggregate}` emit it, "
                "and an aggregate is folded from its own events",
                help=f"emit it from a command of `{aggregate.name}`, or remove it here",
                related=[(command.span, f"`{command.name}` emits it")],
            )


def _never_exists(s: Survey, aggregate: Aggregate, commands: Sequence[Command]) -> None:
    name = aggregate.name
    creating = [command for command in commands if command.creates != "never"]
    first, *others = [command for command in commands if command.creates == "never"] or creating
    if first in creating:
        message = f"nothing ever creates `{name}`: `{first.name}` may, and emits nothing"
    else:
        message = f"`{first.name}` can never run: it needs `{name}` to exist, and no command creates it"
    if creating:
        advice = f"let `{creating[0].name}` emit an event while there is no `{name}` yet"
    else:
        advice = (
            'write `creates: true` in the command that comes first, or `creates: "either"`; where `from` is '
            "only the machine's initial state, a command creates by itself"
        )
    s.problems.warning(
        codes.NEVER_CREATED,
        first.span,
        message,
        help=advice,
        related=[
            (aggregate.span, "the aggregate"),
            *((command.span, "this one can never run either") for command in others),
        ],
    )


def _never_run(s: Survey, aggregate: Aggregate, commands: Sequence[Command], course: Course) -> list[Command]:
    """Note the commands that no situation permits, and give them all.

    One whose state only another such command would set is left out, unless they all wait for each other.
    """
    idle = [command for command in commands if command.name not in course.runs]
    waiting = course.settable - course.touched
    for command in [command for command in idle if waiting.isdisjoint(command.from_states)] or idle:
        states = either(command.from_states)
        if course.touched.isdisjoint(command.from_states):
            setting = f'`EVENT: {{ {aggregate.machine}: "{command.from_states[0]}" }}`'
            reason = f"no `{aggregate.name}` is ever {states}"
            advice = f"set the state in `on` of `{aggregate.name}`: {setting}, or correct `from`"
        elif aggregate.initial_state in command.from_states:
            reason = f"no `{aggregate.name}` that exists is ever {states}"
            advice = "correct `from`, or let the command create: `creates: true`"
        else:
            reason = f"`{aggregate.name}` is {states} only on the way to another state"
            advice = "correct `from`: the command that sets this state sets another one at once"
        node = s.value("commands", command.name, "from")
        s.problems.warning(
            codes.NEVER_PERMITTED,
            node.span if node is not None else command.span,
            f"`{command.name}` can never run: {reason}",
            help=advice,
            related=[(aggregate.span, "the aggregate")],
        )
    return idle


def _never_reached(
    s: Survey, aggregate: Aggregate, machine: str, course: Course, idle: Sequence[Command]
) -> None:
    """Note the states that nothing sets; where a command waits for one alone, that is told already."""
    told = {state for command in idle for state in command.from_states}
    for state in aggregate.state.fields[machine].type.values:
        if state not in course.touched and state not in course.settable and state not in told:
            s.problems.warning(
                codes.STATE_UNREACHED,
                _state_place(s, aggregate, machine, state),
                f"no `{aggregate.name}` is ever `{state}`: no event that its commands emit sets it",
                help=f'set it in `on` of `{aggregate.name}`: `EVENT: {{ {machine}: "{state}" }}`, or remove '
                "the state",
            )


def _never_left(
    s: Survey, aggregate: Aggregate, machine: str, commands: Sequence[Command], course: Course
) -> None:
    """Note the states in which commands are meant to run, and nothing can happen any more.

    A state that no `from` names is an end, and one in which a command emits goes on: both are as they should.
    """
    for state in aggregate.state.fields[machine].type.values:
        meant = [command for command in commands if state in command.from_states]
        able = [command for command in commands if permits(command, Situation(True, state))]
        if (
            Situation(True, state) not in course.situations
            or any(command.emit for command in able)
            or all(command.name not in course.runs for command in meant)
        ):
            continue
        if not able:
            reason = f"{_and(meant)} may run in it only while there is no `{aggregate.name}` yet"
            advice = (
                "write `creates: false` in the command that is to leave it, or let the event that creates "
                f"`{aggregate.name}` set another state"
            )
        else:
            reason = f"{_and(meant)} may run in it, and emits nothing"
            advice = f"let `{meant[0].name}` emit an event that sets another state"
        s.problems.warning(
            codes.STATE_NOT_LEFT,
            _state_place(s, aggregate, machine, state),
            f"`{aggregate.name}` can never leave the state `{state}`: {reason}",
            help=advice,
            related=[(command.span, "names it in `from`") for command in meant],
        )


def _and(commands: Sequence[Command]) -> str:
    return " and ".join(f"`{command.name}`" for command in commands)


def _state_place(s: Survey, aggregate: Aggregate, machine: str, state: str) -> Span:
    """Where a state stands in the enum; the field, if its type has a name of its own."""
    node = s.value("aggregates", aggregate.name, "state", machine)
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        match = re.search(rf"(?<![\w-]){re.escape(state)}(?![\w-])", node.value)
        return node.at(match.start(), match.end()) if match else node.span
    return s.place("aggregates", aggregate.name, "state", machine)
