"""Remainders, quotients rounded down, lengths, reciprocals and the like, of float32 and float64.

An operand is a contiguous array or a number; all arrays have one shape and one type.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from framework.kernels.compiled import curves, in_parts
from framework.kernels.compiled.elementary import FAST, exp

__all__ = [
    "at", "floor_divide", "fma", "fmod", "frac", "hypot", "logaddexp", "mapped", "nan_to_num",
    "reciprocal", "remainder", "rsqrt",
]  # fmt: skip

_intrinsic: Any = intrinsic  # called without the context, which mypy does not know
_EXACT: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": True}
_PART = {**_EXACT, "forceinline": True}
_ZERO = np.float32(0)


def at(a, i):
    """Element i of an array; a number itself."""


@overload(at, inline="always")
def _at_of(a, i):
    return (lambda a, i: a[i]) if isinstance(a, types.Array) else (lambda a, i: a)


@_intrinsic
def fma(context: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), generate


@_intrinsic
def _signed(context: Any, size: Any, sign: Any) -> Any:
    """The size of one float64 with the sign of another."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        double = ir.DoubleType()
        of = ir.FunctionType(double, [double, double])
        copysign = builder.module.declare_intrinsic("llvm.copysign", [double], of)
        return builder.call(copysign, args)

    return types.float64(types.float64, types.float64), generate


# -- what a division leaves ---------------------------------------------------------------------
#
# x - trunc(x / y) y in float64, in which it is exact: a quotient below 2^51 is wrong by one at
# most, which the sign of what is left, or its size, shows. Larger ones are C's `fmod`'s.

_FAR = 2.0**51


@njit(**_PART)
def _left(x, y, q):
    r = fma(-np.trunc(q), y, x)
    wide = abs(y)
    size = r if x > 0.0 else -r
    size = size + wide if size < 0.0 else size
    size = size - wide if size >= wide else size
    return x if abs(x) < wide else _signed(size, x)  # also where y is infinite


@njit(**_PART)
def _is_far(q):
    """Also where y is zero or x infinite; not where one of them is NaN."""
    return abs(q) >= _FAR


@njit(**_PART)
def _moved(r, y):
    """What is left, with the sign of y."""
    return r + y if r != 0.0 and ((y < 0.0) != (r < 0.0)) else r


@njit(**_PART)
def _down(x, y, r, one):
    """The quotient rounded down, of what is left, in the roundings of its type as in PyTorch."""
    whole = (x - r) / y
    whole = whole - one if r != 0.0 and ((y < 0.0) != (r < 0.0)) else whole
    low = np.floor(whole)
    low = low + one if whole - low > 0.5 else low
    return _signed(0.0, x / y) if whole == 0.0 else np.float64(low)


@njit(**_EXACT)
def _fmod(a, b, out):
    far = 0
    for i in range(out.size):
        x, y = np.float64(at(a, i)), np.float64(at(b, i))
        q = x / y
        far |= _is_far(q)
        out[i] = _left(x, y, q)
    if far:
        for i in range(out.size):
            x, y = np.float64(at(a, i)), np.float64(at(b, i))
            if _is_far(x / y):
                out[i] = np.fmod(x, y)


@njit(**_EXACT)
def _remainder(a, b, out):
    far = 0
    for i in range(out.size):
        x, y = np.float64(at(a, i)), np.float64(at(b, i))
        q = x / y
        far |= _is_far(q)
        out[i] = _moved(_left(x, y, q), y)
    if far:
        for i in range(out.size):
            x, y = np.float64(at(a, i)), np.float64(at(b, i))
            if _is_far(x / y):
                out[i] = _moved(np.fmod(x, y), y)


@njit(**_EXACT)
def _floor_divide(a, b, out):
    far, one = 0, out.dtype.type(1)
    for i in range(out.size):
        x, y = at(a, i), at(b, i)
        p, q = np.float64(x), np.float64(y)
        far |= _is_far(p / q)
        out[i] = _down(x, y, out.dtype.type(_left(p, q, p / q)), one)
    if far:
        for i in range(out.size):
            x, y = at(a, i), at(b, i)
            p, q = np.float64(x), np.float64(y)
            if _is_far(p / q):
                r = out.dtype.type(np.fmod(p, q))
                out[i] = p / q if q == 0.0 else _down(x, y, r, one)


# -- others -------------------------------------------------------------------------------------


@njit(**_EXACT)
def _hypot(a, b, out):
    """Of float32: in float64 no square leaves the range."""
    for i in range(out.size):
        x, y = np.float64(a[i]), np.float64(b[i])
        size = np.sqrt(x * x + y * y)
        out[i] = np.inf if abs(x) == np.inf or abs(y) == np.inf else size


@njit(**FAST)
def _logaddexp(a, b, out):
    """The larger one, and log(1 + e^-d) of how far the other is below; of float32."""
    for i in range(out.size):
        x, y = a[i], b[i]
        d = _ZERO if x == y else x - y  # of two infinities, too
        out[i] = (x if d >= _ZERO else y) + curves.log1p(exp(-abs(d)))


@njit(**_EXACT)
def _rsqrt(a, out):
    one = out.dtype.type(1)
    for i in range(out.size):
        out[i] = one / np.sqrt(a[i])


@njit(**_EXACT)
def _reciprocal(a, out):
    one = out.dtype.type(1)
    for i in range(out.size):
        out[i] = one / a[i]


@njit(**_EXACT)
def _frac(a, out):
    for i in range(out.size):
        out[i] = a[i] - np.trunc(a[i])


@njit(**_EXACT)
def _nan_to_num(a, nan, high, low, largest, out):
    for i in range(out.size):
        x = a[i]
        y = high if x > largest else x
        y = low if x < -largest else y
        out[i] = nan if x != x else y


# -- for arrays ---------------------------------------------------------------------------------


def mapped(kernel: Any) -> Any:
    """A function of arrays and numbers, of a kernel of these and the result."""

    def call(*given: Any) -> Any:
        like = next(a for a in given if isinstance(a, np.ndarray) and a.ndim)
        out = np.empty(like.shape, like.dtype)
        flat = [
            a.reshape(-1) if isinstance(a, np.ndarray) and a.ndim else like.dtype.type(a)
            for a in (*given, out)
        ]

        def part(start: int, stop: int) -> None:
            kernel(*[a[start:stop] if isinstance(a, np.ndarray) else a for a in flat])

        in_parts(part, out.size, out.size)
        return out

    return call


fmod, remainder, floor_divide = map(mapped, (_fmod, _remainder, _floor_divide))
hypot, logaddexp = map(mapped, (_hypot, _logaddexp))
rsqrt, reciprocal, frac, nan_to_num = map(mapped, (_rsqrt, _reciprocal, _frac, _nan_to_num))
