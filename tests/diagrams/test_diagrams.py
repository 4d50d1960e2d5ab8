"""Diagrams are right, well-formed whatever the names are, and laid out without overlaps."""

from __future__ import annotations

import json
import re
import time
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark

from tusk_runtime.diagrams import FORMATS, dot, json_text, mermaid, svg
from tusk_runtime.diagrams.layout import BETWEEN, BOX_HEIGHT, lay_out
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.build import outline
from tusk_runtime.model.topology import KINDS, Edge, Node, Topology

SHOP = Path(__file__).parents[2] / "examples" / "shop.tsk"
GOLDEN = Path(__file__).parent / "shop.mmd"
SVG = "{http://www.w3.org/2000/svg}"
DOT = Lark(
    r"""
    start: "digraph" TEXT "{" statement* "}"
    statement: NAME "=" NAME | NAME attributes | NAME "->" NAME attributes
    attributes: "[" (NAME "=" (TEXT | NAME | NUMBER))* "]"
    TEXT: /"(\\.|[^"\\\n])*"/
    NAME: /[A-Za-z_]\w*/
    NUMBER: /\d+/
    %ignore /\s+/
    """
)
"""As much of the DOT language as is used."""
HOSTILE = (
    '"];click n0 "javascript:alert(1)"',
    "<script>alert(1)</script>",
    "]]> -->",
    "&quot; &amp; %%{init}%% #35; `md`",
    "end",
    "\\N\\",
    "\x00\x1b[31m\u202e\ud800\n\t",
    "1. one",
    "- two",
    "_bold_",
    "",
    "x" * 300,
    "名前",
)


def shop() -> Topology:
    problems = Problems()
    return outline(load_text(SHOP.read_text(), "shop.tsk", {}, problems), problems)


def hostile() -> Topology:
    """Every name as a consumer, each with a line to the next, and as its own description."""
    nodes = [Node("consumer", name) for name in HOSTILE]
    return Topology(
        {node: node.name for node in nodes}, [Edge(a, "sends", b) for a, b in pairwise([*nodes, nodes[0]])]
    )


def test_the_shop_as_mermaid() -> None:
    assert mermaid(shop(), "shop") == GOLDEN.read_text(), "run: python tests/diagrams/test_diagrams.py"


def test_every_kind_can_be_drawn() -> None:
    topology = Topology({Node(kind, "x"): "" for kind in KINDS}, [])
    for draw in FORMATS.values():
        text = draw(topology, "all")
        assert all(re.search(rf"\b{kind}\b", text) for kind in KINDS)


def test_dot_can_be_parsed_whatever_the_names_are() -> None:
    for topology in (shop(), hostile()):
        tree = DOT.parse(dot(topology, 'a "title" \\'))
        names = [statement for statement in tree.children if len(getattr(statement, "children", ())) > 1]
        assert len(names) == 1 + 2 + len(topology.nodes) + len(topology.edges)


def test_mermaid_says_one_thing_in_a_line_whatever_the_names_are() -> None:
    label = r'"(#\d+;|[^"#<>`&\\\[\](){};|%\n])*"'
    lines = mermaid(hostile(), "a title; %%{init}%%\nend").splitlines()
    assert lines[0] == "flowchart LR"
    assert re.fullmatch(r"  accTitle: [\w ]+", lines[1])
    for line in lines[2 : 2 + len(HOSTILE)]:
        assert re.fullmatch(rf"  n\d+\{{\{{{label}\}}\}}:::consumer", line), line
    assert '{{"#45; two"}}' in "\n".join(lines)
    assert '{{"1#46; one"}}' in "\n".join(lines)
    assert '{{"#95;bold#95;"}}' in "\n".join(lines)


def test_json_holds_the_names_as_they_are() -> None:
    read = json.loads(json_text(hostile(), "t"))
    assert [node["name"] for node in read["nodes"]] == list(HOSTILE)
    assert read["edges"][0]["source"] == {"kind": "consumer", "name": HOSTILE[0]}


def test_svg_is_well_formed_and_holds_nothing_that_runs() -> None:
    for topology in (shop(), hostile(), Topology({}, [])):
        text = svg(topology, "<&\"'\x00>")
        text.encode("utf-8")
        root = ElementTree.fromstring(text)
        assert len(root.findall(f".//{SVG}rect")) == len(topology.nodes)
        assert len(root.findall(f".//{SVG}path[@class]")) == len(topology.edges)
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
            "svg", "title", "style", "defs", "marker", "path", "g", "rect", "text"
        }  # fmt: skip
        assert not [
            name
            for element in root.iter()
            for name in element.attrib
            if name.startswith("on") or "href" in name
        ]
        assert "url(http" not in text
        assert "@import" not in text


def test_svg_tells_under_the_pointer_what_a_line_and_a_box_are() -> None:
    titles = {title.text for title in ElementTree.fromstring(svg(shop(), "shop")).iter(f"{SVG}title")}
    assert "command PlaceOrder: A customer orders one or more lines." in titles
    assert "command PlaceOrder emits event OrderPlaced" in titles


def test_commands_stand_before_events_and_these_before_what_they_reach() -> None:
    nodes = list(shop().nodes)
    links = [(nodes.index(edge.source), nodes.index(edge.target)) for edge in shop().edges]
    boxes = lay_out([80.0] * len(nodes), links).boxes
    for source, target in links:
        assert boxes[source].x < boxes[target].x


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_boxes_never_overlap_and_every_line_joins_its_boxes(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 24))
    ends = st.integers(0, max(count - 1, 0))
    links = (
        data.draw(st.lists(st.tuples(ends, ends).filter(lambda link: link[0] != link[1]), max_size=60))
        if count
        else []
    )
    widths = [data.draw(st.floats(10, 300)) for _ in range(count)]
    layout = lay_out(widths, links)
    for one in range(count):
        at = layout.boxes[one]
        assert at.x >= 0
        assert at.y >= BOX_HEIGHT / 2 - 1e-6
        assert at.x + widths[one] <= layout.width + 1e-6
        assert at.y + BOX_HEIGHT / 2 <= layout.height + 1e-6
        for other in range(one):
            beside = layout.boxes[other]
            apart = abs(at.y - beside.y) >= BOX_HEIGHT + BETWEEN - 1e-6
            assert apart or at.x >= beside.x + widths[other] or beside.x >= at.x + widths[one]
    for (source, target), route in zip(links, layout.routes, strict=True):
        assert len(route) % 2 == 0
        assert {route[0].y, route[-1].y} == {layout.boxes[source].y, layout.boxes[target].y}
        assert route[0].x in (layout.boxes[source].x, layout.boxes[source].x + widths[source])
        assert route[-1].x in (layout.boxes[target].x, layout.boxes[target].x + widths[target])


@pytest.mark.parametrize("shape", ["chain", "circle", "star", "fan"])
def test_a_thousand_boxes_are_laid_out_in_seconds(shape: str) -> None:
    count = 1000
    links = {
        "chain": [*pairwise(range(count)), *((i, count - 1) for i in range(count - 1))],
        "circle": [(i, (i + 1) % count) for i in range(count)],
        "star": [(0, i) for i in range(1, count)],
        "fan": [(i % 30, 30 + i * 7 % 970) for i in range(3000)],
    }[shape]
    begin = time.perf_counter()
    lay_out([80.0] * count, links)
    assert time.perf_counter() - begin < 8


if __name__ == "__main__":  # renews the golden file; read the difference before you keep it
    GOLDEN.write_text(mermaid(shop(), "shop"))
