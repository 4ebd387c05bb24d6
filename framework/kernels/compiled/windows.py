"""Convolution of images with windows of any size, without unfolding anything.

A padded channel is one long line, rows one after the other. What an offset of the window meets is
that line from some place on, so loops run over whole images, not over rows; where a line goes on
from one row to the next, results mean nothing and are left out at the end. With a stride of s a
channel is s² such lines, each of every s-th row and column: an offset meets one of them.

The input's gradient is a convolution of the output's by some of the taps, of other ones for each
remainder that a row or a column leaves. The windows' gradient has the channels of the output in its
lanes, and its sums run over places.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST
from framework.kernels.compiled.tiles import (
    LANES,
    OUTS,
    PLACES,
    add_4,
    add_8,
    add_16,
    correlate_16,
    correlate_32,
    evens,
    get,
    gradient_16,
    gradient_32,
    move_4,
    move_8,
    move_16,
    put,
    turn,
)
from framework.kernels.orders import in_rows_copy

__all__ = ["convolve", "fits", "input_gradient", "weight_gradient"]

_f = np.float32
_CHUNK = 1 << 16  # elements of turned gradients at a time: they stay in the second cache


# -- copies -------------------------------------------------------------------------------------


# Addresses, not slices: Numba counts the references to each slice, which takes longer than a row.


@njit(**FAST)
def _copy(given, out, count):
    """``count`` elements from one address to another; the last ones may come twice."""
    if count >= 16:
        for i in range(0, count - 15, 16):
            move_16(given + 4 * i, out + 4 * i)
        if count & 15:
            move_16(given + 4 * (count - 16), out + 4 * (count - 16))
    elif count >= 8:
        move_8(given, out)
        move_8(given + 4 * (count - 8), out + 4 * (count - 8))
    elif count >= 4:
        move_4(given, out)
        move_4(given + 4 * (count - 4), out + 4 * (count - 4))
    else:
        for i in range(count):
            put(get(given + 4 * i), out + 4 * i)


@njit(**FAST)
def _copy_plus(given, number, out, count):
    """The same with a number added."""
    if count >= 16:
        for i in range(0, count - 15, 16):
            add_16(given + 4 * i, number, out + 4 * i)
        if count & 15:
            add_16(given + 4 * (count - 16), number, out + 4 * (count - 16))
    elif count >= 8:
        add_8(given, number, out)
        add_8(given + 4 * (count - 8), number, out + 4 * (count - 8))
    elif count >= 4:
        add_4(given, number, out)
        add_4(given + 4 * (count - 4), number, out + 4 * (count - 4))
    else:
        for i in range(count):
            put(get(given + 4 * i) + number, out + 4 * i)


@njit(**FAST)
def _copy_every(given, step, out, count):
    """Every ``step``-th element."""
    if step == 1:
        _copy(given, out, count)
    elif step == 2 and count >= 8:
        for i in range(0, count - 7, 8):
            evens(given + 8 * i, out + 4 * i)
        if count & 7:
            evens(given + 8 * (count - 8), out + 4 * (count - 8))
    else:
        for i in range(count):
            put(get(given + 4 * step * i), out + 4 * i)


@njit(**FAST)
def _clear(out, count):
    for i in range(count):
        put(_f(0), out + 4 * i)


@njit(**FAST)
def _lay_out(x, planes, step, padding, shape, lines):
    """The channels of x (C, H, W) as lines (C, planes, size), zero where nothing is.

    Row r, place q of plane k is row ``r * step + planes[k, 0]`` of the padded image, and so on;
    ``shape`` is (rows, pitch).
    """
    height, width = x.shape[1], x.shape[2]
    rows, pitch = shape
    size = lines.shape[2]
    down, along = step
    for k in range(planes.shape[0]):
        above, column = planes[k, 0] - padding[0], planes[k, 1] - padding[1]
        lead = min(pitch, max(0, -(column // along)))
        column += lead * along
        count = min(pitch - lead, max(0, (width - column + along - 1) // along))
        whole = count == pitch == width and down == along == 1 and 0 <= above <= height - rows
        for c in range(x.shape[0]):
            line = lines.ctypes.data + 4 * size * (c * planes.shape[0] + k)
            given = x.ctypes.data + 4 * width * height * c
            _clear(line + 4 * rows * pitch, size - rows * pitch)
            if whole:
                _copy(given + 4 * width * above, line, rows * pitch)
                continue
            for r in range(rows):
                row = r * down + above
                if 0 <= row < height and count > 0:
                    _clear(line, lead)
                    _copy_every(given + 4 * (row * width + column), along, line + 4 * lead, count)
                    _clear(line + 4 * (lead + count), pitch - lead - count)
                else:
                    _clear(line, pitch)
                line += 4 * pitch


@njit(**FAST)
def _take(line, pitch, number, step, start, out, height, width):
    """The rows of a plane (H, W), or of every ``step``-th row and column of it, out of a line."""
    rows = (height - start[0] + step[0] - 1) // step[0]
    columns = (width - start[1] + step[1] - 1) // step[1]
    out += 4 * (start[0] * width + start[1])
    if columns == pitch == width and step[0] == 1:
        rows, columns = 1, rows * columns
    for _ in range(rows):
        if step[1] == 1:
            _copy_plus(line, number, out, columns)
        else:
            for i in range(columns):
                put(get(line + 4 * i) + number, out + 4 * i * step[1])
        line += 4 * pitch
        out += 4 * width * step[0]


# -- convolution --------------------------------------------------------------------------------


@njit(**FAST)
def _correlate(
    x, windows, offsets, parts, bias, y, planes, step, padding, shape, size, out_step, start, stop
):
    """Windows of all ``parts``, each the rows and columns of y from some on in steps.

    x: (N, groups, C, H, W); y (N, groups, O, OH, OW); bias (groups, O).
    windows: (groups, blocks of 8 of O, all parts' C * taps, 8).
    offsets: those of all parts' C * taps one after the other; parts (P, 4) says how many belong to
        each, the first row and column of y, and a result's length.
    """
    blocks, outs, height, width = windows.shape[1], y.shape[2], y.shape[3], y.shape[4]
    lines = np.empty((x.shape[2], planes.shape[0], size), np.float32)
    out = np.empty((OUTS, parts[:, 3].max()), np.float32)
    pitch, length, laid = shape[1], out.shape[1], -1
    for item in range(start, stop):
        image, block = item // blocks, item % blocks
        n, group = image // x.shape[1], image % x.shape[1]
        if image != laid:
            _lay_out(x[n, group], planes, step, padding, shape, lines)
            laid = image
        given, met = windows[group, block].ctypes.data, offsets.ctypes.data
        plane = y[n, group, OUTS * block :].ctypes.data
        for part in range(parts.shape[0]):
            count, end = parts[part, 0], parts[part, 3]
            if count:
                for i in range(0, end - LANES, PLACES):
                    correlate_32(lines.ctypes.data + 4 * i, met, count, given,
                                 out.ctypes.data + 4 * i, length)  # fmt: skip
                if end % PLACES:
                    i = end - LANES
                    correlate_16(lines.ctypes.data + 4 * i, met, count, given,
                                 out.ctypes.data + 4 * i, length)  # fmt: skip
            else:
                out[:] = _f(0)
            for k in range(min(OUTS, outs - OUTS * block)):
                _take(out.ctypes.data + 4 * length * k, pitch, bias[group, OUTS * block + k],
                      out_step, (parts[part, 1], parts[part, 2]), plane + 4 * height * width * k,
                      height, width)  # fmt: skip
            given += 4 * OUTS * count
            met += 8 * count


@njit(**FAST)
def _turn(g, count, first, places, out):
    """``count`` channels of g (O, P) from a place on, as (places, 16 or 32)."""
    lanes = out.shape[1]
    for o in range(0, lanes, LANES):
        if o + LANES <= count and places >= LANES:
            for p in range(0, places + LANES - 1, LANES):
                p = min(p, places - LANES)  # the last block may overlap
                turn(g[o, first + p :].ctypes.data, g.shape[1], out[p, o:].ctypes.data, lanes)
        else:
            for k in range(o, o + LANES):
                if k < count:
                    for p in range(places):
                        out[p, k] = g[k, first + p]
                else:
                    for p in range(places):
                        out[p, k] = _f(0)


@njit(**FAST)
def _gradient(x, g, offsets, w, planes, step, padding, shape, size, width, each, start, stop):
    """x is (N, groups, C, H, W), g (N, groups, O, P) with rows of ``width``.

    w: (parts, groups, blocks of O, offsets, 16 or 32), zero before; part p is that of ``each``
        images.
    """
    lanes, outs = w.shape[4], g.shape[2]
    lines = np.empty((x.shape[2], planes.shape[0], size), np.float32)
    rows = g.shape[3] // width
    some = min(rows, max(1, _CHUNK // (lanes * width)))
    turned = np.empty((some * width, lanes), np.float32)
    grads = turned.ctypes.data
    blocks, item = w.shape[2], start
    while item < stop:
        first, rest = item % blocks, item // blocks
        last = min(blocks, first + stop - item)
        item += last - first
        group, part = rest % w.shape[1], rest // w.shape[1]
        for n in range(part * each, min((part + 1) * each, x.shape[0])):
            _lay_out(x[n, group], planes, step, padding, shape, lines)
            for row in range(0, rows, some):
                here = min(some, rows - row)
                begin = lines.ctypes.data + 4 * row * shape[1]
                for block in range(first, last):
                    count = min(lanes, outs - block * lanes)
                    _turn(g[n, group, block * lanes :], count, row * width, here * width, turned)
                    for k in range(0, offsets.size, OUTS):
                        met, out = offsets[k:].ctypes.data, w[part, group, block, k:].ctypes.data
                        if lanes == PLACES:
                            gradient_32(begin, met, here, width, shape[1], grads, out, lanes)
                        else:
                            gradient_16(begin, met, here, width, shape[1], grads, out, lanes)


# -- small images -------------------------------------------------------------------------------
#
# Of whose lines the ends would be a quarter and more: eight places of any images at a time, by 32
# channels of output. Channels come last, so that a row of a window is one range of the input.


@njit(**FAST)
def _places(x, starts, rows, row, pitch, panels, y, start, stop):
    for block in range(start, stop):
        first = OUTS * block
        met = starts[first:].ctypes.data
        for p in range(panels.shape[0]):
            gradient_32(x.ctypes.data, met, rows, row, pitch, panels[p].ctypes.data,
                        y[first:, PLACES * p :].ctypes.data, y.shape[1])  # fmt: skip


def _is_small(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, out: Any) -> bool:
    return bool(
        1 < out[1] <= 8
        and len(x) * math.prod(out) >= 8 * OUTS
        and min(w.shape[:2]) >= PLACES
        and w.shape[0] % PLACES in (0, *range(24, PLACES))
        and math.prod(w.shape[2:]) > 1
        and tuple(stride) == tuple(dilation) == (1, 1)
        and min(padding) >= 0
    )


def _panels(w: Any) -> Any:
    """Windows (O, C, *kernel) as (O / 32, taps * C, 32), with zeros where O is no multiple."""
    count, channels, taps = len(w), w.shape[1], math.prod(w.shape[2:])
    if w.flags.c_contiguous and not count % PLACES:
        lines = in_rows_copy(w.reshape(count, -1).T).reshape(channels, taps, -1, PLACES)
        return np.ascontiguousarray(lines.transpose(2, 1, 0, 3)).reshape(
            -1, taps * channels, PLACES
        )
    panels = np.zeros((taps, channels, _rounded(count, PLACES)), np.float32)
    panels[..., :count] = w.reshape(count, channels, taps).transpose(2, 1, 0)
    return panels.reshape(taps * channels, -1, PLACES).swapaxes(0, 1).copy()


def _of_small(x: Any, w: Any, bias: Any, padding: Any, out: Any) -> Any:
    count, channels, *kernel = w.shape
    size = [n + k - 1 for n, k in zip(out, kernel)]
    room = np.zeros((len(x), *size, channels), np.float32)
    known = [min(n, max(0, s - p)) for n, s, p in zip(x.shape[2:], size, padding)]
    here = tuple([slice(p, p + n) for p, n in zip(padding, known)])
    room[(slice(None), *here)] = x[:, :, : known[0], : known[1]].transpose(0, 2, 3, 1)
    n, i, j = np.indices((len(x), *out))
    starts = (((n * size[0] + i) * size[1] + j) * channels).reshape(-1).astype(np.int64)
    places = len(starts)
    starts = np.pad(starts, (0, -places % OUTS), mode="edge")
    panels, row = _panels(w), kernel[1] * channels
    y = np.zeros((len(starts), panels.shape[0] * PLACES), np.float32)
    in_parts(_places, len(starts) // OUTS, y.size * channels * math.prod(kernel) // 8, room,
             starts, kernel[0], row, size[1] * channels, panels, y)  # fmt: skip
    found = y[:places].reshape(len(x), -1, y.shape[1])[:, :, :count].swapaxes(1, 2)
    result = in_rows_copy(found).reshape(len(x), count, *out)
    if bias is not None:
        result += bias[:, None, None]
    return result


# -- where things lie ---------------------------------------------------------------------------


def _shape(size: Any, planes: Any, step: Any, padding: Any, reach: Any, out: Any) -> Any:
    """(rows, pitch) of lines whose places ``out`` meet what is up to ``reach`` rows and columns on.

    Zeros at a row's end can be those at the beginning of the next one.
    """
    lead = min([max(0, -((b - padding[1]) // step[1])) for _, b in planes])
    ends = [(padding[1] + size[1] - 1 - b) // step[1] + 1 for _, b in planes]
    wide = out[1] + reach[1]
    return out[0] + reach[0], max(out[1], wide - lead, min(wide, max(ends)))


def _rounded(count: int, step: int) -> int:
    return -(-count // step) * step


def _forward(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any) -> Any:
    """Planes (K, 2), (rows, pitch), the lines' size, and (plane, place) of each tap."""
    taps = [
        (divmod(i * dilation[0], stride[0]), divmod(j * dilation[1], stride[1]))
        for i, j in itertools.product(*map(range, kernel))
    ]
    planes = sorted({(a, b) for (_, a), (_, b) in taps})
    reach = [max(shift for shift, _ in axis) for axis in zip(*taps)]
    shape = _shape(x.shape[2:], planes, stride, padding, reach, out)
    met = [(planes.index((a, b)), r * shape[1] + q) for (r, a), (q, b) in taps]
    return planes, shape, met


def _length(out: Any, pitch: int) -> int:
    return _rounded((out[0] - 1) * pitch + out[1], LANES)


def _offsets(met: Any, channels: int, planes: int, size: int) -> Any:
    """What ``met`` says, for each channel in turn."""
    first = np.array([plane * size + place for plane, place in met], np.int64)
    return (np.arange(channels)[:, None] * (planes * size) + first).reshape(-1)


def _grouped(a: Any, groups: int) -> Any:
    """(N, C, ...) as (N, groups, C / groups, ...)."""
    a = np.ascontiguousarray(a)
    return a.reshape(a.shape[0], groups, a.shape[1] // groups, *a.shape[2:])


def _packed(parts: list[Any]) -> Any:
    """Windows (groups, O, C, taps) of each part as (groups, blocks, all parts' C * taps, 8)."""
    packed = []
    for w in parts:
        groups, outs, channels, taps = w.shape
        whole = np.zeros((groups, _rounded(outs, OUTS), channels, taps), np.float32)
        whole[:, :outs] = w
        whole = whole.reshape(groups, whole.shape[1] // OUTS, OUTS, channels * taps)
        packed.append(whole.transpose(0, 1, 3, 2))
    return np.ascontiguousarray(np.concatenate(packed, axis=2) if len(packed) > 1 else packed[0])


# -- what callers see ---------------------------------------------------------------------------


def fits(x: Any, outs: int, groups: int) -> bool:
    """Whether this is for such images (N, C, H, W), with enough channels per group."""
    return bool(x.ndim == 4 and x.dtype == np.float32 and (groups == 1 or outs >= 4 * groups))


def convolve(
    x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any, out: Any, groups: int
) -> Any:
    """The convolution (N, O, *out) of x (N, C, H, W) with w (O, C / groups, *kernel)."""
    if groups == 1 and _is_small(x, w, stride, padding, dilation, out):
        return _of_small(x, w, bias, padding, out)
    count, channels = w.shape[:2]
    planes, shape, met = _forward(x, w.shape[2:], stride, padding, dilation, out)
    length = _length(out, shape[1])
    size = max(shape[0] * shape[1] + shape[1], length + max(place for _, place in met))
    offsets = _offsets(met, channels, len(planes), size)
    windows = _packed([w.reshape(groups, count // groups, channels, -1)])
    y = np.empty((len(x), groups, count // groups, *out), np.float32)
    given = np.zeros(count, np.float32) if bias is None else bias
    parts = np.array([[offsets.size, 0, 0, length]])
    in_parts(
        _correlate, len(x) * groups * windows.shape[1], y.size * channels * len(met) // 8,
        _grouped(x, groups), windows, offsets, parts, given.reshape(groups, -1), y,
        np.array(planes), stride, padding, shape, size, (1, 1),
    )  # fmt: skip
    return y.reshape(len(x), count, *out)


def input_gradient(
    g: Any, w: Any, size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The gradient (N, C, *size) of the input, for g (N, O, OH, OW)."""
    outs, channels, kernel = w.shape[0] // groups, w.shape[1], w.shape[2:]
    mirrored = w[:, :, ::-1, ::-1].swapaxes(0, 1)
    before = [k - 1 - p for k, p in zip(kernel, padding)]
    if groups == 1 and _is_small(g, mirrored, stride, before, dilation, size):
        return _of_small(g, mirrored, None, before, size)
    starts = [
        (a, b) for a in range(min(stride[0], size[0])) for b in range(min(stride[1], size[1]))
    ]
    shifts: list[list[tuple[int, int, int]]] = []  # of each part, its taps': (tap, row, column)
    for a, b in starts:
        found = []
        for tap, (i, j) in enumerate(itertools.product(*map(range, kernel))):
            row, column = a + padding[0] - i * dilation[0], b + padding[1] - j * dilation[1]
            if row % stride[0] == 0 and column % stride[1] == 0:
                found.append((tap, row // stride[0], column // stride[1]))
        shifts.append(found)
    every = [shift for found in shifts for shift in found]
    least = [min(axis) for axis in list(zip(*every))[1:]]
    reach = [max(axis) - low for axis, low in zip(list(zip(*every))[1:], least)]
    outer = [-(-n // s) for n, s in zip(size, stride)]
    lead = tuple([-low for low in least])
    shape = _shape(g.shape[2:], [(0, 0)], (1, 1), lead, reach, outer)
    places = [[(0, (r - least[0]) * shape[1] + q - least[1]) for _, r, q in f] for f in shifts]
    lengths = [
        _length([-(-(n - first) // s) for n, first, s in zip(size, start, stride)], shape[1])
        for start in starts
    ]
    far = max([place for met in places for _, place in met])
    whole = max(shape[0] * shape[1] + shape[1], max(lengths) + far)
    offsets = np.concatenate([_offsets(met, outs, 1, whole) for met in places])
    turned = w.reshape(groups, outs, channels, -1).swapaxes(1, 2)
    windows = _packed([turned[..., [tap for tap, _, _ in found]] for found in shifts])
    parts = np.array([
        [outs * len(found), *start, length] for found, start, length in zip(shifts, starts, lengths)
    ])  # fmt: skip
    x = np.empty((len(g), groups, channels, *size), np.float32)
    in_parts(
        _correlate, len(g) * groups * windows.shape[1], x.size * outs * len(every) // 8,
        _grouped(g, groups), windows, offsets, parts, np.zeros((groups, channels), np.float32), x,
        np.zeros((1, 2), np.int64), (1, 1), lead, shape, whole, tuple(stride),
    )  # fmt: skip
    return x.reshape(len(g), groups * channels, *size)


def weight_gradient(
    x: Any, g: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The gradient (O, C / groups, *kernel) of the windows, for g (N, O, OH, OW).

    It is summed up over blocks of images, whose number does not depend on the threads.
    """
    out, outs, channels = g.shape[2:], g.shape[1] // groups, x.shape[1] // groups
    planes, shape, met = _forward(x, kernel, stride, padding, dilation, out)
    size = shape[0] * shape[1] + shape[1]
    offsets = _offsets(met, channels, len(planes), size)
    offsets = np.pad(offsets, (0, -offsets.size % OUTS))
    lanes = LANES if outs <= LANES else PLACES
    blocks = -(-outs // lanes)
    each = -(-len(x) // max(1, min(len(x), 16 // (blocks * groups))))
    parts = -(-len(x) // each)
    w = np.zeros((parts, groups, blocks, offsets.size, lanes), np.float32)
    in_parts(
        _gradient, parts * groups * blocks, g.size * channels * len(met) // 8,
        _grouped(x, groups), _grouped(g, groups).reshape(len(x), groups, outs, -1), offsets, w,
        np.array(planes), stride, padding, shape, size, out[1], each,
    )  # fmt: skip
    total = w.sum(axis=0)[:, :, : channels * len(met)].swapaxes(2, 3)
    total = total.reshape(groups, blocks * lanes, channels, *kernel)[:, :outs]
    return np.ascontiguousarray(total).reshape(groups * outs, channels, *kernel)
