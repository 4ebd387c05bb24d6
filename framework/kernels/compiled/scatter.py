"""Adding slices up where an index says, and picking them: in the order of the index, always.

Arrays are (A, K, B), of which an index is about the middle one. Threads share the work by A and by
columns of B, so that whatever is added to one element is added by one thread, first to last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["add_along", "add_flat", "add_slices", "gathered_sums", "in_range", "pick_along",
           "put_along"]  # fmt: skip

_u = np.uintp
_COLUMNS = 64  # that a thread takes at a time, at least


@njit(**FAST)
def _in_range(index, low, high):
    least, most = index[0], index[0]
    for i in range(index.size):
        least, most = min(least, index[i]), max(most, index[i])
    return least >= low and most < high


@njit(**FAST)
def _add(target, values):
    for j in range(values.size):
        target[j] += values[j]


@njit(**FAST)
def _add_slices(target, index, values, skip, blocks, start, stop):
    rows, width = target.shape[1], target.shape[2]
    for unit in range(start, stop):
        a, first = unit // blocks, unit % blocks * _COLUMNS
        last = min(first + _COLUMNS, width)
        for i in range(index.size):
            k = index[i]
            if k == skip:
                continue
            k = k + rows if k < 0 else k
            if width == 1:
                target[a, k, 0] += values[a, i, 0]
            else:
                _add(target[a, k, first:last], values[a, i, first:last])


@njit(**FAST)
def _add_along(target, index, values, blocks, start, stop):
    width = target.shape[2]
    for unit in range(start, stop):
        a, first = unit // blocks, unit % blocks * _COLUMNS
        for i in range(index.shape[1]):
            for j in range(first, min(first + _COLUMNS, width)):
                target[a, index[a, i, j], j] += values[a, i, j]


@njit(**FAST)
def _put_along(target, index, values, blocks, start, stop):
    width = target.shape[2]
    for unit in range(start, stop):
        a, first = unit // blocks, unit % blocks * _COLUMNS
        for i in range(index.shape[1]):
            for j in range(first, min(first + _COLUMNS, width)):
                target[a, index[a, i, j], j] = values[a, i, j]


@njit(**FAST)
def _pick_along(source, index, out, blocks, start, stop):
    width = source.shape[2]
    for unit in range(start, stop):
        a, first = unit // blocks, unit % blocks * _COLUMNS
        for i in range(index.shape[1]):
            for j in range(first, min(first + _COLUMNS, width)):
                out[a, i, j] = source[a, index[a, i, j], j]


# Where B is 1: an index that cannot be negative need not be asked.


@njit(**FAST)
def _add_along_rows(target, index, values, start, stop):
    for a in range(start, stop):
        to, at, of = target[a], index[a], values[a]
        for i in range(at.size):
            to[_u(at[i])] += of[i]


@njit(**FAST)
def _put_along_rows(target, index, values, start, stop):
    for a in range(start, stop):
        to, at, of = target[a], index[a], values[a]
        for i in range(at.size):
            to[_u(at[i])] = of[i]


@njit(**FAST)
def _pick_along_rows(source, index, out, start, stop):
    for a in range(start, stop):
        of, at, to = source[a], index[a], out[a]
        for i in range(at.size):
            to[i] = of[_u(at[i])]


def _rows(*arrays: Any) -> list[Any]:
    return [a.reshape(a.shape[:2]) for a in arrays]


@njit(**FAST)
def _add_flat(target, index, values):
    for i in range(index.size):
        target[index[i]] += values[i]


@njit(**FAST)
def _add_times(target, values, factor):
    for j in range(values.size):
        target[j] += values[j] * factor


@njit(**FAST)
def _gathered_sums(out, table, source, target, factors, blocks, start, stop):
    for block in range(start, stop):
        first = block * _COLUMNS
        last = min(first + _COLUMNS, table.shape[1])
        for i in range(source.size):
            line, row = out[target[i], first:last], table[source[i], first:last]
            if factors.size:
                _add_times(line, row, factors[i])
            else:
                _add(line, row)


def _units(target: Any) -> tuple[int, int]:
    blocks = -(-target.shape[2] // _COLUMNS)
    return blocks, target.shape[0] * blocks


def in_range(index: Any, low: int, high: int) -> bool:
    """Whether every element of an int64 vector is in range(low, high)."""
    return not index.size or _in_range(index, low, high)


def add_slices(target: Any, index: Any, values: Any, skip: int = -(2**62)) -> None:
    """``target[:, index[i]] += values[:, i]``: (A, K, B), (N,) int64, (A, N, B).

    Negative ones count from the end, all are in range; ``skip`` is one that adds nothing.
    """
    blocks, count = _units(target)
    in_parts(_add_slices, count, values.size, target, index, values, skip, blocks)


def add_along(target: Any, index: Any, values: Any) -> None:
    """``target[a, index[a, i, j], j] += values[a, i, j]``, with an index in range."""
    if target.shape[2] == 1:
        in_parts(_add_along_rows, len(target), values.size, *_rows(target, index, values))
        return
    blocks, count = _units(target)
    in_parts(_add_along, count, values.size, target, index, values, blocks)


def put_along(target: Any, index: Any, values: Any) -> None:
    """``target[a, index[a, i, j], j] = values[a, i, j]``, the last one wins; index in range."""
    if target.shape[2] == 1:
        in_parts(_put_along_rows, len(target), values.size, *_rows(target, index, values))
        return
    blocks, count = _units(target)
    in_parts(_put_along, count, values.size, target, index, values, blocks)


def pick_along(source: Any, index: Any) -> Any:
    """``source[a, index[a, i, j], j]``, with an index in range."""
    out = np.empty(index.shape, source.dtype)
    if source.shape[2] == 1:
        in_parts(_pick_along_rows, len(source), out.size, *_rows(source, index, out))
        return out
    blocks, count = _units(source)
    in_parts(_pick_along, count, out.size, source, index, out, blocks)
    return out


def add_flat(target: Any, index: Any, values: Any) -> None:
    """``target[index[i]] += values[i]`` of vectors, with an index in range."""
    _add_flat(target, index, values)


def gathered_sums(table: Any, source: Any, target: Any, factors: Any, count: int) -> Any:
    """``out[target[i]] += factors[i] * table[source[i]]`` for ``count`` rows; factors may be None.

    Indices are in range.
    """
    out = np.zeros((count, table.shape[1]), table.dtype)
    given = np.zeros(0, table.dtype) if factors is None else factors
    blocks = -(-table.shape[1] // _COLUMNS)
    in_parts(_gathered_sums, blocks, source.size * table.shape[1], out, table, source, target,
             given, blocks)  # fmt: skip
    return out
