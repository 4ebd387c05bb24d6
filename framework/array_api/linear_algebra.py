"""Products of arrays, which the standard has outside of its extension `linalg` too."""

from __future__ import annotations

from typing import Any

from framework.array_api.array import standard, torch
from framework.array_api.data_types import same_type
from framework.tensor import Tensor

__all__ = ["matmul", "matrix_transpose", "tensordot", "vecdot"]


@standard
def matmul(x1: Tensor, x2: Tensor, /) -> Any:
    """The product of matrices `(..., n, k)` and `(..., k, m)`: `(..., n, m)`, stacks broadcasting.

    An array of one dimension is a row on the left and a column on the right, and leaves no
    dimension behind. The result has the common type. RuntimeError for shapes that do not fit and
    for numbers.

    >>> import framework.array_api as xp
    >>> xp.matmul(xp.asarray([[1, 2], [3, 4]]), xp.asarray([10, 1]))
    tensor([12, 34])
    """
    return torch.matmul(*same_type(x1, x2))


@standard
def matrix_transpose(x: Tensor, /) -> Any:
    """Each matrix of a stack transposed, a view: `(..., n, m)` gives `(..., m, n)`.

    IndexError for fewer than two dimensions.

    >>> import framework.array_api as xp
    >>> xp.matrix_transpose(xp.asarray([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    return x.transpose(-2, -1)


@standard
def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Any:
    """The sum of products over pairs of axes: so many last and first ones, or two lists of them.

    The result has the axes of ``x1`` that are left, then those of ``x2``. RuntimeError for axes of
    a pair that differ in length.

    >>> import framework.array_api as xp
    >>> xp.tensordot(xp.ones((2, 3, 4)), xp.ones((4, 3, 5)), axes=((1, 2), (1, 0))).shape
    torch.Size([2, 5])
    """
    if not isinstance(axes, int):
        axes = [list(a) for a in axes]
    return torch.tensordot(*same_type(x1, x2), dims=axes)


@standard
def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Any:
    """The scalar product of vectors along a (negative) axis; the first is conjugated.

    The other axes broadcast, the result has the common type. ValueError for vectors of two lengths
    and for an axis that one of the arrays has not.

    >>> import framework.array_api as xp
    >>> xp.vecdot(xp.asarray([1j, 2]), xp.asarray([1j, 1]))
    tensor(3.+0.j)
    """
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
