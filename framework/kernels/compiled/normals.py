"""The error function, GELU and its gradient in float64, in one pass over an array.

erf and erfc are Cephes' quotients of polynomials (Moshier, ndtr.c), one for each side of 1. The
exponential is that of a square whose rounding is made good, which e^-s would multiply by s.
"""

from __future__ import annotations

import math

from numba import njit

from framework.kernels.compiled.arithmetic import fma
from framework.kernels.compiled.elementary import FAST
from framework.kernels.compiled.exponential import exp

__all__ = ["erf", "gelu", "gelu_backward"]

_PART = {**FAST, "forceinline": True}
_INF = math.inf
_INV_SQRT2, _INV_SQRT2PI = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)
_FAR = 8.0  # from where on erfc is below 1e-28, and taken to be zero
_T0, _T1, _T2, _T3, _T4 = (
    9.60497373987051638749, 9.00260197203842689217e1, 2.23200534594684319226e3,
    7.00332514112805075473e3, 5.55923013010394962768e4,
)  # fmt: skip
_U0, _U1, _U2, _U3, _U4 = (
    3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
    2.26290000613890934246e4, 4.92673942608635921086e4,
)  # fmt: skip
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8 = (
    2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687,
    4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2,
    9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2,
)  # fmt: skip
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7 = (
    1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
    9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3,
    1.65666309194161350182e3, 5.57535340817727675546e2,
)  # fmt: skip


@njit(**_PART)
def _bell(x, factor):
    """e^(-factor x²)."""
    square = x * x
    return exp(-factor * square) * (1.0 - factor * fma(x, x, -square))


@njit(**_PART)
def _side(z, height):
    """erf(z) where z is below 1, else erfc(z); for z from 0 to `_FAR` and e^(-z²)."""
    s = z * z
    t = _T0
    t = t * s + _T1
    t = t * s + _T2
    t = t * s + _T3
    t = t * s + _T4
    u = s + _U0
    u = u * s + _U1
    u = u * s + _U2
    u = u * s + _U3
    u = u * s + _U4
    p = _P0
    p = p * z + _P1
    p = p * z + _P2
    p = p * z + _P3
    p = p * z + _P4
    p = p * z + _P5
    p = p * z + _P6
    p = p * z + _P7
    p = p * z + _P8
    q = z + _Q0
    q = q * z + _Q1
    q = q * z + _Q2
    q = q * z + _Q3
    q = q * z + _Q4
    q = q * z + _Q5
    q = q * z + _Q6
    q = q * z + _Q7
    near = z < 1.0
    return (z * t if near else height * p) / (u if near else q)


@njit(**_PART)
def _tail(size, height):
    """1 - Φ(size), for sizes up to 8 √2 and e^(-size²/2)."""
    z = size * _INV_SQRT2
    side = _side(z, height)
    return 0.5 - 0.5 * side if z < 1.0 else 0.5 * side


@njit(**FAST)
def erf(x, out):
    for i in range(out.size):
        size = abs(x[i])
        near = _FAR if size > _FAR else size
        side = _side(near, _bell(near, 1.0))
        y = side if near < 1.0 else 1.0 - side
        out[i] = y if x[i] > 0.0 else (-y if x[i] < 0.0 else x[i])


@njit(**FAST)
def gelu(x, out):
    """x Φ(x) = max(x, 0) - |x| (1 - Φ(|x|)), which keeps its precision where x is negative."""
    for i in range(out.size):
        v = x[i]
        size = abs(v)
        near = _FAR if size > _FAR else size
        lost = near * _tail(near, _bell(near, 0.5))
        y = (v if v > 0.0 else 0.0) - (0.0 if size > _FAR else lost)
        out[i] = y if v > -_INF else v * 0.0  # NaN, as everybody has it, and NaN for NaN


@njit(**FAST)
def gelu_backward(g, x, out):
    """g (Φ(x) + x φ(x))."""
    for i in range(out.size):
        v = x[i]
        size = abs(v)
        near = _FAR if size > _FAR else size
        height = _bell(near, 0.5)
        tail = 0.0 if size > _FAR else _tail(near, height)
        below = 1.0 - tail if v > 0.0 else tail
        bell = 0.0 if size > _FAR else _INV_SQRT2PI * height
        slope = below + (near if v > 0.0 else -near) * bell
        out[i] = g[i] * (slope if size < _INF else v * 0.0 + below)
