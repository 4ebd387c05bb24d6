"""The recorder: what the choke points call, and the ring that they fill.

`active` is the one switch. The choke points (`core.dispatch`, `nn.Module.__call__`, the engine,
`optim.Optimizer.step`, writes in place, `mark`, notebook cells) test ``sink.active is None`` and do
nothing more when it is. When it is a `Recorder`, they hand over what happened; the recorder appends
one plain tuple to its ring and keeps references to the values. Making records that others can read
out of the tuples is the reader's work (`Recorder.read`), on the reader's thread; what is in them
says `records`.
"""

from __future__ import annotations

import re
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from time import perf_counter_ns
from types import CodeType, FrameType
from typing import Any

from framework.trace import turns
from framework.trace.naming import Naming, named_within
from framework.trace.places import holder_of, internal, user_frame, variable_name
from framework.trace.records import (
    BACKWARD_BEGIN,
    BACKWARD_END,
    CALL,
    CELL_BEGIN,
    CELL_END,
    GRAD,
    KERNELS,
    LEAF,
    MARK,
    MODULE_BEGIN,
    MODULE_END,
    NODE,
    NODE_BEGIN,
    NODE_END,
    NOTHING,
    OP,
    OP_BEGIN,
    OP_END,
    OPTIM_BEGIN,
    OPTIM_END,
    UPDATE,
    WRITE,
    error_text,
    halves,
    leaves_of,
    loss_of,
    meta_of,
    of_call,
    shapes,
)
from framework.trace.ring import Ring
from framework.trace.values import Values

__all__ = [
    "ATTACHED",
    "Recorder",
    "active",
    "mark",
    "recording",
    "start",
    "stop",
]

active: Recorder | None = None

ATTACHED = "_tapebook"  # attribute of a frame's globals that marks the namespace of a traced script

_WRAPPED = re.compile(r"\._orig_mod(?=\.|$)")  # of `torch.compile`: no part of a readable path
_getframe = sys._getframe

# Set by framework.tensor when it is loaded: the recorder must know a tensor from a scalar.
tensor_type: Any = type(None)


_recorders = count()


class Recorder(Ring):
    """Receives every event of one thread and keeps the newest in a ring.

    Args:
        capacity: events kept; rounded up to a power of two.
        keep: "all" keeps a reference to every value that an event names. "none" keeps none and
            records the structure: what the program does. The ops that a built-in gradient rule
            is made of are then no events, unless a debugger is stepping or looking for something.
        budget: bytes of values kept, oldest out first.
        steps: training steps (as the optimizer counts them) whose values are kept.

    Raises ValueError for another ``keep``. `start` and `recording` make one and use it.

    >>> import framework as torch
    >>> from framework import trace
    >>> recorder = trace.start(capacity=4096, keep="none")
    >>> y = torch.ones(2) + 1
    >>> trace.stop()
    >>> recorder.seq, [event.name for event in recorder.read()]
    (2, ['ones', 'add'])
    """

    # More than thirty attributes: without slots CPython looks each of them up.
    __slots__ = (
        "__weakref__", "_ids", "_updates", "before_step", "between", "budget", "calls", "ends",
        "first_id", "inner", "kernels", "leaves", "modules", "names", "naming", "on_step", "owner",
        "paths", "quiet", "rules", "source", "step", "steps", "thread", "unwatched", "user_code",
        "values",
    )  # fmt: skip

    def __init__(
        self, capacity: int = 1 << 18, keep: str = "all", budget: int = 512 << 20, steps: int = 8
    ) -> None:
        if keep not in ("all", "none"):
            raise ValueError(f"keep must be 'all' or 'none', but got {keep!r}")
        super().__init__(capacity)
        # The thread that is traced; `thread` is 0 while what it does is not to be events.
        self.owner = self.thread = threading.get_ident()
        self.budget = budget
        self.rules = keep == "all"  # whether the ops of built-in gradient rules are events
        self.values = Values(budget) if keep == "all" else None
        self.unwatched = 0 if keep == "all" else -1  # writes up to here were no events; -1: none is
        self.ends: deque[int] = deque()  # seq of the ends of the steps whose values are kept
        self.steps = steps
        self.modules: list[str] = []  # paths to go back to when a module ends
        # Ops of a built-in gradient rule stand at the line that called backward; looking for it
        # through the engine's frames once for each of them would double the cost of a trace.
        self.source: tuple[CodeType | None, int | None] | None = None
        self.calls: list[tuple[CodeType | None, int | None]] = []
        # The node in which nothing is to be an event: itself, its gradients, when it began.
        self.quiet: tuple[Any, Any, int] | None = None
        self.user_code: CodeType | None = None  # of the last op: mostly the next one's, too
        self.inner = False  # whether an armed gate sees the ops of built-in gradient rules, too
        self.on_step: Callable[[], None] | None = None  # a training step, or a cell, has ended
        self.between: Callable[[], None] | None = None  # after that, and as a cell begins
        self.before_step: Callable[[Any], None] | None = None  # an optimizer is about to step
        self.step = 0  # training steps that have ended
        self._updates: Any = None  # device, and event at the begin of an optimizer's step on it
        self.kernels: Any = None  # `KernelTimes`, once an op has run on a CUDA device
        self.leaves: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.names: dict[int, str] = {}
        self.naming = Naming()  # of parameters, buffers and modules
        self.paths: dict[int, tuple[weakref.ref[Any], str]] = {}
        # Tensors outlive a recorder: ids up to this one were given by an earlier one.
        self.first_id = self._ids = next(_recorders) << 32

    # -- what the choke points call ----------------------------------------------------------

    def op(
        self, name: str, args: tuple[Any, ...], meta: dict[str, Any], out: Any, t0: int, node: Any
    ) -> None:
        """One primitive op ended. ``out`` is a tensor or a tuple of tensors."""
        t1 = perf_counter_ns()
        first_id = self.first_id
        kind = tensor_type
        a = b = None
        more: Any = ()
        if len(args) == 2:  # two and one are nearly all ops
            a, b = args
            a = (i if (i := a._id) > first_id else self._leaf(a)) if isinstance(a, kind) else (a,)
            b = (i if (i := b._id) > first_id else self._leaf(b)) if isinstance(b, kind) else (b,)
        elif len(args) == 1:
            (a,) = args
            a = (i if (i := a._id) > first_id else self._leaf(a)) if isinstance(a, kind) else (a,)
        else:
            more = self._inputs(args)
        # The innermost frame that is not ours; inline, for this is the hottest line of a trace.
        # Frames 0 to 2 are this method, `apply` and the function that called it.
        if self.source is not None:
            code, lasti = self.source
        else:
            frame: Any = _getframe(3)
            code = frame.f_code
            if code is not self.user_code:
                try:
                    while internal[code.co_filename]:
                        frame = frame.f_back
                        code = frame.f_code
                except (KeyError, AttributeError):  # a file that is met first; no user's frame
                    frame = user_frame(frame)
                    code = frame and frame.f_code
                self.user_code = code
            lasti = frame and frame.f_lasti
        seq = self.seq + 1
        if seq > self.limit:
            self._hold()
        self.seq = seq
        shape = dtype = device = wants_grad = None
        if out.__class__ is tuple:
            ident: Any = self._describe(out)
        else:
            ident = out._id
            if ident <= first_id:
                self._ids = out._id = ident = self._ids + 1
            if node is not None:
                shape, dtype, device = node.metas[0]  # a tuple that is there anyway
                wants_grad = True
            else:
                data = out._data
                shape, dtype, device = shapes[data.shape], data.dtype, out._device
                wants_grad = out._rg
            device = device.name
        raw = (
            seq, t0, CALL, t1, name, a, b, more, code, lasti, self.here, node is not None,
            ident, shape, dtype, device, wants_grad, (*meta, *meta.values()) if meta else (),
        )  # fmt: skip
        if node is not None:
            node.origin = raw
        self.ring[seq & self.mask] = raw
        if self.values is not None or self.armed:
            self._after_op(name, raw, out if out.__class__ is tuple else (out,), args)

    def _after_op(
        self, name: str, raw: tuple[Any, ...], outs: tuple[Any, ...], args: tuple[Any, ...]
    ) -> None:
        """Keep the values of an op's outputs, and let the gate have a look."""
        values = self.values
        if values is not None:
            for o in outs:
                values.keep(o._id, raw[0], o._data)
                if o._counter is not None:
                    self._alias(o._counter, o, args)
            if self.kernels is not None:
                self.kernels.belongs_to(raw[0])
        if self.armed:
            look = self.lookout
            # In the backward pass it is the nodes that are looked at.
            if look is None or not (self.phase == "backward" or look.pass_over_op(name, outs)):
                self.gate.event(of_call(raw), outs)

    def op_error(
        self,
        name: str,
        args: tuple[Any, ...],
        meta: dict[str, Any],
        t0: int,
        error: BaseException,
    ) -> None:
        """One primitive op raised."""
        ins = self._inputs(args)
        frame = user_frame(_getframe(2))
        self._put(
            (),
            OP, perf_counter_ns(), name, ins, (), (*meta, *meta.values()),
            frame and frame.f_code, frame and frame.f_lasti, self.here, False, error_text(error),
            t=t0,
        )  # fmt: skip
        if self.gate is not None:
            self.gate.error(OP, error)

    def begin_op(self, name: str, args: tuple[Any, ...], meta: dict[str, Any]) -> int:
        """A composite op begins; returns the number that `end_op` wants."""
        ins = self._inputs(args)
        frame = user_frame(_getframe(2))
        return self._open(
            (),
            OP_BEGIN, name, ins, (*meta, *meta.values()), frame and frame.f_code,
            frame and frame.f_lasti, self.module, self.open[-1] if self.open else 0, self.phase,
        )  # fmt: skip

    def end_op(self, begin: int, out: Any, error: BaseException | None = None) -> None:
        """The op of `begin_op` ended, with these outputs or an error."""
        outs = out if isinstance(out, tuple) else (out,)
        outs = tuple(o for o in outs if isinstance(o, tensor_type))
        for tensor in outs:
            if tensor._id <= self.first_id:
                self._leaf(tensor)
        self._close(begin, outs, OP_END, self._describe(outs), error)

    def begin_module(self, module: Any, args: tuple[Any, ...]) -> int:
        """A module is called with ``args``."""
        frame = user_frame(_getframe(2))
        path = self._path(module, frame)
        ins = tuple([self._ident(a) for a in args if isinstance(a, tensor_type)])
        begin = self._open(
            (),
            MODULE_BEGIN, path, type(module).__name__, module.extra_repr(), ins,
            frame and frame.f_code, frame and frame.f_lasti, self.open[-1] if self.open else 0,
        )  # fmt: skip
        self.modules.append(self.module)
        self.module = path
        self._here()
        return begin

    def name_module(self, module: Any, inner: Any) -> None:
        """A module that only wraps another is called: that one gets its path, as its children do.

        Unless it was called before: then it keeps the name that it has.
        """
        known = self.paths.get(id(inner))
        if known is None or known[0]() is not inner:
            self._path(module, user_frame(_getframe(2)))

    def end_module(self, begin: int, out: Any, error: BaseException | None = None) -> None:
        """The module of `begin_module` ended, with this output or an error."""
        if self.modules:
            self.module = self.modules.pop()
        if isinstance(out, tensor_type):  # nearly always
            outs: tuple[Any, ...] = (out,)
        else:
            outs = tuple([o for o in leaves_of(out) if isinstance(o, tensor_type)])
        ids = tuple([self._ident(o) for o in outs])
        self._close(begin, outs, MODULE_END, ids, error)
        if self.gate is not None and not self.modules and not any(o._rg for o in outs):
            self.gate.settle()  # nobody goes back through this call: it is a step of its own

    def begin_backward(self, roots: tuple[Any, ...]) -> int:
        """The engine starts from ``roots``; its thread's phase is "backward" until it ends."""
        ids = tuple(self._ident(r) for r in roots)
        frame = user_frame(_getframe(2))
        begin = self._open(
            roots, BACKWARD_BEGIN, ids, frame and frame.f_code, frame and frame.f_lasti,
            self.open[-1] if self.open else 0, loss_of(roots),
        )  # fmt: skip
        self.modules.append(self.module)
        self.calls.append((frame and frame.f_code, frame and frame.f_lasti))
        self.source = None
        self._enter_phase("backward")
        return begin

    def end_backward(self, begin: int, error: BaseException | None = None) -> None:
        """The pass of `begin_backward` ended."""
        self._leave_phase()
        if self.modules:
            self.module = self.modules.pop()
        if self.calls:
            self.calls.pop()
        self.source = None
        self._close(begin, (), BACKWARD_END, error)

    def begin_node(self, node: Any, grads: Any, create_graph: bool) -> int:
        """A backward node starts with ``grads`` (a tensor or None for each forward output).

        Returns the number that `end_node` wants. One in which nothing is to be an event is `quiet`:
        it is written down when it has ended, by `whole_node`, or when a leaf's gradient arrives.
        """
        custom = node.custom or node._hooks or node._prehooks or node.tensor_hooks
        if self.rules or self.inner or self.armed or custom or create_graph:
            return self._begin_node(node, grads, perf_counter_ns(), custom, create_graph)
        self.thread = 0
        self.quiet = node, grads, perf_counter_ns()
        return 0

    def _begin_node(
        self, node: Any, grads: Any, t: int, custom: Any = False, create_graph: bool = False
    ) -> int:
        """Write the record of a node's begin, which was at ``t``."""
        self.quiet = None
        calls = self.calls
        self.source = None if custom or not calls else calls[-1]
        parents = self.open
        described = self._node_gets(node, grads)
        self.seq = seq = self.seq + 1
        raw = (seq, t, NODE_BEGIN, node.op.name, node.origin, described, self.here[1])
        self.ring[seq & self.mask] = raw
        parents.append(seq)
        if self.rules or self.inner or custom or create_graph:
            self._enter_node(node.origin)
        else:
            self.thread = 0
        if self.armed and self.lookout is None:
            self.gate.node = seq, node, grads
            self._show_begin(raw, tuple(g for g in grads if g is not None))
            self.gate.node = 0, None, ()
        return seq

    def _node_gets(self, node: Any, grads: Any) -> Any:
        """A node's gradients in its record. They have been fitted to what it knows of its outputs.

        The only one of an op that was traced is its number: it looks as the op's output does.
        (A custom Function has no record of its outputs when its node is made.)
        """
        first_id = self.first_id
        if (
            len(grads) == 1
            and (g := grads[0]) is not None
            and node.origin is not None
            and not g._rg
            and not node.custom
        ):
            return i if (i := g._id) > first_id else self._new(g)
        described: list[Any] = []
        for g, meta in zip(grads, node.metas):
            if g is None:
                described += NOTHING
            else:
                ident = i if (i := g._id) > first_id else self._new(g)
                shape, dtype, device = meta
                described += (ident, shape, dtype, device.name, g._rg)
        return tuple(described)

    def end_node(
        self,
        begin: int,
        outer: tuple[str, int, str],
        node: Any,
        grads: Sequence[Any],
        error: BaseException | None = None,
    ) -> None:
        """It sent ``grads`` to its edges; ``outer`` is what `here` was before it began."""
        if self.quiet is not None:
            begin = self._begin_node(*self.quiet)
        elif not begin:
            begin = self.open[-1]
        if self.seq >= self.limit:
            self._hold()
        described: list[Any] = []
        for g, edge in zip(grads, node.edges):
            if g is None:
                described += NOTHING
            else:
                ident = i if (i := g._id) > self.first_id else self._new(g)
                described += (ident, *meta_of(edge), g._rg)
        self.source = None
        self.thread = self.owner
        while self.open and self.open[-1] >= begin:  # an error has left containers open
            self.open.pop()
        self.here = outer
        self.module = outer[0]
        self.seq = seq = self.seq + 1
        text = error_text(error) if error is not None else ""
        self.ring[seq & self.mask] = raw = (
            seq, perf_counter_ns(), NODE_END, begin, tuple(described), text,
        )  # fmt: skip
        self._look_at_node(raw, node, grads, error)

    def whole_node(self, node: Any, grads: Sequence[Any]) -> None:
        """It sent ``grads``, and was `quiet`: one record for its begin and its end.

        Gradients look as what they belong to: of those that a traced op made, a number will do.
        """
        _, given, t = self.quiet  # type: ignore[misc]
        t1 = perf_counter_ns()
        self.quiet = None
        if self.seq + 1 >= self.limit:
            self._hold()
        first_id = self.first_id
        origin = node.origin
        g = given[0]
        if len(given) == 1 and g is not None and not g._rg and origin is not None:
            got = g._id
            if got <= first_id:
                self._ids = got = g._id = self._ids + 1
        else:
            got = self._node_gets(node, given)
        seq = self.seq + 1
        record = [seq, t, NODE, t1, node.op.name, origin, got, self.here[1]]
        i = 0
        for edge in node.edges:  # without `zip`, see the engine
            g = grads[i]
            i += 1
            if g is None:
                record.append(0)
                continue
            ident = g._id
            if ident <= first_id:
                self._ids = ident = g._id = self._ids + 1
            if edge.__class__ is not tuple:
                data = edge._data
                record += ident, None, shapes[data.shape], data.dtype, edge._device.name, g._rg
            elif (made := edge[0].origin) is None or made[2] != CALL:
                shape, dtype, device = edge[0].metas[edge[1]]
                record += ident, None, shape, dtype, device.name, g._rg
            else:
                record += ident, made, edge[1]
        raw = tuple(record)
        self.ring[seq & self.mask] = raw
        self.seq = seq = seq + 1
        self.ring[seq & self.mask] = raw
        self.thread = self.owner
        if self.armed:
            self._look_at_node(halves(raw)[1], node, grads, None)

    def _look_at_node(
        self, raw: tuple[Any, ...], node: Any, grads: Sequence[Any], error: BaseException | None
    ) -> None:
        """Let the gate see that a node has ended."""
        if self.armed and (
            error is not None
            or self.lookout is None
            or not self.lookout.pass_over_node(node.op.name, grads)
        ):
            self.gate.node = raw[0], node, grads
            self.gate.event(raw, tuple(g for g in grads if g is not None))
            self.gate.node = 0, None, ()
        if error is not None and self.gate is not None:
            self.gate.error(NODE_END, error)

    def sees_values(self) -> bool:
        """Whether anybody may ask for the elements of a gradient after the event that names it."""
        return self.values is not None or self.armed or self.inner

    def enter_hook(self) -> None:
        """The user's code runs within a node: its ops are events, at their own lines."""
        if self.quiet is not None:
            self._begin_node(*self.quiet)
        self.source = None
        if not self.thread:  # the node began as one whose ops are no events
            self.thread = self.owner
            node = self.raw(self.open[-1])
            self._enter_node(node[4] if node is not None and node[2] == NODE_BEGIN else None)

    def _enter_node(self, origin: tuple[Any, ...] | None) -> None:
        """Events from now on are those of a node, whose forward op's record is ``origin``."""
        if origin is not None:
            self.module = origin[10][0]
        self._here()

    def grad(self, leaf: Any, arrived: Any, total: Any, first: bool) -> None:
        """``arrived`` was accumulated into ``leaf.grad``, which is now ``total``."""
        if self.quiet is not None:
            self._begin_node(*self.quiet)
        ident = self._ident(leaf)
        described = self._describe_grads((arrived,))
        # The first gradient of a leaf mostly is what has arrived.
        described += described if total is arrived else self._describe_grads((total,))
        self._put(
            (total,), GRAD, ident, self._name_of_leaf(leaf, ident), described, first,
            self.open[-1] if self.open else 0,
        )  # fmt: skip
        values = self.values
        if values is not None:
            values.keep(total._id, self.seq, total._data)

    def begin_optim(self, optimizer: Any, step: int) -> int:
        """An optimizer's step begins; returns the number that `end_optim` wants."""
        frame = user_frame(_getframe(2))
        begin = self._open(
            (), OPTIM_BEGIN, type(optimizer).__name__, step,
            frame and frame.f_code, frame and frame.f_lasti, self.open[-1] if self.open else 0,
        )  # fmt: skip
        self._enter_phase("optimizer")
        if self.kernels is not None and (device := _cuda_of(optimizer)) is not None:
            self._updates = device, self.kernels.mark(device)
        if self.before_step is not None:
            self.before_step(optimizer)
        return begin

    def update(self, param: Any, state: dict[str, Any]) -> None:
        """``param`` has its new value; ``state`` is what the optimizer remembers for it."""
        ident = self._ident(param)
        names: list[str] = []
        tensors: list[Any] = []
        for name, value in state.items():
            if isinstance(value, tensor_type):
                names.append(name)
                tensors.append(value)
        described = (*names, *self._describe_grads(tensors))
        grad = param._grad
        self._put(
            (param,), UPDATE, self._describe((param,)), self.names.get(ident, ""),
            grad._id if grad is not None else 0, described, self.open[-1] if self.open else 0,
        )  # fmt: skip

    def end_optim(self, begin: int, error: BaseException | None = None) -> None:
        """It ended, and with it the training step."""
        if self.gate is not None:
            self.gate.settle()
        self._leave_phase()
        self.step += 1
        if self._updates is not None:
            self.kernels.around(*self._updates)
        self._tell_kernels(wait=False)
        self._close(begin, (), OPTIM_END, turns.number(), error)
        if self._updates is not None:
            self.kernels.belongs_to(self.seq)
            self._updates = None
        self.ends.append(self.seq)
        if len(self.ends) > self.steps:
            oldest = self.ends.popleft()
            values = self.values
            if values is not None:
                values.forget(oldest)
        if self.on_step is not None:
            self.on_step()
        if self.between is not None:
            self.between()

    def write(self, tensor: Any) -> None:
        """``tensor``'s memory is about to be written: keep what others still want to see."""
        ident = self._ident(tensor)
        counter = tensor._counter
        ids = tuple(counter.aliases) if counter is not None and counter.aliases else (ident,)
        if ident not in ids:
            ids = (ident, *ids)
        self.write_to(ids)

    def write_to(self, ids: tuple[int, ...]) -> None:
        """The same, of the tensors with these ids."""
        values = self.values
        if values is not None:
            for i in ids:
                values.freeze(i, self.leaves.get(i))
        self._put((), WRITE, ids)
        if values is not None:
            for i in ids:
                values.renew(i, self.seq)

    def part(self, tensor: Any) -> None:
        """``tensor``'s memory is another one's from now on: its value is kept as a copy."""
        values, ident = self.values, tensor._id
        if values is None or ident <= self.first_id or threading.get_ident() != self.owner:
            return
        values.freeze(ident)
        values.leave(ident)

    def begin_cell(self, cell: str, count: int) -> int:
        """A cell begins to run; returns the number that `end_cell` wants."""
        self.modules.clear()
        self.phases.clear()
        self.module, self.phase = "", "forward"
        begin = self._open((), CELL_BEGIN, cell, count)
        if self.between is not None:
            self.between()
        return begin

    def end_cell(self, begin: int, error: BaseException | None = None) -> None:
        """It ended, perhaps by an error."""
        self._tell_kernels(wait=True)
        if self.gate is not None:
            self.gate.settle()
        self._close(begin, (), CELL_END, error)
        if self.on_step is not None:
            self.on_step()
        if self.between is not None:
            self.between()

    def kernel_times(self) -> Any:
        """What measures the kernels of an op that is about to run on a CUDA device.

        None where nobody keeps values, for that is to cost next to nothing, and on other threads.
        """
        if self.values is None or self.owner != threading.get_ident():
            return None
        if self.kernels is None:
            from framework.trace.kernel_times import KernelTimes

            self.kernels = KernelTimes()
        return self.kernels

    def _tell_kernels(self, wait: bool) -> None:
        """Put on the tape what kernels took, if any ran since this was called last.

        One event then, whether any of them is done: a step that is run again has the same numbers.
        """
        kernels = self.kernels
        if kernels is None or not kernels.due:
            return
        if self.seq >= self.limit:
            self._hold()
        self.seq = seq = self.seq + 1
        self.ring[seq & self.mask] = (seq, perf_counter_ns(), KERNELS, *kernels.taken(wait))

    def mark(self, name: str) -> None:
        """A label on the time line."""
        self._put((), MARK, name)

    # -- names -------------------------------------------------------------------------------

    def _path(self, module: Any, frame: FrameType | None) -> str:
        """The dotted path of a module that is being called.

        A root (called outside of any other module, or not found below the caller) has the name of
        the variable that holds it where it is called; its children are named from it once.
        """
        known = self.paths.get(id(module))
        if known is not None and known[0]() is module:
            return known[1]
        name = variable_name(module, frame) or type(module).__name__.lower()
        fresh = False
        for kind, thing, names in named_within(module, name):
            path, *also = dict.fromkeys([_WRAPPED.sub("", other) for other in names])
            if kind == "module":
                self.paths[id(thing)] = (weakref.ref(thing), path)
                fresh |= self.naming.add(path, also)
            else:
                fresh |= self._name_leaf(thing, path, kind, also)
        if fresh and self.gate is not None:
            self.gate.named()
        return name

    def _name_leaf(self, tensor: Any, name: str, role: str, also: list[str]) -> bool:
        """Say what a parameter is called, unless that is known; whether it was not."""
        known = self.names.get(tensor._id) if tensor._id else ""
        if known:  # within another root it has another name
            name, also = known, [name, *also]
        if not self.naming.add(name, also) and known:
            return False
        self._leaf(tensor, name, role, self.naming.others(name))
        return True

    def _name_of_leaf(self, leaf: Any, ident: int) -> str:
        """What is said of a leaf; of one that an op made: the name of the variable that has it."""
        name = self.names.get(ident)
        if name is None:
            name = variable_name(leaf, user_frame(_getframe(2))) or ""
            self.names[ident] = name
        return name

    def announce(self, params: Sequence[Any]) -> None:
        """An optimizer is about to step: those that no module has named are parameters, too.

        They are on the tape as they are before the step.
        """
        for i, param in enumerate(params):
            if param._grad is None or self.names.get(param._id, "") in self.naming:
                continue
            name, module = holder_of(param, _getframe(2))
            if module is not None:
                self._path(module, user_frame(_getframe(2)))
            if self.names.get(param._id, "") not in self.naming:
                name = self.names.get(param._id) or name or f"params.{i}"
                self._leaf(param, name, "parameter")

    def _leaf(
        self, tensor: Any, name: str | None = None, role: str = "input", also: tuple[str, ...] = ()
    ) -> int:
        """Give a tensor that no traced op made its id, and say so; returns the id."""
        if tensor._id <= self.first_id:
            self._ids += 1
            tensor._id = self._ids
        ident: int = tensor._id
        if name is None and self.phase == "forward":
            name = variable_name(tensor, user_frame(_getframe(2)))
        name = name or ""
        self.names[ident] = name
        if role != "input":
            self.naming.add(name)
        self.leaves[ident] = tensor
        self._put((), LEAF, self._describe((tensor,)), name, role, also)
        values = self.values
        if values is not None:
            values.keep(ident, self.seq, tensor._data)
            if tensor._counter is not None:
                self._alias(tensor._counter, tensor, ())
        return ident

    # -- plumbing ----------------------------------------------------------------------------

    def _inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Ids of the tensors among ``args``; anything else in a 1-tuple, to be told apart."""
        return tuple([self._ident(a) if isinstance(a, tensor_type) else (a,) for a in args])

    def _ident(self, tensor: Any) -> int:
        """The id of a tensor, which is announced if nobody has."""
        ident: int = tensor._id
        return ident if ident > self.first_id else self._leaf(tensor)

    def _new(self, tensor: Any) -> int:
        """An id for a tensor that the event which asks for it describes."""
        if self.rules:
            return self._leaf(tensor, "")
        self._ids = ident = tensor._id = self._ids + 1
        return ident

    def _describe(self, tensors: tuple[Any, ...]) -> tuple[Any, ...]:
        result: list[Any] = []
        for t in tensors:
            if t._id <= self.first_id:
                self._ids = t._id = self._ids + 1
            data = t._data
            result += (
                t._id, shapes[data.shape], data.dtype, t._device.name, bool(t.requires_grad)
            )  # fmt: skip
        return tuple(result)

    def _describe_grads(self, grads: Sequence[Any]) -> tuple[Any, ...]:
        result: list[Any] = []
        for g in grads:
            if g is None:
                result += NOTHING
                continue
            ident = g._id
            if ident <= self.first_id:
                ident = self._new(g)
            data = g._data
            result += (ident, shapes[data.shape], data.dtype, g._device.name, g._rg)
        return tuple(result)

    def _alias(self, counter: Any, tensor: Any, args: tuple[Any, ...]) -> None:
        """Remember which ids share one memory: a write to one is a write to all."""
        aliases = counter.aliases
        if aliases is None:
            aliases = counter.aliases = []
        for t in (tensor, *args):
            if isinstance(t, tensor_type) and t._counter is counter and t._id not in aliases:
                aliases.append(t._id)

    def set_keep(self, keep: str) -> None:
        """Keep values from now on ("all"), or none any more; another thread may ask for it.

        What was kept is let go: nobody copies it before the program writes to it in place.
        """
        if (keep == "all") == (self.values is not None):
            return
        self.rules = keep == "all"
        self.values = Values(self.budget) if keep == "all" else None
        self.unwatched = self.seq if keep == "all" else -1


def start(**options: Any) -> Recorder:
    """Start tracing this thread; returns the recorder. Options are `Recorder`'s.

    A recorder that was in use ends with that. For a block, `recording` is shorter.

    >>> import framework as torch
    >>> from framework import trace
    >>> recorder = trace.start()
    >>> y = torch.ones(2).exp()
    >>> trace.stop()
    >>> len(recorder.read())
    2
    """
    global active
    active = Recorder(**options)
    return active


def stop() -> None:
    """Stop tracing. What was recorded can still be read.

    >>> import framework as torch
    >>> from framework import trace
    >>> recorder = trace.start()
    >>> trace.stop()
    >>> y = torch.ones(2).exp()
    >>> recorder.read()
    []
    """
    global active
    active = None


@contextmanager
def recording(**options: Any) -> Iterator[Recorder]:
    """Trace a block.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     y = torch.ones(2).exp()
    >>> [event.name for event in tape.read() if type(event).__name__ == "Op"]
    ['ones', 'exp']
    """
    global active
    before = active
    recorder = active = Recorder(**options)
    try:
        yield recorder
    finally:
        active = before


def mark(name: str) -> None:
    """Put a named mark into the trace, if one is being made: a label on the time line.

    >>> from framework import trace
    >>> with trace.recording() as tape:
    ...     trace.mark("epoch 3")
    >>> tape.read()[0].name
    'epoch 3'
    """
    if active is not None and active.thread == threading.get_ident():
        active.mark(str(name))


def _cuda_of(optimizer: Any) -> Any:
    """The CUDA device of an optimizer's parameters; None if they are elsewhere."""
    params = (p for group in optimizer.param_groups for p in group["params"])
    device = getattr(next(params, None), "_device", None)
    return device if device is not None and device.type == "cuda" else None
