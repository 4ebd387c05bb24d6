"""Reductions and normalisations of the elements that a boolean mask lets count.

``framework.masked.sum`` and its relatives are functions of the usual ops: what the mask leaves out
is replaced by the op's identity (0 for a sum, -inf for a maximum, ...) first. A mask is True where
an element counts; it may be smaller than the input if it broadcasts to its shape.

>>> import framework as torch
>>> x = torch.tensor([[-3.0, -2.0, -1.0], [0.0, 1.0, 2.0]])
>>> torch.masked.sum(x, 1, mask=torch.tensor([True, False, True]))
tensor([-4.,  2.])
"""

from __future__ import annotations

import math
from typing import Any

from framework import dtypes
from framework.dtypes import BOOL, COMPLEX, FLOAT, INT
from framework.ops.dims import Dim, axes
from framework.ops.linalg import vector_norm
from framework.tensor import Tensor

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp",
    "logsumexp", "mean", "median", "norm", "normalize", "prod", "softmax", "softmin", "std",
    "sum", "var",
]  # fmt: skip


# -- masks -----------------------------------------------------------------------------------


def _valid(input: Tensor, mask: Tensor) -> Tensor:
    """The mask as bools in the input's shape."""
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the "
            "input)"
        )
    return mask.to(dtypes.bool_).expand(input.shape)


def _filled(input: Tensor, mask: Tensor | None, value: Any) -> Tensor:
    """The input with ``value`` where the mask is False."""
    return input if mask is None else input.masked_fill(~_valid(input, mask), value)


def _lowest(input: Tensor, name: str) -> Any:
    """What no element is below."""
    if input.dtype.category == INT:
        return dtypes.iinfo(input.dtype).min
    if input.dtype.category == BOOL or (input.dtype.category == COMPLEX and name != "logsumexp"):
        raise NotImplementedError(f"identity of {name} on {input.dtype} input")
    return -math.inf


def _highest(input: Tensor, name: str) -> Any:
    """What no element is above."""
    if input.dtype.category == INT:
        return dtypes.iinfo(input.dtype).max
    if input.dtype.category != FLOAT:
        raise NotImplementedError(f"identity of {name} on {input.dtype} input")
    return math.inf


def _axis(dim: int, input: Tensor) -> int:
    """A single dimension, 0 for a 0-d input."""
    found = axes(dim, input.ndim)
    return found[0] if found else 0


# -- sums and products -----------------------------------------------------------------------


def _wide(input: Tensor, dtype: Any) -> Any:
    """The type of sums and products: int64 for bools and integers."""
    if dtype is not None:
        return dtype
    return dtypes.int64 if input.dtype.category < FLOAT else input.dtype


def sum(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The sum of the elements that count, over some or all dimensions; 0 where none does.

    Integers and bools sum to int64, unless ``dtype`` says another type. IndexError for a mask of
    more dimensions than ``input``, and a dimension out of range.

    >>> import framework as torch
    >>> torch.masked.sum(torch.tensor([1, 2, 3]), mask=torch.tensor([True, False, True]))
    tensor(4)
    """
    total = _filled(input, mask, 0)
    return total.sum(axes(dim, input.ndim), bool(keepdim), dtype=_wide(input, dtype))


def prod(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The product of the elements that count, over some or all dimensions; 1 where none does.

    Integers and bools multiply to int64, unless ``dtype`` says another type.

    Floating and complex dtypes stay. The mask broadcasts to the input's shape. IndexError for a
    ``dim`` out of range, RuntimeError for a mask that does not broadcast.

    >>> import framework as torch
    >>> torch.masked.prod(torch.tensor([2, 3, 4]), mask=torch.tensor([True, False, True]))
    tensor(8)
    """
    result = _filled(input, mask, 1).to(_wide(input, dtype))
    for d in reversed(axes(dim, input.ndim)):
        result = result.prod(d, bool(keepdim))
    return result


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running sums of the elements that count, in the input's type.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast, NotImplementedError for bools.

    >>> import framework as torch
    >>> torch.masked.cumsum(torch.tensor([1, 2, 3]), 0, mask=torch.tensor([True, False, True]))
    tensor([1, 1, 4])
    """
    kind = dtype or input.dtype
    if kind is dtypes.bool_:
        raise NotImplementedError("\"cumsum_out_cpu\" not implemented for 'Bool'")
    return _filled(input, mask, 0).cumsum(_axis(dim, input), dtype=kind).to(kind)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running products of the elements that count, in the input's type.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast, NotImplementedError for bools.

    >>> import framework as torch
    >>> torch.masked.cumprod(torch.tensor([2, 3, 4]), 0, mask=torch.tensor([True, False, True]))
    tensor([2, 2, 8])
    """
    kind = dtype or input.dtype
    if kind is dtypes.bool_:
        raise NotImplementedError("\"cumprod_out_cpu\" not implemented for 'Bool'")
    return _filled(input, mask, 1).cumprod(_axis(dim, input), dtype=kind).to(kind)


# -- extremes --------------------------------------------------------------------------------


def amax(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The largest element that counts; the type's lowest value (-inf) where none does.

    NotImplementedError for bools and complex numbers with a mask: there is no such value.

    >>> import framework as torch
    >>> torch.masked.amax(torch.tensor([1.0, 5.0, 3.0]), mask=torch.tensor([True, False, True]))
    tensor(3.)
    """
    filled = input if mask is None else _filled(input, mask, _lowest(input, "amax"))
    return filled.amax(axes(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def amin(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The smallest element that counts; the type's highest value (inf) where none does.

    NotImplementedError for bools and complex numbers with a mask: there is no such value.

    >>> import framework as torch
    >>> torch.masked.amin(torch.tensor([1.0, 5.0, 3.0]), mask=torch.tensor([False, True, True]))
    tensor(3.)
    """
    filled = input if mask is None else _filled(input, mask, _highest(input, "amin"))
    return filled.amin(axes(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def argmax(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The index of the largest element that counts; as in PyTorch in the *input's* type.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast. NotImplementedError for bools and complex
    numbers.

    >>> import framework as torch
    >>> torch.masked.argmax(torch.tensor([1, 5, 3]), mask=torch.tensor([True, False, True]))
    tensor(2)
    """
    filled = input if mask is None else _filled(input, mask, _lowest(input, "argmax"))
    return filled.argmax(dim, bool(keepdim)).to(dtype or input.dtype)


def argmin(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The index of the smallest element that counts; as in PyTorch in the *input's* type.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast. NotImplementedError for bools and complex
    numbers.

    >>> import framework as torch
    >>> torch.masked.argmin(torch.tensor([1, 5, 3]), mask=torch.tensor([False, True, True]))
    tensor(2)
    """
    filled = input if mask is None else _filled(input, mask, _highest(input, "argmin"))
    return filled.argmin(dim, bool(keepdim)).to(dtype or input.dtype)


# -- log-sum-exp -----------------------------------------------------------------------------


def logsumexp(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """log(sum(exp(input))) of the elements that count, without overflow; -inf where none does.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast. Floating, complex and integers
    (NotImplementedError for bools); the dtype stays.

    >>> import framework as torch
    >>> x, mask = torch.tensor([1.0, 5.0, 1.0]), torch.tensor([True, False, True])
    >>> torch.masked.logsumexp(x, 0, mask=mask)
    tensor(1.6931)
    """
    filled = input if mask is None else _filled(input, mask, _lowest(input, "logsumexp"))
    return filled.logsumexp(axes(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: Any = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """log(exp(input) + exp(other)), where what a mask leaves out of either counts as -inf.

    Shapes broadcast (RuntimeError where they do not). Floating and complex dtypes;
    NotImplementedError for integers and bools.

    >>> import framework as torch
    >>> x, y = torch.tensor([-1.0, -2.0]), torch.tensor([-100.0, -200.0])
    >>> mask = torch.tensor([True, False])
    >>> torch.masked.logaddexp(x, y, input_mask=mask, other_mask=mask)
    tensor([-1., -inf])
    """
    pair = [
        t if mask is None else _filled(t, mask, _lowest(t, "logaddexp"))
        for t, mask in ((input, input_mask), (other, other_mask))
    ]
    return pair[0].logaddexp(pair[1]).to(dtype or input.dtype)


# -- statistics ------------------------------------------------------------------------------


def _counted(
    input: Tensor, dim: Dim, keepdim: bool, dtype: Any, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(sum, number) of the elements that count."""
    valid = _valid(input, input.new_ones((), dtype=dtypes.bool_) if mask is None else mask)
    count = valid.sum(axes(dim, input.ndim), bool(keepdim))
    return sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask), count


def mean(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean of the elements that count; NaN where none does.

    ValueError for integers and bools, unless ``dtype`` is a floating or complex type.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast.

    >>> import framework as torch
    >>> torch.masked.mean(torch.tensor([1.0, 8.0, 3.0]), mask=torch.tensor([True, False, True]))
    tensor(2.)
    """
    kind = dtype or input.dtype
    if kind.category < FLOAT:
        source = "Input" if dtype is None else "Optional"
        raise ValueError(
            f"mean(): Could not infer output dtype. {source} dtype must be either a floating point "
            f"or complex dtype. Got: {kind}"
        )
    total, count = _counted(input, dim, keepdim, kind, mask)
    return total / count


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The lower median of the elements that count along a dimension; NaN where none does.

    Raises:
        ValueError: none counts, and the input's type knows no NaN.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 5.0, 3.0])
    >>> torch.masked.median(x, 0, mask=torch.tensor([True, False, True]))
    tensor(1.)
    """
    floating = input.dtype.category == FLOAT
    filled = _filled(input if floating else input.to(dtypes.float32), mask, math.nan)
    result = filled.nanmedian(_axis(dim, input), bool(keepdim))[0]
    if floating:
        return result
    if result.isnan().any():
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    return result.to(dtype or input.dtype)


def var(
    input: Tensor, dim: Dim = None, unbiased: bool | None = None, *, correction: Any = None,
    keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance of the elements that count: squares over their number less ``correction``.

    Args:
        unbiased: False means a correction of 0, True (and neither given) one of 1.

    AssertionError if both are given.

    Floating and complex dtypes stay, integers give the default float type. RuntimeError for
    bools.

    >>> import framework as torch
    >>> torch.masked.var(torch.tensor([1.0, 8.0, 3.0]), mask=torch.tensor([True, False, True]))
    tensor(2.)
    """
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 0 if unbiased is False else 1
    kind = dtype or input.dtype
    if dtype is None and kind.category < FLOAT:
        kind = dtypes.float32
    wide = kind if kind.category >= FLOAT else dtypes.float32
    total, count = _counted(input, dim, True, kind, mask)
    away = input - total / count
    squares = sum(away * away.conj(), dim, keepdim=keepdim, dtype=wide, mask=mask)
    if not keepdim:
        count = count.reshape(squares.shape)
    if correction:
        count = (count.to(wide.to_real()) - correction).clamp(min=0)
    return (squares / count).to(kind)


def std(
    input: Tensor, dim: Dim = None, unbiased: bool | None = None, *, correction: Any = None,
    keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation of the elements that count: the square root of `var`.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast. Dtypes are those of `var`.

    >>> import framework as torch
    >>> torch.masked.std(torch.tensor([1.0, 8.0, 3.0]), mask=torch.tensor([True, False, True]))
    tensor(1.4142)
    """
    found = var(
        input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask
    )
    return found.sqrt()


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dim = None, *, keepdim: bool = False,
    dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm of the elements that count (see `framework.linalg.vector_norm`).

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast. Floating and complex dtypes (RuntimeError
    for others); the norm is of the type of their parts.

    >>> import framework as torch
    >>> torch.masked.norm(torch.tensor([3.0, 9.0, 4.0]), mask=torch.tensor([True, False, True]))
    tensor(5.)
    """
    filled = _filled(input, mask, math.inf if ord == -math.inf else 0)
    kind = dtype or input.dtype
    return vector_norm(filled, ord, axes(dim, input.ndim), bool(keepdim), dtype=kind)


# -- normalisations --------------------------------------------------------------------------


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """exp(input) / sum(exp(input)) of the elements that count, and 0 for the others.

    NaN where none counts; NotImplementedError for integers.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast.

    >>> import framework as torch
    >>> torch.masked.softmax(torch.ones(3), 0, mask=torch.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    filled = input if mask is None else _filled(input, mask, _lowest(input, "amax"))
    return filled.softmax(_axis(dim, input), dtype or input.dtype)


def log_softmax(
    input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """log(softmax(input)) of the elements that count, and -inf for the others.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast. Floating dtypes, which stay;
    NotImplementedError for others.

    >>> import framework as torch
    >>> torch.masked.log_softmax(torch.ones(3), 0, mask=torch.tensor([True, False, True]))
    tensor([-0.6931,    -inf, -0.6931])
    """
    filled = input if mask is None else _filled(input, mask, _lowest(input, "amax"))
    return filled.log_softmax(_axis(dim, input), dtype or input.dtype)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """softmax(-input) of the elements that count, and 0 for the others.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast. Floating dtypes, which stay;
    NotImplementedError for others.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0, 1.0])
    >>> torch.masked.softmin(x, 0, mask=torch.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    filled = input if mask is None else _filled(input, mask, _highest(input, "amin"))
    return (-filled).softmax(_axis(dim, input), dtype or input.dtype)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The elements that count over their norm along ``dim`` (at least ``eps``); 0 for the others.

    The mask broadcasts to the input's shape. IndexError for a ``dim`` out of range,
    RuntimeError for a mask that does not broadcast. Floating and complex dtypes, which stay;
    RuntimeError for others.

    >>> import framework as torch
    >>> torch.masked.normalize(
    ...     torch.tensor([3.0, 9.0, 4.0]), 2.0, 0, mask=torch.tensor([True, False, True]))
    tensor([0.6000, 0.0000, 0.8000])
    """
    size = norm(input, ord, dim, keepdim=True, dtype=dtype or input.dtype, mask=mask)
    return _filled(input, mask, 0) / size.maximum(size.new_full((), eps))
