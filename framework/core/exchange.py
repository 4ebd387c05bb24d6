"""Tensors that get other memory: ``x.data = y`` and ``x.set_(y)``.

Autograd hears nothing of the first: a node that saved the tensor finds the new numbers, as in
PyTorch, and no version is counted. Of a result that has a history, the shape may change all the
same; then a gradient that does not fit its old shape is refused. The second is an op without a
derivative.
"""

from __future__ import annotations

from typing import Any

from framework import dtypes
from framework.core import dispatch
from framework.core.dispatch import edge_of
from framework.core.graph import Node
from framework.core.modes import modes
from framework.core.node_names import entitle
from framework.core.registry import op
from framework.core.views import before_write, take_history
from framework.kernels.meta import MetaArray
from framework.trace import sink

__all__ = ["check_settable", "cpp_name", "give_data", "same_form", "set_data"]

_CPP = {
    "float16": "c10::Half", "bfloat16": "c10::BFloat16", "float32": "float", "float64": "double",
    "complex64": "c10::complex<float>", "complex128": "c10::complex<double>", "bool": "bool",
    "int8": "signed char", "int16": "short int", "int32": "int", "int64": "long int",
    "uint8": "unsigned char", "uint16": "short unsigned int", "uint32": "unsigned int",
    "uint64": "long unsigned int",
}  # fmt: skip

# What leads from a result's new shape to its old one: the engine sees whether gradients fit.
RESHAPED = op("data", lambda a: a, "a", grad=(lambda g: g,), samples=lambda s: [((s(3),), {})])


def _refuse(g: Any) -> Any:
    raise RuntimeError("derivative for set_ is not implemented")


SET = op("set_", lambda a, source: source, "a source", grad=_refuse)


def give_data(tensor: Any, value: Any) -> None:
    """``tensor.data = value``.

    Raises:
        TypeError: ``value`` is no tensor.
        RuntimeError: it is sparse or on the meta device and ``tensor`` is not, or the other way
            round; its dtype can have no gradient, and ``tensor`` wants one.
    """
    if not isinstance(value, sink.tensor_type):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    if not same_form(tensor, value):
        raise RuntimeError(
            "Attempted to call `variable.set_data(tensor)`, but `variable` and `tensor` have "
            "incompatible tensor type."
        )
    if tensor.requires_grad and value.dtype.category < dtypes.FLOAT:
        raise RuntimeError(
            "data set to a tensor that requires gradients must be floating point or complex dtype"
        )
    recorder = sink.active
    if recorder is not None and recorder.values is not None:
        recorder.write(tensor)
    data = value._data
    edge = tensor._edge
    if edge is not None and tensor._base is None and data.shape != tensor._data.shape:
        node = _node(RESHAPED, (edge,), value)
        entitle(node, type(tensor.grad_fn).__name__)
        tensor._edge = (node, 0)
    _take(tensor, value)


def _take(tensor: Any, source: Any) -> None:
    offset = 0 if source.is_sparse else source.storage_offset()
    tensor._data, tensor._device = source._data, source._device
    if offset or tensor._base is not None or tensor._offset:
        tensor._offset = offset


def same_form(a: Any, b: Any) -> bool:
    """Whether a tensor may have the data of the other: both are sparse or none, on meta or none."""
    if a._data.__class__ is b._data.__class__:
        return True
    return a.is_sparse == b.is_sparse and isinstance(a._data, MetaArray) == isinstance(
        b._data, MetaArray
    )


def check_settable(tensor: Any, other: Any) -> None:
    """Refuse to ``set_`` a tensor to one of another dtype: RuntimeError in PyTorch's words."""
    if other.dtype is not tensor.dtype:
        raise RuntimeError(
            f"Could not set tensor of type {cpp_name(other.dtype)} to a tensor of type "
            f"{cpp_name(tensor.dtype)}"
        )


def cpp_name(dtype: dtypes.dtype) -> str:
    """What PyTorch's messages about memory call a dtype: ``long int``."""
    return _CPP[str(dtype).partition(".")[2]]


def set_data(tensor: Any, source: Any, whole: bool) -> None:
    """``tensor.set_(source)``: it has the memory of ``source`` from here on.

    Where gradients are wanted, its history is that of an op that has no derivative. ``whole``: the
    source is a tensor that was given, whose history counts.
    """
    edges = (edge_of(tensor), edge_of(source) if whole else None)
    before_write(tensor)
    _take(tensor, source)
    if not modes.grad or not any(e is not None for e in edges):
        return
    value = dispatch.wrap(source._data, source._device)
    value._rg, value._edge = True, (_node(SET, edges, value), 0)
    entitle(value._edge[0], "NotImplemented")
    take_history(tensor, value)


def _node(record: Any, edges: tuple[Any, ...], out: Any) -> Node:
    plan = record.plan(tuple([e is not None for e in edges]))
    return Node(record, edges, {}, plan, [], ((out._data.shape, out._data.dtype, out._device),))
