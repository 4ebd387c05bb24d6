"""The standard's extension of linear algebra: `framework.linalg` under its names and keywords."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from framework.array_api import reductions
from framework.array_api.array import standard, torch
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
    """The Cholesky factor of a Hermitian positive-definite matrix."""
    return torch.linalg.cholesky(x, upper=upper)


@standard
def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Any:
    """The cross product of vectors of three elements along a (negative) axis."""
    if not x1.shape[axis] == x2.shape[axis] == 3:
        raise ValueError(
            f"cross: expected vectors of 3 elements, but got {x1.shape[axis]} and {x2.shape[axis]}"
        )
    return torch.linalg.cross(*torch.broadcast_tensors(*same_type(x1, x2)), dim=axis)


@standard
def det(x: Tensor, /) -> Any:
    """The determinant."""
    return torch.linalg.det(x)


@standard
def diagonal(x: Tensor, /, *, offset: int = 0) -> Any:
    """The diagonal of each matrix."""
    return torch.diagonal(x, offset, -2, -1)


@standard
def eig(x: Tensor, /) -> Any:
    """(eigenvalues, eigenvectors), complex ones."""
    return _Eig(*torch.linalg.eig(x))


@standard
def eigvals(x: Tensor, /) -> Any:
    """Eigenvalues, complex ones."""
    return torch.linalg.eigvals(x)


@standard
def eigh(x: Tensor, /) -> Any:
    """(eigenvalues, eigenvectors) of a Hermitian matrix."""
    return _Eigh(*torch.linalg.eigh(x))


@standard
def eigvalsh(x: Tensor, /) -> Any:
    """Eigenvalues of a Hermitian matrix."""
    return torch.linalg.eigvalsh(x)


@standard
def inv(x: Tensor, /) -> Any:
    """The inverse."""
    return torch.linalg.inv(x)


@standard
def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norm of each matrix."""
    return torch.linalg.matrix_norm(x, "fro" if ord is None else ord, keepdim=keepdims)


@standard
def matrix_power(x: Tensor, n: int, /) -> Any:
    """The product of ``n`` copies of a square matrix, of its inverse for a negative number."""
    return torch.linalg.matrix_power(x, n)


@standard
def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Any:
    """The number of singular values above ``rtol`` times the largest."""
    return torch.linalg.matrix_rank(x, rtol=rtol)


@standard
def outer(x1: Tensor, x2: Tensor, /) -> Any:
    """The products of all pairs of elements of two vectors."""
    return torch.outer(*same_type(x1, x2))


@standard
def pinv(x: Tensor, /, *, rtol: Any = None) -> Any:
    """The Moore-Penrose inverse; singular values up to ``rtol`` times the largest are zero."""
    return torch.linalg.pinv(x, rtol=rtol)


@standard
def qr(x: Tensor, /, *, mode: str = "reduced") -> Any:
    """(Q, R): a unitary and an upper triangular factor."""
    return _QR(*torch.linalg.qr(x, mode))


@standard
def slogdet(x: Tensor, /) -> Any:
    """(sign, logabsdet) of the determinant."""
    return _Slogdet(*torch.linalg.slogdet(x))


@standard
def solve(x1: Tensor, x2: Tensor, /) -> Any:
    """The solution of ``x1 @ x = x2``; ``x2`` is a vector only if it has one dimension."""
    a, b = same_type(x1, x2)
    vector = b.ndim == 1
    if vector:
        b = b[:, None]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    result = torch.linalg.solve(a.expand(batch + a.shape[-2:]), b.expand(batch + b.shape[-2:]))
    return result[..., 0] if vector else result


@standard
def svd(x: Tensor, /, *, full_matrices: bool = True) -> Any:
    """(U, S, Vh): the singular value decomposition."""
    return _SVD(*torch.linalg.svd(x, full_matrices))


@standard
def svdvals(x: Tensor, /) -> Any:
    """Singular values, the largest first."""
    return torch.linalg.svdvals(x)


@standard
def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of the diagonal of each matrix."""
    return reductions.sum(torch.diagonal(x, offset, -2, -1), axis=-1, dtype=dtype)


@standard
def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The norm of vectors along axes, or of all elements."""
    if axis == ():  # of each element
        x, axis, keepdims = x[None], 0, False
    return torch.linalg.vector_norm(x, ord, axis, keepdim=keepdims)
