"""Sampling of images and volumes at places of a grid: `ops.grid` in three passes.

A place is found once for all channels: its *taps*, the pixels around it and what each counts. Then
each channel is sampled by itself, so that its plane stays in the cache. A tap outside of the image
has the number -1, and counts zero whatever its weight is (which may be no number).

Places are found without contraction, with the roundings of the plain way: a place next to a whole
number has the same pixels there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["BICUBIC", "BILINEAR", "NEAREST", "gradients", "sample"]

BILINEAR, NEAREST, BICUBIC = 0, 1, 2
_BORDER, _REFLECTION = 1, 2
_BLOCK = np.uintp(256)  # places that a thread takes at a time
_ROOM = 1 << 20  # taps of all places at a time
_EXACT: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": True}
_PART = {**_EXACT, "forceinline": True}
_u, _f = np.uintp, np.float32
_NIL, _HALF, _ONE, _TWO = _f(0), _f(0.5), _f(1), _f(2)
_0, _1, _2, _3, _4, _8, _12 = (_u(k) for k in (0, 1, 2, 3, 4, 8, 12))
_FAR = _f(1e9)  # no image is so large


# -- along one axis -----------------------------------------------------------------------------
#
# Constants are float32, all of them exact: beside a float64 they are float64, while an integer
# beside a float32 would make that one a float64.


@njit(**_PART)
def _clipped(x, slope, last):
    """``x`` in [0, last], and its slope, which is zero at the limits; NaN is zero."""
    if x > _NIL and x < last:
        return x, slope
    return (last if x >= last else _NIL * last), _NIL * last


@njit(**_PART)
def _source(x, whole, last, padding, align):
    """(place, its slope) after the padding mode, along an axis of size ``whole``."""
    one = last - last + _ONE
    if padding == _BORDER:
        return _clipped(x, one, last)
    if padding != _REFLECTION:
        return x, one
    low = _NIL if align else -_HALF
    span = last if align else whole
    if span == _NIL:
        return _clipped(x * _NIL, one * _NIL, last)
    away = x - low
    distance = abs(away)
    turns = np.floor(distance / span)
    extra = distance - turns * span
    slope = one if away > _NIL else (-one if away < _NIL else one * _NIL)
    if turns - np.floor(turns * _HALF) * _TWO == _ONE:
        return _clipped(span - extra + low, -slope, last)
    return _clipped(extra + low, slope, last)


@njit(**_PART)
def _whole(x):
    """A whole number as an integer; what is no number, or very large, is outside."""
    return np.int64(x) if abs(x) < _FAR else np.int64(-2)  # so is the next one


# Keys' cubics for a = -3/4, between 0 and 1 and between 1 and 2, and their derivatives.


@njit(**_PART)
def _near(x):
    return (_f(1.25) * x - _f(2.25)) * x * x + _ONE


@njit(**_PART)
def _far(x):
    return ((_f(-0.75) * x + _f(3.75)) * x - _f(6)) * x + _f(3)


@njit(**_PART)
def _near_slope(x):
    return (_f(3.75) * x - _f(4.5)) * x


@njit(**_PART)
def _far_slope(x):
    return (_f(-2.25) * x + _f(7.5)) * x - _f(6)


@njit(**_EXACT)
def _axis(grid, first, step, count, size, options, index, weight, slope, at):
    """Pixels' numbers, their weights, and how these move with the place, of a block of places.

    Those of tap k are put at ``at + k * _BLOCK``.
    """
    mode, padding, align = options
    whole, last = grid.dtype.type(size), grid.dtype.type(size - 1)
    rate = (last if align else whole) / _TWO
    one_on, two_on, three_on = at + _BLOCK, at + _2 * _BLOCK, at + _3 * _BLOCK
    for i in range(count):
        x = grid[first + i * step] + _ONE
        x = x * rate if align else (x * whole - _ONE) / _TWO
        if mode == BILINEAR:
            place, moves = _source(x, whole, last, padding, align)
            low = np.floor(place)
            part = place - low
            k = _whole(low)
            index[at + i], index[one_on + i] = k, k + 1
            weight[at + i], weight[one_on + i] = _ONE - part, part
            slope[at + i], slope[one_on + i] = -moves * rate, moves * rate
        elif mode == NEAREST:
            place, _ = _source(x, whole, last, padding, align)
            index[at + i], weight[at + i], slope[at + i] = _whole(np.rint(place)), _ONE, _NIL
        else:
            low = np.floor(x)
            t = x - low
            place, _ = _source(low - _ONE, whole, last, padding, align)
            index[at + i] = _whole(np.rint(place))
            place, _ = _source(low, whole, last, padding, align)
            index[one_on + i] = _whole(np.rint(place))
            place, _ = _source(low + _ONE, whole, last, padding, align)
            index[two_on + i] = _whole(np.rint(place))
            place, _ = _source(low + _TWO, whole, last, padding, align)
            index[three_on + i] = _whole(np.rint(place))
            weight[at + i], weight[one_on + i] = _far(t + _ONE), _near(t)
            weight[two_on + i], weight[three_on + i] = _near(_ONE - t), _far(_TWO - t)
            slope[at + i], slope[one_on + i] = _far_slope(t + _ONE) * rate, _near_slope(t) * rate
            slope[two_on + i] = -_near_slope(_ONE - t) * rate
            slope[three_on + i] = -_far_slope(_TWO - t) * rate


# -- places and their taps ----------------------------------------------------------------------
#
# An image is a volume of one layer, of which there is one tap.


@njit(**_EXACT)
def _axes(grid, first, dims, count, sizes, options, index, weight, slope):
    """The taps of a block of places along the axes (z, y, x); a place in the grid is (x, y, z)."""
    depth, height, width = sizes
    at = first * dims
    _axis(grid, at, dims, count, width, options, index, weight, slope, _8 * _BLOCK)
    _axis(grid, at + _1, dims, count, height, options, index, weight, slope, _4 * _BLOCK)
    if dims == _3:
        _axis(grid, at + _2, dims, count, depth, options, index, weight, slope, _0)
    else:
        index[:_BLOCK], weight[:_BLOCK], slope[:_BLOCK] = 0, _ONE, _NIL


@njit(**_EXACT)
def _taps(grid, dims, sizes, options, taps, pixels, weights, start, stop):
    """grid is (places * dims,); pixels and weights are (places * all taps,); units are blocks."""
    index = np.empty(_12 * _BLOCK, np.int64)
    weight, slope = np.empty(_12 * _BLOCK, grid.dtype), np.empty(_12 * _BLOCK, grid.dtype)
    depth, height, width = sizes
    deep, across = taps
    places = _u(grid.size) // dims
    for unit in range(_u(start), _u(stop)):
        first = unit * _BLOCK
        count = min(_BLOCK, places - first)
        _axes(grid, first, dims, count, sizes, options, index, weight, slope)
        at = first * deep * across * across
        for i in range(count):
            for a in range(deep):
                z, factor = index[a * _BLOCK + i], weight[a * _BLOCK + i]
                for b in range(_4, _4 + across):
                    y, both = index[b * _BLOCK + i], factor * weight[b * _BLOCK + i]
                    row = (z * height + y) * width
                    inside = (z >= 0) & (z < depth) & (y >= 0) & (y < height)
                    for c in range(_8, _8 + across):
                        x = index[c * _BLOCK + i]
                        within = inside & (x >= 0) & (x < width)
                        pixels[at] = row + x if within else -1
                        weights[at] = both * weight[c * _BLOCK + i]
                        at += _1


# -- channels -----------------------------------------------------------------------------------


@njit(**_PART)
def _pixel(plane, k, zero):
    """Pixel k, zero outside."""
    v = plane[_u(max(k, 0))]
    return v if k >= 0 else zero


@njit(**FAST)
def _sample(x, pixels, weights, out, start, stop):
    """x (N, C, L), pixels and weights (N, P K), out (N, C, P); K is 1 or a multiple of 4."""
    channels, places = x.shape[1], _u(out.shape[2])
    zero = x.dtype.type(0)
    taps = _u(pixels.shape[1]) // places
    for unit in range(start, stop):
        n, c = unit // channels, unit % channels
        plane, at, factor, line = x[n, c], pixels[n], weights[n], out[n, c]
        j = _0
        if taps == _1:
            for p in range(places):
                line[p] = _pixel(plane, at[p], zero) * factor[p]
            continue
        if taps == _4:
            for p in range(places):
                a = _pixel(plane, at[j], zero) * factor[j]
                b = _pixel(plane, at[j + _1], zero) * factor[j + _1]
                a += _pixel(plane, at[j + _2], zero) * factor[j + _2]
                b += _pixel(plane, at[j + _3], zero) * factor[j + _3]
                line[p] = a + b
                j += _4
            continue
        for p in range(places):
            a = b = zero
            for _ in range(taps // _4):
                a += _pixel(plane, at[j], zero) * factor[j]
                b += _pixel(plane, at[j + _1], zero) * factor[j + _1]
                a += _pixel(plane, at[j + _2], zero) * factor[j + _2]
                b += _pixel(plane, at[j + _3], zero) * factor[j + _3]
                j += _4
            line[p] = a + b


@njit(**FAST)
def _to_image(g, pixels, weights, shift, out, start, stop):
    """out (N, C, L) is zero before; K is two to the power of ``shift``."""
    channels, zero = g.shape[1], g.dtype.type(0)
    for unit in range(start, stop):
        n, c = unit // channels, unit % channels
        line, at, factor, plane = g[n, c], pixels[n], weights[n], out[n, c]
        for j in range(_u(at.size)):
            k = at[j]
            value = line[j >> shift] * factor[j]
            plane[_u(max(k, 0))] += value if k >= 0 else zero


@njit(**FAST)
def _to_grid(x, g, grid, dims, sizes, options, taps, pixels, shift, out, start, stop):
    """grid and out (N P dims,); units are (image, block of places)."""
    places, (deep, across) = _u(g.shape[2]), taps
    every = deep * across * across
    blocks, zero = (places + _BLOCK - _1) // _BLOCK, x.dtype.type(0)
    moved = np.empty(_BLOCK * every, x.dtype)  # what each tap's weight does to the loss
    index = np.empty(_12 * _BLOCK, np.int64)
    weight, slope = np.empty(_12 * _BLOCK, x.dtype), np.empty(_12 * _BLOCK, x.dtype)
    for unit in range(_u(start), _u(stop)):
        n, first = unit // blocks, unit % blocks * _BLOCK
        count = min(_BLOCK, places - first)
        at = pixels[n, first * every : (first + count) * every]
        moved[:] = zero
        for channel in range(x.shape[1]):
            plane, line = x[n, channel], g[n, channel, first : first + count]
            for j in range(_u(at.size)):
                moved[j] += line[j >> shift] * _pixel(plane, at[j], zero)
        _axes(grid, n * places + first, dims, count, sizes, options, index, weight, slope)
        k, to = _0, (n * places + first) * dims
        for i in range(count):
            for_x = for_y = for_z = zero
            for a in range(deep):
                far, moves = weight[a * _BLOCK + i], slope[a * _BLOCK + i]
                for b in range(_4, _4 + across):
                    high = weight[b * _BLOCK + i]
                    both, on_y, on_z = far * high, far * slope[b * _BLOCK + i], moves * high
                    for c in range(_8, _8 + across):
                        wide = moved[k] * weight[c * _BLOCK + i]
                        for_x += moved[k] * (both * slope[c * _BLOCK + i])
                        for_y += wide * on_y
                        for_z += wide * on_z
                        k += _1
            out[to], out[to + _1] = for_x, for_y
            if dims == _3:
                out[to + _2] = for_z
            to += dims


# -- what callers see ---------------------------------------------------------------------------


class _Batch:
    """Images x (N, C, *sizes) with grids (N, P, dims), some images at a time."""

    def __init__(self, sizes: Any, grid: Any, mode: int, padding: int, align: bool) -> None:
        across = {BILINEAR: 2, NEAREST: 1, BICUBIC: 4}[mode]
        deep = across if len(sizes) == 3 else 1
        self.every, self.grid = deep * across * across, grid
        self.shift = _u(self.every.bit_length() - 1)
        self.which = (
            _u(len(sizes)), (1, *sizes)[-3:], (mode, padding, int(align)), (_u(deep), _u(across)),
        )  # fmt: skip

    def parts(self) -> Any:
        """(images, their grids as one line, pixels, weights)."""
        count, places = self.grid.shape[:2]
        step = max(1, _ROOM // max(places * self.every, 1))
        for first in range(0, count, step):
            part = slice(first, min(first + step, count))
            grid = self.grid[part].reshape(-1)
            some = part.stop - first
            pixels = np.empty((some, places * self.every), np.int32)
            weights = np.empty(pixels.shape, grid.dtype)
            in_parts(_taps, -(-some * places // int(_BLOCK)), 4 * pixels.size, grid, *self.which,
                     pixels.reshape(-1), weights.reshape(-1))  # fmt: skip
            yield part, grid, pixels, weights


def sample(x: Any, sizes: Any, grid: Any, mode: int, padding: int, align: bool) -> Any:
    """x (N, C, L) at grid (N, P, dims): (N, C, P); L is the product of the sizes."""
    batch = _Batch(sizes, grid, mode, padding, align)
    out = np.empty((*x.shape[:2], grid.shape[1]), x.dtype)
    for part, _, pixels, weights in batch.parts():
        some = out[part]
        in_parts(_sample, some.shape[0] * some.shape[1], some.size * batch.every, x[part], pixels,
                 weights, some)  # fmt: skip
    return out


def gradients(
    g: Any, x: Any, sizes: Any, grid: Any, mode: int, padding: int, align: bool,
    wanted: tuple[bool, bool],
) -> tuple[Any, Any]:  # fmt: skip
    """Those of x and of the grid for g (N, C, P), each None unless wanted."""
    batch = _Batch(sizes, grid, mode, padding, align)
    image = np.zeros(x.shape, x.dtype) if wanted[0] else None
    places = np.zeros(grid.shape, grid.dtype) if wanted[1] else None
    for part, line, pixels, weights in batch.parts():
        some = g[part]
        if image is not None:
            in_parts(_to_image, some.shape[0] * some.shape[1], some.size * batch.every, some,
                     pixels, weights, batch.shift, image[part])  # fmt: skip
        if places is not None and mode != NEAREST:
            units = len(some) * -(-grid.shape[1] // int(_BLOCK))
            in_parts(_to_grid, units, some.size * batch.every, x[part], some, line, *batch.which,
                     pixels, batch.shift, places[part].reshape(-1))  # fmt: skip
    return image, places
