"""Products of arrays, which the standard has outside of its extension `linalg` too."""

from __future__ import annotations

from typing import Any

from framework.array_api.array import standard, torch
from framework.array_api.data_types import same_type
from framework.tensor import Tensor

__all__ = ["matmul", "matrix_transpose", "tensordot", "vecdot"]


@standard
def matmul(x1: Tensor, x2: Tensor, /) -> Any:
    """The product of matrices, or of stacks of them."""
    return torch.matmul(*same_type(x1, x2))


@standard
def matrix_transpose(x: Tensor, /) -> Any:
    """Each matrix of a stack transposed."""
    return x.transpose(-2, -1)


@standard
def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Any:
    """The sum of products over pairs of axes: so many last and first ones, or two lists of them."""
    if not isinstance(axes, int):
        axes = [list(a) for a in axes]
    return torch.tensordot(*same_type(x1, x2), dims=axes)


@standard
def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Any:
    """The scalar product of vectors along an axis; the first is conjugated."""
    if not -min(x1.ndim, x2.ndim) <= axis < 0:
        raise ValueError(
            f"vecdot: expected a negative axis that both arrays have, but got axis={axis} for "
            f"{x1.ndim} and {x2.ndim} dimensions"
        )
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(
            f"vecdot: expected vectors of one length, but got {x1.shape[axis]} and {x2.shape[axis]}"
        )
    a, b = same_type(x1, x2)
    return torch.sum(torch.conj(a) * b, dim=axis, dtype=a.dtype)
