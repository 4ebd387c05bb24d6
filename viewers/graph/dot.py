"""A picture in Graphviz's language: clusters for modules, one node per cell, names escaped."""

from __future__ import annotations

from itertools import pairwise

import graphviz

from viewers.graph.picture import Cell, Cluster, Picture
from viewers.graph.svg import PALETTE, visible
from viewers.text import crop

__all__ = ["source"]

_SHAPES = {
    "op": {"shape": "box"},
    "leaf": {"shape": "box", "style": "rounded,filled"},
    "outside": {"shape": "box", "style": "rounded,dashed,filled"},
    "module": {"shape": "box", "style": "rounded,filled"},
    "group": {"shape": "box3d"},
    "root": {"shape": "box", "peripheries": "2"},
    "node": {"shape": "box", "style": "rounded,filled"},
    "param": {"shape": "box", "style": "rounded,filled", "fontsize": "9", "height": "0.2"},
    "grad": {"shape": "box", "style": "rounded,filled", "fontsize": "9", "height": "0.2"},
}
_FORWARD, _BACKWARD = "#334155", "#c2410c"
_SIDE = {"arrowhead": "none", "weight": "20"}


def source(picture: Picture) -> str:
    """The text of a ``.dot`` file."""
    graph = graphviz.Digraph("tapebook")
    graph.attr(
        rankdir="TB", label=_label([picture.title]), labelloc="t", labeljust="l", bgcolor="white",
        fontname="Helvetica,Arial,sans-serif", fontsize="14", nodesep="0.25", ranksep="0.35",
        newrank="true",
    )  # fmt: skip
    graph.attr(
        "node", fontname="Helvetica,Arial,sans-serif", fontsize="11", style="filled", height="0.3",
        margin="0.12,0.05",
    )  # fmt: skip
    graph.attr("edge", arrowsize="0.7", color=_FORWARD)
    _body(graph, picture)
    for arrow in picture.arrows:
        a, b = f"n{arrow.source}", f"n{arrow.target}"
        if arrow.backward:
            # Against the ranks, and without a say in them.
            graph.edge(
                f"b{arrow.target}", f"b{arrow.source}", color=_BACKWARD, style="dashed",
                constraint="false",
            )  # fmt: skip
        else:
            graph.edge(a, b, color=_BACKWARD if picture.phase == "backward" else _FORWARD)
    return graph.source


def _body(graph: graphviz.Digraph, picture: Picture) -> None:
    """Nested clusters in program order, without recursion."""
    open_: list[tuple[int, graphviz.Digraph]] = [(-1, graph)]  # outermost first
    for is_cluster, index in picture.order:
        parent = picture.clusters[index].parent if is_cluster else picture.cells[index].parent
        while open_[-1][0] != parent:
            inner = open_.pop()[1]
            open_[-1][1].subgraph(inner)
        if is_cluster:
            open_.append((index, _cluster(index, picture.clusters[index])))
        else:
            _cell(open_[-1][1], index, picture.cells[index])
    while len(open_) > 1:
        inner = open_.pop()[1]
        open_[-1][1].subgraph(inner)


def _cluster(index: int, cluster: Cluster) -> graphviz.Digraph:
    graph = graphviz.Digraph(f"cluster_{index}")
    graph.attr(
        label=_label([f"{crop(cluster.title, 40)} {crop(cluster.detail, 30)}".strip()]),
        style="rounded,dashed" if cluster.kind == "composite" else "rounded,filled",
        color=PALETTE["error"][1] if cluster.error else "#94a3b8",
        fillcolor="#f8fafc", fontsize="11",
    )  # fmt: skip
    return graph


def _cell(graph: graphviz.Digraph, index: int, cell: Cell) -> None:
    name = f"n{index}"
    lines = [
        crop(cell.title, 40),
        "  ".join(filter(None, (crop(cell.detail, 28), cell.shape))),
        crop(cell.note, 40),
        crop(cell.error, 60),
    ]
    _node(graph, name, cell.kind, lines, bool(cell.error), cell.is_root)
    row = [name]  # from left to right: parameters, the cell, its backward node, gradients
    pills = [crop(p, 36) for p in cell.pills]
    side = cell.backward
    if pills:
        kind = "grad" if cell.grads else "param"
        _node(graph, f"p{index}", kind, pills)
        row.insert(1 if kind == "grad" else 0, f"p{index}")
    if side is not None:
        lines = [f"{crop(cell.title, 40)} backward", side.shape, crop(side.note, 40)]
        _node(graph, f"b{index}", "node", lines)
        row.append(f"b{index}")
        if side.pills:
            _node(graph, f"g{index}", "grad", [crop(p, 36) for p in side.pills])
            row.append(f"g{index}")
    if len(row) == 1:
        return
    for left, right in pairwise(row):
        kind = "param" if left[0] == "p" else "grad" if right[0] in "pg" else ""
        color = PALETTE[kind][1] if kind else "#94a3b8"
        graph.edge(left, right, color=color, style="solid" if kind else "dotted", **_SIDE)
    graph.body.append(f"\t{{ rank=same; {'; '.join(row)} }}\n")


def _node(
    graph: graphviz.Digraph,
    name: str,
    kind: str,
    lines: list[str],
    failed: bool = False,
    root: bool = False,
) -> None:
    fill, line, ink = PALETTE["error" if failed else "root" if root else kind]
    extra = {"peripheries": "2"} if root else {}
    graph.node(
        name, label=_label(lines), fillcolor=fill, color=line, fontcolor=ink,
        **{**_SHAPES[kind], **extra},
    )  # fmt: skip


def _label(lines: list[str]) -> str:
    """Lines of text that mean themselves: no escape sequences, no HTML."""
    return graphviz.nohtml("\\n".join(graphviz.escape(visible(text)) for text in lines if text))
