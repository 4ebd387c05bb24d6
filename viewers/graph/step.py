"""The graph of one training step: what happened in it as items, with the edges between them.

Items are in program order and form a forest: module calls, composite ops, backward passes, nodes
and optimizer steps hold the items that happened in them. Edges run between primitive items (an op
to the op that uses its output); a view that folds items away lifts edges to what is still visible.

Within backward, nodes are grouped by the module call that their forward op ran in, and their edges
mirror those of forward: gradients flow from the node of a consumer to the node of its producer.
Tensors saved for backward are not edges.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from framework.trace.events import (
    BackwardBegin,
    BackwardEnd,
    Event,
    Grad,
    Kernels,
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
    TensorMeta,
    Write,
)
from viewers.graph.columns import Ids
from viewers.graph.items import (
    BACKWARD,
    COMPOSITE,
    FAILED_INSIDE,
    HAS_NODE,
    IS_ROOT,
    LEAF,
    MARK,
    MODULE,
    NODE,
    OF_BACKWARD,
    OP,
    OPTIMIZER,
    PHASES,
    UPDATE,
    Columns,
    Item,
    Items,
)

if TYPE_CHECKING:
    from viewers.graph.containers import Container
    from viewers.graph.moments import Step
    from viewers.graph.store import TraceStore

__all__ = ["END", "GRAD", "NEW", "PARAM", "Item", "StepGraph"]

# What an entry of `StepGraph.log` says of its item.
NEW, END, GRAD, PARAM = range(4)

_PHASES = {name: code for code, name in enumerate(PHASES)}
FORWARD, BACK, UPDATING = range(3)


class Log:
    """What changed in a graph, in order: it only grows."""

    def __init__(self) -> None:
        self.what = bytearray()
        self.items = array("i")
        self.grads: dict[int, int] = {}  # the event of a GRAD

    def __len__(self) -> int:
        return len(self.what)


class StepGraph:
    """Items and edges of one step. `update` (done by `TraceStore.graph`) adds what has happened.

    Attributes:
        items: all of them, in program order.
        columns: the same by index, for those who look at many.
        log: tells views what changed, in order: `NEW`, `END`, `GRAD`, `PARAM`. It only grows.
    """

    def __init__(self, store: TraceStore, step: Step) -> None:
        self.store = store
        self.step = step
        self.columns = Columns(store)
        self.items = Items(self.columns)
        self.log = Log()
        self._next = step.first_seq
        self._stack: list[int] = []  # open containers, outermost first
        self._open: dict[int, int] = {}  # the same by seq of their begin
        self._by_seq = Ids("i")  # ops and leaves: index + 1
        self._made = Ids("i")  # tensor -> what made it, as of now: index + 1
        # Of tensors that were made more than once: by what, as a tuple while they are few.
        self._history: dict[int, tuple[int, ...] | list[int]] = {}
        self._users = Ids("i")  # tensor -> the first item that used it: index + 1
        self._more_users: dict[int, tuple[int, ...] | list[int]] = {}  # and the others
        self._writes: dict[int, list[int]] = {}  # tensor -> seqs of writes in place
        self._written: tuple[int, ...] = ()  # by the op that is about to come
        self._calls: dict[str, int] = {}
        self._names: dict[int, dict[str, int]] = {-1: {}}  # open group -> how often each name
        self._params: dict[tuple[tuple[int, str], ...], dict[int, str]] = {}  # each once
        self._run: list[int] = []  # module groups of the backward pass that nodes go into
        self._update = -1  # ops before an update
        self._handlers: dict[type, Any] = {
            Leaf: self._leaf, Op: self._op, OpBegin: self._op_begin, OpEnd: self._group_end,
            ModuleBegin: self._module_begin, ModuleEnd: self._group_end,
            BackwardBegin: self._backward_begin, BackwardEnd: self._group_end,
            NodeBegin: self._node_begin, NodeEnd: self._group_end, Grad: self._grad,
            OptimBegin: self._optim_begin, OptimEnd: self._group_end,
            ParamUpdate: self._param_update, Write: self._write, Mark: self._mark,
            Kernels: lambda e: None,
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
                self.columns.begun[event.seq] = event
                handler(event)

    def update(self, most: int | None = None) -> None:
        """Add the events of the step that are new, at most so many."""
        store, handlers = self.store, self._handlers
        first = store.index_before(self._next - 1) + 1
        end = store.index_before(self.step.last_seq) + 1
        if most is not None:
            end = min(end, first + most)
        for event in store.tape.between(first, end):
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)
        if end > first:
            self._next = store.seq_of(end - 1) + 1

    @property
    def behind(self) -> int:
        """Events of the step that are still to be added."""
        store = self.store
        end = store.index_before(self.step.last_seq)
        return max(0, end - store.index_before(self._next - 1))

    # -- queries -----------------------------------------------------------------------------

    def item_at(self, seq: int) -> Item | None:
        """The op, group or leaf that the event ``seq`` made or began."""
        at = self._by_seq.get(seq)
        return Item(self.columns, at - 1) if at else None

    def producer(self, tensor: int, seq: int | None = None) -> Item | None:
        """What made a tensor (or wrote it last), as of an event."""
        made = self._made.get(tensor) - 1
        if made < 0:
            return None
        if seq is not None and self.columns.begin[made] > seq:
            begins = self.columns.begin
            earlier = [item for item in self._history.get(tensor, ()) if begins[item] <= seq]
            if not earlier:
                return None
            made = earlier[-1]
        return Item(self.columns, made)

    def headers(self) -> list[dict[int, str]]:
        """The different sets of parameters that modules have, as in `Columns.params`."""
        return list(self._params.values())

    def makers(self, tensor: int) -> list[int]:
        """Indexes of all items that made a tensor or wrote it."""
        made = self._made.get(tensor)
        return list(self._history.get(tensor, (made - 1,) if made else ()))

    def consumers(self, tensor: int) -> list[Item]:
        """The ops (of any phase) that used a tensor, in order."""
        first = self._users.get(tensor)
        found = [first - 1, *self._more_users.get(tensor, ())] if first else []
        return [Item(self.columns, i) for i in found]

    def version(self, tensor: int, seq: int | None = None) -> int:
        """How often a tensor was written in place in this step, as of an event."""
        writes = self._writes.get(tensor, ())
        return sum(1 for at in writes if seq is None or at <= seq)

    def modules(self) -> list[Item]:
        """The module calls of forward, in order."""
        return [i for i in self.items if i.kind == "module" and i.phase == "forward"]

    # -- making items ------------------------------------------------------------------------

    def _new(self, kind: int, phase: int, event: Event, name: str, parent: int) -> int:
        item = self.columns.add(kind, phase, event.seq, name, parent)
        names = self._names.get(parent)
        if names is None:
            names = self._names[parent] = {}
        occurrence = names.get(name, 0) + 1
        names[name] = occurrence
        if occurrence > 1:
            self.columns.occurrence[item] = occurrence
        return item

    def _parent(self, phase: int) -> int:
        """The innermost open group of this phase, -1 for none."""
        phases = self.columns.phase
        for item in reversed(self._stack):
            if phases[item] == phase:
                return item
        return -1

    def _innermost(self, kind: int) -> int:
        """The innermost open group of this kind, -1 for none."""
        kinds = self.columns.kind
        for item in reversed(self._stack):
            if kinds[item] == kind:
                return item
        return -1

    def _push(self, item: int) -> None:
        begin = self.columns.begin[item]
        self._stack.append(item)
        self._open[begin] = item
        self._by_seq.set(begin, item + 1)
        self._say(NEW, item)

    def _say(self, what: int, item: int, payload: int = 0) -> None:
        log = self.log
        if payload:
            log.grads[len(log.what)] = payload
        log.what.append(what)
        log.items.append(item)

    def _link(self, source: int, target: int) -> None:
        columns = self.columns
        if source != target and columns.sources.add(target, source):
            columns.targets.add(source, target)

    def _makes(self, item: int, tensor: int) -> None:
        before = self._made.get(tensor) - 1
        if before >= 0 and before != item:
            history = self._history.get(tensor, (before,))
            if len(history) < 8:
                self._history[tensor] = (*history, item)
            elif isinstance(history, list):
                history.append(item)
            else:
                self._history[tensor] = [*history, item]
        self._made.set(tensor, item + 1)

    def _fail(self, item: int, error: str) -> None:
        if error:
            self.columns.errors[item] = error

    # -- leaves ------------------------------------------------------------------------------

    def _leaf(self, e: Leaf) -> None:
        columns = self.columns
        if e.role != "input":
            path, _, local = e.name.rpartition(".")
            for item in reversed(self._stack):
                if columns.call[item] and columns.texts[columns.path[item]] == path:
                    self._add_param(item, e.tensor.id, local)
                    break
            return
        phase = columns.phase[self._stack[-1]] if self._stack else FORWARD
        if phase == FORWARD:
            self._leaf_item(e, e, e.name, e.role, e.tensor)

    def _own(self, tensor: int, name: str) -> bool:
        """Put a parameter into the header of the open module that holds it."""
        columns = self.columns
        for item in reversed(self._stack):
            inside = columns.texts[columns.path[item]] + "."
            if columns.kind[item] != MODULE:
                continue
            for called in (name, *self.store.naming.others(name)):
                if called.startswith(inside):
                    self._add_param(item, tensor, called[len(inside) :])
                    return True
        return False

    def _add_param(self, module: int, tensor: int, local: str) -> None:
        params = self.columns.params.get(module, {})
        if tensor not in params:
            self._set_params(module, {**params, tensor: local})
            self._say(PARAM, module)

    def _set_params(self, module: int, params: dict[int, str]) -> None:
        """Note a module's parameters; most calls have those of another one."""
        same = self._params.setdefault(tuple(params.items()), params)
        self.columns.params[module] = same

    def _leaf_item(self, e: Leaf | None, at: Event, name: str, role: str, meta: TensorMeta) -> int:
        item = self._new(LEAF, FORWARD, at, name or role, self._parent(FORWARD))
        columns = self.columns
        columns.roles[item] = role
        columns.end[item] = at.seq
        if e is at:
            columns.output[item] = e.seq
        else:
            columns.metas[item] = (meta,)
        if e is not None:
            self._by_seq.set(e.seq, item + 1)
        self._makes(item, meta.id)
        self._say(NEW, item)
        return item

    def _maker(self, tensor: int, at: Event, phase: int) -> int:
        """What made an input; a tensor from outside of the step gets an item when it is first used.

        Parameters have none (-1): they are in the header of a module.
        """
        made = self._made.get(tensor)
        if made:
            return made - 1
        store, columns = self.store, self.columns
        leaf = store.leaf(tensor)
        if leaf is not None and leaf.role != "input":
            if phase != FORWARD:
                return -1
            known = any(tensor in columns.params.get(item, ()) for item in self._stack)
            if known or self._own(tensor, leaf.name):
                return -1
            module = self._innermost(MODULE)
            if module >= 0:
                self._add_param(module, tensor, leaf.name)
                return -1
        if phase != FORWARD:
            return -1
        meta = store.meta(tensor)
        if meta is None:
            return -1
        if leaf is not None:
            return self._leaf_item(leaf, at, leaf.name, leaf.role, meta)
        maker = store.event(store.origin(tensor))
        if type(maker) is not Op or maker.seq >= self.step.first_seq:
            return -1
        return self._leaf_item(None, at, maker.name, "earlier", meta)

    # -- ops ---------------------------------------------------------------------------------

    def _op(self, e: Op) -> None:
        columns = self.columns
        phase = _PHASES.get(e.phase, FORWARD)
        if self._stack:
            above = columns.phase[self._stack[-1]]
            if above == BACK or e.phase not in ("forward", "optimizer"):
                phase = above
        sources = self._sources(e.inputs, e, phase)
        parent = self._parent(phase)
        if phase == UPDATING and parent >= 0 and columns.kind[parent] == OPTIMIZER:
            if self._update < 0:
                self._update = self._update_group(e, parent)
            parent = self._update
        item = self._new(OP, phase, e, e.name, parent)
        seq = e.seq
        columns.path[item] = columns.texts.code(e.module)
        columns.output[item] = columns.end[item] = seq
        if e.node:
            columns.flags[item] |= HAS_NODE
        signature = hash((e.name, tuple([(m.shape, m.dtype) for m in e.outputs])))
        columns.signature[item] = signature
        self._by_seq.set(seq, item + 1)
        for source in sources:
            self._link(source, item)
        for tensor in e.inputs:
            if tensor:
                self._uses(item, tensor)
        for meta in e.outputs:
            self._makes(item, meta.id)
        if self._written:
            if any(meta.id in self._written for meta in e.outputs):
                for tensor in self._written:
                    self._makes(item, tensor)
            self._written = ()
        if parent >= 0:
            columns.count[parent] += 1
            columns.signature[parent] = hash((columns.signature[parent], signature))
        if e.error:
            self._fail(item, e.error)
            if parent >= 0:
                columns.flags[parent] |= FAILED_INSIDE
        self._say(NEW, item)

    def _uses(self, item: int, tensor: int) -> None:
        first = self._users.get(tensor)
        if not first:
            self._users.set(tensor, item + 1)
        elif first != item + 1:
            more = self._more_users.get(tensor, ())
            if more and more[-1] == item:
                return
            if isinstance(more, list):
                more.append(item)
            else:
                self._more_users[tensor] = (*more, item) if len(more) < 8 else [*more, item]

    def _sources(self, inputs: tuple[int, ...], e: Op | OpBegin, phase: int) -> list[int]:
        """Makers of the inputs that are edges in this phase."""
        columns = self.columns
        node = self._innermost(NODE) if phase == BACK else -1
        result: list[int] = []
        for tensor in inputs:
            if not tensor:
                continue
            made = self._maker(tensor, e, phase)
            if made < 0:
                continue
            if node >= 0:
                if columns.begin[made] >= columns.begin[node]:
                    result.append(made)  # made in this node
                elif any(tensor == m.id for m in columns.outputs(node)):
                    result.extend(columns.sources.of(node))  # the gradient that came to the node
            elif columns.phase[made] == phase:
                result.append(made)
        return result

    def _op_begin(self, e: OpBegin) -> None:
        columns = self.columns
        phase = _PHASES.get(e.phase, FORWARD)
        if self._stack and columns.phase[self._stack[-1]] == BACK:
            phase = BACK
        sources = self._sources(e.inputs, e, phase)
        item = self._new(COMPOSITE, phase, e, e.name, self._parent(phase))
        columns.path[item] = columns.texts.code(e.module)
        for source in sources:
            columns.inputs.add(item, source)
        columns.signature[item] = hash(e.name)
        self._push(item)

    def _write(self, e: Write) -> None:
        for tensor in e.tensors:
            self._writes.setdefault(tensor, []).append(e.seq)
        self._written = e.tensors

    def _mark(self, e: Mark) -> None:
        item = self._new(MARK, FORWARD, e, e.name, self._parent(FORWARD))
        self.columns.end[item] = e.seq
        self._say(NEW, item)

    # -- groups ------------------------------------------------------------------------------

    def _module_begin(self, e: ModuleBegin) -> None:
        columns = self.columns
        inputs = [made for t in e.inputs if t and (made := self._maker(t, e, FORWARD)) >= 0]
        parent = self._parent(FORWARD)
        item = self._module(e, e.path, parent)
        for source in inputs:
            columns.inputs.add(item, source)
        columns.cls[item] = columns.texts.code(e.cls)
        columns.signature[item] = hash(("module", e.cls, e.description))
        params = self.store.parameters(e.path)
        if params:
            self._set_params(item, dict(params))
        call = self._calls[e.path] = self._calls.get(e.path, 0) + 1
        columns.call[item] = call
        self._push(item)

    def _module(self, e: Event, path: str, parent: int) -> int:
        columns = self.columns
        phase = columns.phase[parent] if parent >= 0 else FORWARD
        item = self._new(MODULE, phase, e, path, parent)
        columns.path[item] = columns.name[item]
        return item

    def _backward_begin(self, e: BackwardBegin) -> None:
        columns = self.columns
        item = self._new(BACKWARD, BACK, e, "backward", -1)
        for root in e.roots:
            made = self._made.get(root) - 1
            if made < 0:
                continue
            columns.flags[made] |= IS_ROOT
            for group in columns.ancestors(made):  # the composite op is what is called the loss
                if any(m.id == root for m in columns.outputs(group)):
                    columns.flags[group] |= IS_ROOT
                    made = group if columns.kind[group] == COMPOSITE else made
            columns.inputs.add(item, made)
        self._push(item)

    def _optim_begin(self, e: OptimBegin) -> None:
        item = self._new(OPTIMIZER, UPDATING, e, e.cls, -1)
        self._update = -1
        self._push(item)

    def _group_end(self, e: OpEnd | ModuleEnd | BackwardEnd | NodeEnd | OptimEnd) -> None:
        item = self._open.get(e.begin, -1)
        if item < 0:
            return
        columns = self.columns
        while self._stack:
            top = self._stack.pop()
            del self._open[columns.begin[top]]
            self._close(top, e, e.error if top == item else columns.errors.get(top, ""))
            if top == item:
                return

    def _close(self, item: int, e: Any, error: str) -> None:
        columns = self.columns
        kind = columns.kind[item]
        if kind == BACKWARD:
            while self._run:
                self._finish(self._run.pop(), e.seq)
        elif kind == OPTIMIZER and self._update >= 0:
            self._finish(self._update, e.seq)
            self._update = -1
        self._fail(item, error)
        what = type(e)
        if columns.begin[item] != getattr(e, "begin", 0):
            pass  # its own end was lost
        elif what is OpEnd:
            columns.output[item] = e.seq
            self._close_outputs(item, [m.id for m in e.outputs])
        elif what is ModuleEnd:
            columns.output[item] = e.seq
            store = self.store
            self._close_outputs(item, [t for t in e.outputs if store.meta(t) is not None])
        elif what is NodeEnd:
            self._close_node(item, e)
        self._finish(item, e.seq)

    def _close_outputs(self, item: int, outputs: list[int]) -> None:
        """A group with no ops in it makes its outputs itself, from its inputs."""
        columns = self.columns
        for tensor in outputs:
            if not self._made.get(tensor):
                self._makes(item, tensor)
                for source in columns.inputs.of(item):
                    if columns.phase[source] == columns.phase[item]:
                        self._link(source, item)

    def _finish(self, item: int, seq: int) -> None:
        columns = self.columns
        columns.end[item] = seq
        self._names.pop(item, None)
        parent = columns.parent[item]
        if parent >= 0:
            columns.count[parent] += columns.count[item]
            signature = hash((columns.signature[parent], columns.signature[item]))
            columns.signature[parent] = signature
            if item in columns.errors:
                columns.flags[parent] |= FAILED_INSIDE
        self._say(END, item)

    # -- backward ----------------------------------------------------------------------------

    def _node_begin(self, e: NodeBegin) -> None:
        columns = self.columns
        forward = self._by_seq.get(e.forward) - 1 if e.forward else -1
        backward = self._innermost(BACKWARD)
        sources = self._grad_sources(e, forward, backward)
        parent = -1
        if backward >= 0:
            parent = self._module_run(e, forward, backward, sources)
        item = self._new(NODE, BACK, e, e.name, parent)
        columns.path[item] = columns.texts.code(e.module)
        columns.forward[item] = forward
        columns.output[item] = e.seq
        columns.signature[item] = hash(("node", e.name, tuple([m.shape for m in e.grad_in])))
        for source in sources:
            self._link(source, item)
        if forward >= 0:
            columns.nodes.add(forward, item)
        self._push(item)

    def _module_run(self, e: NodeBegin, forward: int, backward: int, sources: list[int]) -> int:
        """The group of consecutive nodes whose forward ops ran in the same module call."""
        columns = self.columns
        calls: list[tuple[int, int]]  # path, call
        if forward >= 0:
            around = [a for a in columns.ancestors(forward) if columns.kind[a] == MODULE]
            calls = [(columns.path[a], columns.call[a]) for a in reversed(around)]
        else:
            calls = [(columns.texts.code(e.module), 1)] if e.module else []
        run, same = self._run, 0
        while same < min(len(run), len(calls)):
            if (columns.path[run[same]], columns.call[run[same]]) != calls[same]:
                break
            same += 1
        while len(run) > same:
            self._finish(run.pop(), e.seq - 1)
        for path, call in calls[same:]:
            text = columns.texts[path]
            group = self._module(e, text, run[-1] if run else backward)
            columns.flags[group] |= OF_BACKWARD
            columns.call[group] = call
            for source in sources:
                columns.inputs.add(group, source)
            columns.output[group] = e.seq
            cls = self._class_of(forward, path)
            columns.cls[group] = cls
            columns.signature[group] = hash(columns.texts[cls] or text)
            run.append(group)
            self._say(NEW, group)
        return run[-1] if run else backward

    def _class_of(self, forward: int, path: int) -> int:
        columns = self.columns
        for item in columns.ancestors(forward) if forward >= 0 else ():
            if columns.kind[item] == MODULE and columns.path[item] == path:
                return columns.cls[item]
        return 0

    def _grad_sources(self, e: NodeBegin, forward: int, backward: int) -> list[int]:
        """Where a node's gradients come from: the nodes of the consumers of its forward op."""
        columns = self.columns
        found: list[int] = []
        users = columns.targets.of(forward) if forward >= 0 else []
        outputs = {m.id for m in columns.outputs(forward)} if users else set()
        for consumer in users:
            nodes = columns.nodes.of(consumer)
            node = nodes[-1] if nodes else -1
            if node < 0 or not columns.end[node] or self._pass_of(node) != backward:
                continue
            inputs = getattr(columns.event_of(consumer), "inputs", ())
            for maker, tensor in zip(columns.made_by(node), inputs):
                if maker >= 0 and tensor in outputs:
                    found.append(maker)
        if not found:
            for meta in e.grad_in:
                maker = self._made.get(meta.id) - 1
                if maker >= 0 and columns.phase[maker] == BACK:
                    found.append(maker)
        return found

    def _pass_of(self, item: int) -> int:
        kinds = self.columns.kind
        return next((a for a in self.columns.ancestors(item) if kinds[a] == BACKWARD), -1)

    def _close_node(self, item: int, e: NodeEnd) -> None:
        columns = self.columns
        columns.made[item] = len(columns.makers)
        columns.makers.append(len(e.grad_out))
        for meta in e.grad_out:
            maker = self._made.get(meta.id) - 1 if meta.id else -1
            if meta.id and (maker < 0 or columns.begin[maker] < columns.begin[item]):
                maker = item  # passed on as it came
                self._makes(item, meta.id)
            columns.makers.append(maker)

    def _grad(self, e: Grad) -> None:
        node = self._innermost(NODE)
        if node < 0:
            node = self._parent(BACK)
        if node >= 0:
            columns = self.columns
            columns.grads.add(node, e.seq)
            columns.grad_of.append(node)
            columns.grad_name.append(columns.texts.code(e.name))
            self._say(GRAD, node, e.seq)

    # -- the optimizer -----------------------------------------------------------------------

    def _update_group(self, e: Event, parent: int) -> int:
        item = self._new(UPDATE, UPDATING, e, "update", parent)
        self._say(NEW, item)
        return item

    def _param_update(self, e: ParamUpdate) -> None:
        item = self._update
        self._written = ()
        if item < 0:
            item = self._update_group(e, self._parent(UPDATING))
        self._update = -1
        columns = self.columns
        columns.event[item] = columns.output[item] = e.seq
        columns.name[item] = columns.texts.code(e.name)
        self._by_seq.set(e.seq, item + 1)
        self._finish(item, e.seq)
