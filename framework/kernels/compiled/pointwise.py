"""Activation functions and their gradients in one pass over an array.

The loops run over parts of the arrays, not from an index on: an index that may be negative, for all
that Numba knows, is one that may count from the end, and is not vectorised.

Each public function takes and returns arrays of one shape; ``g`` is the gradient that arrives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import curves, in_parts
from framework.kernels.compiled.elementary import (
    FAR,
    FAST,
    bell,
    exp,
    expm1,
    normal_density,
    normal_tail,
    sigmoid,
    tanh,
)

__all__ = ["BACKWARD", "FORWARD", "choose", "lerp", "prelu", "smooth_l1", "smooth_l1_backward"]

_ALONE = 1 << 17  # elements from which on there is work for a second thread
_f = np.float32
_ZERO, _HALF, ONE, _THREE = _f(0), _f(0.5), _f(1), _f(3)
_GELU_A, _GELU_B = _f(math.sqrt(2 / math.pi)), _f(0.044715)


# -- forward: kernel(x, out) -------------------------------------------------------


@njit(**FAST)
def _gelu(x, out):
    """x Φ(x) = max(x, 0) - |x| Q(|x|), which keeps its precision where x is negative."""
    for i in range(out.size):
        v = x[i]
        size = abs(v)
        near = FAR if size > FAR else size
        lost = near * normal_tail(near, bell(near))
        y = (v if v > _ZERO else _ZERO) - (_ZERO if size > FAR else lost)
        out[i] = y if v > _f(-np.inf) else v * _ZERO  # NaN, as everybody has it, and NaN for NaN


@njit(**FAST)
def _gelu_tanh(x, out):
    for i in range(out.size):
        v = x[i]
        out[i] = _HALF * v * (ONE + tanh(_GELU_A * (v + _GELU_B * v * v * v)))


@njit(**FAST)
def _silu(x, out):
    for i in range(out.size):
        out[i] = x[i] * sigmoid(x[i])


@njit(**FAST)
def _sigmoid(x, out):
    for i in range(out.size):
        out[i] = sigmoid(x[i])


@njit(**FAST)
def _relu(x, out):
    for i in range(out.size):
        out[i] = _ZERO if x[i] < _ZERO else x[i]


@njit(**FAST)
def _leaky_relu(x, out, slope):
    for i in range(out.size):
        out[i] = x[i] if x[i] > _ZERO else x[i] * slope


@njit(**FAST)
def _elu(x, out, alpha, scale, input_scale):
    for i in range(out.size):
        v = x[i]
        below = alpha * scale * expm1((_ZERO if v > _ZERO else v) * input_scale)
        out[i] = v * scale if v > _ZERO else below


# -- backward: kernel(g, x or y, out) ----------------------------------------------


@njit(**FAST)
def _gelu_backward(g, x, out):
    """g (Φ(x) + x φ(x))."""
    for i in range(out.size):
        v = x[i]
        size = abs(v)
        near = FAR if size > FAR else size
        height = bell(near)
        tail = normal_tail(near, height)
        below = ONE - tail if v > _ZERO else tail
        slope = below + (near if v > _ZERO else -near) * normal_density(height)
        out[i] = g[i] * (slope if size < _f(np.inf) else v * _ZERO + below)


@njit(**FAST)
def _gelu_tanh_backward(g, x, out):
    for i in range(out.size):
        v = x[i]
        t = tanh(_GELU_A * (v + _GELU_B * v * v * v))
        inner = _GELU_A * (ONE + _THREE * _GELU_B * v * v)
        out[i] = g[i] * (_HALF * (ONE + t) + _HALF * v * (ONE - t * t) * inner)


@njit(**FAST)
def _silu_backward(g, x, out):
    for i in range(out.size):
        s = sigmoid(x[i])
        out[i] = g[i] * (s * (ONE + x[i] * (ONE - s)))


@njit(**FAST)
def _sigmoid_backward(g, y, out):
    for i in range(out.size):
        out[i] = g[i] * (ONE - y[i]) * y[i]


@njit(**FAST)
def _tanh_backward(g, y, out):
    for i in range(out.size):
        out[i] = g[i] * (ONE - y[i] * y[i])


@njit(**FAST)
def _relu_backward(g, y, out):
    """Of relu: g where y is above zero, or NaN."""
    for i in range(out.size):
        out[i] = _ZERO if y[i] <= _ZERO else g[i]


@njit(**FAST)
def _leaky_relu_backward(g, x, out, slope):
    for i in range(out.size):
        out[i] = g[i] if x[i] > _ZERO else g[i] * slope


@njit(**FAST)
def _elu_backward(g, x, out, alpha, scale, input_scale):
    for i in range(out.size):
        v = x[i]
        below = alpha * scale * input_scale * exp((_ZERO if v > _ZERO else v) * input_scale)
        out[i] = g[i] * (scale if v > _ZERO else below)


# -- choosing -----------------------------------------------------------------------------------
#
# Arrays are seen as rows (N, M) that one condition (M,) is for; a number is an array (1, 1).


@njit(**FAST)
def _choose_number(condition, number, b, out, start, stop):
    a = number[0, 0]
    for i in range(start, stop):
        x, y = b[i], out[i]
        for j in range(condition.size):
            y[j] = a if condition[j] else x[j]


@njit(**FAST)
def _choose_else_number(condition, a, number, out, start, stop):
    b = number[0, 0]
    for i in range(start, stop):
        x, y = a[i], out[i]
        for j in range(condition.size):
            y[j] = x[j] if condition[j] else b


@njit(**FAST)
def _choose(condition, a, b, out, start, stop):
    for i in range(start, stop):
        x, other, y = a[i], b[i], out[i]
        for j in range(condition.size):
            u, v = x[j], other[j]  # both are read: else there would be a branch
            y[j] = u if condition[j] else v


def choose(condition: Any, a: Any, b: Any) -> Any:
    """`numpy.where` for contiguous arrays of one shape, of which one may be a number.

    The condition has their last dimensions.
    """
    out = np.empty(a.shape or b.shape, np.float32)
    kernel = _choose if a.ndim and b.ndim else _choose_else_number if a.ndim else _choose_number
    flat = condition.reshape(-1)
    if condition.size < out.size:
        rows = [x.reshape(-1, flat.size) if x.ndim else x.reshape(1, 1) for x in (a, b, out)]
        in_parts(kernel, len(rows[2]), out.size, flat, *rows)
        return out
    rows = [x.reshape(1, -1) for x in (a, b, out)]

    def part(start: int, stop: int) -> None:
        these = [x[:, start:stop] if x.size > 1 else x for x in rows]
        kernel(flat[start:stop], *these, 0, 1)

    in_parts(part, out.size, out.size)
    return out


@njit(**FAST)
def _prelu(x, slopes, out, start, stop):
    for i in range(start, stop):
        a, b, slope = x[i], out[i], slopes[i % slopes.size]
        for j in range(a.size):
            b[j] = a[j] if a[j] > _ZERO else slope * a[j]


def prelu(a: Any, weight: Any) -> Any:
    """``a`` where it is above zero, else times the weight (C, 1, ...) of its channel."""
    out, count = np.empty_like(a), math.prod(a.shape[: a.ndim - weight.ndim + 1])
    rows = [x.reshape(count, -1) for x in (a, out)]
    in_parts(_prelu, count, a.size, rows[0], np.ascontiguousarray(weight).reshape(-1), rows[1])
    return out


# -- by name ------------------------------------------------------------------------------------


def _mapped(kernel: Any, **parameters: float) -> Any:
    """A function of arrays of one shape; keywords are the kernel's parameters, with defaults."""

    def call(*arrays: Any, **given: Any) -> Any:
        out = np.empty(arrays[-1].shape, np.float32)
        flat = [a.reshape(-1) for a in (*arrays, out)]
        if out.size < _ALONE and not parameters:
            kernel(*flat)
            return out
        numbers = [_f(given.get(name, value)) for name, value in parameters.items()]
        in_parts(lambda a, b: kernel(*[x[a:b] for x in flat], *numbers), out.size, out.size)
        return out

    return call


_BOUNDS = {"min_val": -1.0, "max_val": 1.0}
_SOFT = {"beta": 1.0, "threshold": 20.0}
_SHRINK = {"lambd": 0.5}
_THRESHOLD = {"threshold": 0.0, "value": 0.0}
_ELU = {"alpha": 1.0, "scale": 1.0, "input_scale": 1.0}
FORWARD = {
    "elu": _mapped(_elu, **_ELU),
    "erf": _mapped(curves.erf),
    "gelu": _mapped(_gelu),
    "gelu_tanh": _mapped(_gelu_tanh),
    "hardshrink": _mapped(curves.hardshrink, **_SHRINK),
    "hardsigmoid": _mapped(curves.hardsigmoid),
    "hardswish": _mapped(curves.hardswish),
    "hardtanh": _mapped(curves.hardtanh, **_BOUNDS),
    "leaky_relu": _mapped(_leaky_relu, negative_slope=0.01),
    "logsigmoid": _mapped(curves.logsigmoid),
    "mish": _mapped(curves.mish),
    "relu": _mapped(_relu),
    "relu6": _mapped(curves.hardtanh, min_val=0.0, max_val=6.0),
    "sigmoid": _mapped(_sigmoid),
    "silu": _mapped(_silu),
    "sgn": _mapped(curves.sgn),
    "softplus": _mapped(curves.softplus, **_SOFT),
    "softshrink": _mapped(curves.softshrink, **_SHRINK),
    "threshold": _mapped(curves.threshold, **_THRESHOLD),
}
BACKWARD = {
    "elu": _mapped(_elu_backward, **_ELU),
    "gelu": _mapped(_gelu_backward),
    "gelu_tanh": _mapped(_gelu_tanh_backward),
    "hardshrink": _mapped(curves.outside, **_SHRINK),
    "hardsigmoid": _mapped(curves.hardsigmoid_backward),
    "hardswish": _mapped(curves.hardswish_backward),
    "hardtanh": _mapped(curves.hardtanh_backward, **_BOUNDS),
    "leaky_relu": _mapped(_leaky_relu_backward, negative_slope=0.01),
    "logsigmoid": _mapped(curves.logsigmoid_backward),
    "mish": _mapped(curves.mish_backward),
    "sigmoid": _mapped(_sigmoid_backward),
    "relu6": _mapped(curves.hardtanh_backward, min_val=0.0, max_val=6.0),
    "silu": _mapped(_silu_backward),
    "softplus": _mapped(curves.softplus_backward, **_SOFT),
    "softshrink": _mapped(curves.outside, **_SHRINK),
    "threshold": _mapped(curves.threshold_backward, **_THRESHOLD),
    "tanh": _mapped(_tanh_backward),
    "relu": _mapped(_relu_backward),
}


@njit(**FAST)
def _lerp(a, b, weight, rest, near, out, start, stop):
    x, y, z = a[start:stop], b[start:stop], out[start:stop]
    if near:
        for i in range(z.size):
            z[i] = x[i] + weight * (y[i] - x[i])
    else:
        for i in range(z.size):
            z[i] = y[i] - (y[i] - x[i]) * rest


def lerp(a: Any, b: Any, weight: float, out: Any = None) -> Any:
    """a + weight (b - a), from the nearer end; ``out`` may be a itself."""
    out = np.empty_like(a) if out is None else out
    in_parts(_lerp, a.size, a.size, a.reshape(-1), b.reshape(-1), _f(weight), _f(1 - weight),
             abs(weight) < 0.5, out.reshape(-1))  # fmt: skip
    return out


@njit(**FAST)
def _smooth_l1(a, b, beta, out, start, stop):
    x, y, z = a[start:stop], b[start:stop], out[start:stop]
    half, scale = _HALF * beta, _HALF / beta
    for i in range(z.size):
        d = abs(x[i] - y[i])
        near, far = d * d * scale, d - half
        z[i] = near if d < beta else far


@njit(**FAST)
def _smooth_l1_backward(g, one, a, b, beta, out, start, stop):
    x, y, z = a[start:stop], b[start:stop], out[start:stop]
    share = ONE / beta
    for i in range(z.size):
        d = x[i] - y[i]
        sign = ONE if d > _ZERO else (-ONE if d < _ZERO else d)
        near = d * share
        z[i] = near if abs(d) < beta else sign
    if one:
        slope = g[0]
        for i in range(z.size):
            z[i] *= slope
    else:
        w = g[start:stop]
        for i in range(z.size):
            z[i] *= w[i]


def smooth_l1(a: Any, b: Any, beta: float) -> Any:
    """d² / (2 beta) where d = |a - b| is less than beta, else d - beta / 2."""
    out = np.empty_like(a)
    in_parts(_smooth_l1, a.size, a.size, a.reshape(-1), b.reshape(-1), _f(beta), out.reshape(-1))
    return out


def smooth_l1_backward(g: Any, a: Any, b: Any, beta: float) -> Any:
    """The gradient of a; that of b is its negative. ``g`` may be one number, expanded."""
    out, one = np.empty_like(a), not any(g.strides)
    slopes = g[(0,) * g.ndim].reshape(1) if one else np.ascontiguousarray(g).reshape(-1)
    in_parts(_smooth_l1_backward, a.size, a.size, np.ascontiguousarray(slopes), one,
             a.reshape(-1), b.reshape(-1), _f(beta), out.reshape(-1))  # fmt: skip
    return out
