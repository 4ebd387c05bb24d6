"""Convolution of images with one 3x3 window per channel, stride one.

A padded channel is one long line, rows one after the other. What an offset of the window meets is
that line from some place on, so loops run over whole images, not over rows; where a line goes on
from one row to the next, results mean nothing and are left out at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["convolve", "fits", "weight_gradient"]

_f = np.float32
_LANES = 32  # lines are so many elements long, or a multiple


@njit(**FAST)
def _lay_out(x, lines, pitch, first):
    """The planes (C, H, W) as lines of rows ``pitch`` apart, from ``first`` on, zero elsewhere."""
    for c in range(x.shape[0]):
        lines[c, :] = _f(0)
        for row in range(x.shape[1]):
            at = first + row * pitch
            line, given = lines[c, at : at + x.shape[2]], x[c, row]
            for i in range(line.size):
                line[i] = given[i]


@njit(**FAST)
def _take(line, pitch, out):
    """The rows of one plane out of a line."""
    for row in range(out.shape[0]):
        given, y = line[row * pitch : row * pitch + out.shape[1]], out[row]
        for i in range(y.size):
            y[i] = given[i]


@njit(**FAST, forceinline=True)
def _three(line, length):
    """What the three taps of a row meet."""
    return line[0:][:length], line[1:][:length], line[2:][:length]


@njit(**FAST)
def _plane(plane, w, pitch, length, out):
    """What one window w (9,) makes of a line."""
    p0, p1, p2 = _three(plane, length)
    p3, p4, p5 = _three(plane[pitch:], length)
    p6, p7, p8 = _three(plane[2 * pitch :], length)
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
    for i in range(length):
        above = w0 * p0[i] + w1 * p1[i] + w2 * p2[i]
        here = w3 * p3[i] + w4 * p4[i] + w5 * p5[i]
        out[i] = above + here + (w6 * p6[i] + w7 * p7[i] + w8 * p8[i])


@njit(**SUMS)
def _plane_of_gradient(plane, g, pitch, length, w):
    """Add to w (9,) the products of a line of gradients with what the window met."""
    p0, p1, p2 = _three(plane, length)
    p3, p4, p5 = _three(plane[pitch:], length)
    p6, p7, p8 = _three(plane[2 * pitch :], length)
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = _f(0)
    for i in range(length):
        a = g[i]
        a0 += a * p0[i]
        a1 += a * p1[i]
        a2 += a * p2[i]
        a3 += a * p3[i]
        a4 += a * p4[i]
        a5 += a * p5[i]
        a6 += a * p6[i]
        a7 += a * p7[i]
        a8 += a * p8[i]
    w[0] += a0
    w[1] += a1
    w[2] += a2
    w[3] += a3
    w[4] += a4
    w[5] += a5
    w[6] += a6
    w[7] += a7
    w[8] += a8


@njit(**FAST)
def _depthwise(x, w, y, padding, pitch, size, length, start, stop):
    """w is (C, 9)."""
    lines = np.empty((1, size), np.float32)
    out = np.empty(length, np.float32)
    channels = x.shape[1]
    for place in range(start, stop):
        n, c = place // channels, place % channels
        _lay_out(x[n, c : c + 1], lines, pitch, padding[0] * pitch + padding[1])
        _plane(lines[0], w[c], pitch, length, out)
        _take(out, pitch, y[n, c])


@njit(**FAST)
def _depthwise_gradient(x, g, w, padding, pitch, size, length, start, stop):
    """w (C, 9) is zero before."""
    lines = np.empty((1, size), np.float32)
    grads = np.zeros((1, length), np.float32)
    for c in range(start, stop):
        for n in range(x.shape[0]):
            _lay_out(x[n, c : c + 1], lines, pitch, padding[0] * pitch + padding[1])
            _lay_out(g[n, c : c + 1], grads, pitch, 0)
            _plane_of_gradient(lines[0], grads[0], pitch, length, w[c])


# -- what callers see ---------------------------------------------------------------------------


def fits(x: Any, outs: int, kernel: Any, stride: Any, dilation: Any, groups: int, out: Any) -> bool:
    """Whether this is for such windows: x is (N, C, H, W)."""
    return bool(
        groups == x.shape[1] == outs
        and groups > 1
        and tuple(kernel) == (3, 3)
        and set(stride) == set(dilation) == {1}
        and x.ndim == 4
        and x.dtype == np.float32
        and out[0] * out[1] >= 49
    )


def _layout(x: Any, padding: Any, out: Any) -> tuple[int, int, int]:
    """Of a padded plane: how far rows are apart, and the lengths of its line and of a result's."""
    pitch = x.shape[3] + 2 * padding[1]
    length = -(-((out[0] - 1) * pitch + out[1]) // _LANES) * _LANES
    return pitch, max((x.shape[2] + 2 * padding[0]) * pitch, length + 2 * pitch + 2), length


def convolve(x: Any, w: Any, padding: Any, out: Any) -> Any:
    """The convolution (N, C, *out) of x (N, C, H, W) with w (C, 1, 3, 3)."""
    x = np.ascontiguousarray(x)
    y = np.empty((len(x), len(w), *out), np.float32)
    lines = np.ascontiguousarray(w).reshape(len(w), 9)
    layout = _layout(x, padding, out)
    in_parts(_depthwise, len(x) * len(w), y.size, x, lines, y, padding, *layout)
    return y


def weight_gradient(x: Any, g: Any, padding: Any) -> Any:
    """The gradient (C, 1, 3, 3) of the windows, for g (N, C, OH, OW).

    None where it is not finite: an infinity in x has also met zeros between the rows of g.
    """
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
    w = np.zeros((x.shape[1], 9), np.float32)
    layout = _layout(x, padding, g.shape[2:])
    in_parts(_depthwise_gradient, len(w), g.size, x, g, w, padding, *layout)
    return w.reshape(-1, 1, 3, 3) if np.isfinite(w).all() else None
