"""A topology as JSON: its nodes and its edges, as they are declared."""

from __future__ import annotations

import json
from typing import Any

from tusk_runtime.model.topology import Node, Topology


def json_text(topology: Topology, title: str) -> str:
    """The text of `{title, nodes: [{kind, name, description}], edges: [{source, label, target}]}`."""
    nodes = [{**_named(node), "description": about} for node, about in topology.nodes.items()]
    edges = [
        {"source": _named(edge.source), "label": edge.label, "target": _named(edge.target)}
        for edge in topology.edges
    ]
    return json.dumps({"title": title, "nodes": nodes, "edges": edges}, indent=2) + "\n"


def _named(node: Node) -> dict[str, Any]:
    return {"kind": node.kind, "name": node.name}
