"""Gamma functions, erfc and the inverse of erf for float32, in one pass.

The gamma functions compute in float64: Stirling's series (DLMF 5.11) from 8 on, recurrences below,
reflections left of zero. Polynomials of `erfinv` were fitted by Lawson's algorithm against SciPy:
erfinv(x) / x in w = -log(1 - x²) up to 5 and in its root beyond, relative errors 6e-9 and 1e-8.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAR, FAST, bits, exp, from_bits, normal_tail
from framework.kernels.compiled.exponential import bits as wide_bits
from framework.kernels.compiled.exponential import from_bits as from_wide_bits

__all__ = ["FORWARD"]

_PART = {**FAST, "forceinline": True}
_f, _i, _l = np.float32, np.int32, np.int64

# -- in float64 ---------------------------------------------------------------------------------

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROOT_HALF, _52, _EXPONENT = _l(0x3FE6A09E667F3BCD), _l(52), _l(-(1 << 52))


@njit(**_PART)
def _log(x):
    """log(x) for a finite x above zero that is no subnormal number; after fdlibm's e_log.c."""
    b = wide_bits(x)
    over = b - _ROOT_HALF
    e = np.float64(over >> _52)
    f = from_wide_bits(b - (over & _EXPONENT)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = 1.479819860511658591e-01
    p = p * z + 1.531383769920937332e-01
    p = p * z + 1.818357216161805012e-01
    p = p * z + 2.222219843214978396e-01
    p = p * z + 2.857142874366239149e-01
    p = p * z + 3.999999999940941908e-01
    p = p * z + 6.666666666666735130e-01
    half = 0.5 * f * f
    return e * _LN2_HIGH + (f - (half - (s * (half + p * z) + e * _LN2_LOW)))


_S1, _S3, _S5, _S7, _S9, _S11, _S13, _S15 = (
    (-1) ** (k // 2) * math.pi**k / math.factorial(k) for k in range(1, 16, 2)
)
_C2, _C4, _C6, _C8, _C10, _C12, _C14 = (
    (-1) ** (k // 2) * math.pi**k / math.factorial(k) for k in range(2, 15, 2)
)


@njit(**_PART)
def _sine(r):
    """sin(πr) for |r| up to a half."""
    z = r * r
    p = _S15
    p = p * z + _S13
    p = p * z + _S11
    p = p * z + _S9
    p = p * z + _S7
    p = p * z + _S5
    p = p * z + _S3
    return r * (p * z + _S1)


@njit(**_PART)
def _cosine(r):
    z = r * r
    p = _C14
    p = p * z + _C12
    p = p * z + _C10
    p = p * z + _C8
    p = p * z + _C6
    p = p * z + _C4
    p = p * z + _C2
    return p * z + 1.0


_FEW = 8.0  # from where on Stirling's series has what float32 can say


@njit(**_PART)
def _digamma(x):
    v = 1.0 - x if x < 0.0 else x
    low = v < _FEW
    u = v if low else 1.0
    product, slope = u, 1.0  # Π (u + k) and its derivative
    for k in range(1, 8):
        a = u + k
        slope = slope * a + product
        product = product * a
    z = v + _FEW if low else v
    y = 1.0 / z
    w = y * y
    p = 691 / 32760
    p = 1 / 132 - w * p
    p = 1 / 240 - w * p
    p = 1 / 252 - w * p
    p = 1 / 120 - w * p
    p = 1 / 12 - w * p
    found = _log(z) - 0.5 * y - w * p - (slope / product if low else 0.0)
    r = x - np.floor(x + 0.5)
    turned = found - np.pi * _cosine(r) / _sine(r)
    found = turned if x < 0.0 else found
    found = np.nan if x < 0.0 and r == 0.0 else found
    found = -np.inf if x == 0.0 else found
    return found if v < np.inf else v + x  # inf, and NaN of -inf and NaN


@njit(**_PART)
def _trigamma(x):
    v = 1.0 - x if x < 0.0 else x
    low = v < _FEW
    u = v if low else 1.0
    a, b, c, d = u * u, (u + 1) * (u + 1), (u + 2) * (u + 2), (u + 3) * (u + 3)
    first = (a * b * (c + d) + c * d * (a + b)) / (a * b * c * d)
    a, b, c, d = (u + 4) * (u + 4), (u + 5) * (u + 5), (u + 6) * (u + 6), (u + 7) * (u + 7)
    second = (a * b * (c + d) + c * d * (a + b)) / (a * b * c * d)
    z = v + _FEW if low else v
    y = 1.0 / z
    w = y * y
    p = 691 / 2730
    p = 5 / 66 - w * p
    p = 1 / 30 - w * p
    p = 1 / 42 - w * p
    p = 1 / 30 - w * p
    p = 1 / 6 - w * p
    found = y * (1.0 + 0.5 * y + w * p) + (first + second if low else 0.0)
    s = np.pi / _sine(x - np.floor(x + 0.5))
    return s * s - found if x < 0.0 else found


_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@njit(**_PART)
def _lgamma(x):
    v = 1.0 - x if x < 0.0 else x
    low = v < _FEW
    u = v if low else 1.0
    product = u
    for k in range(1, 8):
        product = product * (u + k)
    product = product if low else 1.0
    z = v + _FEW if low else v
    y = 1.0 / z
    w = y * y
    p = 691 / 360360
    p = 1 / 1188 - w * p
    p = 1 / 1680 - w * p
    p = 1 / 1260 - w * p
    p = 1 / 360 - w * p
    p = 1 / 12 - w * p
    series = (z - 0.5) * _log(z) - z + _HALF_LOG_2PI + y * p
    r = x - np.floor(x + 0.5)
    other = _log(product * np.pi / abs(_sine(r)) if x < 0.0 else product)
    found = other - series if x < 0.0 else series - other
    found = 0.0 if x == 1.0 or x == 2.0 else found
    found = np.inf if x <= 0.0 and r == 0.0 else found
    found = found if v < np.inf else np.inf
    return x if x != x else found


@njit(**FAST)
def _digammas(x, out):
    for i in range(out.size):
        found = _digamma(np.float64(x[i]))
        out[i] = -_f(np.inf) / x[i] if x[i] == _f(0) else _f(found)


@njit(**FAST)
def _trigammas(x, out):
    for i in range(out.size):
        out[i] = _trigamma(np.float64(x[i]))


@njit(**FAST)
def _lgammas(x, out):
    for i in range(out.size):
        out[i] = _lgamma(np.float64(x[i]))


# -- in float32 ---------------------------------------------------------------------------------

ONE, _HALF, _TWO, _FIVE = _f(1), _f(0.5), _f(2), _f(5)
_ROOT2, _HIGH_BITS, _VOID = _f(2**0.5), _i(-4096), _f(10.3)


@njit(**FAST)
def _erfc(x, out):
    """2 Q(√2 x); of e^(-x²) the square is split in two, of which the first is exact."""
    for i in range(out.size):
        v = x[i]
        size = abs(v)
        size = _VOID if size > _VOID else size
        high = from_bits(bits(size) & _HIGH_BITS)
        height = exp(-high * high) * exp((high - size) * (high + size))
        wide = size * _ROOT2
        tail = _TWO * normal_tail(FAR if wide > FAR else wide, height)
        tail = tail if size < _VOID else _f(0)
        found = _TWO - tail if v < _f(0) else tail
        out[i] = v if v != v else found


_L = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = map(_f, _L)  # Cephes' logf
_NARROW_ROOT, _23, _NARROW_EXPONENT = _i(0x3F3504F3), _i(23), _i(-(1 << 23))
_NARROW_HIGH, _NARROW_LOW = _f(0.693359375), _f(-2.12194440e-4)


@njit(**_PART)
def _narrow_log(x):
    """log(x) of a normal number."""
    b = bits(x)
    over = b - _NARROW_ROOT
    e = _f(over >> _23)
    f = from_bits(b - (over & _NARROW_EXPONENT)) - ONE
    z = f * f
    p = _L0
    p = p * f + _L1
    p = p * f + _L2
    p = p * f + _L3
    p = p * f + _L4
    p = p * f + _L5
    p = p * f + _L6
    p = p * f + _L7
    p = p * f + _L8
    return f + (p * f * z + e * _NARROW_LOW - _HALF * z) + e * _NARROW_HIGH


_NEAR = (
    -8.791048777823107e-09, 2.3232669121853178e-08, 4.6617057591902267e-07, -3.462705080892192e-06,
    -4.963347237207927e-06, 0.00021834444487467408, -0.0012527419021353126, -0.004177386872470379,
    0.24664027988910675, 1.5014094114303589,
)  # fmt: skip
_DISTANT = (
    0.00011570361675694585, -0.0003095766587648541, -5.677155786543153e-05, 0.0014850953593850136,
    -0.0035974096972495317, 0.005686972755938768, -0.0076372879557311535, 0.009445286355912685,
    1.001675009727478, 2.832976818084717,
)  # fmt: skip
_N0, _N1, _N2, _N3, _N4, _N5, _N6, _N7, _N8, _N9 = map(_f, _NEAR)
_F0, _F1, _F2, _F3, _F4, _F5, _F6, _F7, _F8, _F9 = map(_f, _DISTANT)
_MIDDLE, _THREE = _f(2.5), _f(3)


@njit(**FAST)
def _erfinv(x, out):
    for i in range(out.size):
        v = x[i]
        w = -_narrow_log((ONE - v) * (ONE + v))
        t = w - _MIDDLE
        p = _N0
        p = p * t + _N1
        p = p * t + _N2
        p = p * t + _N3
        p = p * t + _N4
        p = p * t + _N5
        p = p * t + _N6
        p = p * t + _N7
        p = p * t + _N8
        p = p * t + _N9
        t = np.sqrt(w if w > _FIVE else _FIVE) - _THREE
        q = _F0
        q = q * t + _F1
        q = q * t + _F2
        q = q * t + _F3
        q = q * t + _F4
        q = q * t + _F5
        q = q * t + _F6
        q = q * t + _F7
        q = q * t + _F8
        q = q * t + _F9
        found = v * (p if w < _FIVE else q)
        found = v * _f(np.inf) if abs(v) == ONE else found
        out[i] = found if abs(v) <= ONE else _f(np.nan)


def _mapped(kernel: Any) -> Any:
    def call(a: Any) -> Any:
        out = np.empty(a.shape, np.float32)
        flat = a.reshape(-1), out.reshape(-1)
        in_parts(lambda i, j: kernel(flat[0][i:j], flat[1][i:j]), out.size, out.size)
        return out

    return call


FORWARD = {  # by SciPy's names
    "erfc": _mapped(_erfc),
    "erfinv": _mapped(_erfinv),
    "gammaln": _mapped(_lgammas),
    "psi": _mapped(_digammas),
    "trigamma": _mapped(_trigammas),
}
