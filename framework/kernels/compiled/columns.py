"""Standardisation of the columns of a matrix: what `channels` does, where its lines are short.

Arrays are (A, B, C), each of B groups A by C, with few C; they are seen as matrices of A rows and
B C columns, whose sums are taken down all columns of a strip at once, in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["affine", "backward", "standardize"]

_STRIP = 256  # columns: what is read of a row at a time, and their sums stay in the first cache


@njit(**FAST)
def _sums(x, out, start, stop):
    for strip in range(start, stop):
        left, right = strip * _STRIP, min((strip + 1) * _STRIP, x.shape[1])
        total = out[left:right]
        total[:] = 0.0
        for a in range(x.shape[0]):
            line = x[a, left:right]
            for j in range(total.size):
                total[j] += line[j]


@njit(**FAST)
def _products(x, y, mean, out, start, stop):
    """Sums of (x - mean) y."""
    for strip in range(start, stop):
        left, right = strip * _STRIP, min((strip + 1) * _STRIP, x.shape[1])
        total, middle = out[left:right], mean[left:right]
        total[:] = 0.0
        for a in range(x.shape[0]):
            line, other = x[a, left:right], y[a, left:right]
            for j in range(total.size):
                total[j] += (line[j] - middle[j]) * other[j]


@njit(**FAST)
def _squares(x, mean, out, start, stop):
    for strip in range(start, stop):
        left, right = strip * _STRIP, min((strip + 1) * _STRIP, x.shape[1])
        total, middle = out[left:right], mean[left:right]
        total[:] = 0.0
        for a in range(x.shape[0]):
            line = x[a, left:right]
            for j in range(total.size):
                d = line[j] - middle[j]
                total[j] += d * d


@njit(**FAST)
def _affine(x, mean, r, shift, out, start, stop):
    for a in range(start, stop):
        line, y = x[a], out[a]
        for j in range(line.size):
            y[j] = (line[j] - mean[j]) * r[j] + shift[j]


@njit(**FAST)
def _gradient(x, g, mean, factor, lost, slope, out, start, stop):
    for a in range(start, stop):
        line, other, y = x[a], g[a], out[a]
        for j in range(line.size):
            y[j] = factor[j] * (other[j] - lost[j] - (line[j] - mean[j]) * slope[j])


class _Columns:
    """The moments of an array (A, B, C), and numbers of its groups for each column."""

    def __init__(self, x: Any, eps: float, center: bool) -> None:
        self.x, (self.rows, self.groups, self.each) = x.reshape(len(x), -1), x.shape
        self.kind, self.size = x.dtype.type, self.rows * self.each
        self.mean = np.zeros(self.groups, x.dtype)
        if center:
            self.mean = (self.summed(_sums, self.x) / self.size).astype(x.dtype)
        square = self.summed(_squares, self.x, self.spread(self.mean)) / self.size
        self.square = square.astype(x.dtype)
        self.r = self.kind(1) / np.sqrt(self.square + self.kind(eps))

    def summed(self, kernel: Any, x: Any, *others: Any) -> Any:
        """Sums (B,) of what a kernel adds up down the columns of ``x``."""
        out = np.empty(x.shape[1], np.float64)
        in_parts(kernel, -(-out.size // _STRIP), x.size, x, *others, out)
        return out.reshape(self.groups, self.each).sum(axis=1)

    def spread(self, p: Any) -> Any:
        return np.repeat(p, self.each) if self.each > 1 else np.ascontiguousarray(p)


def standardize(
    x: Any, scales: Any, shifts: Any, eps: float, center: bool
) -> tuple[Any, Any, Any]:  # fmt: skip
    """As `channels.standardize`."""
    columns = _Columns(x, eps, center)
    r = columns.r if scales is None else columns.r * scales
    return affine(x, columns.mean, r, shifts), columns.mean, columns.square


def affine(x: Any, mean: Any, r: Any, shifts: Any) -> Any:
    """(x - mean) r + shift of each group; ``shifts`` may be None."""
    out, each = np.empty_like(x), x.shape[2]
    shifts = np.zeros_like(mean) if shifts is None else shifts
    numbers = [np.repeat(p, each) for p in (mean, r, shifts)]
    in_parts(_affine, len(x), x.size, x.reshape(len(x), -1), *numbers, out.reshape(len(x), -1))
    return out


def backward(
    x: Any, g: Any, scales: Any, eps: float, center: bool
) -> tuple[Any, Any, Any]:  # fmt: skip
    """As `channels.backward`."""
    columns, g_rows = _Columns(x, eps, center), g.reshape(len(x), -1)
    mean, r = columns.spread(columns.mean), columns.r
    along = columns.summed(_products, columns.x, g_rows, mean)
    plain = columns.summed(_sums, g_rows)
    kind = columns.kind
    lost = (plain / columns.size if center else np.zeros_like(plain)).astype(x.dtype)
    slope = (along / columns.size).astype(x.dtype) * r * r
    factor = r if scales is None else r * scales
    out = np.empty_like(x)
    numbers = [mean, *[columns.spread(p) for p in (factor, lost, slope)]]
    in_parts(_gradient, len(x), x.size, columns.x, g_rows, *numbers, out.reshape(len(x), -1))
    return out, (along * r).astype(kind), plain.astype(kind)
