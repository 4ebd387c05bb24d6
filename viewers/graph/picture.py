"""What a picture of a step shows: cells, clusters and arrows, before anybody decides where.

Groups deeper than ``depth`` are one cell. In "both", a cell has the backward node of its forward op
at its side, and the gradients' arrows run beside the forward ones, upwards. Where a group has too
many children to be looked at (a loop of 10,000 steps), they are packed into groups of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod

from framework.trace.events import Grad
from viewers.graph.facts import Facts, norm_text, value_text
from viewers.graph.step import Item, StepGraph
from viewers.graph.store import TraceStore
from viewers.text import count_text, shape_text, tensor_text

__all__ = [
    "Arrow", "Backward", "Cell", "Cluster", "Picture", "PictureError", "closed", "count_lines",
    "make", "packed",
]  # fmt: skip

_CELLS = 150  # a picture without a given depth stays below
_PACK = 50  # children of a pack
PILLS = 3  # parameters named beside a cell
_GROUPS = ("module", "composite")
_CELL_KINDS = ("op", "leaf", "node", *_GROUPS)


class PictureError(Exception):
    """There is no such picture; one line says why."""


@dataclass(slots=True)
class Backward:
    """The backward side of a cell: its nodes and what they accumulated."""

    shape: str  # of the gradient that came
    note: str = ""
    items: list[Item] = field(default_factory=list)
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
    kind: str  # "module" | "composite" | "pack"
    parent: int
    error: str = ""
    item: Item | None = None
    params: Mapping[int, str] = field(default_factory=dict)


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
    facts: Facts | None = None,
    whole: bool = False,
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
        facts: figures of the values, for what has no annotation; names of variables and cells.
        whole: all groups are clusters, however deep; `Picture.depth` is that to open at first.

    Raises:
        PictureError: there is nothing to show.
    """
    maker = _Maker(graph, phase, depth, module, annotations or {}, everything, facts, whole)
    picture = maker.make()
    if whole:
        return packed(picture)
    if depth is None and len(picture.cells) > _CELLS:
        picture = packed(picture)
        picture = closed(picture, {i for i, c in enumerate(picture.clusters) if c.kind == "pack"})
    return picture


class _Maker:
    def __init__(
        self,
        graph: StepGraph,
        phase: str,
        depth: int | None,
        module: str | None,
        annotations: Mapping[int | str, str],
        everything: bool,
        facts: Facts | None,
        whole: bool,
    ) -> None:
        self.graph = graph
        self.phase = phase
        self.module = module
        self.annotations = annotations
        self.facts = facts or Facts(graph)
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
        self.merge = depth is None or whole
        step = graph.step
        cell = self.facts.cell_name(step.cell) if step.cell else ""
        name = f"step {step.number}" if step.number else cell
        self.picture = Picture(phase, " · ".join(filter(None, (module, name, phase))))
        self.picture.depth = self._readable() if depth is None else max(depth, 0)
        self.depth = 1 + max(self.nest.values(), default=0) if whole else self.picture.depth
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
            cell.pills = self._grad_pills(cell.grads) if cell.grads else self._pills(cell)
            if cell.backward is not None:
                cell.backward.pills = self._grad_pills(cell.backward.grads)
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
            self.cell_of[source] = self._add(_cell(kind, source, -1, self.facts))

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
        cell = _cell(kind, item, cluster, self.facts)
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
        self.picture.clusters.append(
            Cluster(title, detail, item.kind, parent, error, item, item.params)
        )

    def _add(self, cell: Cell) -> int:
        self.picture.order.append((False, len(self.picture.cells)))
        self.picture.cells.append(cell)
        return len(self.picture.cells) - 1

    def _note(self, item: Item) -> str:
        keys: Iterable[int | str] = (item.key, *(m.id for m in item.outputs))
        given = next((self.annotations[k] for k in keys if k in self.annotations), "")
        if given:
            return given
        return value_text(self.facts.value(item), gradient=item.phase == "backward")

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
        if len(metas) > PILLS:
            return count_lines(self.graph.store, metas)
        shapes = {t: shape_text(m.shape) if m is not None else "" for t, m in metas.items()}
        at = cell.item.begin if cell.item is not None else 0
        return [
            f"{name} {shapes[t]} {self._size(t, at, 'w')}".strip()
            for t, name in cell.params.items()
        ]

    def _grad_pills(self, grads: list[Grad]) -> list[str]:
        if len(grads) > PILLS:
            return [f"{len(grads)} gradients"]
        names = [
            (e.name or self.facts.leaf_name(e.leaf)).rpartition(".")[2] or f"tensor {e.leaf}"
            for e in grads
        ]
        return [
            f"{name}.grad {shape_text(e.total.shape)} {self._size(e.total.id, e.seq, 'g')}".strip()
            for name, e in zip(names, grads)
        ]

    def _size(self, tensor: int, seq: int, letter: str) -> str:
        return norm_text(self.facts.tensor(tensor, seq), letter)

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
                shape = tensor_text(meta.dtype, meta.shape, meta.device) if meta is not None else ""
                cell.backward = cell.backward or Backward(shape, self._note(item))
                cell.backward.grads += item.grads
                cell.backward.items.append(item)
            for source in item.sources:
                node = source if source.kind == "node" else source.parent
                below = self._visible(node.forward) if node is not None else None
                if below is not None and at < below:
                    arrows[Arrow(at, below, True)] = None


def count_lines(store: TraceStore, tensors: Iterable[int]) -> list[str]:
    """How much is in many parameters and buffers: as elsewhere, buffers are none of the first."""
    leaves = {t: store.leaf(t) for t in tensors}
    params = [t for t, leaf in leaves.items() if leaf is None or leaf.role != "buffer"]
    counted, word = (params, "parameter") if params else (list(leaves), "buffer")
    metas = [store.meta(t) for t in counted]
    size = sum(prod(m.shape) for m in metas if m is not None)
    return [f"{len(counted)} {word}{'s' * (len(counted) != 1)}", f"{count_text(size)} elements"]


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


def _cell(kind: str, item: Item, parent: int, facts: Facts) -> Cell:
    title, detail = _names(item)
    if item.kind == "module":
        title, detail = f"{title} {detail}".strip(), ""
    if variable := facts.variable(item):
        if item.kind == "leaf" and item.role == "input":
            title = variable
        elif kind != "group":
            detail = f"→ {variable} {detail}".rstrip()
    meta = item.shape
    shape = tensor_text(meta.dtype, meta.shape, meta.device) if meta is not None else ""
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


# -- packs -----------------------------------------------------------------------------------

_Entry = tuple[bool, int]  # as in `Picture.order`


def packed(picture: Picture, most: int = _PACK) -> Picture:
    """The same with children that are too many in clusters of kind "pack", ``most`` in each.

    Packs that are too many are packed again, so that 100,000 ops in a row are three levels deep.
    """
    children: dict[int, list[_Entry]] = {-1: []}
    for entry in picture.order:
        is_cluster, index = entry
        parent = picture.clusters[index].parent if is_cluster else picture.cells[index].parent
        children.setdefault(parent, []).append(entry)
    if all(len(entries) <= 3 * most for entries in children.values()):
        return picture
    clusters = list(picture.clusters)
    for parent, entries in list(children.items()):
        total = len(entries)
        while len(entries) > 3 * most:
            packs: list[_Entry] = []
            for start in range(0, len(entries), most):
                inside = entries[start : start + most]
                titles = _title(clusters, picture, inside[0]), _title(clusters, picture, inside[-1])
                title = " … ".join(dict.fromkeys(part for t in titles for part in t.split(" … ")))
                if title.count(" … ") > 1:
                    title = f"{title.partition(' … ')[0]} … {title.rpartition(' … ')[2]}"
                number = len(clusters)
                clusters.append(Cluster(title, f"{len(inside)} of {total}", "pack", parent))
                children[number] = inside
                packs.append((True, number))
                for is_cluster, index in inside:
                    if is_cluster:
                        clusters[index] = replace(clusters[index], parent=number)
                    else:
                        picture.cells[index].parent = number
            entries = packs
            total = len(entries)
        children[parent] = entries
    order: list[_Entry] = []
    todo = children[-1][::-1]
    while todo:
        entry = todo.pop()
        order.append(entry)
        if entry[0]:
            todo += reversed(children.get(entry[1], ()))
    return replace(picture, clusters=clusters, order=order)


def _title(clusters: list[Cluster], picture: Picture, entry: _Entry) -> str:
    is_cluster, index = entry
    return clusters[index].title if is_cluster else picture.cells[index].title


def closed(picture: Picture, which: Collection[int]) -> Picture:
    """The same with these clusters as one cell each, and arrows to them instead of into them."""
    made = Picture(picture.phase, picture.title, picture.depth)
    cell_of: dict[int, int] = {}  # cells
    inside: dict[int, int] = {-1: -1}  # clusters that are hidden, or closed -> the new cell
    cluster_of: dict[int, int] = {-1: -1}
    counts: Counter[int] = Counter()
    for is_cluster, index in picture.order:
        thing: Cluster | Cell = (picture.clusters if is_cluster else picture.cells)[index]
        hidden = inside.get(thing.parent, -1)
        if hidden >= 0:
            if is_cluster:
                inside[index] = hidden
            else:
                cell_of[index] = hidden
                counts[hidden] += 1
                _merge(made.cells[hidden], picture.cells[index])
            continue
        parent = cluster_of[thing.parent]
        if is_cluster and index not in which:
            cluster_of[index] = len(made.clusters)
            made.order.append((True, len(made.clusters)))
            made.clusters.append(replace(picture.clusters[index], parent=parent))
            continue
        number = len(made.cells)
        if is_cluster:
            inside[index] = number
            made.cells.append(Cell("group", thing.title, thing.detail, "", parent))
        else:
            cell_of[index] = number
            made.cells.append(replace(picture.cells[index], parent=parent))
        made.order.append((False, number))
    for number, count in counts.items():
        made.cells[number].detail = f"{count_text(count)} nodes"
    arrows: dict[Arrow, None] = {}
    for arrow in picture.arrows:
        a, b = cell_of[arrow.source], cell_of[arrow.target]
        if a != b:
            arrows[Arrow(a, b, arrow.backward)] = None
    made.arrows = list(arrows)
    return made


def _merge(group: Cell, cell: Cell) -> None:
    """What a closed group says of a cell in it: the last one's shape, errors, that it is a root."""
    group.shape, group.note = cell.shape, cell.note
    group.error = group.error or cell.error
    group.is_root |= cell.is_root
    group.grads += cell.grads
    if group.grads:
        group.pills = [f"{len(group.grads)} gradients"]
    if cell.backward is not None:
        before = group.backward
        grads = [*(before.grads if before is not None else ()), *cell.backward.grads]
        group.backward = replace(cell.backward, grads=grads, pills=[], items=[])
        if grads:
            group.backward.pills = [f"{len(grads)} gradients"]
