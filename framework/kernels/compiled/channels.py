"""Standardisation of groups that lie apart: arrays seen as (A, B, C), each of B groups A by C.

Sums along C are taken in lanes of their type, those of the A lines in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["affine", "backward", "line_gradient", "line_sums", "moments", "standardize"]

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
    mean = x.dtype.type(total / size)
    square = 0.0
    for a in range(x.shape[0]):
        square += _sum_of_squares(x, a, b, mean)
    return mean, x.dtype.type(square / size)


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
        lost = x.dtype.type(plain / size if center else 0.0)
        slope = x.dtype.type(along / size) * r * r
        factor = r * scales[b] if scales.size else r
        for a in range(x.shape[0]):
            for c in range(x.shape[2]):
                out[a, b, c] = factor * (g[a, b, c] - lost - (x[a, b, c] - mean) * slope)


@njit(**FAST)
def _affine(x, means, scales, shifts, out, start, stop):
    for line in range(start, stop):
        a, b = line // x.shape[1], line % x.shape[1]
        mean, r, shift = means[b], scales[b], shifts[b]
        for c in range(x.shape[2]):
            out[a, b, c] = (x[a, b, c] - mean) * r + shift


def affine(x: Any, mean: Any, r: Any, shifts: Any) -> Any:
    """(x - mean) r + shift of each group; ``shifts`` may be None."""
    out = np.empty_like(x)
    shifts = np.zeros_like(mean) if shifts is None else shifts
    in_parts(_affine, x.shape[0] * x.shape[1], x.size, x, mean, r, shifts, out)
    return out


def standardize(
    x: Any, scales: Any, shifts: Any, eps: float, center: bool
) -> tuple[Any, Any, Any]:  # fmt: skip
    """(x - mean) / sqrt(var + eps) * scale + shift of each group, the means and the variances.

    ``x`` is (A, B, C); ``scales`` and ``shifts`` are (B,) or None.
    """
    out = np.empty_like(x)
    means, squares = np.empty((2, x.shape[1]), x.dtype)
    given = [_NONE.astype(x.dtype) if p is None else p for p in (scales, shifts)]
    eps = x.dtype.type(eps)
    in_parts(_standardize, x.shape[1], x.size, x, *given, eps, center, out, means, squares)
    return out, means, squares


def backward(
    x: Any, g: Any, scales: Any, eps: float, center: bool
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The gradients of `standardize` with respect to x, the scales and the shifts."""
    out = np.empty_like(x)
    weights, biases = np.empty((2, x.shape[1]), x.dtype)
    given = _NONE.astype(x.dtype) if scales is None else scales
    eps = x.dtype.type(eps)
    in_parts(_backward, x.shape[1], x.size, x, g, given, eps, center, out, weights, biases)
    return out, weights, biases


# -- groups of lines: of each sample's channels, with a weight for each line --------------------


@njit(**FAST)
def _all_moments(x, means, squares, start, stop):
    for b in range(start, stop):
        means[b], squares[b] = _moments(x, b, True)


def moments(x: Any) -> tuple[Any, Any]:
    """The means and mean squares of what is centred (B,), of each group of (A, B, C)."""
    means, squares = np.empty((2, x.shape[1]), x.dtype)
    in_parts(_all_moments, x.shape[1], x.size, x, means, squares)
    return means, squares


@njit(**FAST)
def _line_sums(x, g, means, plain, along, start, stop):
    for b in range(start, stop):
        plain[b] = _sum(g, 0, b)
        along[b] = _sum_of_products(g, x, 0, b, means[b])


def line_sums(x: Any, g: Any, means: Any) -> tuple[Any, Any]:
    """Sums of g and of g (x - mean) of each line of (1, B, C), in float64."""
    plain, along = np.empty((2, x.shape[1]), np.float64)
    in_parts(_line_sums, x.shape[1], x.size, x, g, means, plain, along)
    return plain, along


@njit(**FAST)
def _line_gradient(x, g, means, factors, lost, slopes, out, start, stop):
    for b in range(start, stop):
        mean, factor, less, slope = means[b], factors[b], lost[b], slopes[b]
        for c in range(x.shape[2]):
            out[0, b, c] = g[0, b, c] * factor - less - (x[0, b, c] - mean) * slope


def line_gradient(x: Any, g: Any, means: Any, factors: Any, lost: Any, slopes: Any) -> Any:
    """g factor - lost - (x - mean) slope, with numbers for each line of (1, B, C)."""
    out = np.empty_like(x)
    in_parts(_line_gradient, x.shape[1], x.size, x, g, means, factors, lost, slopes, out)
    return out
