"""The table of parameters: norm, gradient norm and update ratio, now and over the training steps.

What there is to know of the values is asked for elsewhere, key by key: a `Key` is a tensor and the
moment whose value is meant, or a tensor and the two moments that its change lies between. Here is
which keys the table needs (`Parameters.as_of`, `Parameters.history`) and what its rows look like.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from framework.trace.events import (
    BackwardBegin,
    Grad,
    Leaf,
    ModuleBegin,
    ModuleEnd,
    Op,
    ParamUpdate,
    TensorMeta,
    Write,
)
from framework.trace.protocol import Summary
from viewers.graph.store import TraceStore
from viewers.text import Line, crop, pad, short, sparkline, tensor_text, width_of

__all__ = [
    "COLUMNS",
    "Figure",
    "Key",
    "Keys",
    "ParameterRow",
    "Parameters",
    "also_text",
    "norm_of",
    "outdated",
    "ratio_of",
    "row_line",
    "sample",
    "title_line",
]

Key = tuple[int, ...]  # (tensor, seq), or (tensor, seq, minus) for the change between two moments
Lookup = Callable[[Key], "Summary | str | None"]  # a text says why there is nothing (yet)

#: What the table can be sorted by.
COLUMNS = ("name", "shape", "norm", "gradient", "update")

SPARKS = 60  # steps that a sparkline is made of, at most
_HUGE, _TINY = 0.1, 1e-7  # update ratios that are worth a look


class Keys(NamedTuple):
    """What to ask of one parameter at one moment; an empty key stands for what there is not."""

    step: int  # its number, 0 for none
    seq: int  # the moment
    value: Key
    grad: Key
    change: Key


class Figure(NamedTuple):
    """One cell: a number, or a word where there is none."""

    value: float  # NaN without a number
    text: str
    tone: str = "value"


class ParameterRow(NamedTuple):
    """A parameter's figures as of a moment, and over the steps before it."""

    tensor: int
    name: str
    meta: TensorMeta
    keys: Keys
    norm: Figure
    grad: Figure
    ratio: Figure
    past: tuple[Sequence[float], Sequence[float], Sequence[float]] = ((), (), ())
    also: tuple[str, ...] = ()  # its other names


class Parameters:
    """What happened to parameters, by reading each event of a store once.

    >>> import framework as torch
    >>> from framework import nn
    >>> from framework.trace import recording
    >>> model = nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with recording() as tape:
    ...     model(torch.ones(3, 2)).sum().backward()
    ...     optimizer.step()
    >>> store = TraceStore()
    >>> store.feed(tape.read())
    >>> table = Parameters(store)
    >>> table.follow()
    False
    >>> sorted(leaf.name for leaf in table.leaves.values())
    ['model.bias', 'model.weight']
    >>> [len(table.history(tensor, store.last_seq)) for tensor in table.leaves]
    [1, 1]
    """

    def __init__(self, store: TraceStore) -> None:
        self.store = store
        self.leaves: dict[int, Leaf] = {}
        self.others: dict[str, tuple[list[int], list[TensorMeta]]] = {}  # inputs and buffers
        self._next = 0
        self._gaps = store.gaps
        self._updates: dict[int, tuple[list[int], list[ParamUpdate]]] = {}
        self._grads: dict[int, tuple[list[int], list[Grad]]] = {}
        # Writes in place of a tensor, and for each the first event after it.
        self._writes: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        self._announced: list[Write] = []

    def follow(self, most: int = 200_000) -> bool:
        """Read what is new, at most so many events; True if there is more."""
        store = self.store
        self._read_again()
        last = min(store.last_seq, max(self._next, store.first_seq) + most)
        for event in store.events(self._next, last):
            if isinstance(event, Write):
                self._announced.append(event)
                continue
            for write in self._announced:
                for tensor in write.tensors:
                    seqs, after = self._writes[tensor]
                    seqs.append(write.seq)
                    after.append(event.seq)
            self._announced.clear()
            if isinstance(event, ParamUpdate):
                seqs, updates = self._updates.setdefault(event.tensor.id, ([], []))
                seqs.append(event.seq)
                updates.append(event)
            elif isinstance(event, Grad):
                seqs, grads = self._grads.setdefault(event.leaf, ([], []))
                seqs.append(event.seq)
                grads.append(event)
            elif isinstance(event, Leaf) and event.role == "parameter":
                self.leaves[event.tensor.id] = event
            elif isinstance(event, Leaf) and event.name:
                seqs, metas = self.others.setdefault(event.name, ([], []))
                seqs.append(event.seq)
                metas.append(event.tensor)
        self._next = last + 1
        return last < store.last_seq

    def _read_again(self) -> None:
        """Where a gap was filled, what came late belongs in between: go back to there."""
        before, self._gaps = self._gaps, self.store.gaps
        if before == self._gaps:
            return
        known = set(self._gaps)
        filled = [
            first
            for first, last in before
            if (first, last) not in known and last >= self.store.first_seq and first < self._next
        ]
        if not filled:
            return
        back = filled[0]
        read: list[tuple[list[int], list[Any]]] = [
            *self._updates.values(), *self._grads.values(), *self.others.values(),
        ]  # fmt: skip
        for seqs, things in read:
            i = bisect_left(seqs, back)
            del seqs[i:], things[i:]
        self._next = back
        for seqs, after in self._writes.values():  # another event comes after the last ones now
            i = bisect_left(after, back)
            self._next = min([self._next, *seqs[i : i + 1]])
            del seqs[i:], after[i:]
        self._announced = [write for write in self._announced if write.seq < self._next]
        for tensor in [t for t, leaf in self.leaves.items() if leaf.seq >= back]:
            del self.leaves[tensor]

    def named(self, name: str) -> int:
        """The tensor of the newest parameter of this name, 0 for none."""
        found = [tensor for tensor, leaf in self.leaves.items() if leaf.name == name]
        return found[-1] if found else 0

    def find(self, name: str, seq: int) -> Key:
        """What a name stood for as of an event, () for nothing.

        Parameters, buffers and named inputs by their names; ``NAME.grad`` and ``NAME.STATE`` of a
        parameter; ``loss``, what backward started from last in this step; a module's path, what it
        returned last in this step.
        """
        tensor = self.named(name)
        if tensor and self.leaves[tensor].seq <= seq:
            return self.as_of(tensor, seq).value
        seqs, metas = self.others.get(name, ((), ()))
        i = bisect_right(seqs, seq)
        if i:
            return metas[i - 1].id, self._moment(metas[i - 1].id, seqs[i - 1], seq)
        outer, _, last = name.rpartition(".")
        tensor = self.named(outer)
        if tensor:
            if last == "grad":
                return self.as_of(tensor, seq).grad
            update = self.update(tensor, seq)
            meta = update.state.get(last) if update is not None else None
            if update is not None and meta is not None:
                return meta.id, self._moment(meta.id, update.seq, seq)
        return self._made(name, seq)

    def meant(self, name: str, seq: int) -> Key:
        """What another name, or the end of one, stood for, with what may be behind it; or ().

        Raises ValueError, in one line, where several have that end.
        """
        full = self.store.naming.spelled(name)
        return self.find(full, seq) if full else ()

    def _made(self, name: str, seq: int) -> Key:
        """What a module returned last, or the loss, in the step of an event."""
        step = self.store.step_at(seq)
        found: Key = ()
        if step is None:
            return found
        open_: set[int] = set()
        for event in self.store.events(step.first_seq, seq):
            if isinstance(event, ModuleBegin) and event.path == name:
                open_.add(event.seq)
            elif isinstance(event, ModuleEnd) and event.begin in open_ and event.outputs:
                found = event.outputs[0], event.seq
            elif isinstance(event, BackwardBegin) and name == "loss" and event.roots:
                found = event.roots[0], event.seq
        return found

    def update(self, tensor: int, seq: int) -> ParamUpdate | None:
        """A parameter's newest update as of an event."""
        seqs, updates = self._updates.get(tensor, ((), ()))
        i = bisect_right(seqs, seq)
        return updates[i - 1] if i else None

    def current(self, seq: int) -> list[int]:
        """The parameters as of an event, without those of models that were made anew since."""
        leaves = {tensor: leaf for tensor, leaf in self.leaves.items() if leaf.seq <= seq}
        if not outdated(leaves, seq, {}):
            return list(leaves)
        step = self.store.step_at(seq)
        used: dict[int, int] = {}
        if step is not None:
            for event in self.store.events(step.first_seq, max(seq, step.last_seq)):
                if isinstance(event, Op):
                    used.update(dict.fromkeys(event.inputs, event.seq))
        old = outdated(leaves, seq, used)
        return [tensor for tensor in leaves if tensor not in old]

    def as_of(self, tensor: int, seq: int) -> Keys:
        """What to ask of a parameter as of an event."""
        update = self.update(tensor, seq)
        grads = self._grads.get(tensor, ((), ()))
        i = bisect_right(grads[0], seq)
        grad: Key = ()
        if i:
            total = grads[1][i - 1].total.id
            grad = (total, self._moment(total, grads[0][i - 1], seq))
        change: Key = (tensor, update.seq, update.parent) if update and update.parent else ()
        born = self.leaves[tensor].seq if tensor in self.leaves else 0
        value = (tensor, self._moment(tensor, born, seq))
        return Keys(self._number(seq), seq, value, grad, change)

    def _moment(self, tensor: int, born: int, seq: int) -> int:
        """When what a tensor holds at ``seq`` was written; the same for all moments until then."""
        writes, after = self._writes.get(tensor, ((), ()))
        i = bisect_right(writes, seq)
        return max(born, after[i - 1] if i else 0)

    def history(self, tensor: int, seq: int, most: int = 0) -> list[Keys]:
        """One moment of each step up to an event: after its update, or when its gradient came.

        With ``most`` every second, fourth, ... one is left out until so few remain; the newest
        stays.
        """
        seqs, updates = self._updates.get(tensor, ([], []))
        if not updates:
            seqs = self._grads.get(tensor, ([], []))[0]
        return [self.as_of(tensor, seqs[i]) for i in sample(bisect_right(seqs, seq), most)]

    def recent(self, tensor: int, seq: int, count: int) -> list[Keys]:
        """The last moments of `history` up to an event."""
        seqs, updates = self._updates.get(tensor, ([], []))
        if not updates:
            seqs = self._grads.get(tensor, ([], []))[0]
        end = bisect_right(seqs, seq)
        return [self.as_of(tensor, at) for at in seqs[max(0, end - count) : end]]

    def _number(self, seq: int) -> int:
        step = self.store.step_at(seq)
        return step.number if step is not None and step.updated else 0

    # -- rows --------------------------------------------------------------------------------

    def row(self, tensor: int, seq: int, lookup: Lookup) -> ParameterRow:
        """A parameter's row without its past."""
        leaf = self.leaves[tensor]
        keys = self.as_of(tensor, seq)
        value, grad, change = (
            lookup(key) if key else None for key in (keys.value, keys.grad, keys.change)
        )
        meta = leaf.tensor
        no_grad = "none" if meta.requires_grad else "fixed"
        return ParameterRow(
            tensor, leaf.name or f"#{tensor}", meta, keys,
            _norm(value, bool(keys.value)),
            _norm(grad, bool(keys.grad), no_grad),
            _ratio(change, value, bool(keys.change)),
            also=self.store.naming.others(leaf.name),
        )  # fmt: skip

    def past(
        self, tensor: int, seq: int, lookup: Lookup, moments: Sequence[Keys] | None = None
    ) -> tuple[list[float], list[float], list[float]]:
        """Norms, gradient norms and update ratios over the steps, as far as they are known.

        ``moments`` are those that are looked at, instead of some of all.
        """
        norms: list[float] = []
        grads: list[float] = []
        ratios: list[float] = []
        if moments is None:
            moments = self.history(tensor, seq, SPARKS)
        for keys in moments:
            value, grad, change = (
                lookup(key) if key else None for key in (keys.value, keys.grad, keys.change)
            )
            for into, found in ((norms, value), (grads, grad)):
                if isinstance(found, Summary):
                    into.append(norm_of(found))
            if isinstance(change, Summary) and isinstance(value, Summary):
                ratios.append(ratio_of(change, value))
        return norms, grads, ratios

    def sorted(
        self, rows: Sequence[ParameterRow], column: str, reverse: bool
    ) -> list[ParameterRow]:
        """The rows by a column; those without a number come last, whichever way."""
        if column == "name":
            return list(reversed(rows)) if reverse else list(rows)
        if column == "shape":
            return sorted(rows, key=lambda r: math.prod(r.meta.shape), reverse=not reverse)
        field = {"norm": "norm", "gradient": "grad", "update": "ratio"}[column]
        known = [r for r in rows if _sorts(getattr(r, field))]
        rest = [r for r in rows if not _sorts(getattr(r, field))]

        def size(row: ParameterRow) -> float:
            value = getattr(row, field).value
            return math.inf if math.isnan(value) else value  # NaN is as bad as Inf

        return sorted(known, key=size, reverse=not reverse) + rest


def outdated(leaves: Mapping[int, Leaf], seq: int, used: Mapping[int, int]) -> set[int]:
    """Parameters of a model that was made anew since: another one has the name as of ``seq``.

    With the model, its other parameters have gone; not what is in use still.

    Args:
        used: when each tensor was used last in the step that is meant.
    """
    named: dict[str, list[int]] = {}
    for ident, leaf in leaves.items():
        if leaf.role == "parameter" and leaf.name and leaf.seq <= seq:
            named.setdefault(leaf.name, []).append(ident)
    since: dict[str, int] = {}  # when the first parameter of the newest model came
    for name, idents in named.items():
        if len(idents) > 1:
            root = name.partition(".")[0]
            born = leaves[idents[-1]].seq
            since[root] = min(since.get(root, born), born)
    return {
        ident
        for name, idents in named.items()
        for ident in idents
        if (ident != idents[-1] or leaves[ident].seq < since.get(name.partition(".")[0], 0))
        and used.get(ident, 0) < since[name.partition(".")[0]]
    }


def sample(count: int, most: int) -> list[int]:
    """Which of ``count`` are shown if ``most`` may be: those that stay so while more come.

    >>> sample(5, 3), sample(6, 3), sample(3, 0)
    ([0, 2, 4], [1, 3, 5], [0, 1, 2])
    """
    stride = 1
    while most and -(-count // stride) > most:
        stride *= 2
    return list(range((count - 1) % stride, count, stride)) if count else []


def norm_of(summary: Summary) -> float:
    """A norm; NaN or Inf where any element is one."""
    if summary.nan or summary.inf:
        return math.nan if summary.nan else math.inf
    return summary.norm if summary.norm is not None else 0.0


def _norm(found: Summary | str | None, asked: bool, nothing: str = "–") -> Figure:
    if not asked:
        return Figure(math.nan, nothing, "dim")
    if isinstance(found, str):
        return Figure(math.nan, found, "dim")
    if found is None:
        return Figure(math.nan, "–", "dim")
    value = norm_of(found)
    return Figure(value, short(value), "value" if math.isfinite(value) else "bad")


def also_text(others: Sequence[str]) -> str:
    """The other names of a parameter that modules share; "" if it has none.

    >>> also_text(["model.head.weight"]), also_text([])
    ('also model.head.weight', '')
    """
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"also {', '.join(others[:3])}{more}" if others else ""


def ratio_of(change: Summary, value: Summary) -> float:
    """|update| / |weight|; Inf for a weight that was zero."""
    step, size = norm_of(change), norm_of(value)
    if not math.isfinite(step) or not math.isfinite(size):
        return math.nan
    if not size:
        return math.inf if step else 0.0
    return step / size


def _ratio(change: Summary | str | None, value: Summary | str | None, asked: bool) -> Figure:
    for found in (change, value):
        if not asked or not isinstance(found, Summary):
            return Figure(math.nan, found if isinstance(found, str) and asked else "–", "dim")
    assert isinstance(change, Summary) and isinstance(value, Summary)
    ratio = ratio_of(change, value)
    if not math.isfinite(ratio):
        return Figure(ratio, short(ratio), "bad")
    tone = "warn" if ratio > _HUGE else "dim" if ratio < _TINY else "value"
    return Figure(ratio, short(ratio), tone)


def _sorts(figure: Figure) -> bool:
    """Whether it is a number, NaN and Inf among them."""
    return figure.text in ("NaN", "Inf") or not math.isnan(figure.value)


# -- lines -----------------------------------------------------------------------------------

_NUMBER = 8  # columns of a figure
_SPARK = 10
_TITLES = {"name": "parameter", "norm": "|w|", "gradient": "|∇|", "update": "Δ/|w|"}


class _Layout(NamedTuple):
    """Columns of a table of some width."""

    name: int
    shape: int
    sparks: tuple[bool, bool, bool]  # which of the figures have one beside them
    spark: int


def _layout(width: int, column: str) -> _Layout:
    fixed = 3 * (_NUMBER + 1)
    shape = 14 if width >= 70 else 0
    room = width - fixed - shape - 2
    if room >= 18 + 3 * (_SPARK + 1):
        spark = min(24, (room - 18) // 3 - 1)
        spark = max(_SPARK, min(spark, (room - 30) // 3 - 1))
        return _Layout(min(48, room - 3 * (spark + 1)), shape, (True, True, True), spark)
    which = {"norm": 0, "gradient": 1, "update": 2}.get(column, 1)
    spark = _SPARK if room >= 14 + _SPARK + 1 else 0
    shown = (bool(spark) and which == 0, bool(spark) and which == 1, bool(spark) and which == 2)
    return _Layout(max(8, room - spark - bool(spark)), shape, shown, spark)


def title_line(width: int, column: str, reverse: bool) -> Line:
    """The head of the table; the column that it is sorted by has an arrow."""
    layout = _layout(width, column)
    mark = "▴" if reverse else "▾"

    def head(name: str, size: int, align: str) -> tuple[str, str]:
        text = _TITLES.get(name, name)
        here = name == column
        return pad(f"{text}{mark}" if here else text, size, align), "accent" if here else "dim"

    line: Line = [head("name", layout.name, "left")]
    if layout.shape:
        line += [(" ", ""), head("shape", layout.shape, "left")]
    for i, name in enumerate(("norm", "gradient", "update")):
        line += [(" ", ""), head(name, _NUMBER, "right")]
        if layout.sparks[i]:
            line.append((pad(" over steps", layout.spark + 1), "faint"))
    return line


def column_at(width: int, column: str, x: int) -> str:
    """Which column of the head is at ``x``."""
    layout = _layout(width, column)
    at = layout.name + 1
    if x < at:
        return "name"
    at += layout.shape + 1 if layout.shape else 0
    if x < at:
        return "shape"
    for i, name in enumerate(("norm", "gradient", "update")):
        at += _NUMBER + 1 + (layout.spark + 1 if layout.sparks[i] else 0)
        if x < at:
            return name
    return "update"


def row_line(row: ParameterRow, width: int, column: str, ascii: bool = False) -> Line:
    """One parameter."""
    layout = _layout(width, column)
    name = row.name
    if row.also and width_of(longer := f"{name} {also_text(row.also)}") <= layout.name:
        name = longer
    if width_of(name) > layout.name:  # its end says more
        name = "…" + name[len(name) - layout.name + 1 :]
    line: Line = [(pad(name, layout.name), "param")]
    if layout.shape:
        text = tensor_text(row.meta.dtype, row.meta.shape, row.meta.device)
        line += [(" ", ""), (pad(crop(text, layout.shape), layout.shape), "shape")]
    tones = ("bar", "backward", "optimizer")
    for i, figure in enumerate((row.norm, row.grad, row.ratio)):
        line += [(" ", ""), (pad(figure.text, _NUMBER, "right"), figure.tone)]
        if layout.sparks[i]:
            drawn = sparkline(row.past[i], layout.spark, ascii)
            line.append((" " + pad(drawn, layout.spark), tones[i]))
    return line
