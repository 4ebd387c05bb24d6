"""Rows, each of which stays in the cache: softmax, and standardisation over the last dimension."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS, exp, highest, lowest, value

__all__ = [
    "backward", "cross_entropy", "cross_entropy_backward", "log_softmax", "log_softmax_backward",
    "norm", "softmax", "softmax_backward",
]  # fmt: skip

_f = np.float32


def _lines(*arrays: Any) -> tuple[Any, ...]:
    return tuple([a.reshape(-1, a.shape[-1]) for a in arrays])


# -- softmax ------------------------------------------------------------------------------------


@njit(**FAST)
def _peak(x, i):
    top = lowest
    for j in range(x.shape[1]):
        top = highest(top, x[i, j])
    return value(top)


@njit(**SUMS)
def _softmax(x, out, start, stop):
    width = x.shape[1]
    for i in range(start, stop):
        top = _peak(x, i)
        total = _f(0)
        for j in range(width):
            e = exp(x[i, j] - top)
            out[i, j] = e
            total += e
        share = _f(1) / total
        for j in range(width):
            out[i, j] *= share


@njit(**SUMS)
def _log_of_sum(x, i, top):
    total = _f(0)
    for j in range(x.shape[1]):
        total += exp(x[i, j] - top)
    return np.log(total)


@njit(**SUMS)
def _log_softmax(x, out, start, stop):
    width = x.shape[1]
    for i in range(start, stop):
        top = _peak(x, i)
        log = _log_of_sum(x, i, top)
        for j in range(width):
            out[i, j] = (x[i, j] - top) - log


@njit(**SUMS)
def _softmax_backward(g, y, out, start, stop):
    width = y.shape[1]
    for i in range(start, stop):
        total = _f(0)
        for j in range(width):
            total += g[i, j] * y[i, j]
        for j in range(width):
            out[i, j] = y[i, j] * (g[i, j] - total)


@njit(**SUMS)
def _log_softmax_backward(g, y, out, start, stop):
    width = y.shape[1]
    for i in range(start, stop):
        total = _f(0)
        for j in range(width):
            total += g[i, j]
        for j in range(width):
            out[i, j] = g[i, j] - exp(y[i, j]) * total


@njit(**SUMS)
def _cross_entropy(x, targets, weights, losses, tops, logs, start, stop):
    for i in range(start, stop):
        top = _peak(x, i)
        log = _log_of_sum(x, i, top)
        tops[i], logs[i] = top, log
        w = weights[i]
        losses[i] = -((x[i, targets[i]] - top) - log) * w if w != _f(0) else _f(0)


@njit(**FAST)
def _cross_entropy_backward(x, targets, slopes, tops, logs, out, start, stop):
    width = x.shape[1]
    for i in range(start, stop):
        top, log, slope = tops[i], logs[i], slopes[i]
        for j in range(width):
            out[i, j] = exp((x[i, j] - top) - log) * slope
        out[i, targets[i]] -= slope


def _per_row(kernel: Any, *arrays: Any) -> Any:
    out = np.empty(arrays[-1].shape, np.float32)
    lines = _lines(*arrays, out)
    in_parts(kernel, len(lines[0]), out.size, *lines)
    return out


def softmax(a: Any) -> Any:
    """Over the last dimension."""
    return _per_row(_softmax, a)


def log_softmax(a: Any) -> Any:
    """Over the last dimension."""
    return _per_row(_log_softmax, a)


def softmax_backward(g: Any, y: Any) -> Any:
    """y (g - sum(g y)), from the result y."""
    return _per_row(_softmax_backward, g, y)


def log_softmax_backward(g: Any, y: Any) -> Any:
    """g - e^y sum(g), from the result y."""
    return _per_row(_log_softmax_backward, g, y)


def cross_entropy(x: Any, targets: Any, weights: Any) -> tuple[Any, Any, Any]:
    """-log_softmax(x)[target] * weight of each row, and the largest score and log of the sum.

    A weight of zero counts nothing, not even NaN. Targets are in range.
    """
    losses, tops, logs = np.empty((3, len(x)), np.float32)
    in_parts(_cross_entropy, len(x), x.size, x, targets, weights, losses, tops, logs)
    return losses, tops, logs


def cross_entropy_backward(x: Any, targets: Any, slopes: Any, tops: Any, logs: Any) -> Any:
    """(softmax(x) - 1 at the target) * slope of each row."""
    out = np.empty_like(x)
    in_parts(_cross_entropy_backward, len(x), x.size, x, targets, slopes, tops, logs, out)
    return out


# -- standardisation, of float32 or float64 -----------------------------------------------------


@njit(**SUMS)
def _moments(x, i, center, eps):
    """Mean (0 unless ``center``) and 1 / deviation of row i."""
    width = x.shape[1]
    mean = _f(0)
    if center:
        for j in range(width):
            mean += x[i, j]
        mean /= _f(width)
    square = _f(0)
    for j in range(width):
        d = x[i, j] - mean
        square += d * d
    return mean, _f(1) / np.sqrt(square / _f(width) + eps)


@njit(**FAST)
def _norm(x, w, b, scaled, shifted, center, eps, out, start, stop):
    width = x.shape[1]
    for i in range(start, stop):
        mean, r = _moments(x, i, center, eps)
        for j in range(width):
            out[i, j] = (x[i, j] - mean) * r
        if scaled:
            for j in range(width):
                out[i, j] *= w[j]
        if shifted:
            for j in range(width):
                out[i, j] += b[j]


@njit(**SUMS)
def _means(x, g, w, i, mean, r, scaled, center):
    """The means of g w and of g w x̂ of row i; the first is 0 unless ``center``."""
    width = x.shape[1]
    plain = _f(0)
    along = _f(0)
    if scaled:
        for j in range(width):
            v = g[i, j] * w[j]
            plain += v
            along += v * (x[i, j] - mean)
    else:
        for j in range(width):
            plain += g[i, j]
            along += g[i, j] * (x[i, j] - mean)
    if not center:
        plain = _f(0)
    return plain / _f(width), along * r / _f(width)


@njit(**FAST)
def _backward(x, g, w, scaled, center, eps, out, weights, biases, block, start, stop):
    width = x.shape[1]
    for part in range(start, stop):
        for i in range(part * block, min((part + 1) * block, x.shape[0])):
            mean, r = _moments(x, i, center, eps)
            plain, along = _means(x, g, w, i, mean, r, scaled, center)
            for j in range(width):
                normal = (x[i, j] - mean) * r
                v = g[i, j] * w[j] if scaled else g[i, j]
                out[i, j] = r * (v - plain - normal * along)
                weights[part, j] += g[i, j] * normal
                biases[part, j] += g[i, j]


def norm(a: Any, w: Any, b: Any, eps: float, center: bool) -> Any:
    """(x - mean) / sqrt(var + eps) * w + b of each row; without ``center`` there is no mean."""
    out, eps = np.empty(a.shape, a.dtype), a.dtype.type(eps)
    x, y = _lines(a, out)
    given = [np.zeros(0, a.dtype) if p is None else p for p in (w, b)]
    in_parts(_norm, len(x), a.size, x, *given, w is not None, b is not None, center, eps, y)
    return out


def backward(a: Any, g: Any, w: Any, eps: float, center: bool) -> tuple[Any, Any, Any]:
    """The gradients of `norm` with respect to its input, its weight and its bias.

    The last two are summed up over blocks of rows, whose number does not depend on the threads.
    """
    out = np.empty(a.shape, a.dtype)
    x, grad, y = _lines(a, g, out)
    block = max(16, -(-len(x) // 16))
    count = -(-len(x) // block)
    weights, biases = np.zeros((2, count, x.shape[1]), a.dtype)
    scale = np.zeros(0, a.dtype) if w is None else w
    in_parts(_backward, count, a.size, x, grad, scale, w is not None, center, a.dtype.type(eps),
             y, weights, biases, block)  # fmt: skip
    return out, weights.sum(axis=0), biases.sum(axis=0)
