"""Copies of lines of an array: with something around them, of triangles, and their differences.

Arrays are vectors here, and places in them unsigned: a slice of an array costs Numba as much as a
short line. What is only copied is copied as unsigned integers of its size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["differences", "of_differences", "padded", "padded_sums", "triangles"]

_u = np.uintp
_WORDS: dict[int, Any] = {4: np.dtype(np.uint32), 8: np.dtype(np.uint64)}


# -- with something around ----------------------------------------------------------------------


@njit(**FAST)
def _padded(x, out, rows, left, right, sizes, fill, start, stop):
    """Line r of a plane is ``left``, a part, and ``right`` of line ``rows[r]``; -1 is ``fill``."""
    height, width, first, middle = sizes
    count, before = _u(rows.size), _u(left.size)
    after = before + middle
    length = after + _u(right.size)
    for line in range(_u(start), _u(stop)):
        o, row = line * length, rows[line % count]
        if row < 0:
            for j in range(length):
                out[o + j] = fill
            continue
        i = (line // count * height + _u(row)) * width
        for j in range(before):
            k = left[j]
            out[o + j] = x[i + _u(k)] if k >= 0 else fill
        for j in range(middle):
            out[o + before + j] = x[i + first + j]
        for j in range(_u(right.size)):
            k = right[j]
            out[o + after + j] = x[i + _u(k)] if k >= 0 else fill


@njit(**FAST)
def _padded_sums(g, out, rows, left, right, sizes, start, stop):
    """Add up where elements came from, plane by plane; ``out`` is zero before."""
    height, width, first, middle = sizes
    count, before = _u(rows.size), _u(left.size)
    after = before + middle
    length = after + _u(right.size)
    for plane in range(_u(start), _u(stop)):
        for r in range(count):
            o = (plane * count + r) * length
            i = (plane * height + _u(rows[r])) * width
            for j in range(before):
                out[i + _u(left[j])] += g[o + j]
            for j in range(middle):
                out[i + first + j] += g[o + before + j]
            for j in range(_u(right.size)):
                out[i + _u(right[j])] += g[o + after + j]


def padded(x: Any, out: Any, height: int, width: int, plan: Any, fill: Any) -> None:
    """``plan`` is (rows, left, right, first, middle): see `kernels.padding`."""
    word = _WORDS[x.itemsize]
    rows, left, right, first, middle = plan
    number = np.array([fill], x.dtype).view(word)[0]
    length = left.size + middle + right.size
    in_parts(_padded, out.size // max(length, 1), out.size, x.reshape(-1).view(word),
             out.reshape(-1).view(word), rows, left, right,
             tuple([_u(n) for n in (height, width, first, middle)]), number)  # fmt: skip


def padded_sums(g: Any, out: Any, height: int, width: int, plan: Any) -> None:
    """The adjoint, into ``out``."""
    rows, left, right, first, middle = plan
    out[...] = 0
    in_parts(_padded_sums, out.size // (height * width), g.size, g.reshape(-1), out.reshape(-1),
             rows, left, right, tuple([_u(n) for n in (height, width, first, middle)]))  # fmt: skip


# -- triangles ----------------------------------------------------------------------------------


@njit(**FAST)
def _triangles(x, out, height, width, diagonal, lower, start, stop):
    nothing = x.dtype.type(0)
    for line in range(_u(start), _u(stop)):
        end = np.int64(line % height) + diagonal + lower
        end = _u(min(max(end, 0), width))
        i = line * _u(width)
        first, last = (_u(0), end) if lower else (end, _u(width))
        for j in range(_u(0), first):
            out[i + j] = nothing
        for j in range(first, last):
            out[i + j] = x[i + j]
        for j in range(last, _u(width)):
            out[i + j] = nothing


def triangles(x: Any, diagonal: int, lower: bool) -> Any:
    """`numpy.tril` (lower) or `numpy.triu` of contiguous matrices."""
    out, word = np.empty_like(x), _WORDS[x.itemsize]
    height, width = x.shape[-2:]
    diagonal = max(-height - 1, min(diagonal, width + 1))
    in_parts(_triangles, x.size // width, x.size, x.reshape(-1).view(word),
             out.reshape(-1).view(word), _u(height), width, diagonal, int(lower))  # fmt: skip
    return out


# -- differences --------------------------------------------------------------------------------


@njit(**FAST)
def _differences(x, out, length, start, stop):
    for line in range(_u(start), _u(stop)):
        i, o = line * length, line * (length - _u(1))
        for j in range(length - _u(1)):
            out[o + j] = x[i + j + _u(1)] - x[i + j]


@njit(**FAST)
def _of_differences(g, out, length, start, stop):
    """The gradient: ``length`` is that of lines of ``out``."""
    last = length - _u(1)
    for line in range(_u(start), _u(stop)):
        i, o = line * last, line * length
        out[o] = -g[i]
        for j in range(_u(1), last):
            out[o + j] = g[i + j - _u(1)] - g[i + j]
        out[o + last] = g[i + last - _u(1)]


def differences(x: Any) -> Any:
    """Of neighbours along the last dimension of a contiguous array."""
    length = x.shape[-1]
    out = np.empty((*x.shape[:-1], length - 1), x.dtype)
    in_parts(_differences, x.size // length, x.size, x.reshape(-1), out.reshape(-1), _u(length))
    return out


def of_differences(g: Any) -> Any:
    """What `differences` of an array one longer does to it."""
    length = g.shape[-1] + 1
    out = np.empty((*g.shape[:-1], length), g.dtype)
    in_parts(_of_differences, g.size // (length - 1), g.size, g.reshape(-1), out.reshape(-1),
             _u(length))  # fmt: skip
    return out
