"""What the linear algebra shares: checks in PyTorch's words, transposes, diagonals, identities."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.dtypes import FLOAT
from framework.kernels import module_of
from framework.kernels.floats import type_name
from framework.ops.dims import axis
from framework.tensor import Tensor

__all__ = [
    "adjoint", "batch_shape", "diag_embed", "eye_like", "floating", "floating_or_complex",
    "matrix", "not_narrow", "real_part", "same_types", "square", "transposed",
]  # fmt: skip


def transposed(x: Any) -> Any:
    """The last two dimensions swapped."""
    return x.transpose(-2, -1)


def adjoint(x: Any) -> Any:
    """The conjugate transpose of matrices."""
    turned = x.transpose(-2, -1)
    return turned.conj() if turned._data.dtype.kind == "c" else turned


def real_part(x: Any) -> Any:
    """The real part of complex tensors, others as they are."""
    return x.real if x._data.dtype.kind == "c" else x


def batch_shape(x: Any) -> tuple[int, ...]:
    """The shape without the last two dimensions."""
    return tuple(x.shape[:-2])


def eye_like(x: Any, n: int | None = None) -> Any:
    """The identity of the size (or of size ``n``), type and device of square matrices."""
    from framework.ops.creation import eye

    return eye(x.shape[-1] if n is None else n, dtype=x.dtype, device=x.device)


# -- checks ------------------------------------------------------------------------------------


def matrix(x: Tensor, api: str, name: str = "A") -> None:
    """Refuse what has less than two dimensions."""
    if x.ndim < 2:
        raise RuntimeError(f"{api}: The input tensor {name} must have at least 2 dimensions.")


def square(x: Tensor, api: str, name: str = "A") -> None:
    """Refuse what is not a (batch of) square matrices."""
    matrix(x, api, name)
    rows, columns = x.shape[-2:]
    if rows != columns:
        raise RuntimeError(
            f"{api}: {name} must be batches of square matrices, but they are {rows} by {columns} "
            "matrices"
        )


def floating_or_complex(x: Tensor, api: str, narrow: bool = False) -> None:
    """Refuse bools and integers, and 16-bit floats unless ``narrow`` allows them."""
    if x.dtype.category < FLOAT:
        raise RuntimeError(
            f"{api}: Expected a floating point or complex tensor as input. Got {type_name(x._data)}"
        )
    if not narrow and x.dtype.itemsize == 2:
        raise RuntimeError(f"{api}: Low precision dtypes not supported. Got {type_name(x._data)}")


def not_narrow(x: Tensor, kernel: str) -> None:
    """Refuse 16-bit floats, in the words of PyTorch's kernels."""
    if x.dtype.category >= FLOAT and x.dtype.itemsize == 2:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{type_name(x._data)}'")


def floating(x: Tensor, api: str, name: str = "A") -> None:
    """A batch of square matrices of a type that LAPACK has."""
    square(x, api, name)
    floating_or_complex(x, api)


def same_types(a: Tensor, b: Tensor, api: str, names: tuple[str, str] = ("A", "B")) -> None:
    """Refuse two types."""
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{api}: Expected {names[0]} and {names[1]} to have the same dtype, but found "
            f"{names[0]} of type {type_name(a._data)} and {names[1]} of type {type_name(b._data)} "
            "instead"
        )


# -- diagonals ---------------------------------------------------------------------------------


def _embed_kernel(a: Any, *, offset: int) -> Any:
    xp = module_of(a)
    n = a.shape[-1]
    size = n + abs(offset)
    result = xp.zeros((*a.shape[:-1], size, size), a.dtype)
    line = np.arange(n)
    result[..., line + max(-offset, 0), line + max(offset, 0)] = a
    return result


DIAG_EMBED = op(
    "diag_embed", _embed_kernel, "a",
    grad=(lambda g, offset: g.diagonal(offset, -2, -1),),
    samples=lambda s: [((s(3),), {"offset": 0}), ((s(2, 3),), {"offset": -1})],
)  # fmt: skip


@function(checks=True)
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices of zeros with the last dimension of ``input`` as one of their diagonals.

    Args:
        offset: above (positive) or below the main diagonal.
        dim1, dim2: the dimensions of the result that the matrices take.

    RuntimeError if both dimensions are one, IndexError for one out of range.

    >>> import framework as torch
    >>> torch.diag_embed(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    n = input.ndim + 1
    if not input.ndim:
        raise RuntimeError("diag_embed: input must have at least one dimension, but got 0")
    i, j = axis(dim1, n), axis(dim2, n)
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    if i > j:
        offset = -offset
    made = apply(DIAG_EMBED, input, offset=int(offset))
    i, j = sorted((i, j))
    return made if (i, j) == (n - 2, n - 1) else made.movedim((-2, -1), (i, j))
