"""Reads what consumers, sagas, streams, schedules and views name, also what this version does not run yet.

It reads leniently: what has another shape than expected is passed over, since it, or the section as a whole,
is refused already. Only a name that nothing declares is told, unless whoever reads the section has told it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.codes import UNDECLARED_EVENT
from tusk_runtime.model.context import Building
from tusk_runtime.model.names import NAME
from tusk_runtime.model.own_events import SWITCHES
from tusk_runtime.model.reader import items_of

TABLES = ("views", "streams")
"""The sections, besides `[projections]`, whose names a query reads from."""


class Handled(NamedTuple):
    """An event that a reaction is about, and whether it starts it (a saga) or wakes it."""

    event: str
    span: Span
    starts: bool = False


class Send(NamedTuple):
    """A command that a reaction sends: upon which event, unless time sends it.

    `conditional`: a `when`, a loop, a window or a failure stands before it. `targeted`: it says which
    aggregate is meant.
    """

    command: str
    span: Span
    event: str | None
    conditional: bool
    targeted: bool


@dataclass(slots=True)
class Reaction:
    """What a declaration handles, sends and reads. `keyed`: a saga that says itself what it is one of."""

    kind: Literal["consumer", "saga", "stream", "schedule", "view", "query"]
    name: str
    description: str
    span: Span
    handles: list[Handled] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    keyed: bool = False


def announce(b: Building, root: MapNode) -> None:
    """Let queries name views and streams: they are declared, and are no unknown projections."""
    for section in TABLES:
        b.broken.update(("projections", entry.key) for entry, _ in _declarations(root, section))


def read(b: Building, root: MapNode) -> list[Reaction]:
    """All reactions of a file. Notes the events, commands and tables that they name and nothing declares."""
    found: list[Reaction] = []
    for entry, node in _declarations(root, "consumers"):
        found.append(_Reading(b, "consumer", entry, node).consumer())
    for entry, node in _declarations(root, "sagas"):
        found.append(_Reading(b, "saga", entry, node).saga())
    for entry, node in _declarations(root, "streams"):
        found.append(_Reading(b, "stream", entry, node).stream())
    for entry, node in _declarations(root, "schedules"):
        found.append(_Reading(b, "schedule", entry, node).schedule())
    for entry, node in _declarations(root, "views"):
        found.append(_Reading(b, "view", entry, node).view())
    for entry, node in _declarations(root, "queries"):
        query = _Reading(b, "query", entry, node).query()
        if query.reads:
            found.append(query)
    return found


def groups(root: MapNode) -> set[str]:
    """The consumer groups that a file declares: a consumer's `group`, which is its name if not said."""
    named = ((entry, _text(node.get("group"))) for entry, node in _declarations(root, "consumers"))
    return {str(group.value) if group is not None else entry.key for entry, group in named}


def _declarations(root: MapNode, section: str) -> Iterator[tuple[Entry, MapNode]]:
    node = root.get(section)
    for entry in node if isinstance(node, MapNode) else ():
        if isinstance(entry.node, MapNode):
            yield entry, entry.node


class _Reading:
    """One declaration that is being read. What is unknown is noted unless it is `told` already."""

    def __init__(self, b: Building, kind: Any, entry: Entry, node: MapNode) -> None:
        self.b, self.node = b, node
        self.told = False
        text = _text(node.get("description"))
        self.reaction = Reaction(kind, entry.key, str(text.value) if text else "", entry.key_span)

    def consumer(self) -> Reaction:
        """`on`: event → actions; `accept`: rules for messages from outside."""
        on = self.node.get("on")
        self.told = True
        for entry in on if isinstance(on, MapNode) else ():
            event = self._event(entry.key, entry.key_span)
            if event is not None:
                self.reaction.handles.append(Handled(event, entry.key_span))
            self._actions(entry.node, [event])
        self._actions(self.node.get("accept"), [None])
        return self.reaction

    def saga(self) -> Reaction:
        """`starts_on`, what it awaits, and the commands of its steps."""
        starts, when = self._handle(self.node.get("starts_on"), starts=True)
        self.reaction.keyed = "key" in self.node
        for key in ("done_on", "failed_on"):
            self._handle(self.node.get(key))
        correlate = self.node.get("correlate")
        for entry in correlate if isinstance(correlate, MapNode) else ():
            self._handle(ScalarNode(entry.key, entry.key_span))
        self._steps(self.node.get("steps"), starts, when)
        self._actions(self.node.get("on_completed"), starts, when)
        self._actions(self.node.get("on_failed"), starts, conditional=True)
        return self.reaction

    def stream(self) -> Reaction:
        """`from`: events and categories; a result may send a command."""
        events, _ = self._handle(self.node.get("from"), categories=True)
        join = self.node.get("join")
        by = join.get("by") if isinstance(join, MapNode) else None
        for entry in by if isinstance(by, MapNode) else ():
            self._handle(ScalarNode(entry.key, entry.key_span))
        # Each of these may hold a result back, or lets one group send only once.
        stops = any(key in self.node for key in ("where", "having", "group_by", "join"))
        self._action(self.node, events, stops)
        return self.reaction

    def schedule(self) -> Reaction:
        """Time sends the command."""
        self._action(self.node, [None], conditional=False)
        return self.reaction

    def view(self) -> Reaction:
        """`from`: a projection or a stream."""
        self._table(_text(self.node.get("from")))
        return self.reaction

    def query(self) -> Reaction:
        """What a query reads beside its projection: a view, a stream, an aggregate, or what it joins."""
        name = _text(self.node.get("from"))
        if name is not None and name.value not in self.b.projections:
            # What nothing declares is told where the query is read.
            self.reaction.reads.append(str(name.value))
        join = self.node.get("join")
        for entry in join if isinstance(join, MapNode) else ():
            if isinstance(entry.node, MapNode):
                self._table(_text(entry.node.get("from")))
        return self.reaction

    def _table(self, name: ScalarNode | None) -> None:
        """Note a projection, a view or a stream that is read."""
        if name is not None:
            found = self.b.find("projections", str(name.value), name.span)
            self.reaction.reads.append(found.name if found is not None else str(name.value))

    # ---- events -----------------------------------------------------------------------------------

    def _handle(
        self, node: Node | None, *, starts: bool = False, categories: bool = False
    ) -> tuple[list[str | None], bool]:
        """Note the events that a value names: a name, `{ event, when }`, or a list of these.

        Gives the events, and whether a condition stands beside one.
        """
        found: list[str | None] = []
        conditional = False
        for item in () if node is None else items_of(node):
            if isinstance(item, MapNode):
                conditional = conditional or "when" in item
            name = _text(item.get("event") if isinstance(item, MapNode) else item)
            if name is None:
                continue
            for event in self._events(name, categories):
                self.reaction.handles.append(Handled(event, name.span, starts))
                found.append(event)
        return found, conditional

    def _events(self, name: ScalarNode, categories: bool) -> list[str]:
        """The events of a name, which can be that of a category in the `from` of a stream."""
        text = str(name.value)
        if categories and text not in self.b.events:
            members = [event.name for event in self.b.events.values() if event.category == text]
            if members:
                return members
            known = {event.category for event in self.b.events.values() if event.category}
            guess = nearest(text, [*self.b.events, *known])
            if guess in known:
                self.b.problems.error(
                    UNDECLARED_EVENT,
                    name.span,
                    f"no event or category `{text}` is declared",
                    help=f"did you mean `{guess}`?",
                )
                return []
        event = self._event(text, name.span)
        return [event] if event is not None else []

    def _event(self, name: str, span: Span) -> str | None:
        if self.told:
            return name if name in self.b.events else None
        if not NAME.match(name) or name in SWITCHES:
            return None
        event = self.b.find("events", name, span)
        return event.name if event is not None else None

    # ---- commands ---------------------------------------------------------------------------------

    def _steps(self, node: Node | None, events: list[str | None], conditional: bool) -> None:
        """The steps of a saga: what each sends and awaits, and how it is undone."""
        for step in () if node is None else items_of(node):
            if not isinstance(step, MapNode):
                continue
            for key in ("done_on", "failed_on"):
                self._handle(step.get(key))
            self._action(step, events, conditional)
            self._actions(step.get("compensate"), events, conditional=True)
            self._steps(step.get("parallel"), events, conditional or "when" in step)

    def _actions(self, node: Node | None, events: list[str | None], conditional: bool = False) -> None:
        for action in () if node is None else items_of(node):
            if isinstance(action, MapNode):
                self._action(action, events, conditional)

    def _action(self, action: MapNode, events: Iterable[str | None], conditional: bool) -> None:
        """The command that one action sends upon each of the events."""
        name = _text(action.get("send"))
        if name is None or not NAME.match(str(name.value)):
            return
        command = self.b.commands.get(str(name.value))
        if command is None and not self.told:
            command = self.b.find("commands", str(name.value), name.span)
        if command is None:
            return
        with_ = action.get("with")
        for event in events:
            self.reaction.sends.append(
                Send(
                    command.name,
                    name.span,
                    event,
                    conditional or "when" in action or "for_each" in action,
                    isinstance(with_, MapNode) and "aggregate_id" in with_,
                )
            )


def _text(node: Node | None) -> ScalarNode | None:
    return node if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value else None
