"""Batched tensors and the layer that maps ops over them.

Inside of `vmap` a function sees `BatchedTensor`s: tensors without the mapped dimension, which is
dimension 0 of the tensor that they stand for (``_value``). The layer runs each op on those, by the
rule for the op's class (`framework.func.rules`) or sample by sample where there is none.

Autograd works on both: what is differentiated outside of `vmap` is recorded by the ops on the
values, what is differentiated inside (per-sample gradients) by nodes of the batched tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.core import dispatch, views
from framework.core.dispatch import apply
from framework.core.graph import Node, Version, clock
from framework.core.interpose import Layer, stack
from framework.core.modes import modes
from framework.overrides import _disabled_torch_function_impl
from framework.tensor import Tensor

__all__ = ["BatchedTensor", "VmapLayer", "batched", "inside", "unwrapped"]

_new = object.__new__

_ESCAPED = (
    "vmap: the values of a batched tensor cannot be looked at from Python inside of vmap: use "
    "tensor operations on it (or return it) instead"
)


class Shadow(np.ndarray):
    """Shape and dtype of a batched tensor's sample, without values: to look at one is an error."""

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(_ESCAPED)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        make = _MAKERS.get(func)
        if make is not None:
            return make(self.shape, kwargs.get("dtype") or self.dtype)
        if func in (np.shape, np.ndim, np.size, np.result_type, np.can_cast):
            plain = [np.zeros((0,) * a.ndim, a.dtype) if isinstance(a, Shadow) else a for a in args]
            return func(*plain, **kwargs) if func in (np.result_type, np.can_cast) else (
                getattr(self, func.__name__))  # fmt: skip
        raise RuntimeError(_ESCAPED)

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(_ESCAPED)

    __getitem__ = __setitem__ = __bool__ = __int__ = __float__ = __index__ = __iter__ = _refuse
    __contains__ = item = tolist = astype = copy = max = min = sum = any = all = fill = _refuse
    view = tobytes = nonzero = take = put = reshape = ravel = flatten = __array_wrap__ = _refuse


_MAKERS: dict[Any, Any] = {
    np.zeros_like: np.zeros, np.ones_like: np.ones, np.empty_like: np.zeros,
}  # fmt: skip
_NOTHING = b"\xff" * 16  # NaN, -1, True: whoever gets at it in spite of all that shall see


def _shadow(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.ndarray.__new__(Shadow, shape, dtype, _NOTHING, 0, (0,) * len(shape))


class BatchedTensor(Tensor):
    """A tensor inside of `vmap`; ``_value`` has the mapped dimension in front."""

    __slots__ = ("_level", "_value")
    __torch_function__ = _disabled_torch_function_impl  # it is no class of the user's

    _level: int
    _value: Any

    @property
    def data(self) -> Tensor:
        return batched(self._value.data, self._level)

    @data.setter
    def data(self, value: Tensor) -> None:
        raise RuntimeError("vmap: .data of a batched tensor cannot be set")

    def stride(self, dim: int | None = None) -> Any:
        steps = self._value.stride()[1:]
        return steps if dim is None else steps[dim]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        return self._value.is_contiguous()

    def data_ptr(self) -> int:
        raise RuntimeError("vmap: data_ptr() of a batched tensor is not defined")

    def item(self) -> Any:
        raise RuntimeError(
            "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over "
            "calling .item() on a Tensor, please try to rewrite what you're doing with other "
            "operations."
        )

    def tolist(self) -> Any:
        raise RuntimeError("vmap: tolist() of a batched tensor: " + _ESCAPED)

    def numpy(self, *, force: bool = False) -> Any:
        raise RuntimeError("vmap: numpy() of a batched tensor: " + _ESCAPED)

    def __bool__(self) -> bool:
        raise RuntimeError(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control "
            "flow. We don't support that yet: use torch.where instead of the branch."
        )

    def __repr__(self) -> str:
        value = repr(self._value).replace("\n", "\n    ")
        return f"BatchedTensor(lvl={self._level}, bdim=0, value=\n    {value}\n)"

    def _copied(self) -> BatchedTensor:
        return batched(self._value.clone(), self._level)

    # What makes another tensor like this one makes a batched one, which can then be written to.

    def _made(self, make: Any, *args: Any, **options: Any) -> Any:
        sample = make(*args, **{"dtype": self.dtype, "device": self.device, **options})
        size = self._value._data.shape[0]
        return batched(sample.expand(size, *sample.shape).clone(), self._level)

    def new_zeros(self, *size: Any, **options: Any) -> Any:
        from framework.ops.creation import zeros

        return self._made(zeros, *size, **options)

    def new_ones(self, *size: Any, **options: Any) -> Any:
        from framework.ops.creation import ones

        return self._made(ones, *size, **options)

    def new_empty(self, *size: Any, **options: Any) -> Any:
        from framework.ops.creation import zeros

        return self._made(zeros, *size, **options)

    _new_zeros, _new_ones, _new_empty = new_zeros, new_ones, new_empty  # for zeros_like, ...

    def new_full(self, size: Any, fill_value: Any, **options: Any) -> Any:
        from framework.ops.creation import full

        return self._made(full, size, fill_value, **options)

    def new_tensor(self, data: Any, **options: Any) -> Any:
        from framework.tensor import tensor

        return self._made(tensor, data, **options)


def batched(value: Tensor, level: int) -> BatchedTensor:
    """What ``value`` is inside of the vmap of this level, over its dimension 0."""
    made = _new(BatchedTensor)
    data = value._data
    made._data = _shadow(data.shape[1:], data.dtype)
    made._device = value._device
    made._rg = False
    made._edge = made._counter = made._base = made._grad = None
    made._id = value._id  # the trace knows the value
    made._value = value
    made._level = level
    return made


def unwrapped(tensor: Any, level: int, size: int) -> Tensor:
    """The value of a tensor at this level, with the mapped dimension; repeated if it has none."""
    if tensor.__class__ is BatchedTensor and tensor._level == level:
        return tensor._value
    return tensor.expand(size, *tensor.shape)


class _Held:
    """An output that a node saved: its value, so that the node does not hold the tensor itself."""

    __slots__ = ("device", "dtype", "level", "shape", "value")

    def __init__(self, tensor: BatchedTensor) -> None:
        self.value, self.level = tensor._value, tensor._level
        self.shape, self.dtype = tensor._data.shape, tensor._data.dtype


class BatchedNode(Node):
    """A node of batched tensors."""

    __slots__ = ()

    def output(self, i: int) -> Any:
        """Saved output ``i``, as a batched tensor that this node made."""
        held, counter, version, _ = self._saved(len(self.plan.inputs) + self.plan.outputs.index(i))
        if counter.value != version:
            self._modified(held.value, f"output {i} of {self.short_name()}", counter.value, version)
        tensor = batched(held.value, held.level)
        tensor._counter = counter
        if held.dtype.kind in "fcV":
            tensor._rg, tensor._edge = True, (self, i)
        return tensor


class VmapLayer(Layer):
    """One call of `vmap`: its level, batch size and what to do with random ops."""

    apart = True

    def __init__(self, level: int, size: int, randomness: str) -> None:
        super().__init__()
        self.level, self.size, self.randomness = level, size, randomness
        self.since = clock()

    def __enter__(self) -> VmapLayer:
        views.batched_assign = _assign
        return super().__enter__()

    def has(self, value: Any) -> bool:
        """Whether a value is batched at this level."""
        return value.__class__ is BatchedTensor and value._level == self.level

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        from framework.func import rules

        level = self.level
        flags = [a.__class__ is BatchedTensor and a._level == level for a in args]
        if op.name in rules.RANDOM:
            return rules.random(self, op, args, meta, flags)
        if True not in flags:
            return apply(op, *args, **meta)
        decomposed = rules.DECOMPOSED.get(op.name)
        if decomposed is not None:
            with self:
                found = decomposed(args, meta, flags)
            if found is not NotImplemented:
                return found
        values = [a._value if f else a for a, f in zip(args, flags)]
        values = rules.promoted(op, values, flags)
        rule = rules.rule_of(op)
        found = NotImplemented
        if rule is not None:
            found = rule(op, values, meta, flags, self.size)
        if found is NotImplemented:
            found = rules.loop(op, values, meta, flags, self.size)
        if found.__class__ is tuple:
            outs = tuple([batched(v, level) for v in found])
            out: Any = outs
        else:
            out = batched(found, level)
            outs = (out,)
            if op.view:
                _share(args[0], out, op, meta)
        if op.grad is not None and modes.grad:
            self._record(op, args, meta, outs)
        return out

    def inner(self, tensor: Any) -> bool:
        """Whether a gradient inside of this vmap may want to go through an argument."""
        if not isinstance(tensor, Tensor) or not tensor.requires_grad:
            return False
        if tensor.__class__ is BatchedTensor and tensor._level >= self.level:
            return True
        edge = tensor._edge
        return edge.__class__ is tuple and edge[0].seq > self.since

    def _record(self, op: Any, args: Any, meta: Any, outs: tuple[Any, ...]) -> None:
        wanted = [self.inner(a) for a in args]
        if True not in wanted:
            return
        node = dispatch._record(op, args, meta, outs)
        if node is None:
            return
        node.edges = tuple([e if w else None for e, w in zip(node.edges, wanted)])
        if node.plan.outputs:
            node.__class__ = BatchedNode
            first = len(node.plan.inputs)
            for at, i in enumerate(node.plan.outputs, first):
                _, counter, version, device = node.saved[at]
                node.saved[at] = (_Held(outs[i]), counter, version, device)


def _share(source: Any, out: Any, op: Any, meta: dict[str, Any]) -> None:
    """Note that ``out`` is a view of ``source``, if its value is one of the source's value."""
    if source.__class__ is not BatchedTensor:
        return
    shared = out._value._counter
    if shared is None or shared is not source._value._counter:
        return
    counter = source._counter
    if counter is None:
        counter = source._counter = Version()
    out._counter = counter
    base = source._base
    out._base = source if base is None else base
    out._chain = ((op, meta),) if base is None else (*source._chain, (op, meta))
    out._at = counter.value
    if not modes.grad:
        out._restricted = "no_grad"


def _assign(tensor: Any, value: Any, name: str, since: int) -> Any:
    """`views.assign` where one of the two is batched: write to the values, then take the history.

    Raises:
        RuntimeError: a batched value does not fit into a tensor that has no mapped dimension.
    """
    top = max(t._level for t in (tensor, value) if t.__class__ is BatchedTensor)
    if tensor.__class__ is not BatchedTensor or tensor._level != top:
        raise RuntimeError(
            f"vmap: {name}(self, *extra_args) is not possible because there exists a Tensor "
            "`other` in extra_args that has more elements than `self`. This happened due to "
            "`other` being vmapped over but `self` not being vmapped over. Please try to use "
            f"out-of-place operators instead of {name}. If said operator is being called inside "
            "the PyTorch framework, please file a bug report instead."
        )
    if tensor._data.shape != value._data.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(tensor.shape)} doesn't match the broadcast shape "
            f"{list(value.shape)}"
        )
    floating = tensor.dtype.category >= dtypes.FLOAT
    record = modes.grad and floating and (value._rg or tensor.requires_grad)
    if record and value._edge.__class__ is tuple:
        views._keep_private(value._edge[0], tensor, since)
    target = tensor._value
    views.check_inplace(target)
    source = unwrapped(value, top, target._data.shape[0])
    views.assign(target, source, name, since)
    if tensor._counter is None:
        tensor._counter = Version()
    tensor._counter.value += 1
    if record:
        views.take_history(tensor, value)
    return tensor


def inside(edge: Any, level: int) -> bool:
    """Whether an edge leads to what was made inside of the vmap of this level."""
    if edge.__class__ is not tuple:
        return hasattr(edge, "_level") and edge._level >= level
    return any(layer.level == level and edge[0].seq > layer.since for layer in levels())


def levels() -> list[VmapLayer]:
    """The vmaps that are being run in this thread, outermost first."""
    return [layer for layer in stack.layers if isinstance(layer, VmapLayer)]
