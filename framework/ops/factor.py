"""Factors of square matrices: LU, Cholesky, LDL, and equations solved with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.cautions import caution_once
from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.core.saved import all_values
from framework.dtypes import FLOAT, int32
from framework.kernels import module_of, to_host
from framework.kernels.floats import type_name
from framework.kernels.lapack import each, failed, first_failure, getrf, lapack, permuted, trsm
from framework.ops.dims import named
from framework.ops.matrices import (
    adjoint,
    eye_like,
    floating,
    floating_or_complex,
    matrix,
    not_narrow,
    same_types,
    square,
    transposed,
)
from framework.ops.products import matmul
from framework.ops.solve import _raise_if, check_fit, triangular
from framework.tensor import Tensor

__all__ = ["CHOLESKY", "LU", "cholesky", "lu_parts", "permutation"]

_LINALG = ("linalg",)


# -- LU ----------------------------------------------------------------------------------------


def _lu_grad(g: Any, y0: Any, y1: Any) -> Any:
    """From A = P L U: where one factor is not square, its rest is a triangular solution.

    The square part is from PyTorch's plu_backward: P L^-T [tril(L^T gL, -1) + triu(gU U^T)] U^-T.
    """
    g = g[0]
    if g is None:
        return None
    m, n = y0.shape[-2:]
    k = min(m, n)
    low, up = y0[..., :, :k], y0[..., :k, :]
    glow, gup = g[..., :, :k].tril(-1), g[..., :k, :].triu()
    low1, up1 = low[..., :k, :], up[..., :, :k]
    glow1, gup1 = glow[..., :k, :], gup[..., :, :k]
    rest = None
    if m > n:  # the rows below: L2 = A2 U^-1
        rest = triangular(transposed(up1), glow[..., k:, :], upper=False, left=False)
        gup1 = gup1 - matmul(transposed(low[..., k:, :]), rest).triu()
    elif m < n:  # the columns to the right: U2 = L^-1 A2
        rest = triangular(transposed(low1), gup[..., :, k:], upper=True, unit=True)
        glow1 = glow1 - matmul(rest, transposed(up[..., :, k:])).tril(-1)
    unit = low1.tril(-1) + eye_like(low1, k)
    inner = matmul(transposed(unit), glow1).tril(-1)
    inner = inner + matmul(gup1, transposed(up1.triu())).triu()
    inner = triangular(transposed(low1), inner, upper=True, unit=True)
    inner = triangular(transposed(up1), inner, upper=False, left=False)
    if rest is not None:
        from framework.ops.joining import cat

        inner = cat([inner, rest], -2 if m > n else -1)
    return matmul(permutation(y1.detach(), m, y0.dtype), inner)


LU = op(
    "lu_factor", lambda a: getrf(np.asarray(a)), "a", grad=(_lu_grad,),
    samples=lambda s: [((s.regular(3),), {}), ((s(3, 2),), {}), ((s(2, 3),), {})],
)  # fmt: skip


def _permutation_kernel(pivots: Any, *, size: int, dtype: Any) -> Any:
    """LAPACK's row exchanges as a matrix P with A = P L U."""
    rows = module_of(pivots).arange(size)[:, None]
    return (permuted(pivots, size)[..., None, :] == rows).astype(dtype)


PERMUTATION = op("lu_permutation", _permutation_kernel, "a")


def permutation(pivots: Any, size: int, dtype: Any) -> Any:
    """The matrix P of LU factors from their pivots."""
    return apply(PERMUTATION, pivots, size=size, dtype=dtype.numpy)


def lu_parts(packed: Any) -> tuple[Any, Any]:
    """L (with ones on its diagonal) and U from the matrix that holds both."""
    m, n = packed.shape[-2:]
    k = min(m, n)
    low = packed[..., :, :k].tril(-1)
    low = low + _eye(m, k, low)
    return low, packed[..., :k, :].triu()


def _eye(m: int, n: int, like: Any) -> Any:
    from framework.ops.creation import eye

    return eye(m, n, dtype=like.dtype, device=like.device)


def _factored(A: Tensor, pivot: bool, api: str) -> Any:
    matrix(A, api)
    floating_or_complex(A, api)
    if not pivot:
        raise RuntimeError(f"{api}: LU without pivoting is not implemented on the CPU")
    return apply(LU, A)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """(LU, pivots): L and U of ``A = P @ L @ U`` in one matrix, and the row exchanges from 1.

    Raises:
        LinAlgError: U has a zero on its diagonal.

    >>> import framework as torch
    >>> torch.linalg.lu_factor(torch.tensor([[1.0, 2.0], [2.0, 2.0]])).LU
    tensor([[2.0000, 2.0000],
            [0.5000, 1.0000]])
    """
    packed, pivots, info = _factored(A, pivot, "linalg.lu_factor")
    _raise_if(True, "torch.linalg.lu_factor", info)
    return named("linalg_lu_factor", "LU", "pivots")((packed, pivots))


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """(LU, pivots, info): as `linalg.lu_factor`, with an error number for each matrix.

    ``info`` (int32, of the batch's shape) is 0, or i where U has a zero at the i-th place of its
    diagonal. LinAlgError for it only with ``check_errors``.

    >>> import framework as torch
    >>> torch.linalg.lu_factor_ex(torch.tensor([[1.0, 2.0], [2.0, 4.0]])).info
    tensor(2, dtype=torch.int32)
    """
    found = _factored(A, pivot, "linalg.lu_factor_ex")
    _raise_if(check_errors, "torch.linalg.lu_factor_ex", found[2])
    return named("linalg_lu_factor_ex", "LU", "pivots", "info")(found)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U) with ``A = P @ L @ U``, for matrices of any shape [*, m, n].

    P is `(*, m, m)`, L `(*, m, k)` and U `(*, k, n)`, k = min(m, n). RuntimeError for integers and
    for fewer than two dimensions.

    >>> import framework as torch
    >>> P, L, U = torch.linalg.lu(torch.tensor([[1.0, 2.0], [2.0, 2.0]]))
    >>> P @ L @ U
    tensor([[1., 2.],
            [2., 2.]])
    """
    packed, pivots, _ = _factored(A, pivot, "linalg.lu")
    low, up = lu_parts(packed)
    return named("linalg_lu", "P", "L", "U")((permutation(pivots, A.shape[-2], A.dtype), low, up))


def _legacy_lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """Deprecated: (LU, pivots) of `linalg.lu_factor`, with ``get_infos`` also info.

    `(*, m, n)` gives LU of that shape and pivots `(*, min(m, n))`.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     LU, pivots = torch.tensor([[1.0, 2.0], [2.0, 2.0]]).lu()
    >>> pivots
    tensor([2, 2], dtype=torch.int32)
    """
    import warnings

    warnings.warn(
        "torch.lu is deprecated in favor of torch.linalg.lu_factor / torch.linalg.lu_factor_ex and "
        "will be removed in a future PyTorch release.",
        UserWarning,
        stacklevel=3,
    )
    packed, pivots, info = _factored(A, pivot, "linalg.lu_factor_ex")
    if get_infos:
        return packed, pivots, info
    _raise_if(True, "torch.linalg.lu_factor", info)
    return packed, pivots


_legacy_lu.__name__ = _legacy_lu.__qualname__ = "lu"
function(out=True)(_legacy_lu)


@function(method=False, checks=True, out=True)
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """(P, L, U) from what `linalg.lu_factor` gives; what is not wanted is empty.

    RuntimeError for pivots that are not int32 and for fewer than two dimensions.

    >>> import framework as torch
    >>> A = torch.tensor([[1.0, 2.0], [2.0, 2.0]])
    >>> torch.lu_unpack(*torch.linalg.lu_factor(A)).L
    tensor([[1.0000, 0.0000],
            [0.5000, 1.0000]])
    """
    matrix(LU_data, "torch.lu_unpack", "LU_data")
    if unpack_pivots and LU_pivots.dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype.\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    empty = LU_data.new_zeros(0)
    p, low, up = empty, empty, empty
    if unpack_data:
        low, up = lu_parts(LU_data)
    if unpack_pivots:
        p = permutation(LU_pivots, LU_data.shape[-2], LU_data.dtype)
    return named("lu_unpack", "P", "L", "U")((p, low, up))


@function(namespaces=_LINALG, method=False, checks=True, out=True)
@composite
def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with ``A @ X = B`` from A's LU factors (``left=False``: X A = B; ``adjoint``: of A^H).

    RuntimeError if shapes or dtypes do not fit.

    >>> import framework as torch
    >>> factors = torch.linalg.lu_factor(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> torch.linalg.lu_solve(*factors, torch.ones(2, 1))
    tensor([[0.5000],
            [0.2500]])
    """
    api = "linalg.lu_solve"
    floating_or_complex(LU, api)
    if B.dtype is not LU.dtype:
        raise RuntimeError(
            f"{api}: Expected LU and B to have the same dtype, but found LU of type "
            f"{type_name(LU._data)} and B of type {type_name(B._data)} instead"
        )
    if pivots.dtype is not int32:
        raise RuntimeError(f"{api}: pivots should be a Tensor of scalar type torch.int32")
    square(LU, api, "LU")
    check_fit(LU, B, left, api)
    if pivots.shape[-1] != LU.shape[-1]:
        raise RuntimeError(
            f"{api}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if LU.shape[:-2] != pivots.shape[:-1]:
        raise RuntimeError(
            f"{api}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    p = permutation(pivots, LU.shape[-1], LU.dtype)
    return _lu_solved(LU, p, B, left, adjoint)


def _lu_solved(packed: Any, p: Any, b: Any, left: bool, conjugate: bool) -> Any:
    if not left:
        return adjoint(_lu_solved(packed, p, adjoint(b), True, not conjugate))
    if conjugate:
        turned = adjoint(packed)
        x = triangular(turned, b, upper=False)
        return matmul(p, triangular(turned, x, upper=True, unit=True))
    x = triangular(packed, matmul(transposed(p), b), upper=False, unit=True)
    return triangular(packed, x, upper=True)


def _legacy_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """Deprecated form of `linalg.lu_solve`, with ``b`` `(*, n, k)` first: X with ``A @ X = b``.

    >>> import framework as torch
    >>> import warnings
    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.ones(2, 1).lu_solve(LU, pivots)
    tensor([[0.5000],
            [0.2500]])
    """
    return lu_solve(LU_data, LU_pivots, b)


_legacy_lu_solve.__name__ = _legacy_lu_solve.__qualname__ = "lu_solve"
function(checks=True, out=True)(_legacy_lu_solve)


# -- Cholesky ----------------------------------------------------------------------------------


def _potrf(a: Any, upper: bool) -> Any:
    return np.linalg.cholesky(a, upper=upper)


def _potrf_numbers(a: Any, upper: bool) -> tuple[Any, Any]:
    routine = lapack("potrf", a.dtype)
    kinds = ((a.shape[-2:], a.dtype), ((), np.int32))
    return each(lambda x: routine(x, lower=int(not upper)), a, results=kinds)


def _cholesky_kernel(a: Any, *, upper: bool) -> Any:
    try:
        return _potrf(a, upper)
    except np.linalg.LinAlgError:
        error = first_failure("linalg.cholesky", _potrf_numbers(np.asarray(a), upper)[1])
        if error is None:
            raise
    raise error


def _cholesky_grad(g: Any, y: Any, upper: bool) -> Any:
    """I. Murray, Differentiation of the Cholesky decomposition (2016), eq. 10, symmetrized."""
    g = g[0] if isinstance(g, tuple) else g
    if g is None:
        return None
    if upper:
        y, g = adjoint(y), adjoint(g)
    inner = matmul(adjoint(y), g).tril()
    inner = (inner + adjoint(inner.tril(-1))) * 0.5
    inner = triangular(adjoint(y), inner, upper=True)
    return triangular(y, inner, upper=False, left=False)


CHOLESKY = op(
    "cholesky", _cholesky_kernel, "a", grad=(_cholesky_grad,), wirtinger=True,
    samples=lambda s: [((s.definite(3).detach(),), {"upper": False})],
)  # fmt: skip
CHOLESKY_EX = op(
    "cholesky_ex", lambda a, *, upper: _potrf_numbers(np.asarray(a), upper), "a",
    grad=(_cholesky_grad,), wirtinger=True,
    samples=lambda s: [((s.definite(3).detach(),), {"upper": True})],
)  # fmt: skip


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """Lower-triangular L with ``L @ L.mH = A`` (upper: U with ``U.mH @ U = A``).

    Args:
        A: Hermitian positive-definite matrices [*, n, n]; only one triangle is read.

    Raises:
        LinAlgError: not positive-definite; says which matrix, and at which minor.

    >>> import framework as torch
    >>> torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    floating(A, "linalg.cholesky")
    return apply(CHOLESKY, A, upper=bool(upper))


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """(L, info): as `linalg.cholesky`, with an error number for each matrix.

    ``info`` (int32, of the batch's shape) is 0, or the order of the first leading minor that is not
    positive-definite. LinAlgError for it only with ``check_errors``.

    >>> import framework as torch
    >>> L, info = torch.linalg.cholesky_ex(torch.tensor([[4.0, 0.0], [0.0, -1.0]]))
    >>> info
    tensor(2, dtype=torch.int32)
    """
    floating(A, "linalg.cholesky_ex")
    found = apply(CHOLESKY_EX, A, upper=bool(upper))
    _raise_if(check_errors, "linalg.cholesky_ex", found[1])
    return named("linalg_cholesky_ex", "L", "info")(found)


def _legacy_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """Alias of `linalg.cholesky`, with ``upper`` by position; deprecated in favour of it."""
    caution_once(
        "torch.cholesky is deprecated in favor of torch.linalg.cholesky and will be removed in a "
        "future PyTorch release.\nL = torch.cholesky(A)\nshould be replaced with\nL = "
        "torch.linalg.cholesky(A)\nand\nU = torch.cholesky(A, upper=True)\nshould be replaced "
        "with\nU = torch.linalg.cholesky(A).mH\nThis transform will produce equivalent results for "
        "all valid (symmetric positive definite) inputs."
    )
    square(input, "cholesky")
    floating(input, "cholesky")
    return apply(CHOLESKY, input, upper=bool(upper))


_legacy_cholesky.__name__ = _legacy_cholesky.__qualname__ = "cholesky"
function(checks=True, out=True)(_legacy_cholesky)


@function(checks=True, out=True)
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with ``A @ X = B`` from A's Cholesky factor; batches broadcast.

    B is `(*, n, k)`, the factor `(*, n, n)`, lower unless ``upper``. RuntimeError if shapes or
    dtypes do not fit.

    >>> import framework as torch
    >>> torch.cholesky_solve(torch.ones(2, 1), torch.eye(2) * 2)
    tensor([[0.2500],
            [0.2500]])
    """
    for x, name in ((B, "b"), (L, "u")):
        if x.ndim < 2:
            raise RuntimeError(
                f"{name} should have at least 2 dimensions, but has {x.ndim} dimensions instead"
            )
    same_types(B, L, "cholesky_solve", ("B", "A"))
    if L.shape[-1] != L.shape[-2]:
        raise RuntimeError(
            f"A must be batches of square matrices, but they are {L.shape[-2]} by {L.shape[-1]} "
            "matrices"
        )
    if L.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by "
            f"{L.shape[-1]} but each b matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    floating_or_complex(L, "cholesky_solve")
    return apply(CHOLESKY_SOLVE, B, L, upper=bool(upper))


def _potrs(b: Any, factor: Any, *, upper: bool) -> Any:
    turned = factor.swapaxes(-2, -1).conj()
    low, up = (turned, factor) if upper else (factor, turned)
    return trsm(up, trsm(low, b, False, False), True, False)


def _potrs_grad(g: Any, n: Any, factor: Any, y: Any, upper: bool) -> tuple[Any, Any]:
    """PyTorch's cholesky_solve_backward, which fills both triangles of the factor's gradient."""
    back = apply(CHOLESKY_SOLVE, g, factor, upper=upper)
    if not n.needs(1):
        return back, None
    term = matmul(back, adjoint(y))
    term = term + adjoint(term)
    return back, -(matmul(factor, term) if upper else matmul(term, factor))


CHOLESKY_SOLVE = op(
    "cholesky_solve", _potrs, "b factor", grad=_potrs_grad, wirtinger=True,
    samples=lambda s: [((s(3, 2), s.regular(3).detach()), {"upper": False})],
)  # fmt: skip


@function(checks=True, out=True)
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A from its Cholesky factor.

    The factor `(*, n, n)` is lower unless ``upper``. RuntimeError unless it is square.

    >>> import framework as torch
    >>> torch.cholesky_inverse(torch.eye(2) * 2)
    tensor([[0.2500, 0.0000],
            [0.0000, 0.2500]])
    """
    square(L, "cholesky_inverse")
    floating_or_complex(L, "cholesky_inverse")
    return apply(CHOLESKY_INVERSE, L, upper=bool(upper))


def _potri(factor: Any, *, upper: bool) -> Any:
    n = factor.shape[-1]
    return _potrs(np.broadcast_to(np.eye(n, dtype=factor.dtype), factor.shape), factor, upper=upper)


def _potri_grad(g: Any, a: Any, y: Any, upper: bool) -> Any:
    """PyTorch's cholesky_inverse_backward."""
    term = matmul(y, matmul(g + adjoint(g), y))
    return -(matmul(a, term) if upper else matmul(term, a))


CHOLESKY_INVERSE = op(
    "cholesky_inverse", _potri, "a", grad=(_potri_grad,), wirtinger=True,
    samples=lambda s: [((s.regular(3).detach(),), {"upper": True})],
)  # fmt: skip


# -- LDL ---------------------------------------------------------------------------------------


def _no_gradient(name: str) -> Any:
    def rule(g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return rule


def _ldl_kernel(a: Any, *, hermitian: bool) -> Any:
    name = "hetrf" if hermitian and a.dtype.kind == "c" else "sytrf"
    routine = lapack(name, a.dtype)
    n = a.shape[-1]
    kinds = (((n, n), a.dtype), ((n,), np.int32), ((), np.int32))
    factor, pivots, info = each(lambda x: routine(x, lower=1), np.asarray(a), results=kinds)
    return np.tril(factor), pivots, info


LDL = op(
    "ldl_factor", _ldl_kernel, "a", grad=(_no_gradient("linalg_ldl_factor_ex"),),
    samples=lambda s: [((s.definite(3).detach(),), {"hermitian": False})],
)  # fmt: skip


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> Any:
    """(LD, pivots) with ``A = L @ D @ L.mT`` of symmetric matrices `(*, n, n)`.

    For `linalg.ldl_solve`, packed as LAPACK's sytrf (hetrf) does: L below the diagonal, D, which
    may have blocks of two, on it; pivots are int32. Only the lower half of A is read; with
    ``hermitian`` L.mT is conjugated. LinAlgError if D is singular, RuntimeError for integers. There
    is no gradient.

    >>> import framework as torch
    >>> LD, pivots = torch.linalg.ldl_factor(torch.tensor([[2.0, 1.0], [1.0, 3.0]]))
    >>> LD
    tensor([[2.0000, 0.0000],
            [0.5000, 2.5000]])
    """
    floating(A, "torch.linalg.ldl_factor")
    packed, pivots, info = apply(LDL, A, hermitian=bool(hermitian))
    _raise_ldl(True, "torch.linalg.ldl_factor", info)
    return named("linalg_ldl_factor", "LD", "pivots")((packed, pivots))


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """(LD, pivots, info): as `linalg.ldl_factor`, with an error number for each matrix.

    ``info`` (int32) is 0, or i where D has a zero at the i-th place. LinAlgError for it only with
    ``check_errors``.

    >>> import framework as torch
    >>> torch.linalg.ldl_factor_ex(torch.eye(2)).info
    tensor(0, dtype=torch.int32)
    """
    floating(A, "torch.linalg.ldl_factor_ex")
    found = apply(LDL, A, hermitian=bool(hermitian))
    _raise_ldl(check_errors, "torch.linalg.ldl_factor_ex", found[2])
    return named("linalg_ldl_factor_ex", "LD", "pivots", "info")(found)


def _raise_ldl(wanted: bool, api: str, info: Tensor) -> None:
    if not wanted or info.is_meta:
        return
    numbers = to_host(all_values(info))
    if numbers.any():
        raise failed(api, int(numbers.reshape(-1)[np.flatnonzero(numbers)[0]]))


def _ldl_solve_kernel(factor: Any, pivots: Any, b: Any, *, hermitian: bool) -> Any:
    name = "hetrs" if hermitian and factor.dtype.kind == "c" else "sytrs"
    routine = lapack(name, factor.dtype)
    batch = np.broadcast_shapes(factor.shape[:-2], b.shape[:-2])
    n = factor.shape[-1]
    factor = np.broadcast_to(factor, (*batch, n, n))
    pivots = np.broadcast_to(pivots[..., None, :], (*batch, 1, n))
    b = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    return each(
        lambda x, p, y: (routine(x, p[0], y, lower=1)[0],), factor, pivots, b,
        results=((b.shape[-2:], b.dtype),),
    )[0]  # fmt: skip


LDL_SOLVE = op(
    "ldl_solve", _ldl_solve_kernel, "a pivots b",
    grad=lambda g: _no_gradient("linalg_ldl_solve")(g),
)  # fmt: skip


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """X with ``A @ X = B`` from what `linalg.ldl_factor` gives; B is `(*, n, k)`.

    Batches broadcast. RuntimeError if shapes or dtypes do not fit. There is no gradient.

    >>> import framework as torch
    >>> LD, pivots = torch.linalg.ldl_factor(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> torch.linalg.ldl_solve(LD, pivots, torch.ones(2, 1))
    tensor([[0.5000],
            [0.2500]])
    """
    api = "torch.linalg.ldl_solve"
    square(LD, api, "LD")
    matrix(B, api, "B")
    if LD.dtype.category < FLOAT:
        floating_or_complex(LD, api)
    not_narrow(LD, "ldl_solve_kernel_cpu")
    if LD.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"{api}: Expected A and B to have compatible shapes, but got {list(LD.shape)} and "
            f"{list(B.shape)}"
        )
    if LD.shape[:-1] != pivots.shape:
        raise RuntimeError(
            f"{api}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    if pivots.dtype.category >= FLOAT:
        raise RuntimeError(f"{api}: Expected pivots to be integers. Got {type_name(pivots._data)}")
    if B.dtype is not LD.dtype:
        raise RuntimeError(
            f"{api}: LD dtype {type_name(LD._data)} does not match B dtype {type_name(B._data)}"
        )
    return apply(LDL_SOLVE, LD, pivots, B, hermitian=bool(hermitian))
