"""Statistics and other reductions over axes."""

from __future__ import annotations

from typing import Any

from framework.array_api.array import standard, torch
from framework.array_api.data_types import same_type
from framework.dtypes import BOOL, INT
from framework.tensor import Tensor

__all__ = [
    "all", "any", "count_nonzero", "cumulative_prod", "cumulative_sum", "diff", "max", "mean",
    "min", "prod", "std", "sum", "var",
]  # fmt: skip


def _wide(x: Tensor, dtype: Any) -> Tensor:
    """``x`` in the type that it is summed up in: 64 bits, of its own kind, for integers."""
    if dtype is None and x.dtype.category <= INT:
        signed = x.dtype.is_signed or x.dtype.category == BOOL
        dtype = torch.int64 if signed else torch.uint64
    return x if dtype is None else x.to(dtype)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes to reduce, non-negative."""
    given = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for a in given:
        if not -ndim <= a < ndim:
            raise IndexError(f"axis {a} is out of range for {ndim} dimensions")
    return tuple(a % ndim for a in given)


def _reduced(name: str, x: Tensor, axis: Any, keepdims: bool, **options: Any) -> Any:
    """Our reduction over axes; over none of them it is the array itself, as the standard has it."""
    axes = _axes(axis, x.ndim)
    if axes or axis is None:
        return getattr(torch, name)(x, dim=axes, keepdim=keepdims, **options)
    one = getattr(torch, name)(x.unsqueeze(0), dim=0, **options)
    return one


@standard
def sum(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """The sum over axes; integers add up in 64 bits.

    >>> from framework import array_api as xp
    >>> xp.sum(xp.ones((2, 3), dtype=xp.uint8), axis=1)
    tensor([3, 3], dtype=torch.uint64)
    """
    x = _wide(x, dtype)
    return _reduced("sum", x, axis, keepdims, dtype=x.dtype)


@standard
def prod(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """The product over axes; integers multiply in 64 bits."""
    x = _wide(x, dtype)
    axes = _axes(axis, x.ndim)
    for a in axes:
        x = torch.prod(x, a, keepdim=True, dtype=x.dtype)
    return x if keepdims else torch.squeeze(x, axes)


@standard
def max(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest element over axes."""
    return _reduced("amax", x, axis, keepdims)


@standard
def min(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest element over axes."""
    return _reduced("amin", x, axis, keepdims)


@standard
def mean(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean over axes."""
    return _reduced("mean", x, axis, keepdims)


@standard
def var(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The variance over axes: the sum of squares divided by their number less ``correction``."""
    return _reduced("var", x, axis, keepdims, correction=correction)


@standard
def std(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The standard deviation over axes, see `var`."""
    return _reduced("std", x, axis, keepdims, correction=correction)


@standard
def all(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements over axes are true."""
    return _reduced("all", x.to(torch.bool), axis, keepdims)


@standard
def any(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether one of the elements over axes is true."""
    return _reduced("any", x.to(torch.bool), axis, keepdims)


@standard
def count_nonzero(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements over axes are not zero."""
    return _reduced("sum", x != 0, axis, keepdims)


@standard
def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Running sums along an axis, perhaps with the zero in front of them."""
    return _running("cumsum", 0, _wide(x, dtype), axis, include_initial)


@standard
def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Running products along an axis, perhaps with the one in front of them."""
    return _running("cumprod", 1, _wide(x, dtype), axis, include_initial)


def _running(name: str, start: int, x: Tensor, axis: int | None, include_initial: bool) -> Any:
    if axis is None:
        if x.ndim > 1:
            raise ValueError(f"{name}: expected an axis for an array of {x.ndim} dimensions")
        axis = 0
    result = getattr(torch, name)(x, axis, dtype=x.dtype)
    if not include_initial:
        return result
    shape = list(x.shape)
    shape[axis] = 1
    first = torch.full(shape, start, dtype=x.dtype, device=x.device)
    return torch.cat([first, result], axis)


@standard
def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None
) -> Any:
    """Differences of neighbours along an axis, taken ``n`` times.

    >>> from framework import array_api as xp
    >>> xp.diff(xp.asarray([1, 4, 9]), prepend=xp.asarray([0]))
    tensor([1, 3, 5])
    """
    parts = same_type(*[p for p in (prepend, x, append) if p is not None])
    return torch.diff(torch.cat(parts, axis) if len(parts) > 1 else x, n, axis)
