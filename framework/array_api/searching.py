"""Finding, sorting, picking and counting elements."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from framework.array_api.array import axis_of, standard, torch
from framework.array_api.data_types import same_type
from framework.dtypes import COMPLEX
from framework.tensor import Tensor

__all__ = [
    "argmax", "argmin", "argsort", "isin", "nonzero", "searchsorted", "sort", "take",
    "take_along_axis", "unique_all", "unique_counts", "unique_inverse", "unique_values", "where",
]  # fmt: skip


@standard
def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the first largest element stands along an axis, or in all of the array (as one row).

    int64. IndexError for an axis out of range and for no elements, RuntimeError for complex arrays.

    The result has the shape of ``x`` without that axis (with ``keepdims``: of length one).

    >>> import framework.array_api as xp
    >>> xp.argmax(xp.asarray([[3, 9, 9], [5, 1, 2]]), axis=1)
    tensor([1, 0])
    """
    return torch.argmax(x, axis, keepdim=keepdims)


@standard
def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the first smallest element stands along an axis, or in all of the array (as one row).

    int64. IndexError for an axis out of range and for no elements, RuntimeError for complex arrays.

    The result has the shape of ``x`` without that axis (with ``keepdims``: of length one).

    >>> import framework.array_api as xp
    >>> xp.argmin(xp.asarray([[3, 9, 9], [5, 1, 2]]))
    tensor(4)
    """
    return torch.argmin(x, axis, keepdim=keepdims)


@standard
def nonzero(x: Tensor, /) -> Any:
    """Where the elements are that are not zero: one array of int64 indices for each axis.

    ValueError for an array without dimensions.

    >>> import framework.array_api as xp
    >>> xp.nonzero(xp.asarray([[0, 1], [2, 0]]))
    (tensor([0, 1]), tensor([1, 0]))
    """
    if not x.ndim:
        raise ValueError("nonzero: expected an array of at least one dimension, but got none")
    return tuple(torch.nonzero(x, as_tuple=True))


@standard
def searchsorted(
    x1: Tensor, x2: Any, /, *, side: str = "left", sorter: Tensor | None = None
) -> Any:
    """Where the elements of ``x2`` belong in the sorted ``x1`` (sorted by ``sorter``, if given).

    int64, in the shape of ``x2``; before equal elements for ``side="left"``, behind them for
    "right". RuntimeError for another side, and for ``x1`` of several dimensions that are not those
    of ``x2``.

    >>> import framework.array_api as xp
    >>> x = xp.asarray([1, 3, 5])
    >>> xp.searchsorted(x, xp.asarray([3, 4])), xp.searchsorted(x, xp.asarray([3, 4]), side="right")
    (tensor([1, 2]), tensor([2, 2]))
    """
    ordered, values = same_type(x1, x2)
    if sorter is not None:
        ordered = torch.index_select(ordered, 0, sorter.to(torch.int64))
    return torch.searchsorted(ordered, values, side=side)


@standard
def where(condition: Tensor, x1: Any, x2: Any, /) -> Any:
    """Elements of ``x1`` where the condition holds, of ``x2`` elsewhere.

    All three broadcast, the result has the common type of ``x1`` and ``x2``, one of which may be a
    number. RuntimeError for a condition that is not bool and for shapes that do not broadcast.

    >>> import framework.array_api as xp
    >>> xp.where(xp.asarray([True, False]), 1, xp.zeros(2))
    tensor([1., 0.])
    """
    if isinstance(x1, Tensor) or isinstance(x2, Tensor):
        x1, x2 = same_type(x1, x2)
    return torch.where(condition, x1, x2)


@standard
def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The int64 indices that sort along an axis; see `sort`.

    >>> import framework.array_api as xp
    >>> xp.argsort(xp.asarray([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return torch.sort(x, dim=axis, descending=descending, stable=stable)[1]


@standard
def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The elements in order along an axis; NaN counts as the largest.

    Args:
        stable: equal elements keep their order, which `argsort` shows.

    Raises:
        IndexError: the axis is out of range.
        RuntimeError: the array is complex.

    >>> import framework.array_api as xp
    >>> xp.sort(xp.asarray([3, 1, 2]), descending=True)
    tensor([3, 2, 1])
    """
    return torch.sort(x, dim=axis, descending=descending, stable=stable)[0]


@standard
def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Any:
    """Slices picked along an axis, which an array of one dimension need not name.

    Negative indices count from the end. IndexError for indices and an axis out of range, ValueError
    for several dimensions and no axis.

    >>> import framework.array_api as xp
    >>> xp.take(xp.asarray([5, 6, 7]), xp.asarray([2, -1, 0]))
    tensor([7, 7, 5])
    """
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take: expected an axis for an array of {x.ndim} dimensions")
        axis = 0
    axis = axis_of("take", axis, x)
    found = torch.index_select(x, axis, _positive(indices, x.shape[axis]).flatten())
    return found.reshape(x.shape[:axis] + tuple(indices.shape) + x.shape[axis + 1 :])


@standard
def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Any:
    """Elements picked along an axis, at a place of its own for each element of ``indices``.

    The other axes broadcast; negative indices count from the end. RuntimeError for another number
    of dimensions, IndexError for an axis out of range.

    >>> import framework.array_api as xp
    >>> x = xp.asarray([[3, 1, 2], [7, 9, 8]])
    >>> xp.take_along_axis(x, xp.argsort(x), axis=1)
    tensor([[1, 2, 3],
            [7, 8, 9]])
    """
    axis = axis_of("take_along_axis", axis, x)
    return torch.take_along_dim(x, _positive(indices, x.shape[axis]), axis)


def _positive(indices: Tensor, length: int) -> Tensor:
    """Indices counted from the front."""
    wide = indices.to(torch.int64)
    return torch.where(wide < 0, wide + length, wide)


# -- sets ------------------------------------------------------------------------------------

_All = namedtuple("_All", "values indices inverse_indices counts")
_Counts = namedtuple("_Counts", "values counts")
_Inverse = namedtuple("_Inverse", "values inverse_indices")


@standard
def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Any:
    """Whether each element of ``x1`` is (with ``invert``: is not) among those of ``x2``.

    bool, in the shape of ``x1``; elements are compared in the common type.

    >>> import framework.array_api as xp
    >>> xp.isin(xp.asarray([1, 2, 3]), xp.asarray([2, 5]))
    tensor([False,  True, False])
    """
    elements, among = same_type(x1, x2)
    _, at = torch.sort(among.flatten())
    ordered = among.flatten()[at]
    if not ordered.numel():
        found = torch.zeros_like(elements, dtype=torch.bool)
    else:
        place = torch.searchsorted(ordered, elements).clamp(max=ordered.numel() - 1)
        found = ordered[place] == elements
    return ~found if invert else found


@standard
def unique_all(x: Tensor, /) -> Any:
    """(values, indices, inverse_indices, counts): the different elements of an array, where each
    first stands, which of them each element is, and how often each occurs. NaNs are all different.

    AttributeError for what is no array.

    >>> import framework.array_api as xp
    >>> xp.unique_all(xp.asarray([3, 1, 3])).inverse_indices
    tensor([1, 0, 1])
    """
    flat = x.flatten()
    order = _order(flat)
    ordered = flat[order]
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    inverse = torch.zeros_like(order)
    inverse[order] = torch.cumsum(new, 0) - 1
    starts = torch.nonzero(new).flatten()
    ends = torch.cat([starts[1:], torch.full((1,), flat.numel(), device=x.device)])
    counts = ends[: starts.numel()] - starts
    return _All(ordered[new], order[new], inverse.reshape(x.shape), counts)


def _order(flat: Tensor) -> Tensor:
    """What sorts the elements, equal ones in the order they have; complex ones by both parts."""
    if flat.dtype.category < COMPLEX:
        return torch.sort(flat, stable=True)[1]
    by_imag = torch.sort(torch.imag(flat), stable=True)[1]
    return by_imag[torch.sort(torch.real(flat)[by_imag], stable=True)[1]]


@standard
def unique_counts(x: Tensor, /) -> Any:
    """(values, counts), see `unique_all`.

    Each in one dimension, of as many as there are. AttributeError for what is no array.

    >>> import framework.array_api as xp
    >>> values, counts = xp.unique_counts(xp.asarray([3, 1, 3]))
    >>> values, counts
    (tensor([1, 3]), tensor([1, 2]))
    """
    found = unique_all(x)
    return _Counts(found.values, found.counts)


@standard
def unique_inverse(x: Tensor, /) -> Any:
    """(values, inverse_indices), see `unique_all`.

    Values in one dimension, indices in the shape of ``x``. AttributeError for what is no array.

    >>> import framework.array_api as xp
    >>> values, inverse = xp.unique_inverse(xp.asarray([3, 1, 3]))
    >>> values[inverse]
    tensor([3, 1, 3])
    """
    found = unique_all(x)
    return _Inverse(found.values, found.inverse_indices)


@standard
def unique_values(x: Tensor, /) -> Any:
    """The different elements in order, see `unique_all`.

    In one dimension. AttributeError for what is no array.

    >>> import framework.array_api as xp
    >>> xp.unique_values(xp.asarray([3, 1, 3]))
    tensor([1, 3])
    """
    return unique_all(x).values
