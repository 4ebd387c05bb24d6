"""QR decompositions, and orthogonal matrices as products of reflectors."""

from __future__ import annotations

import warnings
from typing import Any

from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.kernels import module_of
from framework.kernels.floats import type_name
from framework.kernels.lapack import householder
from framework.ops.dims import named
from framework.ops.matrices import adjoint, floating_or_complex, matrix, real_part
from framework.ops.products import matmul
from framework.ops.solve import triangular
from framework.tensor import Tensor

__all__ = ["QR", "geqrf", "householder_product", "ormqr", "qr"]

_LINALG = ("linalg",)


# -- QR ----------------------------------------------------------------------------------------


def _qr_kernel(a: Any, *, mode: str) -> Any:
    xp = module_of(a)
    m, n = a.shape[-2:]
    if mode == "r":
        return xp.zeros((0,), a.dtype), xp.linalg.qr(a, mode="r")
    if not a.size:
        k = m if mode == "complete" else min(m, n)
        q = xp.zeros((*a.shape[:-2], m, k), a.dtype)
        q[...] = xp.eye(m, k, dtype=a.dtype)
        return q, xp.zeros((*a.shape[:-2], k, n), a.dtype)
    q, r = xp.linalg.qr(a, mode=mode)
    return q, r


def _qr_grad(g: Any, a: Any, y0: Any, y1: Any, mode: str) -> Any:
    """PyTorch's linalg_qr_backward; of a wide matrix [A1, A2] with A1 = Q R1, R2 = Q^H A2."""
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
            "use linalg.qr(A, mode='reduced') if you are going to require gradients."
        )
    m, n = a.shape[-2:]
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
        )
    gq, gr = g
    if gq is None and gr is None:
        return None
    if m >= n:
        return _qr_square(gq, gr, y0, y1)
    right = None
    if gr is not None:
        right = matmul(y0, gr[..., :, m:])
        more = matmul(a[..., :, m:], adjoint(gr[..., :, m:]))
        gq = more if gq is None else gq + more
        gr = gr[..., :, :m]
    left = _qr_square(gq, gr, y0, y1[..., :, :m])
    from framework.ops.joining import cat

    if right is None:
        right = a[..., :, m:] * 0
    return cat([left, right], -1)


def _qr_square(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    """[gQ + Q S(triu(gR R^H - Q^H gQ))] R^-H, where S mirrors the upper triangle."""
    inner: Any = None
    if gr is not None:
        inner = matmul(gr, adjoint(r))
    if gq is not None:
        other = matmul(adjoint(q), gq)
        inner = -other if inner is None else inner - other
    above = inner.triu(1)
    inner = above + adjoint(above) + real_part(inner.diagonal(0, -2, -1)).diag_embed()
    inner = matmul(q, inner)
    if gq is not None:
        inner = inner + gq
    return triangular(adjoint(r), inner, upper=False, left=False)


QR = op(
    "qr", _qr_kernel, "a", grad=(_qr_grad,), wirtinger=True,
    samples=lambda s: [
        ((s.regular(3),), {"mode": "reduced"}), ((s(4, 2),), {"mode": "reduced"}),
        ((s(2, 3),), {"mode": "complete"}),
    ],
)  # fmt: skip


def _qr(A: Tensor, mode: str, api: str) -> Any:
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    matrix(A, api)
    floating_or_complex(A, api)
    return apply(QR, A, mode=mode)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R) with ``A = Q @ R``: Q orthonormal, R upper triangular; A is [*, m, n].

    Args:
        mode: "reduced" (Q is [*, m, min(m, n)]), "complete" (Q is [*, m, m]) or "r" (only R; Q is
            empty).

    RuntimeError for another mode, for integers and for fewer than two dimensions.

    >>> import framework as torch
    >>> Q, R = torch.linalg.qr(torch.tensor([[3.0], [4.0]]))
    >>> (Q @ R).round()
    tensor([[3.],
            [4.]])
    """
    return named("linalg_qr", "Q", "R")(_qr(A, mode, "linalg.qr"))


def _legacy_qr(input: Tensor, some: bool = True) -> Any:
    """Deprecated: (Q, R) of `linalg.qr`, reduced with ``some``, else complete.

    Shapes: `(*, m, n)` gives `(*, m, k)` and `(*, k, n)`, k = min(m, n) with ``some``, else m.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.qr(torch.ones(3, 2), some=False).Q.shape
    torch.Size([3, 3])
    """
    warnings.warn(
        "torch.qr is deprecated in favor of torch.linalg.qr and will be removed in a future "
        "PyTorch release.",
        UserWarning,
        stacklevel=3,
    )
    return named("qr", "Q", "R")(_qr(input, "reduced" if some else "complete", "linalg.qr"))


_legacy_qr.__name__ = _legacy_qr.__qualname__ = "qr"
function(checks=True, out=True)(_legacy_qr)


def _geqrf_kernel(a: Any) -> Any:
    xp = module_of(a)
    h, tau = xp.linalg.qr(a, mode="raw")
    return xp.ascontiguousarray(h.swapaxes(-2, -1)).astype(a.dtype), tau.astype(a.dtype)


def _geqrf_grad(g: Any) -> Any:
    raise NotImplementedError("the derivative for 'geqrf' is not implemented.")


GEQRF = op(
    "geqrf", _geqrf_kernel, "a", grad=(_geqrf_grad,),
    samples=lambda s: [((s(3, 2).detach(),), {})],
)  # fmt: skip


@function(checks=True, out=True)
def geqrf(input: Tensor) -> Any:
    """(a, tau): a QR decomposition in the packed form of LAPACK's geqrf.

    For `(*, m, n)` the upper triangle of ``a`` is R, what is below the reflectors of which
    `linalg.householder_product` makes Q; tau is `(*, min(m, n))`. There is no gradient.
    RuntimeError for integers and for fewer than two dimensions.

    >>> import framework as torch
    >>> a, tau = torch.geqrf(torch.tensor([[3.0], [4.0]]))
    >>> a, tau
    (tensor([[-5.0000],
            [ 0.5000]]), tensor([1.6000]))
    """
    matrix(input, "torch.geqrf", "input")
    floating_or_complex(input, "torch.geqrf")
    return named("geqrf", "a", "tau")(apply(GEQRF, input))


def _householder_grad(g: Any, a: Any, tau: Any) -> Any:
    """Reflector by reflector: Q_i = H_i Q_(i+1), H = I - tau v v^H, so gH = G_i Q_(i+1)^H."""
    from framework.ops.creation import eye
    from framework.ops.joining import cat, stack

    m, n, k = a.shape[-2], a.shape[-1], tau.shape[-1]
    identity = eye(m, n, dtype=a.dtype, device=a.device)
    below = a.tril(-1) + identity
    columns = [below[..., :, i : i + 1] for i in range(k)]
    scales = [tau[..., i : i + 1].unsqueeze(-1) for i in range(k)]
    partial = [identity.expand(*a.shape[:-2], m, n)]  # Q_(k+1), ..., Q_2
    for v, t in zip(columns[:0:-1], scales[:0:-1]):
        last = partial[-1]
        partial.append(last - t * matmul(v, matmul(adjoint(v), last)))
    ga, gtau = [], []
    for i, (v, t) in enumerate(zip(columns, scales)):
        q = partial[k - 1 - i]
        t_conj = t.conj() if t._data.dtype.kind == "c" else t
        row = matmul(adjoint(v), g)
        right = matmul(g, matmul(adjoint(q), v))
        gtau.append(-matmul(adjoint(v), right).squeeze(-1).squeeze(-1))
        ga.append(-t_conj * right - t * matmul(q, adjoint(row)))
        g = g - t_conj * matmul(v, row)
    if not ga:
        return a * 0, tau * 0
    joined = cat(ga, -1).tril(-1)
    if k < n:
        joined = cat([joined, a[..., :, k:] * 0], -1)
    return joined, stack(gtau, -1)


HOUSEHOLDER = op(
    "householder_product", householder, "a tau", grad=_householder_grad, wirtinger=True,
    samples=lambda s: [((s(4, 3), s(3)), {}), ((s(2, 3, 2), s(2, 1)), {})],
)  # fmt: skip


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of ``H_1 ... H_k``, ``H_i = I - tau_i v_i v_i^H``.

    Args:
        A: [*, m, n], m >= n; below its diagonal the vectors v, whose diagonal element is 1.
        tau: [*, k], k <= n.

    RuntimeError if shapes or dtypes do not fit.

    >>> import framework as torch
    >>> torch.linalg.householder_product(torch.zeros(2, 1), torch.tensor([2.0]))
    tensor([[-1.],
            [ 0.]])
    """
    api = "torch.linalg.householder_product"
    if A.ndim < 2:
        raise RuntimeError(f"{api}: input must have at least 2 dimensions.")
    if A.shape[-2] < A.shape[-1]:
        raise RuntimeError(
            f"{api}: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if A.shape[-1] < tau.shape[-1]:
        raise RuntimeError(f"{api}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    if A.ndim != tau.ndim + 1:
        raise RuntimeError(
            f"{api}: Expected tau to have one dimension less than input, but got tau.ndim equal to "
            f"{tau.ndim} and input.ndim is equal to {A.ndim}"
        )
    if A.shape[:-2] != tau.shape[:-1]:
        raise RuntimeError(
            f"{api}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
            f"{list(tau.shape[:-1])}"
        )
    if A.dtype is not tau.dtype:
        raise RuntimeError(
            f"{api}: tau dtype {type_name(tau._data)} does not match input dtype "
            f"{type_name(A._data)}"
        )
    floating_or_complex(A, api)
    return apply(HOUSEHOLDER, A, tau)


@function(checks=True, out=True)
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """Alias of `linalg.householder_product`."""
    return householder_product(input, input2)


@function(checks=True, out=True)
@composite
def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """``other`` times the whole orthogonal matrix of the reflectors in ``input`` and ``tau``.

    Shapes: input `(*, m, n)` and tau `(*, k)` as `geqrf` gives them; Q is `(*, m, m)`.

    Args:
        left: ``Q @ other``, else ``other @ Q``.
        transpose: with the conjugate transpose of Q.

    RuntimeError if shapes or dtypes do not fit.

    >>> import framework as torch
    >>> A = torch.tensor([[3.0], [4.0]])
    >>> torch.ormqr(*torch.geqrf(A), A, transpose=True).round(decimals=4)
    tensor([[-5.],
            [ 0.]])
    """
    api = "torch.ormqr"
    for x, name in ((input, "input"), (other, "other")):
        if x.ndim < 2:
            raise RuntimeError(f"{api}: {name} must have at least 2 dimensions.")
    side = -2 if left else -1
    if tau.shape[-1] != min(other.shape[side], input.shape[-1]):
        raise RuntimeError(
            f"{api}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
        )
    if other.shape[side] < tau.shape[-1]:
        raise RuntimeError(
            f"{api}: other.shape[{side}] must be greater than or equal to tau.shape[-1]"
        )
    if other.shape[side] != input.shape[-2]:
        raise RuntimeError(f"{api}: other.shape[{side}] must be equal to input.shape[-2]")
    if input.ndim - tau.ndim != 1:
        raise RuntimeError(
            f"{api}: Expected tau to have one dimension less than input, but got tau.ndim equal to "
            f"{tau.ndim} and input.ndim is equal to {input.ndim}"
        )
    if input.ndim != other.ndim:
        raise RuntimeError(
            f"{api}: Expected other to have same number of dimensions as input, but got other.ndim "
            f"equal to {other.ndim} and input.ndim is equal to {input.ndim}"
        )
    for x, name in ((tau.unsqueeze(-1), "tau"), (other, "other")):
        if x.shape[:-2] != input.shape[:-2]:
            raise RuntimeError(
                f"{api}: Expected batch dimensions of {name} to be equal to input.shape[:-2], but "
                f"got {list(x.shape[:-2])}"
            )
    for x, name in ((tau, "tau"), (other, "other")):
        if x.dtype is not input.dtype:
            raise RuntimeError(
                f"{api}: Expected input and {name} to have the same dtype, but input has dtype "
                f"{type_name(input._data)} and {name} has dtype {type_name(x._data)}"
            )
    floating_or_complex(input, api)
    q = apply(HOUSEHOLDER, _widened(input, tau.shape[-1]), tau)
    q = adjoint(q) if transpose else q
    return matmul(q, other) if left else matmul(other, q)


def _widened(input: Tensor, k: int) -> Tensor:
    """The first k columns, and zeros up to a square matrix."""
    from framework.ops.joining import cat

    kept = input[..., :, :k]
    m = input.shape[-2]
    if m == k:
        return kept
    return cat([kept, input.new_zeros(*input.shape[:-2], m, m - k)], -1)
