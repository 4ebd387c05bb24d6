"""Views and writes in place.

A view remembers its base and the chain of view ops that leads to it; both share one version
counter. A write through a view gives the *base* a new history, ``view_scatter(old base, value)``,
and every view of it finds its own anew from the base when it is next used (`refresh`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from threading import get_ident
from time import perf_counter_ns
from typing import Any
from weakref import ref

from numpy import ndarray

from framework import dtypes
from framework.core import dispatch
from framework.core.dispatch import apply, edge_of, run
from framework.core.graph import Node, Version, clock
from framework.core.kinds import wrong
from framework.core.modes import modes
from framework.core.node_names import entitle, titled
from framework.core.registry import OPS, op
from framework.device import CPU
from framework.dtypes import FLOAT
from framework.kernels.compiled import LARGE
from framework.kernels.floats import type_name
from framework.kernels.meta import MetaArray
from framework.kernels.strided import laid_out, overlaps, partly_same, strides_of
from framework.kernels.writes import WRITERS
from framework.trace import sink
from framework.trace.records import origin_of

__all__ = [
    "assign", "base_of", "before_write", "check_apart", "check_cast", "check_inplace",
    "check_writable", "inplace_twin", "refresh", "several", "shared_memory", "take_history",
    "view_twin",
]  # fmt: skip


# Set by framework.autograd.graph: called before each write in place.
write_guard: Callable[[Any], None] | None = None

# Set by framework.func while batched tensors exist: `assign` for them.
batched_assign: Callable[[Any, Any, str, int], Any] | None = None

# Set by framework.onnx while it looks on: called with a tensor and what is about to be written.
written: Callable[[Any, Any], None] | None = None


# Views through which autograd does not follow a write: what is wrong, and what to do about it.
RESTRICTED = {
    "no_grad": (
        " with grad mode enabled. Given that this use case is ambiguous and error-prone, it is "
        "forbidden. You can clarify your "
        "code by moving both the view and the inplace either both inside the no_grad block (if you "
        "don't want the inplace to be tracked) or both outside (if you want the inplace to be "
        "tracked)."
    ),
    "multiple": (
        ". This view is the output of a function that returns multiple views. Such functions do "
        "not allow the output views to be modified inplace. You should replace the inplace "
        "operation by an out-of-place one."
    ),
    "function": (
        ". This view was created inside a custom Function (or because an input was returned as-is) "
        "and the autograd logic to handle view+inplace would override the custom backward "
        "associated with the custom Function, leading to incorrect gradients. This behavior is "
        "forbidden. You can fix this by cloning the output of the custom Function."
    ),
}


def _refused(view: Any, how: str) -> RuntimeError:
    """What to raise for a restricted view, in PyTorch's words."""
    what = "A view was created in no_grad mode and"
    if view._restricted != "no_grad":
        edge = view._edge
        maker = f"Output {edge[1]} of {edge[0].short_name()}" if edge else "This"
        what = f"{maker} is a view and"
    return RuntimeError(f"{what} {how}{RESTRICTED[view._restricted]}")


def several(views: Any) -> tuple[Any, ...]:
    """Views that one function returned together: none of them may be written (PyTorch's rule)."""
    views = tuple(views)
    for view in views:
        if view._base is not None and not view._restricted:
            view._restricted = "multiple"
    return views


def base_of(view: Any) -> Any:
    """The tensor that owns a view's memory.

    It is not always the one that the view was taken of: that one may have turned into a view itself
    (see `view_twin`).
    """
    base = view._base
    while base._base is not None:
        base = view._base = base._base
    return base


def refresh(view: Any) -> None:
    """Give ``view`` its gradient edge anew: its base was written in place."""
    tensor = base_of(view)
    edge = edge_of(tensor)
    if view._restricted and (edge is not None or view._edge is not None):
        raise _refused(view, "its base or another view of its base has been modified inplace")
    view._at = view._counter.value
    if edge is None:
        if view._edge is not None:  # the base was detached: what had a history has a dead one now
            op, meta = view._chain[-1]
            metas = ((view._data.shape, view._data.dtype, view._device),)
            view._edge = Node(op, (None,), meta, op.plan((False,)), [], metas), 0
        return
    made = view._edge or edge  # the op that took the view is its nodes' op, else the write
    origin = made[0].origin if made.__class__ is tuple else None
    grad, modes.grad = modes.grad, True
    try:
        for view_op, meta in view._chain:
            if dispatch.interposer is None:
                tensor, node = run(view_op, (tensor,), meta)
                if node is not None and origin is not None:
                    node.origin = origin_of(origin, node.metas)
            else:
                tensor = apply(view_op, tensor, **meta)
    finally:
        modes.grad = grad
    view._edge, view._rg = tensor._edge, tensor._rg
    if view._edge is not None:
        entitle(view._edge[0], "AsStridedBackward0")  # what PyTorch takes the view by from now on


def _scatter_kernel(base: Any, value: Any, *, chain: Any, strides: Any) -> Any:
    result = laid_out(base, strides)  # else a step of the chain might have to copy
    part = result
    for view_op, meta in chain:
        part = view_op.kernel(part, **meta)
    if overlaps(part):  # PyTorch lets some writes do that, and refuses their gradient
        raise _overlapping("")
    part[...] = value
    return result


def _through(tensor: Any, chain: Any) -> Any:
    for view_op, meta in chain:
        tensor = apply(view_op, tensor, **meta)
    return tensor


VIEW_SCATTER = op(
    "view_scatter",
    _scatter_kernel,
    "base value",
    grad=(
        lambda g, chain, strides: apply(VIEW_SCATTER, g, 0.0, chain=chain, strides=strides),
        lambda g, chain: _through(g, chain),
    ),
    wirtinger=True,  # a base and a view of it may be complex and real: nothing to conjugate
    samples=lambda s: [
        (
            (s(3, 2), s(2)),
            {"chain": ((OPS["getitem"], {"index": (1,)}),), "strides": strides},
        )
        for strides in (None, (1, 3))
    ],
)


def check_inplace(tensor: Any) -> None:
    """Refuse a write that autograd could not follow, in PyTorch's words."""
    if not modes.grad:
        return
    if tensor._rg and tensor._edge is None:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )
    if tensor._base is None:
        return
    base = base_of(tensor)
    if tensor._restricted and (base._rg or (tensor._restricted != "no_grad" and tensor._rg)):
        raise _refused(tensor, "is being modified inplace")
    elif base._edge is None and (base._rg or tensor._rg):  # it may have been detached in place
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation."
        )
    if base._rg and tensor._chain[0][0].name == "as_strided":
        tensor._at = -1  # it may reach beyond the view that it was taken of: go by the base


def assign(tensor: Any, value: Any, name: str, since: int) -> Any:
    """Write ``value`` (just computed, perhaps from ``tensor``) into ``tensor``'s memory.

    ``since`` is `graph.clock()` of before ``value`` was computed.

    ``tensor`` takes over ``value``'s history, so that ``x.mul_(y)`` is ``x = x * y`` to autograd.
    A node that saved ``tensor`` itself for its gradient gets a private copy of the old value.
    """
    if dispatch.interposer is not None and _is_batched(tensor, value):
        assert batched_assign is not None
        return batched_assign(tensor, value, name, since)
    if value is tensor:
        return tensor
    target, data = tensor._data, value._data
    if target.shape != data.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(data.shape)}"
        )
    if target.dtype is not data.dtype:
        check_cast(data, target, name)
        if value._rg:
            value = value.to(dtypes.from_numpy_dtype[target.dtype])
            data = value._data
    check_writable(tensor, name)
    if value._counter is tensor._counter is not None:
        check_apart(tensor, (value,), name)
    record = modes.grad and (
        value._rg or (tensor.requires_grad and dtypes.category[target.dtype] >= FLOAT)
    )
    if record and value._edge is not None:
        _keep_private(value._edge[0], tensor, since)
    if written is not None:
        written(tensor, value)
    before_write(tensor)
    target[...] = data
    if record:
        take_history(tensor, value)
    return tensor


def check_cast(data: Any, target: Any, name: str) -> None:
    """Refuse to write an array into one of a lower category (bool < int < float < complex)."""
    if dtypes.category[data.dtype] > dtypes.category[target.dtype]:
        raise RuntimeError(
            f"{name}: result type {type_name(data)} can't be cast to the desired output type "
            f"{type_name(target)}"
        )


_ANYWHERE = frozenset({"fill_", "zero_", "__setitem__", "index_put_", "masked_fill_"})


def check_writable(tensor: Any, name: str) -> None:
    """Refuse to write to a tensor of which several elements are one place in memory.

    PyTorch lets `fill_`, `masked_fill_` and writes at an index do it all the same.
    """
    data = tensor._data
    if data.__class__ is MetaArray:
        return
    if (name not in _ANYWHERE and overlaps(data)) or not getattr(data.flags, "writeable", True):
        raise _overlapping(f"{name}: ")


def _overlapping(prefix: str) -> RuntimeError:
    return RuntimeError(
        f"{prefix}unsupported operation: more than one element of the written-to tensor refers to "
        "a single memory location. Please clone() the tensor before performing the operation."
    )


def check_apart(tensor: Any, operands: Any, name: str) -> None:
    """Refuse operands of a write that share part of their memory with what is written.

    Only views of one memory can, and they have one version counter.
    """
    counter = tensor._counter
    if counter is None:
        return
    for operand in operands:
        if (
            getattr(operand, "_counter", None) is counter
            and operand is not tensor
            and partly_same(tensor._data, operand._data)
        ):
            raise shared_memory(name)


def shared_memory(name: str) -> RuntimeError:
    """The complaint about a write whose operands it would change."""
    return RuntimeError(
        f"{name}: unsupported operation: some elements of the input tensor and the written-to "
        "tensor refer to a single memory location. Please clone() the tensor before performing "
        "the operation."
    )


def before_write(tensor: Any) -> None:
    """Announce a write to ``tensor``'s memory: to the trace, and to whoever saved it."""
    recorder = sink.active
    if recorder is not None and recorder.values is not None:
        recorder.write(tensor)
    counter = tensor._counter
    if counter is None:
        counter = tensor._counter = Version()
    if write_guard is not None:
        write_guard(tensor)
    try:
        counter.value += 1
    except RuntimeError:  # of an inference tensor
        counter.written()


def take_history(tensor: Any, value: Any) -> None:
    """``tensor`` was written: from here on its gradient goes where ``value``'s would."""
    edge = edge_of(value)
    if tensor._base is None:
        _move_retained(tensor, edge)
        tensor._edge = edge if edge.__class__ is tuple else None
        tensor._rg = edge is not None
        if edge is not None:
            _resave_output(edge[0], edge[1], value, tensor)
        return
    base = base_of(tensor)
    if tensor._restricted and not base._rg:  # PyTorch's wart: the base hears nothing of it
        tensor._edge, tensor._rg = edge, edge is not None
        return
    base_edge = base._edge or (base if base._rg else None)
    data = base._data
    dense = _is_batched(base) or data.flags.c_contiguous
    meta = {"chain": tensor._chain, "strides": None if dense else strides_of(data)}
    plan = VIEW_SCATTER.plan((base_edge is not None, edge is not None))
    metas = ((data.shape, data.dtype, base._device),)
    node = Node(VIEW_SCATTER, (base_edge, edge), meta, plan, [], metas)
    base._edge = (node, 0)
    base._rg = True
    base._at = tensor._counter.value
    front = base._front and base._front()
    if front is not None:
        front._rg = True
    if edge is not None:
        _resave_output(edge[0], edge[1], value, tensor)
    refresh(tensor)


def _move_retained(tensor: Any, edge: Any) -> None:
    """A tensor that keeps its gradient keeps that of its newest value."""
    old = tensor._edge
    if old is None or not old[0].retains or edge.__class__ is not tuple:
        return
    kept = old[0].retains.get(old[1])
    if kept is not None and kept() is tensor:
        del old[0].retains[old[1]]
        node, nr = edge
        if node.retains is None:
            node.retains = {}
        node.retains[nr] = kept


def _resave_output(node: Node, nr: int, value: Any, tensor: Any) -> None:
    """A node that saved its output saves the tensor's own memory, so that a later write shows."""
    if node.saved and nr in node.plan.outputs:
        at = len(node.plan.inputs) + node.plan.outputs.index(nr)
        if node.saved[at][0] is value._data:
            counter = tensor._counter
            node.saved[at] = (tensor._data, counter, counter.value, tensor._device)


def _keep_private(newest: Node, tensor: Any, since: int) -> None:
    """Replace ``tensor`` by a copy in what the nodes made after ``since`` saved of it.

    Of a primitive op only where it is the written operand: as another operand (``a.mul_(a)``) it
    stays as it is, and its gradient is refused as in PyTorch.
    """
    copy = None
    primitive = all(e.__class__ is not tuple or e[0].seq <= since for e in newest.edges)
    todo, seen = [newest], {newest}
    while todo:
        node = todo.pop()
        if node.seq <= since:
            continue
        for i, held in node.held():
            if held is tensor:
                if primitive and i < len(node.plan.inputs) and node.plan.inputs[i]:
                    continue
                if copy is None:
                    copy = _private_copy(tensor)
                node.saved[i] = copy
        for edge in node.edges:
            if edge.__class__ is tuple and edge[0] not in seen:
                seen.add(edge[0])
                todo.append(edge[0])


def _is_batched(*tensors: Any) -> bool:
    return any(hasattr(t, "_level") for t in tensors)


def _private_copy(tensor: Any) -> Any:
    copy = (
        tensor._copied()
        if _is_batched(tensor)
        else dispatch.wrap(tensor._data.copy(), tensor._device)
    )
    edge = edge_of(tensor)
    copy._rg = edge is not None
    copy._edge = edge if edge.__class__ is tuple else None
    return copy


# Twins whose results are bools, whatever is compared.
_ANSWERS = frozenset(f"{n}_" for n in "lt le gt ge less less_equal greater greater_equal".split())

# What the docstrings of methods in place say after the function's name.
_WRITES = """: writes the result into ``self`` and returns it.

    Raises:
        RuntimeError: ``self`` is a leaf that wants a gradient, the result does not fit into its
            type or shape, or another argument shares some of its memory.
    """
_TURNS = """: turns ``self`` into that view of its own memory and returns it.

    Shapes are those of the function that is no twin; the dtype stays.

    Raises:
        RuntimeError: ``self`` is a leaf that wants a gradient.
    """


def inplace_twin(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method ``NAME_``: compute ``NAME`` and write the result into ``self``."""
    call = titled(call, f"Tensor.{name}")

    plain = inspect.unwrap(call)
    writer = WRITERS.get(name)
    promotes = name not in _ANSWERS and plain.__code__.co_varnames[1:2] in (("other",), ("min",))

    @functools.wraps(call)
    def computed(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return call(self, *args, **kwargs)
        except NotImplementedError as error:  # PyTorch looks first whether the result can be cast
            raise (_uncast(self, args, name) if promotes else None) or error from None

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_inplace(self)
        if args:
            check_apart(self, args, name)
        since = clock()
        recorder = sink.active
        if recorder is None or recorder.thread != get_ident():
            if (
                writer is not None
                and recorder is None
                and self._data.__class__ is ndarray
                and self._data.size >= LARGE
                and _written_at_once(self, writer, args, kwargs)
            ):
                return self
            try:
                value = call(self, *args, **kwargs)
            except NotImplementedError as error:
                raise (_uncast(self, args, name) if promotes else None) or error from None
            except AttributeError as error:  # only tensors have what was asked for
                wrong_kind = wrong(call, (self, *args), kwargs, 0, name=name, no_numbers=True)
                raise wrong_kind or error from None
            return assign(self, value, name, since)
        if name == "copy_" and args and getattr(args[0], "_device", self._device) != self._device:
            late = bool(args[1] if len(args) > 1 else kwargs.get("non_blocking", False))
            moved = args[0].to(self._device, non_blocking=late)  # an event of its own
            args = (moved, *args[1:])
        return _as_one_event(
            recorder, name, computed, self, args, kwargs, lambda v: assign(self, v, name, since)
        )

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"In-place version of `{call.__name__}`{_WRITES}"
    return method


def _written_at_once(tensor: Any, writer: Any, args: tuple[Any, ...], kwargs: Any) -> bool:
    """Write without an array for the result, where nobody follows a gradient or looks on."""
    watched = dispatch.interposer is not None or written is not None or write_guard is not None
    if watched or tensor.__class__ not in dispatch.usual:
        return False
    tracked = modes.grad or modes.forward
    if (tracked and tensor.requires_grad) or tensor._device is not CPU:
        return False
    arrays = []
    for a in args:
        if not isinstance(a, dispatch.Tensor):
            arrays.append(a)
            continue
        if (
            a._device is not CPU
            or a.__class__ not in dispatch.usual
            or (tracked and a.requires_grad)
        ):
            return False
        arrays.append(a._data)
    data = tensor._data
    if not data.flags.carray:
        return False
    try:
        written_now: bool = writer(data, lambda: before_write(tensor), *arrays, **kwargs)
    except TypeError:  # other arguments than it knows
        return False
    return written_now


def _uncast(target: Any, args: tuple[Any, ...], name: str) -> RuntimeError | None:
    """The error for an operand of a higher category than what is written into, if it is one."""
    other = args[0] if args else None
    if not isinstance(other, (dispatch.Tensor, bool, int, float, complex)):
        return None
    found = dtypes.result_type(target, other)
    if found.category <= target.dtype.category:
        return None
    return RuntimeError(
        f"{name}: result type {dtypes.NAMES[found]} can't be cast to the desired output type "
        f"{dtypes.NAMES[target.dtype]}"
    )


def view_twin(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method ``NAME_`` of a view: ``self`` becomes the view of its own memory.

    A tensor that owned its memory leaves that to a hidden one, which has its old shape and history:
    views that were taken before go on from there.
    """
    call = titled(call, f"Tensor.{name}")

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_inplace(self)
        recorder = sink.active
        if recorder is None or recorder.thread != get_ident():
            return _turn_into(self, call(self, *args, **kwargs))
        return _as_one_event(
            recorder, name, call, self, args, kwargs, lambda view: _turn_into(self, view)
        )

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"In-place version of `{call.__name__}`{_TURNS}"
    return method


def _as_one_event(
    recorder: Any, name: str, call: Callable[..., Any], tensor: Any, args: Any, kwargs: Any,
    finish: Callable[[Any], Any],
) -> Any:  # fmt: skip
    """Change ``tensor`` in place, of which the trace shall see nothing of what it takes inside.

    Called by the method that the user called: the recorder looks for his line from there.
    """
    since = clock()
    t0 = perf_counter_ns()
    thread, recorder.thread = recorder.thread, 0
    try:
        value = call(tensor, *args, **kwargs)
    except BaseException as error:
        recorder.thread = thread
        recorder.op_error(name, (tensor, *args), kwargs, t0, error)
        raise
    finally:
        recorder.thread = thread
    finish(value)
    edge = tensor._edge if tensor._rg else None
    if edge is not None and tensor._base is not None and value._edge is not None:
        made, nr = value._edge  # of what was written; the tensor's own takes it out of the base
        fits = not nr and made.metas[0] == edge[0].metas[edge[1]]
        if made.seq > since and fits and made.origin is None:
            edge = value._edge
    node = edge[0] if edge is not None else None
    recorder.op(name, (tensor, *args), kwargs, tensor, t0, node)
    if node is not None:
        _belong(tensor._edge[0], node.origin, since)
    return tensor


def _belong(node: Node, origin: Any, since: int) -> None:
    """The nodes made after ``since`` that lead to ``node`` are those of one op, ``origin``."""
    todo, seen = [node], {node}
    while todo:
        node = todo.pop()
        if node.origin is None:
            node.origin = origin_of(origin, node.metas)
        for edge in node.edges:
            if edge.__class__ is tuple and edge[0].seq > since and edge[0] not in seen:
                seen.add(edge[0])
                todo.append(edge[0])


def _turn_into(tensor: Any, view: Any) -> Any:
    if _is_batched(view):
        tensor._value = view._value
    elif tensor._base is None and view._base is tensor:
        base = dispatch.wrap(tensor._data, tensor._device)
        base._rg, base._edge, base._counter = tensor._rg, tensor._edge, tensor._counter
        base._front = ref(tensor)
        tensor._base = base
    tensor._data, tensor._chain = view._data, view._chain
    tensor._rg, tensor._edge = view._rg, view._edge
    before_write(tensor)
    if tensor._base is not None:
        tensor._at = tensor._counter.value
    return tensor
