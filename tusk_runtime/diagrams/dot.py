"""A topology in the DOT language of Graphviz."""

from __future__ import annotations

from collections.abc import Mapping

from tusk_runtime.diagrams.style import COLOURS, printable, short
from tusk_runtime.model.topology import Kind, Topology

SHAPES: Mapping[Kind, str] = {
    "command": "box",
    "aggregate": "component",
    "event": "box",
    "consumer": "hexagon",
    "saga": "hexagon",
    "stream": "hexagon",
    "schedule": "hexagon",
    "projection": "cylinder",
    "view": "cylinder",
    "query": "parallelogram",
}


def dot(topology: Topology, title: str) -> str:
    """The text of a directed graph."""
    ids = {node: f"n{index}" for index, node in enumerate(topology.nodes)}
    lines = [
        f"digraph {quoted(title)} {{",
        "  rankdir=LR",
        '  node [fontname="sans-serif" fontsize=11 style="filled,rounded"]',
        '  edge [fontname="sans-serif" fontsize=9 color="#7b8581" fontcolor="#5f6a66"]',
    ]
    for node, name in ids.items():
        fill, line, *_ = COLOURS[node.kind]
        tooltip = f"{node.kind} {node.name}" + (f": {about}" if (about := topology.nodes[node]) else "")
        lines.append(
            f"  {name} [label={quoted(short(node.name))} tooltip={quoted(tooltip)} class={node.kind} "
            f'shape={SHAPES[node.kind]} fillcolor="{fill}" color="{line}"]'
        )
    for edge in topology.edges:
        style = " style=dashed" if edge.label == "decided by" else ""
        lines.append(f'  {ids[edge.source]} -> {ids[edge.target]} [label="{edge.label}"{style}]')
    return "\n".join([*lines, "}"]) + "\n"


def quoted(text: str) -> str:
    """A text in quotes. Graphviz reads `\\N` and `&lt;` in labels, so both signs are escaped."""
    text = printable(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
