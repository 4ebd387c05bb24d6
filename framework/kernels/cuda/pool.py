"""Max pooling in one, two and three dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.kernels.cuda import blocks_for, empty, launch, ready
from framework.kernels.windows import out_size

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d"]


def _three(values: Any, fill: int) -> list[int]:
    return [fill] * (3 - len(values)) + [int(v) for v in values]


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
    numbers = [_three(v, f) for v, f in ((size, 1), (out, 1), (kernel, 1), (stride, 1),
                                         (padding, 0), (dilation, 1))]  # fmt: skip
    planes = math.prod(x.shape[:-dims])
    launch("pool", "largest", blocks_for(best.size), 256, x, best, index, planes,
           *[n for line in numbers for n in line])  # fmt: skip
    return best, index


max_pool1d = max_pool2d = max_pool3d = _largest
