"""Attention of whole heads, forward and backward, for keys that stay in the cache.

Eight queries at a time meet all keys that they see, in products whose sums stay in registers. A
head's matrices lie in panels of 32 columns; what one row of products leaves is used at once.

Arrays are float32 (batch, heads, length, width), the elements of a row beside each other, none
empty; keys and values may have fewer heads, each of which serves a group of the queries'.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, SUMS, exp, highest, lowest, value
from framework.kernels.compiled.sequences import places
from framework.kernels.compiled.tiles import (
    LANES,
    OUTS,
    PLACES,
    get,
    gradient_32,
    move_16,
    put,
    turn,
)  # fmt: skip

__all__ = ["backward", "forward"]

_PART, _SUMS = {**FAST, "forceinline": True}, {**SUMS, "forceinline": True}
_f = np.float32
_ZERO, _NONE, _INF = _f(0), _f(-np.inf), _f(np.inf)
_BLOCK = 64  # queries whose shares are kept until the keys' gradients are added up


# -- panels -------------------------------------------------------------------------------------


@njit(**FAST)
def _scale(flat, scale):
    for i in range(flat.size):
        flat[i] *= scale


@njit(**SUMS)
def _are_finite(flat):
    total = _ZERO
    for i in range(flat.size):
        total += flat[i] * _ZERO
    return total == _ZERO


@njit(**FAST)
def _laid(given, step, rows, width, panels):
    """Rows ``step`` elements apart as panels (width / 32, rows, 32), with zeros at their end."""
    for k in range(panels.shape[0]):
        panel = panels[k].ctypes.data
        whole = min(PLACES, width - PLACES * k)
        for i in range(rows):
            source, to = given + 4 * (i * step + PLACES * k), panel + 4 * PLACES * i
            if whole == PLACES:
                move_16(source, to)
                move_16(source + 4 * LANES, to + 4 * LANES)
            else:
                panels[k, i] = _ZERO
                for j in range(whole):
                    put(get(source + 4 * j), to + 4 * j)


@njit(**FAST)
def _turned(given, step, rows, width, panels):
    """The same of the transposed matrix: panels (rows / 32, width, 32)."""
    for k in range(panels.shape[0]):
        panel = panels[k].ctypes.data
        for half in range(2):
            first = PLACES * k + LANES * half
            there = max(0, min(LANES, rows - first))
            edge = width // LANES * LANES if there == LANES else 0
            for j in range(0, edge, LANES):
                turn(given + 4 * (first * step + j), step,
                     panel + 4 * (PLACES * j + LANES * half), PLACES)  # fmt: skip
            for j in range(edge, width):
                to = panel + 4 * (PLACES * j + LANES * half)
                for i in range(LANES):
                    if i < there:
                        put(get(given + 4 * ((first + i) * step + j)), to + 4 * i)
                    else:
                        put(_ZERO, to + 4 * i)


@njit(**FAST)
def _times(given, met, depth, panels, count, out, pitch):
    """Eight rows of ``depth`` numbers times the first ``count`` panels."""
    for r in range(OUTS):
        out[r, : PLACES * count] = _ZERO
    for k in range(count):
        gradient_32(given, met, 1, depth, depth, panels[k].ctypes.data,
                    out.ctypes.data + 4 * PLACES * k, pitch)  # fmt: skip


@njit(**FAST)
def _copied(row, width, out):
    """The first numbers of a row to an address."""
    source = row.ctypes.data
    whole = width // LANES * LANES
    for j in range(0, whole, LANES):
        move_16(source + 4 * j, out + 4 * j)
    for j in range(whole, width):
        put(row[j], out + 4 * j)


# -- rows of scores -----------------------------------------------------------------------------


@njit(**_PART)
def _peak(row):
    top = lowest
    for j in range(row.size):
        top = highest(top, row[j])
    return value(top)


@njit(**_SUMS)
def _raise(row, top):
    """Each x as e^(x - top); returns their sum."""
    total = _ZERO
    for j in range(row.size):
        e = exp(row[j] - top)
        row[j] = e
        total += e
    return total


@njit(**_SUMS)
def _shares(s, d, log):
    """Scores become shares e^(s - log); returns the sum of these times their gradients."""
    total = _ZERO
    for j in range(s.size):
        share = exp(s[j] - log)
        s[j] = share
        total += share * d[j]
    return total


@njit(**_PART)
def _slopes(shares, d, mean):
    for j in range(d.size):
        d[j] = shares[j] * (d[j] - mean)


# -- heads --------------------------------------------------------------------------------------


@njit(**FAST)
def _of(where, array, n, h):
    """The address of a head."""
    return where[array, 0] + n * where[array, 1] + h * where[array, 2]


@njit(**FAST)
def _forward(where, sizes, scale, causal, logs, fine, start, stop):
    heads, own, length, count, width, depth = sizes
    across, wide = -(-count // PLACES), -(-depth // PLACES)
    keys = np.empty((across, width, PLACES), np.float32)
    values = np.empty((wide, count, PLACES), np.float32)
    s = np.empty((OUTS, PLACES * across), np.float32)
    o = np.empty((OUTS, PLACES * wide), np.float32)
    offsets, lines = np.empty(OUTS, np.int64), np.empty(OUTS, np.int64)
    shares = np.empty(OUTS, np.float32)
    places(0, OUTS, s.shape[1], lines)
    for unit in range(start, stop):
        n, h = unit // heads, unit % heads
        served = h // (heads // own)
        _turned(_of(where, 1, n, served), where[1, 3] // 4, count, width, keys)
        _laid(_of(where, 2, n, served), where[2, 3] // 4, count, depth, values)
        _scale(keys.reshape(-1), scale)
        fine[unit] = _are_finite(values.reshape(-1))
        q, out = _of(where, 0, n, h), _of(where, 3, n, h)
        for first in range(0, length, OUTS):
            places(first, length, where[0, 3] // 4, offsets)
            met = min(count, first + OUTS) if causal else count
            panels = -(-met // PLACES)
            _times(q, offsets.ctypes.data, width, keys, panels, s, s.shape[1])
            here = min(OUTS, length - first)
            for r in range(here):
                row = s[r, : PLACES * panels]
                row[min(count, first + r + 1) if causal else count :] = _NONE
                top = _peak(row)
                total = _raise(row, top)
                shares[r] = _f(1) / total
                log = top + np.log(total)
                logs[n, h, first + r] = log
                if not abs(log) < _INF:
                    fine[unit] = False
            _times(s.ctypes.data, lines.ctypes.data, met, values, wide, o, o.shape[1])
            for r in range(here):
                _scale(o[r], shares[r])
                _copied(o[r], depth, out + (first + r) * where[3, 3])


@njit(**FAST)
def _backward(where, sizes, scale, causal, logs, for_logs, fine, start, stop):
    heads, own, length, count, width, depth = sizes
    group = heads // own
    across, wide, deep = -(-count // PLACES), -(-width // PLACES), -(-depth // PLACES)
    pitch = PLACES * across
    turned = np.empty((across, width, PLACES), np.float32)
    values = np.empty((across, depth, PLACES), np.float32)
    keys = np.empty((wide, count, PLACES), np.float32)
    queries = np.empty((wide, length, PLACES), np.float32)
    grads = np.empty((deep, length, PLACES), np.float32)
    p, d = np.empty((_BLOCK, pitch), np.float32), np.empty((_BLOCK, pitch), np.float32)
    o = np.empty((OUTS, PLACES * wide), np.float32)
    dk = np.empty((pitch, PLACES * wide), np.float32)
    dv = np.empty((pitch, PLACES * deep), np.float32)
    offsets, lines = np.empty(OUTS, np.int64), np.empty(OUTS, np.int64)
    columns = np.arange(OUTS)
    places(0, OUTS, pitch, lines)
    for unit in range(start, stop):
        n, served = unit // own, unit % own
        k, v = _of(where, 1, n, served), _of(where, 2, n, served)
        _turned(k, where[1, 3] // 4, count, width, turned)
        _turned(v, where[2, 3] // 4, count, depth, values)
        _laid(k, where[1, 3] // 4, count, width, keys)
        _scale(turned.reshape(-1), scale)
        _scale(keys.reshape(-1), scale)
        good = _are_finite(keys.reshape(-1)) and _are_finite(values.reshape(-1))
        dk[:] = _ZERO
        dv[:] = _ZERO
        for h in range(served * group, (served + 1) * group):
            q, g = _of(where, 0, n, h), _of(where, 3, n, h)
            _laid(q, where[0, 3] // 4, length, width, queries)
            _laid(g, where[3, 3] // 4, length, depth, grads)
            _scale(queries.reshape(-1), scale)
            good = good and _are_finite(queries.reshape(-1)) and _are_finite(grads.reshape(-1))
            for begin in range(0, length, _BLOCK):
                rows = min(_BLOCK, length - begin)
                for first in range(begin, begin + rows, OUTS):
                    met = min(count, first + OUTS) if causal else count
                    panels = -(-met // PLACES)
                    mine = first - begin
                    places(first, length, where[0, 3] // 4, offsets)
                    _times(q, offsets.ctypes.data, width, turned, panels, p[mine:], pitch)
                    places(first, length, where[3, 3] // 4, offsets)
                    _times(g, offsets.ctypes.data, depth, values, panels, d[mine:], pitch)
                    here = min(OUTS, length - first)
                    for r in range(here):
                        s, slopes = p[mine + r, : PLACES * panels], d[mine + r, : PLACES * panels]
                        log = logs[n, h, first + r]
                        good = good and abs(log) < _INF
                        s[min(count, first + r + 1) if causal else count :] = _NONE
                        mean = _shares(s, slopes, log)
                        good = good and abs(mean) < _INF
                        if for_logs.size:
                            mean -= for_logs[n, h, first + r]
                        _slopes(s, slopes, mean)
                    _times(d[mine:].ctypes.data, lines.ctypes.data, met, keys, wide, o, o.shape[1])
                    for r in range(here):
                        _copied(o[r], width, _of(where, 4, n, h) + (first + r) * where[4, 3])
                last = min(count, begin + rows) if causal else count
                for j in range(0, last, OUTS):
                    skip = max(0, j - begin) if causal else 0
                    at = 4 * (skip * pitch + j)
                    for e in range(wide):
                        gradient_32(d.ctypes.data + at, columns.ctypes.data, rows - skip, 1, pitch,
                                    queries[e, begin + skip :].ctypes.data,
                                    dk[j:, PLACES * e :].ctypes.data, dk.shape[1])  # fmt: skip
                    for e in range(deep):
                        gradient_32(p.ctypes.data + at, columns.ctypes.data, rows - skip, 1, pitch,
                                    grads[e, begin + skip :].ctypes.data,
                                    dv[j:, PLACES * e :].ctypes.data, dv.shape[1])  # fmt: skip
        for j in range(count):
            _copied(dk[j], width, _of(where, 5, n, served) + j * where[5, 3])
            _copied(dv[j], depth, _of(where, 6, n, served) + j * where[6, 3])
        fine[unit] = good


# -- for arrays ---------------------------------------------------------------------------------

_NOTHING = np.zeros((0, 0, 0), np.float32)


def _places_of(*arrays: Any) -> Any:
    """Addresses, and how many bytes batches, heads and rows are apart."""
    return np.array([(a.ctypes.data, *a.strides[:3]) for a in arrays], np.int64)


def _sizes(q: Any, k: Any, v: Any) -> tuple[int, ...]:
    return q.shape[1], k.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3]


def _work(q: Any, k: Any) -> int:
    return q.size * k.shape[2] // 8


def forward(q: Any, k: Any, v: Any, scale: float, causal: bool, out: Any, logs: Any) -> bool:
    """Fill ``out`` and ``logs``, the logarithms of the rows' sums.

    False: something is not finite, and what was filled in is not to be used.
    """
    units = q.shape[0] * q.shape[1]
    fine = np.empty(units, np.bool_)
    in_parts(_forward, units, _work(q, k), _places_of(q, k, v, out), _sizes(q, k, v),
             np.float32(scale), causal, logs, fine)  # fmt: skip
    return bool(fine.all())


def backward(
    g: Any, for_logs: Any, q: Any, k: Any, v: Any, logs: Any, scale: float, causal: bool, dq: Any,
    dk: Any, dv: Any,
) -> bool:  # fmt: skip
    """Fill the gradients of q, k and v, from those of the result and of the logarithms (or None).

    False: as in `forward`.
    """
    units = k.shape[0] * k.shape[1]
    fine = np.empty(units, np.bool_)
    given = _NOTHING if for_logs is None else np.ascontiguousarray(for_logs)
    in_parts(_backward, units, 3 * _work(q, k), _places_of(q, k, v, g, dq, dk, dv),
             _sizes(q, k, v), np.float32(scale), causal, logs, given, fine)  # fmt: skip
    return bool(fine.all())
