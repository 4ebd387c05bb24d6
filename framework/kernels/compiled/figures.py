"""What is known of an array's elements, in one walk over its memory: see `trace.figures`.

A block of 4,096 elements stays in the first cache while five short loops go over it, each of which
is vectorised, as one loop for all would not be. Sums are taken in lanes of the array's own type
within a block, and in float64 beyond.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["LOOKS", "measure"]

_BLOCK = 4096
LOOKS = ("nan", "inf", "low", "high", "total", "squares", "spread", "zeros")
_SQUARES, _RANGE, _TOTAL, _SPREAD, _ZEROS = 1, 2, 4, 8, 16


@njit(**SUMS)
def _squares(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * x[i]
    return total


@njit(**SUMS)
def _total(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


@njit(**SUMS)
def _apart(x, mean):
    total = x.dtype.type(0)
    for i in range(x.size):
        d = x[i] - mean
        total += d * d
    return total


@njit(**FAST)
def _zeros(x):
    count = np.int32(0)
    for i in range(x.size):
        count += np.int32(x[i] == 0)
    return count


@njit(**FAST)
def _extremes(bits, mask, shift, low, high):
    """Of floats without NaN by their bits, as integers whose order is that of the floats."""
    for i in range(bits.size):
        order = bits[i] ^ ((bits[i] >> shift) & mask)
        low, high = min(low, order), max(high, order)
    return low, high


@njit(**FAST)
def _among_others(x, out):
    """Count NaN and Inf and keep the extremes of what is no NaN; the squares in float64."""
    squares = 0.0
    for i in range(x.size):
        v = x[i]
        if v != v:
            out[0] += 1
        elif v - v != 0:
            out[1] += 1
        out[2] = v if v < out[2] else out[2]
        out[3] = v if v > out[3] else out[3]
        squares += np.float64(v) * np.float64(v)
    return squares


@njit(**FAST)
def _measure(x, bits, mask, shift, needs, out, ends):
    low, high = mask, ~mask
    for start in range(0, x.size, _BLOCK):
        stop = min(start + _BLOCK, x.size)
        part, size = x[start:stop], stop - start
        squares = np.float64(_squares(part))
        if squares < np.inf:
            if needs & _RANGE:
                low, high = _extremes(bits[start:stop], mask, shift, low, high)
        else:
            squares = _among_others(part, out)
        out[5] += squares
        if needs & (_TOTAL | _SPREAD):
            total = np.float64(_total(part))
            if needs & _SPREAD:
                # Where nothing that matters cancels out, from the squares; blocks are put together
                # by Chan's update, which is stable for a large mean with a small spread.
                own = total * total / size
                if own < 0.5 * squares and squares < np.inf:
                    out[6] += squares - own
                else:
                    out[6] += np.float64(_apart(part, x.dtype.type(total / size)))
                if start:
                    apart = total / size - out[4] / start
                    out[6] += apart * apart * start * size / (start + size)
            out[4] += total
        if needs & _ZEROS:
            out[7] += _zeros(part)
    ends[0] = low ^ ((low >> shift) & mask)
    ends[1] = high ^ ((high >> shift) & mask)
    return low <= high


_INTEGERS = {  # of the same size: the type, its largest, and the place of its sign
    4: (np.int32, np.int32(2**31 - 1), np.int32(31)),
    8: (np.int64, np.int64(2**63 - 1), np.int64(63)),
}
_EMPTY = np.array([0, 0, np.inf, -np.inf, 0, 0, 0, 0])


def measure(x: Any, extremes: bool, total: bool, spread: bool, zeros: bool) -> list[float]:
    """The figures `LOOKS` of a vector, float32 or float64; those not asked for are 0, or none.

    In the thread that calls, without the interpreter's lock.
    """
    kind, mask, shift = _INTEGERS[x.itemsize]
    out, ends = _EMPTY.copy(), np.empty(2, x.dtype)
    needs = _SQUARES | _RANGE * extremes | _TOTAL * total | _SPREAD * spread | _ZEROS * zeros
    some = _measure(x, x.view(kind), mask, shift, needs, out, ends.view(kind))
    found: list[float] = out.tolist()
    if some and extremes:  # of what is finite
        least, most = ends.tolist()
        found[2], found[3] = min(found[2], least), max(found[3], most)
    return found
