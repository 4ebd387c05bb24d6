"""Standardisation of groups that lie apart: arrays seen as (A, B, C), each of B groups A by C.

Sums along C are taken in lanes of float32, those of the A lines in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["backward", "standardize"]

_f = np.float32
_NONE = np.zeros(0, np.float32)


@njit(**SUMS)
def _sum(x, a, b):
    total = _f(0)
    for c in range(x.shape[2]):
        total += x[a, b, c]
    return total


@njit(**SUMS)
def _sum_of_squares(x, a, b, mean):
    total = _f(0)
    for c in range(x.shape[2]):
        d = x[a, b, c] - mean
        total += d * d
    return total


@njit(**SUMS)
def _sum_of_products(g, x, a, b, mean):
    total = _f(0)
    for c in range(x.shape[2]):
        total += g[a, b, c] * (x[a, b, c] - mean)
    return total


@njit(**FAST)
def _moments(x, b, center):
    """Mean (0 unless ``center``) and mean square of what is centred, of group b."""
    size = x.shape[0] * x.shape[2]
    total = 0.0
    if center:
        for a in range(x.shape[0]):
            total += _sum(x, a, b)
    mean = _f(total / size)
    square = 0.0
    for a in range(x.shape[0]):
        square += _sum_of_squares(x, a, b, mean)
    return mean, _f(square / size)


@njit(**FAST)
def _standardize(x, scales, shifts, eps, center, out, means, squares, start, stop):
    for b in range(start, stop):
        mean, square = _moments(x, b, center)
        means[b], squares[b] = mean, square
        r = _f(1) / np.sqrt(square + eps)
        if scales.size:
            r *= scales[b]
        shift = shifts[b] if shifts.size else _f(0)
        for a in range(x.shape[0]):
            for c in range(x.shape[2]):
                out[a, b, c] = (x[a, b, c] - mean) * r + shift


@njit(**FAST)
def _backward(x, g, scales, eps, center, out, weights, biases, start, stop):
    size = x.shape[0] * x.shape[2]
    for b in range(start, stop):
        mean, square = _moments(x, b, center)
        r = _f(1) / np.sqrt(square + eps)
        plain, along = 0.0, 0.0
        for a in range(x.shape[0]):
            plain += _sum(g, a, b)
            along += _sum_of_products(g, x, a, b, mean)
        biases[b] = plain
        weights[b] = along * r
        lost = _f(plain / size) if center else _f(0)
        slope = _f(along / size) * r * r
        factor = r * scales[b] if scales.size else r
        for a in range(x.shape[0]):
            for c in range(x.shape[2]):
                out[a, b, c] = factor * (g[a, b, c] - lost - (x[a, b, c] - mean) * slope)


def standardize(
    x: Any, scales: Any, shifts: Any, eps: float, center: bool
) -> tuple[Any, Any, Any]:  # fmt: skip
    """(x - mean) / sqrt(var + eps) * scale + shift of each group, the means and the variances.

    ``x`` is (A, B, C); ``scales`` and ``shifts`` are (B,) or None.
    """
    out = np.empty_like(x)
    means, squares = np.empty((2, x.shape[1]), np.float32)
    given = [_NONE if p is None else p for p in (scales, shifts)]
    in_parts(_standardize, x.shape[1], x.size, x, *given, _f(eps), center, out, means, squares)
    return out, means, squares


def backward(
    x: Any, g: Any, scales: Any, eps: float, center: bool
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The gradients of `standardize` with respect to x, the scales and the shifts."""
    out = np.empty_like(x)
    weights, biases = np.empty((2, x.shape[1]), np.float32)
    given = _NONE if scales is None else scales
    in_parts(_backward, x.shape[1], x.size, x, g, given, _f(eps), center, out, weights, biases)
    return out, weights, biases
