"""Distinct elements: unique and unique_consecutive. Their backward refuses, as PyTorch's does.

Both flatten the tensor, or look at its slices along a dimension as one element each; two slices
that hold NaN are never equal, as NaN is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply, no_derivative
from framework.core.registry import function, op
from framework.kernels import module_of, waits
from framework.kernels.floats import type_name, wide
from framework.ops.dims import axis, numpy_names
from framework.tensor import Tensor

__all__ = ["unique", "unique_consecutive"]


def _unique_kernel(a: Any, *, dim: int | None, ordered: bool, places: bool) -> Any:
    """One of each, with ``places`` also the inverse and the counts; ``ordered`` sorts first."""
    if a.dtype.kind == "c":
        raise NotImplementedError(f"\"unique\" not implemented for '{type_name(a)}'")
    xp = module_of(a)
    items = a.reshape(-1) if dim is None else xp.moveaxis(a, dim, 0)
    n = len(items)
    rows = wide(items)
    if dim is None and ordered and not places:
        ordered_rows = xp.sort(rows)
        return ordered_rows[_starts(ordered_rows)].astype(a.dtype, copy=False)
    rows = rows.reshape(n, -1 if items.size else 0)
    ranks = xp.arange(n)
    if ordered and n > 1:
        ranks = _ranked(rows)
        rows = rows[ranks]
    new = _starts(rows)
    starts = xp.flatnonzero(new)
    values = items[ranks[starts]]
    if dim is not None:
        values = xp.ascontiguousarray(xp.moveaxis(values, 0, dim))
    if not places:
        return values
    inverse = xp.empty(n, np.int64)
    inverse[ranks] = xp.cumsum(new) - 1
    counts = xp.diff(xp.append(starts, n)).astype(np.int64, copy=False)
    return values, inverse.reshape(a.shape) if dim is None else inverse, counts


def _starts(rows: Any) -> Any:
    """Where a row differs from the one before."""
    new = module_of(rows).ones(len(rows), bool)
    differs = rows[1:] != rows[:-1]
    new[1:] = differs.any(1) if rows.ndim > 1 else differs
    return new


def _ranked(rows: Any) -> Any:
    """Indices that sort rows; often the first column is enough."""
    xp = module_of(rows)
    ranks = rows[:, 0].argsort()
    if rows.shape[1] == 1 or _starts(rows[ranks, 0]).all():
        return ranks
    return xp.lexsort(rows.T[::-1])


UNIQUE = op("unique", _unique_kernel, "a", grad=no_derivative("_unique2"))
CONSECUTIVE = op(
    "unique_consecutive", _unique_kernel, "a", grad=no_derivative("unique_consecutive")
)


def _distinct(
    input: Tensor, dim: int | None, ordered: bool, return_inverse: bool, return_counts: bool
) -> Any:
    if dim is not None:
        if not input.ndim:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        dim = axis(dim, input.ndim)
        shape = input._data.shape
        if shape[dim] and not input._data.size:
            raise RuntimeError(
                "There are 0 sized dimensions, and they aren't selected, so unique cannot be "
                "applied"
            )
    if waits.mode:
        waits.waited(input._device)
    record = UNIQUE if ordered else CONSECUTIVE
    if not (return_inverse or return_counts):
        return apply(record, input, dim=dim, ordered=ordered, places=False)
    values, inverse, counts = apply(record, input, dim=dim, ordered=ordered, places=True)
    wanted = ((values, True), (inverse, return_inverse), (counts, return_counts))
    return tuple([part for part, is_wanted in wanted if is_wanted])


@function()
@numpy_names
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """The distinct elements as a vector, or the distinct slices along ``dim``, in order.

    Args:
        sorted: accepted; the result is always sorted.
        return_inverse: also where each element of ``input`` went, int64.
        return_counts: also how often each occurs, int64.

    NotImplementedError for complex numbers and for its gradient, IndexError for a dimension out of
    range.

    >>> import framework as torch
    >>> torch.unique(torch.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    return _distinct(input, dim, True, return_inverse, return_counts)


@function()
@numpy_names
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """One element, or slice along ``dim``, of each run of equal ones; arguments as of `unique`.

    >>> import framework as torch
    >>> torch.unique_consecutive(torch.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    return _distinct(input, dim, False, return_inverse, return_counts)
