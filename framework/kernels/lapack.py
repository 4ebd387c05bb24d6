"""LAPACK for batches of matrices: what NumPy's gufuncs lack comes from SciPy, matrix by matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework.kernels import LinAlgError, module_of
from framework.kernels.meta import MetaArray, meta_array

__all__ = [
    "broadcast_batches", "each", "failed", "first_failure", "getrf", "householder", "lapack",
    "permuted", "trsm",
]  # fmt: skip

_PREFIX = {"f": "s", "d": "d", "F": "c", "D": "z"}


def lapack(name: str, dtype: Any) -> Callable[..., Any]:
    """SciPy's wrapper of a LAPACK routine for this type: ``lapack("getrf", float64)``."""
    from scipy.linalg import lapack as routines

    return getattr(routines, _PREFIX[np.dtype(dtype).char] + name)


def each(call: Callable[..., Any], *arrays: Any, results: tuple[tuple[Any, Any], ...]) -> Any:
    """``call`` for the matrices of equal batches, written into stacks.

    Args:
        results: (shape of one, dtype) of each result; an empty one is left alone.
    """
    batch = arrays[0].shape[:-2]
    if isinstance(arrays[0], MetaArray):
        return tuple([meta_array((*batch, *shape), dtype) for shape, dtype in results])
    outs = [np.zeros((*batch, *shape), dtype) for shape, dtype in results]
    if all(a.size for a in arrays):
        for at in np.ndindex(*batch):
            for out, value in zip(outs, call(*[a[at] for a in arrays])):
                out[at] = value
    return tuple(outs)


def broadcast_batches(*arrays: Any) -> list[Any]:
    """The arrays with one common batch in front of their last two dimensions."""
    batch = np.broadcast_shapes(*[a.shape[:-2] for a in arrays])
    xp = module_of(arrays[0])
    return [xp.broadcast_to(a, (*batch, *a.shape[-2:])) for a in arrays]


# -- failures ----------------------------------------------------------------------------------


def failed(api: str, info: int, where: str = "") -> LinAlgError:
    """PyTorch's words for LAPACK's error number of a routine."""
    kind = next(
        (k for k in ("inv", "solve", "cholesky", "eig", "svd", "lstsq", "lu_factor") if k in api),
        "",
    )
    words = {
        "inv": f"The diagonal element {info} is zero, the inversion could not be completed because "
        "the input matrix is singular.",
        "solve": "The solver failed because the input matrix is singular.",
        "cholesky": "The factorization could not be completed because the input is not "
        f"positive-definite (the leading minor of order {info} is not positive-definite).",
        "eig": "The algorithm failed to converge because the input matrix is ill-conditioned or "
        f"has too many repeated eigenvalues (error code: {info}).",
        "svd": "The algorithm failed to converge because the input matrix contained non-finite "
        "values."
        if info < 0
        else "The algorithm failed to converge because the input matrix is ill-conditioned or "
        f"has too many repeated singular values (error code: {info}).",
        "lstsq": "The least squares solution could not be computed because the input matrix does "
        f"not have full rank (error code: {info}).",
        "lu_factor": f"U[{info},{info}] is zero and using it on lu_solve would result in a "
        "division by zero. If you still want to perform the factorization, consider calling "
        "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)",
    }.get(kind, f"Unknown error code: {info}.")
    return LinAlgError(f"{api}: {where}{words}")


def first_failure(api: str, info: Any) -> LinAlgError | None:
    """The error of the first matrix of a batch whose number is not zero, if there is one."""
    if not info.any():
        return None
    flat = np.asarray(info).reshape(-1)
    at = int(np.flatnonzero(flat)[0])
    return failed(api, int(flat[at]), f"(Batch element {at}): " if info.ndim else "")


# -- routines ----------------------------------------------------------------------------------


def getrf(a: Any) -> tuple[Any, Any, Any]:
    """LU factors in one matrix, pivots as LAPACK counts them (from 1), error numbers."""
    m, n = a.shape[-2:]
    routine = lapack("getrf", a.dtype)

    def one(x: Any) -> tuple[Any, Any, int]:
        lu, pivots, info = routine(x)
        return lu, pivots + 1, info

    kinds = (((m, n), a.dtype), ((min(m, n),), np.int32), ((), np.int32))
    lu, pivots, info = each(one, a, results=kinds)
    return lu, pivots, info


def permuted(pivots: Any, size: int) -> Any:
    """LAPACK's row exchanges as an order: rows ``order`` of A are those of L U."""
    xp = module_of(pivots)
    order = xp.empty((*pivots.shape[:-1], size), np.int64)
    order[...] = xp.arange(size)
    if not size:
        return order
    rows = order.reshape(-1, size)
    lines = xp.arange(len(rows))  # CuPy 13 has no `put_along_axis`
    for i in range(pivots.shape[-1]):
        other = pivots[..., i].reshape(-1).astype(np.int64) - 1
        here = rows[:, i].copy()
        rows[:, i] = rows[lines, other]
        rows[lines, other] = here
    return order


def trsm(a: Any, b: Any, upper: bool, unit: bool) -> Any:
    """X with ``a @ X = b`` for triangular ``a``; a zero on the diagonal divides by zero."""
    from scipy.linalg import blas

    routine = getattr(blas, _PREFIX[a.dtype.char] + "trsm")
    a, b = broadcast_batches(a, b)

    def one(x: Any, y: Any) -> tuple[Any]:
        return (routine(1.0, x, y, lower=int(not upper), diag=int(unit)),)

    return each(one, a, b, results=((b.shape[-2:], b.dtype),))[0]


def householder(a: Any, tau: Any) -> Any:
    """The first columns of the product of reflectors ``I - tau v v^H`` (LAPACK's orgqr)."""
    xp = module_of(a)
    m, n = a.shape[-2:]
    q = xp.zeros(a.shape, a.dtype)
    q[...] = xp.eye(m, n, dtype=a.dtype)
    for i in reversed(range(tau.shape[-1])):
        v = a[..., i:, i].copy()
        v[..., 0] = 1
        part = q[..., i:, :]
        row = xp.matmul(v[..., None, :].conj(), part)
        part -= tau[..., i, None, None] * v[..., :, None] * row
    return q
