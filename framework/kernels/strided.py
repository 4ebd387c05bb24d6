"""Memory by strides: views that reach anywhere in an array's memory, copies of a given layout.

A *geometry* is (shape, strides, offset), counted in elements as PyTorch does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.kernels import module_of
from framework.kernels.meta import MetaArray
from framework.kernels.places import add_at
from framework.layout import is_dense

__all__ = [
    "Geometry", "index_of", "laid_out", "may_overlap", "meet", "memory_of", "overlaps",
    "partly_same", "reach",
    "restride", "root_of", "storage_bytes", "strided", "strides_of",
]  # fmt: skip

Geometry = tuple[tuple[int, ...], tuple[int, ...], int]


def strides_of(a: Any) -> tuple[int, ...]:
    """An array's strides in elements."""
    size = a.itemsize
    return tuple([s // size for s in a.strides])


def reach(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> int:
    """How many elements of memory a geometry needs, counted from the start of the memory."""
    if 0 in shape:
        return 0
    return offset + sum([(n - 1) * s for n, s in zip(shape, strides)]) + 1


def overlaps(a: Any) -> bool:
    """Whether elements certainly share memory, as those of an expanded dimension do."""
    strides = a.strides
    return 0 in strides and any(s == 0 and n > 1 for s, n in zip(strides, a.shape)) and a.size > 0


def meet(a: Any, b: Any) -> bool:
    """Whether two arrays, each a block of memory without gaps, share places.

    As PyTorch's check: arrays with gaps are taken to be apart, since looking closer is dear.
    """
    if not a.size or not b.size or not (is_dense(a) and is_dense(b)):
        return False
    (start, end), (other, last) = _range(a), _range(b)
    return start < last and other < end


def partly_same(a: Any, b: Any) -> bool:
    """Whether two arrays `meet`, but not as one and the same."""
    if not meet(a, b):
        return False
    return _range(a) != _range(b) or a.shape != b.shape or _steps(a) != _steps(b)


def _range(a: Any) -> tuple[int, int]:
    """First and one past the last address of a block."""
    start = a.__array_interface__["data"][0] if isinstance(a, np.ndarray) else a.data.ptr
    return start, start + a.nbytes


def _steps(a: Any) -> list[int]:
    return [s for s, n in zip(a.strides, a.shape) if n > 1]


def root_of(a: Any) -> Any:
    """The array that owns the memory of ``a``."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def memory_of(a: np.ndarray) -> np.ndarray:
    """All of the memory that a NumPy array is a part of, as far as NumPy knows it."""
    root: Any = a
    while isinstance(root, MetaArray):
        root = root.base
    while isinstance(root.base, np.ndarray) and a.__class__ is not MetaArray:
        root = root.base
    if root.flags.c_contiguous:
        return root.reshape(-1).view(np.uint8)
    order = sorted(range(root.ndim), key=lambda d: -root.strides[d])
    dense = root.transpose(order)
    if not dense.flags.c_contiguous:
        n = reach(root.shape, strides_of(root))
        dense = np.lib.stride_tricks.as_strided(root, (n,), (root.itemsize,))
    return dense.reshape(-1).view(np.uint8)


def strided(a: Any, shape: tuple[int, ...], strides: tuple[int, ...], shift: int = 0) -> Any:
    """A view of ``a``'s memory that begins ``shift`` elements after (or before) ``a``.

    Raises:
        ValueError: it would reach out of the memory.
    """
    size = a.itemsize
    steps = tuple([s * size for s in strides])
    if not isinstance(a, np.ndarray):
        return module_of(a).ndarray(shape, a.dtype, a.data + shift * size, steps)
    memory = memory_of(a)
    start = a.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    if 0 in shape or not memory.size:
        return _array_like(a, shape, a.dtype, memory, 0)
    return _array_like(a, shape, a.dtype, memory, start + shift * size, steps)


def _array_like(a: Any, *geometry: Any) -> Any:
    return np.ndarray.__new__(MetaArray if a.__class__ is MetaArray else np.ndarray, *geometry)


def storage_bytes(a: Any) -> int:
    """Bytes of memory from ``a``'s first element to the end of what it is a part of."""
    if not isinstance(a, np.ndarray):
        return int(a.data.mem.size - (a.data.ptr - a.data.mem.ptr))
    memory = memory_of(a)
    start = a.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return memory.size - start


def laid_out(a: Any, strides: tuple[int, ...] | None) -> Any:
    """A copy of ``a`` with these strides; None: in C order."""
    if strides is None:
        return a.copy()
    memory = module_of(a).zeros(reach(a.shape, strides), a.dtype)
    result = strided(memory, a.shape, strides)
    result[...] = a
    return result


def index_of(geometry: Geometry) -> np.ndarray:
    """For each element its place in the memory."""
    shape, strides, offset = geometry
    places = np.full((1,) * len(shape), offset, np.int64)
    for d, (n, s) in enumerate(zip(shape, strides)):
        places = places + (np.arange(n) * s).reshape(
            [-1 if i == d else 1 for i in range(len(shape))]
        )
    return places


def may_overlap(geometry: Geometry) -> bool:
    """Whether elements of a geometry share a place in memory."""
    shape, strides, _ = geometry
    if 0 in shape:
        return False
    inner = 0  # the last place of the dimensions with smaller strides
    for s, n in sorted([(s, n) for n, s in zip(shape, strides) if n > 1]):
        if s <= inner:
            return np.unique(index_of(geometry)).size < math.prod(shape)
        inner += s * (n - 1)
    return False


def restride(a: Any, source: Geometry, target: Geometry, shared: Geometry | None) -> Any:
    """Elements added up in a memory at ``source``, and read from there at ``target``.

    With ``shared`` every place of the memory is divided by the number of elements of that geometry
    that lie on it.
    """
    xp = module_of(a)
    low = min(source[2], target[2])
    size = max(reach(*source), reach(*target), reach(*shared) if shared else 0, low) - low
    memory = xp.zeros(size, a.dtype)
    if may_overlap(source):
        add_at(memory, xp.asarray(index_of(source) - low), a)
    else:
        strided(memory, source[0], source[1], source[2] - low)[...] = a
    if shared is not None:
        count = np.zeros(memory.shape, np.int64)
        np.add.at(count, index_of(shared) - low, 1)
        memory = (memory / xp.asarray(np.maximum(count, 1))).astype(a.dtype)
    return strided(memory, target[0], target[1], target[2] - low).copy()
