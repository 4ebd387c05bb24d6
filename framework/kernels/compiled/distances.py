"""Distances of all pairs of rows, without the differences as an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import SUMS

__all__ = ["between_rows"]


@njit(**SUMS)
def _sums(x, y, squared, out, start, stop):
    """A row of the result at a time; rows of y follow each other in the cache."""
    for unit in range(start, stop):
        batch = unit // x.shape[1]
        a, others, found = x[batch, unit % x.shape[1]], y[batch], out[unit]
        for j in range(others.shape[0]):
            b = others[j]
            total = out.dtype.type(0)
            if squared:
                for k in range(a.size):
                    total += (a[k] - b[k]) * (a[k] - b[k])
                total = np.sqrt(total)
            else:
                for k in range(a.size):
                    total += abs(a[k] - b[k])
            found[j] = total


def between_rows(x: Any, y: Any, p: float) -> Any:
    """The distances (B, N, M) of rows of x (B, N, D) and of y (B, M, D), for p = 1 or 2."""
    out = np.empty((*x.shape[:2], y.shape[1]), x.dtype)
    in_parts(_sums, x.shape[0] * x.shape[1], out.size * x.shape[2], x, y, p == 2,
             out.reshape(-1, y.shape[1]))  # fmt: skip
    return out
