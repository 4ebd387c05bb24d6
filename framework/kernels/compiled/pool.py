"""Largest elements of windows in images, where they were, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["largest", "scatter"]

_f = np.float32


@njit(**FAST)
def _largest(x, kernel, stride, padding, dilation, best, index, start, stop):
    height, width = x.shape[1], x.shape[2]
    for plane in range(start, stop):
        image = x[plane]
        for row in range(best.shape[1]):
            top = row * stride[0] - padding[0]
            while top < 0:
                top += dilation[0]
            bottom = min(height, row * stride[0] - padding[0] + (kernel[0] - 1) * dilation[0] + 1)
            for column in range(best.shape[2]):
                left = column * stride[1] - padding[1]
                right = min(width, left + (kernel[1] - 1) * dilation[1] + 1)
                while left < 0:
                    left += dilation[1]
                found, where = _f(-np.inf), top * width + left
                for i in range(top, bottom, dilation[0]):
                    for j in range(left, right, dilation[1]):
                        v = image[i, j]
                        if v > found or v != v:  # NaN wins, as in PyTorch
                            found, where = v, i * width + j
                best[plane, row, column] = found
                index[plane, row, column] = where


@njit(**FAST)
def _scatter(g, index, out, start, stop):
    for plane in range(start, stop):
        line, grads, places = out[plane], g[plane], index[plane]
        line[:] = _f(0)
        for i in range(grads.size):
            line[places[i]] += grads[i]


def largest(
    x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any
) -> tuple[Any, Any]:
    """The maxima (..., *out) of x (..., H, W), and their places in the planes as int64."""
    best = np.empty((*x.shape[:-2], *out), np.float32)
    index = np.empty(best.shape, np.int64)
    planes, flat, places = (a.reshape(-1, *a.shape[-2:]) for a in (x, best, index))
    in_parts(_largest, len(planes), x.size, planes, kernel, stride, padding, dilation, flat, places)
    return best, index


def scatter(g: Any, index: Any, size: int) -> Any:
    """Lines (N, size) in which each element of g (N, M) is added at its place."""
    out = np.empty((len(g), size), np.float32)
    in_parts(_scatter, len(g), out.size, g, index, out)
    return out
