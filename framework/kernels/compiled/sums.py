"""Sums of rows, running sums along them, and how far they spread, in float32 and float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["centred", "products", "products_down", "running", "running_products", "spreads", "sums"]

_f = np.float32
_ALONE = 1 << 17  # elements from which on one row is more than one thread's
_USUAL = 1e38  # what is less is a float32
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
def _running(x, out, back, start, stop):
    """Four rows at a time, whose additions do not wait for each other."""
    width = x.shape[1]
    for i in range(start, stop, 4):
        a, b, c, d = i, min(i + 1, stop - 1), min(i + 2, stop - 1), min(i + 3, stop - 1)
        p, q, r, s = 0.0, 0.0, 0.0, 0.0
        for k in range(width):
            j = width - 1 - k if back else k
            p += x[a, j]
            q += x[b, j]
            r += x[c, j]
            s += x[d, j]
            out[a, j] = p
            out[b, j] = q
            out[c, j] = r
            out[d, j] = s


@njit(**FAST)
def _running_products(x, out, start, stop):
    """Four rows at a time, too."""
    for i in range(start, stop, 4):
        a, b, c, d = i, min(i + 1, stop - 1), min(i + 2, stop - 1), min(i + 3, stop - 1)
        p, q, r, s = 1.0, 1.0, 1.0, 1.0
        for j in range(x.shape[1]):
            p *= x[a, j]
            q *= x[b, j]
            r *= x[c, j]
            s *= x[d, j]
            out[a, j] = p
            out[b, j] = q
            out[c, j] = r
            out[d, j] = s


@njit(**FAST)
def _mean(line):
    total = 0.0
    for j in range(0, line.size, _BLOCK):
        total += _block(line, j, min(j + _BLOCK, line.size))
    return line.dtype.type(total / line.size)


@njit(**SUMS)
def _spread_of(line, mean):
    total = _f(0)
    for j in range(line.size):
        d = line[j] - mean
        total += d * d
    return total


@njit(**FAST)
def _spreads(x, out, start, stop):
    for i in range(start, stop):
        mean, total = _mean(x[i]), 0.0
        for j in range(0, x.shape[1], _BLOCK):
            total += _spread_of(x[i, j : min(j + _BLOCK, x.shape[1])], mean)
        out[i] = total


@njit(**FAST)
def _centred(x, factors, out, start, stop):
    for i in range(start, stop):
        mean, factor = _mean(x[i]), factors[i]
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean) * factor


@njit(**SUMS)
def _product_block(x, y):
    total = _f(0)
    for j in range(x.size):
        total += x[j] * y[j]
    return total


@njit(**FAST)
def _products(x, y, out, start, stop):
    for i in range(start, stop):
        total = 0.0
        for j in range(0, x.shape[1], _BLOCK):
            end = min(j + _BLOCK, x.shape[1])
            total += _product_block(x[i, j:end], y[i, j:end])
        out[i] = total


@njit(**FAST)
def _products_down(x, y, block, out, start, stop):
    for part in range(start, stop):
        total = out[part]
        total[:] = 0
        for i in range(part * block, min((part + 1) * block, x.shape[0])):
            a, b = x[i], y[i]
            for j in range(total.size):
                total[j] += a[j] * b[j]


@njit(**FAST)
def _total(line):
    """Of one row in one thread, for which all else would take longer."""
    total = 0.0
    for j in range(0, line.size, _BLOCK):
        total += _block(line, j, min(j + _BLOCK, line.size))
    return total


def _narrow(total: float, dtype: Any) -> Any:
    """One float64 as an array of this type, infinite where that is out of range."""
    if abs(total) < _USUAL:
        return np.array([total], dtype)
    with np.errstate(over="ignore"):
        return np.array([total], dtype)


def sums(x: Any) -> Any:
    """The sums (N,) of the rows of x (N, M); of one long row by blocks, in several threads."""
    if len(x) == 1 and x.size < _ALONE:
        return _narrow(_total(x[0]), x.dtype)
    if len(x) == 1:
        whole = x.size // _BLOCK * _BLOCK
        parts = np.empty(whole // _BLOCK, np.float64)
        in_parts(_sums, len(parts), x.size, x[0, :whole].reshape(-1, _BLOCK), parts)
        return _narrow(parts.sum() + np.add.reduce(x[0, whole:], dtype=np.float64), x.dtype)
    out = np.empty(len(x), x.dtype)
    in_parts(_sums, len(x), x.size, x, out)
    return out


def running(x: Any, back: bool = False) -> Any:
    """Sums (N, M) of each row of x up to each element, or ``back`` from it on, in float64."""
    out = np.empty(x.shape, x.dtype)
    in_parts(_running, len(x), x.size, x, out, back)
    return out


def running_products(x: Any) -> Any:
    """Products (N, M) of each row of x up to each element, in float64."""
    out = np.empty(x.shape, x.dtype)
    in_parts(_running_products, len(x), x.size, x, out)
    return out


def spreads(x: Any) -> Any:
    """The sums (N,) of the squares of what each row of x differs by from its mean."""
    out = np.empty(len(x), x.dtype)
    in_parts(_spreads, len(x), x.size, x, out)
    return out


def centred(x: Any, factors: Any) -> Any:
    """(x - mean) factor for each row of x (N, M), with its own factor (N,)."""
    out = np.empty(x.shape, x.dtype)
    in_parts(_centred, len(x), x.size, x, factors, out)
    return out


def products(x: Any, y: Any) -> Any:
    """The sums (N,) of x y along the rows of two arrays (N, M); of one long row by blocks."""
    if len(x) == 1 and x.size > _BLOCK:
        whole = x.size // _BLOCK * _BLOCK
        lines = [a[0, :whole].reshape(-1, _BLOCK) for a in (x, y)]
        parts = np.empty(whole // _BLOCK, np.float64)
        in_parts(_products, len(parts), x.size, *lines, parts)
        rest = np.empty(1, np.float64)
        _products(x[:, whole:], y[:, whole:], rest, 0, 1)
        return _narrow(parts.sum() + rest[0], x.dtype)
    out = np.empty(len(x), x.dtype)
    in_parts(_products, len(x), x.size, x, y, out)
    return out


def products_down(x: Any, y: Any) -> Any:
    """The sums (M,) of x y down the columns, by blocks whose number does not depend on threads."""
    block = max(16, -(-len(x) // 16))
    parts = np.empty((-(-len(x) // block), x.shape[1]), x.dtype)
    in_parts(_products_down, len(parts), x.size, x, y, block, parts)
    return parts.sum(axis=0)
