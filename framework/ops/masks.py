"""What masks of bools select, and what is put where they hold."""

from __future__ import annotations

import math
from typing import Any

from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.kernels import module_of
from framework.kernels.floats import type_name
from framework.ops.indexing import _getitem, index_put
from framework.ops.shape import broadcast_tensors
from framework.tensor import Tensor

__all__ = ["masked_scatter", "masked_select"]


def _only_bool(mask: Tensor, words: str) -> None:
    if mask._data.dtype.kind != "b":
        raise RuntimeError(words.format(got=type_name(mask._data)))


@function(checks=True, out="exact apart")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask of bools holds, as a vector; both broadcast.

    RuntimeError for a mask of another type, and for shapes that do not broadcast.

    >>> import framework as torch
    >>> x = torch.arange(4)
    >>> torch.masked_select(x, x > 1)
    tensor([2, 3])
    """
    _only_bool(mask, "masked_select: expected BoolTensor for mask")
    mask, input = broadcast_tensors(mask, input)
    return _getitem(input, mask)


def _masked_scatter_kernel(a: Any, mask: Any, source: Any) -> Any:
    count = int(mask.sum())
    if count > source.size:
        raise ValueError("Number of elements of source < number of ones in mask")
    result = a.copy()
    result[mask] = source.reshape(-1)[:count]
    return result


def _masked_scatter_backward_kernel(g: Any, mask: Any, *, shape: tuple[int, ...]) -> Any:
    result = module_of(g).zeros(math.prod(shape), g.dtype)
    picked = g[mask]
    result[: picked.size] = picked
    return result.reshape(shape)


MASKED_SCATTER = op(
    "masked_scatter", _masked_scatter_kernel, "a mask source",
    grad=(
        lambda g, mask: g.masked_fill(mask, 0),
        None,
        lambda g, n, mask: apply(MASKED_SCATTER_BACKWARD, g, mask, shape=n.shape(2)),
    ),
    samples=lambda s: [((s(3, 2), s.mask(3, 2), s(2, 4)), {})],
)  # fmt: skip
MASKED_SCATTER_BACKWARD = op(
    "masked_scatter_backward", _masked_scatter_backward_kernel, "g mask",
    grad=(lambda g, n, mask: apply(MASKED_SCATTER, g.new_zeros(n.shape(0)), mask, g), None),
    samples=lambda s: [((s(3, 2), s.mask(3, 2)), {"shape": (2, 4)})],
)  # fmt: skip


@function(inplace=True, checks=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of ``source``, in order, at the places where the mask holds.

    Raises:
        RuntimeError: ``source`` has too few elements, or another dtype.

    The mask broadcasts to the shape of ``input``, which the result has.

    >>> import framework as torch
    >>> torch.zeros(3).masked_scatter(torch.tensor([True, False, True]), torch.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    _only_bool(mask, "masked_scatter_ only supports boolean masks, but got mask with dtype {got}")
    if input._data.dtype != source._data.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{type_name(input._data)} and {type_name(source._data)}"
        )
    input, mask = broadcast_tensors(input, mask)
    return apply(MASKED_SCATTER, input, mask, source)


@function(method=False, checks=True)
@composite
def _unsafe_masked_index(input: Tensor, mask: Tensor, indices: Any, fill: Any) -> Tensor:
    """``input[indices]``, and ``fill`` where the mask does not hold; indices there may be any."""
    arrays = _clipped(input, indices)
    return _getitem(input, arrays).masked_fill(~mask, fill)


@function(method=False, checks=True)
@composite
def _unsafe_masked_index_put_accumulate(
    input: Tensor, mask: Tensor, indices: Any, values: Tensor
) -> Tensor:
    """``values`` added at ``input[indices]`` where the mask holds; indices elsewhere may be any."""
    return index_put(input, _clipped(input, indices), values.masked_fill(~mask, 0), True)


def _clipped(input: Tensor, indices: Any) -> tuple[Any, ...]:
    sizes = input._data.shape
    return tuple([slice(None) if i is None else i.clamp(-n, n - 1) for i, n in zip(indices, sizes)])
