"""``target[index] += values`` and its like where places may be named twice, on any device.

CuPy's atomics know a few types only, and add floats up in whatever order: other types go by a
wider one, complex numbers by their parts; with `use_deterministic_algorithms` in their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.kernels import cuda

__all__ = ["add_at", "combine_at"]

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
    """The same by "maximum" or "minimum" instead of "add"."""
    if isinstance(target, np.ndarray):
        getattr(np, name).at(target, index, values)
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
