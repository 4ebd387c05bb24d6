"""Largest elements of windows in images, where they were, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["largest", "largest_in_lines", "scatter"]

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


_u = np.uintp  # an index of this type cannot be negative, which need not be asked then


@njit(**FAST)
def _pairs(line, best, index):
    for c in range(_u(best.size)):
        at = c * _u(2)
        u, v = line[at], line[at + _u(1)]
        better = (v > u) | (v != v)  # with NaN; `or` would be a branch
        best[c] = v if better else u
        index[c] = at + _u(better)


@njit(**FAST)
def _largest_in_lines(x, kernel, stride, dilation, best, index, start, stop):
    for i in range(start, stop):
        line, found, where = x[i], best[i], index[i]
        if kernel == stride == _u(2) and dilation == _u(1):
            _pairs(line, found, where)
            continue
        for c in range(_u(found.size)):
            found[c] = line[c * stride]
            where[c] = c * stride
        for k in range(_u(1), kernel):
            for c in range(_u(found.size)):
                at = c * stride + k * dilation
                u, v, before = found[c], line[at], where[c]
                better = (v > u) | (v != v)
                found[c] = v if better else u
                where[c] = before + (at - before) * _u(better)


def largest_in_lines(x: Any, kernel: int, stride: int, dilation: int, out: int) -> tuple[Any, Any]:
    """The maxima (..., out) of windows that all lie in lines of x (..., L), and their places."""
    best = np.empty((*x.shape[:-1], out), np.float32)
    index = np.empty(best.shape, np.int64)
    lines = [a.reshape(-1, a.shape[-1]) for a in (x, best, index.view(_u))]
    numbers = [_u(n) for n in (kernel, stride, dilation)]
    in_parts(_largest_in_lines, len(lines[0]), x.size, lines[0], *numbers, *lines[1:])
    return best, index


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
