"""Where every value of a tape came from: which event made a tensor, and of what.

Built in one pass over the events, from a recorder, a viewer's store or a recording. All questions
are about a moment: tensor ``t`` *as of* event ``seq``, since a tensor that is written in place has
been made more than once.

>>> import framework as torch
>>> from framework.trace import recording
>>> with recording() as tape:
...     y = torch.ones(2).exp()
>>> lineage = Lineage(tape.read())
>>> made = lineage.maker(y._id, tape.seq)
>>> lineage.title(made), [operand.name for operand in lineage.operands(made)]
('exp', ['result of ones'])
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from framework.trace.events import (
    BackwardBegin,
    Event,
    Grad,
    Leaf,
    ModuleBegin,
    NodeBegin,
    NodeEnd,
    Op,
    OpBegin,
    OpEnd,
    OptimBegin,
    OptimEnd,
    ParamUpdate,
    Source,
    TensorMeta,
    Write,
)

__all__ = ["Lineage", "Operand"]

_NOWHERE = Source("", 0, "")
_UNKNOWN = TensorMeta(0, (), "", "")


class Operand(NamedTuple):
    """Something that an event looked at, as it was then."""

    tensor: int
    seq: int  # the moment whose value is meant
    name: str
    meta: TensorMeta


class Lineage:
    """An index of events; the list is not to be changed while it is used."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events: dict[int, Event] = {}
        self.metas: dict[int, TensorMeta] = {}
        self.names: dict[int, str] = {}
        self.leaves: dict[int, Leaf] = {}
        self.grads: dict[int, list[tuple[int, int]]] = {}  # leaf -> (seq, id of its .grad)
        self.nodes: dict[int, list[int]] = {}  # forward event -> seqs of its backward nodes
        self.ends: dict[int, int] = {}  # begin of a container -> its end
        self.results: set[int] = set()  # of composite ops and Functions: no leaves
        self.made: dict[int, list[int]] = {}
        self.writes: dict[int, int] = {}  # event -> the first write that it did
        self.wrote: dict[int, tuple[int, ...]] = {}  # event -> all ids whose memory it wrote
        self.optims: list[int] = []  # seqs of the ends of training steps
        self.numbers: list[int] = []  # and their numbers
        self._following = 0  # that of the one after, as far as is known
        self._pending: dict[int, tuple[int, tuple[int, ...]]] = {}  # writes nobody has claimed
        self.last_seq = 0
        for event in events:
            self.events[event.seq] = event
            self.last_seq = max(self.last_seq, event.seq)
            take = _TAKE.get(type(event))
            if take is not None:
                take(self, event)
        for ident in list(self._pending):
            self._unclaimed(ident)

    # -- building ----------------------------------------------------------------------------

    def _makes(self, ident: int, seq: int) -> None:
        if ident:
            self.made.setdefault(ident, []).append(seq)

    def _leaf(self, e: Leaf) -> None:
        self.metas[e.tensor.id] = e.tensor
        self.names[e.tensor.id] = e.name
        self.leaves[e.tensor.id] = e
        self._makes(e.tensor.id, e.seq)

    def _op(self, e: Op) -> None:
        for meta in e.outputs:
            self.metas[meta.id] = meta
            if not self._claim(meta.id, e.seq):
                self._makes(meta.id, e.seq)

    def _claim(self, ident: int, seq: int) -> bool:
        """The event at ``seq`` did the write to ``ident`` that was announced, if one was."""
        write, tensors = self._pending.get(ident, (0, ()))
        if not write:
            return False
        self.writes[seq] = min(write, self.writes.get(seq, write))
        self.wrote[seq] = (*self.wrote.get(seq, ()), *tensors)
        for other in tensors:
            if self._pending.get(other, (0, ()))[0] == write:
                del self._pending[other]
            self._makes(other, seq)
        return True

    def _unclaimed(self, ident: int) -> None:
        write, tensors = self._pending.pop(ident)
        insort(self.made.setdefault(ident, []), write)
        self.wrote[write] = tensors

    def _write(self, e: Write) -> None:
        for ident in e.tensors:
            if ident in self._pending:
                self._unclaimed(ident)
            self._pending[ident] = (e.seq, e.tensors)

    def _op_end(self, e: OpEnd) -> None:
        self.ends[e.begin] = e.seq
        begin = self.events.get(e.begin)
        if isinstance(begin, OpBegin) and any(begin.inputs):
            self.results.update(meta.id for meta in e.outputs)
        for meta in e.outputs:
            known = self.made.get(meta.id)
            if not known:
                self._makes(meta.id, e.seq)
            self.metas[meta.id] = meta

    def _node_begin(self, e: NodeBegin) -> None:
        self._see(e.grad_in)
        if e.forward:
            self.nodes.setdefault(e.forward, []).append(e.seq)

    def _node_end(self, e: NodeEnd) -> None:
        self.ends[e.begin] = e.seq
        self._see(e.grad_out)
        for meta in e.grad_out:
            if meta.id and meta.id not in self.made:
                self._makes(meta.id, e.seq)

    def _see(self, metas: Iterable[TensorMeta]) -> None:
        for meta in metas:
            if meta.id:
                self.metas[meta.id] = meta

    def _grad(self, e: Grad) -> None:
        self._see((e.arrived, e.total))
        self.grads.setdefault(e.leaf, []).append((e.seq, e.total.id))
        if e.name:
            self.names[e.total.id] = f"{e.name}.grad"
        if e.total.id != e.arrived.id and not self._claim(e.total.id, e.seq):
            self._makes(e.total.id, e.seq)

    def _optim_begin(self, e: OptimBegin) -> None:
        self.numbers.append(e.step)
        self.optims.append(1 << 62)  # until it ends

    def _param_update(self, e: ParamUpdate) -> None:
        self.metas[e.tensor.id] = e.tensor
        if not self._claim(e.tensor.id, e.seq):
            self._makes(e.tensor.id, e.seq)
        for key, meta in e.state.items():
            self.metas[meta.id] = meta
            self.names[meta.id] = f"{e.name}.{key}" if e.name else key
            if not self._claim(meta.id, e.seq):
                self._makes(meta.id, e.seq)

    def _optim_end(self, e: OptimEnd) -> None:
        self.ends[e.begin] = e.seq
        if self.optims:
            self.optims[-1] = e.seq
            self._following = e.next

    # -- asking ------------------------------------------------------------------------------

    def maker(self, tensor: int, seq: int) -> Event | None:
        """The event that gave ``tensor`` the value that it has as of ``seq``."""
        made = self.made.get(tensor, ())
        i = bisect_right(made, seq)
        return self.events.get(made[i - 1]) if i else None

    def grad_of(self, leaf: int, seq: int, since: int = 0) -> tuple[int, int]:
        """The newest accumulation into a leaf's ``.grad`` between two events: (seq, its id)."""
        found = self.grads.get(leaf, [])
        i = bisect_right(found, (seq, 1 << 62))
        return found[i - 1] if i and found[i - 1][0] > since else (0, 0)

    def wants_gradient(self, tensor: int) -> bool:
        """Is it a leaf that a gradient is to be accumulated in?"""
        leaf = self.leaves.get(tensor)
        if leaf is not None:
            return leaf.role == "parameter" or leaf.tensor.requires_grad
        made = self.made.get(tensor)
        event = self.events.get(made[0]) if made else None
        wanted = self.meta(tensor).requires_grad and tensor not in self.results
        return tensor in self.grads or (wanted and isinstance(event, Op) and not event.node)

    def step(self, seq: int) -> int:
        """The number of the training step that an event belongs to, as the optimizer counts."""
        i = bisect_left(self.optims, seq)
        if i < len(self.numbers):
            return self.numbers[i]
        return self._following or (self.numbers[-1] + 1 if self.numbers else 0)

    def step_bounds(self, seq: int) -> tuple[int, int]:
        """After which event the training step around ``seq`` begins, and the event that ends it."""
        i = bisect_left(self.optims, seq)
        first = self.optims[i - 1] if i else 0
        return first, min(self.optims[i], self.last_seq) if i < len(self.optims) else self.last_seq

    def node_of(self, event: Event) -> NodeBegin | None:
        """The backward node that an op ran in."""
        around = self.events.get(getattr(event, "parent", 0))
        while around is not None and type(around) is not NodeBegin:
            around = self.events.get(getattr(around, "parent", 0))
        return around if isinstance(around, NodeBegin) else None

    def sums_gradients(self, op: Op, node: NodeBegin) -> bool:
        """Is it the engine that adds what came to a tensor from two sides?"""
        end = self.events.get(self.ends.get(node.seq, 0))
        sent = {meta.id for meta in end.grad_out} if isinstance(end, NodeEnd) else set()
        return op.name == "add" and bool(sent.intersection(op.inputs))

    def operands(self, event: Event) -> list[Operand]:
        """What an event made its results of, each as it was just before."""
        pairs: list[tuple[int, int]] = []
        before = event.seq - 1
        written = self.wrote.get(event.seq, ())
        as_it_was = self.writes.get(event.seq, event.seq) - 1
        if isinstance(event, Op):
            pairs = [(i, as_it_was if i in written else before) for i in event.inputs]
        elif isinstance(event, OpEnd):
            begin = self.events.get(event.begin)
            if isinstance(begin, OpBegin):
                pairs = [(i, begin.seq - 1) for i in begin.inputs]
        elif isinstance(event, ModuleBegin):
            pairs = [(i, before) for i in event.inputs]
        elif isinstance(event, NodeEnd):
            pairs = self._of_node(event)
        elif isinstance(event, Grad):
            pairs = [(event.arrived.id, before)]
            if not event.first:
                pairs.append((event.total.id, as_it_was))
        elif isinstance(event, ParamUpdate):
            pairs = [(event.grad, before), (event.tensor.id, as_it_was)]
            for meta in event.state.values():
                made = self.made.get(meta.id, [])
                i = bisect_left(made, event.seq)
                older = self.events.get(made[i - 1]) if i else None
                if isinstance(older, ParamUpdate):  # else it was made in this very step
                    pairs.append((meta.id, older.seq))
        elif isinstance(event, Write):
            pairs = [(i, before) for i in event.tensors[:1]]
        return [Operand(i, at, self.name(i, at), self.meta(i)) for i, at in pairs if i]

    def _of_node(self, event: NodeEnd) -> list[tuple[int, int]]:
        """Of a node whose own ops were not recorded: gradients, and what it may have saved."""
        begin = self.events.get(event.begin)
        if not isinstance(begin, NodeBegin):
            return []
        pairs = [(meta.id, begin.seq) for meta in begin.grad_in]
        forward = self.events.get(begin.forward)
        if isinstance(forward, Op):
            pairs += [(operand.tensor, operand.seq) for operand in self.operands(forward)]
            pairs += [(meta.id, forward.seq) for meta in forward.outputs]
        return pairs

    # -- words -------------------------------------------------------------------------------

    def meta(self, tensor: int) -> TensorMeta:
        return self.metas.get(tensor, _UNKNOWN)

    def name(self, tensor: int, seq: int) -> str:
        """A leaf's name, or what made the tensor."""
        known = self.names.get(tensor)
        if known:
            return known
        made = self.maker(tensor, seq)
        if made is None:
            return f"tensor {tensor}"
        if isinstance(made, Leaf):
            return "an input without a name" if self._starts(made) is None else "the first gradient"
        return f"result of {self.title(made)}"

    def _starts(self, leaf: Leaf) -> BackwardBegin | None:
        """The backward pass that a leaf is the first gradient of."""
        before = self.events.get(leaf.seq - 1)
        after = self.events.get(leaf.seq + 1)
        starts = isinstance(before, BackwardBegin) and isinstance(after, NodeBegin)
        return before if starts and isinstance(before, BackwardBegin) else None

    def title(self, event: Event | None) -> str:
        """``log``, ``div in log backward``, ``SGD update of model.0.weight``."""
        if isinstance(event, Op):
            node = self.node_of(event)
            if node is None:
                return event.name
            if self.sums_gradients(event, node):
                return "sum of gradients"
            return f"{event.name} in {node.name} backward"
        if isinstance(event, OpBegin):
            return event.name
        if isinstance(event, NodeBegin):
            return f"{event.name} backward"
        if isinstance(event, ModuleBegin):
            return f"{event.path} {event.cls}"
        if isinstance(event, (OpEnd, NodeEnd)):
            return self.title(self.events.get(event.begin))
        if isinstance(event, Grad):
            return f"accumulation into {event.name or 'a leaf'}.grad"
        if isinstance(event, ParamUpdate):
            begin = self.events.get(event.parent)
            cls = begin.cls if isinstance(begin, OptimBegin) else "optimizer"
            return f"{cls} update of {event.name or 'a parameter'}"
        if isinstance(event, Leaf):
            start = self._starts(event)
            return "the first gradient" if start else f"{event.role} {event.name}".strip()
        return "a write in place" if isinstance(event, Write) else type(event).__name__

    def source(self, event: Event | None) -> Source:
        """The line of the user's code that an event belongs to: in backward the forward op's."""
        if isinstance(event, Op):
            node = self.node_of(event)
            return node.source if node is not None and node.source.line else event.source
        if isinstance(event, (OpEnd, NodeEnd)):
            return self.source(self.events.get(event.begin))
        if isinstance(event, (Grad, ParamUpdate)):
            return self.source(self.events.get(event.parent))
        if isinstance(event, (Leaf, Write)):
            for seq in range(event.seq + 1, event.seq + 20):  # the op that it was made for
                found = getattr(self.events.get(seq), "source", None)
                if found is not None and found.line:
                    return found
        return getattr(event, "source", _NOWHERE)

    def module(self, event: Event | None) -> str:
        """The path of the module that an event belongs to."""
        if isinstance(event, (OpEnd, NodeEnd)):
            return self.module(self.events.get(event.begin))
        if isinstance(event, (Grad, ParamUpdate)):
            return event.name.rpartition(".")[0]
        return getattr(event, "module", "")

    def phase(self, event: Event | None) -> str:
        if isinstance(event, (NodeBegin, NodeEnd, Grad)):
            return "backward"
        if isinstance(event, (OptimBegin, ParamUpdate)):
            return "optimizer"
        return getattr(event, "phase", "forward")


_TAKE: dict[type, Callable[[Lineage, Any], None]] = {
    Leaf: Lineage._leaf,
    Op: Lineage._op,
    Write: Lineage._write,
    OpEnd: Lineage._op_end,
    NodeBegin: Lineage._node_begin,
    NodeEnd: Lineage._node_end,
    Grad: Lineage._grad,
    OptimBegin: Lineage._optim_begin,
    ParamUpdate: Lineage._param_update,
    OptimEnd: Lineage._optim_end,
}
