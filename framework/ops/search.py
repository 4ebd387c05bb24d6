"""Finding: searchsorted, bucketize, isin, argwhere, nonzero_static. Nothing here has a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.cautions import caution_once
from framework.core.dispatch import apply, only_tensors
from framework.core.registry import function, op
from framework.core.saved import all_values
from framework.dtypes import BOOL, COMPLEX, int64, result_type
from framework.kernels import module_of, waits
from framework.kernels.floats import type_name, wide
from framework.tensor import Tensor, wrap

__all__ = ["argwhere", "bucketize", "isin", "nonzero_static", "searchsorted"]


# -- places in a sorted sequence -------------------------------------------------------------


_MANY = 32  # values in a row for which a loop over the rows is faster


def _searchsorted_kernel(
    sequence: Any, values: Any, *sorter: Any, right: bool, out_int32: bool
) -> Any:
    if sequence.dtype.kind in "bc":
        raise NotImplementedError(
            f"\"searchsorted_out_cpu\" not implemented for '{type_name(sequence)}'"
        )
    xp = module_of(sequence)
    if sorter:
        sequence = xp.take_along_axis(sequence, sorter[0], -1)
    rows, x = wide(sequence), wide(values)
    side: Any = "right" if right else "left"
    if rows.ndim == 1:
        found = xp.searchsorted(rows, x, side)
    elif xp is np and x.shape[-1] >= _MANY:
        found = np.empty(x.shape, np.int64)
        for i in np.ndindex(x.shape[:-1]):
            found[i] = np.searchsorted(rows[i], x[i], side)
    else:
        found = _bisected(rows, x, right)
    return xp.asarray(found, np.int32 if out_int32 else np.int64)


def _bisected(rows: Any, x: Any, right: bool) -> Any:
    """Every value in its own row, all of them halving their intervals at the same time."""
    xp = module_of(rows)
    n = rows.shape[-1]
    low = xp.zeros(x.shape, np.int64)
    high = xp.full(x.shape, n, np.int64)
    for _ in range(n.bit_length()):
        middle = (low + high) >> 1
        probe = xp.take_along_axis(rows, xp.minimum(middle, n - 1), -1)
        stays = ~(probe <= x) if right else ~(probe < x)  # NaN stands behind all
        open_ = low < high
        high = xp.where(open_ & stays, middle, high)
        low = xp.where(open_ & ~stays, middle + 1, low)
    return xp.where(x != x, n, low)


SEARCHSORTED = op("searchsorted", _searchsorted_kernel, "sequence values *sorter")


def _check_sorter(sequence: Tensor, sorter: Tensor) -> None:
    if sorter.shape != sequence.shape:
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary "
            f"tensor {list(sequence.shape)}and got sorter tensor {list(sorter.shape)}"
        )
    if sorter.dtype is not int64:
        raise RuntimeError(
            "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
            f"{type_name(sorter._data)}"
        )
    index = all_values(sorter)
    if index.size and (index.min() < 0 or index.max() >= index.shape[-1]):
        raise RuntimeError("torch.searchsorted(): sorter index out of range")


def _side(side: str | None, right: bool) -> bool:
    if side is None:
        return right
    if side not in ("left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    return side == "right"


def _searched(
    sequence: Tensor, values: Any, right: bool, out_int32: bool, sorter: tuple[Tensor, ...]
) -> Tensor:
    given = {"input value": values, "boundary": sequence, "sorter": sorter[0] if sorter else None}
    for name, x in given.items():
        if isinstance(x, Tensor) and not x.is_contiguous():
            caution_once(
                f"torch.searchsorted(): {name} tensor is non-contiguous, this will lower the "
                "performance due to extra data copy when converting non-contiguous tensor to "
                f"contiguous, please use contiguous {name} tensor if possible. This message will "
                "only appear once per program."
            )
    common = result_type(sequence, values)
    if not isinstance(values, Tensor):
        values = sequence.new_tensor(values, dtype=common)
    return apply(
        SEARCHSORTED, sequence.to(common), values.to(common), *sorter,
        right=right, out_int32=bool(out_int32),
    )  # fmt: skip


@function(method=False, out="exact")
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False,
    side: str | None = None, sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where to insert values so that the rows of a sorted sequence stay sorted, as int64.

    Args:
        sorted_sequence: one row, or rows whose other dimensions are ``input``'s.
        input: a tensor, or a number if there is one row.
        right: behind equal elements, not in front of them; ``side="right"`` says the same.
        out_int32: int32 results instead of int64.
        sorter: indices that sort the rows, if they are not.

    RuntimeError for shapes that do not fit, NotImplementedError for complex numbers and bools.

    >>> import framework as torch
    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 6]))
    tensor([1, 3])
    """
    is_right = _side(side, right)
    ndim = sorted_sequence.ndim
    shape = input._data.shape if isinstance(input, Tensor) else ()
    if ndim != 1 and (not shape or not ndim):
        raise RuntimeError(
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
            f"dimension is 1, but we got boundaries tensor dim({ndim}) and input value's "
            f"dim({len(shape)}) numel(1)"
        )
    if ndim > 1 and sorted_sequence._data.shape[:-1] != shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {list(sorted_sequence.shape)} and input value tensor {list(shape)}"
        )
    if sorter is not None:
        _check_sorter(sorted_sequence, sorter)
    by = () if sorter is None else (sorter,)
    return _searched(sorted_sequence, input, is_right, out_int32, by)


@function(method=False, out="exact")
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The number of the bucket that each value falls into, between sorted boundaries.

    Bucket i reaches from boundary i - 1 (without it) to boundary i (with it); with ``right`` the
    left end belongs to it instead. int64 (int32 with ``out_int32``) in the shape of ``input``,
    which may be a number. RuntimeError unless the boundaries are a vector.

    >>> import framework as torch
    >>> torch.bucketize(torch.tensor([3, 6, 9]), torch.tensor([1, 3, 5, 7]))
    tensor([1, 3, 4])
    """
    only_tensors("bucketize", boundaries=boundaries)
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return _searched(boundaries, input, right, out_int32, ())


# -- membership ------------------------------------------------------------------------------


def _isin_kernel(a: Any, b: Any, *, invert: bool) -> Any:
    return module_of(a).isin(wide(a), wide(b), invert=invert)


ISIN = op("isin", _isin_kernel, "a b", rule="promote")


@function(method=False, out="exact")
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among the test elements: bool, of ``elements``' shape.

    Args:
        elements, test_elements: tensors; one of them may be a number.
        assume_unique: accepted; nothing is faster by it here.
        invert: whether it is *not* among them.

    TypeError for two numbers, RuntimeError for complex numbers.

    >>> import framework as torch
    >>> torch.isin(torch.tensor([1, 2, 3]), torch.tensor([2, 5]))
    tensor([False,  True, False])
    """
    given = [t for t in (elements, test_elements) if isinstance(t, Tensor)]
    if not given:
        raise TypeError(
            "isin() received an invalid combination of arguments: one of 'elements' and "
            "'test_elements' must be Tensor"
        )
    for t in given:
        if t.dtype.category in (BOOL, COMPLEX):
            raise RuntimeError(
                f"Unsupported input type encountered for isin(): {type_name(t._data)}"
            )
    if not isinstance(elements, Tensor):
        elements = wrap(np.asarray(elements, result_type(elements, test_elements).numpy))
        elements = elements.to(test_elements._device)
    if not isinstance(test_elements, Tensor):
        test_elements = wrap(np.asarray(test_elements, result_type(elements, test_elements).numpy))
        test_elements = test_elements.to(elements._device)
    return apply(ISIN, elements, test_elements, invert=bool(invert))


# -- what is not zero ------------------------------------------------------------------------


def _argwhere_kernel(a: Any) -> Any:
    xp = module_of(a)
    if not a.ndim:
        return xp.zeros((int(bool(a)), 0), np.int64)
    return xp.stack(xp.nonzero(a), 1).astype(np.int64, copy=False)


def _nonzero_static_kernel(a: Any, *, size: int, fill_value: int) -> Any:
    found = _argwhere_kernel(a)[:size]
    rest = module_of(a).full((size - len(found), a.ndim), fill_value, np.int64)
    return module_of(a).concatenate([found, rest])


ARGWHERE = op("argwhere", _argwhere_kernel, "a")
NONZERO_STATIC = op("nonzero_static", _nonzero_static_kernel, "a")


@function()
def argwhere(input: Tensor) -> Tensor:
    """Positions of the elements that are not zero, one in each row: int64 [count, ndim].

    Of a tensor of any shape `(*)` with `ndim` dimensions.

    >>> import framework as torch
    >>> torch.argwhere(torch.tensor([[0, 7], [8, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    if waits.mode:
        waits.waited(input._device)
    return apply(ARGWHERE, input)


@function(out="exact")
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first ``size`` rows of `argwhere`, filled up with ``fill_value``: int64 [size, ndim].

    RuntimeError for a negative size.

    >>> import framework as torch
    >>> torch.nonzero_static(torch.tensor([1, 0, 2]), size=3)
    tensor([[ 0],
            [ 2],
            [-1]])
    """
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    return apply(NONZERO_STATIC, input, size=size, fill_value=fill_value)
