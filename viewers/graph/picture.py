"""What a picture of a step shows: cells, clusters and arrows, before anybody decides where.

Groups deeper than ``depth`` are one cell. In "both", a cell has the backward node of its forward op
at its side, and the gradients' arrows run beside the forward ones, upwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from framework.trace.events import Grad, ModuleBegin
from viewers.graph.step import Item, StepGraph
from viewers.text import count_text, shape_text, tensor_text

__all__ = ["Arrow", "Backward", "Cell", "Cluster", "Picture", "PictureError", "make"]

_CELLS = 150  # a picture without a given depth stays below, if some depth allows it
_PILLS = 3  # parameters named beside a cell
_DRAWN = ("op", "leaf", "module", "composite", "node", "backward")
_GROUPS = ("module", "composite", "backward")


class PictureError(Exception):
    """There is no such picture; one line says why."""


@dataclass(slots=True)
class Backward:
    """The backward side of a cell: its nodes and what they accumulated."""

    title: str
    shape: str
    done: int = 0
    wants: int = 0
    grads: list[Grad] = field(default_factory=list)
    pills: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class Cell:
    """A node of the picture. Kinds: op, leaf, group, node, root, outside."""

    kind: str
    title: str
    detail: str  # class, name of the op in it, or the role of a leaf
    shape: str
    parent: int  # cluster, -1 for none
    item: Item | None = None
    note: str = ""  # the caller's annotation
    error: str = ""
    is_root: bool = False
    pills: list[str] = field(default_factory=list)  # parameters, or the gradients of a node
    params: dict[int, str] = field(default_factory=dict)
    backward: Backward | None = None
    far_out: list[str] = field(default_factory=list)  # labels of arrows that are not drawn
    far_in: list[str] = field(default_factory=list)


@dataclass(slots=True)
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
    phase: str
    depth: int
    title: str
    cells: list[Cell] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    # In the order of the program: (True, cluster) where it begins, (False, cell).
    order: list[tuple[bool, int]] = field(default_factory=list)


def make(
    graph: StepGraph,
    phase: str = "forward",
    depth: int | None = None,
    module: str | None = None,
    annotations: Mapping[int | str, str] | None = None,
) -> Picture:
    """Choose what a picture of a step shows.

    Args:
        phase: "forward", "backward" or "both".
        depth: groups (modules and composite ops) open down to this depth; None: as deep as the
            picture stays readable.
        module: only the calls of this module; other tensors that they use are shown as inputs.
        annotations: a short text by tensor id or by item key.

    Raises:
        PictureError: there is nothing to show.
    """
    return _Maker(graph, phase, depth, module, annotations or {}).make()


class _Maker:
    def __init__(
        self,
        graph: StepGraph,
        phase: str,
        depth: int | None,
        module: str | None,
        annotations: Mapping[int | str, str],
    ) -> None:
        self.graph = graph
        self.phase = phase
        self.module = module
        self.annotations = annotations
        self.drawn = "backward" if phase == "backward" else "forward"
        self.items = self._chosen()
        self.base = self._base_levels()
        self.nest = {item: self._nest(item) for item in self.items}
        self.single = depth is None
        self.depth = self._readable() if depth is None else max(depth, 0)
        self.cell_of: dict[Item, int] = {}
        self.cluster_of: dict[Item, int] = {}
        self.outside: dict[Item, int] = {}
        step = graph.step
        name = f"step {step.number}" if step.number else f"cell {step.cell}" if step.cell else ""
        title = " · ".join(filter(None, (module or "", name, phase)))
        self.picture = Picture(phase, self.depth, title)

    # -- choosing ----------------------------------------------------------------------------

    def _chosen(self) -> list[Item]:
        """Items of the phase, in order; only those in the module, if one is asked for."""
        found = []
        inside: set[Item] = set()
        for item in self.graph.items:
            if item.phase != self.drawn or item.kind not in _DRAWN:
                continue
            if item.parent is not None and item.parent.kind == "node":
                continue  # what a node does inside is not drawn
            if self.module is not None:
                if item.kind == "module" and item.path == self.module:
                    inside.add(item)
                elif item.parent in inside:
                    inside.add(item)
                else:
                    continue
            found.append(item)
        return found

    def _base_levels(self) -> set[Item]:
        """Groups that are no frame in the picture: the backward pass."""
        return {i for i in self.items if i.kind == "backward"}

    def _nest(self, item: Item) -> int:
        return sum(a in self.nest_members and a not in self.base for a in item.ancestors())

    @property
    def nest_members(self) -> set[Item]:
        members = self.__dict__.get("_members")
        if members is None:
            members = self.__dict__["_members"] = set(self.items)
        return members

    def _readable(self) -> int:
        """The largest depth that does not give too many cells; at least 1."""
        counts: dict[int, int] = {}
        deepest = 0
        for item in self.items:
            nest = self.nest[item]
            if item in self.base:
                continue
            if item.kind in _GROUPS:
                counts[nest] = counts.get(nest, 0) + 1  # a cell when the depth is exactly this
            deepest = max(deepest, nest)
        plain = [0] * (deepest + 1)
        for item in self.items:
            if item.kind not in _GROUPS:
                plain[self.nest[item]] += 1
        best, seen = 1, 0
        for depth in range(deepest + 1):
            seen += plain[depth]
            if seen + counts.get(depth, 0) <= _CELLS:
                best = max(best, depth)
        return best

    # -- making ------------------------------------------------------------------------------

    def make(self) -> Picture:
        for item in self.items:
            self._item(item)
        if not self.picture.cells:
            what = f"module {self.module!r}" if self.module else f"{self.drawn} op"
            raise PictureError(f"no {what} in this step")
        self._roots()
        arrows: dict[Arrow, None] = {}
        for item in self.items:
            if item in self.base:
                continue
            for source in item.sources:
                self._arrow(source, item, arrows)
        for group in [i for i in self.items if i.kind in _GROUPS]:
            for source in group.sources:
                self._arrow(source, group, arrows)
        if self.phase == "both":
            self._backward(arrows)
        self.picture.arrows = list(arrows)
        for cell in self.picture.cells:
            cell.pills = cell.pills or self._pills(cell)
        return self.picture

    def _item(self, item: Item) -> None:
        if item in self.base:
            return
        parent = item.parent
        known = parent is not None and parent in self.nest_members and parent not in self.base
        if known and parent in self.cell_of:  # hidden in a group's cell
            self.cell_of[item] = self.cell_of[parent]
            self._hide(item, self.picture.cells[self.cell_of[item]])
            return
        cluster = self.cluster_of[parent] if known and parent is not None else -1
        if item.kind in _GROUPS and self.nest[item] < self.depth and not self._alone(item):
            self._cluster(item, cluster)
        else:
            self._cell(item, cluster)

    def _alone(self, item: Item) -> bool:
        """A module around a single op is one cell, unless a depth was asked for."""
        if not self.single or item.kind != "module":
            return False
        return item.count <= 1 and not item.failed_inside

    def _cluster(self, item: Item, parent: int) -> None:
        self.cluster_of[item] = len(self.picture.clusters)
        self.picture.order.append((True, len(self.picture.clusters)))
        title, detail = _names(item)
        kind = "composite" if item.kind == "composite" else "module"
        error = item.error if not item.failed_inside else ""
        self.picture.clusters.append(Cluster(title, detail, kind, parent, error))

    def _cell(self, item: Item, parent: int) -> None:
        title, detail = _names(item)
        kind = "group" if item.kind in _GROUPS else item.kind
        meta = item.shape
        shape = tensor_text(meta.dtype, meta.shape) if meta is not None else ""
        cell = Cell(kind, title, detail, shape, parent, item, error=item.error)
        cell.is_root = item.is_root
        cell.note = self._note(item.key, [m.id for m in item.outputs])
        if item.kind == "module":
            cell.params = dict(item.params)
        if item.kind == "node":
            cell.pills = _grad_pills(item.grads)
        self.cell_of[item] = self._add(cell)
        if item.kind == "op":
            self._owned(item, cell)

    def _add(self, cell: Cell) -> int:
        index = len(self.picture.cells)
        self.picture.cells.append(cell)
        self.picture.order.append((False, index))
        return index

    def _note(self, key: str, tensors: Iterable[int]) -> str:
        text = self.annotations.get(key)
        if text is not None:
            return text
        return next((self.annotations[t] for t in tensors if t in self.annotations), "")

    def _hide(self, item: Item, cell: Cell) -> None:
        """Add what a hidden item says to the cell that hides it."""
        cell.is_root |= item.is_root
        group = cell.item
        if item.kind == "op" and group is not None and group.kind == "module":
            cell.detail = item.name if group.count <= 1 else f"{group.count} ops"
            self._owned(item, cell)
        elif item.kind == "op" and group is not None:
            cell.detail = f"{group.count} op{'s' * (group.count != 1)}"
            self._owned(item, cell)
        elif item.kind == "node":
            cell.pills = _grad_pills([*self._grads_in(group)])

    def _grads_in(self, group: Item | None) -> list[Grad]:
        return [g for i in self.items if i.kind == "node" and group in i.ancestors() for g in i.grads]

    def _owned(self, op: Item, cell: Cell) -> None:
        """The parameters that an op uses, with their names in the header that they are in."""
        for tensor in getattr(op.event, "inputs", ()):
            for group in op.ancestors():
                if tensor in group.params and group.kind == "module":
                    cell.params.setdefault(tensor, group.params[tensor])

    def _pills(self, cell: Cell) -> list[str]:
        names = []
        for tensor, local in cell.params.items():
            meta = self.graph.store.meta(tensor)
            names.append(f"{local} {shape_text(meta.shape) if meta else ''}".strip())
        if len(names) > _PILLS:
            return [f"{len(names)} parameters", f"{count_text(self._elements(cell))} elements"]
        return names

    def _elements(self, cell: Cell) -> int:
        total = 0
        for tensor in cell.params:
            meta = self.graph.store.meta(tensor)
            size = 1
            for n in meta.shape if meta is not None else (0,):
                size *= n
            total += size
        return total

    # -- arrows ------------------------------------------------------------------------------

    def _visible(self, item: Item) -> int | None:
        """The cell of an item or of the group that hides it."""
        found: Item | None = item
        while found is not None:
            if found in self.cell_of:
                return self.cell_of[found]
            if found in self.cluster_of:
                return None
            found = found.parent
        return None

    def _arrow(self, source: Item, target: Item, arrows: dict[Arrow, None]) -> None:
        b = self._visible(target)
        if b is None:
            return
        a = self._visible(source)
        if a is None and self.module is not None and source not in self.nest_members:
            a = self._from_outside(source)
        if a is not None and a < b:
            arrows[Arrow(a, b)] = None

    def _from_outside(self, source: Item) -> int:
        """A cell for something that a module gets from elsewhere; before all others."""
        known = self.outside.get(source)
        if known is None:
            raise KeyError(source)
        return known

    def _roots(self) -> None:
        """Cells that stand for what is outside: a module's inputs, what backward starts from."""
        new: list[tuple[Item, Cell]] = []
        if self.module is not None:
            for item in self.items:
                for source in item.sources:
                    if source in self.nest_members or any(source is s for s, _ in new):
                        continue
                    if source.phase == self.drawn and self._visible(source) is None:
                        meta = source.shape
                        shape = tensor_text(meta.dtype, meta.shape) if meta else ""
                        new.append((source, Cell("outside", _names(source)[0], "", shape, -1)))
        elif self.phase == "backward":
            for item in self.base:
                for root in item.inputs:
                    meta = root.shape
                    shape = tensor_text(meta.dtype, meta.shape) if meta else ""
                    new.append((root, Cell("root", root.name, "", shape, -1, root)))
        if not new:
            return
        count = len(new)
        self.picture.cells[:0] = [cell for _, cell in new]
        self.cell_of = {k: v + count for k, v in self.cell_of.items()}
        for i, (source, _) in enumerate(new):
            self.outside[source] = i
        shifted = [(g, i if g else i + count) for g, i in self.picture.order]
        self.picture.order = [(False, i) for i in range(count)] + shifted
        if self.phase == "backward" and self.module is None:
            self._first_nodes(count)

    def _first_nodes(self, count: int) -> None:
        """Backward begins at the nodes that no other node feeds."""
        for item in self.items:
            if item.kind == "node" and not item.sources and item.forward is not None:
                forward = {item.forward, *item.forward.ancestors()}
                for root, index in self.outside.items():
                    if root in forward:
                        self.cell_of.setdefault(root, index)
                        item.sources[:0] = []
                        self.picture.arrows.append(Arrow(index, self.cell_of[item]))

    def _backward(self, arrows: dict[Arrow, None]) -> None:
        """Put backward nodes beside their forward cells, and the gradients' arrows between them."""
        cells = self.picture.cells
        for item in self.graph.items:
            if item.kind != "node" or item.forward is None:
                continue
            at = self._visible(item.forward)
            if at is None:
                continue
            cell = cells[at]
            side = cell.backward
            if side is None:
                meta = item.shape
                shape = tensor_text(meta.dtype, meta.shape) if meta is not None else ""
                side = cell.backward = Backward(cell.title, shape)
                side.note = self._note(item.key, [m.id for m in item.outputs])
            side.done += item.end > 0
            side.grads += item.grads
            for source in item.sources:
                node = source if source.kind == "node" else source.parent
                if node is None or node.forward is None:
                    continue
                below = self._visible(node.forward)
                if below is not None and at < below:
                    arrows[Arrow(at, below, True)] = None
        for cell in cells:
            if cell.backward is not None:
                cell.backward.pills = _grad_pills(cell.backward.grads)


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
        event = item.event
        return name, event.cls if isinstance(event, ModuleBegin) else ""
    if item.kind == "leaf":
        return item.name, {"input": "", "earlier": "of an earlier step"}.get(item.role, item.role)
    return item.name, ""


def _grad_pills(grads: list[Grad]) -> list[str]:
    names = []
    for e in grads:
        local = e.name.rpartition(".")[2] or f"tensor {e.leaf}"
        names.append(f"{local}.grad {shape_text(e.total.shape)}")
    if len(names) > _PILLS:
        return [f"{len(names)} gradients"]
    return names
