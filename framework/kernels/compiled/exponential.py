"""e^x of float64 that LLVM can vectorise.

As in `elementary`, with Taylor's polynomial up to r^13, |r| <= ln 2 / 2, whose rest is 4e-18.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from framework.kernels.compiled.elementary import FAST

__all__ = ["bits", "exp", "from_bits"]

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
def exp(x):
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
