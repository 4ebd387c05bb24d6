"""Kernels: what computes on raw arrays, NumPy's and CuPy's alike."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from framework.device import CPU, META, bfloat16_problem, device, is_fake_cuda
from framework.kernels.errors import LinAlgError, NoMemory, OutOfMemoryError, SparseOperand
from framework.kernels.meta import META_NUMPY, MetaArray, meta_like, no_data
from framework.kernels.pool import claim, no_memory

__all__ = [
    "LinAlgError", "NoMemory", "OutOfMemoryError", "SparseOperand", "is_cupys", "is_pinned",
    "module_of", "must_hold", "on", "pinned", "to_device", "to_host",
]  # fmt: skip


def module_of(array: Any) -> Any:
    """The array module that an array belongs to: `numpy` or `cupy`."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np if array.__class__ is not MetaArray else META_NUMPY
    if hasattr(array, "sparse_dim"):
        return module_of(array.values)
    import cupy

    return cupy


def on(place: device) -> Any:
    """A context in which CuPy's kernels run on a device, and its arrays are made there."""
    if is_fake_cuda() or place.type != "cuda":
        return contextlib.nullcontext()
    import cupy

    return cupy.cuda.Device(place.index)


def is_cupys(array: Any) -> bool:
    """Whether it is an array of CuPy's, not a number, a NumPy array or a sparse one."""
    return bool(array.__class__.__module__ == "cupy")


def must_hold(dtype: Any, where: Any) -> None:
    """Raise RuntimeError for bfloat16 on a device, or beside an array, whose CuPy has none."""
    if dtype.kind != "V" or not (problem := bfloat16_problem()):
        return
    there = where.type == "cuda" if isinstance(where, device) else is_cupys(where)
    if there:
        raise RuntimeError(problem)


class PinnedMemory(bytearray):
    """What stands for page-locked memory where CUDA is a fake."""


def pinned(array: np.ndarray) -> np.ndarray:
    """A copy in page-locked host memory, which a device fetches while the program goes on.

    Its elements lie in the order of the array's.
    """
    order = np.argsort([-abs(s) for s in array.strides], kind="stable").tolist()
    shape = tuple([array.shape[d] for d in order])
    if is_fake_cuda():
        made = np.ndarray(shape, array.dtype, PinnedMemory(max(1, array.nbytes)))
    else:
        import cupyx

        made = cupyx.empty_pinned(shape, array.dtype)
    made = made.transpose([order.index(d) for d in range(array.ndim)])
    made[...] = array
    return made


def is_pinned(array: Any) -> bool:
    """Whether an array is a part of what `pinned` gave."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return "PinnedMemory" in type(array).__name__


def to_device(array: Any, target: device, non_blocking: bool = False) -> Any:
    """Copy an array to a device (the fake ``cuda`` is host memory).

    Args:
        non_blocking: go on while pinned memory is still read.
    """
    if target is CPU:
        return to_host(array)
    if target is META:
        return meta_like(array)
    if isinstance(array, MetaArray):
        raise no_data()
    try:
        if is_fake_cuda():
            return claim(_in_its_order(_copied, array), target)
        must_hold(array.dtype, target)
        import cupy

        with cupy.cuda.Device(target.index):
            made = _in_its_order(cupy.asarray, array)
            if not non_blocking and is_pinned(array):  # else a copy of it is what is read
                cupy.cuda.get_current_stream().synchronize()
            return made
    except MemoryError as error:
        raise no_memory(f"copy of {list(array.shape)}", error, target) from None


def to_host(array: Any) -> np.ndarray:
    """A NumPy array with the same contents (a copy); NotImplementedError if it has none."""
    if isinstance(array, MetaArray):
        raise no_data()
    return _in_its_order(_copied if isinstance(array, np.ndarray) else _got, array)


def _copied(array: Any) -> Any:
    return array.copy()


def _got(array: Any) -> Any:
    return array.get()


def _in_its_order(copy: Any, array: Any) -> Any:
    """What ``copy`` makes of an array, with the elements in the order that they have in memory.

    CuPy's copies, and NumPy's, would be in rows.
    """
    flags = getattr(array, "flags", None)
    if flags is None or flags.c_contiguous or 0 in array.strides:
        return copy(array)
    order = np.argsort([-s for s in array.strides], kind="stable").tolist()
    turned = array.transpose(order)
    if not turned.flags.c_contiguous:  # what lies scattered comes together in rows
        return copy(array)
    return copy(turned).transpose([order.index(d) for d in range(array.ndim)])
