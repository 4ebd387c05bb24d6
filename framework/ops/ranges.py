"""Numbers in equal steps, and the rows and columns of triangles."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.interpose import by_sample
from framework.core.kinds import MISSING
from framework.core.registry import function, op
from framework.device import META
from framework.dtypes import COMPLEX, FLOAT, INT
from framework.ops.creation import create, kind_of, number
from framework.tensor import Tensor

__all__ = ["arange", "linspace", "logspace"]

# -- ranges ------------------------------------------------------------------------------------


def _check_range(start: Any, end: Any, step: Any) -> None:
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def _whole(value: Any) -> Any:
    return int(value) if math.isfinite(value) else value


def _steps_kernel(start: Any, step: Any, count: int, dtype: Any) -> Any:
    """start, start + step, ...: computed in int64 for integers, else in float64."""
    if dtype.kind in "iu":
        return (int(start) + int(step) * np.arange(count, dtype=np.int64)).astype(dtype)
    return (start + step * np.arange(count, dtype=np.float64)).astype(dtype)


ARANGE = op("arange", _steps_kernel, "")
RANGE = op("range", _steps_kernel, "")


@function(method=False)
def arange(
    start: Any = MISSING, end: Any = MISSING, step: Any = MISSING, *, out: Any = None,
    dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... up to but without end; int64 if all are ints.

    Of the default dtype if one is a float. RuntimeError for a step of zero or of the wrong sign,
    and for infinite bounds.

    One dimension, of ceil((end - start) / step) elements.

    >>> import framework as torch
    >>> torch.arange(1, 7, 2)
    tensor([1, 3, 5])
    """
    if end is MISSING:
        start, end = MISSING, start
    if end is MISSING or (start is MISSING and step is not MISSING):
        missing = "end" if end is MISSING else "start beside a step"
        raise TypeError(f"arange() received an invalid combination of arguments: no {missing}")
    step = 1 if step is MISSING else step
    start, end, step = 0 if start is MISSING else number(start), number(end), number(step)
    whole = all(isinstance(v, int) for v in (start, end, step))
    usual = dtypes.int64 if whole else dtypes.get_default_dtype()
    kind = kind_of(out, dtype, usual)
    if kind.category in (dtypes.BOOL, COMPLEX):
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{dtypes.NAMES[kind]}'")
    if kind is dtypes.int64 and not whole:  # as in PyTorch: only int64 counts in integers
        if step and not int(step):
            raise ValueError("step must be nonzero")
        start, end, step = _whole(start), _whole(end), _whole(step)
    _check_range(start, end, step)
    exact = all(isinstance(v, int) for v in (start, end, step))
    count = -((start - end) // step) if exact else math.ceil((end - start) / step)
    return create(ARANGE, out, dtype, layout, device, requires_grad, usual,
                  start=start, step=step, count=count, pin_memory=pin_memory)  # fmt: skip


@function(method=False)
def range(
    start: Any, end: Any = None, step: Any = 1, *, out: Any = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... up to *and with* end; deprecated in favour of `arange`.

    Of the default dtype unless another one is given. RuntimeError as for `arange`.

    One dimension, of floor((end - start) / step) + 1 elements.

    >>> import warnings, framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.range(1, 3)
    tensor([1., 2., 3.])
    """
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    start, end, step = number(start), number(end), number(step)
    if kind_of(out, dtype, dtypes.get_default_dtype()).category == INT:
        start, end, step = _whole(start), _whole(end), _whole(step)
    _check_range(start, end, step)
    count = int((end - start) / step) + 1
    return create(RANGE, out, dtype, layout, device, requires_grad,
                  start=start, step=step, count=count, pin_memory=pin_memory)  # fmt: skip


def _between(start: Any, end: Any, steps: int, dtype: Any) -> Any:
    """Evenly spaced values, counted from the nearer end, in float64 or complex128."""
    wide = np.complex128 if dtype.kind == "c" else np.float64
    if steps == 1:
        return np.asarray([start], wide)
    if dtype.kind in "iu":
        start, end = int(start), int(end)
    step = (end - start) / (steps - 1) if steps else 0
    index = np.arange(steps)
    return np.where(index < steps // 2, start + step * index, end - step * (steps - 1 - index))


def _linspace_kernel(start: Any, end: Any, steps: int, dtype: Any) -> Any:
    if dtype.kind not in "fV" or steps < 2:
        return _between(start, end, steps, dtype).astype(dtype)
    # As in PyTorch: all in the type itself, the sum with one rounding where the processor has that.
    first, last = dtype.type(start), dtype.type(end)
    step = dtype.type(dtype.type(last - first) / dtype.type(steps - 1))
    index = np.arange(steps)
    near = index < steps // 2
    origin = np.where(near, first, last)
    times = np.where(near, index, steps - 1 - index).astype(dtype)
    stride = np.where(near, step, -step)
    if dtype.itemsize == 2:
        return origin + stride * times
    if dtype.itemsize == 4:  # the product is exact in float64
        return (origin + stride.astype(np.float64) * times).astype(dtype)
    return _fused(stride, times, origin)


def _fused(a: Any, b: Any, c: Any) -> Any:
    """a * b + c of float64 with one rounding (Dekker's product, Knuth's sum)."""
    product = a * b
    total = product + c
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    lost = a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)
    part = total - product
    lost += (product - (total - part)) + (c - part)
    return np.where(np.isfinite(lost), total + lost, total)


def _halves(a: Any) -> tuple[Any, Any]:
    wide = a * 134217729.0  # 2 ** 27 + 1
    high = wide - (wide - a)
    return high, a - high


def _logspace_kernel(start: Any, end: Any, steps: int, base: Any, dtype: Any) -> Any:
    exponents = _between(start, end, steps, dtype)
    if isinstance(base, complex) or (base < 0 and dtype.kind == "c"):
        base = np.complex128(base)
    return np.power(base, exponents, dtype=np.result_type(exponents, type(base))).astype(dtype)


LINSPACE = op("linspace", _linspace_kernel, "")
LOGSPACE = op("logspace", _logspace_kernel, "")


def _space(
    record: Any, start: Any, end: Any, steps: int, out: Any, dtype: Any, layout: Any, device: Any,
    requires_grad: bool, **more: Any,
) -> Tensor:  # fmt: skip
    name = record.name
    if device is None and any(isinstance(e, Tensor) and e.is_meta for e in (start, end)):
        device = META
    for key, value in (("start", start), ("end", end)):
        if value is None or isinstance(value, (tuple, list)):
            got = type(value).__name__
            raise TypeError(f"{name}(): argument '{key}' must be Number or Tensor, not {got}")
    start, end = number(start, name), number(end, name)
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise TypeError(
            f"{name}(): argument 'steps' (position 3) must be int, not {type(steps).__name__}"
        )
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if dtype is not None and dtypes.to_dtype(dtype) is dtypes.bool_:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Bool'")
    usual = dtypes.get_default_dtype()
    if isinstance(start, complex) or isinstance(end, complex):
        usual = usual.to_complex()
        if dtype is not None and dtypes.to_dtype(dtype).category != COMPLEX:
            raise RuntimeError(
                f"torch.{name}(): inferred dtype {dtypes.NAMES[usual]} can't be safely cast to "
                f"passed dtype {dtypes.NAMES[dtypes.to_dtype(dtype)]}"
            )
    kind = kind_of(out, dtype, usual)
    for value in (start, end):
        if kind.category == FLOAT and math.isfinite(value) and abs(value) > dtypes.finfo(kind).max:
            raise dtypes.overflow(kind)
    return create(record, out, dtype, layout, device, requires_grad, usual,
                  start=start, end=end, steps=steps, **more)  # fmt: skip


@function(method=False)
@by_sample
def linspace(
    start: Any, end: Any, steps: int, *, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``steps`` evenly spaced values from start to end, both included.

    Of the default dtype unless another one is given, complex if a bound is. RuntimeError for a
    negative number of steps, TypeError unless that is an int.

    >>> import framework as torch
    >>> torch.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    return _space(LINSPACE, start, end, steps, out, dtype, layout, device, requires_grad,
                  pin_memory=pin_memory)  # fmt: skip


@function(method=False)
@by_sample
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Any = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``base`` to the powers of `linspace`.

    Of the default dtype unless another one is given. RuntimeError for a negative number of steps,
    TypeError unless that is an int.

    >>> import framework as torch
    >>> torch.logspace(0, 3, 4)
    tensor([   1.,   10.,  100., 1000.])
    """
    return _space(LOGSPACE, start, end, steps, out, dtype, layout, device, requires_grad,
                  base=base, pin_memory=pin_memory)  # fmt: skip


# -- indices of triangles ----------------------------------------------------------------------


def _triangle_kernel(row: int, col: int, offset: int, lower: bool, dtype: Any) -> Any:
    below = np.arange(col) - np.arange(row)[:, None] <= (offset if lower else offset - 1)
    return np.stack(np.nonzero(below if lower else ~below)).astype(dtype)


TRIANGLE = op("triangle_indices", _triangle_kernel, "")


def _triangle(
    row: int, col: int, offset: int, lower: bool, dtype: Any, device: Any, layout: Any,
    requires_grad: bool, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    for name, length in (("row", row), ("col", col)):
        if length < 0:
            raise RuntimeError(f"{name} must be non-negative, got{length}")
    if dtype is not None and dtypes.to_dtype(dtype) not in (dtypes.int32, dtypes.int64):
        name = "tril_indices" if lower else "triu_indices"
        kind = dtypes.NAMES[dtypes.to_dtype(dtype)]
        raise NotImplementedError(f"\"{name}\" not implemented for '{kind}'")
    return create(TRIANGLE, None, dtype, layout, device, requires_grad, dtypes.int64,
                  pin_memory, row=row, col=col, offset=offset, lower=lower)  # fmt: skip


@function(method=False)
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None,
    layout: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Row and column numbers (a [2, n] tensor) of the lower triangle of a row x col matrix.

    Row by row, as int64 unless another dtype is given; ``offset`` counts upwards from the main
    diagonal. RuntimeError for a negative size.

    >>> import framework as torch
    >>> torch.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle(
        row, col, offset, True, dtype, device, layout, requires_grad, pin_memory=pin_memory
    )


@function(method=False)
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None,
    layout: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Row and column numbers (a [2, n] tensor) of the upper triangle of a row x col matrix.

    Row by row, as int64 unless another dtype is given; ``offset`` counts upwards from the main
    diagonal. RuntimeError for a negative size.

    >>> import framework as torch
    >>> torch.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _triangle(
        row, col, offset, False, dtype, device, layout, requires_grad, pin_memory=pin_memory
    )
