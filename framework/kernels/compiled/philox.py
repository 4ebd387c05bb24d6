"""Random bits of Philox-4x64 with 10 rounds, the same as `numpy.random.Philox`'s, and dropout.

A block of four words is a function of the key and the block's number alone, so that any thread may
make any part of a stream.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["dropout", "halves", "order", "uniform32", "uniform64"]

_u = np.uint64
_M0, _M1 = _u(0xD2E7470EE14C6C93), _u(0xCA5A826395121157)
_W0, _W1 = _u(0x9E3779B97F4A7C15), _u(0xBB67AE8584CAA73B)
_0, _1, _32, _LOW = _u(0), _u(1), _u(32), _u(0xFFFFFFFF)
_CHUNK = 64  # blocks whose bits wait in the cache for what is made of them

_intrinsic: Any = intrinsic  # called without the context, which mypy does not know


@_intrinsic
def _high(context: Any, x: Any, y: Any) -> Any:
    """The upper 64 bits of the product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        a, b = (builder.zext(v, wide) for v in args)
        return builder.trunc(builder.lshr(builder.mul(a, b), ir.Constant(wide, 64)), args[0].type)

    return types.uint64(types.uint64, types.uint64), generate


@njit(**FAST, forceinline=True)
def _block(number, key):
    """The words of block ``number``; NumPy counts up before it draws."""
    c0, c1, c2, c3 = number + _1, _0, _0, _0
    k0, k1 = key, _0
    for _ in range(10):
        h0, h1 = _high(_M0, c0), _high(_M1, c2)
        c0, c1, c2, c3 = h1 ^ c1 ^ k0, _M1 * c2, h0 ^ c3 ^ k1, _M0 * c0
        k0, k1 = k0 + _W0, k1 + _W1
    return c0, c1, c2, c3


@njit(**FAST)
def _words(out, key, offset, start, stop):
    for b in range(start, stop):
        w0, w1, w2, w3 = _block(offset + _u(b), key)
        at = 4 * b
        out[at] = w0
        out[at + 1] = w1
        out[at + 2] = w2
        out[at + 3] = w3


@njit(**FAST)
def halves(bits, key, offset, start, stop):
    """The 32-bit numbers of a stream's blocks, the lower half of each word first."""
    for b in range(start, stop):
        w0, w1, w2, w3 = _block(offset + _u(b), key)
        at = 8 * (b - start)
        bits[at] = np.uint32(w0 & _LOW)
        bits[at + 1] = np.uint32(w0 >> _32)
        bits[at + 2] = np.uint32(w1 & _LOW)
        bits[at + 3] = np.uint32(w1 >> _32)
        bits[at + 4] = np.uint32(w2 & _LOW)
        bits[at + 5] = np.uint32(w2 >> _32)
        bits[at + 6] = np.uint32(w3 & _LOW)
        bits[at + 7] = np.uint32(w3 >> _32)


@njit(**FAST)
def _drop(bits, a, out, least, scale):
    for i in range(out.size):
        out[i] = a[i] * (scale if bits[i] >= least else scale - scale)


@njit(**FAST)
def _dropout(a, out, key, offset, least, scale, start, stop):
    bits = np.empty(8 * _CHUNK, np.uint32)
    for chunk in range(start, stop):
        first = chunk * _CHUNK
        x, z = 8 * first, min(8 * (first + _CHUNK), out.size)
        halves(bits, key, offset, first, first + _CHUNK)
        _drop(bits[: z - x], a[x:z], out[x:z], least, scale)


@njit(**FAST)
def _scaled(bits, out, shift, unit):
    for i in range(out.size):
        out[i] = np.float32(np.int32(bits[i] >> shift)) * unit


@njit(**FAST)
def _uniform32(out, key, offset, shift, unit, start, stop):
    bits = np.empty(8 * _CHUNK, np.uint32)
    for chunk in range(start, stop):
        first = chunk * _CHUNK
        x, z = 8 * first, min(8 * (first + _CHUNK), out.size)
        halves(bits, key, offset, first, first + _CHUNK)
        _scaled(bits[: z - x], out[x:z], shift, unit)


@njit(**FAST)
def _uniform64(out, key, offset, start, stop):
    bits = np.empty(4 * _CHUNK, np.uint64)
    for chunk in range(start, stop):
        first = chunk * _CHUNK
        part = out[4 * first : min(4 * (first + _CHUNK), out.size)]
        _words(bits, key, offset + _u(first), 0, _CHUNK)
        for i in range(part.size):
            part[i] = np.float64(np.int64(bits[i] >> _u(11))) * (1.0 / (1 << 53))


@njit(**FAST)
def _order(words, shift, ends, keys, order):
    """Words go to buckets by their upper bits, in their order, and are sorted where they lie."""
    for w in words:
        ends[np.int64(w >> shift) + 1] += 1
    for b in range(1, ends.size):
        ends[b] += ends[b - 1]
    for i in range(words.size):
        w = words[i]
        bucket = np.int64(w >> shift)
        at = ends[bucket]
        keys[at], order[at] = w, i
        ends[bucket] = at + 1
    start = 0
    for b in range(ends.size - 1):
        for k in range(start + 1, ends[b]):
            w, number = keys[k], order[k]
            while k > start and keys[k - 1] > w:
                keys[k], order[k] = keys[k - 1], order[k - 1]
                k -= 1
            keys[k], order[k] = w, number
        start = ends[b]


def order(words: Any) -> Any:
    """What `numpy.argsort` says of random uint64, ties by position; some eight are in a bucket."""
    bits = max(1, len(words).bit_length() - 4)
    out = np.empty(len(words), np.int64)
    ends = np.zeros((1 << bits) + 1, np.int64)
    _order(words, _u(64 - bits), ends, np.empty_like(words), out)
    return out


def dropout(a: Any, p: float, least: int, key: int, offset: int) -> Any:
    """``a / (1 - p)`` where the stream's 32-bit numbers are at least ``least``, 0 a elsewhere."""
    out = np.empty_like(a)
    in_parts(_dropout, -(-a.size // (8 * _CHUNK)), 4 * a.size, a.reshape(-1), out.reshape(-1),
             _u(key), _u(offset), np.uint32(least), a.dtype.type(1 / (1 - p)))  # fmt: skip
    return out


def uniform32(count: int, key: int, offset: int, bits: int) -> Any:
    """Numbers in [0, 1) as float32, of the upper ``bits`` of the stream's 32-bit numbers."""
    out = np.empty(count, np.float32)
    in_parts(_uniform32, -(-count // (8 * _CHUNK)), 4 * count, out, _u(key), _u(offset),
             np.uint32(32 - bits), np.float32(0.5**bits))  # fmt: skip
    return out


def uniform64(count: int, key: int, offset: int) -> Any:
    """Numbers in [0, 1) as float64, of 53 bits."""
    out = np.empty(count, np.float64)
    in_parts(_uniform64, -(-count // (4 * _CHUNK)), 4 * count, out, _u(key), _u(offset))
    return out
