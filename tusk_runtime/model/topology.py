"""The topology of an application: what it consists of and what leads to what, as plain data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, Protocol

from tusk_runtime.model.application import Aggregate, Command, EventType, Projection, Query
from tusk_runtime.model.consuming import Consumer, Send
from tusk_runtime.model.reactions import Reaction

Kind = Literal[
    "command", "aggregate", "event", "consumer", "saga", "stream", "schedule", "projection", "view", "query"
]
KINDS: tuple[Kind, ...] = (
    "command", "aggregate", "event", "consumer", "saga", "stream", "schedule", "projection", "view", "query",
)  # fmt: skip
"""What a topology consists of, in the order in which a request passes through it."""


class Node(NamedTuple):
    """A thing that is declared, by its kind and name."""

    kind: Kind
    name: str


class Edge(NamedTuple):
    """One thing leads to another: `command –emits→ event`."""

    source: Node
    label: str
    target: Node


class Declared(Protocol):
    """What the topology is read from: an application, also one that is still being built."""

    @property
    def events(self) -> Mapping[str, EventType]: ...  # noqa: D102
    @property
    def aggregates(self) -> Mapping[str, Aggregate]: ...  # noqa: D102
    @property
    def commands(self) -> Mapping[str, Command]: ...  # noqa: D102
    @property
    def projections(self) -> Mapping[str, Projection]: ...  # noqa: D102
    @property
    def queries(self) -> Mapping[str, Query]: ...  # noqa: D102
    @property
    def consumers(self) -> Mapping[str, Consumer]: ...  # noqa: D102


class Topology:
    """Nodes, each with its description, and the edges between them, each once and in the order found."""

    def __init__(self, nodes: Mapping[Node, str], edges: Iterable[Edge]) -> None:
        self.nodes = nodes
        self.edges = tuple(
            dict.fromkeys(edge for edge in edges if edge.source in nodes and edge.target in nodes)
        )
        self._out: dict[Node, list[Edge]] = defaultdict(list)
        self._into: dict[Node, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            self._out[edge.source].append(edge)
            self._into[edge.target].append(edge)

    def after(self, node: Node, label: str = "") -> list[Node]:
        """Where the edges of a node lead to; those with this label, if one is given."""
        return [edge.target for edge in self._out.get(node, ()) if label in ("", edge.label)]

    def before(self, node: Node, label: str = "") -> list[Node]:
        """Where the edges to a node come from; those with this label, if one is given."""
        return [edge.source for edge in self._into.get(node, ()) if label in ("", edge.label)]

    def named(self, name: str) -> list[Node]:
        """All nodes of a name: a projection and a query may share one."""
        return [node for node in self.nodes if node.name == name]

    def only(self, kinds: Collection[str]) -> Topology:
        """The nodes of these kinds, and the edges between them, also those through what is left out."""
        kept = [node for node in self.nodes if node.kind in kinds]
        through = [Edge(node, "leads to", target) for node in kept for target in self._behind(node, kinds)]
        return Topology({node: self.nodes[node] for node in kept}, [*self.edges, *through])

    def _behind(self, node: Node, kinds: Collection[str]) -> list[Node]:
        """The nearest nodes of these kinds that are reached through others."""
        hidden = dict.fromkeys(other for other in self.after(node) if other.kind not in kinds)
        found: dict[Node, None] = {}
        waiting = list(hidden)
        for middle in waiting:
            for target in self.after(middle):
                if target.kind in kinds:
                    found[target] = None
                elif target not in hidden:
                    hidden[target] = None
                    waiting.append(target)
        return [target for target in found if target not in (node, *self.after(node))]

    def around(self, centre: Iterable[Node], depth: int) -> Topology:
        """The nodes that are at most so many edges away, in either direction."""
        near = dict.fromkeys(centre)
        rim = list(near)
        for _ in range(depth):
            found = [node for middle in rim for node in (*self.after(middle), *self.before(middle))]
            rim = [node for node in dict.fromkeys(found) if node not in near]
            if not rim:
                break
            near.update(dict.fromkeys(rim))
        return Topology({node: about for node, about in self.nodes.items() if node in near}, self.edges)


def topology_of(declared: Declared, reactions: Iterable[Reaction] = ()) -> Topology:
    """The topology of what is declared, with the reactions that its text names."""
    reactions = list(reactions)
    nodes: dict[Node, str] = {}
    for kind, items in (
        ("command", declared.commands),
        ("aggregate", declared.aggregates),
        ("event", declared.events),
        ("projection", declared.projections),
        ("query", declared.queries),
        ("consumer", declared.consumers),
    ):
        nodes.update({Node(kind, name): item.description for name, item in items.items()})  # type: ignore[arg-type]
    for reaction in reactions:
        nodes.setdefault(Node(reaction.kind, reaction.name), reaction.description)
    ordered = sorted(nodes, key=lambda node: KINDS.index(node.kind))
    return Topology({node: nodes[node] for node in ordered}, _edges(declared, reactions, nodes))


def _edges(declared: Declared, reactions: list[Reaction], nodes: Collection[Node]) -> Iterator[Edge]:
    for command in declared.commands.values():
        yield Edge(Node("command", command.name), "decided by", Node("aggregate", command.aggregate))
        for emit in command.emit:
            yield Edge(Node("command", command.name), "emits", Node("event", emit.event))
    for aggregate in declared.aggregates.values():
        for event in aggregate.on:
            yield Edge(Node("event", event), "applied by", Node("aggregate", aggregate.name))
    for projection in declared.projections.values():
        for event in projection.on:
            yield Edge(Node("event", event), "projected by", Node("projection", projection.name))
    for query in declared.queries.values():
        yield Edge(Node("projection", query.projection), "read by", Node("query", query.name))
    for consumer in declared.consumers.values():
        for event, actions in consumer.on.items():
            yield Edge(Node("event", event), "wakes", Node("consumer", consumer.name))
            for action in actions:
                if isinstance(action, Send):
                    yield Edge(Node("consumer", consumer.name), "sends", Node("command", action.command))
        for rule in consumer.accept:
            if rule.command is not None:
                yield Edge(Node("consumer", consumer.name), "sends", Node("command", rule.command))
    for reaction in reactions:
        node = Node(reaction.kind, reaction.name)
        for handled in reaction.handles:
            yield Edge(Node("event", handled.event), "starts" if handled.starts else "wakes", node)
        for send in reaction.sends:
            yield Edge(node, "sends", Node("command", send.command))
        for name in reaction.reads:
            sources: tuple[Kind, ...] = ("projection", "view", "stream", "aggregate")
            for source in (Node(kind, name) for kind in sources):
                if source in nodes and source != node:
                    yield Edge(source, "read by", node)
                    break
