"""The graph of one training step: what happened in it as items, with the edges between them.

Items are in program order and form a forest: module calls, composite ops, backward passes, nodes
and optimizer steps hold the items that happened in them. Edges run between primitive items (an op
to the op that uses its output); a view that folds items away lifts edges to what is still visible.

Within backward, nodes are grouped by the module call that their forward op ran in, and their edges
mirror those of forward: gradients flow from the node of a consumer to the node of its producer.
Tensors saved for backward are not edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from framework.trace.events import (
    BackwardBegin,
    BackwardEnd,
    Event,
    Grad,
    Leaf,
    Mark,
    ModuleBegin,
    ModuleEnd,
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

if TYPE_CHECKING:
    from viewers.graph.moments import Container, Step
    from viewers.graph.store import TraceStore

__all__ = ["END", "GRAD", "NEW", "PARAM", "Item", "StepGraph"]

# What an entry of `StepGraph.log` says of its item.
NEW, END, GRAD, PARAM = range(4)

_GROUPS = ("module", "composite", "node", "backward", "optimizer", "update")

# What most items have none of. Shared, so never written to: six empty containers for each of 20,000
# items cost more in garbage collection than all the rest.
_NO_ITEMS: list[Any] = []
_NO_PARAMS: dict[int, str] = {}


class Item:
    """One thing of a step's graph.

    Kinds: "leaf" (a tensor that no op of this step made), "op", "composite", "module", "backward"
    (a pass), "node" (of backward), "optimizer", "update" (of a parameter), "mark".
    """

    __slots__ = (
        "_key", "_names", "begin", "call", "cls", "count", "end", "error", "event", "failed_inside",
        "forward", "grads", "index", "inputs", "is_root", "kind", "level", "made", "name",
        "nodes", "occurrence", "outputs", "params", "parent", "path", "phase", "role",
        "signature", "sources", "targets",
    )  # fmt: skip

    def __init__(
        self, index: int, kind: str, phase: str, event: Event, name: str, parent: Item | None
    ) -> None:
        self.index = index
        self.kind = kind
        self.phase = phase
        self.event = event
        self.name = (
            name  # op, class of an optimizer, name of a leaf, text of a mark; a module's path
        )
        # The module that it belongs to.
        self.path: str = parent.path if parent is not None else ""
        self.cls = ""  # of a module: its class
        self.call = 0  # of a module: which call of it in this step, from 1
        self.parent = parent
        # How many modules are around it.
        self.level: int = parent.level + (parent.kind == "module") if parent is not None else 0
        self.begin = event.seq
        self.end = 0  # 0 while it is open
        self.error = ""
        self.failed_inside = False  # the exception was raised in an item of this group
        self.sources: list[Item] = _NO_ITEMS  # edges in, in argument order, each once
        self.targets: list[Item] = _NO_ITEMS  # edges out
        self.inputs: tuple[Item, ...] = ()  # makers of a group's inputs: its edges will start there
        self.outputs: tuple[TensorMeta, ...] = ()
        self.occurrence = 1
        self._key = ""  # of a group; that of an op is made when it is asked for
        self.count = 0  # ops in it
        self.signature = 0  # equal for groups of equal structure
        self.params: dict[int, str] = (
            _NO_PARAMS  # of a module: its parameters' names, relative to it
        )
        self.forward: Item | None = None  # of a node: the forward op
        self.nodes: tuple[Item, ...] = ()  # of a forward op: the nodes that were run for it
        self.grads: tuple[Grad, ...] = ()  # of a node: what it accumulated into leaves
        self.made: tuple[Item | None, ...] = ()  # of a node: what made each gradient that it sent
        self.role = ""  # of a leaf: "input", "parameter", "buffer", "earlier"
        self.is_root = False  # backward started from its output
        self._names: dict[str, int] | None = None

    def __repr__(self) -> str:
        return f"Item({self.index}, {self.kind}, {self.key!r}, {self.begin}..{self.end})"

    @property
    def key(self) -> str:
        """Names it in every step: module path, call, op, occurrence."""
        if self._key:
            return self._key
        prefix = f"{self.parent.key}/" if self.parent is not None else ""
        return f"{prefix}{self.name}#{self.occurrence}"

    @key.setter
    def key(self, text: str) -> None:
        self._key = text

    @property
    def group(self) -> bool:
        """Whether other items can be in it."""
        return self.kind in _GROUPS

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
        item = self.parent
        while item is not None:
            yield item
            item = item.parent


class StepGraph:
    """Items and edges of one step. `update` (done by `TraceStore.graph`) adds what has happened.

    ``log`` tells views what changed, in order: ``(NEW, item, None)``, ``(END, item, None)``,
    ``(GRAD, node, Grad)``, ``(PARAM, module, tensor id)``. It only grows.
    """

    def __init__(self, store: TraceStore, step: Step) -> None:
        self.store = store
        self.step = step
        self.items: list[Item] = []
        self.log: list[tuple[int, Item, Any]] = []
        self.grads: dict[int, list[Grad]] = {}  # by leaf
        self._next = step.first_seq
        self._stack: list[Item] = []  # open containers, outermost first
        self._open: dict[int, Item] = {}  # the same by seq of their begin
        self._by_seq: dict[int, Item] = {}  # ops and leaves
        self._made: dict[int, Item] = {}  # tensor -> what made it, as of now
        self._history: dict[int, list[tuple[int, Item]]] = {}  # tensors written more than once
        self._used: dict[int, list[Item]] = {}  # tensor -> what used it
        self._writes: dict[int, list[int]] = {}  # tensor -> seqs of writes in place
        self._written: tuple[int, ...] = ()  # by the op that is about to come
        self._calls: dict[str, int] = {}
        self._top_names: dict[str, int] = {}
        self._run: list[Item] = []  # module groups of the backward pass that nodes go into
        self._update: Item | None = None  # ops before an update
        self._handlers: dict[type, Any] = {
            Leaf: self._leaf, Op: self._op, OpBegin: self._op_begin, OpEnd: self._group_end,
            ModuleBegin: self._module_begin, ModuleEnd: self._group_end,
            BackwardBegin: self._backward_begin, BackwardEnd: self._group_end,
            NodeBegin: self._node_begin, NodeEnd: self._group_end, Grad: self._grad,
            OptimBegin: self._optim_begin, OptimEnd: self._group_end,
            ParamUpdate: self._param_update, Write: self._write, Mark: self._mark,
        }  # fmt: skip
        outside = store.around(step.first_seq - 1) if step.first_seq > store.first_seq else None
        if outside is None:
            outside = store.base
        self._seed(outside)

    def _seed(self, container: Container | None) -> None:
        """Groups that were open already when the step began."""
        chain = []
        while container is not None:
            chain.append(container.event)
            container = container.outer
        for event in reversed(chain):
            handler = self._handlers.get(type(event))
            if handler is not None:
                handler(event)

    def update(self) -> None:
        """Add the events of the step that are new."""
        handlers = self._handlers
        for event in self.store.events(self._next, self.step.last_seq):
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)
        self._next = self.step.last_seq + 1

    # -- queries -----------------------------------------------------------------------------

    def item_at(self, seq: int) -> Item | None:
        """The op, group or leaf that the event ``seq`` made or began."""
        return self._by_seq.get(seq)

    def producer(self, tensor: int, seq: int | None = None) -> Item | None:
        """What made a tensor (or wrote it last), as of an event."""
        made = self._made.get(tensor)
        if seq is None or made is None or made.begin <= seq:
            return made
        earlier = [item for at, item in self._history.get(tensor, ()) if at <= seq]
        return earlier[-1] if earlier else None

    def consumers(self, tensor: int) -> list[Item]:
        """The ops (of any phase) that used a tensor, in order."""
        return self._used.get(tensor, [])

    def version(self, tensor: int, seq: int | None = None) -> int:
        """How often a tensor was written in place in this step, as of an event."""
        writes = self._writes.get(tensor, ())
        return sum(1 for at in writes if seq is None or at <= seq)

    def modules(self) -> list[Item]:
        """The module calls of forward, in order."""
        return [i for i in self.items if i.kind == "module" and i.phase == "forward"]

    # -- making items ------------------------------------------------------------------------

    def _new(self, kind: str, phase: str, event: Event, name: str, parent: Item | None) -> Item:
        item = Item(len(self.items), kind, phase, event, name, parent)
        self.items.append(item)
        names = self._names_in(parent)
        occurrence = item.occurrence = names.get(name, 0) + 1
        names[name] = occurrence
        if item.group:
            item.key = item.key
        return item

    def _names_in(self, parent: Item | None) -> dict[str, int]:
        if parent is None:
            return self._top_names
        if parent._names is None:
            parent._names = {}
        return parent._names

    def _parent(self, phase: str) -> Item | None:
        """The innermost open group of this phase."""
        for item in reversed(self._stack):
            if item.phase == phase:
                return item
        return None

    def _push(self, item: Item) -> None:
        self._stack.append(item)
        self._open[item.begin] = item
        self._by_seq[item.begin] = item
        self._say(NEW, item)

    def _say(self, what: int, item: Item, payload: Any = None) -> None:
        self.log.append((what, item, payload))

    def _link(self, source: Item, target: Item) -> None:
        if source is target or source in target.sources:
            return
        if target.sources:
            target.sources.append(source)
        else:
            target.sources = [source]
        if source.targets:
            source.targets.append(target)
        else:
            source.targets = [target]

    def _makes(self, item: Item, tensor: int) -> None:
        before = self._made.get(tensor)
        if before is not None and before is not item:
            history = self._history.setdefault(tensor, [(before.begin, before)])
            history.append((item.begin, item))
        self._made[tensor] = item

    # -- leaves ------------------------------------------------------------------------------

    def _leaf(self, e: Leaf) -> None:
        if e.role != "input":
            path, _, local = e.name.rpartition(".")
            module = next((i for i in reversed(self._stack) if i.path == path and i.call), None)
            if module is not None:
                self._add_param(module, e.tensor.id, local)
            return
        phase = self._stack[-1].phase if self._stack else "forward"
        if phase == "forward":
            self._leaf_item(e, e, e.name, e.role, e.tensor)

    def _own(self, tensor: int, name: str) -> Item | None:
        """Put a parameter into the header of the open module that holds it."""
        for item in reversed(self._stack):
            if item.kind == "module" and name.startswith(item.path + "."):
                return self._add_param(item, tensor, name[len(item.path) + 1 :])
        return None

    def _add_param(self, module: Item, tensor: int, local: str) -> Item:
        if tensor not in module.params:
            module.params[tensor] = local
            self._say(PARAM, module, tensor)
        return module

    def _leaf_item(self, e: Leaf | None, at: Event, name: str, role: str, meta: TensorMeta) -> Item:
        item = self._new("leaf", "forward", at, name or role, self._parent("forward"))
        item.role = role
        item.outputs = (meta,)
        item.end = at.seq
        if e is not None:
            self._by_seq[e.seq] = item
        self._makes(item, meta.id)
        self._say(NEW, item)
        return item

    def _maker(self, tensor: int, at: Event, phase: str) -> Item | None:
        """What made an input; a tensor from outside of the step gets an item when it is first used.

        Parameters have none: they are in the header of a module.
        """
        made = self._made.get(tensor)
        if made is not None:
            return made
        store = self.store
        leaf = store.leaf(tensor)
        if leaf is not None and leaf.role != "input":
            if phase != "forward":
                return None
            if any(tensor in item.params for item in self._stack) or self._own(tensor, leaf.name):
                return None
            module = next((i for i in reversed(self._stack) if i.kind == "module"), None)
            if module is not None:
                self._add_param(module, tensor, leaf.name)
                return None
        meta = store.meta(tensor)
        if phase != "forward" or meta is None:
            return None
        if leaf is not None:
            return self._leaf_item(leaf, at, leaf.name, leaf.role, meta)
        maker = store.event(store.maker(tensor))
        if type(maker) is not Op or maker.seq >= self.step.first_seq:
            return None
        return self._leaf_item(None, at, maker.name, "earlier", meta)

    # -- ops ---------------------------------------------------------------------------------

    def _op(self, e: Op) -> None:
        top = self._stack[-1] if self._stack else None
        phase = e.phase
        if top is not None and (top.phase == "backward" or phase not in ("forward", "optimizer")):
            phase = top.phase
        sources = self._sources(e.inputs, e, phase)
        parent = self._parent(phase)
        if phase == "optimizer" and parent is not None and parent.kind == "optimizer":
            parent = self._update = self._update or self._update_group(e, parent)
        item = self._new("op", phase, e, e.name, parent)
        item.path = e.module
        item.outputs = e.outputs
        item.end = e.seq
        item.error = e.error
        item.signature = hash((e.name, tuple([(m.shape, m.dtype) for m in e.outputs])))
        self._by_seq[e.seq] = item
        for source in sources:
            self._link(source, item)
        for tensor in e.inputs:
            if tensor:
                self._used.setdefault(tensor, []).append(item)
        for meta in e.outputs:
            self._makes(item, meta.id)
        if self._written:
            if any(meta.id in self._written for meta in e.outputs):
                for tensor in self._written:
                    self._makes(item, tensor)
            self._written = ()
        if parent is not None:
            parent.count += 1
            parent.signature = hash((parent.signature, item.signature))
            parent.failed_inside |= bool(item.error)
        self._say(NEW, item)

    def _sources(self, inputs: tuple[int, ...], e: Op | OpBegin, phase: str) -> list[Item]:
        """Makers of the inputs that are edges in this phase."""
        node = self._node() if phase == "backward" else None
        result: list[Item] = []
        for tensor in inputs:
            if not tensor:
                continue
            made = self._maker(tensor, e, phase)
            if made is None:
                continue
            if node is not None:
                if made.begin >= node.begin:
                    result.append(made)  # made in this node
                elif tensor in node.params:
                    result.extend(node.sources)  # the gradient that came to the node
            elif made.phase == phase:
                result.append(made)
        return result

    def _node(self) -> Item | None:
        return next((i for i in reversed(self._stack) if i.kind == "node"), None)

    def _op_begin(self, e: OpBegin) -> None:
        top = self._stack[-1] if self._stack else None
        phase = top.phase if top is not None and top.phase == "backward" else e.phase
        sources = self._sources(e.inputs, e, phase)
        item = self._new("composite", phase, e, e.name, self._parent(phase))
        item.path = e.module
        item.inputs = tuple(sources)
        item.signature = hash(e.name)
        self._push(item)

    def _write(self, e: Write) -> None:
        for tensor in e.tensors:
            self._writes.setdefault(tensor, []).append(e.seq)
        self._written = e.tensors

    def _mark(self, e: Mark) -> None:
        item = self._new("mark", "forward", e, e.name, self._parent("forward"))
        item.end = e.seq
        self._say(NEW, item)

    # -- groups ------------------------------------------------------------------------------

    def _module_begin(self, e: ModuleBegin) -> None:
        inputs = [
            m for t in e.inputs if t for m in (self._maker(t, e, "forward"),) if m is not None
        ]
        item = self._module(e, e.path, self._parent("forward"))
        item.inputs = tuple(inputs)
        item.cls = e.cls
        item.signature = hash(("module", e.cls, e.description))
        item.params = dict(self.store.parameters(e.path))
        call = self._calls[e.path] = self._calls.get(e.path, 0) + 1
        item.call = call
        item.key = f"{e.path}#{call}"
        self._push(item)

    def _module(self, e: Event, path: str, parent: Item | None) -> Item:
        item = self._new("module", parent.phase if parent else "forward", e, path, parent)
        item.path = path
        return item

    def _backward_begin(self, e: BackwardBegin) -> None:
        item = self._new("backward", "backward", e, "backward", None)
        for root in e.roots:
            made = self._made.get(root)
            if made is None:
                continue
            made.is_root = True
            for group in made.ancestors():  # the composite op is what the user calls the loss
                if any(m.id == root for m in group.outputs):
                    group.is_root = True
                    made = group if group.kind == "composite" else made
            item.inputs += (made,)
        self._push(item)

    def _optim_begin(self, e: OptimBegin) -> None:
        item = self._new("optimizer", "optimizer", e, e.cls, None)
        self._update = None
        self._push(item)

    def _group_end(self, e: OpEnd | ModuleEnd | BackwardEnd | NodeEnd | OptimEnd) -> None:
        item = self._open.get(e.begin)
        if item is None:
            return
        while self._stack:
            top = self._stack.pop()
            del self._open[top.begin]
            self._close(top, e, e.error if top is item else top.error)
            if top is item:
                return

    def _close(self, item: Item, e: Any, error: str) -> None:
        if item.kind == "backward":
            while self._run:
                self._finish(self._run.pop(), e.seq)
        elif item.kind == "optimizer" and self._update is not None:
            self._finish(self._update, e.seq)
            self._update = None
        item.error = error
        kind = type(e)
        if item.begin != getattr(e, "begin", 0):
            pass  # its own end was lost
        elif kind is OpEnd:
            item.outputs = e.outputs
            self._close_outputs(item)
        elif kind is ModuleEnd:
            metas = [self.store.meta(t) for t in e.outputs]
            item.outputs = tuple([m for m in metas if m is not None])
            self._close_outputs(item)
        elif kind is NodeEnd:
            self._close_node(item, e)
        self._finish(item, e.seq)

    def _close_outputs(self, item: Item) -> None:
        """A group with no ops in it makes its outputs itself, from its inputs."""
        for meta in item.outputs:
            if meta.id not in self._made:
                self._makes(item, meta.id)
                for source in item.inputs:
                    if source.phase == item.phase:
                        self._link(source, item)

    def _finish(self, item: Item, seq: int) -> None:
        item.end = seq
        parent = item.parent
        if parent is not None:
            parent.count += item.count
            parent.signature = hash((parent.signature, item.signature))
            parent.failed_inside |= bool(item.error)
        self._say(END, item)

    # -- backward ----------------------------------------------------------------------------

    def _node_begin(self, e: NodeBegin) -> None:
        forward = self._by_seq.get(e.forward) if e.forward else None
        backward = next((i for i in reversed(self._stack) if i.kind == "backward"), None)
        sources = list(self._grad_sources(e, forward, backward))
        parent = None
        if backward is not None:
            parent = self._module_run(e, forward, backward, sources)
        item = self._new("node", "backward", e, e.name, parent)
        item.path = e.module
        item.forward = forward
        item.outputs = e.grad_in
        item.signature = hash(("node", e.name, tuple([m.shape for m in e.grad_in])))
        item.params = {m.id: "" for m in e.grad_in if m.id}  # the gradients that came
        for source in sources:
            self._link(source, item)
        if forward is not None:
            forward.nodes += (item,)
        self._push(item)

    def _module_run(
        self, e: NodeBegin, forward: Item | None, backward: Item, sources: list[Item]
    ) -> Item:
        """The group of consecutive nodes whose forward ops ran in the same module call."""
        calls: list[tuple[str, int]]
        if forward is not None:
            calls = [(a.path, a.call) for a in forward.ancestors() if a.kind == "module"][::-1]
        else:
            calls = [(e.module, 1)] if e.module else []
        run, same = self._run, 0
        while same < min(len(run), len(calls)) and (run[same].path, run[same].call) == calls[same]:
            same += 1
        while len(run) > same:
            self._finish(run.pop(), e.seq - 1)
        for path, call in calls[same:]:
            group = self._module(e, path, run[-1] if run else backward)
            group.call = call
            group.inputs = tuple(sources)
            group.outputs = e.grad_in
            group.cls = _class_of(forward, path) if forward is not None else ""
            group.signature = hash(group.cls or path)
            group.key = f"{backward.key}/{path}#{call}.{group.occurrence}"
            run.append(group)
            self._say(NEW, group)
        return run[-1] if run else backward

    def _grad_sources(
        self, e: NodeBegin, forward: Item | None, backward: Item | None
    ) -> Iterator[Item]:
        """Where a node's gradients come from: the nodes of the consumers of its forward op."""
        found = False
        if forward is not None:
            outputs = {m.id for m in forward.outputs}
            for consumer in forward.targets:
                node = consumer.nodes[-1] if consumer.nodes else None
                if node is None or not node.end or _pass_of(node) is not backward:
                    continue
                for position, tensor in enumerate(getattr(consumer.event, "inputs", ())):
                    if tensor in outputs and position < len(node.made):
                        made = node.made[position]
                        if made is not None:
                            found = True
                            yield made
        if not found:
            for meta in e.grad_in:
                made = self._made.get(meta.id)
                if made is not None and made.phase == "backward":
                    yield made

    def _close_node(self, item: Item, e: NodeEnd) -> None:
        made: list[Item | None] = []
        for meta in e.grad_out:
            maker = self._made.get(meta.id) if meta.id else None
            if meta.id and (maker is None or maker.begin < item.begin):
                maker = item  # passed on as it came
                self._makes(item, meta.id)
            made.append(maker)
        item.made = tuple(made)

    def _grad(self, e: Grad) -> None:
        self.grads.setdefault(e.leaf, []).append(e)
        node = self._node() or self._parent("backward")
        if node is not None:
            node.grads += (e,)
            self._say(GRAD, node, e)

    # -- the optimizer -----------------------------------------------------------------------

    def _update_group(self, e: Event, parent: Item | None) -> Item:
        item = self._new("update", "optimizer", e, "update", parent)
        self._say(NEW, item)
        return item

    def _param_update(self, e: ParamUpdate) -> None:
        item = self._update
        self._written = ()
        if item is None:
            item = self._update_group(e, self._parent("optimizer"))
        self._update = None
        item.event = e
        item.name = e.name
        item.outputs = (e.tensor,)
        self._by_seq[e.seq] = item
        self._finish(item, e.seq)


def _pass_of(item: Item) -> Item | None:
    return next((i for i in item.ancestors() if i.kind == "backward"), None)


def _class_of(forward: Item, path: str) -> str:
    for item in forward.ancestors():
        if item.kind == "module" and item.path == path:
            return item.cls
    return ""
