"""Shapes: joining, repeating, turning and reshaping arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.array_api.array import standard, torch
from framework.array_api.data_types import same_type
from framework.tensor import Tensor

__all__ = [
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "concat", "expand_dims", "flip",
    "moveaxis", "permute_dims", "repeat", "reshape", "roll", "squeeze", "stack", "tile", "unstack",
]  # fmt: skip


@standard
def broadcast_arrays(*arrays: Tensor) -> Any:
    """All arrays in the shape that they broadcast to."""
    return tuple(torch.broadcast_tensors(*arrays))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that these broadcast to.

    >>> from framework import array_api as xp
    >>> xp.broadcast_shapes((3, 1), (2,))
    (3, 2)
    """
    return np.broadcast_shapes(*shapes)


@standard
def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Any:
    """``x`` repeated to a shape, without copying."""
    return torch.broadcast_to(x, shape)


@standard
def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """Arrays joined along an axis; with None, all of their elements in one row.

    >>> from framework import array_api as xp
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
    """The order of the elements reversed along some or all axes."""
    if axis is None:
        axis = tuple(range(x.ndim))
    return torch.flip(x, (axis,) if isinstance(axis, int) else tuple(axis))


@standard
def moveaxis(x: Tensor, source: Any, destination: Any, /) -> Any:
    """Axes moved to other places; the rest keep their order."""
    return torch.movedim(x, source, destination)


@standard
def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Any:
    """Axes in another order."""
    return torch.permute(x, tuple(axes))


@standard
def repeat(x: Tensor, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Each element (or slice along an axis) repeated so often, or as often as an array says."""
    if isinstance(repeats, Tensor):
        repeats = repeats.to(torch.int64)
    return torch.repeat_interleave(x, repeats, axis)


@standard
def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Any:
    """The elements in another shape.

    Args:
        copy: True always copies, False never (ValueError where that cannot be), None if need be.
    """
    if copy is False:
        try:
            return x.view(shape)
        except RuntimeError as error:
            raise ValueError(f"reshape: not possible without a copy: {error}") from None
    return torch.reshape(x.clone() if copy else x, shape)


@standard
def roll(x: Tensor, /, shift: Any, *, axis: Any = None) -> Any:
    """Elements moved along axes; what leaves at the end comes in at the front."""
    if isinstance(axis, tuple) and isinstance(shift, int):
        shift = (shift,) * len(axis)
    return torch.roll(x, shift, axis)


@standard
def squeeze(x: Tensor, /, axis: Any) -> Any:
    """Axes of length one taken out.

    Raises:
        ValueError: an axis has another length.
    """
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for a in axes:
        if x.shape[a] != 1:
            raise ValueError(f"squeeze: expected axis {a} to have length 1, but got {x.shape[a]}")
    return torch.squeeze(x, axes)


@standard
def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis."""
    return torch.stack(same_type(*arrays), axis)


@standard
def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Any:
    """The whole array repeated along its axes."""
    return torch.tile(x, tuple(repetitions))


@standard
def unstack(x: Tensor, /, *, axis: int = 0) -> Any:
    """The slices along an axis, as a tuple."""
    return tuple(torch.unbind(x, axis))
