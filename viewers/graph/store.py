"""The store of a trace: events in, and everything that a view asks about a moment out.

Columns run parallel to the events: for each the innermost container that is open after it and its
phase. Containers (cells, modules, composite ops, backward passes, nodes, optimizer steps) know
their begin, end and outer container, so that a moment costs the depth of the nesting, not the
length of the tape. The graph of a training step is made when it is asked for (`TraceStore.graph`).

The store is bounded: it drops whole training steps, oldest first, and only where one step alone is
too long, that step's own beginning.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from framework.trace.events import (
    BackwardBegin,
    BackwardEnd,
    CellBegin,
    CellEnd,
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
from framework.trace.naming import Naming
from viewers.graph import stops
from viewers.graph.columns import Ids, Spoken
from viewers.graph.containers import Container
from viewers.graph.moments import (
    BACKWARD,
    FORWARD,
    IDLE,
    OPTIMIZER,
    PHASES,
    Moment,
    Step,
)
from viewers.graph.step import StepGraph
from viewers.graph.tape import Tape

__all__ = ["PHASES", "Container", "Moment", "Step", "TraceStore"]

_PASSES = 5000  # backward passes, and cells, that are remembered
_CODES = {name: code for code, name in enumerate(PHASES)}
_MOST = 1 << 62  # event numbers are below
_PAGES = 256  # of 64 tensors, that a part of the tape spoke of when the next part begins
_INPUTS_KEPT = 100_000  # input leaves whose name and shape are remembered

_Kind = tuple[tuple[int, ...], str, str, bool]  # shape, dtype, device, requires_grad


class TraceStore(Tape):
    """Everything that is known of a trace.

    Args:
        max_steps: training steps kept, and up to a sixteenth more.
        max_events: events kept, give or take a quarter.

    Attributes:
        patience: events that `graph_so_far` may add; None for all of them. A screen sets it, and
            reads on between two keys.

    >>> from framework.trace.events import Mark
    >>> store = TraceStore()
    >>> store.feed([Mark(1, 10, "epoch 1"), Mark(2, 20, "epoch 2")])
    >>> store.last_seq, store.event(2).name, store.moment(2).phase
    (2, 'epoch 2', 'idle')
    """

    def __init__(self, max_steps: int = 1000, max_events: int = 500_000) -> None:
        super().__init__()
        self.max_steps = max(1, max_steps)
        self._most_steps = self.max_steps * 17 // 16  # dropped together: each time costs as much
        self.max_events = max(16, max_events)
        self.patience: int | None = None
        self.steps: list[Step] = []
        self._firsts: list[int] = []  # first_seq of each step
        self._following = 0  # the number that the next step will have, as far as is known
        self._lost = False  # after a gap, until the open containers are certain again
        self._steps_made = 0
        self.passes: dict[int, tuple[str, int]] = {}  # begin of a backward pass -> file, line
        self.losses: dict[int, tuple[int, float]] = {}  # what one began with -> it, and the value
        self.cells: dict[int, None] = {}  # begins of cells; of both the newest
        self._raised: list[int] = []  # seqs of the events at which an exception was raised
        self._timed, self._kernel_ns = array("q"), array("q")  # ops, and what their kernels took
        self.stood: list[int] = []  # seqs after which the program stood at a stop, ascending
        # By tensor: what it is (shape, type, ..., as a number from 1), the newest events that made
        # it and that described it.
        self._kinds: list[_Kind] = []
        self._codes_of: dict[_Kind, int] = {}
        self._kind_of = Ids("i")
        self._makers = Ids("q")
        self._origins: dict[int, int] = {}  # what made those that were written in place later
        self._seen = Ids("q")
        self._spoken = Spoken()  # of which tensors, so that forgetting looks at no others
        self._leaves: dict[int, Leaf] = {}  # parameters and buffers
        self._inputs: dict[int, Leaf] = {}
        self._names: dict[int, str] = {}
        self.naming = Naming()  # of parameters, buffers and modules
        self._owned: dict[str, dict[int, str]] = {}  # module path -> its parameters' local names
        self._grads: dict[int, tuple[list[int], list[int]]] = {}  # leaf -> seqs, ids of its .grad
        self._grad_of: dict[int, int] = {}  # the other way round: a .grad -> its leaf
        self._graphs: dict[int, tuple[Step, StepGraph]] = {}
        self._handlers = {
            kind: getattr(self, f"_{kind.__name__.lower()}")
            for kind in (
                Leaf, Op, OpBegin, OpEnd, ModuleBegin, ModuleEnd, BackwardBegin, BackwardEnd,
                NodeBegin, NodeEnd, Grad, OptimBegin, ParamUpdate, OptimEnd, Write, CellBegin,
                CellEnd, Mark, Kernels,
            )
        }  # fmt: skip

    # -- feeding -----------------------------------------------------------------------------

    def feed(self, events: Iterable[Event]) -> None:
        """Add events. Those that fill a gap take their place; what is known already is left out."""
        late = self._append(events)
        if len(self._spoken.pages) > _PAGES:
            self._spoken.close(self.last_seq)
        if late:
            self._fill(late)
        if len(self.tape) > self.max_events * 5 // 4 or len(self.steps) > self._most_steps:
            self._evict()

    def _append(self, events: Iterable[Event]) -> list[Event]:
        """Events in order go on the tape; the others come back."""
        late: list[Event] = []
        handlers = self._handlers
        append, inner, phases = self.tape.append, self.inner.append, self.codes.append
        places, outers = self.places.append, self.containers.outers
        following = self._next
        step = self.steps[-1] if self.steps and not self.steps[-1].done else None
        for event in events:
            seq = event.seq
            if seq != following or seq < 1:
                if seq < max(following, 1) or seq >= _MOST:
                    late.append(event)
                    continue
                self._start_run(seq)
                self._lost = following > 0
            following = self._next = seq + 1
            if step is None or step.done:
                step = self._open_step(event)
            elif type(event) is CellBegin and step.content:
                self._end_step(step)
                step = self._open_step(event)
            code = handlers[type(event)](event)
            append(event)
            top = self._top
            inner(top)
            phases(code)
            kind = type(event)
            if kind in stops.LINES:
                places(self._line_code(event.source, top if kind is Op else outers[top]))  # type: ignore[union-attr]
            else:
                places(0)
            step.last_seq = seq
            if code != IDLE:
                step.counts[code] += 1
                runs = step.runs
                if runs and runs[-1][0] == code:
                    runs[-1][2] = seq
                else:
                    runs.append([code, seq, seq])
            elif step.runs:
                step.runs[-1][2] = seq
            if step.done and not step.end_seq:
                self._end_step(step)
        return late

    def _end_step(self, step: Step) -> None:
        step.done = True
        step.end_seq = step.last_seq
        self._spoken.close(step.last_seq)
        if not step.updated:
            step.number = 0

    def _open_step(self, event: Event) -> Step:
        """A new step, unless this is the end of a cell right after a step's end."""
        before = self.steps[-1] if self.steps else None
        if before is not None and type(event) is CellEnd:
            return before
        name = event.cell if type(event) is CellBegin else self._cell()
        # A guess until the optimizer says: the step after an update is the next update's.
        goes_on = before is not None and before.updated and before.cell == name
        following = self._following or (before.number + 1 if before is not None else 0)
        number = following if goes_on else 0
        step = Step(self._steps_made, number, name, event.seq)
        self._steps_made += 1
        self.steps.append(step)
        self._firsts.append(event.seq)
        return step

    def _cell(self) -> str:
        containers = self.containers
        for at in containers.open_at(self._top):
            if containers.is_cell(at):
                begin = containers.event(containers.begins[at])
                return begin.cell if type(begin) is CellBegin else ""
        return ""

    # What each kind of event does; returns its phase. Called once per event, in order.

    def _push(self, event: Event, phase: int | None = None) -> int:
        if self._lost:
            self._realign(event)
        if phase is None:
            phase = self._here()
        self._top = self.containers.add(event, self._top, phase)
        return phase

    def _pop(self, event: OpEnd | ModuleEnd | BackwardEnd | NodeEnd | OptimEnd | CellEnd) -> int:
        """Close a container and all in it; returns its phase. An unknown one is left out."""
        if event.error:
            self._error(event.seq, event.error)
        containers = self.containers
        closed, top = self._top, self._top
        if top < 0 or containers.begins[top] != event.begin:
            closed = containers.find(event.begin)
            if closed < 0 or containers.ends[closed]:
                return self._here()
            if closed not in containers.open_at(top):
                return containers.phases[closed]
        self._close_to(containers.outers[closed], event.seq)
        return containers.phases[closed]

    def _close_to(self, outer: int, seq: int) -> None:
        """End what is open inside of a container (-1: all that is open)."""
        containers = self.containers
        top = self._top
        while top >= 0 and top != outer:
            containers.ends[top] = seq
            top = containers.outers[top]
        self._top = top

    def _realign(self, event: Event) -> None:
        """After a gap: an event's parent says which of the containers before it are still open."""
        parent = getattr(event, "parent", None)
        if parent is None:
            return
        self._lost = False
        containers = self.containers
        found = -1
        for at in containers.open_at(self._top):
            if containers.begins[at] == parent or (not parent and containers.is_cell(at)):
                found = at
                break
        if found < 0 and parent:
            return  # its begin was lost: what was open may be around it
        self._close_to(found, event.seq)

    def _error(self, seq: int, text: str) -> None:
        """Remember where an exception was raised, not the ends that it flew through."""
        last = self.tape[-1] if self.tape else None
        if getattr(last, "error", "") != text:
            self._raised.append(seq)
        self.steps[-1].error = text

    def _here(self) -> int:
        return FORWARD if self._top < 0 else self.containers.phases[self._top]

    def _describe(self, meta: TensorMeta, seq: int) -> None:
        """Remember what a tensor is."""
        kind = (meta.shape, meta.dtype, meta.device, meta.requires_grad)
        code = self._codes_of.get(kind)
        if code is None:
            self._kinds.append(kind)
            code = self._codes_of[kind] = len(self._kinds)
        self._kind_of.set(meta.id, code)
        self._seen.set(meta.id, seq)
        self._spoken.pages.add(meta.id >> 6)

    def _leaf(self, e: Leaf) -> int:
        ident = e.tensor.id
        self._describe(e.tensor, e.seq)
        self._makers.set(ident, e.seq)
        self._names[ident] = e.name
        if e.role == "input":
            self._inputs.pop(ident, None)
            self._inputs[ident] = e
            if len(self._inputs) > _INPUTS_KEPT:
                oldest = next(iter(self._inputs))
                del self._inputs[oldest]
                self._drop_tensor(oldest)
        else:
            self._leaves[ident] = e
            self.naming.add(e.name, e.also)
            for path, _, local in (name.rpartition(".") for name in (e.name, *e.also)):
                if not path:
                    continue
                owned = self._owned.setdefault(path, {})
                # A module made anew: its parameter takes the place of the one it is named after.
                for old in [i for i, name in owned.items() if name == local]:
                    del owned[old]
                owned[ident] = local
        return self._here()

    def _op(self, e: Op) -> int:
        if self._lost:
            self._realign(e)
        in_place = e.name.endswith("_")
        for meta in e.outputs:
            self._describe(meta, e.seq)
            if in_place and (before := self._makers.get(meta.id)):
                self._origins.setdefault(meta.id, before)
            self._makers.set(meta.id, e.seq)
        if e.error:
            self._error(e.seq, e.error)
        self.steps[-1].content = True
        return _CODES.get(e.phase, FORWARD)

    def _opbegin(self, e: OpBegin) -> int:
        self.steps[-1].content = True
        return self._push(e, _CODES.get(e.phase, FORWARD))

    def _opend(self, e: OpEnd) -> int:
        for meta in e.outputs:
            self._describe(meta, e.seq)
            if not self._makers.get(meta.id):
                self._makers.set(meta.id, e.begin)
        return self._pop(e)

    def _modulebegin(self, e: ModuleBegin) -> int:
        if e.path not in self.naming:
            self.naming.add(e.path)
        self.steps[-1].content = True
        return self._push(e)

    def _moduleend(self, e: ModuleEnd) -> int:
        return self._pop(e)

    def _backwardbegin(self, e: BackwardBegin) -> int:
        self.steps[-1].content = True
        _note(self.passes, e.seq, (e.source.file, e.source.line))
        if e.loss is not None:
            _note(self.losses, e.roots[0], (e.seq, e.loss))
        return self._push(e, BACKWARD)

    def _backwardend(self, e: BackwardEnd) -> int:
        self._pop(e)
        return BACKWARD

    def _nodebegin(self, e: NodeBegin) -> int:
        self._see(e.grad_in, e.seq)
        return self._push(e, BACKWARD)

    def _nodeend(self, e: NodeEnd) -> int:
        self._see(e.grad_out, e.seq)
        self._pop(e)
        return BACKWARD

    def _see(self, metas: Iterable[TensorMeta], seq: int) -> None:
        for meta in metas:
            if meta.id:
                self._describe(meta, seq)

    def _grad(self, e: Grad) -> int:
        self._see((e.arrived, e.total), e.seq)
        self._names[e.total.id] = f"{e.name}.grad" if e.name else ""
        if e.name:  # its `Leaf` may have left the tape before somebody looked
            self._names[e.leaf] = e.name
        self._makers.set(e.total.id, e.seq)
        self._grad_of[e.total.id] = e.leaf
        seqs, ids = self._grads.setdefault(e.leaf, ([], []))
        seqs.append(e.seq)
        ids.append(e.total.id)
        return self._here() if self._top >= 0 else BACKWARD

    def _optimbegin(self, e: OptimBegin) -> int:
        step = self.steps[-1]
        step.content = step.updated = True
        step.number = e.step
        return self._push(e, OPTIMIZER)

    def _paramupdate(self, e: ParamUpdate) -> int:
        self._describe(e.tensor, e.seq)
        if e.name:
            self._names[e.tensor.id] = e.name
        for key, meta in e.state.items():
            self._describe(meta, e.seq)
            self._makers.set(meta.id, e.seq)
            self._names[meta.id] = f"{e.name}.{key}" if e.name else key
        return OPTIMIZER

    def _optimend(self, e: OptimEnd) -> int:
        self.steps[-1].done = True
        self._following = e.next
        self._pop(e)
        return OPTIMIZER

    def _write(self, e: Write) -> int:
        return self.codes[-1] if self.codes else FORWARD

    def _cellbegin(self, e: CellBegin) -> int:
        if not self.steps[-1].content:
            self.steps[-1].cell = e.cell
        _note(self.cells, e.seq, None)
        self._push(e, FORWARD)
        return IDLE

    def _cellend(self, e: CellEnd) -> int:
        self.steps[-1].done = self.steps[-1].content
        self._pop(e)
        return IDLE

    def _kernels(self, e: Kernels) -> int:
        if e.ops and self._timed and e.ops[0] <= self._timed[-1]:  # it is fed again
            known = bisect_left(self._timed, e.ops[0])
            del self._timed[known:], self._kernel_ns[known:]
        self._timed.extend(e.ops)
        self._kernel_ns.extend(e.ns)
        return IDLE if self._top < 0 or self.containers.is_cell(self._top) else self._here()

    def _mark(self, e: Mark) -> int:
        return IDLE if self._top < 0 or self.containers.is_cell(self._top) else self._here()

    # -- late events, and the bound ----------------------------------------------------------

    def _fill(self, late: list[Event]) -> None:
        """Put late events into their gaps: the tape is taken back to that step and fed again."""
        wanted = {
            e.seq: e for e in late if self.first_seq < e.seq < _MOST and self.index(e.seq) < 0
        }
        if not wanted:
            return
        start = self.steps[self.step_index(min(wanted))]
        i = self.index_before(start.first_seq - 1) + 1
        again = sorted([*wanted.values(), *self.tape[i:]], key=_seq)
        self._cut(i, start)
        self._append(again)
        self.step_at(again[0].seq).truncated = start.truncated  # type: ignore[union-attr]

    def _cut(self, i: int, step: Step) -> None:
        """Forget the events from index ``i``, the first one of ``step``."""
        seq = step.first_seq
        self._drop_after(i)
        self._top = self.inner[-1] if self.inner else self._base
        self._steps_made = step.index
        kept = self.steps.index(step)
        del self.steps[kept:], self._firsts[kept:]
        del self._raised[bisect_left(self._raised, seq) :]
        for seqs, ids in self._grads.values():
            keep = bisect_left(seqs, seq)
            del seqs[keep:], ids[keep:]

    def _evict(self) -> None:
        """Drop the oldest steps, and if one step alone is too long, its beginning."""
        drop = max(0, len(self.steps) - self.max_steps)
        last = len(self.steps) - 1
        total = len(self.tape)
        many = total > self.max_events * 5 // 4
        while many and drop < last:
            if total - self.index_before(self._firsts[drop] - 1) - 1 <= self.max_events:
                break
            drop += 1
        first = self._firsts[drop]
        i = self.index_before(first - 1) + 1
        if total - i > self.max_events * 5 // 4:
            i = total - self.max_events
            old = self.steps[drop]
            step = self.steps[drop] = _copy(old)
            step.truncated, step.first_seq = True, self.seq_of(i)
            step.runs = [
                [c, max(a, step.first_seq), b] for c, a, b in old.runs if b >= step.first_seq
            ]
            self._firsts[drop] = step.first_seq
        self._forget(i)
        del self.steps[:drop], self._firsts[:drop]
        self._graphs = {k: v for k, v in self._graphs.items() if v[0] in self.steps}

    def _forget(self, i: int) -> None:
        """Forget the events before index ``i`` and what only they said."""
        if not i:
            return
        first = self.seq_of(i)
        self._forget_tensors(first)
        self._drop_before(i)
        del self._raised[: bisect_left(self._raised, first)]
        for seqs, ids in self._grads.values():
            old = max(0, bisect_right(seqs, first) - 1)
            del seqs[:old], ids[:old]

    def _forget_tensors(self, first: int) -> None:
        """Forget those that only events before this one spoke of, by the page: they are many."""
        leaves, inputs, names = self._leaves, self._inputs, self._names
        columns = (self._makers, self._kind_of, self._seen)
        for page in self._spoken.pop_before(first):
            if not (self._seen.is_old(page, first) and self._makers.is_old(page, first)):
                continue  # a later part has it, too
            ids = range(page << 6, (page + 1) << 6)
            if any(ident in leaves or ident in inputs for ident in ids):
                for ident in ids:
                    if ident not in inputs:
                        self._drop_tensor(ident)
                continue
            for column in columns:
                column.drop_page(page)
            for ident in ids:
                names.pop(ident, None)
                self._grad_of.pop(ident, None)
                self._origins.pop(ident, None)

    def _drop_tensor(self, ident: int) -> None:
        if ident not in self._leaves:
            for column in (self._makers, self._kind_of, self._seen):
                column.drop(ident)
            self._names.pop(ident, None)
            self._grad_of.pop(ident, None)
            self._origins.pop(ident, None)

    # -- events ------------------------------------------------------------------------------

    def phase(self, seq: int) -> str:
        i = self.index_before(seq)
        return PHASES[self.codes[i]] if i >= 0 else "idle"

    # -- steps -------------------------------------------------------------------------------

    def step_index(self, seq: int) -> int:
        return max(0, bisect_right(self._firsts, seq) - 1)

    def step_at(self, seq: int) -> Step | None:
        """The training step that event ``seq`` belongs to; the nearest one outside of all."""
        return self.steps[self.step_index(seq)] if self.steps else None

    def step_numbered(self, number: int) -> Step | None:
        """The newest step that an optimizer counted so."""
        return next((s for s in reversed(self.steps) if s.number == number), None)

    def graph(self, step: Step | int, most: int | None = None) -> StepGraph:
        """The graph of a step (or of the step with this index), up to date.

        The same object is given again until the step's events change other than by growing.
        ``most``: at most so many events are added to what it has; `StepGraph.behind` more are to
        come.
        """
        if isinstance(step, int):
            first = self.steps[0].index if self.steps else 0
            if not 0 <= step - first < len(self.steps):
                raise KeyError(f"no step with index {step} is kept")
            step = self.steps[step - first]
        known = self._graphs.pop(step.index, None)
        if known is None or known[0] is not step:
            known = (step, StepGraph(self, step))
        self._graphs[step.index] = known
        while len(self._graphs) > 4:
            del self._graphs[next(iter(self._graphs))]
        known[1].update(most)
        return known[1]

    def graph_so_far(self, step: Step | int) -> StepGraph:
        """The graph of a step as far as it is known, for whoever must not wait for it.

        It is brought up to date if no more than ``patience`` events are missing.
        """
        graph = self.graph(step, 0 if self.patience is not None else None)
        if graph.behind and (graph.behind <= (self.patience or 0) or not graph.items):
            graph.update(self.patience)
        return graph

    # -- tensors -----------------------------------------------------------------------------

    def meta(self, tensor: int) -> TensorMeta | None:
        """Shape, dtype and device of a tensor, as last seen."""
        code = self._kind_of.get(tensor)
        return TensorMeta(tensor, *self._kinds[code - 1]) if code else None

    def name(self, tensor: int) -> str:
        """A leaf's name, ``NAME.grad`` for its gradient, "" for what has none."""
        return self._names.get(tensor, "")

    def name_by(self, called: Callable[[int], str], tensor: int) -> str:
        """The same where names of variables are known, too: ``w.grad`` of a variable ``w``.

        Args:
            called: what the program calls a tensor, "" if that is not known.
        """
        if name := self.name(tensor) or called(tensor):
            return name
        leaf = self._grad_of.get(tensor)
        name = self.name_by(called, leaf) if leaf is not None and leaf != tensor else ""
        return f"{name}.grad" if name else ""

    def is_grad(self, tensor: int) -> bool:
        """Whether it is, or was, a leaf's ``.grad``."""
        return tensor in self._grad_of

    def leaf(self, tensor: int) -> Leaf | None:
        """The `Leaf` of a parameter, buffer or input."""
        return self._leaves.get(tensor) or self._inputs.get(tensor)

    def maker(self, tensor: int) -> int:
        """The newest event that made a tensor (or wrote it as its output), 0 if none is known."""
        return self._makers.get(tensor)

    def origin(self, tensor: int) -> int:
        """The event that made a tensor first, whatever has written it since; 0 if not known."""
        return self._origins.get(tensor, 0) or self.maker(tensor)

    def before(self, seq: int, tensor: int) -> int:
        """The moment in which an op has an operand: not yet written, if it writes that in place."""
        made = [meta.id for meta in getattr(self.event(seq), "outputs", ())]
        at = seq - 1
        while isinstance(event := self.event(at), (Write, Leaf)):
            at -= 1
            if isinstance(event, Write):
                own = any(i in event.tensors for i in made)
                return at if own and tensor in event.tensors else seq - 1
        return seq - 1

    def loss_of(self, tensor: int, seq: int) -> float | None:
        """What a loss held from event ``seq`` on until backward began with it; None if unknown."""
        began, value = self.losses.get(tensor, (0, 0.0))
        if seq == began > 0:
            return value
        if not self.maker(tensor) <= seq < began:
            return None
        between = self.events(seq + 1, began)
        written = any(isinstance(e, Write) and tensor in e.tensors for e in between)
        return None if written else value

    def parameters(self, module: str) -> dict[int, str]:
        """Tensor id to local name of the parameters and buffers that a module itself holds."""
        return self._owned.get(module, {})

    def parameters_within(self, module: str) -> list[int]:
        """The parameters and buffers that a module and all in it hold, called yet or not."""
        inner = f"{module}."
        found = {
            tensor: None
            for path, owned in self._owned.items()
            if path == module or path.startswith(inner)
            for tensor in owned
        }
        return list(found)

    def grad_of(self, leaf: int, seq: int | None = None) -> int:
        """The id of a leaf's ``.grad`` as of an event, 0 if none was accumulated yet."""
        seqs, ids = self._grads.get(leaf, ((), ()))
        i = len(seqs) if seq is None else bisect_right(seqs, seq)
        return ids[i - 1] if i else 0

    # -- moments and stops -------------------------------------------------------------------

    def kernel_time(self, seq: int) -> int:
        """ns that an op took on its CUDA device; -1 for others, and while it is not known.

        Of an optimizer's step (by its end) all that it started there.
        """
        timed = self._timed
        i = bisect_left(timed, seq)
        return self._kernel_ns[i] if i < len(timed) and timed[i] == seq else -1

    def took(self, begin: Event, end: Event) -> int:
        """ns from one event to a later one, without what the program stood at stops in between.

        Only the stops in ``stood`` are known: those that whoever feeds the store has seen.
        """
        taken = end.t - begin.t
        first, last = bisect_left(self.stood, begin.seq), bisect_left(self.stood, end.seq)
        for seq in self.stood[first:last]:
            at, then = self.event(seq), self.event(seq + 1)
            if at is not None and then is not None:
                taken -= max(0, then.t - at.t - (at.duration if type(at) is Op else 0))
        return max(0, taken)

    def moment(self, seq: int) -> Moment:
        """What the position after event ``seq`` is; the nearest one before it if that is gone."""
        i = self.index_before(seq)
        if i < 0:
            return Moment(seq, None, "idle", None, (), None, None, "", None)
        event, inner = self.tape[i], self.innermost(i)
        stack = []
        c = inner
        while c is not None:
            stack.append(c.event)
            c = c.outer
        subject = self._subject(event, inner)
        ended = self.container(getattr(event, "begin", 0))
        around = [ended.event, *stack] if ended is not None else stack
        node = next((e for e in around if type(e) is NodeBegin), None)
        module = _module_of(subject) or next(
            (_module_of(e) for e in around if type(e) in (ModuleBegin, NodeBegin)), ""
        )
        return Moment(
            seq=event.seq,
            event=event,
            phase=PHASES[self.codes[i]],
            step=self.step_at(event.seq),
            stack=tuple(reversed(stack)),
            subject=subject,
            node=node,
            module=module,
            source=next(
                filter(None, (getattr(e, "source", None) for e in (subject, *around))), None
            ),
        )

    def _subject(self, event: Event, inner: Container | None) -> Event | None:
        if type(event) in (Op, ParamUpdate, Mark):
            return event
        begin = getattr(event, "begin", 0)
        if begin:
            closed = self.container(begin)
            return closed.event if closed is not None else event
        return inner.event if inner is not None else event

    def next_stop(self, seq: int, how: str = "next") -> int | None:
        """Where a step from ``seq`` along the tape stops: "next", "into", "out", "line" or "step".

        None: not before the newest event, so that the model has to go on.
        """
        return stops.next_stop(self, seq, how)

    def previous_stop(self, seq: int, how: str = "next") -> int | None:
        """The same backwards; None at the beginning of what is kept."""
        return stops.previous_stop(self, seq, how)

    def raised_after(self, seq: int) -> int:
        """The first event after ``seq`` at which an exception was raised, 0 without one."""
        i = bisect_right(self._raised, seq)
        return self._raised[i] if i < len(self._raised) else 0


def _note(known: dict[int, Any], seq: int, what: Any) -> None:
    known[seq] = what
    if len(known) > _PASSES * 5 // 4:
        for old in sorted(known)[:-_PASSES]:
            del known[old]


def _seq(event: Event) -> int:
    return event.seq


def _module_of(event: Event | None) -> str:
    return getattr(event, "path", "") or getattr(event, "module", "")


def _copy(step: Step) -> Step:
    new = Step.__new__(Step)
    for slot in Step.__slots__:
        setattr(new, slot, getattr(step, slot))
    return new
