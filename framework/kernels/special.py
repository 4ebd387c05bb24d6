"""Special functions: SciPy's on the host, CuPy's copies of them on the device.

Every kernel computes in its arrays' own type; 16-bit floats by way of float32. PyTorch refuses some
functions for them and all for complex numbers: ``called`` is its name of a kernel in that error.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.kernels import compiled, module_of
from framework.kernels.floats import real_floating, type_name, wide
from framework.kernels.meta import META_NUMPY

__all__ = [
    "airy_ai", "erf", "full_precision", "logit", "named", "orthogonal", "polygamma",
    "spherical_bessel_j0", "widened",
]  # fmt: skip

Kernel = Callable[..., Any]


@functools.cache
def _find(name: str, module: Any) -> Kernel:
    """The function of the library that knows the arrays of ``module``."""
    if module is np or module is META_NUMPY:
        from scipy import special

        found: Kernel = getattr(special, name)
        return found
    from cupyx.scipy import special as device_special

    return getattr(device_special, name, None) or _on_host(name)


def _on_host(name: str) -> Kernel:
    """A function that CuPy lacks, computed by SciPy."""

    def kernel(*arrays: Any) -> Any:
        like = _first(arrays)
        result = _find(name, np)(*[a.get() if hasattr(a, "get") else a for a in arrays])
        several = isinstance(result, tuple)
        with like.device:
            put = module_of(like).asarray
            return tuple(map(put, result)) if several else put(result)

    return kernel


def widened(compute: Kernel, called: str) -> Kernel:
    """A kernel of real floats, of which 16-bit ones are computed in float32."""

    def kernel(*arrays: Any, **meta: Any) -> Any:
        like = _first(arrays)
        dtype = real_floating(like, called).dtype
        if dtype.itemsize > 2:
            return compute(*arrays, **meta)
        arrays = tuple([wide(a) if hasattr(a, "dtype") else a for a in arrays])
        return compute(*arrays, **meta).astype(dtype)

    return kernel


def full_precision(compute: Kernel, called: str) -> Kernel:
    """A kernel of float32 and float64 only."""

    def kernel(*arrays: Any, **meta: Any) -> Any:
        like = _first(arrays)
        if like.dtype.kind != "f" or like.dtype.itemsize == 2:
            raise NotImplementedError(f"\"{called}\" not implemented for '{type_name(like)}'")
        return compute(*arrays, **meta)

    return kernel


def _first(arrays: Any) -> Any:
    """The first array; the rest may be numbers."""
    return next((a for a in arrays if hasattr(a, "dtype") and not isinstance(a, np.generic)),
                next(a for a in arrays if hasattr(a, "dtype")))  # fmt: skip


# Where PyTorch's results are others than SciPy's.
_EDGES: dict[str, Kernel] = {
    "erfinv": lambda xp, a, y: xp.copysign(y, a),
    "gammaln": lambda xp, a, y: xp.where(a == -np.inf, np.inf, y).astype(a.dtype, copy=False),
}


def _compiled(name: str, a: Any) -> Any:
    """The compiled kernel of a function of one array, by SciPy's name, or None."""
    if not compiled.is_plain(a) or not (kernels := compiled.family("gammas")):
        return None
    return kernels.FORWARD.get(name)


def named(name: str, called: str, narrow: bool = True) -> Kernel:
    """The library's function ``name`` as a kernel; ``narrow``: of 16-bit floats too."""

    def compute(*arrays: Any) -> Any:
        like = _first(arrays)
        if len(arrays) == 1 and (quick := _compiled(name, like)):
            return quick(like)
        xp = module_of(like)
        if len(arrays) > 1:  # a number beside a float32 array would make the result float64
            arrays = tuple(
                [a if hasattr(a, "dtype") else xp.asarray(a, like.dtype) for a in arrays]
            )
        found = _find(name, xp)(*arrays)
        return _EDGES[name](xp, like, found) if name in _EDGES else found

    return (widened if narrow else full_precision)(compute, called)


erf = named("erf", "erf_vml_cpu")


def _airy(a: Any) -> Any:
    xp = module_of(a)
    return _find("airy", xp)(xp.minimum(a, a.dtype.type(1e6)))[0]  # NaN beyond, where it is 0


airy_ai = full_precision(_airy, "airy_ai_cpu")


def _spherical_j0(a: Any) -> Any:
    xp = module_of(a)
    ratio = xp.sin(a) / xp.where(a == 0, 1, a)
    return xp.where(a == 0, 1, xp.where(xp.isinf(a), 0, ratio)).astype(a.dtype, copy=False)


spherical_bessel_j0 = full_precision(_spherical_j0, "spherical_bessel_j0_cpu")


def _logit(a: Any, *, eps: float | None) -> Any:
    xp = module_of(a)
    if eps is not None:
        a = xp.clip(a, eps, 1 - eps).astype(a.dtype, copy=False)
    return _find("logit", xp)(a)


logit = widened(_logit, "logit_cpu")


def _polygamma(a: Any, *, order: int) -> Any:
    """(-1)^(n+1) n! zeta(n+1, x), DLMF 5.15.1; reflected for the trigamma of negative x."""
    if order < 2 and (quick := _compiled(("psi", "trigamma")[order], a)):
        return quick(a)
    xp = module_of(a)
    if order == 0:
        return _find("psi", xp)(a)
    zeta = _find("zeta", xp)
    if order == 1:
        below = a < 0.5
        found = zeta(2, xp.where(below, 1 - a, a))
        reflected = xp.square(np.pi / xp.sin(np.pi * a)) - found
        return xp.where(below, reflected, found).astype(a.dtype, copy=False)
    # n! leaves the narrow types long before the product does.
    factorial = _find("gamma", xp)(np.float64(order + 1))
    found = (-1.0) ** (order + 1) * factorial * zeta(order + 1, a.astype(np.float64))
    return found.astype(a.dtype)


def polygamma(a: Any, *, order: int) -> Any:
    """The derivative of that order of the digamma function."""
    return _POLYGAMMA[min(order, 2)](a, order=order)


_POLYGAMMA = [widened(_polygamma, called) for called in ("digamma", "trigamma", "polygamma")]


def orthogonal(first: Any, step: Any, shifted: bool, limits: bool, called: str) -> Kernel:
    """Polynomials p_n(x) by their recurrence in n, in float64.

    Args:
        first: ``first(x)`` is p_1; p_0 is 1 and p_n of a negative n is 0.
        step: ``step(k, x, p_k, p_k-1)`` is p_k+1.
        shifted: their argument is 2x - 1.
        limits: PyTorch gives up (NaN) at degrees above 128 in float32 and 512 in float64.
    """

    def compute(x: Any, n: Any) -> Any:
        like = _first((x, n))
        xp, dtype = module_of(like), like.dtype
        x, n = xp.broadcast_arrays(xp.asarray(x, np.float64), xp.asarray(n).astype(np.int64))
        if shifted:
            x = 2 * x - 1
        before, last = xp.ones_like(x), first(x)
        result = xp.where(n < 0, 0, xp.where(n == 0, before, last))
        limit = 128 if dtype.itemsize == 4 else 512
        highest = int(n.max()) if n.size else 0
        for k in range(1, min(highest, limit) if limits else highest):
            before, last = last, step(k, x, last, before)
            result = xp.where(n > k, last, result)
        if limits:
            result = xp.where(n > limit, np.nan, result)
        return result.astype(dtype)

    return full_precision(compute, called)
