"""Divisions of int32 and int64 with a whole quotient, in one pass over an array.

Operands are as in `arithmetic`, none of the divisors zero. Sizes are divided, without signs: where
both fit into half of a word LLVM divides these, which is quicker, and with signs that would be one
branch for each sign. The lowest number divided by -1 becomes itself, as NumPy has it.
"""

from __future__ import annotations

from typing import Any

from numba import njit
from numba.extending import intrinsic

from framework.kernels.compiled.arithmetic import at, mapped

__all__ = ["div_floor", "div_trunc", "fmod", "remainder"]

_intrinsic: Any = intrinsic  # called without the context, which mypy does not know
_EXACT: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": True}


def _sign(builder: Any, x: Any) -> Any:
    """All bits of x's sign."""
    return builder.ashr(x, x.type(x.type.width - 1))


def _signed(builder: Any, x: Any, sign: Any) -> Any:
    """-x where the sign is set, else x."""
    return builder.sub(builder.xor(x, sign), sign)


@_intrinsic
def _quotient(context: Any, x: Any, y: Any) -> Any:
    """Rounded towards zero, in the operands' type."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        signs = [_sign(builder, a) for a in args]
        sizes = [_signed(builder, a, sign) for a, sign in zip(args, signs)]
        return _signed(builder, builder.udiv(*sizes), builder.xor(*signs))

    return x(x, x), generate


@_intrinsic
def _left(context: Any, x: Any, y: Any) -> Any:
    """What that quotient leaves, with the sign of x."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        signs = [_sign(builder, a) for a in args]
        sizes = [_signed(builder, a, sign) for a, sign in zip(args, signs)]
        return _signed(builder, builder.urem(*sizes), signs[0])

    return x(x, x), generate


@njit(**_EXACT)
def _fmod(a, b, out):
    for i in range(out.size):
        out[i] = _left(at(a, i), at(b, i))


@njit(**_EXACT)
def _remainder(a, b, out):
    none = out.dtype.type(0)
    for i in range(out.size):
        y = at(b, i)
        r = _left(at(a, i), y)
        out[i] = r + (y if r != 0 and (r ^ y) < 0 else none)


@njit(**_EXACT)
def _div_trunc(a, b, out):
    for i in range(out.size):
        out[i] = _quotient(at(a, i), at(b, i))


@njit(**_EXACT)
def _div_floor(a, b, out):
    one, none = out.dtype.type(1), out.dtype.type(0)
    for i in range(out.size):
        x, y = at(a, i), at(b, i)
        q = _quotient(x, y)
        r = out.dtype.type(x - q * y)
        out[i] = q - (one if r != 0 and (r ^ y) < 0 else none)


fmod, remainder, div_trunc, div_floor = map(mapped, (_fmod, _remainder, _div_trunc, _div_floor))
