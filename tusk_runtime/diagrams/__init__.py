"""Draws a topology: as Mermaid, as Graphviz DOT, as SVG, and as JSON for those who draw themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tusk_runtime.diagrams.dot import dot
from tusk_runtime.diagrams.json_text import json_text
from tusk_runtime.diagrams.mermaid import mermaid
from tusk_runtime.diagrams.svg import svg
from tusk_runtime.model.topology import Topology

FORMATS: Mapping[str, Callable[[Topology, str], str]] = {
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "json": json_text,
}
"""Each gives the text of a diagram for a topology and a title."""

__all__ = ["FORMATS", "dot", "json_text", "mermaid", "svg"]
