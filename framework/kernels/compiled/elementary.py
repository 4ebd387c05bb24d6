"""Elementary functions of float32 that LLVM can vectorise: no branches, no calls, no tables.

e^x is reduced to 2^n e^r, |r| <= ln 2 / 2, with Cephes' polynomial for e^r (Moshier, expf.c), and
2^n is put together from bits. Constants are float32 throughout: a float64 would halve the speed.
``contract`` lets products and sums become one instruction; nothing else is relaxed, so infinities
and NaN come out as they should.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["FAR", "FAST", "SUMS", "bell", "bits", "exp", "expm1", "from_bits", "highest", "lowest",
           "made_with", "normal_density", "normal_tail", "prove", "sigmoid", "tanh",
           "value"]  # fmt: skip

FAST: dict[str, Any] = {
    "fastmath": {"contract"}, "error_model": "numpy", "nogil": True, "cache": True,
}  # fmt: skip
_PART = {**FAST, "forceinline": True}  # of a loop, which is vectorised only without calls
# Sums may be taken in any order: in 16 or more lanes, which is nearer to the truth than one.
SUMS: dict[str, Any] = {**FAST, "fastmath": {"contract", "reassoc"}}

_f, _i = np.float32, np.int32


def made_with(loop: Any, name: str, options: dict[str, Any], **given: Any) -> Any:
    """A loop compiled with functions or numbers for some of its global names.

    As a function within another one it would be compiled again in each process: Numba's cache
    knows such a loop by the bytes of what it closes over, and in those of a compiled function is a
    number that is drawn. This one is known by its name.
    """
    copy = FunctionType(loop.__code__, {**loop.__globals__, **given}, name)
    copy.__qualname__, copy.__module__ = name, loop.__module__
    return njit(**options)(copy)


_intrinsic: Any = intrinsic  # called without the context, which mypy does not know


@_intrinsic
def bits(context: Any, x: Any) -> Any:
    """The bits of a float32, as an int32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), generate


@_intrinsic
def from_bits(context: Any, x: Any) -> Any:
    """The float32 with these bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


# -- the largest of many ------------------------------------------------------------------------
#
# Comparing floats does not vectorise as long as NaN counts. Integers whose order is that of the
# floats do, and NaN is the largest of them.

lowest = _i(-(2**31))
_MASK, _31 = _i(0x7FFFFFFF), _i(31)


@njit(**_PART)
def highest(so_far, x):
    """The larger of an ordered integer and that of ``x``; begin with `lowest`."""
    b = bits(x)
    return max(so_far, b ^ ((b >> _31) & _MASK))


@njit(**_PART)
def value(order):
    """The float32 of an ordered integer."""
    return from_bits(order ^ ((order >> _31) & _MASK))


# -- functions ----------------------------------------------------------------------------------

ONE = _f(1)
_LOG2E, _LN2_HIGH, _LN2_LOW = _f(1.44269504), _f(0.693359375), _f(-2.12194440e-4)
_ROUND, _ROUND_BITS = _f(12582912.0), _i(0x4B400000)  # 1.5 * 2^23: adding it rounds to an integer
_TOO_HIGH, _TOO_LOW = _f(89), _f(-105)  # where the result is infinite, or zero
_E0, _E1, _E2, _E3, _E4, _E5 = (
    _f(1.9875691500e-4), _f(1.3981999507e-3), _f(8.3334519073e-3),
    _f(4.1665795894e-2), _f(1.6666665459e-1), _f(5.0000001201e-1),
)  # fmt: skip
_1, _23, _127 = _i(1), _i(23), _i(127)


@njit(**_PART)
def exp(x):
    """e^x; within one unit in the last place, also of numbers below the normal ones."""
    x = _TOO_HIGH if x > _TOO_HIGH else x
    x = _TOO_LOW if x < _TOO_LOW else x
    t = x * _LOG2E + _ROUND
    n = bits(t) - _ROUND_BITS
    t = t - _ROUND
    r = x - t * _LN2_HIGH
    r = r - t * _LN2_LOW
    p = _E0
    p = p * r + _E1
    p = p * r + _E2
    p = p * r + _E3
    p = p * r + _E4
    p = p * r + _E5
    p = p * (r * r) + r + ONE
    half = n >> _1  # in two factors, for 2^n itself may be out of range
    return p * from_bits((half + _127) << _23) * from_bits((n - half + _127) << _23)


@njit(**_PART)
def sigmoid(x):
    """1 / (1 + e^-x)."""
    return ONE / (ONE + exp(-x))


# Cephes' tanhf: a polynomial near zero, where 1 - 2 / (e^2x + 1) cancels out.
_T0, _T1, _T2, _T3, _T4 = (
    _f(-5.70498872745e-3), _f(2.06390887954e-2), _f(-5.37397155531e-2),
    _f(1.33314422036e-1), _f(-3.33332819422e-1),
)  # fmt: skip
_NEAR, _HALF, _TWO = _f(0.625), _f(0.5), _f(2)


@njit(**_PART)
def tanh(x):
    """The hyperbolic tangent; within two units in the last place."""
    size = abs(x)
    z = x * x
    p = _T0
    p = p * z + _T1
    p = p * z + _T2
    p = p * z + _T3
    p = p * z + _T4
    near = p * z * x + x
    far = ONE - _TWO / (exp(_TWO * size) + ONE)
    return near if size < _NEAR else (far if x > _f(0) else (-far if x < _f(0) else x))


@njit(**_PART)
def expm1(x):
    """e^x - 1 = tanh(x / 2) (e^x + 1), for x <= 0, which keeps its digits near zero."""
    return tanh(x * _HALF) * (exp(x) + ONE)


# The normal distribution: its tail is Q(s) = e^(-s²/2) r(1 / (1 + 0.4 s)), s >= 0, where r is a
# polynomial whose largest relative error on [0, 13] is least (7e-8), by Lawson's algorithm against
# SciPy's erfcx. So is the one for e^r, |r| <= ln 2 / 2 (8e-8).
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7, _Q8 = (
    _f(-0.0400749433), _f(0.202646811), _f(-0.377394837), _f(0.254657619), _f(-0.0145658083),
    _f(0.159201229), _f(0.155619349), _f(0.159923452), _f(-1.29049695e-05),
)  # fmt: skip
_D0, _D1, _D2, _D3, _D4, _D5 = (
    _f(0.008297655213), _f(0.04191538321), _f(0.1666757473), _f(0.4999889484), _f(0.999999692),
    _f(1.000000072),
)  # fmt: skip
_SLOPE, _INV_SQRT2PI = _f(0.4), _f((2 * np.pi) ** -0.5)
FAR = _f(13)  # from where on the tail is below what float32 can say


@njit(**_PART)
def bell(x):
    """e^(-x²/2), for |x| <= `FAR`."""
    y = -_HALF * x * x
    t = y * _LOG2E + _ROUND
    n = bits(t) - _ROUND_BITS
    t = t - _ROUND
    r = y - t * _LN2_HIGH
    r = r - t * _LN2_LOW
    p = _D0
    p = p * r + _D1
    p = p * r + _D2
    p = p * r + _D3
    p = p * r + _D4
    p = p * r + _D5
    return p * from_bits((n + _127) << _23)


@njit(**_PART)
def normal_tail(size, height):
    """Q(size) = 1 - Φ(size), for size from 0 to `FAR` and what `bell` says of it."""
    t = ONE / (ONE + _SLOPE * size)
    p = _Q0
    p = p * t + _Q1
    p = p * t + _Q2
    p = p * t + _Q3
    p = p * t + _Q4
    p = p * t + _Q5
    p = p * t + _Q6
    p = p * t + _Q7
    p = p * t + _Q8
    return p * height


@njit(**_PART)
def normal_density(height):
    """φ, of what `bell` says."""
    return _INV_SQRT2PI * height


@njit(**FAST)
def _proof(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


def prove() -> None:
    """Raise if what Numba compiles here does not compute what it should."""
    x = np.linspace(-20, 20, 33, dtype=np.float32)
    out = np.empty_like(x)
    _proof(x, out)
    if not np.allclose(out, np.exp(x), rtol=1e-6, atol=0):
        raise ArithmeticError("its code computes a wrong exponential")
