"""What NumPy or SciPy does slowly, done with the few ufuncs that are vectorised well.

Arrays of the host only; every function has the plain one beside it for all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.kernels import compiled

__all__ = [
    "ONE", "SMALL", "ZERO", "blend", "gelu", "gelu_slope", "is_quick", "logistic", "mean",
    "pick", "product", "total",
]  # fmt: skip

ndarray = np.ndarray
SMALL = 1 << 12  # below this many elements the plain way is as fast
_BLOCK = 1 << 16  # elements that stay in a core's second cache with their temporaries


# A number beside a small array costs NumPy more than the operation: as an array it costs nothing.
_REAL = (np.dtype(np.float32), np.dtype(np.float64))
ZERO: dict[Any, Any] = {dtype: np.zeros((), dtype) for dtype in _REAL}
ONE: dict[Any, Any] = {dtype: np.ones((), dtype) for dtype in _REAL}


# -- choosing -----------------------------------------------------------------------------------

_INTEGERS = {t().itemsize: np.dtype(t) for t in (np.int8, np.int16, np.int32, np.int64)}


def pick(condition: Any, a: Any, b: Any) -> Any:
    """`numpy.where`, of bfloat16 too: CuPy has no loop for that and gives float32."""
    dtype = getattr(a, "dtype", None)
    if dtype is not None and dtype.kind == "V" and getattr(b, "dtype", None) == dtype:
        bits = _INTEGERS[dtype.itemsize]
        return np.where(condition, a.view(bits), b.view(bits)).view(dtype)
    return np.where(condition, a, b)


def blend(condition: Any, a: Any, b: Any) -> Any:
    """`numpy.where`, by bits: its branches cost 4 ms per million where a condition is random."""
    if condition.__class__ is not ndarray or not _fits(condition, a, b):
        return pick(condition, a, b)
    if a.ndim or b.ndim:
        plain = all(not x.ndim or compiled.is_plain(x) for x in (a, b)) and a.dtype.char == "f"
        if plain and (pointwise := compiled.family("pointwise")):
            return pointwise.choose(condition, a, b)
    bits = _INTEGERS[a.dtype.itemsize]
    mask = condition.view(np.int8).astype(bits)
    if not a.ndim and not a.view(bits):  # what is chosen has no bits
        mask -= 1
        return _with(mask, b.view(bits)).view(a.dtype)
    np.negative(mask, out=mask)
    if not b.ndim and not b.view(bits):
        return _with(mask, a.view(bits)).view(a.dtype)
    result = _with(mask, a.view(bits) ^ b.view(bits))
    result ^= b.view(bits)
    return result.view(a.dtype)


def _with(mask: Any, x: Any) -> Any:
    """mask & x, in the mask's place if that is large enough."""
    return np.bitwise_and(mask, x, out=mask if x.ndim <= mask.ndim else None)


def _fits(condition: Any, a: Any, b: Any) -> bool:
    """Whether a and b are arrays of one shape, or of none, whose last part is the condition's."""
    if not (a.__class__ is b.__class__ is ndarray):
        return False
    shape = a.shape or b.shape or condition.shape
    size = a.size if a.ndim else b.size if b.ndim else condition.size
    return (
        size >= SMALL
        and condition.ndim > 0
        and condition.shape == shape[len(shape) - condition.ndim :]
        and condition.dtype.kind == "b"
        and condition.flags.c_contiguous
        and a.dtype == b.dtype
        and a.dtype.itemsize in _INTEGERS
        and a.dtype.kind in "fiu"
        and (not a.ndim or a.shape == shape)
        and (not b.ndim or b.shape == shape)
    )


# -- sums ----------------------------------------------------------------------------------------

_sum: Any = np.add.reduce
_prod: Any = np.multiply.reduce


def total(a: Any, dim: Any, keepdims: bool = False, dtype: Any = None) -> Any:
    """``a.sum``; that of NumPy warns of inf - inf from within its own Python code."""
    if a.__class__ is ndarray:
        return _sum(a, dim, dtype, None, keepdims)
    return a.sum(axis=dim, keepdims=keepdims, dtype=dtype)


def product(a: Any, dim: Any, keepdims: bool = False, dtype: Any = None) -> Any:
    """``a.prod``, likewise."""
    if a.__class__ is ndarray:
        return _prod(a, dim, dtype, None, keepdims)
    return a.prod(axis=dim, keepdims=keepdims, dtype=dtype)


def mean(a: Any, dim: tuple[int, ...], keepdims: bool = False) -> Any:
    """``a.mean`` of floating numbers, of which there must be some, in the same way."""
    if a.__class__ is not ndarray or a.dtype.itemsize < 4:  # of halves NumPy's is more exact
        return a.mean(axis=dim, keepdims=keepdims)
    return total(a, dim, keepdims) / a.dtype.type(math.prod([a.shape[d] for d in dim]))


# -- functions ----------------------------------------------------------------------------------


def logistic(a: Any) -> Any:
    """1 / (1 + e^-a) of real numbers, as PyTorch computes it: 0 where e^-a overflows."""
    if a.__class__ is not ndarray:
        return 1 / (1 + np.exp(-a))
    result = np.asarray(np.negative(a))  # in the ufunc's order, which `empty_like` does not know
    with np.errstate(over="ignore"):
        np.exp(result, out=result)
    result += 1
    return np.divide(1, result, out=result)


# The tail Q of the normal distribution, by erfc(z) = t exp(-z² + p(t)), t = 2 / (2 + z), for z >= 0
# with a fractional error below 1.2e-7 (Press et al., Numerical Recipes, section 6.2); p's highest
# power first.
_TAIL = [np.float32(c) for c in (
    0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418,
    0.37409196, 1.00002368, -1.26551223,
)]  # fmt: skip
_FAR = np.float32(14)  # where float32 has no tail any more
_ROOT_HALF = np.float32(0.5**0.5)
_INV_SQRT2PI = np.float32((2 * np.pi) ** -0.5)


def _tail(size: Any) -> Any:
    """Q(x) for an array ``size`` of |x|."""
    z = size * _ROOT_HALF
    t = z * np.float32(0.5)
    t += 1
    np.divide(1, t, out=t)
    power = t * _TAIL[0]
    for c in _TAIL[1:-1]:
        power += c
        power *= t
    power += _TAIL[-1]
    z *= z
    power -= z
    np.exp(power, out=power)
    power *= t
    power *= np.float32(0.5)
    return power


def _gelu_block(a: Any, out: Any) -> None:
    """x Φ(x) = max(x, 0) - |x| Q(|x|), which keeps its precision where x is negative."""
    size = np.abs(a)
    np.minimum(size, _FAR, out=size)
    np.maximum(a, 0, out=out)
    size *= _tail(size)
    out -= size
    if np.fmin.reduce(a) == -np.inf:
        out[a == -np.inf] = np.nan  # -inf times 0, as everybody has it


def _gelu_slope_block(a: Any, out: Any) -> None:
    """Φ(x) + x φ(x)."""
    size = np.abs(a)
    np.minimum(size, _FAR, out=size)
    np.multiply(a, a, out=out)
    out *= np.float32(-0.5)
    np.exp(out, out=out)
    out *= _INV_SQRT2PI
    out *= a
    tail = _tail(size)
    np.copysign(tail, a + 0, out=tail)  # not that of -0
    out -= tail
    out += a >= 0


def is_quick(a: Any) -> bool:
    """Whether `gelu` and `gelu_slope` can be used: for many float32 numbers."""
    return bool(a.__class__ is ndarray and a.dtype == np.float32 and a.size >= SMALL)


def gelu(a: Any) -> Any:
    """x Φ(x), Φ being the normal distribution."""
    return _in_blocks(_gelu_block, a)


def gelu_slope(a: Any) -> Any:
    """The derivative of `gelu`."""
    return _in_blocks(_gelu_slope_block, a)


def _in_blocks(compute: Callable[[Any, Any], None], a: Any) -> Any:
    flat = np.ascontiguousarray(a).reshape(-1)
    result = np.empty_like(flat)
    for start in range(0, len(flat), _BLOCK):
        part = slice(start, start + _BLOCK)
        compute(flat[part], result[part])
    return result.reshape(a.shape)
