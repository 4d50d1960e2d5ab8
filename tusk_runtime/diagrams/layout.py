"""A layered layout: boxes in columns from left to right, so that most lines lead to the right and few cross.

The steps are those of Sugiyama: lines that close a circle are turned around, columns come from the longest
path, long lines get a place in each column that they cross, each column is put in the order of its
neighbours, and then each box is moved as near to the height of its neighbours as the others allow.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

BOX_HEIGHT = 44.0
BESIDE = 72.0
"""Between two columns."""
BETWEEN = 14.0
"""Between two boxes of a column."""
APART = 34.0
"""Between two parts of the graph that no line joins."""
LONGEST_ROUTE = 8
"""A line across more columns than this is drawn straight through: places for it would be many."""
SWEEPS = 12

Link = tuple[int, int]


class Point(NamedTuple):
    """A place on the drawing."""

    x: float
    y: float


class Layout(NamedTuple):
    """The left middle of each box, the points of each line from its source to its target, and the size."""

    boxes: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


@dataclass(slots=True)
class _Graph:
    """Boxes and, numbered behind them, the places of lines in the columns between."""

    count: int
    column: list[int]
    before: list[list[int]]
    after: list[list[int]]

    def half(self, vertex: int) -> float:
        """Half of the height that a vertex needs."""
        return BOX_HEIGHT / 2 if vertex < self.count else 2.0


def lay_out(widths: Sequence[float], links: Sequence[Link]) -> Layout:
    """The layout of boxes of these widths, and of the links between them, by their numbers."""
    count = len(widths)
    turned = _closing(count, links)
    forward = [(b, a) if back else (a, b) for (a, b), back in zip(links, turned, strict=True)]
    columns = _columns(count, forward)
    graph = _Graph(count, columns, [[] for _ in columns], [[] for _ in columns])
    chains = [_chain(graph, link) for link in forward]
    heights = _heights(graph)
    lefts = _lefts(widths, columns)
    boxes = [Point(lefts[columns[vertex]], heights[vertex]) for vertex in range(count)]
    routes = []
    for chain, back in zip(chains, turned, strict=True):
        route = [Point(boxes[chain[0]].x + widths[chain[0]], boxes[chain[0]].y)]
        for vertex in chain[1:-1]:
            column = graph.column[vertex]
            route += [
                Point(lefts[column], heights[vertex]),
                Point(lefts[column + 1] - BESIDE, heights[vertex]),
            ]
        route.append(boxes[chain[-1]])
        routes.append(route[::-1] if back else route)
    bottom = max((heights[vertex] + graph.half(vertex) for vertex in range(len(heights))), default=0.0)
    return Layout(boxes, routes, max(lefts[-1] - BESIDE, 0.0), bottom)


def _closing(count: int, links: Sequence[Link]) -> list[bool]:
    """Which links lead back to where a walk along the others came from."""
    out: list[list[int]] = [[] for _ in range(count)]
    for index, (source, _) in enumerate(links):
        out[source].append(index)
    entered = {target for _, target in links}
    state = [0] * count  # 0 not seen, 1 on the way, 2 done
    turned = [False] * len(links)
    # Begin where nothing leads to, so that only what really closes a circle is turned.
    for root in sorted(range(count), key=lambda vertex: vertex in entered):
        stack = [(root, iter(out[root]))] if state[root] == 0 else []
        state[root] = max(state[root], 1)
        while stack:
            vertex, rest = stack[-1]
            index = next(rest, -1)
            if index < 0:
                state[vertex] = 2
                stack.pop()
                continue
            target = links[index][1]
            turned[index] = state[target] == 1
            if state[target] == 0:
                state[target] = 1
                stack.append((target, iter(out[target])))
    return turned


def _columns(count: int, links: Sequence[Link]) -> list[int]:
    """The column of each box: behind all that lead to it, and just before the first that it leads to."""
    out: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for source, target in links:
        out[source].append(target)
        waits[target] += 1
    roots = [vertex for vertex in range(count) if waits[vertex] == 0]
    columns = [0] * count
    order = list(roots)
    for vertex in order:
        for target in out[vertex]:
            columns[target] = max(columns[target], columns[vertex] + 1)
            waits[target] -= 1
            if waits[target] == 0:
                order.append(target)
    for vertex in roots:
        columns[vertex] = min((columns[target] for target in out[vertex]), default=1) - 1
    return columns


def _chain(graph: _Graph, link: Link) -> list[int]:
    """The vertices of a link: its ends, and a new one in each column between."""
    source, target = link
    first, last = graph.column[source], graph.column[target]
    if last - first > LONGEST_ROUTE:
        return [source, target]
    chain = [source]
    for column in range(first + 1, last):
        graph.column.append(column)
        graph.before.append([])
        graph.after.append([])
        chain.append(len(graph.column) - 1)
    chain.append(target)
    for one, other in pairwise(chain):
        graph.after[one].append(other)
        graph.before[other].append(one)
    return chain


def _lefts(widths: Sequence[float], columns: Sequence[int]) -> list[float]:
    """Where each column begins, and where one behind the last would."""
    wide: dict[int, float] = defaultdict(float)
    for vertex, width in enumerate(widths):
        wide[columns[vertex]] = max(wide[columns[vertex]], width)
    lefts = [0.0]
    for column in range(max(columns[: len(widths)], default=-1) + 1):
        lefts.append(lefts[-1] + wide[column] + BESIDE)
    return lefts


def _heights(graph: _Graph) -> list[float]:
    """The middle of each vertex: the parts of the graph stand below each other."""
    heights = [0.0] * len(graph.column)
    top = 0.0
    for part in _parts(graph):
        columns: dict[int, list[int]] = defaultdict(list)
        for vertex in part:
            columns[graph.column[vertex]].append(vertex)
        ordered = _order(graph, [columns[column] for column in sorted(columns)])
        _align(graph, ordered, heights)
        highest = min(heights[vertex] - graph.half(vertex) for vertex in part)
        for vertex in part:
            heights[vertex] += top - highest
        top = max(heights[vertex] + graph.half(vertex) for vertex in part) + APART
    return heights


def _parts(graph: _Graph) -> list[list[int]]:
    """The vertices that lines join, part by part, in the order of their first boxes."""
    seen = [False] * len(graph.column)
    parts = []
    for root in range(len(graph.column)):
        if seen[root]:
            continue
        part, seen[root] = [root], True
        for vertex in part:
            for other in (*graph.before[vertex], *graph.after[vertex]):
                if not seen[other]:
                    seen[other] = True
                    part.append(other)
        parts.append(sorted(part))
    return parts


def _order(graph: _Graph, columns: list[list[int]]) -> list[list[int]]:
    """The columns with few crossings: each in the order of the mean places of its neighbours."""
    best, fewest = columns, _crossings(graph, columns)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        columns = [list(column) for column in columns]
        rightward = sweep % 2 == 0
        neighbours = graph.before if rightward else graph.after
        for index in range(len(columns)) if rightward else reversed(range(len(columns))):
            column = columns[index]
            beside = index - 1 if rightward else index + 1
            if not 0 <= beside < len(columns):
                continue
            place = {vertex: float(at) for at, vertex in enumerate(columns[beside])}
            own = {vertex: float(at) for at, vertex in enumerate(column)}
            column.sort(
                key=lambda v, place=place, own=own: _mean([place[n] for n in neighbours[v]], own[v])  # type: ignore[misc]
            )
        crossings = _crossings(graph, columns)
        if crossings < fewest:
            best, fewest = columns, crossings
    return best


def _crossings(graph: _Graph, columns: Sequence[Sequence[int]]) -> int:
    """How many pairs of lines between neighbouring columns cross."""
    total = 0
    for column, beside in pairwise(columns):
        place = {vertex: at for at, vertex in enumerate(beside)}
        seen: list[int] = []
        for vertex in column:
            targets = sorted(place[other] for other in graph.after[vertex])
            total += sum(len(seen) - bisect_left(seen, target + 1) for target in targets)
            for target in targets:
                insort(seen, target)
    return total


def _align(graph: _Graph, columns: Sequence[Sequence[int]], heights: list[float]) -> None:
    """Move each vertex towards the mean height of its neighbours, keeping order and distance."""
    for column in columns:
        _place(graph, column, [0.0] * len(column), heights)
    for sweep in range(2 * SWEEPS):
        rightward = sweep % 2 == 0
        for column in columns if rightward else reversed(columns):
            wanted = []
            for vertex in column:
                near = graph.before[vertex] if rightward else graph.after[vertex]
                if sweep >= SWEEPS:  # and at last to the middle of both sides
                    near = [*graph.before[vertex], *graph.after[vertex]]
                # A line that passes by gives way to one that ends here, which is then straight.
                near = [other for other in near if other < graph.count] or near
                wanted.append(_mean([heights[other] for other in near], heights[vertex]))
            _place(graph, column, wanted, heights)
    for column in columns:  # an end of the graph has one side only, and stands straight behind it
        ends = [graph.before[vertex] if not graph.after[vertex] else [] for vertex in column]
        wanted = [_mean([heights[n] for n in near], heights[v]) for v, near in zip(column, ends, strict=True)]
        _place(graph, column, wanted, heights)


def _place(graph: _Graph, column: Sequence[int], wanted: Sequence[float], heights: list[float]) -> None:
    """Give a column the heights nearest to the wanted ones that keep its order and distances.

    Neighbours that want to be too near form a block that stands at the mean of what they want.
    """
    offsets = [0.0]
    for one, other in pairwise(column):
        offsets.append(offsets[-1] + graph.half(one) + graph.half(other) + BETWEEN)
    blocks: list[tuple[float, int]] = []  # the sum of what is wanted, and how many want it
    for want, offset in zip(wanted, offsets, strict=True):
        total, size = want - offset, 1
        while blocks and blocks[-1][0] * size > total * blocks[-1][1]:
            total, size = total + blocks[-1][0], size + blocks[-1][1]
            blocks.pop()
        blocks.append((total, size))
    index = 0
    for total, size in blocks:
        for _ in range(size):
            heights[column[index]] = total / size + offsets[index]
            index += 1


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
