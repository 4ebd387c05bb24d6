"""The few largest or smallest numbers of each row, in their order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, bits

__all__ = ["MOST", "firsts"]

MOST = 64  # how many of a row: they are kept sorted, and each that comes in moves others
_f, _i = np.float32, np.int32
_MASK, _31, _TOP = _i(0x7FFFFFFF), _i(31), _i(2**31 - 1)


@njit(**FAST, forceinline=True)
def _key(x, flip):
    """An integer whose order is that of the floats, NaN last; ``flip`` is -1 for the other way."""
    b = bits(x + _f(0))  # both zeros are one
    key = b ^ ((b >> _31) & _MASK)
    return (_TOP if x != x else key) ^ flip


@njit(**FAST)
def _firsts(x, flip, values, places, start, stop):
    count = values.shape[1]
    keys = np.empty(count, np.int32)
    for n in range(start, stop):
        row, value, place = x[n], values[n], places[n]
        have = 0
        for j in range(row.size):
            key = _key(row[j], flip)
            if have == count:
                if key <= keys[count - 1]:  # of equal ones the first stays
                    continue
                at = count - 1
            else:
                at = have
                have += 1
            while at and keys[at - 1] < key:
                keys[at], value[at], place[at] = keys[at - 1], value[at - 1], place[at - 1]
                at -= 1
            keys[at], value[at], place[at] = key, row[j], j


def firsts(x: Any, count: int, largest: bool) -> tuple[Any, Any]:
    """Values and places (N, count) of float32 x (N, M); NaN is the largest."""
    values, places = np.empty((len(x), count), np.float32), np.empty((len(x), count), np.int64)
    in_parts(_firsts, len(x), x.size, x, _i(0 if largest else -1), values, places)
    return values, places
