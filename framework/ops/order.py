"""Order statistics: kthvalue, median, nanmedian, mode, quantile, nanquantile.

NaN counts as the largest; ``median`` and ``quantile`` of something with NaN are NaN. Of equal
elements it is free which one an index names, but for the first NaN of ``median``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.kinds import MISSING
from framework.core.registry import function, op
from framework.core.saved import all_values
from framework.dtypes import float32, float64, int64
from framework.kernels import module_of
from framework.kernels.floats import type_name, wide
from framework.ops.dims import axis, constant, named, needs_elements, numpy_names
from framework.ops.extremes import selected_grad, whole_grad
from framework.ops.pointwise import lerp
from framework.ops.sort import order, picked, sort
from framework.tensor import Tensor

__all__ = ["kthvalue", "median", "mode", "nanmedian", "nanquantile", "quantile"]


def _only(a: Any, kinds: str, name: str) -> None:
    if a.dtype.kind not in kinds:
        raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(a)}'")


def _one_grad(g: Any, y1: Any, n: Any, dim: int, keepdim: bool) -> Any:
    return selected_grad(g[0], constant(y1), n.shape(0), dim, keepdim)


def _taken(a: Any, index: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
    """(values, indices) for ``index``, which has a one at ``dim``."""
    values, index = picked(a, index, dim)
    return (values, index) if keepdim else (values.squeeze(dim), index.squeeze(dim))


def _kth(x: Any, k: int, dim: int) -> Any:
    """Where the element of rank ``k`` (from 0) stands, with a one at ``dim``."""
    xp = module_of(x)
    return xp.take(xp.argpartition(x, k, dim), xp.asarray([k]), dim)


def _kthvalue_kernel(a: Any, *, k: int, dim: int, keepdim: bool) -> Any:
    _only(a, "iufV", "kthvalue_cpu")
    if not a.ndim:
        return a.copy(), module_of(a).zeros((), np.int64)
    return _taken(a, _kth(wide(a), k - 1, dim), dim, keepdim)


KTHVALUE = op(
    "kthvalue", _kthvalue_kernel, "a", grad=(_one_grad,),
    samples=lambda s: [
        ((s(3, 4),), {"k": 2, "dim": 1, "keepdim": False}),
        ((s(3, 2),), {"k": 3, "dim": 0, "keepdim": True}),
        ((s(),), {"k": 1, "dim": 0, "keepdim": False}),
    ],
)  # fmt: skip


@function(out="exact apart")
@numpy_names
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the ``k``-th smallest along a dimension; ``k`` counts from 1.

    The dimension goes, or stays with size 1 (``keepdim``); indices are int64.

    Raises:
        RuntimeError: there is no ``k``-th.
        IndexError: a dimension out of range.
        NotImplementedError: complex numbers or bools.

    >>> import framework as torch
    >>> torch.kthvalue(torch.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    d = axis(dim, input.ndim)
    needs_elements(input, d, "kthvalue")
    n = input._data.shape[d] if input.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {d}")
    found = apply(KTHVALUE, input, k=k, dim=d, keepdim=keepdim)
    return named("kthvalue", "values", "indices")(found)


# -- the middle ------------------------------------------------------------------------------


def _middle(x: Any, dim: int, skip: bool) -> Any:
    """Where the lower median along ``dim`` stands; the first NaN if there is one, or without."""
    xp = module_of(x)
    n = x.shape[dim]
    index = _kth(x, (n - 1) // 2, dim)
    hole = x != x
    if x.dtype.kind != "f" or (isinstance(x, np.ndarray) and not hole.any()):
        return index  # a device is not asked: it would have to be waited for
    if skip:
        count = xp.maximum(n - hole.sum(axis=dim, keepdims=True), 1)
        return xp.take_along_axis(order(x, dim), (count - 1) // 2, dim)
    first = xp.expand_dims(hole.argmax(axis=dim), dim)
    return xp.where(hole.any(axis=dim, keepdims=True), first, index)


def _median(name: str, skip: bool) -> Any:
    """(the op on all elements, the op along a dimension)."""

    def whole(a: Any) -> Any:
        _only(a, "iufV", "median_cpu")
        if not a.size:
            return module_of(a).asarray(np.nan, np.float64).astype(a.dtype)
        flat = wide(a).reshape(-1)
        return a.reshape(-1)[_middle(flat, 0, skip)[0]]

    def along(a: Any, *, dim: int, keepdim: bool) -> Any:
        _only(a, "iufV", "median_out")
        if not a.ndim:
            return a.copy(), module_of(a).zeros((), np.int64)
        return _taken(a, _middle(wide(a), dim, skip), dim, keepdim)

    return (
        op(name, whole, "a", grad=(whole_grad,),
           samples=lambda s: [((s(3, 2),), {}), ((s(),), {})]),
        op(f"{name}_dim", along, "a", grad=(_one_grad,),
           samples=lambda s: [((s(3, 2),), {"dim": 1, "keepdim": False}),
                              ((s(3, 2),), {"dim": 0, "keepdim": True})]),
    )  # fmt: skip


MEDIAN, NANMEDIAN = _median("median", False), _median("nanmedian", True)


def _median_of(ops: Any, input: Tensor, dim: int, keepdim: bool) -> Any:
    whole, along = ops
    if dim is MISSING:
        return apply(whole, input)
    d = axis(dim, input.ndim)
    needs_elements(input, d, "median")
    found = apply(along, input, dim=d, keepdim=keepdim)
    return named(whole.name, "values", "indices")(found)


@function(out="exact apart")
@numpy_names
def median(input: Tensor, dim: int = MISSING, keepdim: bool = False) -> Any:
    """The lower median: of all elements, or (values, indices) along a dimension; NaN if one is.

    Of the type of ``input``. Of no floats it is NaN, along a dimension without elements an
    IndexError. NotImplementedError for complex numbers and bools.

    >>> import framework as torch
    >>> torch.tensor([4.0, 1.0, 3.0, 2.0]).median()
    tensor(2.)
    """
    return _median_of(MEDIAN, input, dim, keepdim)


@function(out="exact apart")
@numpy_names
def nanmedian(input: Tensor, dim: int = MISSING, keepdim: bool = False) -> Any:
    """The lower median of what is not NaN; NaN where nothing is left. Otherwise as `median`.

    >>> import framework as torch
    >>> torch.tensor([4.0, torch.nan, 3.0]).nanmedian()
    tensor(3.)
    """
    return _median_of(NANMEDIAN, input, dim, keepdim)


# -- the most frequent -----------------------------------------------------------------------


def _running_max(a: Any) -> Any:
    """Along the last dimension. CuPy has no such function: there it is a kernel of our own."""
    if isinstance(a, np.ndarray):
        return np.maximum.accumulate(a, axis=-1)
    from framework.kernels.cuda.scans import running_max

    return running_max(a)


def _mode_kernel(a: Any, *, dim: int, keepdim: bool) -> Any:
    _only(a, "biufV", "mode_cpu")
    xp = module_of(a)
    if not a.ndim:
        return a.copy(), xp.zeros((), np.int64)
    x = xp.moveaxis(wide(a), dim, -1)
    ranks = order(x, -1)
    ordered = xp.take_along_axis(x, ranks, -1)
    place = xp.broadcast_to(xp.arange(x.shape[-1]), x.shape)
    starts = xp.zeros(x.shape, place.dtype)
    new = ordered[..., 1:] != ordered[..., :-1]  # NaN never equals its neighbour
    starts[..., 1:] = xp.where(new, place[..., 1:], 0)
    # How long the run of equal elements is so far: it is longest at the end of the first longest.
    length = place - _running_max(starts)
    index = xp.take_along_axis(ranks, length.argmax(-1)[..., None], -1)
    return _taken(a, xp.moveaxis(index, -1, dim), dim, keepdim)


MODE = op(
    "mode", _mode_kernel, "a", grad=(_one_grad,),
    samples=lambda s: [
        ((s(3, 4),), {"dim": 1, "keepdim": False}), ((s(3, 2),), {"dim": 0, "keepdim": True}),
    ],
)  # fmt: skip


@function(out="exact apart")
@numpy_names
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the most frequent along a dimension; the smallest of equally frequent.

    The index is that of its last occurrence. IndexError for a dimension without elements or out of
    range, NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.mode(torch.tensor([3, 1, 2, 1])).values
    tensor(1)
    """
    d = axis(dim, input.ndim)
    needs_elements(input, d, "mode")
    return named("mode", "values", "indices")(apply(MODE, input, dim=d, keepdim=keepdim))


# -- quantiles -------------------------------------------------------------------------------

_ROUNDED = {"lower": "floor", "higher": "ceil", "nearest": "round"}
_LARGEST = 16_000_000  # elements that PyTorch takes


def _check_quantile(input: Tensor, q: Any, interpolation: str) -> Tensor:
    """``q`` as a tensor, 0-d or 1-d."""
    if not input._data.size:
        raise RuntimeError("quantile() input tensor must be non-empty")
    if input.dtype not in (float32, float64):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q:g}")
        q = input.new_tensor(q)
    elif q.ndim > 1:
        raise RuntimeError("quantile() q must be a scalar or 1D tensor")
    elif q.dtype is not input.dtype:
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    elif not ((all_values(q) >= 0) & (all_values(q) <= 1)).all():
        raise RuntimeError("quantile() q values must be in the range [0, 1]")
    if interpolation not in ("linear", "midpoint", *_ROUNDED):
        raise RuntimeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    return q


def _quantile(
    input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip: bool
) -> Tensor:
    """Ranks q (n - 1) among the sorted elements; between two of them it is interpolated."""
    level = _check_quantile(input, q, interpolation)
    d = None if dim is None else axis(dim, input.ndim)
    whole = d is None or not input.ndim
    rows = input.reshape(-1) if whole else input.movedim(d, -1)
    *rest, n = rows._data.shape
    if n > _LARGEST:
        raise RuntimeError("quantile() input tensor is too large")
    ordered = sort(rows, -1)[0]
    hole = ordered.detach().isnan()
    if skip:
        ranks = level * (n - 1 - hole.sum(-1, True)).clamp(0).to(input.dtype)
    else:
        ranks = (level * (n - 1)).expand(*rest, level.numel())
        ranks = ranks.masked_fill(hole[..., -1:], n - 1)  # to a NaN
    if interpolation in _ROUNDED:
        ranks = getattr(ranks, _ROUNDED[interpolation])()
    below = ranks.detach().to(int64)
    found = ordered.gather(-1, below)
    if interpolation in ("linear", "midpoint"):
        above = ordered.gather(-1, ranks.detach().ceil().to(int64))
        found = lerp(found, above, 0.5 if interpolation == "midpoint" else ranks - below)
    if keepdim:
        rest = [1] * input.ndim if whole else [*rest[:d], 1, *rest[d:]]
    return found.movedim(-1, 0).reshape(*level.shape, *rest)


@function(out="exact")
@numpy_names
@composite
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The ``q``-th quantiles of all elements or along a dimension; NaN if one is.

    Args:
        q: a number in [0, 1] or a 1-d tensor of them, of ``input``'s type: the results of a tensor
            stand along a new first dimension.
        interpolation: "linear", "lower", "higher", "midpoint" or "nearest", for a quantile that
            lies between two elements.

    RuntimeError for no elements, a ``q`` outside, another interpolation, and types other than
    float32 and float64.

    >>> import framework as torch
    >>> torch.quantile(torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([0.25, 0.5]))
    tensor([0.7500, 1.5000])
    """
    return _quantile(input, q, dim, keepdim, interpolation, False)


@function(out="exact")
@numpy_names
@composite
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The ``q``-th quantiles of what is not NaN; arguments and errors as of `quantile`.

    >>> import framework as torch
    >>> torch.nanquantile(torch.tensor([torch.nan, 1.0, 2.0]), 0.5)
    tensor(1.5000)
    """
    return _quantile(input, q, dim, keepdim, interpolation, True)
