"""Layered layout for pictures: boxes in boxes, edges from top to bottom.

Each group is laid out on its own, innermost first, and is then one box for the group around it:
longest-path ranks, program order kept where nothing speaks against it, a few barycentre sweeps to
uncross, then positions that keep edges straight (per rank a least-squares fit that respects the
distances, by pooling adjacent violators). An edge out of or into a group passes its border at a
port, which takes part in the layout on both sides. Edges that span many ranks go through dummies,
one line per source; beyond `REACH` ranks they are stubs, for the caller to label.

Everything is iterative and linear up to the sorting of a rank: a chain of 100,000 boxes is fine.

>>> diagram = Diagram()
>>> a, b = diagram.box(40, 20), diagram.box(60, 20)
>>> edge = diagram.edge(a, b)
>>> placed = layout(diagram)
>>> placed.boxes[a], placed.boxes[b]
(Rect(x=10.0, y=0.0, w=40, h=20), Rect(x=0.0, y=50.0, w=60, h=20))
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

__all__ = ["REACH", "Diagram", "Placed", "Point", "Rect", "layout"]

REACH = 40  # ranks that a line spans at most
GAP_X = 24.0
GAP_Y = 30.0
_LINE = 8.0  # width of a line that passes a rank
_SWEEPS = 4
# Passes over the ranks that straighten: down or up, looking at the neighbours of one side or both.
# The last one goes down, so that what has one source hangs straight below it.
_PASSES = (
    (True, False), (False, False), (True, False), (False, False), (True, True), (False, True),
    (True, False),
)  # fmt: skip
_REAL, _PORT, _DUMMY = range(3)
# How much an edge wants to be straight, by the kinds of its ends.
_PULL = ((20.0, 20.0, 0.02), (20.0, 20.0, 0.02), (0.02, 0.02, 8.0))

Point = tuple[float, float]


class Rect(NamedTuple):
    x: float
    y: float
    w: float
    h: float


@dataclass(slots=True)
class _Box:
    parent: int
    w: float
    h: float
    group: bool = False
    title: float = 0.0  # of a group: width of its title
    top: float = 0.0  # and how much room is kept for it
    pad: float = 0.0
    children: list[int] = field(default_factory=list)


class _Edge(NamedTuple):
    source: int
    target: int
    out_at: float | None  # where it leaves the source's lower side, from its left; None: middle
    in_at: float | None
    bundle: tuple[int, int]  # edges of a bundle share lines: the same source, the same kind


class Diagram:
    """What to lay out: boxes and groups in the order of the program, and edges between boxes."""

    def __init__(self) -> None:
        self.boxes: list[_Box] = []
        self.roots: list[int] = []
        self.edges: list[_Edge] = []

    def box(self, w: float, h: float, parent: int = -1) -> int:
        """A box of this size; returns its number."""
        return self._add(_Box(parent, w, h))

    def group(
        self, parent: int = -1, title: float = 0.0, top: float = 22.0, pad: float = 12.0
    ) -> int:
        """A box around others, with a title of this width at its upper left."""
        return self._add(_Box(parent, 0.0, 0.0, True, title, top, pad))

    def _add(self, box: _Box) -> int:
        index = len(self.boxes)
        self.boxes.append(box)
        (self.boxes[box.parent].children if box.parent >= 0 else self.roots).append(index)
        return index

    def edge(
        self,
        source: int,
        target: int,
        out_at: float | None = None,
        in_at: float | None = None,
        kind: int = 0,
    ) -> int:
        """An edge from an earlier box to a later one; returns its number."""
        self.edges.append(_Edge(source, target, out_at, in_at, (source, kind)))
        return len(self.edges) - 1


@dataclass(slots=True)
class Placed:
    """Where everything is. A route is None for an edge that is too long to be drawn."""

    boxes: list[Rect]
    routes: list[list[Point] | None]
    width: float
    height: float


_Key = tuple[int, int]  # a bundle


@dataclass(slots=True)
class _Inner:
    """A group's content, laid out: positions from the group's upper left corner."""

    w: float
    h: float
    at: dict[int, Point] = field(default_factory=dict)
    entries: dict[_Key, float] = field(default_factory=dict)  # bundle -> x on the upper side
    exits: dict[_Key, float] = field(default_factory=dict)
    pieces: dict[tuple[_Key, int, int], list[Point] | None] = field(default_factory=dict)


class _Local:
    """One group's problem: elements (children, then ports), edges between them."""

    def __init__(self, group: int) -> None:
        self.group = group
        self.children: list[int] = []
        self.entries: list[_Key] = []
        self.exits: list[_Key] = []
        # (bundle, from, to) with the box numbers of children, _IN and _OUT for the ports.
        self.edges: dict[tuple[_Key, int, int], tuple[float | None, float | None]] = {}


_IN, _OUT = -1, -2


def layout(diagram: Diagram) -> Placed:
    """Place everything. Edges that do not lead from an earlier box to a later one are left out."""
    boxes = diagram.boxes
    locals_ = _split(diagram)
    inner: dict[int, _Inner] = {}
    # A group's number is larger than that of the group around it.
    for group in sorted(locals_, reverse=True):
        local = locals_[group]
        inner[group] = _solve(local, boxes, inner)
        if group >= 0:
            boxes[group].w, boxes[group].h = inner[group].w, inner[group].h
    origins: dict[int, Point] = {-1: (0.0, 0.0)}
    rects: list[Rect] = []
    for index, box in enumerate(boxes):
        ox, oy = origins[box.parent]
        x, y = inner[box.parent].at[index]
        rects.append(Rect(ox + x, oy + y, box.w, box.h))
        if box.group:
            origins[index] = (ox + x, oy + y)
    routes = [_route(diagram, e, inner, origins) for e in diagram.edges]
    whole = inner[-1]
    return Placed(rects, routes, whole.w, whole.h)


def _path(boxes: Sequence[_Box], index: int) -> list[int]:
    """A box and the groups around it, innermost first, then -1."""
    path = [index]
    while path[-1] >= 0:
        path.append(boxes[path[-1]].parent)
    return path


def _legs(boxes: Sequence[_Box], edge: _Edge) -> list[tuple[int, int, int]]:
    """An edge as pieces (group, from, to), from its source to its target."""
    if boxes[edge.source].parent == boxes[edge.target].parent:
        return [(boxes[edge.source].parent, edge.source, edge.target)]
    up, down = _path(boxes, edge.source), _path(boxes, edge.target)
    while len(up) > 1 and len(down) > 1 and up[-2] == down[-2]:
        up.pop()
        down.pop()
    legs = [(up[i + 1], up[i], _OUT) for i in range(len(up) - 2)]
    legs.append((up[-1], up[-2], down[-2]))
    legs += [(down[i + 1], _IN, down[i]) for i in range(len(down) - 3, -1, -1)]
    return legs


def _split(diagram: Diagram) -> dict[int, _Local]:
    """The problem of each group (-1: of the whole)."""
    boxes = diagram.boxes
    result = {-1: _Local(-1)}
    result[-1].children = diagram.roots
    for index, box in enumerate(boxes):
        if box.group:
            result[index] = _Local(index)
            result[index].children = box.children
    for edge in diagram.edges:
        if edge.source >= edge.target:
            continue
        for group, a, b in _legs(boxes, edge):
            local = result[group]
            key = (edge.bundle, a, b)
            if key in local.edges:
                continue
            out_at = edge.out_at if a == edge.source else None
            in_at = edge.in_at if b == edge.target else None
            local.edges[key] = (out_at, in_at)
            if a == _IN and edge.bundle not in local.entries[-1:]:
                local.entries.append(edge.bundle)
            if b == _OUT:
                local.exits.append(edge.bundle)
    for local in result.values():
        local.entries = list(dict.fromkeys(local.entries))
        local.exits = list(dict.fromkeys(local.exits))
    return result


def _route(
    diagram: Diagram, edge: _Edge, inner: dict[int, _Inner], origins: dict[int, Point]
) -> list[Point] | None:
    """The points of an edge, from its source's lower side to its target's upper side."""
    if edge.source >= edge.target:
        return None
    points: list[Point] = []
    for group, a, b in _legs(diagram.boxes, edge):
        piece = inner[group].pieces.get((edge.bundle, a, b))
        if piece is None:
            return None
        ox, oy = origins[group]
        points += [(ox + x, oy + y) for x, y in piece]
    return points


# -- one group -------------------------------------------------------------------------------


class _Graph:
    """Elements of one group as columns: children, entry ports, exit ports, dummies."""

    def __init__(self) -> None:
        self.w: list[float] = []
        self.h: list[float] = []
        self.rank: list[int] = []
        self.order: list[float] = []  # place in program order
        self.kind: list[int] = []  # _REAL, _PORT or _DUMMY
        # Neighbours: (element, own attachment, its attachment), both from the element's middle.
        self.above: list[list[tuple[int, float, float]]] = []
        self.below: list[list[tuple[int, float, float]]] = []

    def add(self, w: float, h: float, rank: int, order: float, kind: int) -> int:
        self.w.append(w)
        self.h.append(h)
        self.rank.append(rank)
        self.order.append(order)
        self.kind.append(kind)
        self.above.append([])
        self.below.append([])
        return len(self.w) - 1

    def link(self, a: int, b: int, out_at: float, in_at: float) -> None:
        self.below[a].append((b, out_at, in_at))
        self.above[b].append((a, in_at, out_at))


def _solve(local: _Local, boxes: Sequence[_Box], inner: dict[int, _Inner]) -> _Inner:
    graph = _Graph()
    element = {child: i for i, child in enumerate(local.children)}
    for child in local.children:
        graph.add(boxes[child].w, boxes[child].h, 0, float(child), _REAL)
    _rank(graph, local, element)
    bottom = max(graph.rank, default=0)
    entries = {k: graph.add(_LINE, 0.0, 0, float(k[0]), _PORT) for k in local.entries}
    exits = {k: graph.add(_LINE, 0.0, bottom + 1, float(k[0]), _PORT) for k in local.exits}
    chains = _lines(graph, local, boxes, inner, element, entries, exits)
    layers: list[list[int]] = [[] for _ in range(max(graph.rank, default=0) + 1)]
    for i, rank in enumerate(graph.rank):
        layers[rank].append(i)  # a rank may stay empty: what was alone in it went down
    for layer in layers:
        layer.sort(key=graph.order.__getitem__)
    _uncross(graph, layers)
    x = _straighten(graph, layers)
    tops, bottoms = _rows(graph, layers, x)
    return _finish(local, boxes, graph, x, tops, bottoms, entries, exits, chains, element)


def _rank(graph: _Graph, local: _Local, element: dict[int, int]) -> None:
    """Longest paths; a box that nothing feeds goes down to just above its first user."""
    rank = graph.rank
    feeds: list[list[int]] = [[] for _ in rank]
    fed = [False] * len(rank)
    low = 0
    pairs = []
    for _, a, b in local.edges:
        if a == _IN:
            low = 1
            if b >= 0:
                fed[element[b]] = True
        elif b >= 0:
            pairs.append((element[a], element[b]))
            fed[element[b]] = True
    for a, b in pairs:
        feeds[a].append(b)
    for i in range(len(rank)):  # children are in program order, which is a topological one
        rank[i] = max(rank[i], low)
        below = rank[i] + 1
        for j in feeds[i]:
            if rank[j] < below:
                rank[j] = below
    for i in range(len(rank)):
        if not fed[i] and feeds[i]:
            rank[i] = min(rank[j] for j in feeds[i]) - 1


def _attachment(
    at: float | None, box: int, key: _Key, boxes: Sequence[_Box], inner: dict[int, _Inner], up: bool
) -> float:
    """Where an edge meets a child's side, from the child's middle."""
    if boxes[box].group:
        ports = inner[box].entries if up else inner[box].exits
        at = ports.get(key)
    return 0.0 if at is None else at - boxes[box].w / 2


def _lines(
    graph: _Graph,
    local: _Local,
    boxes: Sequence[_Box],
    inner: dict[int, _Inner],
    element: dict[int, int],
    entries: dict[_Key, int],
    exits: dict[_Key, int],
) -> dict[tuple[_Key, int, int], list[tuple[int, float]] | None]:
    """Split edges at every rank they pass; the chain of elements (and attachments) of each."""
    chains: dict[tuple[_Key, int, int], list[tuple[int, float]] | None] = {}
    dummies: dict[tuple[_Key, int, int], int] = {}
    seen: set[tuple[int, int, float, float]] = set()
    for (key, a, b), (out_at, in_at) in local.edges.items():
        first = entries[key] if a == _IN else element[a]
        last = exits[key] if b == _OUT else element[b]
        start = 0.0 if a == _IN else _attachment(out_at, a, key, boxes, inner, up=False)
        end = 0.0 if b == _OUT else _attachment(in_at, b, key, boxes, inner, up=True)
        r0, r1 = graph.rank[first], graph.rank[last]
        if r1 - r0 > REACH or r1 <= r0:
            chains[key, a, b] = None
            continue
        chain = [(first, start)]
        for rank in range(r0 + 1, r1):
            dummy = dummies.get((key, a, rank))
            if dummy is None:
                order = graph.order[first] + 0.5
                dummy = dummies[key, a, rank] = graph.add(_LINE, 0.0, rank, order, _DUMMY)
            chain.append((dummy, 0.0))
        chain.append((last, end))
        for (u, p), (v, q) in pairwise(chain):
            link = (u, v, p, q)
            if link not in seen:
                seen.add(link)
                graph.link(u, v, p, q)
        chains[key, a, b] = chain
    return chains


# -- order within the ranks ------------------------------------------------------------------


def _uncross(graph: _Graph, layers: list[list[int]]) -> None:
    """Barycentre sweeps, down and up; the order with the fewest crossings stays."""
    wide = [r for r, layer in enumerate(layers) if len(layer) > 1]
    if not wide:
        return
    place = [0] * len(graph.rank)
    for layer in layers:
        for i, e in enumerate(layer):
            place[e] = i
    best = [layers[r].copy() for r in wide]
    fewest = _crossings(graph, layers, place)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        neighbours = graph.above if down else graph.below
        for r in wide if down else reversed(wide):
            layer = layers[r]
            centre: dict[int, float] = {}
            for i, e in enumerate(layer):
                near = neighbours[e]
                at = [place[n] + p / (graph.w[n] + 1) for n, _, p in near]
                centre[e] = sum(at) / len(at) if at else float(i)
            layer.sort(key=centre.__getitem__)
            for i, e in enumerate(layer):
                place[e] = i
        now = _crossings(graph, layers, place)
        if now < fewest:
            fewest, best = now, [layers[r].copy() for r in wide]
    for r, layer in zip(wide, best):
        layers[r][:] = layer


def _crossings(graph: _Graph, layers: list[list[int]], place: list[int]) -> int:
    """Pairs of edges that cross, counted between neighbouring ranks."""
    total = 0
    w, above = graph.w, graph.above
    for layer in layers:
        if len(layer) == 1 and len(above[layer[0]]) < 2:
            continue
        edges = [
            (place[e] + own / (w[e] + 1.0), place[n] + its / (w[n] + 1.0))
            for e in layer
            for n, own, its in above[e]
        ]
        edges.sort()
        starts: list[float] = []
        for _, start in edges:
            total += len(starts) - bisect_right(starts, start)
            insort(starts, start)
    return total


# -- positions -------------------------------------------------------------------------------


def _straighten(graph: _Graph, layers: list[list[int]]) -> list[float]:
    """The middle of each element, so that edges are as straight as the distances allow."""
    x = [0.0] * len(graph.w)
    for layer in layers:
        total = -GAP_X
        for e in layer:
            total += graph.w[e] + GAP_X
        at = -total / 2
        for e in layer:
            x[e] = at + graph.w[e] / 2
            at += graph.w[e] + GAP_X
    up, down = _pulls(graph, graph.above), _pulls(graph, graph.below)
    all_ = [_Pull(a.ends + b.ends, a.weight + b.weight) for a, b in zip(up, down)]
    distances = [_distances(graph, layer) for layer in layers]
    order = range(len(layers))
    for downwards, both in _PASSES:
        pulls = all_ if both else up if downwards else down
        for r in order if downwards else reversed(order):
            layer = layers[r]
            if len(layer) != 1:
                _fit(layer, distances[r], pulls, x)
                continue
            e = layer[0]
            pull = pulls[e]
            if pull.weight:
                x[e] = sum([w * (x[n] + by) for n, by, w in pull.ends]) / pull.weight
    return x


class _Pull(NamedTuple):
    """Where an element wants to be: as the weighted mean of its neighbours, each with a shift."""

    ends: list[tuple[int, float, float]]  # (neighbour, shift, weight)
    weight: float


def _pulls(graph: _Graph, neighbours: list[list[tuple[int, float, float]]]) -> list[_Pull]:
    kind = graph.kind
    result = []
    for e, near in enumerate(neighbours):
        row = _PULL[kind[e]]
        ends = [(n, its - own, row[kind[n]]) for n, own, its in near]
        result.append(_Pull(ends, sum([end[2] for end in ends])))
    return result


def _distances(graph: _Graph, layer: list[int]) -> list[float]:
    """How far each element of a rank has to be from the first one, at least."""
    kind, w = graph.kind, graph.w
    result = [0.0]
    for before, e in pairwise(layer):
        gap = _LINE if kind[e] and kind[before] else GAP_X
        result.append(result[-1] + (w[before] + w[e]) / 2 + gap)
    return result


def _fit(layer: list[int], offsets: list[float], pulls: list[_Pull], x: list[float]) -> None:
    """Place a rank as near to where its elements want to be as their distances allow.

    Least squares by pooling adjacent violators, on positions less the distances before them.
    """
    means: list[float] = []
    weights: list[float] = []
    counts: list[int] = []
    for e, offset in zip(layer, offsets):
        ends, weight = pulls[e]
        if weight:
            mean = sum([w * (x[n] + by) for n, by, w in ends]) / weight - offset
        else:
            mean, weight = x[e] - offset, 0.001
        count = 1
        while means and means[-1] > mean:
            other = weights.pop()
            mean = (means.pop() * other + mean * weight) / (other + weight)
            weight += other
            count += counts.pop()
        means.append(mean)
        weights.append(weight)
        counts.append(count)
    i = 0
    for mean, count in zip(means, counts):
        for _ in range(count):
            x[layer[i]] = mean + offsets[i]
            i += 1


def _rows(
    graph: _Graph, layers: list[list[int]], x: list[float]
) -> tuple[list[float], list[float]]:
    """Top and bottom of each rank; more room where lines run far to the side."""
    tops, bottoms = [], []
    y = 0.0
    for r, layer in enumerate(layers):
        if r:
            slant = max(
                (abs(x[e] + p - x[n] - q) for e in layer for n, p, q in graph.above[e]), default=0.0
            )
            y += GAP_Y + min(slant * 0.12, 40.0)
        tops.append(y)
        y += max((graph.h[e] for e in layer), default=0.0)
        bottoms.append(y)
    return tops, bottoms


def _finish(
    local: _Local,
    boxes: Sequence[_Box],
    graph: _Graph,
    x: list[float],
    tops: list[float],
    bottoms: list[float],
    entries: dict[_Key, int],
    exits: dict[_Key, int],
    chains: dict[tuple[_Key, int, int], list[tuple[int, float]] | None],
    element: dict[int, int],
) -> _Inner:
    """Sizes, positions and the pieces of edges, from the group's upper left corner."""
    box = boxes[local.group] if local.group >= 0 else _Box(-1, 0.0, 0.0)
    left = min((x[e] - graph.w[e] / 2 for e in range(len(x))), default=0.0)
    right = max((x[e] + graph.w[e] / 2 for e in range(len(x))), default=0.0)
    shift = box.pad - left
    if entries and box.title:  # lines come in to the right of the title
        first = min(x[e] for e in entries.values())
        shift = max(shift, box.title + 10.0 - first)
    width = max(right + shift + box.pad, box.title + 2 * box.pad)
    upper = box.top if not entries else max(box.top - GAP_Y / 2, 0.0)
    lower = box.pad if not exits else 0.0
    height = bottoms[-1] + upper + lower if bottoms else upper + lower
    result = _Inner(width, height)
    middle = [(t + b) / 2 + upper for t, b in zip(tops, bottoms)]
    for child, e in element.items():
        result.at[child] = (
            x[e] + shift - graph.w[e] / 2,
            middle[graph.rank[e]] - graph.h[e] / 2,
        )
    result.entries = {k: x[e] + shift for k, e in entries.items()}
    result.exits = {k: x[e] + shift for k, e in exits.items()}
    for key, chain in chains.items():
        if chain is None:
            result.pieces[key] = None
            continue
        points: list[Point] = []
        for e, at in chain:
            rank = graph.rank[e]
            px = x[e] + shift + at
            half = graph.h[e] / 2
            if e != chain[0][0] or graph.kind[e]:
                points.append((px, tops[rank] + upper))
            if e == chain[-1][0] and not graph.kind[e]:
                points.append((px, middle[rank] - half))
            elif e == chain[0][0] and not graph.kind[e]:
                points += [(px, middle[rank] + half), (px, bottoms[rank] + upper)]
            else:
                points.append((px, bottoms[rank] + upper))
        if key[1] == _IN:
            points[0] = (points[0][0], 0.0)
        if key[2] == _OUT:
            points[-1] = (points[-1][0], height)
        result.pieces[key] = points
    return result
