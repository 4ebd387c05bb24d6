"""Matrices factored and solved on a device, by what CuPy has of cuSOLVER and cuBLAS.

Each function is named as its op and takes its arrays. It returns None for what CuPy has no routine
for (other types, empty matrices) and where a routine said that it failed: the kernel on the host
then says which matrix of the batch it was (`table.ON_HOST`). Routines leave an error number on the
device, so each call here waits for it once.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "cholesky", "cholesky_ex", "cholesky_inverse", "cholesky_solve", "eig", "eigvals", "inv",
    "inv_ex", "lstsq", "lu_factor", "solve", "solve_ex", "solve_triangular",
]  # fmt: skip

_TYPES = frozenset("fdFD")


def _on_device(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` with CuPy in front of its arguments, for matrices of one type that it knows."""

    @functools.wraps(call)
    def kernel(*given: Any, **meta: Any) -> Any:
        arrays = [a for a in given if hasattr(a, "dtype")]
        kind = arrays[0].dtype
        if any(isinstance(a, np.ndarray) or a.dtype != kind or not a.size for a in arrays):
            return None
        if kind.char not in _TYPES:
            return None
        import cupy
        import cupyx

        try:
            with arrays[0].device, cupyx.errstate(linalg="raise"):
                return call(cupy, *given, **meta)
        except np.linalg.LinAlgError:
            return None

    return kernel


def _as_batches(xp: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """Both with one common batch."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    one, other = (xp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    return one, other


def _adjoint(a: Any) -> Any:
    return a.swapaxes(-2, -1).conj()


def _fine(xp: Any, a: Any) -> Any:
    """Error numbers of a batch in which nothing failed."""
    return xp.zeros(a.shape[:-2], np.int32)


# -- square matrices ----------------------------------------------------------------------------


@_on_device
def inv(xp: Any, a: Any) -> Any:
    """The inverses of (..., n, n)."""
    return xp.linalg.inv(a)


@_on_device
def inv_ex(xp: Any, a: Any) -> Any:
    """The same, and error numbers."""
    return xp.linalg.inv(a), _fine(xp, a)


@_on_device
def solve(xp: Any, a: Any, b: Any) -> Any:
    """X (..., n, k) with ``a @ X = b``; batches broadcast."""
    if a.ndim == 2 < b.ndim:  # one matrix: all right-hand sides are its columns
        n, k = b.shape[-2:]
        columns = xp.moveaxis(b, -2, 0).reshape(n, -1)
        found = xp.linalg.solve(a, columns)
        return xp.moveaxis(found.reshape(n, *b.shape[:-2], k), 0, -2)
    return xp.linalg.solve(*_as_batches(xp, a, b))


@_on_device
def solve_ex(xp: Any, a: Any, b: Any) -> Any:
    """The same, and error numbers."""
    return xp.linalg.solve(*_as_batches(xp, a, b)), _fine(xp, a)


@_on_device
def lu_factor(xp: Any, a: Any) -> Any:
    """LU factors in one matrix, pivots from 1 on, error numbers; matrix by matrix."""
    from cupyx.scipy.linalg import lu_factor as factored

    m, n = a.shape[-2:]
    matrices = a.reshape(-1, m, n)
    packed = xp.empty(matrices.shape, a.dtype)
    pivots = xp.empty((len(matrices), min(m, n)), np.int32)
    with warnings.catch_warnings():  # that one is singular is told by its number
        warnings.simplefilter("ignore", RuntimeWarning)
        for i in range(len(matrices)):
            packed[i], pivots[i] = factored(matrices[i], check_finite=False)
    pivots += 1
    zero = xp.diagonal(packed, 0, -2, -1) == 0
    info = xp.where(zero.any(-1), zero.argmax(-1) + 1, 0).astype(np.int32)
    batch = a.shape[:-2]
    return packed.reshape(a.shape), pivots.reshape(*batch, -1), info.reshape(batch)


# -- triangular and positive-definite ones ------------------------------------------------------


def _triangular(xp: Any, a: Any, b: Any, upper: bool, unit: bool) -> Any:
    from cupyx.scipy.linalg import solve_triangular as solved

    if a.ndim == 2 < b.ndim:
        n, k = b.shape[-2:]
        columns = xp.moveaxis(b, -2, 0).reshape(n, -1)
        found = solved(a, columns, trans="N", lower=not upper, unit_diagonal=unit)
        return xp.moveaxis(found.reshape(n, *b.shape[:-2], k), 0, -2)
    a, b = _as_batches(xp, a, b)
    if a.ndim == 2 or int(xp.__version__.partition(".")[0]) >= 14:
        return solved(a, b, trans="N", lower=not upper, unit_diagonal=unit)
    found = xp.empty(b.shape, b.dtype)  # CuPy 13 knows no batches here
    for at in np.ndindex(b.shape[:-2]):
        found[at] = solved(a[at], b[at], trans="N", lower=not upper, unit_diagonal=unit)
    return found


@_on_device
def solve_triangular(xp: Any, a: Any, b: Any, *, upper: bool, unit: bool) -> Any:
    """X with ``a @ X = b``, of which one triangle is read; batches broadcast."""
    return _triangular(xp, a, b, upper, unit)


def _factor(xp: Any, a: Any, upper: bool) -> Any:
    if upper:  # CuPy reads the lower triangle
        return _adjoint(xp.linalg.cholesky(_adjoint(a)))
    return xp.linalg.cholesky(a)


@_on_device
def cholesky(xp: Any, a: Any, *, upper: bool) -> Any:
    """L with ``L @ L.mH = a``, or ``upper`` its adjoint."""
    return _factor(xp, a, upper)


@_on_device
def cholesky_ex(xp: Any, a: Any, *, upper: bool) -> Any:
    """The same, and error numbers."""
    return _factor(xp, a, upper), _fine(xp, a)


def _by_factor(xp: Any, b: Any, factor: Any, upper: bool) -> Any:
    low, up = (_adjoint(factor), factor) if upper else (factor, _adjoint(factor))
    return _triangular(xp, up, _triangular(xp, low, b, False, False), True, False)


@_on_device
def cholesky_solve(xp: Any, b: Any, factor: Any, *, upper: bool) -> Any:
    """X with ``A @ X = b``, from A's factor."""
    return _by_factor(xp, b, factor, upper)


@_on_device
def cholesky_inverse(xp: Any, factor: Any, *, upper: bool) -> Any:
    """A's inverse, from its factor."""
    eye = xp.broadcast_to(xp.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
    return _by_factor(xp, eye, factor, upper)


# -- least squares and eigenvalues --------------------------------------------------------------


@_on_device
def lstsq(xp: Any, a: Any, b: Any, rcond: Any, *, driver: str) -> Any:
    """(solution, residuals, no rank, no values) by QR, as PyTorch on CUDA; of full rank (gels)."""
    if driver != "gels" or a.shape[:-2] != b.shape[:-2]:
        return None
    m, n = a.shape[-2:]
    real = a.real.dtype
    if m >= n:
        q, r = xp.linalg.qr(a)
        x = _triangular(xp, r, xp.matmul(_adjoint(q), b), True, False)
    else:  # the shortest of all solutions
        q, r = xp.linalg.qr(_adjoint(a))
        x = xp.matmul(q, _triangular(xp, _adjoint(r), b, False, False))
    if (xp.diagonal(r, 0, -2, -1) == 0).any():
        return None
    left = xp.zeros((0,), real)
    if m > n:
        left = xp.square(xp.abs(b - xp.matmul(a, x))).sum(-2)
    return x, left, xp.zeros((0,), np.int64), xp.zeros((0,), real)


def _eigen(xp: Any, call: str, a: Any) -> Any:
    if not hasattr(xp.linalg, call) or not xp.isfinite(a).all():
        return None
    try:
        return getattr(xp.linalg, call)(a)
    except RuntimeError:  # cuSOLVER has it from CUDA 12.8 on
        return None


@_on_device
def eig(xp: Any, a: Any) -> Any:
    """Eigenvalues and eigenvectors, complex."""
    found, kind = _eigen(xp, "eig", a), np.result_type(a.dtype, np.complex64)
    return found and tuple([x.astype(kind, copy=False) for x in found])


@_on_device
def eigvals(xp: Any, a: Any) -> Any:
    """Eigenvalues, complex."""
    found = _eigen(xp, "eigvals", a)
    return None if found is None else found.astype(np.result_type(a.dtype, np.complex64))
