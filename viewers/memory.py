"""What is kept for backward: by which node, how much at each moment of a step, and at its peak.

An op's node holds some of its operands or results until backward has passed it. `Ledger` follows a
step's events and writes down when memory comes to be held and when it is let go. Memory is counted
once however many nodes hold it, as a whole where a view of it is held, and never for what is there
anyway: parameters, of a module or not, and other leaves that a gradient is wanted for. What graphs
of earlier steps still hold is not known from events; a graph that backward never went through
counts to the end of its step.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from framework.trace.events import (
    BackwardBegin,
    Grad,
    NodeBegin,
    NodeEnd,
    Op,
    ParamUpdate,
    Source,
)
from framework.trace.saved import is_view, saved_by
from viewers.graph.columns import Few, Ids
from viewers.graph.store import Step, TraceStore
from viewers.text import Line, bytes_of, crop, pad, place_text, size_text, tensor_text

__all__ = ["Held", "Ledger", "head_lines", "memory_lines", "row_line", "title_line"]


_MOST = 1 << 62  # ids of tensors that a program has made are below
NAMED = 5  # nodes that hold the same memory and are told


class Held(NamedTuple):
    """What one node holds as of a moment."""

    op: Op  # whose node it is
    bytes: int
    alone: int  # of which no other node holds
    tensors: tuple[int, ...]
    others: tuple[Op, ...]  # who else holds some of it; a few of them
    shared: int = 0  # how many nodes do


class _Nodes:
    """Nodes from the op that made them until backward has passed them, in columns."""

    def __init__(self) -> None:
        self.born = array("q")  # the op's event
        self.bytes = array("q")
        self.freed = array("q")  # 0: not yet
        self.tensors = Few("q")
        self.bases = Few("q")  # the memory, each once

    def __len__(self) -> int:
        return len(self.born)

    def add(self, seq: int, tensors: tuple[int, ...], bases: tuple[int, ...], size: int) -> int:
        for column, value in ((self.born, seq), (self.bytes, size), (self.freed, 0)):
            column.append(value)
        for few, values in ((self.tensors, tensors), (self.bases, bases)):
            few.extend()
            for value in values:
                few.add(len(self.born) - 1, value)
        return len(self.born) - 1

    def at(self, seq: int) -> int:
        """The node of the op ``seq``, -1 for none."""
        i = bisect_left(self.born, seq)
        return i if i < len(self.born) and self.born[i] == seq else -1


class Ledger:
    """Memory held for backward in one step.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     x = torch.ones(100, requires_grad=True)
    ...     y = x.exp().sin().sum()
    ...     y.backward()
    >>> store = TraceStore()
    >>> store.feed(tape.read())
    >>> ledger = Ledger(store, store.steps[-1])
    >>> ledger.follow()
    False
    >>> ledger.peak, ledger.at(store.last_seq), [h.op.name for h in ledger.held(ledger.peak_seq)]
    (400, 0, ['exp'])
    """

    def __init__(self, store: TraceStore, step: Step) -> None:
        self.store = store
        self.step = step
        self._retained: set[int] = set()  # backward passes that let nothing go
        self._begin()

    def _begin(self) -> None:
        self.nodes = _Nodes()
        self._by_id = Ids("i")  # number of those that are not free yet, from 1
        self._base = Ids("q")  # a view's memory
        self._size = Ids("q")  # of a tensor's memory, and 1 more
        self._holders = Ids("i")  # memory -> how many nodes hold it
        self._open: dict[int, NodeBegin] = {}
        self._passed = Ids("q")  # node -> the backward pass that let it go
        self._pass = 0
        # What came into .grad, and the optimizer's state: event, leaf, bytes.
        self._grads: list[tuple[int, int, int]] = []
        self._states: list[tuple[int, int, int]] = []
        self._next = self.step.first_seq
        self.live = self.peak = self.peak_seq = 0
        self._seqs = array("q")
        self._bytes = array("q")

    @property
    def read_to(self) -> int:
        """The last event that was taken in."""
        return self._next - 1

    @property
    def retained(self) -> bool:
        """Whether backward went through a graph more than once."""
        return bool(self._retained)

    def follow(self, most: int = 100_000) -> bool:
        """Take in what has happened since, at most so many events; True if there is more."""
        last = min(self.step.last_seq, self._next + most)
        for event in self.store.events(self._next, last):
            if isinstance(event, Op):
                self._op(event)
            elif isinstance(event, BackwardBegin):
                self._pass = event.seq
            elif isinstance(event, NodeBegin):
                passed = self._passed.get(event.node)
                if passed and passed != self._pass and passed not in self._retained:
                    self._retained.add(passed)  # it was kept then, and with it all of its graph
                    self._begin()
                    return True
                self._open[event.seq] = event
            elif isinstance(event, NodeEnd):
                begin = self._open.pop(event.begin, None)
                if begin is not None and begin.node:
                    self._passed.set(begin.node, self._pass)
                    if self._pass not in self._retained:
                        self._free(begin.node, event.seq)
            elif isinstance(event, Grad):
                size = bytes_of(event.total.dtype, event.total.shape)
                self._grads.append((event.seq, event.leaf, size))
            elif isinstance(event, ParamUpdate):
                size = sum(bytes_of(m.dtype, m.shape) for m in event.state.values())
                self._states.append((event.seq, event.tensor.id, size))
        self._next = last + 1
        return last < self.step.last_seq

    def _op(self, op: Op) -> None:
        if is_view(op.name) and op.inputs and op.inputs[0]:
            base = self._base.get(op.inputs[0]) or op.inputs[0]
            for meta in op.outputs:
                self._base.set(meta.id, base)
        if not op.node:
            return
        wants: Callable[[int], bool] = self._wants_gradient
        if not any(map(wants, op.inputs)):  # it has a node: one of them does, since it was seen
            wants = bool
        tensors = tuple([t for t in saved_by(op, wants) if t < _MOST])
        bases = tuple(dict.fromkeys([b for b in map(self._memory, tensors) if b]))
        node = self.nodes.add(op.seq, tensors, bases, sum(map(self._bytes_in, bases)))
        self._by_id.set(op.node, node + 1)
        for base in bases:
            holders = self._holders.get(base)
            self._holders.set(base, holders + 1)
            if not holders:
                self._note(op.seq, self._bytes_in(base))

    def _bytes_in(self, base: int) -> int:
        return self._size.get(base) - 1

    def _memory(self, tensor: int) -> int:
        """The memory that a tensor lives in, 0 where that is there anyway."""
        base = self._base.get(tensor) or tensor
        size = self._size.get(base) - 1
        if size < 0:
            leaf, meta = self.store.leaf(base), self.store.meta(base)
            stays = leaf is not None and (leaf.role != "input" or leaf.tensor.requires_grad)
            fixed = meta is None or stays
            size = 0 if fixed or meta is None else bytes_of(meta.dtype, meta.shape)
            self._size.set(base, size + 1)
        return base if size else 0

    def _wants_gradient(self, tensor: int) -> bool:
        meta = self.store.meta(tensor)
        return meta is not None and meta.requires_grad

    def _free(self, ident: int, seq: int) -> None:
        node = self._by_id.get(ident) - 1
        if node < 0:
            return
        self._by_id.drop(ident)
        self.nodes.freed[node] = seq
        for base in self.nodes.bases.of(node):
            holders = self._holders.get(base) - 1
            self._holders.set(base, holders)
            if not holders:
                self._note(seq, -self._bytes_in(base))

    def _note(self, seq: int, change: int) -> None:
        self.live += change
        if self._seqs and self._seqs[-1] == seq:
            self._bytes[-1] = self.live
        else:
            self._seqs.append(seq)
            self._bytes.append(self.live)
        if self.live > self.peak:
            self.peak, self.peak_seq = self.live, seq

    # -- asking ------------------------------------------------------------------------------

    def at(self, seq: int) -> int:
        """Bytes held as of an event."""
        i = bisect_right(self._seqs, seq)
        return self._bytes[i - 1] if i else 0

    def totals(self, seq: int) -> list[tuple[str, int]]:
        """Bytes of the gradients that came in this step, and of the optimizer's state."""
        found = []
        for name, told in (("gradients", self._grads), ("optimizer state", self._states)):
            newest = {leaf: size for at, leaf, size in told if at <= seq}
            found.append((name, sum(newest.values())))
        return [(name, size) for name, size in found if size]

    def course(self, columns: int) -> list[int]:
        """Bytes held over the step, the most in each of so many equal pieces of its events."""
        first, last = self.step.first_seq, self.step.last_seq
        columns = max(1, min(columns, last - first + 1))
        found = []
        for i in range(columns):
            a = first + i * (last - first + 1) // columns
            b = first + (i + 1) * (last - first + 1) // columns - 1
            low, high = bisect_right(self._seqs, a), bisect_right(self._seqs, b)
            found.append(max([self.at(a), *self._bytes[low:high]]))
        return found

    def bytes_of(self, seq: int) -> int:
        """What the node of the op ``seq`` holds, or held."""
        node = self.nodes.at(seq)
        return self.nodes.bytes[node] if node >= 0 else 0

    def held(self, seq: int, most: int = 1000) -> list[Held]:
        """The nodes that hold memory as of an event, those that hold most first."""
        nodes = self.nodes
        born = bisect_right(nodes.born, seq)
        if not born:
            return []
        sizes, freed = (np.frombuffer(c, np.int64)[:born] for c in (nodes.bytes, nodes.freed))
        alive = np.flatnonzero((sizes > 0) & ((freed == 0) | (freed > seq)))
        chosen = alive[np.argsort(-sizes[alive], kind="stable")][:most].tolist()
        holders: dict[int, list[int]] = {base: [] for i in chosen for base in nodes.bases.of(i)}
        first = np.frombuffer(nodes.bases.first, np.int64)[alive]
        near = np.isin(first, list(holders)) | np.isin(alive, nodes.bases.several())
        for i in alive[near].tolist():
            for base in nodes.bases.of(i):
                if base in holders:
                    holders[base].append(i)
        return [held for i in chosen if (held := self._describe(i, holders)) is not None]

    def _describe(self, node: int, holders: dict[int, list[int]]) -> Held | None:
        nodes = self.nodes
        bases = nodes.bases.of(node)
        alone = sum(self._bytes_in(base) for base in bases if len(holders[base]) == 1)
        others: dict[int, Op] = {}
        for base in bases:
            for other in holders[base][:NAMED]:
                op = self._op_of(other)
                if other != node and op is not None:
                    others[op.seq] = op
        shared = max([len(holders[base]) - 1 for base in bases], default=0)
        op = self._op_of(node)
        if op is None:  # no longer on the tape
            return None
        tensors = tuple(nodes.tensors.of(node))
        return Held(op, nodes.bytes[node], alone, tensors, tuple(others.values()), shared)

    def _op_of(self, node: int) -> Op | None:
        event = self.store.event(self.nodes.born[node])
        return event if isinstance(event, Op) else None


# -- lines -----------------------------------------------------------------------------------


def head_lines(ledger: Ledger, seq: int, fixed: Sequence[tuple[str, int]] = ()) -> list[Line]:
    """How much is held as of an event and at the peak, and what ``fixed`` says there is else."""
    line: Line = [
        ("saved for backward ", "dim"), (size_text(ledger.at(seq)), "bold"),
        ("  peak ", "dim"), (size_text(ledger.peak), "title"),
    ]  # fmt: skip
    if ledger.peak:
        line.append((f" at event {ledger.peak_seq}", "dim"))
    for name, size in fixed:
        line += [(f"  {name} ", "dim"), (size_text(size), "value")]
    if ledger.retained:
        line.append(("  graph kept after backward", "warn"))
    return [line]


_SIZE, _OP = 9, 18


def title_line(width: int) -> Line:
    """The head of the rows of `row_line`."""
    line: Line = [(pad("holds", _SIZE, "right"), "dim"), (pad("alone", _SIZE, "right"), "dim")]
    line.append((f"  {pad('node', _OP)}", "dim"))
    if width >= 70:
        line.append((pad(" what it holds", max(14, width - _OP - 2 * _SIZE - 2)), "dim"))
    return line


def row_line(
    store: TraceStore, held: Held, width: int, place: Callable[[Source], str] = place_text
) -> Line:
    """One node: what it holds, how much of that it alone, and who else does."""
    op = held.op
    where = f"{op.module} {op.name}" if op.module else op.name
    room = width - 2 * _SIZE - 2
    line: Line = [
        (pad(size_text(held.bytes), _SIZE, "right"), "bold"),
        (pad(size_text(held.alone) if held.alone else "–", _SIZE, "right"), "dim"),
        ("  ", ""),
    ]
    size = _OP if width >= 70 else max(8, min(room, 28))
    line.append((pad(where if len(where) <= size else "…" + where[1 - size :], size), "op"))
    words = [_tensor(store, tensor) for tensor in held.tensors]
    text = ", ".join(word for word in words if word)
    if held.others:
        names = [f"{o.module} {o.name}".strip() for o in held.others[:3]]
        rest = max(held.shared, len(held.others)) - len(names)
        more = f" and {rest} more" if rest > 0 else ""
        text += f"; with {', '.join(names)}{more}"
    rest = room - size - 1
    at = place(op.source)
    if rest > 12 + len(at) + 2 and at and len(text) + len(at) + 2 <= rest:
        return [*line, (f" {pad(text, rest - len(at) - 1)} ", ""), (at, "dim")]
    if rest > 8:
        line.append((f" {crop(text, rest)}", ""))
    return line


def _tensor(store: TraceStore, tensor: int) -> str:
    """``relu f32[64,10]``: what made a tensor, or its name, and what it is; "" for a parameter."""
    leaf, meta = store.leaf(tensor), store.meta(tensor)
    if meta is None or (leaf is not None and leaf.role != "input"):
        return ""
    name = store.name(tensor)
    if not name:
        maker = store.event(store.maker(tensor))
        name = maker.name if isinstance(maker, Op) else "input"
    return f"{name} {tensor_text(meta.dtype, meta.shape, meta.device)}"


def memory_lines(ledger: Ledger, most: int = 20, width: int = 100) -> list[Line]:
    """The ledger at its peak as text: its course, then the nodes that held most."""
    from viewers.text import sparkline

    lines = head_lines(ledger, ledger.step.last_seq)
    if not ledger.peak:
        return lines
    spark = sparkline([float(n) for n in ledger.course(60)], 60)
    lines += [[("over the step      ", "dim"), (spark, "bar")], [], title_line(width)]
    held = ledger.held(ledger.peak_seq, most)
    lines += [row_line(ledger.store, one, width) for one in held]
    return lines
