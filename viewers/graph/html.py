"""A step as one HTML file to look into: groups open and close, figures and source lines on hover.

The file needs no network and asks for none: its content security policy allows the two scripts and
the style sheet that are in it, by their hashes, and nothing else. The graph is data (JSON), which
the page places with the layout of `layout` (``page/layout.js`` is the same in the browser's
language), so that 100,000 ops cost what is open at the moment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from functools import cache
from importlib.resources import files
from typing import Any

from framework.trace.events import Source, TensorMeta
from framework.trace.protocol import Summary
from viewers.graph.facts import Facts, Times
from viewers.graph.picture import PILLS, Cell, Cluster, Picture, count_lines
from viewers.graph.step import Item
from viewers.graph.svg import escape, visible
from viewers.text import arguments, count_text, crop, shape_text, tensor_text

__all__ = ["page"]

KINDS = ("op", "leaf", "outside", "module", "root", "node", "group", "cluster", "composite", "pack")
_GROUPS = {KINDS.index(kind) for kind in ("cluster", "composite", "pack")}
_MANY = 5_000  # nodes from which there are no histograms: they would be most of the file
_NAME = 200  # characters of a name
_LINE = 300  # of a source line

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<input id="find" type="search" placeholder="search  ( / )" aria-label="search" autocomplete="off">
<span id="found"></span>
<span class="gap"></span>
<button id="open" type="button" title="open the next level of groups (o)">open</button>
<button id="close" type="button" title="close all groups (c)">close</button>
<button id="farther" type="button" aria-label="farther" title="farther (-)">−</button>
<button id="closer" type="button" aria-label="closer" title="closer (+)">+</button>
<button id="all" type="button" title="all of it (0)">fit</button>
<button id="theme" type="button" title="light or dark (t)">theme</button>
<button id="print" type="button" title="print what is open">print</button>
</header>
<main>
<svg id="canvas" tabindex="0" role="application" aria-label="{title}: the graph"></svg>
<div id="tip" role="tooltip"></div>
<div id="said" class="said" aria-live="polite"></div>
<span id="mono" class="mono said"></span>
</main>
<aside id="panel" tabindex="0" aria-label="about the selected node"></aside>
<noscript>This page draws its graph with a script, which is switched off.</noscript>
<script type="application/json" id="data">{data}</script>
<script>{layout}</script>
<script>{script}</script>
</body>
</html>
"""


def page(picture: Picture, facts: Facts) -> str:
    """The whole document of a picture that was made ``whole``."""
    style, layout, script = _asset("page.css"), _asset("layout.js"), _asset("page.js")
    policy = (
        f"default-src 'none'; script-src {_hash(layout)} {_hash(script)}; "
        f"style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    text = json.dumps(_Data(picture, facts).all(), ensure_ascii=False, separators=(",", ":"))
    # Within a script element nothing but "<" could end it or begin a comment.
    return _PAGE.format(
        policy=policy, title=escape(picture.title), style=style, layout=layout, script=script,
        data=text.replace("<", "\\u003c"),
    )  # fmt: skip


@cache
def _asset(name: str) -> str:
    return files("viewers.graph").joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


class _Data:
    """The graph as lists of numbers, with each text once."""

    def __init__(self, picture: Picture, facts: Facts) -> None:
        self.picture = picture
        self.facts = facts
        self.times = Times(facts.graph)
        self.bars = len(picture.cells) <= _MANY
        self.strings: dict[str, int] = {"": 0}
        self.files: dict[str, int] = {}
        self.sources: dict[Source, int] = {}
        self.lines: list[list[Any]] = []

    def all(self) -> dict[str, Any]:
        picture = self.picture
        clusters: dict[int, int] = {-1: -1}
        cells: dict[int, int] = {}
        nodes: list[list[Any]] = []
        for number, (is_cluster, index) in enumerate(picture.order):
            if is_cluster:
                clusters[index] = number
                cluster = picture.clusters[index]
                nodes.append(self._cluster(cluster, clusters[cluster.parent]))
            else:
                cells[index] = number
                cell = picture.cells[index]
                nodes.append(self._cell(cell, clusters[cell.parent]))
        self._gather(nodes)
        edges: list[int] = []
        for arrow in picture.arrows:
            edges += (cells[arrow.source], cells[arrow.target], int(arrow.backward))
        return {
            "title": visible(picture.title),
            "about": f"{count_text(len(picture.cells))} nodes, {count_text(len(picture.arrows))} "
            "arrows; made by Tapebook",
            "phase": picture.phase,
            "depth": picture.depth,
            "kinds": KINDS,
            "strings": list(self.strings),
            "files": list(self.files),
            "sources": self.lines,
            "nodes": nodes,
            "edges": edges,
        }

    # -- nodes -------------------------------------------------------------------------------

    def _row(self, kind: str, thing: Cell | Cluster, parent: int, shape: str) -> list[Any]:
        item = thing.item
        forward = item.forward if item is not None and item.kind == "node" else item
        source = None if forward is None or forward.kind == "leaf" else forward.source
        return [
            KINDS.index(kind),
            self._string(thing.title),
            self._string(thing.detail),
            self._string(shape),
            parent,
            self._source(source),
            self.times.forward[item.index] if item is not None else 0,
            self.times.backward[item.index] if item is not None else 0,
            self._string(item.path if item is not None else ""),
        ]

    def _cluster(self, cluster: Cluster, parent: int) -> list[Any]:
        item = cluster.item
        kind = "cluster" if cluster.kind == "module" else cluster.kind
        meta = item.shape if item is not None else None
        row = self._row(kind, cluster, parent, _tensor(meta))
        extra: dict[str, Any] = {}
        if cluster.error:
            extra["e"] = visible(cluster.error)
        if item is not None:
            self._figures(extra, "v", self.facts.value(item))
            self._arguments(extra, item)
            if cluster.params:
                extra["pa"] = self._params(cluster.params, item)
        row.append(extra)
        return row

    def _cell(self, cell: Cell, parent: int) -> list[Any]:
        item = cell.item
        row = self._row(cell.kind, cell, parent, cell.shape)
        extra: dict[str, Any] = {}
        for key, value in (("n", cell.note), ("e", cell.error)):
            if value:
                extra[key] = visible(value)
        if cell.is_root:
            extra["r"] = 1
        if cell.pills:
            extra["pl"] = [visible(p) for p in cell.pills]
        if cell.grads:
            extra["pg"] = 1
        grads = cell.grads
        if item is not None:
            self._figures(extra, "v", self.facts.value(item))
            self._arguments(extra, item)
            if cell.params:
                extra["pa"] = self._params(cell.params, item)
        side = cell.backward
        if side is not None:
            grads = [*grads, *side.grads]
            back: dict[str, Any] = {"s": visible(side.shape)}
            if side.note:
                back["n"] = visible(side.note)
            if side.pills:
                back["pl"] = [visible(p) for p in side.pills]
            if side.items:
                self._figures(back, "v", self.facts.value(side.items[0]))
            extra["b"] = back
        if grads:
            extra["ga"] = [
                [
                    visible(crop(f"{e.name or e.leaf}.grad", _NAME)),
                    _tensor(e.total),
                    self._numbers(self.facts.tensor(e.total.id, e.seq)),
                ]
                for e in grads
            ]
        if extra:
            row.append(extra)
        return row

    def _params(self, params: Any, item: Item) -> list[Any]:
        store = self.facts.graph.store
        return [
            [
                visible(crop(name, _NAME)),
                _tensor(store.meta(tensor)),
                self._numbers(self.facts.tensor(tensor, item.begin)),
            ]
            for tensor, name in params.items()
        ]

    def _arguments(self, extra: dict[str, Any], item: Item) -> None:
        event = (item.forward if item.kind == "node" and item.forward is not None else item).event
        meta: dict[str, str] = getattr(event, "meta", None) or {}
        given = arguments(getattr(event, "name", ""), getattr(event, "inputs", ()), meta)
        pairs = [[visible(k), visible(crop(v, _NAME))] for k, v in given]
        description = getattr(event, "description", "")
        if description:
            pairs = [["", visible(crop(description, _NAME))]]
        if pairs:
            extra["m"] = pairs

    def _figures(self, into: dict[str, Any], key: str, summary: Summary | None) -> None:
        numbers = self._numbers(summary)
        if numbers:
            into[key] = numbers

    def _numbers(self, summary: Summary | None) -> list[Any] | None:
        """A summary as the page reads it: numbers of four digits, the histogram last."""
        if summary is None or not summary.count:
            return None
        s = summary
        figures = [_rounded(v) for v in (s.min, s.max, s.mean, s.std, s.norm)]
        bars = [list(s.counts)] if self.bars and s.counts else []
        return [s.count, s.nan, s.inf, s.zeros, *figures, *bars]

    def _gather(self, nodes: list[list[Any]]) -> None:
        """What groups say while they are closed: how much is in them, parameters, gradients.

        From the last node to the first, so that what is in a group comes before the group.
        """
        picture = self.picture
        inside = {number: _Inside() for number, row in enumerate(nodes) if row[0] in _GROUPS}
        inside[-1] = _Inside()
        for number in range(len(nodes) - 1, -1, -1):
            row, (is_cluster, index) = nodes[number], picture.order[number]
            around = inside[row[4]]
            if is_cluster:
                held = inside.pop(number)
                held.params.update(picture.clusters[index].params)
                row[9].update(held.told(self._param_pills(held.params), picture.phase))
                around.take(held)
            else:
                around.add(picture.cells[index])

    def _param_pills(self, params: dict[int, str]) -> list[str]:
        metas = [self.facts.graph.store.meta(t) for t in params]
        if len(params) > PILLS:
            return count_lines(self.facts.graph.store, params)
        return [
            visible(crop(f"{name} {shape_text(m.shape) if m is not None else ''}", 36))
            for name, m in zip(params.values(), metas)
        ]

    # -- texts, each once --------------------------------------------------------------------

    def _string(self, text: str) -> int:
        return self.strings.setdefault(visible(crop(text, _NAME)), len(self.strings))

    def _source(self, source: Source | None) -> int:
        if source is None or not source.file:
            return -1
        known = self.sources.get(source)
        if known is None:
            known = self.sources[source] = len(self.lines)
            file = self.files.setdefault(
                visible(crop(_place(self.facts.place(source.file)), _NAME)), len(self.files)
            )
            text = visible(crop(self.facts.line(source), _LINE))
            self.lines.append([file, source.line, visible(crop(source.function, _NAME)), text])
        return known


class _Inside:
    """What is in a group."""

    def __init__(self) -> None:
        self.count = 0
        self.params: dict[int, str] = {}
        self.grads: list[str] = []
        self.back: Cell | None = None  # the last cell with a backward side: gradients come to it

    def add(self, cell: Cell) -> None:
        self.count += 1
        self.params.update(cell.params)
        grads = cell.grads
        if cell.backward is not None:
            self.back = self.back or cell
            grads = cell.backward.grads
        self.grads += [f"{e.name.rpartition('.')[2]}.grad" for e in grads]

    def take(self, inner: _Inside) -> None:
        self.count += inner.count
        self.params.update(inner.params)
        self.grads += inner.grads
        self.back = self.back or inner.back

    def told(self, pills: list[str], phase: str) -> dict[str, Any]:
        told: dict[str, Any] = {"count": f"{count_text(self.count)} node{'s' * (self.count != 1)}"}
        grads = self.grads[::-1]
        grads = [f"{len(grads)} gradients"] if len(grads) > PILLS else [visible(g) for g in grads]
        if phase == "backward":
            if grads:
                told |= {"pl": grads, "pg": 1}
            return told
        if pills:
            told["pl"] = pills
        if self.back is not None and self.back.backward is not None:
            side = self.back.backward
            told["b"] = {"s": visible(side.shape), "n": visible(side.note), "pl": grads}
        return told


def _tensor(meta: TensorMeta | None) -> str:
    return visible(tensor_text(meta.dtype, meta.shape, meta.device)) if meta is not None else ""


def _place(file: str) -> str:
    """A file's name as seen from here: a page that is sent around need not tell where home is."""
    here = os.getcwd() + os.sep
    return file.removeprefix(here) if file.startswith(here) else file


def _rounded(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.4g}")
