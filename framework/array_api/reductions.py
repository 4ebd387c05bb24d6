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
    """The sum over axes; integers add up in 64 bits if no type is given.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range.

    >>> import framework.array_api as xp
    >>> xp.sum(xp.ones((2, 3), dtype=xp.uint8), axis=1)
    tensor([3, 3], dtype=torch.uint64)
    """
    x = _wide(x, dtype)
    return _reduced("sum", x, axis, keepdims, dtype=x.dtype)


@standard
def prod(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """The product over axes; integers multiply in 64 bits if no type is given.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range.

    >>> import framework.array_api as xp
    >>> xp.prod(xp.asarray([[1, 2], [3, 4]]), axis=1)
    tensor([ 2, 12])
    """
    x = _wide(x, dtype)
    axes = _axes(axis, x.ndim)
    for a in axes:
        x = torch.prod(x, a, keepdim=True, dtype=x.dtype)
    return x if keepdims else torch.squeeze(x, axes)


@standard
def max(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest element over axes; NaN if there is one.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range and for no elements, NotImplementedError for complex
    arrays.

    >>> import framework.array_api as xp
    >>> xp.max(xp.asarray([[1, 5], [7, 2]]), axis=1)
    tensor([5, 7])
    """
    return _reduced("amax", x, axis, keepdims)


@standard
def min(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest element over axes; NaN if there is one.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range and for no elements, NotImplementedError for complex
    arrays.

    >>> import framework.array_api as xp
    >>> xp.min(xp.asarray([[1, 5], [7, 2]]), axis=1)
    tensor([1, 2])
    """
    return _reduced("amin", x, axis, keepdims)


@standard
def mean(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean over axes; NaN of no elements.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range, RuntimeError for types that are neither floating nor
    complex.

    >>> import framework.array_api as xp
    >>> xp.mean(xp.asarray([[1.0, 5.0], [7.0, 3.0]]), axis=0, keepdims=True)
    tensor([[4., 4.]])
    """
    return _reduced("mean", x, axis, keepdims)


@standard
def var(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The variance over axes: the sum of squares divided by their number less ``correction``.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range, RuntimeError for types that are neither floating nor
    complex.

    >>> import framework.array_api as xp
    >>> xp.var(xp.asarray([1.0, 2.0, 3.0])), xp.var(xp.asarray([1.0, 2.0, 3.0]), correction=1)
    (tensor(0.6667), tensor(1.))
    """
    return _reduced("var", x, axis, keepdims, correction=correction)


@standard
def std(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The standard deviation over axes: the square root of `var`, with its arguments and errors.

    >>> import framework.array_api as xp
    >>> xp.std(xp.asarray([[1.0, 3.0], [2.0, 8.0]]), axis=1)
    tensor([1., 3.])
    """
    return _reduced("std", x, axis, keepdims, correction=correction)


@standard
def all(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements over axes are other than zero, as bool; true of none.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range.

    >>> import framework.array_api as xp
    >>> xp.all(xp.asarray([[1, 0], [2, 3]]), axis=1)
    tensor([False,  True])
    """
    return _reduced("all", x.to(torch.bool), axis, keepdims)


@standard
def any(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether one of the elements over axes is other than zero, as bool; false of none.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range.

    >>> import framework.array_api as xp
    >>> xp.any(xp.asarray([[1, 0], [0, 0]]), axis=1)
    tensor([ True, False])
    """
    return _reduced("any", x.to(torch.bool), axis, keepdims)


@standard
def count_nonzero(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements over axes are not zero, as int64.

    ``axis`` is a number, a tuple of them or None (all); ``keepdims`` leaves lengths of one in their
    place. IndexError for an axis out of range.

    >>> import framework.array_api as xp
    >>> xp.count_nonzero(xp.asarray([[1, 0], [2, 3]]), axis=1)
    tensor([1, 2])
    """
    return _reduced("sum", x != 0, axis, keepdims)


@standard
def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Running sums along an axis, perhaps with the zero in front of them.

    Types as of `sum`. ValueError for several dimensions and no axis, IndexError for one out of
    range.

    >>> import framework.array_api as xp
    >>> xp.cumulative_sum(xp.asarray([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    return _running("cumsum", 0, _wide(x, dtype), axis, include_initial)


@standard
def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Running products along an axis, perhaps with the one in front of them.

    Types as of `prod`. ValueError for several dimensions and no axis, IndexError for one out of
    range.

    >>> import framework.array_api as xp
    >>> xp.cumulative_prod(xp.asarray([2, 3, 4]))
    tensor([ 2,  6, 24])
    """
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
    """Differences of neighbours along an axis, taken ``n`` times: each time one element less.

    ``prepend`` and ``append`` are put before and behind ``x``. IndexError for an axis out of range,
    RuntimeError for a negative ``n``.

    The shape stays, but for the length along the axis.

    >>> import framework.array_api as xp
    >>> xp.diff(xp.asarray([1, 4, 9]), prepend=xp.asarray([0]))
    tensor([1, 3, 5])
    """
    parts = same_type(*[p for p in (prepend, x, append) if p is not None])
    return torch.diff(torch.cat(parts, axis) if len(parts) > 1 else x, n, axis)
