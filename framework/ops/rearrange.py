"""Repeating, reversing, shifting and combining elements."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from framework.cautions import caution
from framework.core.dispatch import apply, composite
from framework.core.interpose import by_sample
from framework.core.kinds import MISSING
from framework.core.registry import function, op
from framework.kernels import compiled, module_of, to_device, to_host, waits
from framework.kernels.indices import known
from framework.layout import contiguous_format, formatted, in_rows, keeps_format
from framework.ops.dims import axis, numpy_names
from framework.ops.joining import stack
from framework.ops.shape import expand, ints, reshape, transpose
from framework.tensor import Tensor, wrap

__all__ = [
    "cartesian_prod", "combinations", "constant_pad_nd", "flip", "fliplr", "flipud",
    "meshgrid", "repeat", "repeat_interleave", "roll", "rot90", "tile",
]  # fmt: skip


# -- repeating -------------------------------------------------------------------------------


def _asked(name: str, one_by_one: tuple[Any, ...], dims: Any) -> None:
    """Nothing given is a mistake; an empty tuple is none."""
    if not one_by_one and dims is None:
        raise TypeError(f'{name}() missing 1 required positional arguments: "dims"')


@function(namespaces=(), checks=True)
def repeat(self: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """The tensor repeated that many times along each dimension (copies).

    Missing leading dimensions count as 1. RuntimeError for fewer numbers than dimensions, or a
    negative one.

    >>> import framework as torch
    >>> torch.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = ints(sizes, repeats)
    if len(times) < self.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    have = (1,) * (len(times) - self.ndim) + tuple(self._data.shape)
    total = [m * n for m, n in zip(times, have)]
    if any(m < 0 for m in times):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(total)}: {total}")
    between = [n for pair in zip((1,) * len(have), have) for n in pair]
    wide = [n for pair in zip(times, have) for n in pair]
    found = reshape(expand(reshape(self, *between), *wide), *total)
    return found if found._base is None else found.clone(memory_format=contiguous_format)


@function()
def tile(input: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    """`Tensor.repeat` that also takes fewer numbers than dimensions: the first are then 1.

    RuntimeError for a negative number, TypeError where none is given.

    >>> import framework as torch
    >>> torch.tile(torch.tensor([[1, 2]]), (2,))
    tensor([[1, 2, 1, 2]])
    """
    _asked("tile", sizes, dims)
    times = ints(sizes, dims)
    return repeat(input, *((1,) * (input.ndim - len(times)) + times))


@function(checks=True)
@by_sample
@numpy_names
def repeat_interleave(
    input: Tensor, repeats: Any = MISSING, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each slice along a dimension repeated in place, a number of times or one number for each.

    Without ``dim`` the tensor is flattened first. With ``input`` alone that holds the numbers, and
    the result is the index of what is repeated.

    Args:
        output_size: the length of the result, which is checked; numbers on a CUDA device are not
            then, as in PyTorch, and nobody waits for them.

    RuntimeError for negative numbers, or as many as neither 1 nor the dimension's length.

    >>> import framework as torch
    >>> torch.tensor([1, 2]).repeat_interleave(torch.tensor([2, 1]))
    tensor([1, 1, 2])
    """
    if repeats is MISSING:
        return _expanded(input, input, input._data.shape[0] if input.ndim else 1, output_size)
    if dim is None:
        input, dim = reshape(input, -1), 0
    d = axis(dim, input.ndim)
    if not input.ndim:
        input = reshape(input, 1)
    if not isinstance(repeats, Tensor):
        if repeats < 0:
            raise RuntimeError("Repeats must be non-negative")
        repeats = wrap(np.full(1, repeats, np.int64))
    n = input._data.shape[d]
    if repeats.ndim == 1 and repeats._data.shape[0] not in (1, n):
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{repeats._data.shape[0]} and input.size({d}) = {n}"
        )
    order = _expanded(input, repeats, n, output_size)
    with known:  # that all of it is in range
        return input.index_select(d, order)


def _expanded(input: Tensor, repeats: Tensor, n: int, output_size: int | None) -> Tensor:
    """0, 1, ..., n - 1, each as often as ``repeats`` says."""
    if repeats.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if repeats._data.dtype not in (np.int64, np.int32):
        kind = str(repeats.type()).rpartition(".")[2].removesuffix("Tensor")
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{kind}'")
    if repeats.is_meta:
        if output_size is None:
            raise RuntimeError("cannot repeat_interleave a meta tensor without output_size")
        return repeats.new_empty(output_size, dtype=repeats.dtype if repeats is input else None)
    if waits.mode and output_size is None:
        waits.waited(repeats._device)
    if (order := _expanded_there(input._data, repeats._data, n, output_size)) is not None:
        order = order.astype(repeats._data.dtype if repeats is input else np.int64, copy=False)
        return wrap(order, input._device)
    times = to_host(repeats._data)
    if times.size and times.min() < 0:
        raise RuntimeError("repeats can not be negative")
    order = np.repeat(np.arange(n), np.broadcast_to(times, (n,)))
    if output_size is not None and len(order) != output_size:
        raise RuntimeError("allocated size does not match required size")
    order = order.astype(repeats._data.dtype if repeats is input else np.int64)
    device = input._device
    return wrap(order if device.type == "cpu" else to_device(order, device), device)


def _expanded_there(like: Any, times: Any, n: int, output_size: int | None) -> Any:
    """The same on the device of ``like``, where one need not know numbers that lie there."""
    if like.__class__.__module__ != "cupy" or not n:
        return None
    xp = module_of(like)
    with like.device:
        if times.__class__ is np.ndarray:
            if times.size > 1 or output_size not in (None, n * int(times.max())):
                return None
            return xp.repeat(xp.arange(n), int(times.max()))
        if output_size is None:
            return None
        ends = xp.cumsum(xp.broadcast_to(times, (n,)))
        order = xp.searchsorted(ends, xp.arange(output_size), side="right")
        return xp.minimum(order, n - 1)


# -- reversing and shifting ------------------------------------------------------------------


def _flip_kernel(a: Any, *, dims: tuple[int, ...]) -> Any:
    last = dims == (a.ndim - 1,) and a.__class__ is np.ndarray and a.flags.c_contiguous
    if last and a.size >= compiled.LARGE and (kernels := compiled.family("orders")):
        return kernels.reversed_lines(a)
    return formatted(np.flip(a, dims), None)


FLIP = op(
    "flip", _flip_kernel, "a",
    grad=(lambda g, dims: apply(FLIP, g, dims=dims),),
    samples=lambda s: [((s(3, 2),), {"dims": (0, 1)})],
)  # fmt: skip
ROLL = op(
    "roll", keeps_format(lambda a, *, shifts, dims: in_rows(np.roll(a, shifts, dims))), "a",
    grad=(lambda g, shifts, dims: apply(
        ROLL, g, shifts=tuple(-s for s in shifts) if isinstance(shifts, tuple) else -shifts,
        dims=dims),),
    samples=lambda s: [((s(3, 2),), {"shifts": (1,), "dims": (0,)})],
)  # fmt: skip


@function(checks=True)
def flip(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """The order along dimensions reversed (a copy).

    RuntimeError for a dimension that is named twice, IndexError for one out of range, TypeError
    where none is given.

    >>> import framework as torch
    >>> torch.arange(3).flip(0)
    tensor([2, 1, 0])
    """
    _asked("flip", order, dims)
    wanted = tuple([axis(d, input.ndim) for d in ints(order, dims)])
    for i, d in enumerate(wanted):
        if d in wanted[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return apply(FLIP, input, dims=wanted if input.ndim else ())


@function(checks=True)
def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order: dimension 1 of a tensor of two or more dimensions, copied.

    RuntimeError for fewer than two dimensions.

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).fliplr()
    tensor([[2, 1],
            [4, 3]])
    """
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return apply(FLIP, input, dims=(1,))


@function(checks=True)
def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order: dimension 0 of a tensor of one or more dimensions, copied.

    RuntimeError for a 0-d tensor.

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).flipud()
    tensor([[3, 4],
            [1, 2]])
    """
    if not input.ndim:
        raise RuntimeError("Input must be >= 1-d.")
    return apply(FLIP, input, dims=(0,))


@function(checks=True)
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """Turned ``k`` times by 90 degrees in a plane, the first dimension towards the second.

    RuntimeError unless two different dimensions are given and there.

    >>> import framework as torch
    >>> torch.arange(4).reshape(2, 2).rot90()
    tensor([[1, 3],
            [0, 2]])
    """
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = axis(dims[0], input.ndim), axis(dims[1], input.ndim)
    if a == b:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    turns = k % 4
    if turns == 1:
        return transpose(flip(input, b), a, b)
    if turns == 2:
        return flip(input, a, b)
    return transpose(flip(input, a), a, b) if turns == 3 else input.clone()


@function(checks=True)
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements shifted along dimensions; those that fall out come in at the other end.

    Without ``dims`` all elements, in C order, are shifted.

    RuntimeError unless there are as many shifts as dimensions, IndexError for one out of range.

    >>> import framework as torch
    >>> torch.arange(4).roll(1)
    tensor([3, 0, 1, 2])
    """
    by = ints((shifts,))
    along = () if dims is None else ints((dims,))
    if not by:
        raise RuntimeError("`shifts` required")
    if not along and len(by) == 1:
        return apply(ROLL, input, shifts=by[0], dims=None)
    if len(by) != len(along):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}"
        )
    if not input.ndim:
        raise IndexError(f"Dimension specified as {along[0]} but tensor has no dimensions")
    return apply(ROLL, input, shifts=by, dims=tuple([axis(d, input.ndim) for d in along]))


@function(method=False, checks=True)
def constant_pad_nd(input: Tensor, pad: Any, value: Any = 0) -> Tensor:
    """`nn.functional.pad` with a constant.

    ``pad`` is (before, after) of the last dimension, then of the one before it, ...; negative ones
    cut. RuntimeError for an odd number of them.

    >>> import framework as torch
    >>> torch.constant_pad_nd(torch.ones(2), (1, 0), 5.0)
    tensor([5., 1., 1.])
    """
    from framework.ops.padding import pad as padded

    return padded(input, pad, "constant", value)


# -- combining -------------------------------------------------------------------------------


@function(method=False, checks=True)
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinate grids of vectors: one for each of them, expanded to the lengths of all.

    Args:
        indexing: "ij", or "xy" for the first two dimensions swapped. Without it several vectors
            give the warning that the default "ij" will not stay.

    RuntimeError for more than one dimension, two dtypes, or no vectors.

    >>> import framework as torch
    >>> torch.meshgrid(torch.tensor([1, 2]), torch.tensor([3, 4]), indexing="ij")[0]
    tensor([[1, 1],
            [2, 2]])
    """
    many = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if not len(many):
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    for x in many:
        if x.dtype is not many[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
        if x.ndim > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {x}"
            )
    if indexing is None and len(many) > 1:
        caution(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
        )
    shape = [x.numel() for x in many]
    grids = []
    for i, x in enumerate(many):
        ones = [1] * len(shape)
        ones[i] = shape[i]
        grid = expand(reshape(x, *ones), *shape)
        grids.append(transpose(grid, 0, 1) if indexing == "xy" and len(shape) > 1 else grid)
    return tuple(grids)


@function(method=False, checks=True)
@composite
def cartesian_prod(*tensors: Any) -> Tensor:
    """All ways to choose one element of each vector, one a row, as `itertools.product` goes.

    k vectors give `(n1 * n2 * ..., k)`, one of them alone itself. RuntimeError for other
    dimensions.

    >>> import framework as torch
    >>> torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4])).tolist()
    [[1, 3], [1, 4], [2, 3], [2, 4]]
    """
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
        if x.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, -1) for grid in meshgrid(*tensors, indexing="ij")], 1)


@function(method=False, checks=True)
@composite
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to choose ``r`` elements of a vector in their order, one a row.

    `(n,)` gives `(n over r, r)`. RuntimeError unless ``input`` is a vector and ``r`` not negative.

    >>> import framework as torch
    >>> torch.combinations(torch.tensor([1, 2, 3])).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if not r:
        return input.new_empty(0)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input._data.shape[0]), r))
    places = wrap(np.asarray(rows, np.int64).reshape(len(rows), r))
    return input[places.to(input._device)]
