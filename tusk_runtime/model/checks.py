"""The rules between declarations."""

from __future__ import annotations

import re

from tusk_runtime.expressions import Expression
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.source import Span
from tusk_runtime.model import unreachable, unused
from tusk_runtime.model.application import Aggregate, Command
from tusk_runtime.model.codes import ENDLESS_LOOP, NO_TARGET, SAME_NAME, STATE_NOT_SET, UNHANDLED_EVENT
from tusk_runtime.model.context import Building
from tusk_runtime.model.cycles import endless_loops
from tusk_runtime.model.declarations import own_events
from tusk_runtime.model.survey import Survey

SHOWN_HOPS = 8
"""The events of a loop that are shown one by one."""


def check(b: Building) -> None:
    """Note every rule between declarations that does not hold."""
    _names(b)
    own_events.check(b)
    for command in b.commands.values():
        aggregate = b.aggregates[command.aggregate]
        _emits_are_applied(b, command, aggregate)
        _new_id(b, command, aggregate)
        _reads_only_what_is_set(b, command, aggregate)


def check_use(s: Survey) -> None:
    """Warn of what is right by itself, and not in the whole: dead, unreachable, or without an end."""
    unused.check(s)
    unreachable.check(s)
    _loops(s)


def _loops(s: Survey) -> None:
    read = {name: c for name, c in s.b.commands.items() if ("commands", name) not in s.unread.holding}
    for loop in endless_loops(read, s.reactions):
        first, shown = loop[0], loop[:SHOWN_HOPS]
        related = [(first.emit.span, f"emits `{first.next}`")]
        for hop in shown[1:]:
            related.append((hop.send.span, f"sent upon `{hop.event}`"))
            related.append((hop.emit.span, f"emits `{hop.next}`"))
        steps = [
            f"`{hop.event}` → {hop.reaction.kind} `{hop.reaction.name}` → `{hop.send.command}`"
            for hop in shown
        ]
        if len(loop) > len(shown):
            steps.append(f"{len(loop) - len(shown)} more events")
        s.problems.warning(
            ENDLESS_LOOP,
            first.send.span,
            f"this can run for ever: {' → '.join(steps)} → `{first.event}` → …",
            help="let a condition end it: `when` beside `send`, or `require`, `allow` or `from` in a command",
            related=related,
        )


def _names(b: Building) -> None:
    pairs: list[tuple[str, Span, str, Span]] = [
        ("command", b.commands[name].span, "event", b.events[name].span)
        for name in b.commands.keys() & b.events.keys()
    ]
    pairs += [
        ("projection", b.projections[name].span, "aggregate", b.aggregates[name].span)
        for name in b.projections.keys() & b.aggregates.keys()
    ]
    advice = {
        "command": "name the command after what is asked and the event after what has happened, as "
        "`PlaceOrder` and `OrderPlaced`",
        "projection": "name the projection after its rows, as `orders` for the aggregate `Order`",
    }
    for one, span, other, first in pairs:
        b.problems.error(
            SAME_NAME,
            span,
            f"`{span.text}` is {'an' if one[0] in 'aeiou' else 'a'} {one} and an {other}",
            help=advice[one],
            related=[(first, f"the {other}")],
        )


def _emits_are_applied(b: Building, command: Command, aggregate: Aggregate) -> None:
    handled = b.handled[aggregate.name]
    for emit in command.emit:
        if emit.event in handled or ("handlers", aggregate.name) in b.broken:
            continue
        # A misspelled name in `on` that means this event was told there.
        if any(nearest(name, b.events) == emit.event for name in handled - b.events.keys()):
            continue
        b.problems.error(
            UNHANDLED_EVENT,
            emit.span,
            f"`{command.name}` emits `{emit.event}`, and its aggregate `{aggregate.name}` does not apply it",
            help=f"write `{emit.event}: {{ … }}` in `on` of `{aggregate.name}`, with the state fields that "
            "it changes, or `{}`",
            related=[(aggregate.span, "the aggregate")],
        )


def _new_id(b: Building, command: Command, aggregate: Aggregate) -> None:
    """One that may create and has no `id` must be able to take a uuid as the id of the new aggregate."""
    id_ = aggregate.id
    if command.id is not None or command.creates == "never":
        return
    if id_.kind in ("uuid", "string") and id_.max is None and id_.pattern is None:
        return
    if id_.kind == "string" and id_.pattern is None and id_.max >= 36 and (id_.min or 0) <= 36:
        return
    b.problems.error(
        NO_TARGET,
        command.span,
        f"`{command.name}` may create `{aggregate.name}`, whose id cannot be a new uuid, and has no `id`",
        help='say which field holds the id: `id: "FIELD"`',
        related=[(aggregate.span, f"the aggregate, with an id of type {id_}")],
    )


def _reads_only_what_is_set(b: Building, command: Command, aggregate: Aggregate) -> None:
    """One that may create finds the state before the first event: what has no default is not set there."""
    unset = {name for name, field in aggregate.state.fields.items() if field.required}
    if command.creates == "never" or not unset:
        return
    expressions: list[Expression | str | None] = [command.allow]
    for rule in command.require:
        expressions += [rule.check, rule.message]
    for emit in command.emit:
        expressions += [emit.data, emit.when, emit.for_each]
    told: set[str] = set()
    for expression in expressions:
        for path in sorted(expression.reads) if isinstance(expression, Expression) else ():
            names = unset if path == ("state",) else unset & set(path[1:2]) if path[0] == "state" else set()
            for name in sorted(names - told):
                assert isinstance(expression, Expression)  # noqa: S101 - the loop is over its paths
                told.add(name)
                b.problems.error(
                    STATE_NOT_SET,
                    _place(expression.span, path),
                    f"`{command.name}` may create `{aggregate.name}`, and `state.{name}` is not set before",
                    help=f"declare `{name}` with a default or `?` in `state` of `{aggregate.name}`",
                    related=[(aggregate.span, "the aggregate")],
                )


def _place(span: Span, path: tuple[str, ...]) -> Span:
    """Where a path stands in the text of a span; the whole span if it is written otherwise."""
    match = re.search(r"\b" + r"\s*\??\.\s*".join(map(re.escape, path[:2])) + r"\b", span.text)
    return Span(span.source, span.start + match.start(), span.start + match.end()) if match else span
