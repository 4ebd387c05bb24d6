"""Sorting: sort, argsort, topk, median, kthvalue."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.ops.indexing import gather
from framework.ops.reduce import axis, pair
from framework.tensor import Tensor, wrap

__all__ = ["argsort", "median", "sort", "topk"]


def _argsort_kernel(a: Any, *, dim: int, descending: bool) -> Any:
    if not a.ndim:
        return np.zeros((), np.int64)
    if a.dtype.kind == "V":
        a = a.astype(np.float32)
    if descending:  # reversed twice, so that equal elements keep their order
        flipped = np.argsort(np.flip(a, dim), dim, kind="stable")
        return np.flip(a.shape[dim] - 1 - flipped, dim).astype(np.int64)
    return np.argsort(a, dim, kind="stable").astype(np.int64)


ARGSORT = op("argsort", _argsort_kernel, "a")


@function()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Indices that sort along a dimension (always stable here)."""
    return apply(ARGSORT, input, dim=axis(dim, input.ndim), descending=descending)


@function()
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values, indices) sorted along a dimension.

    >>> import framework as torch
    >>> torch.sort(torch.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    order = argsort(input, dim, descending)
    return pair(gather(input, dim, order) if input.ndim else input, order)


@function()
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k largest or smallest along a dimension."""
    n = input.shape[axis(dim, input.ndim)] if input.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"selected index k out of range: k = {k}, size of dimension = {n}")
    order = argsort(input, dim, largest)
    if input.ndim:
        order = order.narrow(dim, 0, k)
    return pair(gather(input, dim, order) if input.ndim else input, order)


@function()
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the k-th smallest along a dimension."""
    order = argsort(input, dim).narrow(dim, k - 1, 1)
    values = gather(input, dim, order)
    if not keepdim:
        values, order = values.squeeze(dim), order.squeeze(dim)
    return pair(values, order)


@function()
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median: of all elements, or (values, indices) along a dimension."""
    if dim is None:
        flat = input.reshape(-1)
        if not flat.numel():
            return wrap(np.asarray(np.nan, input._data.dtype), input._device)
        return kthvalue(flat, (flat.shape[0] + 1) // 2, 0)[0]
    return kthvalue(input, (input.shape[axis(dim, input.ndim)] + 1) // 2, dim, keepdim)
