"""Sorting: sort, argsort, msort, topk.

NaN counts as the largest. Equal elements keep their order where that is asked for (``stable``), and
without asking along dimensions of at most 16 elements, as they do in PyTorch; elsewhere their order
is free, which lets NumPy use a sort that is several times as fast.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.dtypes import BOOL, COMPLEX
from framework.kernels import compiled, module_of
from framework.kernels.floats import wide
from framework.layout import in_rows, like_dense
from framework.ops.dims import axis, constant, named, numpy_names
from framework.ops.extremes import selected_grad
from framework.tensor import Tensor

__all__ = ["argsort", "msort", "order", "picked", "picked_grad", "sort", "topk"]

_SMALL = 16  # elements that are sorted stably anyway
_FEW = 64  # elements that are sorted faster than they are divided


def order(a: Any, dim: int, descending: bool = False, stable: bool = True) -> Any:
    """Indices that sort an array along a dimension, NaN as the largest."""
    xp = module_of(a)
    x = wide(a)
    n = x.shape[dim]
    if not (stable or n <= _SMALL):
        index = xp.argsort(x, dim)
        return xp.flip(index, dim) if descending else index
    if not descending:
        return xp.argsort(x, dim, kind="stable")
    # Reversed twice, so that equal elements keep their order.
    return xp.flip(n - 1 - xp.argsort(xp.flip(x, dim), dim, kind="stable"), dim)


def picked(a: Any, index: Any, dim: int) -> tuple[Any, Any]:
    """(values, indices) of an array along a dimension."""
    index = in_rows(index.astype(np.int64, copy=False))  # also of one read backwards
    return module_of(a).take_along_axis(a, index, dim), index


def picked_grad(g: Any, y1: Any, n: Any, dim: int) -> Any:
    """Back to where the values were picked."""
    return selected_grad(g[0], constant(y1), n.shape(0), dim, True)


def _sort_kernel(a: Any, *, dim: int, descending: bool, stable: bool) -> Any:
    if not a.ndim:
        return a.copy(), module_of(a).zeros((), np.int64)
    found = picked(a, order(a, dim, descending, stable), dim)
    return found if a.flags.c_contiguous else (like_dense(found[0], a), like_dense(found[1], a))


SORT = op(
    "sort", _sort_kernel, "a", grad=(picked_grad,),
    samples=lambda s: [
        ((s(3, 4),), {"dim": 0, "descending": True, "stable": False}),
        ((s(3, 20),), {"dim": 1, "descending": False, "stable": False}),
        ((s(),), {"dim": 0, "descending": False, "stable": True}),
    ],
)  # fmt: skip
ARGSORT = op("argsort", lambda a, **meta: _sort_kernel(a, **meta)[1], "a")


def _sorted(record: Any, input: Tensor, dim: int, descending: bool, stable: Any) -> Any:
    if input.dtype.category == COMPLEX:
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    d = axis(dim, input.ndim)
    return apply(record, input, dim=d, descending=bool(descending), stable=bool(stable))


@function(out="exact")
@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Indices that sort along a dimension, as int64; arguments and errors as of `sort`.

    >>> import framework as torch
    >>> torch.argsort(torch.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return _sorted(ARGSORT, input, dim, descending, stable)


@function(out="exact")
@numpy_names
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = False
) -> Any:
    """(values, indices) sorted along a dimension, in the shape of ``input``; of any real dtype.

    Args:
        descending: the largest first, NaN before all.
        stable: equal elements keep their order.

    RuntimeError for complex numbers, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.sort(torch.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    return named("sort", "values", "indices")(_sorted(SORT, input, dim, descending, stable))


@function(out="exact")
def msort(input: Tensor) -> Tensor:
    """The values sorted along the first dimension; errors as of `sort`.

    >>> import framework as torch
    >>> torch.msort(torch.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return _sorted(SORT, input, 0, False, False)[0]


# -- the first few ---------------------------------------------------------------------------


def _topk_kernel(a: Any, *, k: int, dim: int, largest: bool, sorted: bool) -> Any:
    xp = module_of(a)
    if not a.ndim:
        return a.copy(), xp.zeros((), np.int64)
    n = a.shape[dim]
    if sorted and dim == a.ndim - 1 and 0 < k < n and compiled.is_plain(a):
        kernels = compiled.family("firsts")
        if kernels and k <= kernels.MOST and (k <= 8 or 16 * k <= n):
            found = kernels.firsts(a.reshape(-1, n), k, largest)
            return tuple([part.reshape(*a.shape[:-1], k) for part in found])
    if n <= _FEW or k in (0, n):
        index = xp.split(order(a, dim, largest), [k], dim)[0]
        return picked(a, index, dim)
    # The k of interest first, in the order of their places; only they are sorted.
    cut = n - k if largest else k
    parts = xp.split(xp.argpartition(wide(a), n - k if largest else k - 1, dim), [cut], dim)
    values, index = picked(a, xp.sort(parts[bool(largest)], dim), dim)
    if not sorted:
        return values, index
    ranks = order(values, dim, largest)
    return picked(values, ranks, dim)[0], picked(index, ranks, dim)[0]


TOPK = op(
    "topk", _topk_kernel, "a", grad=(picked_grad,),
    samples=lambda s: [
        ((s(5, 4),), {"k": 2, "dim": 0, "largest": True, "sorted": True}),
        ((s(2, 4),), {"k": 3, "dim": 1, "largest": False, "sorted": False}),
    ],
)  # fmt: skip


@function(out="exact apart")
@numpy_names
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k largest (or smallest) along a dimension, NaN as the largest.

    That dimension becomes ``k`` long; indices are int64.

    Raises:
        RuntimeError: ``k`` is negative or more than there are; complex numbers or bools.
        IndexError: a dimension out of range.

    >>> import framework as torch
    >>> torch.topk(torch.tensor([1.0, 4.0, 3.0]), 2).values
    tensor([4., 3.])
    """
    d = axis(dim, input.ndim)
    n = input._data.shape[d] if input.ndim else 1
    try:
        k = operator.index(k)
    except TypeError:
        words = f"topk(): argument 'k' (position 2) must be int, not {type(k).__name__}"
        raise TypeError(words) from None
    if not 0 <= k <= n:
        raise RuntimeError("selected index k out of range")
    if input.dtype.category in (BOOL, COMPLEX):
        kind = "bool" if input.dtype.category == BOOL else "complex"
        raise RuntimeError(f"topk does not support {kind} dtypes on CPU")
    found = apply(TOPK, input, k=k, dim=d, largest=bool(largest), sorted=bool(sorted))
    return named("topk", "values", "indices")(found)
