"""A model's modules as a table: shapes, parameters, FLOPs, memory, time forward and backward.

The table is made from the tape of a step, so that it says what ran: `summary_of` for a tape that
there is, `summarize` for a model and its inputs. A module's figures are those of all that is in it.
"""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from framework.trace.events import Op, TensorMeta
from framework.trace.saved import is_view, saved_by
from viewers.flops import flops
from viewers.graph.facts import Times
from viewers.graph.step import Item, StepGraph
from viewers.graph.store import Step, TraceStore
from viewers.text import (
    bytes_of,
    count_text,
    crop,
    pad,
    short,
    size_text,
    tensor_text,
    width_of,
)

__all__ = ["ModelSummary", "Row", "summarize", "summary_of"]

_OUTSIDE = "(outside of modules)"


@dataclass(slots=True)
class Row:
    """One module, or one kind of op; all that is in it is counted."""

    path: str
    cls: str = ""
    level: int = 0  # how many modules are around it
    calls: int = 0
    shape: str = ""  # of its output
    params: dict[int, TensorMeta] = field(default_factory=dict)
    buffers: dict[int, TensorMeta] = field(default_factory=dict)
    flops: int = 0
    saved: int = 0  # bytes kept for backward, each tensor once, parameters left out
    forward: int = 0  # ns
    backward: int = 0
    seq: int = 0  # of its first call

    @property
    def parameters(self) -> int:
        """How many numbers its parameters have."""
        return sum(prod(m.shape) for m in self.params.values())

    @property
    def trainable(self) -> int:
        """How many of them want a gradient."""
        return sum(prod(m.shape) for m in self.params.values() if m.requires_grad)

    @property
    def memory(self) -> int:
        """Bytes of its parameters and buffers."""
        metas = (*self.params.values(), *self.buffers.values())
        return sum(bytes_of(m.dtype, m.shape) for m in metas)


@dataclass(slots=True)
class ModelSummary:
    """The table. Prints as text, and as a table in Jupyter and in Rich's consoles.

    Attributes:
        rows: modules in the order in which they were first called.
        ops: the same figures by op.
        total: of everything in the step.
        uncounted: ops without a formula, and how often they ran.
        depth: modules deeper than this are not shown, None for all.
        first: is it the first training step, whose times are no usual ones?
    """

    title: str
    rows: list[Row]
    ops: list[Row]
    total: Row
    uncounted: dict[str, int]
    depth: int | None = None
    first: bool = False

    def lines(self, width: int = 0) -> list[str]:
        """The table by module as text, in at most ``width`` columns (0: as wide as it gets)."""
        shown = self.shown()
        named = [(f"{'  ' * r.level}{_local(r, shown)} {r.cls}".rstrip(), r) for r in shown]
        return [*self._table("module", named, self.total, width), "", *self.notes()]

    def op_lines(self, width: int = 0) -> list[str]:
        """The same by op, the one that took longest first."""
        ranked = sorted(self.ops, key=lambda r: -(r.forward + r.backward))
        times = sum(r.forward for r in ranked), sum(r.backward for r in ranked)
        total = replace(self.total, forward=times[0], backward=times[1])
        named = [(r.path, r) for r in ranked]
        return [*self._table("op", named, total, width), "", *self.notes()]

    def _table(self, what: str, named: list[tuple[str, Row]], total: Row, width: int) -> list[str]:
        table: list[tuple[str, ...]] = [(what, *_HEADS)]
        table += [(name, *_cells(row, total)) for name, row in named]
        table.append(("total", *_cells(total, total)))
        columns = list(zip(*table))
        used = [i for i, column in enumerate(columns) if i == 0 or any(column[1:])]
        sizes = {i: max(map(width_of, columns[i])) for i in used}
        if width:  # what matters least goes first, then the names are cut
            for i in _SPARE:
                if i in sizes and sum(sizes.values()) + 2 * len(sizes) - 2 > width:
                    del sizes[i]
                    used.remove(i)
            rest = sum(size + 2 for i, size in sizes.items() if i)
            sizes[0] = max(12, min(sizes[0], width - rest))
        lines = [
            "  ".join(
                pad(crop(row[i], sizes[i]), sizes[i], "left" if i < 2 else "right") for i in used
            ).rstrip()
            for row in table
        ]
        rule = "─" * max(map(width_of, lines))
        return [self.title, "", lines[0], rule, *lines[1:-1], rule, lines[-1]]

    def notes(self) -> Iterator[str]:
        """What stands below the table."""
        total = self.total
        fixed = total.parameters - total.trainable
        yield (
            f"parameters {total.parameters:,}, trainable {total.trainable:,}, fixed {fixed:,}; "
            f"{size_text(total.memory)} with buffers"
        )
        yield (
            f"saved for backward {size_text(total.saved)}; FLOPs forward {total.flops:,} "
            "(a multiplication and an addition are two)"
        )
        if self.first:
            yield (
                "times of the first step: with what is done once (kernels are compiled or loaded, "
                "memory is taken); --step N shows a later one"
            )
        if self.uncounted:
            names = [f"{n} ×{c}" if c > 1 else n for n, c in self.uncounted.items()]
            yield f"not counted as FLOPs: {', '.join(names)}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def __rich__(self) -> Any:
        """A Rich table."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.title), caption=Text("\n".join(self.notes())))
        for i, head in enumerate(("module", *_HEADS)):
            table.add_column(head, justify="left" if i < 2 else "right")
        for row in self._texts():
            table.add_row(*(Text(text) for text in row))
        return table

    def _repr_html_(self) -> str:
        """A table for Jupyter."""

        def cells(texts: Iterable[str], tag: str) -> str:
            return "".join(
                f'<{tag} style="text-align:{"left" if i < 2 else "right"};white-space:pre">'
                f"{html.escape(text)}</{tag}>"
                for i, text in enumerate(texts)
            )

        rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in self._texts())
        notes = "<br>".join(html.escape(note) for note in self.notes())
        return (
            f"<table><caption>{html.escape(self.title)}</caption>"
            f"<thead><tr>{cells(('module', *_HEADS), 'th')}</tr></thead><tbody>{rows}</tbody>"
            f"</table><div>{notes}</div>"
        )

    def shown(self) -> list[Row]:
        """The rows that are not too deep."""
        return [r for r in self.rows if self.depth is None or r.level < self.depth]

    def _texts(self) -> Iterator[tuple[str, ...]]:
        shown = self.shown()
        for r in shown:
            yield f"{'  ' * r.level}{_local(r, shown)} {r.cls}".rstrip(), *_cells(r, self.total)
        yield "total", *_cells(self.total, self.total)


_SPARE = (2, 8)  # columns that a narrow table does without: calls, share
_HEADS = ("output", "calls", "params", "FLOPs", "saved", "forward", "backward", "share")


def _cells(row: Row, total: Row) -> tuple[str, ...]:
    taken, all_ = row.forward + row.backward, total.forward + total.backward
    fixed = row.parameters and not row.trainable
    return (
        row.shape,
        str(row.calls) if row.calls > 1 else "",
        (count_text(row.parameters) + (" fixed" if fixed else "")) if row.parameters else "",
        count_text(row.flops) if row.flops else "",
        size_text(row.saved) if row.saved else "",
        time_text(row.forward),
        time_text(row.backward),
        f"{100 * taken / all_:.0f} %" if taken and all_ else "",
    )


def time_text(ns: float) -> str:
    """
    >>> [time_text(t) for t in (0, 1234, 5_600_000, 2_000_000_000)]
    ['', '1.23 µs', '5.6 ms', '2 s']
    """
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if ns >= size:
            return f"{short(ns / size)} {unit}"
    return f"{short(ns / 1e3)} µs" if ns else ""


def _local(row: Row, rows: list[Row]) -> str:
    """A module's name within the one around it."""
    outer, _, name = row.path.rpartition(".")
    while outer and not any(r.path == outer for r in rows):
        outer, _, more = outer.rpartition(".")
        name = f"{more}.{name}"
    return name


# -- from a tape -----------------------------------------------------------------------------


def summarize(
    model: Any, *inputs: Any, depth: int | None = None, backward: bool = True, **keywords: Any
) -> ModelSummary:
    """The modules of ``model(*inputs, **keywords)``, run forward and, unless told not to, backward.

    The model's gradients, buffers and the random numbers are left as they were.

    >>> import framework as torch
    >>> from framework import nn
    >>> model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    >>> made = summarize(model, torch.randn(8, 64))
    >>> [(row.path, row.shape, row.parameters, row.flops) for row in made.rows][1:4]
    [('model.0', 'f32[8,32]', 2080, 33024), ('model.1', 'f32[8,32]', 0, 256), \
('model.2', 'f32[8,10]', 330, 5200)]
    """
    from framework.trace.trial import trial

    tape = trial(model, inputs, keywords, backward)
    store = TraceStore(max_events=1 << 23)
    store.feed(tape.read())
    return summary_of(store, depth=depth, title=type(model).__name__)


def summary_of(
    source: TraceStore | StepGraph,
    step: Step | None = None,
    *,
    depth: int | None = None,
    title: str = "",
) -> ModelSummary:
    """The modules of a step; of the newest one with ops if none is given."""
    if isinstance(source, StepGraph):
        graph = source
    else:
        if step is None:
            step = next((s for s in reversed(source.steps) if s.counts[0] or s.counts[1]), None)
        if step is None:
            raise ValueError("there is no step with ops in this trace")
        graph = source.graph(step)
    step = graph.step
    if not title:
        title = f"step {step.number}" if step.number else "outside of training steps"
    return _Maker(graph).make(title, depth)


class _Maker:
    def __init__(self, graph: StepGraph) -> None:
        self.graph = graph
        self.store = graph.store
        self.times = Times(graph)
        self.rows: dict[str, Row] = {}
        self.ops: dict[str, Row] = {}
        self.total = Row("total")
        self.uncounted: dict[str, int] = defaultdict(int)
        self.open = False  # is one of the modules still being run?
        self._bases: dict[int, int] = {}
        self._counted: set[int] = set()  # memory that is kept already

    def make(self, title: str, depth: int | None) -> ModelSummary:
        for item in self.graph.items:
            if item.phase == "forward" and item.kind == "module":
                self._module(item)
            elif item.phase == "forward" and item.kind == "op":
                self._op(item)
        for row in self.rows.values():
            self.total.params |= row.params
            self.total.buffers |= row.buffers
        if self.open:
            title = f"{title}, up to here"
        outside = self.rows.pop("", None)
        if outside is not None:  # what an optimizer updates is a module's all the same
            for row in self.rows.values():
                for held, own in ((outside.params, row.params), (outside.buffers, row.buffers)):
                    for tensor in own:
                        held.pop(tensor, None)
        rows = [*self.rows.values(), *([outside] if outside is not None else ())]
        for row in rows:
            if row.level == 0:
                self.total.forward += row.forward
                self.total.backward += row.backward
        return ModelSummary(
            title, rows, list(self.ops.values()), self.total, dict(self.uncounted), depth,
            self.graph.step.number == 1,
        )  # fmt: skip

    def _module(self, item: Item) -> None:
        row = self.rows.get(item.path)
        if row is None:
            row = Row(item.path, item.cls, item.level, seq=item.begin)
            self.rows[item.path] = row
        row.calls += 1
        if row.calls == 1 and item.shape is not None:
            row.shape = tensor_text(item.shape.dtype, item.shape.shape, item.shape.device)
        row.forward += self.times.forward[item.index]
        row.backward += self.times.backward[item.index]
        held = list(item.params)
        if not item.end:  # the tape ends within it: what it has not called yet is its own, too
            self.open = True
            held += self.store.parameters_within(item.path)
        for tensor in held:
            leaf = self.store.leaf(tensor)
            if leaf is None or leaf.role == "input":
                continue
            for around in (item, *item.ancestors()):
                holder = self.rows.get(around.path) if around.kind == "module" else None
                if holder is not None:
                    into = holder.params if leaf.role == "parameter" else holder.buffers
                    into[tensor] = leaf.tensor

    def _op(self, item: Item) -> None:
        event = item.event
        if not isinstance(event, Op):  # it has left the tape meanwhile
            return
        metas = [self.store.meta(t) if t else None for t in event.inputs]
        ins = [m.shape if m is not None else () for m in metas]
        count = flops(event.name, ins, [m.shape for m in event.outputs], event.meta)
        if count is None:
            self.uncounted[event.name] += 1
        saved = self._saved(event)
        forward, backward = self.times.forward[item.index], self.times.backward[item.index]
        kind = self.ops.setdefault(event.name, Row(event.name))
        kind.calls += 1
        kind.forward += forward
        kind.backward += backward
        around = [i for i in item.ancestors() if i.kind == "module"]
        holders = [self.rows[i.path] for i in around]
        if not around:
            outside = self.rows.setdefault("", Row(_OUTSIDE))
            outside.forward += forward
            outside.backward += backward
            holders = [outside]
        if not around:
            for tensor in event.inputs:
                leaf = self.store.leaf(tensor) if tensor else None
                if leaf is not None and leaf.role != "input":
                    held = outside.params if leaf.role == "parameter" else outside.buffers
                    held[tensor] = leaf.tensor
        for row in (*holders, kind, self.total):
            row.flops += count or 0
            row.saved += saved

    def _saved(self, event: Op) -> int:
        """Bytes that stay for backward and were not kept by an op before."""
        total = 0
        for tensor in saved_by(event, self._wants_gradient):
            base = self._base(tensor)
            leaf, meta = self.store.leaf(base), self.store.meta(base)
            if base in self._counted or meta is None:
                continue
            self._counted.add(base)
            if leaf is None or leaf.role == "input":
                total += bytes_of(meta.dtype, meta.shape)
        return total

    def _wants_gradient(self, tensor: int) -> bool:
        meta = self.store.meta(tensor)
        return meta is not None and meta.requires_grad

    def _base(self, tensor: int) -> int:
        """The tensor whose memory it lives in."""
        chain = []
        while tensor not in self._bases:
            chain.append(tensor)
            maker = self.graph.producer(tensor)
            event = maker.event if maker is not None else None
            viewed = isinstance(event, Op) and is_view(event.name) and event.inputs[0]
            if not viewed or viewed in chain:  # a write through a view makes its base anew
                self._bases[tensor] = tensor
                break
            tensor = viewed
        base = self._bases[tensor]
        for passed in chain:
            self._bases[passed] = base
        return base
