"""Reductions of consecutive segments of a dimension: segment_reduce."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.core.saved import all_values
from framework.kernels import module_of
from framework.kernels.floats import real_floating, widening
from framework.ops.dims import constant
from framework.tensor import Tensor, wrap

__all__ = ["segment_reduce"]

# The reduction, and what an empty segment gives.
_REDUCTIONS = {
    "sum": (np.add, 0.0), "mean": (np.add, np.nan), "prod": (np.multiply, 1.0),
    "max": (np.maximum, -np.inf), "min": (np.minimum, np.inf),
}  # fmt: skip


def _segment_of_kernel(lengths: Any, *, n: int) -> Any:
    """The segment that each of ``n`` elements of a row is in; behind the last one for none."""
    xp = module_of(lengths)
    ends = xp.cumsum(lengths, -1)
    result = xp.empty((*lengths.shape[:-1], n), np.int64)
    for i in np.ndindex(lengths.shape[:-1]):
        result[i] = xp.searchsorted(ends[i], xp.arange(n), "right")
    return result


SEGMENT_OF = op("segment_of", _segment_of_kernel, "lengths")


@widening
def _segment_kernel(a: Any, lengths: Any, *, reduce: str, axis: int, initial: float | None) -> Any:
    xp = module_of(a)
    ufunc, empty = _REDUCTIONS[reduce]
    outer, n, inner = a.shape[:axis], a.shape[axis], a.shape[axis + 1 :]
    count = lengths.shape[-1]
    inside = _segment_of_kernel(lengths, n=n) < count
    rows = a.reshape(-1, *inner)[inside.reshape(-1)]
    size = lengths.reshape(-1)
    filled = size > 0
    starts = (xp.cumsum(size) - size)[filled]
    start = empty if initial is None else initial
    result = xp.full((size.size, *inner), start, a.dtype)
    if starts.size:
        found = ufunc.reduceat(rows, starts, axis=0)
        result[filled] = found if initial is None else ufunc(found, a.dtype.type(initial))
    if reduce == "mean":
        by = xp.maximum(size, 1).astype(a.dtype)
        result = result / by.reshape(-1, *[1] * len(inner))
    return result.reshape(*outer, count, *inner)


def _segment_grad(
    g: Any, a: Any, lengths: Any, y: Any, reduce: str, axis: int, initial: Any
) -> Any:
    """To a segment's elements: shared evenly by equal extremes; for products y / a.

    Where an element is zero its own gradient is the product of the others; a segment with two has
    none. (A second derivative there is that of y / a.)
    """
    count = lengths.shape[-1]
    segment = apply(SEGMENT_OF, lengths, n=a.shape[axis])
    segment = segment.reshape(*segment.shape, *[1] * (a.ndim - axis - 1))
    index, member = segment.clamp(max=count - 1).expand(a.shape), segment < count
    own = g.gather(axis, index) * member
    if reduce == "sum":
        return own, None
    if reduce == "mean":
        size = lengths.clamp(1).reshape(*lengths.shape, *[1] * (a.ndim - axis - 1))
        return (g / size).gather(axis, index) * member, None
    result = y.gather(axis, index)
    if reduce == "prod":
        zero = constant(a) == 0
        zeros = g.new_zeros(g.shape).scatter_add(axis, index, (zero & member).to(g.dtype))
        others = apply(
            SEGMENT_REDUCE, a.masked_fill(zero, 1), lengths,
            reduce=reduce, axis=axis, initial=initial,
        )  # fmt: skip
        rest = others.gather(axis, index)
        alone = zero & (zeros.gather(axis, index) == 1)
        slope = (result / a.masked_fill(zero, 1)).masked_fill(zero, 0) + rest * alone
        return own * slope, None
    hit = ((a == result) | (a.isnan() & result.isnan())) & member
    share = g.new_zeros(g.shape).scatter_add(axis, index, hit.to(g.dtype))
    return own * hit / share.gather(axis, index).clamp(1), None


SEGMENT_REDUCE = op(
    "segment_reduce", _segment_kernel, "a lengths", grad=_segment_grad,
    samples=lambda s: [
        ((s(5, 2), wrap(np.array([2, 0, 3]))), {"reduce": reduce, "axis": 0, "initial": initial})
        for reduce, initial in (("sum", None), ("mean", 2.0), ("prod", None), ("max", -9.0))
    ] + [
        ((s(2, 3), wrap(np.array([[1, 2], [3, 0]]))), {"reduce": "min", "axis": 1, "initial": 9.0})
    ],
)  # fmt: skip


@function(method=False)
def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None,
    offsets: Tensor | None = None, axis: int = 0, unsafe: bool = False, initial: Any = None,
) -> Tensor:  # fmt: skip
    """Sums, means, products, maxima or minima of consecutive segments of a dimension.

    Args:
        reduce: "sum", "mean", "prod", "max" or "min".
        lengths: how long the segments are; its last dimension stands for ``axis``, those before
            are ``data``'s.
        offsets: where they begin, and where the last one ends, instead of their lengths.
        unsafe: do not check that the lengths are right.
        initial: what each reduction starts from, and an empty segment gives.

    RuntimeError for another ``reduce``, for ``indices``, and for lengths that do not add up;
    NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.segment_reduce(torch.tensor([1.0, 2.0, 3.0]), "sum", lengths=torch.tensor([1, 2]))
    tensor([1., 5.])
    """
    real_floating(data._data, "_segment_reduce_cpu")
    if reduce not in _REDUCTIONS:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if lengths is None:
        assert offsets is not None
        lengths = offsets[..., 1:] - offsets[..., :-1]
    if axis != lengths.ndim - 1:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of lengths but got {axis}."
        )
    if not unsafe and not lengths.is_meta:
        counts = all_values(lengths)
        if counts.size and counts.min() < 0:
            raise RuntimeError("lengths contains negative value!")
        if (counts.sum(-1) != data._data.shape[axis]).any():
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to "
                "data.size(lengths.dim()-1) when !unsafe."
            )
    start = None if initial is None else float(initial)
    return apply(SEGMENT_REDUCE, data, lengths, reduce=reduce, axis=axis, initial=start)
