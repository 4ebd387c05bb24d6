"""Shapes: joining, repeating, turning and reshaping arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.array_api.array import axis_of, standard, torch
from framework.array_api.data_types import same_type
from framework.tensor import Tensor

__all__ = [
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "concat", "expand_dims", "flip",
    "moveaxis", "permute_dims", "repeat", "reshape", "roll", "squeeze", "stack", "tile", "unstack",
]  # fmt: skip


@standard
def broadcast_arrays(*arrays: Tensor) -> Any:
    """All arrays in the shape that they broadcast to: a tuple of views.

    RuntimeError if there is none.

    >>> import framework.array_api as xp
    >>> xp.broadcast_arrays(xp.asarray([1, 2]), xp.asarray([[5], [6]]))
    (tensor([[1, 2],
            [1, 2]]), tensor([[5, 5],
            [6, 6]]))
    """
    return tuple(torch.broadcast_tensors(*arrays))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that these broadcast to; ValueError if there is none.

    >>> import framework.array_api as xp
    >>> xp.broadcast_shapes((3, 1), (2,))
    (3, 2)
    """
    return np.broadcast_shapes(*shapes)


@standard
def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Any:
    """``x`` repeated to a shape, without copying; RuntimeError if it cannot be.

    >>> import framework.array_api as xp
    >>> xp.broadcast_to(xp.asarray([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return torch.broadcast_to(x, shape)


@standard
def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """Arrays joined along an axis, in their common type; with None, all elements in one row.

    Raises:
        RuntimeError: the other axes differ.
        IndexError: the axis is out of range.
        ValueError: there is no array.

    The result has the shape of the first, but for the length along the axis: their sum.

    >>> import framework.array_api as xp
    >>> xp.concat([xp.ones((2, 2)), xp.zeros(1)], axis=None)
    tensor([1., 1., 1., 1., 0.])
    """
    parts = same_type(*arrays)
    return torch.cat([p.flatten() for p in parts] if axis is None else parts, axis or 0)


@standard
def expand_dims(x: Tensor, /, axis: Any) -> Any:
    """Dimensions of length one, put in where they are to be in the result.

    Raises:
        IndexError: an axis is out of range.
        ValueError: one is given twice.

    >>> import framework.array_api as xp
    >>> xp.expand_dims(xp.ones((2, 3)), (0, -1)).shape
    torch.Size([1, 2, 3, 1])
    """
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    ndim = x.ndim + len(given)
    for a in given:
        if not -ndim <= a < ndim:
            raise IndexError(f"expand_dims: axis {a} is out of range for {ndim} dimensions")
    places = {a % ndim for a in given}
    if len(places) != len(given):
        raise ValueError(f"expand_dims: an axis appears twice in {given}")
    lengths = iter(x.shape)
    return x.reshape([1 if i in places else next(lengths) for i in range(ndim)])


@standard
def flip(x: Tensor, /, *, axis: Any = None) -> Any:
    """The order of the elements reversed along some or all axes: a copy.

    IndexError for an axis out of range.

    The shape stays.

    >>> import framework.array_api as xp
    >>> xp.flip(xp.asarray([[1, 2], [3, 4]]), axis=1)
    tensor([[2, 1],
            [4, 3]])
    """
    if axis is None:
        axis = tuple(range(x.ndim))
    return torch.flip(x, (axis,) if isinstance(axis, int) else tuple(axis))


@standard
def moveaxis(x: Tensor, source: Any, destination: Any, /) -> Any:
    """Axes moved to other places; the rest keep their order: a view.

    IndexError for an axis out of range.

    The shape has its lengths in the new order.

    >>> import framework.array_api as xp
    >>> xp.moveaxis(xp.ones((2, 3, 4)), 0, -1).shape
    torch.Size([3, 4, 2])
    """
    return torch.movedim(x, source, destination)


@standard
def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Any:
    """Axes in another order, each given once: a view.

    RuntimeError for too few, too many or equal axes, IndexError for one out of range.

    The shape has its lengths in the new order.

    >>> import framework.array_api as xp
    >>> xp.permute_dims(xp.ones((2, 3, 4)), (2, 0, 1)).shape
    torch.Size([4, 2, 3])
    """
    return torch.permute(x, tuple(axes))


@standard
def repeat(x: Tensor, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Each element (or slice along an axis) repeated so often, or as often as an array says.

    Without an axis the result is one row. RuntimeError for negative numbers and for an array of
    another length than the axis.

    >>> import framework.array_api as xp
    >>> xp.repeat(xp.asarray([[1, 2], [3, 4]]), xp.asarray([2, 1]), axis=0)
    tensor([[1, 2],
            [1, 2],
            [3, 4]])
    """
    if isinstance(repeats, Tensor):
        repeats = repeats.to(torch.int64)
    return torch.repeat_interleave(x, repeats, axis)


@standard
def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Any:
    """The elements in another shape, of which one length may be -1: what is left.

    Args:
        copy: True always copies, False never (ValueError where that cannot be), None if need be.

    Raises:
        RuntimeError: the shape has another number of elements.

    >>> import framework.array_api as xp
    >>> xp.reshape(xp.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if copy is False:
        try:
            return x.view(shape)
        except RuntimeError as error:
            raise ValueError(f"reshape: not possible without a copy: {error}") from None
    return torch.reshape(x.clone() if copy else x, shape)


@standard
def roll(x: Tensor, /, shift: Any, *, axis: Any = None) -> Any:
    """Elements moved along axes; what leaves at the end comes in at the front.

    Without an axis they are moved as one row. IndexError for an axis out of range, RuntimeError for
    another number of shifts than of axes.

    >>> import framework.array_api as xp
    >>> xp.roll(xp.arange(4), 1)
    tensor([3, 0, 1, 2])
    """
    if isinstance(axis, tuple) and isinstance(shift, int):
        shift = (shift,) * len(axis)
    return torch.roll(x, shift, axis)


@standard
def squeeze(x: Tensor, /, axis: Any) -> Any:
    """Axes of length one taken out: a view.

    Raises:
        ValueError: an axis has another length.
        IndexError: an axis is out of range.

    >>> import framework.array_api as xp
    >>> xp.squeeze(xp.ones((1, 2, 1)), 0).shape
    torch.Size([2, 1])
    """
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for a in axes:
        axis_of("squeeze", a, x)
        if x.shape[a] != 1:
            raise ValueError(f"squeeze: expected axis {a} to have length 1, but got {x.shape[a]}")
    return torch.squeeze(x, axes)


@standard
def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis, in their common type.

    RuntimeError for shapes that differ, ValueError for no array.

    >>> import framework.array_api as xp
    >>> xp.stack([xp.asarray([1, 2]), xp.asarray([3, 4])], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    return torch.stack(same_type(*arrays), axis)


@standard
def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Any:
    """The whole array repeated along its axes, so often as the tuple says for each of the last.

    RuntimeError for a negative number.

    >>> import framework.array_api as xp
    >>> xp.tile(xp.asarray([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    return torch.tile(x, tuple(repetitions))


@standard
def unstack(x: Tensor, /, *, axis: int = 0) -> Any:
    """The slices along an axis, as a tuple of views that have one axis less.

    IndexError for an axis out of range and for an array without dimensions.

    >>> import framework.array_api as xp
    >>> xp.unstack(xp.asarray([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    return tuple(torch.unbind(x, axis))
