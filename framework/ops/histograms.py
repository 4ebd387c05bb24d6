"""Counting: bincount, histc, histogram, histogramdd. They have no gradient.

Bins are half open, but the last one has both its ends. Evenly spaced bins are found by division, as
in PyTorch; what rounding puts beyond a neighbouring edge is moved by one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.core.dispatch import apply, no_derivative
from framework.core.interpose import by_sample
from framework.core.registry import function, op
from framework.core.saved import needs_values
from framework.kernels import module_of, waits
from framework.kernels.floats import real_floating, type_name, wide
from framework.ops.dims import named
from framework.tensor import Tensor

__all__ = ["bincount", "histc", "histogram", "histogramdd"]

# -- whole numbers ---------------------------------------------------------------------------


def _bincount_kernel(a: Any, *weights: Any, minlength: int) -> Any:
    xp = module_of(a)
    if not weights:
        return xp.bincount(a, minlength=minlength).astype(np.int64, copy=False)
    w = weights[0]
    kind = np.float32 if w.dtype == np.float32 else np.float64
    if not a.size:  # without the weights' type, as in PyTorch
        return xp.zeros(minlength, np.int64)
    return xp.bincount(a, w.astype(np.float64), minlength).astype(kind, copy=False)


BINCOUNT = op("bincount", _bincount_kernel, "a *weights", grad=no_derivative("bincount"))


@function()
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in a vector of non-negative integers: int64.

    Args:
        weights: what each occurrence counts; the result is float32 for float32, else float64.
        minlength: at least so many counts.

    RuntimeError for more dimensions, a negative number, and weights of another length;
    NotImplementedError for floats.

    >>> import framework as torch
    >>> torch.bincount(torch.tensor([1, 3, 1]))
    tensor([0, 2, 0, 1])
    """
    needs_values("bincount", input)
    if waits.mode:
        waits.waited(input._device)
    a = input._data
    if a.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{type_name(a)}'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if a.ndim != 1 or (a.size and a.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    by = () if weights is None else (weights,)
    return apply(BINCOUNT, input, *by, minlength=minlength)


# -- even bins -------------------------------------------------------------------------------


def _even_bins(x: Any, low: float, high: float, bins: int) -> Any:
    """Numbers of the bins of the elements, ``bins`` and above or negative for those outside."""
    xp = module_of(x)
    place = xp.floor((x - low) * (bins / (high - low)))
    place = xp.where(x == high, bins - 1, place)
    inside = (x >= low) & (x <= high)
    return xp.where(inside, xp.minimum(place, bins - 1), -1).astype(np.int64)


def _ends(a: Any, low: float, high: float) -> tuple[float, float]:
    """The range of bins: as given, or that of the elements; never empty."""
    if low == high and a.size:
        low, high = float(a.min()), float(a.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low == high:
        return low - 1, high + 1
    return low, high


def _histc_kernel(a: Any, *, bins: int, low: float, high: float) -> Any:
    x = wide(a).reshape(-1)
    place = _even_bins(x, low, high, bins)
    counts = module_of(a).bincount(place[place >= 0], minlength=bins)
    return counts.astype(a.dtype)


HISTC = op("histc", _histc_kernel, "a")


@function(out="exact")
@by_sample
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of evenly spaced bins between ``min`` and ``max``.

    Equal ends (as by default) stand for the smallest and the largest element. The counts have the
    type of ``input``, which must be floating (NotImplementedError). RuntimeError for no bins, and
    where ``max`` is less than ``min``.

    Of any shape; ``bins`` counts in one dimension.

    >>> import framework as torch
    >>> torch.histc(torch.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if min > max:
        raise RuntimeError("torch.histc: max must be larger than min")
    a = real_floating(input._data, "aminmax_cpu" if input.is_complex() else "histogram_cpu")
    low, high = (0.0, 1.0) if input.is_meta else _ends(a, float(min), float(max))
    return apply(HISTC, input, bins=bins, low=low, high=high)


# -- histograms of any dimension -------------------------------------------------------------


def _histogram_kernel(x: Any, weight: Any, *edges: Any, even: bool, density: bool) -> Any:
    """``x`` [count, dims], ``weight`` [count] or None, one row of edges for each dimension."""
    xp = module_of(x)
    sizes = [max(len(e) - 1, 0) for e in edges]
    flat = xp.zeros(len(x), np.int64)
    inside = xp.ones(len(x), bool)
    for column, e, n in zip(x.T, edges, sizes):
        if even:
            place = _even_bins(column, e[0], e[-1], n)
        else:
            place = xp.where(column == e[-1], n - 1, xp.searchsorted(e, column, "right") - 1)
            inside &= (column >= e[0]) & (column <= e[-1])
        inside &= (place >= 0) & (place < n)
        flat = flat * n + place
    total = math.prod(sizes)
    weights = None if weight is None else weight[inside]
    hist = xp.bincount(flat[inside], weights, total).astype(x.dtype).reshape(sizes)
    if density:
        hist /= hist.sum()
        for i, e in enumerate(edges):
            hist /= xp.diff(e).reshape([-1 if k == i else 1 for k in range(len(edges))])
    return hist


HISTOGRAM = op("histogram", _histogram_kernel, "x weight *edges")


def _even_edges(x: Tensor, counts: list[int], span: Any) -> list[Tensor]:
    """Evenly spaced edges for each column of ``x``."""
    from framework.ops.ranges import linspace

    dims = len(counts)
    if span is not None and len(span) != 2 * dims:
        raise RuntimeError(
            f"torch.histogramdd: for a {dims}-dimensional histogram range should have {2 * dims} "
            f"elements, but got {len(span)}"
        )
    edges = []
    for d, bins in enumerate(counts):
        if bins <= 0:
            raise RuntimeError(
                f"torch.histogram(): bins must be > 0, but got {bins} for dimension {d}"
            )
        if span is not None:
            low, high = float(span[2 * d]), float(span[2 * d + 1])
        elif x._data.size:
            low, high = float(x._data[:, d].min()), float(x._data[:, d].max())
        else:
            low, high = 0.0, 1.0
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(
                f"torch.histogramdd: dimension {d}'s range [{low:g}, {high:g}] is not finite"
            )
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} "
                f"for dimension {d}"
            )
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges.append(linspace(low, high, bins + 1, dtype=x.dtype, device=x.device))
    return edges


def _given_edges(x: Tensor, bins: Any) -> list[Tensor]:
    for d, e in enumerate(bins):
        start = "torch.histogramdd: "
        if e.dtype is not x.dtype:
            raise RuntimeError(
                f"{start}input tensor and bins tensors should have the same dtype, but got input "
                f"with dtype {type_name(x._data)} and bins for dimension {d} with dtype "
                f"{type_name(e._data)}"
            )
        if e.ndim != 1:
            raise RuntimeError(
                f"{start}bins tensor should have one dimension, but got {e.ndim} dimensions in the "
                f"bins tensor for dimension {d}"
            )
        if not e._data.size:
            raise RuntimeError(
                f"{start}bins tensor should have at least 1 element, but got 0 elements in the "
                f"bins tensor for dimension {d}"
            )
    return list(bins)


def _histogram(
    input: Tensor, bins: Any, span: Any, weight: Tensor | None, density: bool
) -> tuple[Tensor, list[Tensor]]:
    """Of the innermost dimension's vectors; ``bins`` one number or row of edges for each."""
    if input._data.dtype not in (np.float32, np.float64):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{type_name(input._data)}'")
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor "
            f"should have the same dtype, but got input({type_name(input._data)}), and "
            f"weight({type_name(weight._data)})"
        )
    if weight is not None and weight.shape != input.shape[:-1]:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
            "input tensor excluding its innermost dimension, but got input with shape "
            f"{list(input.shape)} and weight with shape {list(weight.shape)}"
        )
    x = input.detach().reshape(-1, input.shape[-1])
    even = not isinstance(bins[0], Tensor)
    edges = _even_edges(x, bins, span) if even else _given_edges(x, bins)
    flat = None if weight is None else weight.detach().reshape(-1)
    return apply(HISTOGRAM, x, flat, *edges, even=even, density=bool(density)), edges


@function(out="exact")
@by_sample
def histogram(
    input: Tensor, bins: Any = 100, *, range: Any = None, weight: Tensor | None = None,
    density: bool = False,
) -> Any:  # fmt: skip
    """(hist, bin_edges) of all elements of a float32 or float64 tensor.

    Args:
        bins: a number of evenly spaced bins, or a 1-d tensor of their edges.
        range: both ends of evenly spaced bins; those of the elements if it is not given.
        weight: what each element counts, of ``input``'s shape.
        density: divided by the sum and by the bins' widths.

    NotImplementedError for other types; RuntimeError for ends that are not finite or the wrong way
    round, and for edges or weights of another type or shape.

    >>> import framework as torch
    >>> torch.histogram(torch.tensor([1.0, 2.0, 1.0]), bins=2, range=(0.0, 3.0)).hist
    tensor([2., 1.])
    """
    if isinstance(bins, Tensor) and range is not None:
        raise TypeError(
            "histogram() received an invalid combination of arguments: 'range' is for a number of "
            "bins, not for edges"
        )
    flat = None if weight is None else weight.reshape(-1)
    hist, edges = _histogram(input.reshape(-1, 1), [bins], range, flat, density)
    return named("histogram", "hist", "bin_edges")((hist, edges[0]))


@function(method=False)
@by_sample
def histogramdd(
    input: Tensor, bins: Any, range: Any = None, weight: Tensor | None = None,
    density: bool = False,
) -> Any:  # fmt: skip
    """(hist, bin_edges) of the vectors along the last dimension: a histogram of as many dimensions.

    Args:
        bins: a number of bins, one number for each dimension, or a row of edges for each.
        range: the ends of each dimension, one after the other.
        weight: what each vector counts.
        density: divided by the sum and by the bins' volumes.

    float32 and float64; errors as of `histogram`.

    >>> import framework as torch
    >>> points = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> torch.histogramdd(points, bins=[2, 2]).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    dims = input.shape[-1]
    each = [bins] * dims if isinstance(bins, int) else list(bins)
    if len(each) != dims:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    hist, edges = _histogram(input, each, range, weight, density)
    return named("histogramdd", "hist", "bin_edges")((hist, tuple(edges)))
