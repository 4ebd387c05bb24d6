"""Linear equations: inverses, solutions with square and triangular matrices, least squares."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.core.saved import all_values
from framework.dtypes import FLOAT
from framework.kernels import module_of, to_host
from framework.kernels.floats import type_name
from framework.kernels.lapack import first_failure, getrf, permuted, trsm
from framework.ops.dims import named
from framework.ops.matrices import (
    adjoint,
    floating,
    floating_or_complex,
    matrix,
    not_narrow,
    same_types,
    square,
    transposed,
)
from framework.ops.products import matmul
from framework.ops.shape import common_shape
from framework.tensor import Tensor

__all__ = ["INV", "SOLVE", "TRIANGULAR", "inv", "solve", "solve_left", "triangular"]

_LINALG = ("linalg",)


# -- inverses ----------------------------------------------------------------------------------


def _tried(compute: Any, api: str) -> Any:
    """``compute(*matrices)``; a singular first matrix of a batch is named in the error."""

    def kernel(a: Any, *rest: Any) -> Any:
        try:
            return compute(a, *rest)
        except np.linalg.LinAlgError:
            error = first_failure(api, getrf(np.asarray(a))[2])
            if error is None:
                raise
        raise error

    return kernel


def _np_inv(a: Any) -> Any:
    return module_of(a).linalg.inv(a)


def _np_solve(a: Any, b: Any) -> Any:
    return module_of(a).linalg.solve(a, b)


def _with_numbers(compute: Any) -> Any:
    """With the error numbers as a second result; singular matrices divide by zero."""

    def kernel(a: Any, *rest: Any) -> Any:
        info = np.zeros(a.shape[:-2], np.int32)
        try:
            return compute(a, *rest), info
        except np.linalg.LinAlgError:
            packed, pivots, info = getrf(np.asarray(a))
        n = a.shape[-1]
        order = permuted(pivots, n)
        b = rest[0] if rest else np.eye(n, dtype=a.dtype)
        rows = np.broadcast_to(b, (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]))
        order = np.broadcast_to(order, (*rows.shape[:-2], n))
        rows = np.take_along_axis(rows, order[..., None], -2)
        return trsm(packed, trsm(packed, rows, False, True), True, False), info

    return kernel


def _first(g: Any) -> Any:
    return g[0] if isinstance(g, tuple) else g


def _inv_grad(g: Any, y: Any) -> Any:
    g = _first(g)
    return None if g is None else -matmul(transposed(y), matmul(g, transposed(y)))


INV = op(
    "inv", _tried(_np_inv, "linalg.inv"), "a", grad=(_inv_grad,),
    samples=lambda s: [((s.regular(3),), {})],
)  # fmt: skip
INV_EX = op(
    "inv_ex", _with_numbers(_np_inv), "a", grad=(_inv_grad,),
    samples=lambda s: [((s.regular(3),), {})],
)  # fmt: skip


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices [*, n, n], float or complex.

    Raises:
        LinAlgError: a matrix is singular; says which and where.

    >>> import framework as torch
    >>> torch.linalg.inv(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    floating(A, "linalg.inv")
    return apply(INV, A)


@function(checks=True, out=True)
def inverse(input: Tensor) -> Tensor:
    """Alias of `linalg.inv`."""
    return inv(input)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """(inverse, info): as `linalg.inv`, with an error number for each matrix instead of an error.

    ``info`` (int32, of the batch's shape) is 0, or i for a singular matrix (the i-th pivot is
    zero), whose inverse is NaN. LinAlgError for it only with ``check_errors``.

    >>> import framework as torch
    >>> torch.linalg.inv_ex(torch.tensor([[2.0, 0.0], [0.0, 0.0]])).info
    tensor(2, dtype=torch.int32)
    """
    floating(A, "linalg.inv_ex")
    found = apply(INV_EX, A)
    _raise_if(check_errors, "linalg.inv_ex", found[1])
    return named("linalg_inv_ex", "inverse", "info")(found)


def _raise_if(wanted: bool, api: str, info: Tensor) -> None:
    if wanted and not info.is_meta:
        error = first_failure(api, to_host(all_values(info)))
        if error is not None:
            raise error


# -- square matrices ---------------------------------------------------------------------------


def _solve_grad(g: Any, n: Any, a: Any, y0: Any) -> tuple[Any, Any]:
    g = _first(g)
    if g is None:
        return None, None
    back = apply(SOLVE, transposed(a), g)
    return (-matmul(back, transposed(y0)) if n.needs(0) else None), back


SOLVE = op(
    "solve", _tried(_np_solve, "torch.linalg.solve"), "ab", grad=_solve_grad,
    samples=lambda s: [((s.regular(3), s(3, 2)), {}), ((s.regular(3), s(2, 3, 1)), {})],
)  # fmt: skip
SOLVE_EX = op(
    "solve_ex", _with_numbers(_np_solve), "ab", grad=_solve_grad,
    samples=lambda s: [((s.regular(3), s(3, 2)), {})],
)  # fmt: skip


def solve_left(a: Any, b: Any) -> Any:
    """X with ``a @ X = b``, unchecked, for matrices."""
    return apply(SOLVE, a, b)


def _solve(record: Any, A: Tensor, B: Tensor, left: bool, api: str) -> Any:
    floating(A, api)
    same_types(A, B, api)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    if vector:
        if not left:
            raise RuntimeError(
                f"{api}: Vector broadcasting of the left hand side is not supported for "
                "left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)"
            )
        B = B.unsqueeze(-1)
    check_fit(A, B, left, api)
    if not left:
        found = apply(record, transposed(A), transposed(B))
    else:
        found = apply(record, A, B)
    x, rest = (found[0], found[1:]) if isinstance(found, tuple) else (found, ())
    if vector:
        x = x.squeeze(-1)
    return (x if left else transposed(x), *rest)


def check_fit(A: Tensor, B: Tensor, left: bool, api: str) -> None:
    """Refuse right-hand sides of another height (or width) than the matrices."""
    matrix(B, api, "B")
    square(A, api)
    if A.shape[-2] != B.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{api}: Incompatible shapes of A and B for the equation {equation}"
            f" ({A.shape[-2]}x{A.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with ``A @ X = B`` (or ``X @ A = B``), for square matrices A; batches broadcast.

    Shapes: [*, n, n] and [*, n, k], or [*, n]: B is a batch of vectors if it has one dimension, or
    A's shape without its last one.

    Raises:
        LinAlgError: a matrix is singular.

    >>> import framework as torch
    >>> torch.linalg.solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    return _solve(SOLVE, A, B, left, "linalg.solve")[0]


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """(result, info): as `linalg.solve`, with an error number for each matrix instead of an error.

    ``info`` (int32, of the batch's shape) is 0, or i for a singular matrix. LinAlgError for it only
    with ``check_errors``.

    >>> import framework as torch
    >>> result, info = torch.linalg.solve_ex(torch.eye(2) * 2, torch.tensor([2.0, 4.0]))
    >>> result, info
    (tensor([1., 2.]), tensor(0, dtype=torch.int32))
    """
    found = _solve(SOLVE_EX, A, B, left, "linalg.solve_ex")
    _raise_if(check_errors, "torch.linalg.solve_ex", found[1])
    return named("linalg_solve_ex", "result", "info")(found)


# -- triangular matrices -----------------------------------------------------------------------


def _triangular_kernel(a: Any, b: Any, *, upper: bool, unit: bool) -> Any:
    return trsm(a, b, upper, unit)


def _triangular_grad(g: Any, n: Any, a: Any, y: Any, upper: bool, unit: bool) -> tuple[Any, Any]:
    back = apply(TRIANGULAR, transposed(a), g, upper=not upper, unit=unit)
    if not n.needs(0):
        return None, back
    full = -matmul(back, transposed(y))
    return (full.triu(int(unit)) if upper else full.tril(-int(unit))), back


TRIANGULAR = op(
    "solve_triangular", _triangular_kernel, "ab", grad=_triangular_grad,
    samples=lambda s: [
        ((s.regular(3), s(3, 2)), {"upper": True, "unit": False}),
        ((s.regular(3), s(2, 3, 1)), {"upper": False, "unit": True}),
    ],
)  # fmt: skip


def triangular(a: Any, b: Any, *, upper: bool, left: bool = True, unit: bool = False) -> Any:
    """X with ``a @ X = b`` or ``X @ a = b``, unchecked, reading one triangle of ``a``."""
    if left:
        return apply(TRIANGULAR, a, b, upper=upper, unit=unit)
    return transposed(apply(TRIANGULAR, transposed(a), transposed(b), upper=not upper, unit=unit))


@function(namespaces=_LINALG, method=False, checks=True, out="exact")
@composite
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with ``A @ X = B`` (or ``X @ A = B``) for triangular A; only that triangle is read.

    A zero on the diagonal gives inf or NaN, not an error.

    RuntimeError if shapes or dtypes do not fit; a zero on the diagonal makes infinite numbers.

    >>> import framework as torch
    >>> A = torch.tensor([[2.0, 7.0], [1.0, 1.0]])
    >>> torch.linalg.solve_triangular(A, torch.ones(2, 1), upper=False)
    tensor([[0.5000],
            [0.5000]])
    """
    api = "linalg.solve_triangular"
    same_types(A, B, api)
    check_fit(A, B, left, api)
    floating_or_complex(A, api)
    return triangular(A, B, upper=upper, left=left, unit=unitriangular)


@function(checks=True, out=True)
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """(solution, cloned_coefficient) of ``A @ X = b``; deprecated: see `linalg.solve_triangular`.

    RuntimeError if shapes or dtypes do not fit.

    >>> import framework as torch
    >>> torch.triangular_solve(torch.ones(2, 1), torch.eye(2)).solution.tolist()
    [[1.0], [1.0]]
    """
    warnings.warn(
        "torch.triangular_solve is deprecated in favor of torch.linalg.solve_triangular and will "
        "be removed in a future PyTorch release.",
        UserWarning,
        stacklevel=3,
    )
    if b.ndim < 2 or A.ndim < 2:
        which, x = ("b", b) if b.ndim < 2 else ("A", A)
        raise RuntimeError(
            f"torch.triangular_solve: Expected {which} to have at least 2 dimensions, but it has "
            f"{x.ndim} dimensions instead"
        )
    if b.dtype is not A.dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {type_name(b._data)} "
            f"and A of type {type_name(A._data)} instead."
        )
    if A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            "A must be batches of square matrices, but they are "
            f"{A.shape[-2]} by {A.shape[-1]} matrices"
        )
    if A.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for triangular_solve: each A matrix is {A.shape[-1]} by "
            f"{A.shape[-1]} but each b matrix is {b.shape[-2]} by {b.shape[-1]}"
        )
    if b.dtype.category < FLOAT:
        raise RuntimeError(f"triangular_solve: {type_name(b._data)} is not supported")
    not_narrow(b, "triangular_solve_cpu")
    batch = common_shape(b._data.shape[:-2], A._data.shape[:-2])
    coefficient = A.expand(*batch, *A.shape[-2:]).clone()
    if transpose:
        x = triangular(transposed(A), b, upper=not upper, unit=unitriangular)
    else:
        x = triangular(A, b, upper=upper, unit=unitriangular)
    return named("triangular_solve", "solution", "cloned_coefficient")((x, coefficient))


# -- least squares -----------------------------------------------------------------------------

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _lstsq_kernel(a: Any, b: Any, rcond: Any, *, driver: str) -> Any:
    """(solution, residuals, rank, singular values); what a driver does not give is empty."""
    m, n = a.shape[-2:]
    k = b.shape[-1]
    low = min(m, n)
    real = a.real.dtype
    batch = a.shape[:-2]
    ranked, valued = driver != "gels", driver in ("gelsd", "gelss")
    x = np.zeros((*batch, n, k), a.dtype)
    left = np.zeros((*batch, k), real)
    rank = np.zeros(batch if ranked else (0,), np.int64)
    values = np.zeros((*batch, low) if valued else (0,), real)
    if a.size and b.size:
        solver = _lstsq_solver(driver, a.dtype)
        for at in np.ndindex(*batch):
            raw, s, r = solver(a[at], b[at], float(rcond))
            x[at] = raw[:n]
            left[at] = (np.abs(raw[n:m]) ** 2).sum(0)
            if ranked:
                rank[at] = r
            if valued:
                values[at] = s
    full = driver == "gels" or bool((rank == n).all())
    if m <= n or driver == "gelsy" or not full:
        left = np.zeros((0,), real)
    return x, left, rank, values


def _lstsq_solver(driver: str, dtype: Any) -> Any:
    """LAPACK's driver as (a, b padded, rcond) -> (solution and rest, singular values, rank)."""
    from framework.kernels.lapack import failed, lapack

    routine = lapack(driver, dtype)

    def solver(a: Any, b: Any, rcond: float) -> Any:
        m, n = a.shape
        rows = np.zeros((max(m, n), b.shape[1]), dtype)
        rows[:m] = b
        values, rank = None, 0
        if driver == "gels":
            _, x, info = routine(a, rows)
        elif driver == "gelsy":
            work = lapack("gelsy_lwork", dtype)(m, n, b.shape[1], rcond)[0]
            pivots = np.zeros((n, 1), np.int32)
            _, x, _, rank, info = routine(a, rows, pivots, rcond, int(work.real))
        elif driver == "gelss":
            _, x, values, rank, _, info = routine(a, rows, cond=rcond)
        else:
            sizes = lapack("gelsd_lwork", dtype)(m, n, b.shape[1], rcond)[:-1]
            x, values, rank, info = routine(
                a, rows, *[int(np.real(size)) for size in sizes], rcond, False, False
            )
        if info > 0:
            raise failed("torch.linalg.lstsq", int(info))
        return x, values, rank

    return solver


def _lstsq_grad(g: Any, n: Any, a: Any, b: Any, y0: Any) -> tuple[Any, Any]:
    """The solution is pinv(A) B, the residuals are the squares of B - A X (as X is optimal)."""
    from framework.ops.spectra import pinv_backward, pseudo_inverse

    gx, gr = g[0], g[1]
    if g[0] is None and gr is None:
        return None, None
    ga = gb = None
    if gx is not None:
        inverse = pseudo_inverse(a)
        gb = matmul(adjoint(inverse), gx)
        if n.needs(0):
            ga = pinv_backward(matmul(gx, adjoint(b)), inverse, a)
    if gr is not None and gr.numel():
        rest = (b - matmul(a, y0)) * (2 * gr.unsqueeze(-2))
        gb = rest if gb is None else gb + rest
        more = -matmul(rest, adjoint(y0))
        ga = more if ga is None else ga + more
    return ga, gb


LSTSQ = op(
    "lstsq", _lstsq_kernel, "a b rcond", grad=_lstsq_grad, wirtinger=True,
    samples=lambda s: [
        ((s(4, 2), s(4, 3), 1e-15), {"driver": "gels"}),
        ((s(2, 3), s(2, 1), 1e-15), {"driver": "gelsy"}),
    ],
)  # fmt: skip


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None) -> Any:
    """(solution, residuals, rank, singular_values) of the least squares problem ``A @ X = B``.

    Args:
        A: [*, m, n].
        B: [*, m, k], or [*, m] as in `linalg.solve`.
        rcond: singular values below ``rcond`` times the largest count as zero; by default the
            type's epsilon times the larger of m and n.
        driver: "gelsy" (default), "gels" (A has full rank), "gelsd" or "gelss" (which also give
            the singular values).

    RuntimeError if shapes or dtypes do not fit, or for another driver.

    >>> import framework as torch
    >>> A = torch.tensor([[1.0], [1.0]])
    >>> torch.linalg.lstsq(A, torch.tensor([[1.0], [3.0]])).solution
    tensor([[2.0000]])
    """
    api = "torch.linalg.lstsq"
    if A.ndim < 2:
        raise RuntimeError(f"{api}: input must have at least 2 dimensions.")
    if B.ndim < 1:
        raise RuntimeError(f"{api}: other must have at least 1 dimension.")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{api}: Expected input and other to have the same dtype, but got input's dtype "
            f"{type_name(A._data)} and other's dtype {type_name(B._data)}"
        )
    floating_or_complex(A, api)
    off = A.ndim - B.ndim
    if off not in (0, 1):
        raise RuntimeError(
            f"{api}: input.dim() must be greater or equal to other.dim() and (input.dim() - "
            "other.dim()) <= 1"
        )
    vector = off == 1
    wide = B.unsqueeze(-1) if vector else B
    if A.shape[-2] != wide.shape[-2]:
        place = "-1" if vector else "-2"
        raise RuntimeError(f"{api}: input.size(-2) should match other.size({place})")
    chosen = "gelsy" if driver is None else driver
    if chosen not in _DRIVERS:
        raise RuntimeError(
            f"{api}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )
    if rcond is None:
        rcond = float(np.finfo(A._data.real.dtype).eps) * max(A.shape[-2], A.shape[-1])
    own = A._data.shape[:-2]
    batch = common_shape(A._data.shape[:-2], wide._data.shape[:-2])
    A = A.expand(*batch, *A.shape[-2:])
    wide = wide.expand(*batch, *wide.shape[-2:])
    x, left, rank, values = apply(LSTSQ, A, wide, float(rcond), driver=chosen)
    if vector:
        x = x.squeeze(-1)
        left = left.squeeze(-1) if left.ndim == A.ndim - 1 and left.numel() else left
    if own != batch:  # these two are of A alone
        first = tuple([slice(n) if n == 1 else slice(None) for n in own])
        skip = (0,) * (len(batch) - len(own))
        rank = rank[(*skip, *first)]
        values = values[(*skip, *first)] if values.numel() else values
    rank, values = rank.detach(), values.detach()
    kind = named("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
    return kind((x, left, rank, values))
