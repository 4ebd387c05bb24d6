"""``target[index] += values`` and its like where places may be named twice, on any device.

CuPy's atomics know a few types only, and add floats up in whatever order: other types go by a
wider one, complex numbers by their parts; with `use_deterministic_algorithms` in their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.kernels import cuda, module_of

__all__ = ["add_at", "combine_at", "sections"]

# Of CuPy's atomics; from 14 on it has those of int64, too.
_KNOWN = {"add": frozenset("ifdeILQ"), "maximum": frozenset("ifdILQ")}
_SIGN = np.uint64(1 << 63)


def add_at(target: Any, index: Any, values: Any) -> None:
    """Add ``values`` to ``target`` where ``index`` says, each as often as it is named.

    A sum of truths is true where one of them is.
    """
    if isinstance(target, np.ndarray):
        np.add.at(target, index, values)
    else:
        _combined("add", target, index, values)


def combine_at(name: str, target: Any, index: Any, values: Any) -> None:
    """The same by "maximum", "minimum" or "multiply" instead of "add".

    On a device "multiply" is for lines, whose elements are multiplied by products of values.
    """
    if isinstance(target, np.ndarray):
        getattr(np, name).at(target, index, values)
    elif name == "multiply":
        _multiplied(target, index, values)
    else:
        _combined(name, target, index, values)


def _combined(name: str, target: Any, index: Any, values: Any) -> None:
    kind = target.dtype
    if kind.kind == "c":
        add_at(target.real, index, values.real)
        add_at(target.imag, index, values.imag if hasattr(values, "imag") else 0)
        return
    ordered = name == "add" and cuda.deterministic and kind.kind in "fV"
    if not ordered and kind.char in _KNOWN.get(name, _KNOWN["maximum"]):
        _atomically(name, target, index, values)
        return
    if kind.kind == "i" and kind.itemsize == 8:
        _of_long(name, target, index, values)
        return
    floats = kind.kind in "fV"
    wide = target.astype(np.float64 if kind.itemsize == 8 else np.float32 if floats else np.int32)
    if hasattr(values, "astype"):
        values = values.astype(wide.dtype)
    if ordered:
        _in_order(wide, index, values)
    else:
        _atomically("maximum" if kind.kind == "b" and name == "add" else name, wide, index, values)
    target[...] = wide.astype(kind)


def _of_long(name: str, target: Any, index: Any, values: Any) -> None:
    """Numbers of int64 as those of uint64: sums have the same bits, and the order is the same once
    the sign's bit is turned."""
    bits = target.view(np.uint64)
    values = values.astype(np.int64) if hasattr(values, "astype") else np.int64(values)
    values = values.view(np.uint64)
    if name == "add":
        _atomically(name, bits, index, values)
        return
    bits ^= _SIGN
    _atomically(name, bits, index, values ^ _SIGN)
    bits ^= _SIGN


def _atomically(name: str, target: Any, index: Any, values: Any) -> None:
    import cupy

    getattr(cupy, name).at(target, index, values)


def _multiplied(target: Any, index: Any, values: Any) -> None:
    """There are no such atomics: equal places are segments once the index is sorted."""
    import cupy

    reduced: Any = cuda.kernel_named("segment_reduce")
    with target.device:
        values = cupy.broadcast_to(values, index.shape)
        order = cupy.argsort(index, kind="stable")
        ends = cupy.searchsorted(index[order], cupy.arange(target.size), side="right")
        lengths = ends.copy()
        lengths[1:] -= ends[:-1]
        found = reduced(values[order], lengths, reduce="prod", axis=0, initial=1.0)
        if found is None:  # of another type, or empty
            there = target.get()
            np.multiply.at(there, index.get(), values.get())
            target[...] = cupy.asarray(there)
            return
        target *= found


def sections(edges: Any, u: Any) -> Any:
    """For each u of a row, the number of edges of that row that are not above it, of any device.

    One search for all rows: row r is searched between r and r + 1. No section without width is
    chosen, nor, by rounding, one after the last that has any.
    """
    xp = module_of(edges)
    n = edges.shape[-1]
    rows = xp.arange(edges.size // n).reshape((*edges.shape[:-1], 1))
    found = xp.searchsorted((edges + rows).ravel(), (u + rows).ravel(), side="right")
    last = xp.argmax(edges >= edges[..., -1:], -1)
    return xp.minimum(found.reshape(u.shape) - n * rows, last[..., None])


def _in_order(target: Any, index: Any, values: Any) -> None:
    """Into a contiguous ``target``: equal places are neighbours once the index is sorted."""
    import cupy

    from framework.kernels.cuda.adding import added_in_order

    with target.device:
        places = cupy.arange(target.size, dtype=np.int64).reshape(target.shape)[index]
        if not places.size:
            return
        values = cupy.broadcast_to(cupy.asarray(values, target.dtype), places.shape)
        line = cupy.ascontiguousarray(values).reshape(-1)
        added_in_order(target.reshape(-1), line, places.reshape(-1))
