"""Convolution of images with 3x3 windows, stride one, without unfolding anything.

A padded channel is one long line, rows one after the other. What an offset of the window meets is
that line from some place on, so loops run over whole images, not over rows; where a line goes on
from one row to the next, results mean nothing and are left out at the end.

`_tile` is written in LLVM's own terms: what it adds up must stay in registers, which no loop in
Python's terms says. The loop over the taps of the weights' gradient becomes registers when it is
written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS

__all__ = ["convolve", "fits", "weight_fits", "weight_gradient"]

_f = np.float32
_LANES = 16  # float32 numbers in a register of AVX-512; of others LLVM takes several
_ACROSS = 2  # registers' worth of places at a time, for each of
_OUTS = 8  # channels of output: 16 of the 32 registers


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


_intrinsic: Any = intrinsic  # called without the context, which mypy does not know


@_intrinsic
def _tile(context, lines, size, channels, windows, pitch, out, length):
    """Eight channels of output at 32 places: all input channels and taps, in 16 registers.

    lines: address of the first place in the first channel's line; ``size`` elements are between
        two channels' lines.
    windows: address of (C, 9, 8) float32.
    out: address of the first place in the first of eight lines that lie ``length`` apart.
    """
    i = types.int64
    signature = types.void(i, i, i, i, i, i, i)

    def generate(context, builder, signature, args):
        lines, size, channels, windows, pitch, out, length = args
        real, word = ir.FloatType(), ir.IntType(64)
        lanes = ir.VectorType(real, _LANES)

        def number(value):
            return ir.Constant(word, value)

        def at(address, offset, kind):
            place = builder.add(address, builder.shl(offset, number(2)))
            return builder.inttoptr(place, kind.as_pointer())

        def fused(a, b, c):
            kind = ir.FunctionType(lanes, [lanes] * 3)
            name = f"llvm.fma.v{_LANES}f32"
            found = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(found, [a, b, c])

        before = builder.block
        loop = builder.append_basic_block("channel")
        after = builder.append_basic_block("store")
        builder.branch(loop)
        builder.position_at_end(loop)
        channel = builder.phi(word)
        channel.add_incoming(number(0), before)
        zero = ir.Constant(lanes, [0.0] * _LANES)
        sums = [[builder.phi(lanes) for _ in range(_ACROSS)] for _ in range(_OUTS)]
        for row in sums:
            for phi in row:
                phi.add_incoming(zero, before)
        totals = [list(row) for row in sums]
        line = builder.mul(channel, size)
        window = builder.mul(channel, number(9 * _OUTS))
        for tap in range(9):
            start = builder.add(line, builder.mul(pitch, number(tap // 3)))
            met = []
            for v in range(_ACROSS):
                place = at(lines, builder.add(start, number(tap % 3 + _LANES * v)), lanes)
                met.append(builder.load(place, align=4))
            for o in range(_OUTS):
                weight = builder.load(
                    at(windows, builder.add(window, number(tap * _OUTS + o)), real), align=4
                )
                first = builder.insert_element(
                    ir.Constant(lanes, ir.Undefined), weight, ir.Constant(ir.IntType(32), 0)
                )
                spread = builder.shuffle_vector(
                    first,
                    first,
                    ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES),
                )
                for v in range(_ACROSS):
                    totals[o][v] = fused(met[v], spread, totals[o][v])
        following = builder.add(channel, number(1))
        channel.add_incoming(following, loop)
        for row, now in zip(sums, totals):
            for phi, value in zip(row, now):
                phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, channels), loop, after)
        builder.position_at_end(after)
        for o in range(_OUTS):
            for v in range(_ACROSS):
                offset = builder.add(builder.mul(length, number(o)), number(_LANES * v))
                builder.store(totals[o][v], at(out, offset, lanes), align=4)
        return context.get_dummy_value()

    return signature, generate


@njit(**FAST)
def _convolve(x, w, y, padding, pitch, size, length, start, stop):
    """w is (O / 8, C, 9, 8)."""
    lines = np.empty((x.shape[1], size), np.float32)
    out = np.empty((_OUTS, length), np.float32)
    for n in range(start, stop):
        _lay_out(x[n], lines, pitch, padding[0] * pitch + padding[1])
        for block in range(w.shape[0]):
            windows = w[block].ctypes.data
            for i in range(0, length, _LANES * _ACROSS):
                _tile(lines.ctypes.data + 4 * i, size, x.shape[1], windows, pitch,
                      out.ctypes.data + 4 * i, length)  # fmt: skip
            for k in range(min(_OUTS, y.shape[1] - _OUTS * block)):
                _take(out[k], pitch, y[n, _OUTS * block + k])


@njit(**SUMS)
def _taps_of_gradient(plane, g, pitch, length, w):
    """Add to w (9, 2) the products of two lines of gradients with what the windows met."""
    p0 = plane[0:][:length]
    p1 = plane[1:][:length]
    p2 = plane[2:][:length]
    p3 = plane[pitch:][:length]
    p4 = plane[pitch + 1 :][:length]
    p5 = plane[pitch + 2 :][:length]
    p6 = plane[2 * pitch :][:length]
    p7 = plane[2 * pitch + 1 :][:length]
    p8 = plane[2 * pitch + 2 :][:length]
    g0, g1 = g[0], g[1]
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = _f(0)
    b0 = b1 = b2 = b3 = b4 = b5 = b6 = b7 = b8 = _f(0)
    for i in range(length):
        a, b = g0[i], g1[i]
        a0 += a * p0[i]
        b0 += b * p0[i]
        a1 += a * p1[i]
        b1 += b * p1[i]
        a2 += a * p2[i]
        b2 += b * p2[i]
        a3 += a * p3[i]
        b3 += b * p3[i]
        a4 += a * p4[i]
        b4 += b * p4[i]
        a5 += a * p5[i]
        b5 += b * p5[i]
        a6 += a * p6[i]
        b6 += b * p6[i]
        a7 += a * p7[i]
        b7 += b * p7[i]
        a8 += a * p8[i]
        b8 += b * p8[i]
    w[0, 0] += a0
    w[0, 1] += b0
    w[1, 0] += a1
    w[1, 1] += b1
    w[2, 0] += a2
    w[2, 1] += b2
    w[3, 0] += a3
    w[3, 1] += b3
    w[4, 0] += a4
    w[4, 1] += b4
    w[5, 0] += a5
    w[5, 1] += b5
    w[6, 0] += a6
    w[6, 1] += b6
    w[7, 0] += a7
    w[7, 1] += b7
    w[8, 0] += a8
    w[8, 1] += b8


@njit(**FAST)
def _weight_gradient(x, g, w, padding, pitch, size, length, block, start, stop):
    """w (parts, O / 2, C, 9, 2) is zero before; part p is that of the images from p * block on."""
    lines = np.empty((x.shape[1], size), np.float32)
    grads = np.zeros((2 * w.shape[1], length), np.float32)
    for part in range(start, stop):
        for n in range(part * block, min((part + 1) * block, x.shape[0])):
            _lay_out(x[n], lines, pitch, padding[0] * pitch + padding[1])
            _lay_out(g[n], grads, pitch, 0)
            for o in range(w.shape[1]):
                for c in range(x.shape[1]):
                    _taps_of_gradient(lines[c], grads[2 * o : 2 * o + 2], pitch, length,
                                      w[part, o, c])  # fmt: skip


# -- one channel per group ----------------------------------------------------------------------


@njit(**FAST)
def _plane(plane, w, pitch, length, out):
    """What one window w (9,) makes of a line."""
    p0 = plane[0:][:length]
    p1 = plane[1:][:length]
    p2 = plane[2:][:length]
    p3 = plane[pitch:][:length]
    p4 = plane[pitch + 1 :][:length]
    p5 = plane[pitch + 2 :][:length]
    p6 = plane[2 * pitch :][:length]
    p7 = plane[2 * pitch + 1 :][:length]
    p8 = plane[2 * pitch + 2 :][:length]
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
    for i in range(length):
        above = w0 * p0[i] + w1 * p1[i] + w2 * p2[i]
        here = w3 * p3[i] + w4 * p4[i] + w5 * p5[i]
        out[i] = above + here + (w6 * p6[i] + w7 * p7[i] + w8 * p8[i])


@njit(**SUMS)
def _plane_of_gradient(plane, g, pitch, length, w):
    """Add to w (9,) the products of a line of gradients with what the window met."""
    p0 = plane[0:][:length]
    p1 = plane[1:][:length]
    p2 = plane[2:][:length]
    p3 = plane[pitch:][:length]
    p4 = plane[pitch + 1 :][:length]
    p5 = plane[pitch + 2 :][:length]
    p6 = plane[2 * pitch :][:length]
    p7 = plane[2 * pitch + 1 :][:length]
    p8 = plane[2 * pitch + 2 :][:length]
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
    """Whether this is for such windows, and faster than products of matrices: x is (N, C, H, W)."""
    channels = x.shape[1]
    return bool(
        tuple(kernel) == (3, 3)
        and set(stride) == set(dilation) == {1}
        and ((groups == 1 and channels <= 128) or groups == channels == outs)
        and x.ndim == 4
        and x.dtype == np.float32
        and out[0] * out[1] >= 49
    )


def weight_fits(x: Any, groups: int, out: Any) -> bool:
    """Whether, of these, the gradient of the windows is faster, too: long lines, few channels."""
    return bool(groups > 1 or 4 * x.shape[1] <= out[0] * out[1])


def _layout(x: Any, padding: Any, out: Any) -> tuple[int, int, int]:
    """Of a padded plane: how far rows are apart, and the lengths of its line and of a result's."""
    pitch = x.shape[3] + 2 * padding[1]
    places = _LANES * _ACROSS
    length = -(-((out[0] - 1) * pitch + out[1]) // places) * places
    return pitch, max((x.shape[2] + 2 * padding[0]) * pitch, length + 2 * pitch + 2), length


def convolve(x: Any, w: Any, padding: Any, out: Any, groups: int) -> Any:
    """The convolution (N, O, *out) of x (N, C, H, W) with w (O, C / groups, 3, 3)."""
    x = np.ascontiguousarray(x)
    count, channels = w.shape[:2]
    if groups > 1:
        y = np.empty((len(x), count, *out), np.float32)
        lines = np.ascontiguousarray(w).reshape(count, 9)
        layout = _layout(x, padding, out)
        in_parts(_depthwise, len(x) * count, y.size, x, lines, y, padding, *layout)
        return y
    blocks = -(-count // _OUTS)
    windows = np.zeros((blocks * _OUTS, channels, 9), np.float32)
    windows[:count] = w.reshape(count, channels, 9)
    windows = windows.reshape(blocks, _OUTS, channels, 9).transpose(0, 2, 3, 1)
    windows = np.ascontiguousarray(windows)
    y = np.empty((len(x), count, *out), np.float32)
    work = y.size * channels
    in_parts(_convolve, len(x), work, x, windows, y, padding, *_layout(x, padding, out))
    return y


def weight_gradient(x: Any, g: Any, padding: Any, groups: int) -> Any:
    """The gradient (O, C / groups, 3, 3) of the windows, for g (N, O, OH, OW).

    It is summed up over blocks of images, whose number does not depend on the threads. None where
    it is not finite: an infinity in x has also met zeros between the rows of g.
    """
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
    if groups > 1:
        w = np.zeros((groups, 9), np.float32)
        layout = _layout(x, padding, g.shape[2:])
        in_parts(_depthwise_gradient, groups, g.size, x, g, w, padding, *layout)
        return w.reshape(groups, 1, 3, 3) if np.isfinite(w).all() else None
    pairs, channels = -(-g.shape[1] // 2), x.shape[1]
    block = max(1, -(-len(x) // 8))
    parts = -(-len(x) // block)
    w = np.zeros((parts, pairs, channels, 9, 2), np.float32)
    work = g.size * channels
    layout = _layout(x, padding, g.shape[2:])
    in_parts(_weight_gradient, parts, work, x, g, w, padding, *layout, block)
    w = w.sum(axis=0).transpose(0, 3, 1, 2).reshape(2 * pairs, channels, 3, 3)
    return np.ascontiguousarray(w[: g.shape[1]]) if np.isfinite(w).all() else None
