"""Elements of further activation functions and their gradients, for `pointwise` to map.

Kernels are (x, out, numbers...) or (g, x, out, numbers...), as there.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from framework.kernels.compiled.elementary import FAR, FAST, bell, exp, normal_tail, sigmoid

__all__ = [
    "erf", "hardshrink", "hardsigmoid", "hardsigmoid_backward", "hardswish", "hardswish_backward",
    "hardtanh", "hardtanh_backward", "log1p", "logsigmoid", "logsigmoid_backward", "mish",
    "mish_backward",
    "outside", "sgn", "softplus", "softplus_backward", "softshrink", "threshold",
    "threshold_backward",
]  # fmt: skip

_PART = {**FAST, "forceinline": True}
_f = np.float32
_ZERO, _HALF, ONE, _TWO, _THREE, _SIX, _TWENTY = (_f(n) for n in (0, 0.5, 1, 2, 3, 6, 20))

# Cephes' logf: log(1 + x) for x in [sqrt(1/2) - 1, sqrt(2) - 1].
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = (
    _f(7.0376836292e-2), _f(-1.1514610310e-1), _f(1.1676998740e-1), _f(-1.2420140846e-1),
    _f(1.4249322787e-1), _f(-1.6668057665e-1), _f(2.0000714765e-1), _f(-2.4999993993e-1),
    _f(3.3333331174e-1),
)  # fmt: skip
_ROOT2, _LN2_HIGH, _LN2_LOW = _f(2**0.5), _f(0.693359375), _f(-2.12194440e-4)


@njit(**_PART)
def log1p(u):
    """log(1 + u) for u in [0, 1], with what 1 + u rounds away put back."""
    w = ONE + u
    lost = (u - (w - ONE)) / w
    far = w > _ROOT2
    x = (w * _HALF if far else w) - ONE
    e = ONE if far else _ZERO
    z = x * x
    p = _L0
    p = p * x + _L1
    p = p * x + _L2
    p = p * x + _L3
    p = p * x + _L4
    p = p * x + _L5
    p = p * x + _L6
    p = p * x + _L7
    p = p * x + _L8
    y = p * x * z + e * _LN2_LOW - _HALF * z
    return x + y + e * _LN2_HIGH + lost


@njit(**_PART)
def _soft(x):
    """log(1 + e^x)."""
    return (x if x > _ZERO else _ZERO) + log1p(exp(-abs(x)))


# Cephes' erff: erf(x) / x in powers of x², for |x| < 1.
_R0, _R1, _R2, _R3, _R4, _R5, _R6 = (
    _f(7.853861353153693e-5), _f(-8.010193625184903e-4), _f(5.188327685732524e-3),
    _f(-2.685381193529856e-2), _f(1.128358514861418e-1), _f(-3.761262582423300e-1),
    _f(1.128379165726710),
)  # fmt: skip


@njit(**FAST)
def erf(x, out):
    for i in range(out.size):
        v = x[i]
        size = abs(v)
        z = v * v
        p = _R0
        p = p * z + _R1
        p = p * z + _R2
        p = p * z + _R3
        p = p * z + _R4
        p = p * z + _R5
        p = p * z + _R6
        wide = size * _ROOT2
        wide = FAR if wide > FAR else wide
        far = ONE - _TWO * normal_tail(wide, bell(wide))
        out[i] = v * p if size < ONE else (far if v > _ZERO else (-far if v < _ZERO else v))


@njit(**FAST)
def hardtanh(x, out, low, high):
    for i in range(out.size):
        v = low if x[i] < low else x[i]
        out[i] = high if v > high else v


@njit(**FAST)
def hardtanh_backward(g, x, out, low, high):
    for i in range(out.size):
        out[i] = g[i] * (ONE if x[i] > low and x[i] < high else _ZERO)


@njit(**_PART)
def _gate(v):
    """min(max(v + 3, 0), 6)."""
    w = v + _THREE
    w = _ZERO if w < _ZERO else w
    return _SIX if w > _SIX else w


@njit(**FAST)
def hardswish(x, out):
    for i in range(out.size):
        out[i] = x[i] * _gate(x[i]) / _SIX


@njit(**FAST)
def hardswish_backward(g, x, out):
    for i in range(out.size):
        v = x[i]
        slope = v / _THREE + _HALF
        slope = ONE if v >= _THREE else slope
        out[i] = g[i] * (_ZERO if v <= -_THREE else slope)


@njit(**FAST)
def hardsigmoid(x, out):
    for i in range(out.size):
        out[i] = _gate(x[i]) / _SIX


@njit(**FAST)
def hardsigmoid_backward(g, x, out):
    for i in range(out.size):
        out[i] = g[i] * (ONE / _SIX if x[i] > -_THREE and x[i] < _THREE else _ZERO)


@njit(**FAST)
def hardshrink(x, out, lambd):
    for i in range(out.size):
        v = x[i]
        out[i] = _ZERO if abs(v) <= lambd else v


@njit(**FAST)
def softshrink(x, out, lambd):
    for i in range(out.size):
        v = x[i]
        near = v + lambd if v < -lambd else v * _ZERO
        out[i] = v - lambd if v > lambd else near


@njit(**FAST)
def outside(g, x, out, lambd):
    """The gradient of both: g where x is further from 0 than ``lambd``, or NaN."""
    for i in range(out.size):
        out[i] = g[i] * (_ZERO if abs(x[i]) <= lambd else ONE)


@njit(**FAST)
def threshold(x, out, least, other):
    for i in range(out.size):
        out[i] = other if x[i] <= least else x[i]


@njit(**FAST)
def threshold_backward(g, x, out, least, other):
    for i in range(out.size):
        out[i] = g[i] * (_ZERO if x[i] <= least else ONE)


@njit(**FAST)
def sgn(x, out):
    """-1, 0 or 1; 0 for NaN, as in PyTorch."""
    for i in range(out.size):
        below = -ONE if x[i] < _ZERO else _ZERO
        out[i] = ONE if x[i] > _ZERO else below


@njit(**FAST)
def softplus(x, out, beta, threshold):
    for i in range(out.size):
        scaled = x[i] * beta
        smooth = _soft(scaled) / beta
        out[i] = x[i] if scaled > threshold else smooth


@njit(**FAST)
def softplus_backward(g, x, out, beta, threshold):
    for i in range(out.size):
        scaled = x[i] * beta
        slope = sigmoid(scaled)
        out[i] = g[i] * (ONE if scaled > threshold else slope)


@njit(**FAST)
def logsigmoid(x, out):
    for i in range(out.size):
        v = x[i]
        out[i] = (v if v < _ZERO else _ZERO) - log1p(exp(-abs(v)))


@njit(**FAST)
def logsigmoid_backward(g, x, out):
    for i in range(out.size):
        out[i] = g[i] * sigmoid(-x[i])


@njit(**_PART)
def _tanh_of_soft(v):
    """tanh(log(1 + e^v)) = n / (n + 2), n = e^v (e^v + 2); 1 from 20 on."""
    e = exp(_TWENTY if v > _TWENTY else v)
    n = e * (e + _TWO)
    return n / (n + _TWO)


@njit(**FAST)
def mish(x, out):
    for i in range(out.size):
        out[i] = x[i] * _tanh_of_soft(x[i])


@njit(**FAST)
def mish_backward(g, x, out):
    for i in range(out.size):
        v = x[i]
        t = _tanh_of_soft(v)
        out[i] = g[i] * (t + v * sigmoid(v) * (ONE - t * t))
