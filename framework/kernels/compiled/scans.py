"""Running sums and products down the lines of planes, running extremes, and products of rows.

Arrays are (A, K, B): A planes of K lines of B elements, and what runs, runs along K. (Along lines,
where B is 1, `sums` has the kernels for sums and products.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["running_down", "running_extremes", "row_products"]

_STRIP = 256  # elements of a line whose sums stay in the first cache
_BLOCK = 4096  # elements that are multiplied in lanes of their type


@njit(**FAST)
def _running_down(x, out, strips, back, product, start, stop):
    """In float64, as PyTorch does."""
    total = np.empty(_STRIP, np.float64)
    lines = x.shape[1]
    for unit in range(start, stop):
        a, left = unit // strips, unit % strips * _STRIP
        right = min(left + _STRIP, x.shape[2])
        total[:] = 1.0 if product else 0.0
        for k in range(lines):
            line = lines - 1 - k if back else k
            source, target = x[a, line, left:right], out[a, line, left:right]
            if product:
                for j in range(source.size):
                    total[j] *= source[j]
                    target[j] = total[j]
            else:
                for j in range(source.size):
                    total[j] += source[j]
                    target[j] = total[j]


@njit(**FAST)
def _running_maxima(x, values, places, start, stop):
    """The last of equal ones; a NaN, once there was one, and where the last one was."""
    for a in range(start, stop):
        for b in range(x.shape[2]):
            best, place = x[a, 0, b], 0
            for k in range(x.shape[1]):
                v = x[a, k, b]
                if not v < best and (best == best or v != v):  # seldom: a jump, not a selection
                    best, place = v, k
                values[a, k, b] = best
                places[a, k, b] = place


@njit(**FAST)
def _running_minima(x, values, places, start, stop):
    for a in range(start, stop):
        for b in range(x.shape[2]):
            best, place = x[a, 0, b], 0
            for k in range(x.shape[1]):
                v = x[a, k, b]
                if not v > best and (best == best or v != v):
                    best, place = v, k
                values[a, k, b] = best
                places[a, k, b] = place


@njit(**SUMS)
def _product(line, start, stop):
    part = line[start:stop]
    total = part.dtype.type(1)
    for i in range(part.size):
        total *= part[i]
    return total


@njit(**FAST)
def _row_products(x, out, start, stop):
    for i in range(start, stop):
        total = x.dtype.type(1)
        for j in range(0, x.shape[1], _BLOCK):
            total *= _product(x[i], j, min(j + _BLOCK, x.shape[1]))
        out[i] = total


def running_down(x: Any, back: bool = False, product: bool = False) -> Any:
    """Sums (or products) up to each element, or ``back`` from it on."""
    out = np.empty(x.shape, x.dtype)
    strips = -(-x.shape[2] // _STRIP)
    in_parts(_running_down, x.shape[0] * strips, x.size, x, out, strips, back, product)
    return out


def running_extremes(x: Any, least: bool) -> tuple[Any, Any]:
    """The largest (or ``least``) element so far, and its place."""
    values, places = np.empty(x.shape, x.dtype), np.empty(x.shape, np.int64)
    kernel = _running_minima if least else _running_maxima
    in_parts(kernel, len(x), x.size, x, values, places)
    return values, places


def row_products(x: Any) -> Any:
    """The products (N,) of the rows of x (N, M)."""
    out = np.empty(len(x), x.dtype)
    in_parts(_row_products, len(x), x.size, x, out)
    return out
