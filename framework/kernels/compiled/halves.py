"""float16 and bfloat16 from float32 and back, by their bits, in lanes.

To the nearest, ties to even, as NumPy and ml_dtypes round, NaN included. Halves are uint16 here,
float32 are uint32. (Giesen's ways: what is below the normal numbers is rounded by an addition.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["narrowed", "widened"]

_intrinsic: Any = intrinsic  # called without the context, which mypy does not know

_u, _h = np.uint32, np.uint16
_SIGN, _REST, _INFINITE = _u(0x80000000), _u(0x7FFFFFFF), _u(0x7F800000)
_1, _13, _16, _23 = _u(1), _u(13), _u(16), _u(23)

# Of float16: where it is infinite, where it is normal, and the number whose last place is that of
# the smallest ones.
_TOO_LARGE, _NORMAL, _TINY = _u(0x47800000), _u(0x38800000), _u(126 << 23)
_ROUNDING, _NAN, _SIGNALLING = _u(0xC8000FFF), _u(0x7C00), _u(0x7C01)
_EXPONENT, _BIAS, _SMALLEST = _u(0x7C00 << 13), _u(112 << 23), _u(113 << 23)


@_intrinsic
def _value(context: Any, x: Any) -> Any:
    """The float32 with these bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), generate


@_intrinsic
def _bits(context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@njit(**FAST)
def _to_bfloat16(x, out, start, stop):
    a, b = x[start:stop], out[start:stop]
    for i in range(b.size):
        u = a[i]
        near = (u + _u(0x7FFF) + ((u >> _16) & _1)) >> _16
        nan = ((u & _SIGN) >> _16) | _u(0x7FC0)
        b[i] = _h(nan if (u & _REST) > _INFINITE else near)


@njit(**FAST)
def _from_bfloat16(x, out, start, stop):
    a, b = x[start:stop], out[start:stop]
    for i in range(b.size):
        b[i] = _u(a[i]) << _16


@njit(**FAST)
def _to_float16(x, out, start, stop):
    a, b = x[start:stop], out[start:stop]
    for i in range(b.size):
        u = a[i] & _REST
        normal = (u + _ROUNDING + ((u >> _13) & _1)) >> _13
        tiny = _bits(_value(u) + _value(_TINY)) - _TINY
        nan = _NAN + ((u & _u(0x7FFFFF)) >> _13)
        nan = _SIGNALLING if nan == _NAN else nan
        far = nan if u > _INFINITE else _NAN
        found = far if u >= _TOO_LARGE else (tiny if u < _NORMAL else normal)
        b[i] = _h(found | ((a[i] & _SIGN) >> _16))


@njit(**FAST)
def _from_float16(x, out, start, stop):
    a, b = x[start:stop], out[start:stop]
    for i in range(b.size):
        h = _u(a[i])
        u = (h & _u(0x7FFF)) << _13
        exponent = u & _EXPONENT
        usual = u + _BIAS
        tiny = _bits(_value(u + _SMALLEST) - _value(_SMALLEST))
        found = usual + _BIAS if exponent == _EXPONENT else usual
        found = tiny if exponent == _u(0) else found
        b[i] = found | ((h & _u(0x8000)) << _16)


def _mapped(kernel: Any, x: Any, out: Any, kinds: tuple[Any, Any]) -> Any:
    flat = [a.reshape(-1).view(kind) for a, kind in zip((x, out), kinds)]
    in_parts(kernel, out.size, out.size, *flat)
    return out


def narrowed(x: Any, dtype: Any) -> Any:
    """float32 as float16 or bfloat16."""
    kernel = _to_float16 if dtype.kind == "f" else _to_bfloat16
    return _mapped(kernel, x, np.empty(x.shape, dtype), (_u, _h))


def widened(x: Any) -> Any:
    """float16 or bfloat16 as float32."""
    kernel = _from_float16 if x.dtype.kind == "f" else _from_bfloat16
    return _mapped(kernel, x, np.empty(x.shape, np.float32), (_h, _u))
