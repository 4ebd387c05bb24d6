"""Softmax and activation functions of float64, in one pass over an array or a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts, normals
from framework.kernels.compiled.elementary import FAST, SUMS
from framework.kernels.compiled.exponential import bits, exp, from_bits

__all__ = [
    "BACKWARD", "FORWARD", "log_softmax", "log_softmax_backward", "softmax", "softmax_backward",
]  # fmt: skip

_i = np.int64


# -- activations: kernel(x, out), or (g, x or y, out) -------------------------------------------


@njit(**FAST)
def _sigmoid(x, out):
    for i in range(out.size):
        out[i] = 1.0 / (1.0 + exp(-x[i]))


@njit(**FAST)
def _silu(x, out):
    for i in range(out.size):
        out[i] = x[i] / (1.0 + exp(-x[i])) if x[i] > -np.inf else x[i] * 0.0


@njit(**FAST)
def _silu_backward(g, x, out):
    for i in range(out.size):
        s = 1.0 / (1.0 + exp(-x[i]))
        out[i] = g[i] * (s * (1.0 + x[i] * (1.0 - s)))


@njit(**FAST)
def _sigmoid_backward(g, y, out):
    for i in range(out.size):
        out[i] = g[i] * (1.0 - y[i]) * y[i]


@njit(**FAST)
def _tanh_backward(g, y, out):
    for i in range(out.size):
        out[i] = g[i] * (1.0 - y[i] * y[i])


@njit(**FAST)
def _relu_backward(g, y, out):
    for i in range(out.size):
        out[i] = 0.0 if y[i] <= 0.0 else g[i]


def _mapped(kernel: Any) -> Any:
    def call(*arrays: Any, **none: Any) -> Any:
        out = np.empty(arrays[-1].shape, np.float64)
        flat = [a.reshape(-1) for a in (*arrays, out)]
        in_parts(lambda a, b: kernel(*[x[a:b] for x in flat]), out.size, out.size)
        return out

    return call


FORWARD = {
    "erf": _mapped(normals.erf),
    "gelu": _mapped(normals.gelu),
    "sigmoid": _mapped(_sigmoid),
    "silu": _mapped(_silu),
}
BACKWARD = {
    "gelu": _mapped(normals.gelu_backward),
    "relu": _mapped(_relu_backward),
    "sigmoid": _mapped(_sigmoid_backward),
    "silu": _mapped(_silu_backward),
    "tanh": _mapped(_tanh_backward),
}


# -- softmax ------------------------------------------------------------------------------------

_MASK, _63, _LOWEST = _i(2**63 - 1), _i(63), _i(-(2**63))


@njit(**FAST)
def _peak(x, i):
    """The largest, by ordered integers, of which NaN is the largest."""
    top = _LOWEST
    for j in range(x.shape[1]):
        b = bits(x[i, j])
        top = max(top, b ^ ((b >> _63) & _MASK))
    return from_bits(top ^ ((top >> _63) & _MASK))


@njit(**SUMS)
def _softmax(x, out, start, stop):
    for i in range(start, stop):
        top, total = _peak(x, i), 0.0
        for j in range(x.shape[1]):
            e = exp(x[i, j] - top)
            out[i, j] = e
            total += e
        share = 1.0 / total
        for j in range(x.shape[1]):
            out[i, j] *= share


@njit(**SUMS)
def _log_softmax(x, out, start, stop):
    for i in range(start, stop):
        top, total = _peak(x, i), 0.0
        for j in range(x.shape[1]):
            total += exp(x[i, j] - top)
        log = np.log(total)
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - top) - log


@njit(**SUMS)
def _softmax_backward(g, y, out, start, stop):
    for i in range(start, stop):
        total = 0.0
        for j in range(y.shape[1]):
            total += g[i, j] * y[i, j]
        for j in range(y.shape[1]):
            out[i, j] = y[i, j] * (g[i, j] - total)


@njit(**SUMS)
def _log_softmax_backward(g, y, out, start, stop):
    for i in range(start, stop):
        total = 0.0
        for j in range(y.shape[1]):
            total += g[i, j]
        for j in range(y.shape[1]):
            out[i, j] = g[i, j] - exp(y[i, j]) * total


def _per_row(kernel: Any) -> Any:
    def call(*arrays: Any) -> Any:
        out = np.empty(arrays[-1].shape, np.float64)
        lines = [a.reshape(-1, a.shape[-1]) for a in (*arrays, out)]
        in_parts(kernel, len(lines[0]), out.size, *lines)
        return out

    return call


# Of the last dimension, as those of `rows`.
softmax, log_softmax = _per_row(_softmax), _per_row(_log_softmax)
softmax_backward, log_softmax_backward = map(_per_row, (_softmax_backward, _log_softmax_backward))
