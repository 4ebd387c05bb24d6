"""Singular values, eigenvalues and what is made of them: pseudo-inverses, ranks, projections.

The QR decomposition and its reflectors are in `orthogonal`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite, no_gradient
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.core.saved import values_known, wants_gradient
from framework.dtypes import FLOAT
from framework.kernels import module_of
from framework.kernels.floats import type_name
from framework.kernels.lapack import failed
from framework.ops.dims import named
from framework.ops.matrices import (
    adjoint,
    eye_like,
    floating,
    floating_or_complex,
    matrix,
    not_narrow,
)
from framework.ops.orthogonal import QR
from framework.ops.products import matmul
from framework.ops.select import where
from framework.ops.solve import solve_left
from framework.tensor import Tensor

__all__ = ["EIG", "EIGH", "SVD", "pinv", "pinv_backward", "pseudo_inverse", "svd_parts"]

_LINALG = ("linalg",)


# -- singular values ---------------------------------------------------------------------------


def _converged(compute: Any, api: str) -> Any:
    try:
        return compute()
    except np.linalg.LinAlgError:
        raise failed(api, 1) from None


def _np_svd(a: Any, **options: Any) -> Any:
    if not module_of(a).isfinite(a).all():
        raise failed("linalg.svd", -1)
    return _converged(lambda: module_of(a).linalg.svd(a, **options), "linalg.svd")


def _svd_kernel(a: Any, *, full: bool) -> Any:
    u, s, vh = _np_svd(a, full_matrices=full)
    return u, s, vh


def _svdvals_kernel(a: Any) -> Any:
    return _np_svd(a, compute_uv=False)


def _skew(x: Any) -> Any:
    return x - adjoint(x)


def _same_phase(a: Any, b: Any) -> bool:
    """Whether the loss can be invariant to the phases that complex vectors are free in."""
    if not values_known(a):
        return True
    lines = [x.diagonal(0, -2, -1)._data.imag for x in (a, b)]
    return bool(np.allclose(lines[0], -lines[1], rtol=1e-2, atol=1e-2))


def _svd_grad(g: Any, y0: Any, y1: Any, y2: Any) -> Any:
    """PyTorch's svd_backward."""
    gu, gs, gvh = g
    if gu is None and gs is None and gvh is None:
        return None
    k = y1.shape[-1]
    m, n = y0.shape[-2], y2.shape[-1]
    u, s, vh = y0[..., :, :k], y1, y2[..., :k, :]
    gu = None if gu is None else gu[..., :, :k]
    gvh = None if gvh is None else gvh[..., :k, :]
    if gu is None and gvh is None:
        return matmul(u * gs.unsqueeze(-2), vh)
    uu = None if gu is None else _skew(matmul(adjoint(u), gu))
    vv = None if gvh is None else _skew(matmul(vh, adjoint(gvh)))
    is_complex = u._data.dtype.kind == "c"
    if is_complex:
        some: Any = uu if uu is not None else vv
        if not _same_phase(some * 0 if uu is None else uu, some * 0 if vv is None else vv):
            raise RuntimeError(
                "svd_backward: The singular vectors in the complex case are specified up to "
                "multiplication by e^{i phi}. The specified loss function depends on this phase "
                "term, making it ill-defined."
            )
    square = s * s
    gaps = square.unsqueeze(-2) - square.unsqueeze(-1) + eye_like(s, k)
    columns, rows = s.unsqueeze(-2), s.unsqueeze(-1)
    if uu is not None and vv is not None:
        inner = (uu * columns + rows * vv) / gaps
    elif uu is not None:
        inner = (uu / gaps) * columns
    else:
        inner = rows * (vv / gaps)
    if gs is not None:
        inner = inner + gs.diag_embed()
    if is_complex and uu is not None and vv is not None:
        inner = inner + (uu.diagonal(0, -2, -1) / (2 * s)).diag_embed()
    if m > k and gu is not None:
        scaled = gu / columns
        inner = matmul(u, inner) + scaled - matmul(u, matmul(adjoint(u), scaled))
        return matmul(inner, vh)
    if n > k and gvh is not None:
        scaled = gvh / rows
        inner = matmul(inner, vh) + scaled - matmul(matmul(scaled, adjoint(vh)), vh)
        return matmul(u, inner)
    return matmul(u, matmul(inner, vh))


SVD = op(
    "svd", _svd_kernel, "a", grad=(_svd_grad,), wirtinger=True,
    samples=lambda s: [
        ((s.regular(3),), {"full": False}), ((s(4, 2),), {"full": False}),
        ((s(2, 3),), {"full": False}),
    ],
)  # fmt: skip
SVDVALS = op("svdvals", _svdvals_kernel, "a")


def svd_parts(a: Any, full: bool = False) -> Any:
    """(U, S, Vh), unchecked."""
    return apply(SVD, a, full=full)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, Vh) with ``A = U @ diag(S) @ Vh``, singular values descending; A is [*, m, n].

    Args:
        full_matrices: U is [*, m, m] and Vh [*, n, n], else only the first min(m, n) vectors. The
            gradient does not see the other ones.
        driver: accepted for CUDA tensors only, where it makes no difference.

    RuntimeError for integers, for fewer than two dimensions and for another driver than the
    default.

    >>> import framework as torch
    >>> torch.linalg.svd(torch.tensor([[3.0, 0.0], [0.0, -4.0]])).S
    tensor([4., 3.])
    """
    _check_svd(A, driver)
    return named("linalg_svd", "U", "S", "Vh")(apply(SVD, A, full=bool(full_matrices)))


def _check_svd(A: Tensor, driver: str | None) -> None:
    matrix(A, "linalg.svd")
    floating_or_complex(A, "linalg.svd")
    if driver is not None and not A.is_cuda:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of matrices [*, m, n], descending: [*, min(m, n)], real.

    RuntimeError for integers and for fewer than two dimensions.

    >>> import framework as torch
    >>> torch.linalg.svdvals(torch.tensor([[0.0, 2.0], [1.0, 0.0]]))
    tensor([2., 1.])
    """
    _check_svd(A, driver)
    if (modes.grad or modes.forward) and wants_gradient(A):
        return apply(SVD, A, full=False)[1]
    return apply(SVDVALS, A)


def _legacy_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with ``input = U @ diag(S) @ V.mH``; an older form of `linalg.svd`.

    Args:
        some: U `(*, m, k)` and V `(*, n, k)`, k = min(m, n); else both square.
        compute_uv: False gives zeros for (square) U and V.

    RuntimeError for integers and for fewer than two dimensions.

    >>> import framework as torch
    >>> torch.svd(torch.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    matrix(input, "linalg.svd")
    floating_or_complex(input, "linalg.svd")
    kind = named("svd", "U", "S", "V")
    if compute_uv:
        u, s, vh = apply(SVD, input, full=not some)
        return kind((u, s, adjoint(vh)))
    m, n = input.shape[-2:]
    u = input.new_zeros(*input.shape[:-2], m, m)
    return kind((u, svdvals(input), input.new_zeros(*input.shape[:-2], n, n)))


_legacy_svd.__name__ = _legacy_svd.__qualname__ = "svd"
function(checks=True, out=True)(_legacy_svd)


# -- eigenvalues -------------------------------------------------------------------------------


def _eig_kernel(a: Any) -> Any:
    if not np.isfinite(a).all():
        raise ValueError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    kind = np.result_type(a.dtype, np.complex64)
    w, v = _converged(lambda: np.linalg.eig(np.asarray(a)), "linalg.eig")
    return w.astype(kind), v.astype(kind)


def _eigvals_kernel(a: Any) -> Any:
    if not np.isfinite(a).all():
        raise ValueError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    kind = np.result_type(a.dtype, np.complex64)
    return _converged(lambda: np.linalg.eigvals(np.asarray(a)), "linalg.eig").astype(kind)


def _finite(a: Any) -> tuple[Any, Any]:
    """Matrices with the identity for those that are not finite, and NaN for them (else zero)."""
    xp = module_of(a)
    bad = ~xp.isfinite(a).all((-2, -1), keepdims=True)
    if not bad.any():
        return a, a.real.dtype.type(0)
    return xp.where(bad, xp.eye(a.shape[-1], dtype=a.dtype), a), xp.where(
        bad, a.real.dtype.type(np.nan), a.real.dtype.type(0)
    )


def _eigh_kernel(a: Any, *, UPLO: str) -> Any:
    a, nan = _finite(a)
    w, v = _converged(lambda: module_of(a).linalg.eigh(a, UPLO), "linalg.eigh")
    return w + (nan[..., 0] if nan.ndim else nan), v + nan


def _eigvalsh_kernel(a: Any, *, UPLO: str) -> Any:
    a, nan = _finite(a)
    w = _converged(lambda: module_of(a).linalg.eigvalsh(a, UPLO), "linalg.eigh")
    return w + (nan[..., 0] if nan.ndim else nan)


def _check_phase(inner: Any, name: str) -> None:
    if inner._data.dtype.kind != "c" or not values_known(inner):
        return
    line = inner.diagonal(0, -2, -1)._data
    if not np.allclose(line.imag, 0, rtol=1e-2, atol=1e-2):
        raise RuntimeError(
            f"{name}: The eigenvectors in the complex case are specified up to multiplication by "
            "e^{i phi}. The specified loss function depends on this quantity, so it is ill-defined."
        )


def _gaps(values: Any) -> Any:
    """``values[j] - values[i]``, and ones on the diagonal."""
    return values.unsqueeze(-2) - values.unsqueeze(-1) + eye_like(values, values.shape[-1])


def _eigh_grad(g: Any, y0: Any, y1: Any) -> Any:
    """PyTorch's linalg_eig_backward, the Hermitian case."""
    gw, gv = g
    if gw is None and gv is None:
        return None
    turned = adjoint(y1)
    if gv is None:
        return matmul(y1, gw.unsqueeze(-1) * turned)
    inner = matmul(turned, gv)
    _check_phase(inner, "linalg_eigh_backward")
    inner = _skew(inner) * 0.5 / _gaps(y0)  # what keeps the vectors orthonormal
    if gw is not None:
        inner = inner + gw.diag_embed()
    return matmul(y1, matmul(inner, turned))


def _eig_grad(g: Any, y0: Any, y1: Any) -> Any:
    """PyTorch's linalg_eig_backward: V^-H [(V^H gV - V^H V Re diag(V^H gV)) / E + gL] V^H."""
    gw, gv = g
    if gw is None and gv is None:
        return None
    turned = adjoint(y1)
    if gv is None:
        return solve_left(turned, gw.unsqueeze(-1) * turned)
    inner = matmul(turned, gv)
    _check_phase(inner, "linalg_eig_backward")
    line = inner.diagonal(0, -2, -1).real
    inner = inner - matmul(turned, y1 * line.unsqueeze(-2))
    inner = inner / _gaps(y0).conj()
    if gw is not None:
        inner = inner + gw.diag_embed()
    return solve_left(turned, matmul(inner, turned))


EIG = op("eig", _eig_kernel, "a", grad=(_eig_grad,), wirtinger=True,
         samples=lambda s: [((s.regular(3).detach(),), {})])  # fmt: skip
EIGVALS = op("eigvals", _eigvals_kernel, "a")
EIGH = op("eigh", _eigh_kernel, "a", grad=(_eigh_grad,), wirtinger=True,
          samples=lambda s: [((s.definite(3).detach(),), {"UPLO": "L"})])  # fmt: skip
EIGVALSH = op("eigvalsh", _eigvalsh_kernel, "a")


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def eig(A: Tensor) -> Any:
    """(eigenvalues, eigenvectors) of square matrices, both complex; vectors are columns of norm 1.

    The gradient is defined if the eigenvalues are distinct and the loss does not depend on the
    vectors' phases.

    RuntimeError for matrices that are not square, for integers, and for infinite or NaN elements.

    >>> import framework as torch
    >>> torch.linalg.eig(torch.tensor([[0.0, -1.0], [1.0, 0.0]])).eigenvalues
    tensor([0.+1.j, 0.-1.j])
    """
    floating(A, "linalg.eig")
    return named("linalg_eig", "eigenvalues", "eigenvectors")(apply(EIG, A))


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of square matrices `(*, n, n)`: complex, `(*, n)`, in no particular order.

    RuntimeError for matrices that are not square, and for infinite or NaN elements.

    >>> import framework as torch
    >>> torch.linalg.eigvals(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    tensor([0.+1.j, 0.-1.j])
    """
    floating(A, "linalg.eigvals")
    if (modes.grad or modes.forward) and wants_gradient(A):
        return apply(EIG, A)[0]
    return apply(EIGVALS, A)


def _triangle(UPLO: str) -> str:
    if str(UPLO).upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return str(UPLO).upper()


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues, eigenvectors) of Hermitian matrices: real, ascending; orthonormal columns.

    Args:
        UPLO: which triangle is read, "L" or "U".

    RuntimeError for matrices that are not square, for integers and for another UPLO.

    >>> import framework as torch
    >>> torch.linalg.eigh(torch.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    floating(A, "linalg.eigh")
    found = apply(EIGH, A, UPLO=_triangle(UPLO))
    return named("linalg_eigh", "eigenvalues", "eigenvectors")(found)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices, ascending.

    Real, `(*, n)`; arguments and errors as for `eigh`.

    >>> import framework as torch
    >>> torch.linalg.eigvalsh(torch.eye(2))
    tensor([1., 1.])
    """
    floating(A, "linalg.eigvalsh")
    side = _triangle(UPLO)
    if (modes.grad or modes.forward) and wants_gradient(A):
        return apply(EIGH, A, UPLO=side)[0]
    return apply(EIGVALSH, A, UPLO=side)


# -- what follows from them --------------------------------------------------------------------


def _cut(largest: Any, atol: Any, rtol: Any) -> Any:
    """The size below which singular values count as zero."""
    xp = module_of(largest)
    return xp.maximum(xp.asarray(atol), xp.asarray(rtol) * largest)


def _pinv_kernel(a: Any, atol: Any, rtol: Any, *, hermitian: bool) -> Any:
    m, n = a.shape[-2:]
    xp = module_of(a)
    if not a.size:
        return xp.zeros((*a.shape[:-2], n, m), a.dtype)
    if hermitian:
        w, v = _converged(lambda: xp.linalg.eigh(a), "linalg.eigh")
        size = xp.abs(w)
        cut = _cut(size.max(-1), atol, rtol)
        inverse = xp.where(size > cut[..., None], 1 / xp.where(w == 0, 1, w), 0).astype(w.dtype)
        return (v * inverse[..., None, :]) @ v.swapaxes(-2, -1).conj()
    u, s, vh = _np_svd(a, full_matrices=False)
    cut = _cut(s[..., 0], atol, rtol)
    inverse = xp.where(s > cut[..., None], 1 / xp.where(s == 0, 1, s), 0).astype(s.dtype)
    return (vh.swapaxes(-2, -1).conj() * inverse[..., None, :]) @ u.swapaxes(-2, -1).conj()


def pinv_backward(g: Any, y: Any, a: Any) -> Any:
    """The gradient for P = pinv(A): -(P G^H P)^H + (I - A P) G^H P P^H + P^H P G^H (I - P A).

    G. Golub and V. Pereyra, The differentiation of pseudo-inverses (1973). Only products of the
    smaller of both sizes, as in PyTorch.
    """
    p, ph, gh = y, adjoint(y), adjoint(g)
    if a.shape[-2] <= a.shape[-1]:
        inner = matmul(gh, p)  # G^H P
        left = matmul(inner, ph)
        right = matmul(ph, matmul(p, gh))
        total = -adjoint(matmul(p, inner)) + left - matmul(a, matmul(p, left))
        return total + right - matmul(matmul(right, p), a)
    inner = matmul(p, gh)  # P G^H
    right = matmul(ph, inner)
    left = matmul(matmul(gh, p), ph)
    total = -adjoint(matmul(inner, p)) + right - matmul(matmul(right, p), a)
    return total + left - matmul(a, matmul(p, left))


def _pinv_grad(g: Any, y: Any, a: Any) -> Any:
    return pinv_backward(g, y, a)


PINV = op(
    "pinv", _pinv_kernel, "a atol rtol", grad=(_pinv_grad, None, None), wirtinger=True,
    samples=lambda s: [
        ((s(3, 2), 0.0, 1e-15), {"hermitian": False}),
        ((s(2, 3), 0.0, 1e-15), {"hermitian": False}),
    ],
)  # fmt: skip


def _tolerances(A: Tensor, atol: Any, rtol: Any, api: str) -> tuple[Any, Any]:
    """Tolerances as numbers or real tensors; the type's epsilon where none is given."""
    for x, name in ((atol, "atol"), (rtol, "rtol")):
        if isinstance(x, Tensor) and x.is_complex():
            raise RuntimeError(
                f"{api}: {name} tensor of complex type is not supported. Got {type_name(x._data)}"
            )
    if rtol is None:
        given = atol is not None and (isinstance(atol, Tensor) or atol > 0)
        rtol = float(np.finfo(A._data.real.dtype).eps) * max(A.shape[-2:])
        if given and isinstance(atol, Tensor):
            rtol = where(atol.detach() > 0, 0.0, rtol)
        elif given:
            rtol = 0.0
    atol, rtol = (
        x.detach().to(A.device) if isinstance(x, Tensor) else x
        for x in (0.0 if atol is None else atol, rtol)
    )
    return atol, rtol


def pseudo_inverse(a: Any) -> Any:
    """The pseudo-inverse with the default tolerance, unchecked."""
    atol, rtol = _tolerances(a, None, None, "linalg.pinv")
    return apply(PINV, a, atol, rtol, hermitian=False)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def pinv(
    A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """The pseudo-inverse (Moore and Penrose) of matrices: [*, m, n] -> [*, n, m].

    Args:
        rcond: old name of ``rtol``.
        hermitian: A is Hermitian (its lower triangle is read): by eigenvalues.
        atol, rtol: singular values up to the larger of ``atol`` and ``rtol`` times the largest one
            count as zero; numbers or tensors that broadcast to the batch. By default 0, and the
            type's epsilon times max(m, n) (0 if ``atol`` is given).

    RuntimeError for integers and for fewer than two dimensions.

    >>> import framework as torch
    >>> torch.linalg.pinv(torch.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    api = "linalg.pinv"
    matrix(A, api)
    floating_or_complex(A, api)
    if rcond is not None:
        rtol = rcond
    if hermitian:
        floating(A, api)
    no_gradient("linalg_pinv", atol=atol, rtol=rtol)
    atol, rtol = _tolerances(A, atol, rtol, api)
    return apply(PINV, A, atol, rtol, hermitian=bool(hermitian))


@function(checks=True)
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv`: singular values up to ``rcond`` times the largest count as zero.

    `(*, m, n)` gives `(*, n, m)`.

    >>> import framework as torch
    >>> torch.pinverse(torch.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    return pinv(input, rcond)


def _rank_kernel(a: Any, atol: Any, rtol: Any, *, hermitian: bool) -> Any:
    if not a.size:
        return module_of(a).zeros(a.shape[:-2], np.int64)
    if hermitian:
        xp = module_of(a)
        s = xp.abs(_converged(lambda: xp.linalg.eigvalsh(a), "linalg.eigh"))
    else:
        s = _svdvals_kernel(a)
    cut = _cut(s.max(-1), atol, rtol)
    return (s > cut[..., None]).sum(-1).astype(np.int64)


RANK = op("matrix_rank", _rank_kernel, "a atol rtol")


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """How many singular values are not (nearly) zero, as int64; tolerances as in `linalg.pinv`.

    `(*, m, n)` gives `(*)`. RuntimeError for integers and for fewer than two dimensions.

    >>> import framework as torch
    >>> torch.linalg.matrix_rank(torch.ones(3, 3))
    tensor(1)
    """
    api = "torch.linalg.matrix_rank"
    matrix(A, api)
    floating_or_complex(A, api)
    if isinstance(tol, Tensor) and tol.is_complex():
        raise RuntimeError(
            f"{api}: tol tensor of complex type is not supported. Got {type_name(tol._data)}"
        )
    if tol is not None:
        atol, rtol = tol, 0.0
    if hermitian:
        floating(A, api)
    atol, rtol = _tolerances(A, atol, rtol, api)
    return apply(RANK, A, atol, rtol, hermitian=bool(hermitian))


def _basis(A: Tensor, q: int, niter: int, M: Tensor | None) -> Tensor:
    """An orthonormal basis near A's range. N. Halko et al. (2009), algorithm 4.4."""
    from framework.ops.random import randn

    start = randn(A.shape[-1], q, dtype=A.dtype, device=A.device)

    def times(x: Tensor) -> Tensor:
        return matmul(A, x) if M is None else matmul(A, x) - matmul(M, x)

    def back(x: Tensor) -> Tensor:
        product = matmul(adjoint(A), x)
        return product if M is None else product - matmul(adjoint(M), x)

    basis = apply(QR, times(start), mode="reduced")[0]
    for _ in range(niter):
        basis = apply(QR, back(basis), mode="reduced")[0]
        basis = apply(QR, times(basis), mode="reduced")[0]
    return basis


@function(method=False, checks=True)
@composite
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> Any:
    """(U, S, V): the q largest singular values (of ``A - M``), found with random projections.

    Args:
        A: [*, m, n].
        q: how many, somewhat more than A's rank.
        niter: power iterations.

    N. Halko, P.-G. Martinsson and J. Tropp, Finding structure with randomness (2009), 5.1.
    ValueError for fewer than two dimensions.

    >>> import framework as torch
    >>> U, S, V = torch.svd_lowrank(torch.ones(4, 3), q=1)
    >>> (U @ S.diag_embed() @ V.mT).sum().round()
    tensor(12.)
    """
    count, rounds = 6 if q is None else q, 2 if niter is None else niter
    if A.ndim < 2:
        raise ValueError(f"svd_lowrank: expected matrices [*, m, n], but got {list(A.shape)}")
    not_narrow(A, "geqrf_cpu")
    if M is not None:
        M = M.expand(A.shape)
    flipped = A.shape[-2] < A.shape[-1]
    if flipped:
        A, M = adjoint(A), None if M is None else adjoint(M)
    basis = _basis(A, count, rounds, M)
    small = matmul(adjoint(basis), A)
    if M is not None:
        small = small - matmul(adjoint(basis), M)
    u, s, vh = apply(SVD, small, full=False)
    u, v = matmul(basis, u), adjoint(vh)
    return (v, s, u) if flipped else (u, s, v)


@function(method=False, checks=True)
@composite
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    """(U, S, V): the q principal components of the rows of A, found with random projections.

    Args:
        A: [*, m, n], m observations of n variables.
        q: how many; 6 (or fewer for a small A) by default.
        center: subtract the columns' means first.

    ValueError for a q that is negative or above min(m, n), for integers, and for a vector.

    >>> import framework as torch
    >>> torch.pca_lowrank(torch.eye(3), q=2)[1].shape
    torch.Size([2])
    """
    if A.ndim < 2:
        raise ValueError(f"pca_lowrank: expected matrices [*, m, n], but got {list(A.shape)}")
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if A.dtype.category < FLOAT:
        raise ValueError(f"input must be a floating point tensor, but got {A.dtype}")
    if center:
        A = A - A.mean(-2, keepdim=True)
    return svd_lowrank(A, q, niter)
