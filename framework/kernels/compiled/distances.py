"""Distances of all pairs of rows and their gradients, without the differences as an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["between_rows", "between_rows_backward"]


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


@njit(**FAST)
def _signs(x, y, g, out, start, stop):
    """The slopes of a row of x, where the difference to each row of y has a sign."""
    for unit in range(start, stop):
        batch, i = unit // x.shape[1], unit % x.shape[1]
        a, others, slopes, found = x[batch, i], y[batch], g[batch, i], out[unit]
        found[:] = 0
        for j in range(others.shape[0]):
            b, up = others[j], slopes[j]
            down, none = -up, up - up  # NaN has no sign, but an infinite slope times zero is NaN
            for k in range(a.size):
                d = a[k] - b[k]
                found[k] += up if d > 0 else (down if d < 0 else none)


def between_rows_backward(g: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Gradients of x and y of `between_rows` with p = 1, from g (B, N, M)."""
    found = []
    for a, b, slopes in ((x, y, g), (y, x, np.ascontiguousarray(g.swapaxes(1, 2)))):
        out = np.empty(a.shape, a.dtype)
        in_parts(_signs, a.shape[0] * a.shape[1], slopes.size * a.shape[2], a, b, slopes,
                 out.reshape(-1, a.shape[2]))  # fmt: skip
        found.append(out)
    return found[0], found[1]
