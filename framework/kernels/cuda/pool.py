"""Max and mean pooling in one, two and three dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.kernels.cuda import blocks_for, empty, flat, launch, ready
from framework.kernels.windows import out_size

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "avg_unpool1d", "avg_unpool2d", "avg_unpool3d",
    "max_pool1d", "max_pool2d", "max_pool3d",
]  # fmt: skip


def _three(values: Any, fill: int) -> list[int]:
    return [fill] * (3 - len(values)) + [int(v) for v in values]


def _numbers(
    shape: Any, size: Any, out: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> list[int]:
    """The number of planes, and the window's."""
    lines = ((size, 1), (out, 1), (kernel, 1), (stride, 1), (padding, 0), (dilation, 1))
    planes = math.prod(shape[: len(shape) - len(kernel)])
    return [planes, *[n for values, fill in lines for n in _three(values, fill)]]


def _largest(
    x: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:  # fmt: skip
    """The maxima and their places in the planes. None for images channels last, or without any."""
    dims = len(kernel)
    if not ready(x) or not x.flags.c_contiguous:
        return None
    size = x.shape[-dims:]
    out = out_size(size, kernel, stride, padding, dilation, ceil_mode)
    if min(out) <= 0:
        return None  # the plain kernel has the error
    best = empty(x, (*x.shape[:-dims], *out))
    index = empty(x, best.shape, np.int64)
    numbers = _numbers(x.shape, size, out, kernel, stride, padding, dilation)
    launch("pool", "largest", blocks_for(best.size), 256, x, best, index, *numbers)
    return best, index


max_pool1d = max_pool2d = max_pool3d = _largest


def _mean(
    x: Any, *, size: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    """The means. None for images channels last, or without any."""
    if not ready(x) or not x.flags.c_contiguous:
        return None
    dims = len(kernel)
    out = out_size(x.shape[-dims:], kernel, stride, padding, (1,) * dims, ceil_mode)
    if min(out) <= 0:
        return None  # the plain kernel has the error
    y = empty(x, (*x.shape[:-dims], *out))
    numbers = _numbers(x.shape, x.shape[-dims:], out, kernel, stride, padding, (1,) * dims)
    launch("pool", "mean", blocks_for(y.size), 256, x, y, *numbers, int(count_include_pad),
           int(divisor_override or 0))  # fmt: skip
    return y


def _mean_backward(
    g: Any, *, size: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    """The gradient of the images, of ``size``."""
    if not ready(g):
        return None
    g, dims = flat(g), len(kernel)
    x = empty(g, (*g.shape[:-dims], *size))
    numbers = _numbers(g.shape, size, g.shape[-dims:], kernel, stride, padding, (1,) * dims)
    launch("pool", "mean_backward", blocks_for(x.size), 256, g, x, *numbers,
           int(count_include_pad), int(divisor_override or 0))  # fmt: skip
    return x


avg_pool1d = avg_pool2d = avg_pool3d = _mean
avg_unpool1d = avg_unpool2d = avg_unpool3d = _mean_backward
