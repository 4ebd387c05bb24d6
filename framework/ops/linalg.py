"""The rest of ``torch.linalg``: determinants, powers, norms, Vandermonde matrices, tensor inverses.

Products are in `products`, equations in `solve`, factors in `factor`, QR in `orthogonal`, singular
values and eigenvalues in `spectra`.
"""

from __future__ import annotations

import math
from typing import Any

from numpy import ndarray

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.registry import OPS, function, op
from framework.core.saved import values_known
from framework.dtypes import COMPLEX, FLOAT
from framework.kernels import module_of
from framework.kernels.floats import type_name, widening
from framework.ops import products
from framework.ops.dims import axes, axis, named, numpy_names
from framework.ops.matrices import (
    adjoint,
    eye_like,
    floating,
    floating_or_complex,
    matrix,
    square,
    transposed,
)
from framework.ops.products import matmul as _matmul
from framework.ops.solve import INV, INV_EX, inv, solve
from framework.ops.spectra import svd_parts, svdvals
from framework.tensor import Tensor

__all__ = ["det", "logdet", "matrix_exp", "matrix_norm", "matrix_power", "slogdet", "vector_norm"]

_LINALG = ("linalg",)


# -- PyTorch's second names --------------------------------------------------------------------


@function(namespaces=_LINALG, method=False, out="exact")
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Alias of `torch.matmul`."""
    return _matmul(input, other)


@function(namespaces=_LINALG, method=False, out="apart")
@numpy_names
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product along a dimension of length 3; the others broadcast.

    RuntimeError if the dimension's length is not 3, or shapes do not broadcast.

    >>> import framework as torch
    >>> torch.linalg.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    return products.cross_along(input, other, dim)


@function(namespaces=_LINALG, method=False)
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """`torch.diagonal` of the last two dimensions: `(*, m, n)` gives a view `(*, min(m, n))`.

    >>> import framework as torch
    >>> torch.linalg.diagonal(torch.arange(8).reshape(2, 2, 2))
    tensor([[0, 3],
            [4, 7]])
    """
    return A.diagonal(offset, dim1, dim2)


# -- determinants ------------------------------------------------------------------------------


def _det_grad(g: Any, a: Any, y: Any) -> Any:
    """g det(A) A^-T; of a singular matrix by the adjugate, from its singular values."""
    scaled = (g * y).unsqueeze(-1).unsqueeze(-1)
    if not values_known(a) or (y._data != 0).all():
        return scaled * transposed(apply(INV, a))
    u, s, vh = svd_parts(a)
    others = s.unsqueeze(-1).expand(*s.shape, s.shape[-1])
    others = others + eye_like(s, s.shape[-1]) * (1 - s.unsqueeze(-1))
    weights = others.prod(-2)  # for each value the product of the other ones
    phases = (apply(DET, u) * apply(DET, vh)).unsqueeze(-1).unsqueeze(-1)
    adjugate = _matmul(u.conj() * weights.unsqueeze(-2), vh.conj())
    return g.unsqueeze(-1).unsqueeze(-1) * phases * adjugate


def _det_kernel(a: Any) -> Any:
    return module_of(a).linalg.det(a)


DET = op(
    "det", _det_kernel, "a", grad=(_det_grad,),
    samples=lambda s: [((s.regular(3),), {}), ((s(2, 2, 2),), {})],
)  # fmt: skip


@function(namespaces=("", "linalg"), checks=True, out=True)
def det(A: Tensor) -> Tensor:
    """The determinants of square matrices: [*, n, n] -> [*].

    `(*, n, n)` gives `(*)`. RuntimeError for matrices that are not square and for integers.

    >>> import framework as torch
    >>> torch.linalg.det(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    floating(A, "linalg.det")
    return apply(DET, A)


def _slogdet_kernel(a: Any) -> Any:
    sign, logarithm = module_of(a).linalg.slogdet(a)
    return sign, logarithm


def _slogdet_grad(g: Any, n: Any, a: Any, y0: Any) -> Any:
    """A^-H times (g_log - i Im(conj(g_sign) sign)), from d log det A = tr(A^-1 dA)."""
    gsign, glog = g
    factor = glog
    if gsign is not None and y0._data.dtype.kind == "c":
        turn = (gsign.conj() * y0).imag * -1j
        factor = turn if factor is None else factor + turn
    if factor is None:
        return a * 0
    return adjoint(apply(INV, a)) * factor.unsqueeze(-1).unsqueeze(-1)


SLOGDET = op(
    "slogdet", _slogdet_kernel, "a", grad=(_slogdet_grad,), wirtinger=True,
    samples=lambda s: [((s.regular(3),), {})],
)  # fmt: skip


@function(namespaces=_LINALG, method=False, checks=True, out=True)
def slogdet(A: Tensor) -> Any:
    """(sign, logabsdet): the determinant as a sign (a phase) and the logarithm of its size.

    `(*, n, n)` gives `(*)` twice. RuntimeError for matrices that are not square and for integers.

    >>> import framework as torch
    >>> torch.linalg.slogdet(-torch.eye(3)).sign
    tensor(-1.)
    """
    floating(A, "linalg.slogdet")
    return named("linalg_slogdet", "sign", "logabsdet")(apply(SLOGDET, A))


def _legacy_slogdet(input: Tensor) -> Any:
    """Alias of `linalg.slogdet`."""
    floating(input, "linalg.slogdet")
    return named("slogdet", "sign", "logabsdet")(apply(SLOGDET, input))


_legacy_slogdet.__name__ = _legacy_slogdet.__qualname__ = "slogdet"
function(checks=True, out=True)(_legacy_slogdet)


@function(checks=True)
@composite
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN where that is negative, -inf where it is zero.

    `(*, n, n)` gives `(*)`. RuntimeError for matrices that are not square and for integers.

    >>> import framework as torch
    >>> torch.logdet(torch.eye(2))
    tensor(0.)
    """
    floating(input, "logdet")
    sign, logarithm = apply(SLOGDET, input)
    return logarithm + sign.log()


# -- powers and exponentials -------------------------------------------------------------------


@function(namespaces=("", "linalg"), checks=True, out=True)
@composite
def matrix_power(A: Tensor, n: int) -> Tensor:
    """``A @ A @ ...``, n times, by repeated squaring; of the inverse for negative n.

    RuntimeError for matrices that are not square, and LinAlgError for singular ones if n is
    negative.

    >>> import framework as torch
    >>> torch.linalg.matrix_power(torch.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    square(A, "linalg.matrix_power")
    if n == 0:
        return A.masked_fill(eye_like(A) == 0, 0).masked_fill(eye_like(A) != 0, 1)
    if n < 0:
        floating_or_complex(A, "linalg.matrix_power")
        A, n = apply(INV, A), -n
    if n == 1:
        return A.clone()
    result: Tensor | None = None
    while n:
        if n & 1:
            result = A if result is None else _matmul(result, A)
        n >>= 1
        if n:
            A = _matmul(A, A)
    assert result is not None
    return result


@widening
def _expm_kernel(a: Any) -> Any:
    if not a.size:
        return a.copy()
    if not isinstance(a, ndarray):
        from framework.kernels.exponentials import expm as by_products

        return by_products(a)
    from scipy.linalg import expm

    return expm(a).astype(a.dtype, copy=False)


def _expm_grad(g: Any, a: Any) -> Any:
    """The upper right block of exp([[A^T, G], [0, A^T]]). R. Mathias (1996)."""
    from framework.ops.joining import cat

    turned = transposed(a)
    n = a.shape[-1]
    top = cat([turned, g], -1)
    bottom = cat([turned * 0, turned], -1)
    return apply(EXPM, cat([top, bottom], -2))[..., :n, n:]


EXPM = op(
    "matrix_exp", _expm_kernel, "a", grad=(_expm_grad,),
    samples=lambda s: [((s(3, 3),), {}), ((s(2, 2, 2),), {})],
)  # fmt: skip


@function(namespaces=("", "linalg"), checks=True)
def matrix_exp(A: Tensor) -> Tensor:
    """The matrix exponential, the sum of ``A^k / k!``, of square matrices.

    `(*, n, n)` gives the same. RuntimeError for matrices that are not square and for integers.

    >>> import framework as torch
    >>> torch.linalg.matrix_exp(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    square(A, "linalg.matrix_exp")
    floating_or_complex(A, "linalg.matrix_exp", narrow=True)
    return apply(EXPM, A)


# -- norms -------------------------------------------------------------------------------------


def _norm_type(x: Tensor, dtype: Any, api: str) -> Tensor:
    """``x`` in the type that a norm is asked to compute in, or its own, which must be floating."""
    if x.dtype.category < FLOAT:
        raise RuntimeError(
            f"{api}: Expected a floating point or complex tensor as input. Got {type_name(x._data)}"
        )
    if dtype is None:
        return x
    if dtype.category < FLOAT:
        raise RuntimeError(f"{api}: dtype should be floating point or complex. Got {dtype.name}")
    wide = x.dtype.category == COMPLEX
    if wide != (dtype.category == COMPLEX):
        kinds = ("complex", "complex") if wide else ("real", "real")
        raise RuntimeError(
            f"{api}: dtype should be {kinds[0]} for {kinds[1]} inputs. Got {dtype.name}"
        )
    if dtypes.promote_types(x.dtype, dtype) is not dtype:
        raise RuntimeError(
            f"{api}: the dtype of the input ({x.dtype.name}) should be convertible without "
            f"narrowing to the specified dtype ({dtype.name})"
        )
    return x.to(dtype)


def _order(ord: Any) -> float:
    if isinstance(ord, bool) or not isinstance(ord, (int, float)):
        raise TypeError(
            "linalg_vector_norm(): argument 'ord' (position 2) must be Number, not "
            f"{type(ord).__name__}"
        )
    return float(ord)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
@numpy_names
def vector_norm(
    x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """``sum(abs(x) ** ord) ** (1 / ord)`` over dimensions, or over all elements; always real.

    Args:
        ord: any number; inf and -inf are the largest and the smallest size, 0 counts non-zeros.
        dtype: compute in this type.

    RuntimeError for integers, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.linalg.vector_norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = _norm_type(x, dtype, "linalg.vector_norm")
    order = _order(ord)
    over = axes(dim, x.ndim)
    if (order < 0 or math.isinf(order)) and not x._data.size:
        words = (
            f"linalg.vector_norm cannot compute the {_short(order)} norm on an empty tensor "
            "because the operation does not have an identity"
        )
        if dim is None or (isinstance(dim, (tuple, list)) and not dim):
            raise RuntimeError(words)
        for d in over:
            if x.shape[d] == 0:
                raise RuntimeError(
                    f"linalg.vector_norm cannot compute the {_short(order)} norm on the dimension "
                    f"{d} because this dimension is empty and the operation does not have an "
                    "identity"
                )
    return apply(OPS["norm"], x, p=order, dim=over, keepdim=keepdim)


def _short(order: float) -> str:
    return f"{order:g}"


@function(namespaces=_LINALG, method=False, checks=True, out=True)
@numpy_names
@composite
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A norm of matrices, which stand in two dimensions.

    Args:
        ord: "fro", "nuc" (the sum of the singular values), 2 and -2 (the largest, the smallest),
            1 and -1 (of the columns' sums of sizes), inf and -inf (of the rows').

    RuntimeError for another order, for integers, and unless ``dim`` is two dimensions.

    >>> import framework as torch
    >>> torch.linalg.matrix_norm(torch.tensor([[3.0, 0.0], [4.0, 0.0]]), 1)
    tensor(7.)
    """
    api = "linalg.matrix_norm"
    matrix(A, api)
    A = _norm_type(A, dtype, api)
    pair = [dim] if isinstance(dim, int) else list(dim)
    if len(pair) != 2:
        raise RuntimeError(f"{api}: dim must be a 2-tuple. Got {' '.join(map(str, pair))}")
    rows, columns = axis(pair[0], A.ndim), axis(pair[1], A.ndim)
    if rows == columns:
        raise RuntimeError(f"{api}: dims must be different. Got ({rows}, {columns})")
    if isinstance(ord, str):
        if ord not in ("fro", "nuc"):
            raise RuntimeError(f"{api}: Order {ord} not supported.")
        if ord == "fro":
            return apply(OPS["norm"], A, p=2, dim=axes((rows, columns), A.ndim), keepdim=keepdim)
        return _of_values(A, lambda s: s.sum(-1), rows, columns, keepdim)
    size = abs(ord)
    if size not in (1, 2, math.inf):
        raise RuntimeError(f"{api}: Order {ord} not supported.")
    if size == 2:
        floating_or_complex(A, api)
        return _of_values(A, lambda s: _extreme(s, -1, False, ord > 0), rows, columns, keepdim)
    summed, left = (columns, rows) if math.isinf(size) else (rows, columns)
    sums = apply(OPS["norm"], A, p=1, dim=(summed,), keepdim=keepdim)
    if not keepdim and left > summed:
        left -= 1
    return _extreme(sums, left, keepdim, ord > 0)


def _extreme(x: Tensor, dim: int, keepdim: bool, largest: bool) -> Tensor:
    """The largest or smallest along a dimension; the largest of nothing is zero, as in PyTorch."""
    if not largest:
        return x.amin(dim, keepdim)
    return x.amax(dim, keepdim) if x.shape[dim] else x.sum(dim, keepdim)


def _of_values(A: Tensor, reduce: Any, rows: int, columns: int, keepdim: bool) -> Tensor:
    """A function of the singular values of the matrices in two dimensions."""
    found = reduce(svdvals(A.movedim((rows, columns), (-2, -1))))
    if not keepdim:
        return found
    for d in sorted((rows, columns)):
        found = found.unsqueeze(d)
    return found


@function(namespaces=_LINALG, method=False, checks=True, out=True)
@numpy_names
def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """`vector_norm` or `matrix_norm`, by ``dim`` (one or two dimensions) or by A's own rank.

    Without ``ord`` and ``dim`` the 2-norm of all elements.

    RuntimeError for integers, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.linalg.norm(torch.tensor([[3.0, 0.0], [0.0, 4.0]]), "nuc")
    tensor(7.)
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is not None:
        count = 1 if isinstance(dim, int) else len(dim)
        if count not in (1, 2):
            raise RuntimeError(
                "linalg.norm: If dim is specified, it must be of length 1 or 2. Got "
                f"[{', '.join(map(str, dim))}]"
            )
    elif A.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{A.ndim}D."
        )
    if isinstance(ord, str):
        if dim is None and A.ndim != 2:
            raise RuntimeError(
                "linalg.norm: If ord is a string, the input must be 2D if dim is not specified"
            )
        return matrix_norm(A, ord, (0, 1) if dim is None else dim, keepdim, dtype=dtype)
    if (dim is not None and not isinstance(dim, int) and len(dim) == 2) or (
        dim is None and A.ndim == 2
    ):
        return matrix_norm(A, ord, (0, 1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
@composite
def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number in a matrix norm (the 2-norm by default); inf for singular matrices.

    `(*, m, n)` gives `(*)`; square for orders other than 2 and -2, else RuntimeError.

    >>> import framework as torch
    >>> torch.linalg.cond(torch.tensor([[4.0, 0.0], [0.0, 2.0]]))
    tensor(2.)
    """
    api = "linalg.cond"
    matrix(A, api)
    floating_or_complex(A, api)
    if p is None or (not isinstance(p, str) and abs(p) == 2):
        values = svdvals(A)
        if not values._data.size:
            return A.new_zeros(A.shape[:-2]).to(values.dtype)
        first, last = values[..., 0], values[..., -1]
        return last / first if p == -2 else first / last
    if isinstance(p, str) and p not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if not isinstance(p, str) and abs(p) not in (1, math.inf):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {float(p)}")
    square(A, api)
    if not A._data.size:
        return A.new_zeros(A.shape[:-2]).to(A.dtype.to_real())
    inverse, info = apply(INV_EX, A)
    if values_known(info) and info._data.any():
        inverse = inverse.masked_fill((info > 0).unsqueeze(-1).unsqueeze(-1), math.inf)
    return matrix_norm(A, p) * matrix_norm(inverse, p)


# -- tensors -----------------------------------------------------------------------------------


@function(namespaces=_LINALG, method=False, checks=True)
@composite
def vander(x: Tensor, N: int | None = None) -> Tensor:
    """Powers 0 to N-1 of each element, in a new last dimension: `(*, n)` gives `(*, n, N)`.

    N is n unless given. RuntimeError unless it is above 1, and for bools and half precision.

    >>> import framework as torch
    >>> torch.linalg.vander(torch.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    api = "linalg.vander"
    if x.dtype is dtypes.bool_ or (x.dtype.itemsize == 2 and x.dtype.category >= FLOAT):
        raise RuntimeError(f"{api}: {type_name(x._data)} is not supported")
    x = x if x.ndim else x.reshape(1)
    count = x.shape[-1] if N is None else int(N)
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    from framework.ops.joining import cat

    powers = x.unsqueeze(-1).expand(*x.shape, count - 1).cumprod(-1)
    return cat([powers.new_ones(*x.shape, 1), powers], -1)


def _legacy_vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector's elements as columns of a matrix, highest first unless ``increasing``.

    `(n,)` gives `(n, N)`, with n columns by default. RuntimeError if ``x`` is no vector.

    >>> import framework as torch
    >>> torch.vander(torch.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.shape[0] if N is None else int(N)
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    if count < 2:
        return (x.unsqueeze(-1) ** 0)[:, :count]
    columns = vander(x, count)
    return columns if increasing else columns.flip(-1)


_legacy_vander.__name__ = _legacy_vander.__qualname__ = "vander"
function(method=False, checks=True)(_legacy_vander)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
@composite
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of ``tensordot(A, ., A.ndim - ind)``: A as a matrix of its first ``ind`` dims.

    RuntimeError unless the lengths before and behind ``ind`` have one product, LinAlgError if it
    does not exist.

    >>> import framework as torch
    >>> torch.linalg.tensorinv(torch.eye(6).reshape(6, 2, 3), ind=1).shape
    torch.Size([2, 3, 6])
    """
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    first, rest = A.shape[:ind], A.shape[ind:]
    if math.prod(first) != math.prod(rest):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {math.prod(rest)} != {math.prod(first)}"
        )
    n = math.prod(first)
    return inv(A.reshape(n, n)).reshape(*rest, *first)


@function(namespaces=_LINALG, method=False, checks=True, out=True)
@composite
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """X with ``tensordot(A, X, X.ndim) = B``.

    Args:
        dims: dimensions of A to move to its end first.

    RuntimeError unless A as a matrix is square, LinAlgError if it is singular.

    >>> import framework as torch
    >>> torch.linalg.tensorsolve(torch.eye(6).reshape(2, 3, 6), torch.ones(2, 3)).shape
    torch.Size([6])
    """
    if dims is not None:
        moved = [dims] if isinstance(dims, int) else list(dims)
        A = A.movedim(moved, list(range(A.ndim - len(moved), A.ndim)))
    shape = A.shape[B.ndim :]
    size = math.prod(shape)
    if size != math.prod(B.shape):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {size} != {math.prod(B.shape)}"
        )
    return solve(A.reshape(size, size), B.reshape(-1)).reshape(shape)
