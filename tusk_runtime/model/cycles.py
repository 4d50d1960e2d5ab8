"""Finds the loops of events and commands that nothing ends: an event that in the end causes itself again."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tusk_runtime.model.application import Command, Emit
from tusk_runtime.model.reactions import Reaction, Send


class Hop(NamedTuple):
    """From an event to the next: a reaction sends a command upon it, and the command emits.

    `fresh`: the command always creates a new aggregate. `once`: a saga that is there once for an aggregate,
    and so ends a loop that stays with the same ones.
    """

    event: str
    reaction: Reaction
    send: Send
    command: Command
    emit: Emit
    fresh: bool
    once: bool

    @property
    def next(self) -> str:
        """The event that the command emits."""
        return self.emit.event


Loop = tuple[Hop, ...]


def endless_loops(commands: Mapping[str, Command], reactions: Iterable[Reaction]) -> Iterator[Loop]:
    """The loops that no condition ends, one of each group of events that cause each other.

    A condition is a `when`, a `for_each`, an `allow`, a `require`, a `from`, a failure that a compensation
    waits for, and the existence of an aggregate that can only be created once.
    """
    hops = list(_hops(commands, reactions))
    told: set[str] = set()
    for inside in _groups([hop for hop in hops if not hop.once]):
        told.update(hop.event for hop in inside)
        yield _through(inside[0], inside)
    for inside in _groups(hops):
        renews = next((hop for hop in inside if hop.fresh), None)
        if renews is not None and told.isdisjoint(hop.event for hop in inside):
            yield _through(renews, inside)


def _hops(commands: Mapping[str, Command], reactions: Iterable[Reaction]) -> Iterator[Hop]:
    owners: dict[str, set[str]] = defaultdict(set)
    for command in commands.values():
        for emit in command.emit:
            owners[emit.event].add(command.aggregate)
    for reaction in reactions:
        starts = {handled.event for handled in reaction.handles if handled.starts}
        for send in reaction.sends:
            if send.event is None or send.conditional or send.command not in commands:
                continue
            command = commands[send.command]
            if command.allow is not None or command.require or command.from_states:
                continue
            fresh = (
                command.id is None
                and not send.targeted
                and command.creates != "never"
                and command.aggregate not in owners[send.event]
            )
            if command.creates == "always" and not fresh:
                continue  # the second time round the aggregate exists
            once = reaction.kind == "saga" and not reaction.keyed and send.event in starts
            for emit in command.emit:
                if emit.when is None and emit.for_each is None:
                    yield Hop(send.event, reaction, send, command, emit, fresh, once)


def _through(first: Hop, hops: Iterable[Hop]) -> Loop:
    """A shortest loop that begins with a hop."""
    by_event: dict[str, list[Hop]] = defaultdict(list)
    for hop in hops:
        by_event[hop.event].append(hop)
    came: dict[str, Hop] = {}
    waiting = deque([first.next])
    while waiting and first.event not in came and first.next != first.event:
        for hop in by_event[waiting.popleft()]:
            if hop.next not in came and hop.next != first.next:
                came[hop.next] = hop
                waiting.append(hop.next)
    loop: list[Hop] = []
    event = first.event
    while event != first.next:
        loop.append(came[event])
        event = came[event].event
    return (first, *reversed(loop))


def _groups(hops: Collection[Hop]) -> list[list[Hop]]:
    """The hops between events that cause each other, group by group."""
    after: dict[str, list[str]] = defaultdict(list)
    for hop in hops:
        after[hop.event].append(hop.next)
    component = _components(after)
    groups: dict[int, list[Hop]] = defaultdict(list)
    for hop in hops:
        if component[hop.event] == component[hop.next]:
            groups[component[hop.event]].append(hop)
    return list(groups.values())


def _components(after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Event → the number of its strongly connected component, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    component: dict[str, int] = {}
    open_: list[str] = []
    for root in after:
        if root in index:
            continue
        # A stack of its own in place of recursion: a chain may be as long as the file.
        stack = [(root, iter(after[root]))]
        index[root] = low[root] = len(index)
        open_.append(root)
        while stack:
            event, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[event])
                while low[event] == index[event] and event not in component:
                    component[open_.pop()] = index[event]
            elif following not in index:
                index[following] = low[following] = len(index)
                open_.append(following)
                stack.append((following, iter(after.get(following, ()))))
            elif following not in component:
                low[event] = min(low[event], index[following])
    return component
