"""Convolution kernels of the host that do not unfold all of a patch.

*Rows*: only the last dimensions of the window are unfolded, into (N, C, *kernel[1:], rows,
*out[1:]). The first dimension's offsets are then ranges of rows in it, which matrix products read
where they lie: for a 3x3 window three products, added up, and a third of the copying.

*Depthwise*, the gradient of windows with one channel per group: a product and a sum for each
offset. (The convolution itself was slower that way than by patches.)

With strides in the first dimension there is a buffer for each of the rows' remainders.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

__all__ = ["by_rows", "depthwise_weight", "pays", "weight_by_rows"]

# Elements of the unfolded rows at a time: see `ops.conv`.
_ROOM = 1 << 18
_PLANES = 1 << 15  # of the planes at a time: a few of them stay in the second cache


def pays(inner: int, kernel: Any) -> bool:
    """Whether rows are faster than patches, for ``inner`` channels per group."""
    return bool(kernel[0] > 1 and inner * math.prod(kernel[1:]) >= 24)


def _rows(x: Any, buffers: list[Any], kernel: Any, stride: Any, dilation: Any, out: Any) -> None:
    """Fill the buffers (N, C, *kernel[1:], rows, *out[1:]) from the padded ``x``."""
    step = stride[0]
    for offset in itertools.product(*map(range, kernel[1:])):
        part = tuple([
            slice(o * d, o * d + s * (n - 1) + 1, s)
            for o, d, s, n in zip(offset, dilation[1:], stride[1:], out[1:])
        ])  # fmt: skip
        for rest, buffer in enumerate(buffers):
            rows = x[(slice(None), slice(None), slice(rest, None, step), *part)]
            buffer[(slice(len(x)), slice(None), *offset, slice(rows.shape[2]))] = rows


class _Unfolding:
    """The rows of one part of the batch after the other, and their ranges as matrices."""

    def __init__(
        self, x: Any, kernel: Any, stride: Any, dilation: Any, out: Any, groups: int
    ) -> None:
        self.x, self.kernel, self.stride, self.dilation, self.out = x, kernel, stride, dilation, out
        self.groups = groups
        self.inner = x.shape[1] // groups * math.prod(kernel[1:])
        height = -(-x.shape[2] // stride[0])
        each = x.shape[1] * math.prod(kernel[1:]) * height * math.prod(out[1:])
        self.count = max(1, min(len(x), _ROOM // max(each, 1)))
        self.buffers = [
            np.empty((self.count, x.shape[1], *kernel[1:], height, *out[1:]), x.dtype)
            for _ in range(min(stride[0], (kernel[0] - 1) * dilation[0] + 1))
        ]

    def parts(self) -> Any:
        """(part of the batch, [a matrix (n, groups, inner, positions) per first offset])."""
        positions = math.prod(self.out)
        for start in range(0, len(self.x), self.count):
            part = self.x[start : start + self.count]
            _rows(part, self.buffers, self.kernel, self.stride, self.dilation, self.out)
            ranges = []
            for k in range(self.kernel[0]):
                first, rest = divmod(k * self.dilation[0], self.stride[0])
                whole = self.buffers[rest][: len(part)]
                axis = len(self.kernel) + 1
                rows = whole[(*[slice(None)] * axis, slice(first, first + self.out[0]))]
                ranges.append(rows.reshape(len(part), self.groups, self.inner, positions))
            yield slice(start, start + len(part)), ranges


def by_rows(x: Any, w: Any, stride: Any, dilation: Any, out: Any, groups: int) -> Any:
    """The convolution (N, O, *out) of the padded ``x`` with ``w``."""
    y = np.empty((len(x), w.shape[0], *out), x.dtype)
    per_group = w.shape[0] // groups
    grouped = w.reshape(groups, per_group, w.shape[1], w.shape[2], -1)
    unfolding = _Unfolding(x, w.shape[2:], stride, dilation, out, groups)
    matrices = [
        np.ascontiguousarray(grouped[:, :, :, k]).reshape(groups, per_group, unfolding.inner)
        for k in range(w.shape[2])
    ]
    flat = y.reshape(len(x), groups, per_group, math.prod(out))
    more = np.empty((unfolding.count, *flat.shape[1:]), x.dtype)
    for part, ranges in unfolding.parts():
        total, room = flat[part], more[: len(ranges[0])]
        np.matmul(matrices[0], ranges[0], out=total)
        for matrix, rows in zip(matrices[1:], ranges[1:]):
            total += np.matmul(matrix, rows, out=room)
    return y


def weight_by_rows(x: Any, g: Any, kernel: Any, stride: Any, dilation: Any, groups: int) -> Any:
    """The gradient (O, C / groups, *kernel) of the weights, for ``g`` and the padded ``x``."""
    per_group, out = g.shape[1] // groups, g.shape[2:]
    unfolding = _Unfolding(x, kernel, stride, dilation, out, groups)
    total = np.zeros((kernel[0], groups, per_group, unfolding.inner), x.dtype)
    flat = g.reshape(len(g), groups, per_group, math.prod(out))
    for part, ranges in unfolding.parts():
        for k, rows in enumerate(ranges):
            total[k] += np.matmul(flat[part], rows.swapaxes(-1, -2)).sum(axis=0)
    total = total.reshape(kernel[0], g.shape[1], x.shape[1] // groups, *kernel[1:])
    return np.ascontiguousarray(np.moveaxis(total, 0, 2))


# -- one channel per group ----------------------------------------------------------------------


class _Planes:
    """The padded images of a part of the batch, a plane (a channel) as one long line.

    What an offset in the window meets is then the line from some place on: NumPy's loops run over
    planes, not over rows. Where a line goes on from one row to the next, elements mean nothing.
    With strides there are no such lines, and the parts are taken as they lie.
    """

    def __init__(
        self, x: Any, kernel: Any, stride: Any, dilation: Any, out: Any, lines: bool = True
    ) -> None:  # fmt: skip
        self.lines = lines and all(s == 1 for s in stride)
        self.kernel, self.out = kernel, out
        self.places: list[Any]
        if self.lines:
            pitches = [math.prod(x.shape[3 + i :]) for i in range(len(out))]
            self.wide = (out[0], *x.shape[3:])  # the result with what means nothing
            self.length = sum((n - 1) * p for n, p in zip(out, pitches)) + 1
            x = x.reshape(*x.shape[:2], -1)
            self.places = [
                slice(first, first + self.length)
                for offset in itertools.product(*map(range, kernel))
                for first in [sum(o * d * p for o, d, p in zip(offset, dilation, pitches))]
            ]
        else:
            self.places = [
                (..., *[slice(o * d, o * d + s * (n - 1) + 1, s)
                        for o, d, s, n in zip(offset, dilation, stride, out)])
                for offset in itertools.product(*map(range, kernel))
            ]  # fmt: skip
        self.x = x
        self.step = max(1, _PLANES // max(math.prod(x.shape[1:]), 1))

    def parts(self) -> Any:
        """(part of the batch, [what each offset meets])."""
        for start in range(0, len(self.x), self.step):
            x = self.x[start : start + self.step]
            met = [x[:, :, p] if self.lines else x[p] for p in self.places]
            yield slice(start, start + len(x)), met

    def laid_out(self, g: Any) -> Any:
        """``g`` (N, C, *out) as what the offsets meet, zero where that means nothing."""
        if not self.lines:
            return g
        if self.wide != self.out:
            whole: Any = np.zeros((*g.shape[:2], *self.wide), g.dtype)
            whole[(..., *map(slice, self.out))] = g
            g = whole
        return g.reshape(*g.shape[:2], -1)[..., : self.length]


def depthwise_weight(x: Any, g: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    """The gradient (C, 1, *kernel) of the windows, for ``g`` and the padded ``x``."""
    found = _depthwise_weight(_Planes(x, kernel, stride, dilation, g.shape[2:]), x, g, kernel)
    if np.isfinite(found).all():
        return found
    # An infinity in x has also met the zeros between the rows of g.
    planes = _Planes(x, kernel, stride, dilation, g.shape[2:], lines=False)
    return _depthwise_weight(planes, x, g, kernel)


def _depthwise_weight(planes: _Planes, x: Any, g: Any, kernel: Any) -> Any:
    total = np.zeros((math.prod(kernel), x.shape[1]), x.dtype)
    axes = (-1,) if planes.lines else tuple(range(2, x.ndim))
    for part, met in planes.parts():
        grad = planes.laid_out(g[part])
        room = np.empty(met[0].shape, x.dtype)
        for k, seen in enumerate(met):
            total[k] += np.multiply(seen, grad, out=room).sum(axis=axes).sum(axis=0)
    return np.ascontiguousarray(total.T).reshape(x.shape[1], 1, *kernel)
