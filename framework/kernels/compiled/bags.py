"""Sums of bags of rows of a table: bag b has rows ``source[starts[b]:starts[b + 1]]``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["sums"]

_u = np.uintp


@njit(**FAST)
def _sums(table, source, starts, factors, width, out, start, stop):
    """table and out are vectors of rows of ``width``; there are factors, or none."""
    one = table.dtype.type(1)
    for bag in range(_u(start), _u(stop)):
        o = bag * width
        for j in range(width):
            out[o + j] = one - one
        i, end = _u(starts[bag]), _u(starts[bag + _u(1)])
        if factors.size:
            for k in range(i, end):
                at, factor = _u(source[k]) * width, factors[k]
                for j in range(width):
                    out[o + j] += factor * table[at + j]
            continue
        while i + _u(3) < end:  # four rows for each look at the sums
            a, b = _u(source[i]) * width, _u(source[i + _u(1)]) * width
            c, d = _u(source[i + _u(2)]) * width, _u(source[i + _u(3)]) * width
            for j in range(width):
                out[o + j] += (table[a + j] + table[b + j]) + (table[c + j] + table[d + j])
            i += _u(4)
        for k in range(i, end):
            at = _u(source[k]) * width
            for j in range(width):
                out[o + j] += table[at + j]


def sums(table: Any, source: Any, starts: Any, factors: Any) -> Any:
    """One row for each bag, always added up in the same order; rows are known to be there."""
    out = np.empty((len(starts) - 1, table.shape[1]), table.dtype)
    given = np.zeros(0, table.dtype) if factors is None else factors
    in_parts(_sums, len(out), source.size * table.shape[1], table.reshape(-1), source, starts,
             given, _u(table.shape[1]), out.reshape(-1))  # fmt: skip
    return out
