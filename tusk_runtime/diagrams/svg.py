"""A topology as SVG: nothing from elsewhere in it, and readable on a light ground and on a dark one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from tusk_runtime.diagrams.layout import BOX_HEIGHT, Layout, Point, lay_out
from tusk_runtime.diagrams.style import COLOURS, printable, short
from tusk_runtime.model.topology import KINDS, Edge, Node, Topology

MARGIN = 24.0
TITLE_HEIGHT = 34.0
LETTER = 7.3
"""The width of a letter in a name, rather too much than too little: the font is the reader's own."""

STYLE = """
svg { --ground: #ffffff; --ink: #1d2321; --dim: #5f6a66; --edge: #98a29d; background: var(--ground);
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
.title { font-size: 15px; font-weight: 650; fill: var(--ink) }
.kind { font-size: 10px; fill: var(--dim) }
.name { font-size: 13px; fill: var(--ink) }
.node rect { stroke-width: 1.25 }
.edge { fill: none; stroke: var(--edge); stroke-width: 1.25 }
.edge.decided { stroke-dasharray: 3 4 }
.edge:hover { stroke: var(--ink); stroke-width: 2.5 }
.node:hover rect { stroke-width: 2.5 }
#arrow path { fill: var(--edge) }
"""


def svg(topology: Topology, title: str) -> str:
    """The text of a drawing; the words of each line, and what is described, are shown under the pointer."""
    nodes = list(topology.nodes)
    number = {node: index for index, node in enumerate(nodes)}
    names = [short(node.name) for node in nodes]
    widths = [_width(name, node.kind) for name, node in zip(names, nodes, strict=True)]
    layout = lay_out(widths, [(number[edge.source], number[edge.target]) for edge in topology.edges])
    heading = short(title) if nodes else f"{short(title)}: nothing to draw"
    width = max(layout.width, _width(heading, "")) + 2 * MARGIN
    height = TITLE_HEIGHT + layout.height + 2 * MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_quoted(title)}">',
        f"<title>{_text(title)}</title>",
        f"<style>{STYLE}{_colours(topology)}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<text class="title" x="{MARGIN:.0f}" y="{MARGIN + 10:.0f}">{_text(heading)}</text>',
        f'<g transform="translate({MARGIN:.0f} {MARGIN + TITLE_HEIGHT:.0f})">',
        *(_edge(edge, route) for edge, route in zip(topology.edges, layout.routes, strict=True)),
        *_boxes(topology, nodes, names, widths, layout),
        "</g>",
        "</svg>",
        "",
    ])  # fmt: skip


def _boxes(
    topology: Topology, nodes: Sequence[Node], names: Sequence[str], widths: Sequence[float], layout: Layout
) -> list[str]:
    found = []
    for node, name, width, at in zip(nodes, names, widths, layout.boxes, strict=True):
        about = topology.nodes[node]
        hover = f"{node.kind} {node.name}" + (f": {about}" if about else "")
        radius = BOX_HEIGHT / 2 if node.kind == "event" else 5.0
        middle = at.x + width / 2
        found.append(
            f'<g class="node {node.kind}"><title>{_text(hover)}</title>'
            f'<rect x="{at.x:.1f}" y="{at.y - BOX_HEIGHT / 2:.1f}" width="{width:.1f}" '
            f'height="{BOX_HEIGHT:.0f}" rx="{radius:.0f}"/><g text-anchor="middle">'
            f'<text class="kind" x="{middle:.1f}" y="{at.y - 6:.1f}">{node.kind}</text>'
            f'<text class="name" x="{middle:.1f}" y="{at.y + 11:.1f}">{_text(name)}</text></g></g>'
        )
    return found


def _edge(edge: Edge, route: Sequence[Point]) -> str:
    steps = [f"M{route[0].x:.1f} {route[0].y:.1f}"]
    for index, (one, other) in enumerate(pairwise(route)):
        if index % 2:  # past the boxes of a column
            steps.append(f"L{other.x:.1f} {other.y:.1f}")
        else:
            bend = (one.x + other.x) / 2
            steps.append(f"C{bend:.1f} {one.y:.1f} {bend:.1f} {other.y:.1f} {other.x:.1f} {other.y:.1f}")
    kind = "edge decided" if edge.label == "decided by" else "edge"
    words = f"{edge.source.name} {edge.label} {edge.target.name}"
    if edge.label in ("starts", "wakes", "sends", "emits"):
        words = f"{edge.source.kind} {edge.source.name} {edge.label} {edge.target.kind} {edge.target.name}"
    line = f'class="{kind}" d="{"".join(steps)}" marker-end="url(#arrow)"'
    return f"<path {line}><title>{_text(words)}</title></path>"


def _colours(topology: Topology) -> str:
    present = {node.kind for node in topology.nodes}
    light, dark = [], []
    for kind in KINDS:
        if kind in present:
            colours = COLOURS[kind]
            light.append(f".{kind} rect {{ fill: {colours.fill}; stroke: {colours.line} }}")
            dark.append(f"  .{kind} rect {{ fill: {colours.dark_fill}; stroke: {colours.dark_line} }}")
    dark.append("  svg { --ground: #121615; --ink: #e6ebe8; --dim: #a0aba6; --edge: #66716c }")
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}", ""])


def _width(name: str, kind: str) -> float:
    letters = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in name)
    return max(letters * LETTER, len(kind) * 6.0) + 28.0


def _text(text: str) -> str:
    return escape(printable(text))


def _quoted(text: str) -> str:
    return escape(printable(text), {'"': "&quot;"})
