"""A topology as a Mermaid flowchart."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tusk_runtime.diagrams.style import COLOURS, printable, short
from tusk_runtime.model.topology import KINDS, Kind, Topology

SHAPES: Mapping[Kind, tuple[str, str]] = {
    "command": ("[", "]"),
    "aggregate": ("[[", "]]"),
    "event": ("([", "])"),
    "consumer": ("{{", "}}"),
    "saga": ("{{", "}}"),
    "stream": ("{{", "}}"),
    "schedule": ("{{", "}}"),
    "projection": ("[(", ")]"),
    "view": ("[(", ")]"),
    "query": ("[/", "/]"),
}
"""The brackets that give a node its shape."""
# Labels are read as Markdown: a `-` or `1.` in front would begin a list, a `_` beside a word make it bold.
_SPECIAL = re.compile(r"[^\w .,:…-]|^[\s-]|\s$|\.(?=\s|$)|(?<![^\W_])_|_(?![^\W_])")


def mermaid(topology: Topology, title: str) -> str:
    """The text of a flowchart; names stand in labels only, so that none can be a word of the syntax."""
    ids = {node: f"n{index}" for index, node in enumerate(topology.nodes)}
    lines = ["flowchart LR", f"  accTitle: {_SPECIAL.sub(' ', printable(title))}"]
    for node, name in ids.items():
        before, behind = SHAPES[node.kind]
        lines.append(f'  {name}{before}"{escaped(short(node.name))}"{behind}:::{node.kind}')
    for edge in topology.edges:
        arrow = "-.->" if edge.label == "decided by" else "-->"
        lines.append(f"  {ids[edge.source]} {arrow}|{edge.label}| {ids[edge.target]}")
    present = {node.kind for node in topology.nodes}
    for kind in KINDS:
        if kind in present:
            fill, line, *_ = COLOURS[kind]
            lines.append(f"  classDef {kind} fill:{fill},stroke:{line},color:#1d2321")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """A text for a label in quotes: what could mean anything stands as the number of its character."""
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", text)
