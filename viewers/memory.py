"""What is kept for backward: by which node, how much at each moment of a step, and at its peak.

An op's node holds some of its operands or results until backward has passed it. `Ledger` follows a
step's events and writes down when memory comes to be held and when it is let go. Memory is counted
once however many nodes hold it, as a whole where a view of it is held, and never for what is there
anyway: parameters, of a module or not, and other leaves that a gradient is wanted for. What graphs
of earlier steps still hold is not known from events; a graph that backward never went through
counts to the end of its step.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from framework.trace.events import (
    BackwardBegin,
    NodeBegin,
    NodeEnd,
    Op,
    Source,
)
from framework.trace.saved import is_view, saved_by
from viewers.graph.store import Step, TraceStore
from viewers.text import Line, bytes_of, crop, pad, place_text, size_text, tensor_text

__all__ = ["Held", "Ledger", "head_lines", "memory_lines", "row_line", "title_line"]


NAMED = 5  # nodes that hold the same memory and are told


class Held(NamedTuple):
    """What one node holds as of a moment."""

    op: Op  # whose node it is
    bytes: int
    alone: int  # of which no other node holds
    tensors: tuple[int, ...]
    others: tuple[Op, ...]  # who else holds some of it; a few of them
    shared: int = 0  # how many nodes do


class _Node:
    """A node from the op that made it until backward has passed it."""

    __slots__ = ("bases", "born", "bytes", "freed", "op", "tensors")

    def __init__(self, op: Op, tensors: tuple[int, ...], bases: tuple[int, ...], size: int) -> None:
        self.op = op
        self.tensors = tensors
        self.bases = bases  # the memory, each once
        self.bytes = size
        self.born = op.seq
        self.freed = 0  # 0: not yet


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
        self.nodes: dict[int, _Node] = {}  # by the op's event
        self._by_id: dict[int, _Node] = {}
        self._base: dict[int, int] = {}  # a view's memory
        self._size: dict[int, int] = {}
        self._holders: dict[int, int] = {}  # memory -> how many nodes hold it
        self._open: dict[int, NodeBegin] = {}
        self._passed: dict[int, int] = {}  # node -> the backward pass that let it go
        self._pass = 0
        self._next = self.step.first_seq
        self.live = self.peak = self.peak_seq = 0
        self._seqs: list[int] = []
        self._bytes: list[int] = []

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
                if passed is not None and passed not in self._retained:
                    self._retained.add(passed)  # it was kept then, and with it all of its graph
                    self._begin()
                    return True
                self._open[event.seq] = event
            elif isinstance(event, NodeEnd):
                begin = self._open.pop(event.begin, None)
                if begin is not None:
                    self._passed[begin.node] = self._pass
                    if self._pass not in self._retained:
                        self._free(begin.node, event.seq)
        self._next = last + 1
        return last < self.step.last_seq

    def _op(self, op: Op) -> None:
        if is_view(op.name) and op.inputs and op.inputs[0]:
            base = self._base.get(op.inputs[0], op.inputs[0])
            for meta in op.outputs:
                self._base[meta.id] = base
        if not op.node:
            return
        wants: Callable[[int], bool] = self._wants_gradient
        if not any(map(wants, op.inputs)):  # it has a node: one of them does, since it was seen
            wants = bool
        tensors = saved_by(op, wants)
        bases = tuple(dict.fromkeys([b for b in map(self._memory, tensors) if b]))
        node = self.nodes[op.seq] = self._by_id[op.node] = _Node(
            op, tensors, bases, sum(self._size[b] for b in bases)
        )
        for base in node.bases:
            holders = self._holders.get(base, 0)
            self._holders[base] = holders + 1
            if not holders:
                self._note(op.seq, self._size[base])

    def _memory(self, tensor: int) -> int:
        """The memory that a tensor lives in, 0 where that is there anyway."""
        base = self._base.get(tensor, tensor)
        if base not in self._size:
            leaf, meta = self.store.leaf(base), self.store.meta(base)
            stays = leaf is not None and (leaf.role != "input" or leaf.tensor.requires_grad)
            fixed = meta is None or stays
            self._size[base] = 0 if fixed or meta is None else bytes_of(meta.dtype, meta.shape)
        return base if self._size[base] else 0

    def _wants_gradient(self, tensor: int) -> bool:
        meta = self.store.meta(tensor)
        return meta is not None and meta.requires_grad

    def _free(self, ident: int, seq: int) -> None:
        node = self._by_id.pop(ident, None)
        if node is None:
            return
        node.freed = seq
        for base in node.bases:
            self._holders[base] -= 1
            if not self._holders[base]:
                self._note(seq, -self._size[base])

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
        node = self.nodes.get(seq)
        return node.bytes if node is not None else 0

    def held(self, seq: int, most: int = 1000) -> list[Held]:
        """The nodes that hold memory as of an event, those that hold most first."""
        alive = [
            node
            for node in self.nodes.values()
            if node.born <= seq and node.bytes and (not node.freed or node.freed > seq)
        ]
        chosen = heapq.nsmallest(most, alive, key=lambda node: (-node.bytes, node.born))
        holders: dict[int, list[_Node]] = {base: [] for node in chosen for base in node.bases}
        for node in alive:
            for base in node.bases:
                if base in holders:
                    holders[base].append(node)
        return [self._describe(node, holders) for node in chosen]

    def _describe(self, node: _Node, holders: dict[int, list[_Node]]) -> Held:
        alone = sum(self._size[base] for base in node.bases if len(holders[base]) == 1)
        others: dict[int, Op] = {}
        for base in node.bases:
            for other in holders[base][:NAMED]:
                if other is not node:
                    others[other.born] = other.op
        shared = max([len(holders[base]) - 1 for base in node.bases], default=0)
        return Held(node.op, node.bytes, alone, node.tensors, tuple(others.values()), shared)


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
    return f"{name} {tensor_text(meta.dtype, meta.shape)}"


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
