"""Sums of rows, and running sums along them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["running", "sums"]

_f = np.float32
_BLOCK = 4096  # elements that are added up in lanes of float32; the blocks' sums in float64


@njit(**SUMS)
def _block(line, start, stop):
    part = line[start:stop]
    total = _f(0)
    for i in range(part.size):
        total += part[i]
    return total


@njit(**FAST)
def _sums(x, out, start, stop):
    for i in range(start, stop):
        total = 0.0
        for j in range(0, x.shape[1], _BLOCK):
            total += _block(x[i], j, min(j + _BLOCK, x.shape[1]))
        out[i] = total


@njit(**FAST)
def _running(x, out, start, stop):
    for i in range(start, stop):
        total = 0.0
        for j in range(x.shape[1]):
            total += x[i, j]
            out[i, j] = total


def sums(x: Any) -> Any:
    """The sums (N,) of the rows of x (N, M); of one long row by blocks, in several threads."""
    if len(x) == 1 and x.size > _BLOCK:
        whole = x.size // _BLOCK * _BLOCK
        parts = np.empty(whole // _BLOCK, np.float64)
        in_parts(_sums, len(parts), x.size, x[0, :whole].reshape(-1, _BLOCK), parts)
        return np.array([parts.sum() + x[0, whole:].sum(dtype=np.float64)], np.float32)
    out = np.empty(len(x), np.float32)
    in_parts(_sums, len(x), x.size, x, out)
    return out


def running(x: Any) -> Any:
    """Sums (N, M) of each row of x up to each element, added up in float64."""
    out = np.empty(x.shape, np.float32)
    in_parts(_running, len(x), x.size, x, out)
    return out
