"""The standard's extension of linear algebra: `framework.linalg` under its names and keywords."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from framework.array_api import reductions
from framework.array_api.array import axis_of, standard, torch
from framework.array_api.data_types import same_type
from framework.array_api.linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from framework.tensor import Tensor

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr",
    "slogdet", "solve", "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip

_Eig = namedtuple("_Eig", "eigenvalues eigenvectors")
_Eigh = namedtuple("_Eigh", "eigenvalues eigenvectors")
_QR = namedtuple("_QR", "Q R")
_Slogdet = namedtuple("_Slogdet", "sign logabsdet")
_SVD = namedtuple("_SVD", "U S Vh")


@standard
def cholesky(x: Tensor, /, *, upper: bool = False) -> Any:
    """The Cholesky factor L of positive-definite matrices `(..., n, n)`, floating or complex.

    ``L @ L.mH`` is ``x``; only the lower half is read. ``upper=True`` gives its conjugate
    transpose. RuntimeError for other shapes and types, its kind LinAlgError for a matrix that is
    not positive-definite.

    >>> import framework.array_api as xp
    >>> xp.linalg.cholesky(xp.asarray([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return torch.linalg.cholesky(x, upper=upper)


@standard
def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Any:
    """The cross product of vectors of three elements along a (negative) axis.

    The other axes broadcast, the result has the common type. ValueError for another number of
    elements, IndexError for an axis that one of the arrays has not.

    >>> import framework.array_api as xp
    >>> xp.linalg.cross(xp.asarray([1, 0, 0]), xp.asarray([0, 1, 0]))
    tensor([0, 0, 1])
    """
    axis_of("cross", axis, x1, x2)
    if not x1.shape[axis] == x2.shape[axis] == 3:
        raise ValueError(
            f"cross: expected vectors of 3 elements, but got {x1.shape[axis]} and {x2.shape[axis]}"
        )
    return torch.linalg.cross(*torch.broadcast_tensors(*same_type(x1, x2)), dim=axis)


@standard
def det(x: Tensor, /) -> Any:
    """The determinants `(...)` of square matrices `(..., n, n)`, floating or complex.

    RuntimeError for other shapes and types.

    >>> import framework.array_api as xp
    >>> xp.linalg.det(xp.asarray([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    return torch.linalg.det(x)


@standard
def diagonal(x: Tensor, /, *, offset: int = 0) -> Any:
    """The diagonal of each matrix: `(..., n, m)` of any type gives `(..., k)`, a view.

    A positive ``offset`` counts upwards. IndexError for fewer than two dimensions.

    >>> import framework.array_api as xp
    >>> xp.linalg.diagonal(xp.asarray([[1, 2], [3, 4]])), xp.linalg.diagonal(xp.eye(3), offset=1)
    (tensor([1, 4]), tensor([0., 0.]))
    """
    return torch.diagonal(x, offset, -2, -1)


@standard
def eig(x: Tensor, /) -> Any:
    """(eigenvalues, eigenvectors) of matrices `(..., n, n)`, floating or complex; both are complex.

    Eigenvalues, in no order, are `(..., n)`, eigenvectors the columns of `(..., n, n)`, of length
    one. RuntimeError for other shapes and types.

    >>> import framework.array_api as xp
    >>> values, vectors = xp.linalg.eig(xp.asarray([[0.0, -1.0], [1.0, 0.0]]))
    >>> values
    tensor([0.+1.j, 0.-1.j])
    """
    return _Eig(*torch.linalg.eig(x))


@standard
def eigvals(x: Tensor, /) -> Any:
    """Eigenvalues of matrices `(..., n, n)`, floating or complex.

    They are complex, `(..., n)`, in no order. RuntimeError for other shapes and types.

    >>> import framework.array_api as xp
    >>> xp.linalg.eigvals(xp.asarray([[2.0, 0.0], [0.0, 3.0]]))
    tensor([2.+0.j, 3.+0.j])
    """
    return torch.linalg.eigvals(x)


@standard
def eigh(x: Tensor, /) -> Any:
    """(eigenvalues, eigenvectors) of Hermitian matrices `(..., n, n)`, floating or complex.

    Only the lower half is read. Eigenvalues are `(..., n)`, real and ascending, eigenvectors the
    columns of `(..., n, n)`, orthonormal. RuntimeError for other shapes and types.

    >>> import framework.array_api as xp
    >>> xp.linalg.eigh(xp.asarray([[0.0, 1.0], [1.0, 0.0]])).eigenvalues
    tensor([-1.,  1.])
    """
    return _Eigh(*torch.linalg.eigh(x))


@standard
def eigvalsh(x: Tensor, /) -> Any:
    """Eigenvalues of Hermitian matrices `(..., n, n)`, floating or complex.

    They are `(..., n)`, real and ascending. Only the lower half is read. RuntimeError for other
    shapes and types.

    >>> import framework.array_api as xp
    >>> xp.linalg.eigvalsh(xp.asarray([[0.0, 1.0], [1.0, 0.0]]))
    tensor([-1.,  1.])
    """
    return torch.linalg.eigvalsh(x)


@standard
def inv(x: Tensor, /) -> Any:
    """The inverses of square matrices `(..., n, n)`, floating or complex.

    RuntimeError for other shapes and types, its kind LinAlgError for a singular matrix.

    >>> import framework.array_api as xp
    >>> xp.linalg.inv(xp.asarray([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return torch.linalg.inv(x)


@standard
def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norm of each matrix: `(..., n, m)`, floating or complex, gives a real `(...)`.

    Args:
        ord: "fro" (Frobenius'), "nuc" (the sum of singular values), 1, 2, inf or one of their
            negatives.

    RuntimeError for other shapes and types, and for another ``ord``.

    >>> import framework.array_api as xp
    >>> x = xp.asarray([[3.0, 0.0], [0.0, 4.0]])
    >>> xp.linalg.matrix_norm(x), xp.linalg.matrix_norm(x, ord="nuc")
    (tensor(5.), tensor(7.))
    """
    return torch.linalg.matrix_norm(x, "fro" if ord is None else ord, keepdim=keepdims)


@standard
def matrix_power(x: Tensor, n: int, /) -> Any:
    """The product of ``n`` copies of square matrices, of their inverses for a negative number.

    RuntimeError for other shapes, its kind LinAlgError for the inverse of a singular matrix.

    >>> import framework.array_api as xp
    >>> xp.linalg.matrix_power(xp.asarray([[1, 1], [0, 1]]), 3)
    tensor([[1, 3],
            [0, 1]])
    """
    return torch.linalg.matrix_power(x, n)


@standard
def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Any:
    """The number of singular values above ``rtol`` times the largest: `(..., n, m)` gives int64.

    Without ``rtol`` the larger of n and m times the type's ``eps``. RuntimeError for other shapes
    and types.

    >>> import framework.array_api as xp
    >>> xp.linalg.matrix_rank(xp.asarray([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    return torch.linalg.matrix_rank(x, rtol=rtol)


@standard
def outer(x1: Tensor, x2: Tensor, /) -> Any:
    """The products of all pairs of elements of two vectors: `(n)` and `(m)` give `(n, m)`.

    The result has the common type. RuntimeError for arrays that are no vectors.

    >>> import framework.array_api as xp
    >>> xp.linalg.outer(xp.asarray([1, 2]), xp.asarray([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return torch.outer(*same_type(x1, x2))


@standard
def pinv(x: Tensor, /, *, rtol: Any = None) -> Any:
    """The Moore-Penrose inverse: `(..., n, m)`, floating or complex, gives `(..., m, n)`.

    Singular values up to ``rtol`` times the largest count as zero. RuntimeError for other shapes
    and types.

    >>> import framework.array_api as xp
    >>> xp.linalg.pinv(xp.asarray([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    return torch.linalg.pinv(x, rtol=rtol)


@standard
def qr(x: Tensor, /, *, mode: str = "reduced") -> Any:
    """(Q, R): ``x = Q @ R`` with orthonormal columns of Q and an upper triangular R.

    Args:
        mode: "reduced": `(..., n, k)` and `(..., k, m)` with k the smaller of n and m; "complete":
            a square Q.

    RuntimeError for other shapes and types, and for another mode.

    >>> import framework.array_api as xp
    >>> q, r = xp.linalg.qr(xp.ones((4, 2)), mode="complete")
    >>> q.shape, r.shape
    (torch.Size([4, 4]), torch.Size([4, 2]))
    """
    return _QR(*torch.linalg.qr(x, mode))


@standard
def slogdet(x: Tensor, /) -> Any:
    """(sign, logabsdet) of the determinants of square matrices `(..., n, n)`, floating or complex.

    Of a singular one 0 and -inf. RuntimeError for other shapes and types.

    >>> import framework.array_api as xp
    >>> sign, logabsdet = xp.linalg.slogdet(xp.asarray([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign, logabsdet
    (tensor(-1.), tensor(0.))
    """
    return _Slogdet(*torch.linalg.slogdet(x))


@standard
def solve(x1: Tensor, x2: Tensor, /) -> Any:
    """The solution of ``x1 @ x = x2``; ``x2`` is a vector only if it has one dimension.

    `(..., n, n)` with `(n)` or `(..., n, m)`; stacks broadcast, the result has the common type.
    RuntimeError for other shapes and types, its kind LinAlgError for a singular matrix.

    >>> import framework.array_api as xp
    >>> xp.linalg.solve(xp.asarray([[2.0, 0.0], [0.0, 4.0]]), xp.asarray([2.0, 8.0]))
    tensor([1., 2.])
    """
    a, b = same_type(x1, x2)
    vector = b.ndim == 1
    if vector:
        b = b[:, None]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    result = torch.linalg.solve(a.expand(batch + a.shape[-2:]), b.expand(batch + b.shape[-2:]))
    return result[..., 0] if vector else result


@standard
def svd(x: Tensor, /, *, full_matrices: bool = True) -> Any:
    """(U, S, Vh): the singular value decomposition ``x = U @ diag(S) @ Vh`` of `(..., n, m)`.

    S is `(..., k)`, real and descending, k the smaller of n and m. U and Vh are square, or `(...,
    n, k)` and `(..., k, m)` without ``full_matrices``. RuntimeError for other shapes and types.

    >>> import framework.array_api as xp
    >>> u, s, vh = xp.linalg.svd(xp.ones((3, 2)), full_matrices=False)
    >>> u.shape, s.shape, vh.shape
    (torch.Size([3, 2]), torch.Size([2]), torch.Size([2, 2]))
    """
    return _SVD(*torch.linalg.svd(x, full_matrices))


@standard
def svdvals(x: Tensor, /) -> Any:
    """Singular values of `(..., n, m)`: real, the largest first.

    RuntimeError for other shapes and types.

    >>> import framework.array_api as xp
    >>> xp.linalg.svdvals(xp.asarray([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    return torch.linalg.svdvals(x)


@standard
def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of the diagonal of each matrix `(..., n, m)`; integers add up in 64 bits.

    A positive ``offset`` counts upwards. IndexError for fewer than two dimensions.

    >>> import framework.array_api as xp
    >>> xp.linalg.trace(xp.asarray([[1, 2], [3, 4]]))
    tensor(5)
    """
    return reductions.sum(torch.diagonal(x, offset, -2, -1), axis=-1, dtype=dtype)


@standard
def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The norm of vectors along axes, or of all elements, floating or complex: real.

    (sum of abs(x)**ord)**(1 / ord); ``ord`` may be 0 (how many are not zero), inf or -inf.
    RuntimeError for other types, IndexError for an axis out of range.

    >>> import framework.array_api as xp
    >>> xp.linalg.vector_norm(xp.asarray([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    tensor([ 5., 10.])
    """
    if axis == ():  # of each element
        x, axis, keepdims = x[None], 0, False
    return torch.linalg.vector_norm(x, ord, axis, keepdim=keepdims)
