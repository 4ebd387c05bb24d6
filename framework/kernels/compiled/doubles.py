"""Softmax and activation functions of float64, in one pass over an array or a row.

e^x as in `elementary`, with Taylor's polynomial up to r^13, |r| <= ln 2 / 2, whose rest is 4e-18.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = [
    "BACKWARD", "FORWARD", "bits", "from_bits", "log_softmax", "log_softmax_backward", "softmax",
    "softmax_backward",
]  # fmt: skip

_intrinsic: Any = intrinsic  # called without the context, which mypy does not know
_PART = {**FAST, "forceinline": True}
_i = np.int64


@_intrinsic
def bits(context: Any, x: Any) -> Any:
    """The bits of a float64, as an int64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@_intrinsic
def from_bits(context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


_LOG2E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.693147180369123816490, 1.90821492927058770e-10
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer
_ROUND_BITS = _i(0x4338000000000000)
_TOO_HIGH, _TOO_LOW = 710.0, -746.0
_1, _52, _1023 = _i(1), _i(52), _i(1023)
_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = (
    1 / math.factorial(k) for k in range(2, 14)
)


@njit(**_PART)
def _exp(x):
    """e^x; within two units in the last place."""
    x = _TOO_HIGH if x > _TOO_HIGH else x
    x = _TOO_LOW if x < _TOO_LOW else x
    t = x * _LOG2E + _ROUND
    n = bits(t) - _ROUND_BITS
    t = t - _ROUND
    r = x - t * _LN2_HIGH
    r = r - t * _LN2_LOW
    p = _C13
    p = p * r + _C12
    p = p * r + _C11
    p = p * r + _C10
    p = p * r + _C9
    p = p * r + _C8
    p = p * r + _C7
    p = p * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = p * (r * r) + r + 1.0
    half = n >> _1
    return p * from_bits((half + _1023) << _52) * from_bits((n - half + _1023) << _52)


# -- activations: kernel(x, out), or (g, x or y, out) -------------------------------------------


@njit(**FAST)
def _sigmoid(x, out):
    for i in range(out.size):
        out[i] = 1.0 / (1.0 + _exp(-x[i]))


@njit(**FAST)
def _silu(x, out):
    for i in range(out.size):
        out[i] = x[i] / (1.0 + _exp(-x[i])) if x[i] > -np.inf else x[i] * 0.0


@njit(**FAST)
def _silu_backward(g, x, out):
    for i in range(out.size):
        s = 1.0 / (1.0 + _exp(-x[i]))
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


FORWARD = {"sigmoid": _mapped(_sigmoid), "silu": _mapped(_silu)}
BACKWARD = {
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
            e = _exp(x[i, j] - top)
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
            total += _exp(x[i, j] - top)
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
            out[i, j] = g[i, j] - _exp(y[i, j]) * total


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
