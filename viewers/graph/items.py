"""The items of a step's graph in columns, and `Item`, which looks like an object of each.

An `Item` is made when it is asked for; two that are equal mean the same. What an item says of its
event (arguments, shapes, source line) is read from the tape then.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from framework.trace.events import (
    Event,
    Grad,
    Leaf,
    ModuleEnd,
    NodeBegin,
    Op,
    OpEnd,
    ParamUpdate,
    Source,
    TensorMeta,
)
from viewers.graph.columns import Few, Texts

if TYPE_CHECKING:
    from viewers.graph.store import TraceStore

__all__ = ["KINDS", "PHASES", "Columns", "Item", "Items"]

KINDS = (
    "op", "leaf", "mark", "module", "composite", "node", "backward", "optimizer", "update",
)  # fmt: skip
OP, LEAF, MARK, MODULE, COMPOSITE, NODE, BACKWARD, OPTIMIZER, UPDATE = range(9)
PHASES = ("forward", "backward", "optimizer")
FAILED_INSIDE, IS_ROOT, OF_BACKWARD, HAS_NODE = 1, 2, 4, 8

_NO_PARAMS: dict[int, str] = {}  # never written to


class Columns:
    """What is known of each item, by its index. Written by `StepGraph` alone."""

    def __init__(self, store: TraceStore) -> None:
        self.store = store
        self.texts = Texts()
        self.kind = bytearray()
        self.phase = bytearray()
        self.flags = bytearray()
        self.event = array("q")
        self.begin = array("q")
        self.end = array("q")
        self.output = array("q")  # the event that says what its outputs are, 0 for none
        self.signature = array("q")
        self.name = array("i")
        self.path = array("i")
        self.cls = array("i")
        self.call = array("i")
        self.parent = array("i")
        self.level = array("i")
        self.count = array("i")
        self.occurrence = array("i")
        self.forward = array("i")
        self.made = array("i")  # of a node: where in `makers` its own begin, -1 for none
        self.makers = array("i")  # how many, then for each gradient that it sent its maker or -1
        self.sources, self.targets, self.inputs, self.nodes = Few(), Few(), Few(), Few()
        self.grads = Few("q")
        self._firsts = tuple(
            [f.first for f in (self.sources, self.targets, self.inputs, self.nodes, self.grads)]
        )
        self.grad_of, self.grad_name = array("i"), array("i")  # of all gradients: node and leaf
        self.errors: dict[int, str] = {}
        self.roles: dict[int, str] = {}
        self.params: dict[int, dict[int, str]] = {}  # shared by equal ones: copied for a change
        self.metas: dict[int, tuple[TensorMeta, ...]] = {}  # outputs that no event names
        self.begun: dict[int, Event] = {}  # events before the step, of what was open then

    def __len__(self) -> int:
        return len(self.kind)

    def add(self, kind: int, phase: int, seq: int, name: str, parent: int) -> int:
        """A new item; its index."""
        inside = parent >= 0
        self.kind.append(kind)
        self.phase.append(phase)
        self.flags.append(0)
        self.event.append(seq)
        self.begin.append(seq)
        for column in (self.end, self.output, self.signature, self.cls, self.call, self.count):
            column.append(0)
        self.name.append(self.texts.code(name))
        self.path.append(self.path[parent] if inside else 0)
        self.parent.append(parent)
        self.level.append(self.level[parent] + (self.kind[parent] == MODULE) if inside else 0)
        self.occurrence.append(1)
        self.forward.append(-1)
        self.made.append(-1)
        for first in self._firsts:
            first.append(-1)
        return len(self.kind) - 1

    def ancestors(self, index: int) -> Iterator[int]:
        """Its groups, innermost first."""
        index = self.parent[index]
        while index >= 0:
            yield index
            index = self.parent[index]

    def made_by(self, node: int) -> array[int]:
        """The maker of each gradient that a node sent, -1 for none."""
        start = self.made[node] + 1
        return self.makers[start : start + self.makers[start - 1]] if start else array("i")

    def event_of(self, index: int) -> Event | None:
        seq = self.event[index]
        return self.begun.get(seq) or self.store.event(seq)

    def outputs(self, index: int) -> tuple[TensorMeta, ...]:
        """What it made; of a node the gradients that came to it."""
        known = self.metas.get(index)
        if known is not None:
            return known
        seq = self.output[index]
        event = self.store.event(seq) if seq else None
        if isinstance(event, (Op, OpEnd)):
            return event.outputs
        if isinstance(event, NodeBegin):
            return event.grad_in
        if isinstance(event, (Leaf, ParamUpdate)):
            return (event.tensor,)
        if isinstance(event, ModuleEnd):
            metas = [self.store.meta(t) for t in event.outputs]
            return tuple([m for m in metas if m is not None])
        return ()

    def key(self, index: int) -> str:
        """Names it in every step: module path, call, op, occurrence."""
        kind, name = self.kind[index], self.name[index]
        text = self.texts[name]
        if kind == MODULE:
            call = self.call[index]
            if not self.flags[index] & OF_BACKWARD:
                return f"{text}#{call}"
            around = next((a for a in self.ancestors(index) if self.kind[a] == BACKWARD), -1)
            return f"{self.key(around)}/{text}#{call}.{self.occurrence[index]}"
        if kind == UPDATE:
            text = "update"
        parent = self.parent[index]
        prefix = f"{self.key(parent)}/" if parent >= 0 else ""
        return f"{prefix}{text}#{self.occurrence[index]}"


class Item:
    """One thing of a step's graph.

    Kinds: "leaf" (a tensor that no op of this step made), "op", "composite", "module", "backward"
    (a pass), "node" (of backward), "optimizer", "update" (of a parameter), "mark".
    """

    __slots__ = ("_c", "index")

    def __init__(self, columns: Columns, index: int) -> None:
        self._c = columns
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and self.index == other.index and self._c is other._c

    def __hash__(self) -> int:
        return hash(self.index)

    def __repr__(self) -> str:
        return f"Item({self.index}, {self.kind}, {self.key!r}, {self.begin}..{self.end})"

    @property
    def key(self) -> str:
        """Names it in every step: module path, call, op, occurrence."""
        return self._c.key(self.index)

    @property
    def kind(self) -> str:
        return KINDS[self._c.kind[self.index]]

    @property
    def phase(self) -> str:
        return PHASES[self._c.phase[self.index]]

    @property
    def event(self) -> Event | None:
        """The event that it stands for; None once that is no longer on the tape."""
        return self._c.event_of(self.index)

    @property
    def name(self) -> str:
        """Op, class of an optimizer, name of a leaf, text of a mark; a module's path."""
        return self._c.texts[self._c.name[self.index]]

    @property
    def path(self) -> str:
        """The module that it belongs to."""
        return self._c.texts[self._c.path[self.index]]

    @property
    def cls(self) -> str:
        """Of a module: its class."""
        return self._c.texts[self._c.cls[self.index]]

    @property
    def call(self) -> int:
        """Of a module: which call of it in this step, from 1."""
        return self._c.call[self.index]

    @property
    def parent(self) -> Item | None:
        return self._one(self._c.parent[self.index])

    @property
    def level(self) -> int:
        """How many modules are around it."""
        return self._c.level[self.index]

    @property
    def begin(self) -> int:
        return self._c.begin[self.index]

    @property
    def end(self) -> int:
        """0 while it is open."""
        return self._c.end[self.index]

    @property
    def error(self) -> str:
        return self._c.errors.get(self.index, "")

    @property
    def failed_inside(self) -> bool:
        """The exception was raised in an item of this group."""
        return bool(self._c.flags[self.index] & FAILED_INSIDE)

    @property
    def is_root(self) -> bool:
        """Backward started from its output."""
        return bool(self._c.flags[self.index] & IS_ROOT)

    @property
    def sources(self) -> list[Item]:
        """Edges in, in argument order, each once."""
        return self._all(self._c.sources.of(self.index))

    @property
    def targets(self) -> list[Item]:
        """Edges out."""
        return self._all(self._c.targets.of(self.index))

    @property
    def inputs(self) -> list[Item]:
        """Makers of a group's inputs: its edges will start there."""
        return self._all(self._c.inputs.of(self.index))

    @property
    def outputs(self) -> tuple[TensorMeta, ...]:
        return self._c.outputs(self.index)

    @property
    def occurrence(self) -> int:
        return self._c.occurrence[self.index]

    @property
    def count(self) -> int:
        """Ops in it."""
        return self._c.count[self.index]

    @property
    def signature(self) -> int:
        """Equal for groups of equal structure."""
        return self._c.signature[self.index]

    @property
    def params(self) -> dict[int, str]:
        """Of a module: its parameters' names, relative to it. Not to be changed."""
        return self._c.params.get(self.index, _NO_PARAMS)

    @property
    def forward(self) -> Item | None:
        """Of a node: the forward op."""
        return self._one(self._c.forward[self.index])

    @property
    def nodes(self) -> list[Item]:
        """Of a forward op: the nodes that were run for it."""
        return self._all(self._c.nodes.of(self.index))

    @property
    def grads(self) -> tuple[Grad, ...]:
        """Of a node: what it accumulated into leaves."""
        seqs = self._c.grads.of(self.index)
        found = (self._c.store.event(seq) for seq in seqs)
        return tuple([e for e in found if isinstance(e, Grad)]) if seqs else ()

    @property
    def role(self) -> str:
        """Of a leaf: "input", "parameter", "buffer", "earlier"."""
        return self._c.roles.get(self.index, "")

    @property
    def group(self) -> bool:
        """Whether other items can be in it."""
        return self._c.kind[self.index] >= MODULE

    @property
    def source(self) -> Source | None:
        """The line of the user's code."""
        return getattr(self.event, "source", None)

    @property
    def shape(self) -> TensorMeta | None:
        """The tensor that a picture of it names: its first output."""
        return next((m for m in self.outputs if m.id), None)

    def ancestors(self) -> Iterator[Item]:
        """Its groups, innermost first."""
        columns = self._c
        return (Item(columns, i) for i in columns.ancestors(self.index))

    def _one(self, index: int) -> Item | None:
        return Item(self._c, index) if index >= 0 else None

    def _all(self, indexes: list[int]) -> list[Item]:
        return [Item(self._c, i) for i in indexes]


class Items(Sequence[Item]):
    """All items, in program order."""

    __slots__ = ("_c",)

    def __init__(self, columns: Columns) -> None:
        self._c = columns

    def __len__(self) -> int:
        return len(self._c)

    @overload
    def __getitem__(self, i: int) -> Item: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Item]: ...
    def __getitem__(self, i: int | slice) -> Item | Sequence[Item]:
        if isinstance(i, slice):
            return _Part(self._c, range(*i.indices(len(self))))
        return Item(self._c, range(len(self))[i])

    def __iter__(self) -> Iterator[Item]:
        columns = self._c
        return (Item(columns, i) for i in range(len(columns)))


class _Part(Sequence[Item]):
    """Some of the items."""

    __slots__ = ("_c", "_which")

    def __init__(self, columns: Columns, which: range) -> None:
        self._c = columns
        self._which = which

    def __len__(self) -> int:
        return len(self._which)

    @overload
    def __getitem__(self, i: int) -> Item: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Item]: ...
    def __getitem__(self, i: int | slice) -> Item | Sequence[Item]:
        which = self._which[i]
        return _Part(self._c, which) if isinstance(which, range) else Item(self._c, which)
