"""Adding slices up where an index says: compiled, or a product with a sparse matrix of ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.kernels import compiled

__all__ = [
    "add_along", "add_flat", "add_rows", "embedded_sums", "gathered_sums", "pick_along",
    "put_along", "summed_rows",
]  # fmt: skip

_MANY = 1 << 11  # elements; below, building the matrix takes longer than it saves
_ALL = slice(None)


def summed_rows(count: int, index: Any, values: Any) -> Any | None:
    """``count`` rows: sums of the rows of ``values`` (n, width), whose places ``index`` names.

    Added in their order, as by `numpy.add.at`, which takes 26 times as long for 8,192 rows of 128;
    `numpy.add.reduceat` on sorted rows takes 20 times as long. None where this does not pay, or
    cannot be done.
    """
    if values.size < _MANY or values.dtype.char not in "fdFD":
        return None
    from scipy.sparse import csc_matrix

    n = len(values)
    ones = np.ones(n, values.dtype)
    matrix = csc_matrix((ones, index, np.arange(n + 1)), shape=(count, n))
    return matrix @ np.ascontiguousarray(values)


def embedded_sums(count: int, index: Any, values: Any, skip: int) -> Any | None:
    """As `summed_rows`, without the rows whose place is ``skip``; None where it is not compiled."""
    out = np.empty((count, values.shape[1]), values.dtype)
    quick = compiled.adding(out, values)
    if not quick:
        return None
    index = np.ascontiguousarray(index, np.int64)
    if not quick.in_range(index, 0, count):
        return None
    out[...] = 0
    quick.add_slices(out[None], index, np.ascontiguousarray(values)[None], skip)
    return out


def add_rows(target: Any, index: Any, values: Any) -> bool:
    """``target[index] += values`` for an array ``index`` of slices, repeated ones each time.

    The index may be about any one dimension.

    Returns:
        Whether it was done.
    """
    parts = index if index.__class__ is tuple else (index,)
    places = [d for d, part in enumerate(parts) if hasattr(part, "dtype")]
    if len(places) != 1 or not target.size or values.dtype != target.dtype:
        return False
    (d,) = places
    rows = parts[d]
    before, after = parts[:d], parts[d + 1 :]
    if not all(p.__class__ is slice and p == _ALL for p in before) or not all(
        p is Ellipsis or (p.__class__ is slice and p == _ALL) for p in after
    ):
        return False
    if rows.dtype.kind not in "iu" or not rows.size:
        return False
    size = target.shape[d]
    if rows.min() < -size or rows.max() >= size:
        return False  # NumPy has the error
    shape = (*target.shape[:d], *rows.shape, *target.shape[d + 1 :])
    wide = np.broadcast_to(values, shape)
    if wide.size >= compiled.LARGE and (quick := compiled.adding(target, wide)):
        many, width = math.prod(target.shape[:d]), math.prod(target.shape[d + 1 :])
        place = np.ascontiguousarray(rows, np.int64).reshape(-1)
        quick.add_slices(target.reshape(many, size, width), place,
                         np.ascontiguousarray(wide).reshape(many, -1, width))  # fmt: skip
        return True
    if d or target.ndim < 2:
        return False
    found = summed_rows(size, rows.reshape(-1) % size, wide.reshape(rows.size, -1))
    if found is None:
        return False
    target += found.reshape(target.shape)
    return True


def add_flat(target: Any, index: Any, values: Any) -> bool:
    """``target[index] += values`` of vectors, if it is compiled, with an index in range."""
    quick = compiled.adding(target, values)
    if not quick:
        return False
    quick.add_flat(target, np.ascontiguousarray(index, np.int64), np.ascontiguousarray(values))
    return True


def _split(a: Any, index: Any, dim: int) -> Any:
    """Shape (A, K, B) of ``a``, K that of ``dim``, if ``index`` differs in that one only."""
    before, after = a.shape[:dim], a.shape[dim + 1 :]
    if not a.ndim or before != index.shape[:dim] or after != index.shape[dim + 1 :]:
        return None
    return math.prod(before), -1, math.prod(after)


def _one_for_all(index: Any, dim: int) -> bool:
    """Whether an index is a vector, expanded."""
    return all(
        d == dim or n == 1 or not stride
        for d, (n, stride) in enumerate(zip(index.shape, index.strides))
    )


def add_along(target: Any, index: Any, values: Any, dim: int) -> bool:
    """``target[.., index[i, j], ..] += values[i, j]``, an int64 index in range, if compiled."""
    quick, shape = compiled.adding(target, values), _split(target, index, dim)
    if not quick or shape is None:
        return False
    wide, flat = np.ascontiguousarray(values).reshape(shape), target.reshape(shape)
    if _one_for_all(index, dim):
        one = index[tuple([_ALL if d == dim else 0 for d in range(index.ndim)])]
        quick.add_slices(flat, np.ascontiguousarray(one), wide)
    else:
        quick.add_along(flat, np.ascontiguousarray(index).reshape(shape), wide)
    return True


def put_along(target: Any, index: Any, values: Any, dim: int) -> bool:
    """``target[.., index[i, j], ..] = values[i, j]``, an int64 index in range, if compiled."""
    quick, shape = compiled.adding(target, values), _split(target, index, dim)
    if not quick or shape is None:
        return False
    wide, flat = np.ascontiguousarray(values).reshape(shape), target.reshape(shape)
    quick.put_along(flat, np.ascontiguousarray(index).reshape(shape), wide)
    return True


def pick_along(source: Any, index: Any, dim: int) -> Any | None:
    """``source[.., index[i, j], ..]``, an int64 index in range, or None where not compiled."""
    if index.size < compiled.LARGE:
        return None
    quick, shape = compiled.adding(source, source), _split(source, index, dim)
    if not quick or shape is None:
        return None
    if _one_for_all(index, dim):
        return source.take(index[tuple([_ALL if d == dim else 0 for d in range(index.ndim)])], dim)
    found = quick.pick_along(source.reshape(shape), np.ascontiguousarray(index).reshape(shape))
    return found.reshape(index.shape)


def gathered_sums(table: Any, source: Any, target: Any, factors: Any, count: int) -> Any | None:
    """``count`` rows: ``result[target[n]] += factors[n] * table[source[n]]``, if it is compiled.

    Rows of the table are known to be there; factors may be None.
    """
    if source.size * table.shape[1] < compiled.LARGE:
        return None
    quick = compiled.adding(table, table)
    if not quick or (factors is not None and factors.dtype != table.dtype):
        return None
    source, target = [np.ascontiguousarray(i, np.int64) for i in (source, target)]
    if not quick.in_range(target, 0, count) or not quick.in_range(source, 0, len(table)):
        return None
    factors = None if factors is None else np.ascontiguousarray(factors)
    if target.size and bool((target[1:] >= target[:-1]).all()):  # whole bags, one after another
        bags = compiled.family("bags")
        return bags.sums(table, source, np.searchsorted(target, np.arange(count + 1)), factors)
    return quick.gathered_sums(table, source, target, factors, count)
