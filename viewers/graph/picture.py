"""What a picture of a step shows: cells, clusters and arrows, before anybody decides where.

Groups deeper than ``depth`` are one cell. In "both", a cell has the backward node of its forward op
at its side, and the gradients' arrows run beside the forward ones, upwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

from framework.trace.events import Grad
from viewers.graph.step import Item, StepGraph
from viewers.text import count_text, shape_text, tensor_text

__all__ = ["Arrow", "Backward", "Cell", "Cluster", "Picture", "PictureError", "make"]

_CELLS = 150  # a picture without a given depth stays below, if some depth allows it
_PILLS = 3  # parameters named beside a cell
_GROUPS = ("module", "composite")
_CELL_KINDS = ("op", "leaf", "node", *_GROUPS)


class PictureError(Exception):
    """There is no such picture; one line says why."""


@dataclass(slots=True)
class Backward:
    """The backward side of a cell: its nodes and what they accumulated."""

    shape: str  # of the gradient that came
    note: str = ""
    grads: list[Grad] = field(default_factory=list)
    pills: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Cell:
    """A node of the picture.

    Kinds: op, leaf, node, module (with one op), group (closed), root (of backward), outside.
    """

    kind: str
    title: str
    detail: str  # class, name of the op in it, or the role of a leaf
    shape: str
    parent: int = -1  # cluster, -1 for none
    item: Item | None = None
    note: str = ""  # the caller's annotation
    error: str = ""
    is_root: bool = False  # backward starts from it
    params: dict[int, str] = field(default_factory=dict)
    grads: list[Grad] = field(default_factory=list)
    pills: list[str] = field(default_factory=list)  # parameters, or the gradients of a node
    backward: Backward | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A box around cells."""

    title: str
    detail: str
    kind: str  # "module" | "composite"
    parent: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one cell to a later one; a backward arrow is drawn from the later one upwards."""

    source: int
    target: int
    backward: bool = False


@dataclass(slots=True)
class Picture:
    """All of it, in program order."""

    phase: str
    title: str
    depth: int = 0
    cells: list[Cell] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    order: list[tuple[bool, int]] = field(default_factory=list)  # (is a cluster, its number)


def make(
    graph: StepGraph,
    phase: str = "forward",
    depth: int | None = None,
    module: str | None = None,
    annotations: Mapping[int | str, str] | None = None,
    everything: bool = False,
) -> Picture:
    """Choose what a picture of a step shows.

    Args:
        phase: "forward", "backward" or "both".
        depth: groups (modules and composite ops) are open down to this depth; None: as deep as
            the picture stays readable, and a module with a single op is one cell.
        module: only the calls of this module; other tensors that they use are shown as inputs.
        annotations: a short text by tensor id or by item key.
        everything: also ops that backward's roots do not depend on (the preparation of data,
            metrics); without a backward all ops are shown anyway.

    Raises:
        PictureError: there is nothing to show.
    """
    return _Maker(graph, phase, depth, module, annotations or {}, everything).make()


class _Maker:
    def __init__(
        self,
        graph: StepGraph,
        phase: str,
        depth: int | None,
        module: str | None,
        annotations: Mapping[int | str, str],
        everything: bool,
    ) -> None:
        self.graph = graph
        self.phase = phase
        self.module = module
        self.annotations = annotations
        self.drawn = "backward" if phase == "backward" else "forward"
        self.items = self._chosen()
        if self.drawn == "forward" and module is None and not everything:
            self.items = _what_matters(self.items, graph)
        self.members = set(self.items)
        self.nest = {i: sum(a in self.members for a in i.ancestors()) for i in self.items}
        # Modules that hold one thing and no groups.
        held = Counter(i.parent for i in self.items)
        around = {i.parent for i in self.items if i.kind in _GROUPS}
        self.simple = {i for i, n in held.items() if i and n == 1 and i not in around}
        self.merge = depth is None
        step = graph.step
        name = f"step {step.number}" if step.number else f"cell {step.cell}" if step.cell else ""
        self.picture = Picture(phase, " · ".join(filter(None, (module, name, phase))))
        self.depth = self.picture.depth = self._readable() if depth is None else max(depth, 0)
        self.cell_of: dict[Item, int] = {}
        self.cluster_of: dict[Item, int] = {}

    def _chosen(self) -> list[Item]:
        """Items of the phase, in order; only those in the module, if one is asked for."""
        found: list[Item] = []
        inside: set[Item] = set()
        for item in self.graph.items:
            parent = item.parent
            if item.phase != self.drawn or item.kind not in _CELL_KINDS:
                continue
            if self.drawn == "backward" and item.kind not in ("node", "module"):
                continue  # what a node does inside is not drawn
            if self.module is not None:
                if parent not in inside and not (
                    item.kind == "module" and item.path == self.module
                ):
                    continue
                inside.add(item)
            found.append(item)
        return found

    def _readable(self) -> int:
        """The largest depth that does not give too many cells; at least 1."""
        deepest = max(self.nest.values(), default=0)
        closed = [0] * (deepest + 1)  # groups that are a cell at exactly this depth
        plain = [0] * (deepest + 1)
        for item, nest in self.nest.items():
            (closed if item.kind in _GROUPS else plain)[nest] += 1
        best, seen = 1, 0
        for depth in range(deepest + 1):
            seen += plain[depth]
            if seen + closed[depth] <= _CELLS:
                best = max(best, depth)
        return best

    def make(self) -> Picture:
        """Cells, then arrows between them."""
        picture = self.picture
        if not self.items:
            what = f"module {self.module!r}" if self.module else f"{self.drawn} op"
            raise PictureError(f"no {what} in this step")
        self._outside()
        for item in self.items:
            self._item(item)
        arrows: dict[Arrow, None] = {}
        for item in self.items:
            for source in item.sources or self._starts(item):
                self._arrow(source, item, arrows)
        if self.phase == "both":
            self._backward(arrows)
        picture.arrows = list(arrows)
        for cell in picture.cells:
            cell.pills = _grad_pills(cell.grads) if cell.grads else self._pills(cell)
            if cell.backward is not None:
                cell.backward.pills = _grad_pills(cell.backward.grads)
        return picture

    # -- cells -------------------------------------------------------------------------------

    def _outside(self) -> None:
        """Cells for what comes from elsewhere: a module's inputs, what backward starts from."""
        roots = {i for item in self.items for i in self._starts(item)}
        others = {}
        if self.module is not None:
            others = {
                source: None
                for item in self.items
                for source in (*item.sources, *(item.inputs if item.kind == "module" else ()))
                if source not in self.members and source.phase == self.drawn
            }
        for source in sorted({*roots, *others}, key=lambda i: i.index):
            kind = "root" if source in roots else "leaf" if source.kind == "leaf" else "outside"
            self.cell_of[source] = self._add(_cell(kind, source, -1))

    def _starts(self, item: Item) -> list[Item]:
        """What a node without sources was started from."""
        if self.drawn != "backward" or item.kind != "node" or item.sources:
            return []
        backward = next((a for a in item.ancestors() if a.kind == "backward"), None)
        forward = item.forward
        if backward is None:
            return []
        around = (forward, *forward.ancestors()) if forward is not None else ()
        return [r for r in backward.inputs if r in around] or list(backward.inputs)

    def _item(self, item: Item) -> None:
        parent = item.parent if item.parent in self.members else None
        if parent is not None and parent in self.cell_of:  # hidden in a group's cell
            self.cell_of[item] = self.cell_of[parent]
            self._hide(item, self.picture.cells[self.cell_of[item]])
            return
        cluster = self.cluster_of[parent] if parent is not None else -1
        simple = item.kind == "module" and item in self.simple
        if item.kind in _GROUPS and self.nest[item] < self.depth and not (simple and self.merge):
            self._open(item, cluster)
            return
        kind = item.kind
        if kind in _GROUPS:
            kind = "group" if not simple else "node" if item.phase == "backward" else "module"
        cell = _cell(kind, item, cluster)
        cell.note = self._note(item)
        cell.grads = list(item.grads)
        if item.kind == "module":
            self._owned(cell, item.params, item.path)
        elif item.kind == "op":
            self._used(cell, item)
        self.cell_of[item] = self._add(cell)

    def _open(self, item: Item, parent: int) -> None:
        self.cluster_of[item] = len(self.picture.clusters)
        self.picture.order.append((True, len(self.picture.clusters)))
        title, detail = _names(item)
        error = "" if item.failed_inside else item.error
        self.picture.clusters.append(Cluster(title, detail, item.kind, parent, error))

    def _add(self, cell: Cell) -> int:
        self.picture.order.append((False, len(self.picture.cells)))
        self.picture.cells.append(cell)
        return len(self.picture.cells) - 1

    def _note(self, item: Item) -> str:
        keys: Iterable[int | str] = (item.key, *(m.id for m in item.outputs))
        return next((self.annotations[k] for k in keys if k in self.annotations), "")

    def _hide(self, item: Item, cell: Cell) -> None:
        """Add what a hidden item says to the cell that hides it."""
        group = cell.item
        cell.is_root |= item.is_root
        cell.grads += item.grads
        if item.kind == "node" and cell.kind == "node":
            cell.detail = item.name
        elif item.kind == "op" and group is not None:
            count = group.count
            cell.detail = item.name if count == 1 else f"{count} ops"
            self._used(cell, item)
            cell.note = cell.note or (self._note(item) if count == 1 else "")

    def _used(self, cell: Cell, op: Item) -> None:
        """The parameters of an op, out of the module header that they are in."""
        for group in op.ancestors():
            if group.kind == "module":
                inputs = getattr(op.event, "inputs", ())
                self._owned(
                    cell, {t: n for t, n in group.params.items() if t in inputs}, group.path
                )

    def _owned(self, cell: Cell, params: Mapping[int, str], path: str) -> None:
        base = (
            cell.item.path + "."
            if cell.item is not None and cell.kind in ("group", "module")
            else ""
        )
        for tensor, local in params.items():
            name = f"{path}.{local}".removeprefix(base) if base else local
            cell.params.setdefault(tensor, name)

    def _pills(self, cell: Cell) -> list[str]:
        metas = {t: self.graph.store.meta(t) for t in cell.params}
        if len(metas) > _PILLS:
            size = sum(prod(m.shape) for m in metas.values() if m is not None)
            return [f"{len(metas)} parameters", f"{count_text(size)} elements"]
        shapes = {t: shape_text(m.shape) if m is not None else "" for t, m in metas.items()}
        return [f"{name} {shapes[t]}".strip() for t, name in cell.params.items()]

    # -- arrows ------------------------------------------------------------------------------

    def _visible(self, item: Item | None) -> int | None:
        """The cell of an item or of the group that hides it."""
        while item is not None and item not in self.cell_of:
            item = item.parent
        return self.cell_of[item] if item is not None else None

    def _arrow(self, source: Item, target: Item, arrows: dict[Arrow, None]) -> None:
        a, b = self._visible(source), self._visible(target)
        if a is not None and b is not None and a < b:
            arrows[Arrow(a, b)] = None

    def _backward(self, arrows: dict[Arrow, None]) -> None:
        """Put backward nodes beside their forward cells, and the gradients' arrows between them."""
        for item in self.graph.items:
            at = self._visible(item.forward) if item.kind == "node" else None
            if at is None:
                continue
            cell = self.picture.cells[at]
            if cell.kind != "outside":
                meta = item.shape
                shape = tensor_text(meta.dtype, meta.shape) if meta is not None else ""
                cell.backward = cell.backward or Backward(shape, self._note(item))
                cell.backward.grads += item.grads
            for source in item.sources:
                node = source if source.kind == "node" else source.parent
                below = self._visible(node.forward) if node is not None else None
                if below is not None and at < below:
                    arrows[Arrow(at, below, True)] = None


def _what_matters(items: list[Item], graph: StepGraph) -> list[Item]:
    """What backward's roots depend on, and whatever failed; all of it if there is no root.

    How a parameter or buffer got its first value is not part of it.
    """

    def sets_up(item: Item) -> bool:
        leaves = [graph.store.leaf(m.id) for m in item.outputs]
        return item.kind == "op" and any(
            leaf is not None and leaf.role in ("parameter", "buffer") for leaf in leaves
        )

    todo = [i for i in items if i.is_root]
    if not todo:
        return items
    todo += [i for i in items if i.error]
    useful: set[Item] = set()
    while todo:
        item = todo.pop()
        if item not in useful and not sets_up(item):
            useful.add(item)
            todo.extend(item.sources)
            todo.extend(item.ancestors())
    return [i for i in items if i in useful]


def _cell(kind: str, item: Item, parent: int) -> Cell:
    title, detail = _names(item)
    if item.kind == "module":
        title, detail = f"{title} {detail}".strip(), ""
    meta = item.shape
    shape = tensor_text(meta.dtype, meta.shape) if meta is not None else ""
    return Cell(kind, title, detail, shape, parent, item, error=item.error, is_root=item.is_root)


def _names(item: Item) -> tuple[str, str]:
    """Title and detail of a cell or a cluster."""
    if item.kind == "module":
        name = item.path
        for group in item.ancestors():
            if group.kind == "module":
                name = item.path.removeprefix(group.path + ".")
                break
        if item.call > 1:
            name = f"{name} #{item.call}"
        return name, item.cls
    if item.kind == "leaf":
        return item.name, {"input": "", "earlier": "of an earlier step"}.get(item.role, item.role)
    return item.name, ""


def _grad_pills(grads: list[Grad]) -> list[str]:
    if len(grads) > _PILLS:
        return [f"{len(grads)} gradients"]
    names = [e.name.rpartition(".")[2] or f"tensor {e.leaf}" for e in grads]
    return [f"{name}.grad {shape_text(e.total.shape)}" for name, e in zip(names, grads)]
