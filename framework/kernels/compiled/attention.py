"""What is done with a tile of attention's scores between its products of matrices.

A tile has some queries' scores of some keys. ``limits`` says how many of its first columns the
first row sees, each further row seeing one more (causal attention); the others are as if hidden.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from framework.kernels.compiled.elementary import FAST, SUMS, exp, highest, lowest, value
from framework.kernels.compiled.philox import halves

__all__ = ["drop", "hide", "raise_to_shares", "slopes_of"]

_f, _u = np.float32, np.uint64
_NONE = _f(-np.inf)
_INF = _f(np.inf)


@njit(**FAST)
def hide(s, seen):
    """-inf where ``seen`` is False."""
    for i in range(s.shape[0]):
        row, marks = s[i], seen[i]
        for j in range(row.size):
            row[j] = row[j] if marks[j] else _NONE


@njit(**FAST, forceinline=True)
def _peak(row):
    top = lowest
    for j in range(row.size):
        top = highest(top, row[j])
    return value(top)


@njit(**SUMS)
def _raise(row, top):
    """Each x as e^(x - top); returns their sum."""
    total = _f(0)
    for j in range(row.size):
        e = exp(row[j] - top)
        row[j] = e
        total += e
    return total


@njit(**FAST)
def raise_to_shares(s, limit, tops, totals, factors):
    """Scores become e^(score - largest so far) of their row.

    ``tops`` and ``totals`` are the rows' largest score and the sum of these, so far; ``factors``
    what was found before must be multiplied by.
    """
    for i in range(s.shape[0]):
        width = max(0, min(s.shape[1], limit + i))
        old = tops[i]
        # NaN is above all others, in a row and among tops.
        top = value(highest(highest(lowest, old), _peak(s[i, :width]))) if width else old
        shift = _f(0) if top == _NONE else top
        total = _raise(s[i, :width], shift)
        s[i, width:] = _f(0)
        factor = exp(old - shift)
        tops[i] = top
        totals[i] = totals[i] * factor + total
        factors[i] = factor


@njit(**FAST)
def _slopes(p, d, log, slope):
    for j in range(p.size):
        share = exp(p[j] - log)
        p[j] = share
        d[j] = share * (d[j] - slope)


@njit(**FAST)
def _slopes_of_kept(p, d, log, slope, bits, least, scale):
    for j in range(p.size):
        share = exp(p[j] - log)
        keep = scale if bits[j] >= least else scale - scale
        p[j] = share * keep
        d[j] = share * (d[j] * keep - slope)


@njit(**FAST)
def slopes_of(s, d, limit, logs, slopes, key, offset, start, step, least, scale):
    """Scores become shares e^(s - log), and their gradients ``d`` those of the scores.

    With ``least`` dropout is done to the shares once more, as `drop` did.
    """
    bits = np.empty(0, np.uint32)
    if least:
        bits = np.empty(8 * (s.shape[1] // 8 + 2), np.uint32)
    for i in range(s.shape[0]):
        width = max(0, min(s.shape[1], limit + i))
        if least:
            at = _drawn(bits, key, offset, start + i * step, width)
            _slopes_of_kept(s[i, :width], d[i, :width], logs[i], slopes[i], bits[at : at + width],
                            least, scale)  # fmt: skip
        else:
            _slopes(s[i, :width], d[i, :width], logs[i], slopes[i])
        s[i, width:] = exp(_NONE - logs[i])  # NaN in a row of NaN
        d[i, width:] = _f(0)


@njit(**FAST)
def _drawn(bits, key, offset, first, count):
    """The stream's numbers from ``first`` on are put into ``bits``; where they begin there."""
    block = first // 8
    halves(bits, key, offset + _u(block), 0, (first + count - 1) // 8 - block + 1)
    return first - 8 * block


@njit(**FAST)
def _keep(row, bits, least, scale):
    for j in range(row.size):
        row[j] *= scale if bits[j] >= least else scale - scale


@njit(**FAST)
def drop(p, key, offset, start, step, least, scale):
    """Dropout of a tile whose first element is number ``start``, rows being ``step`` apart."""
    bits = np.empty(8 * (p.shape[1] // 8 + 2), np.uint32)
    for i in range(p.shape[0]):
        at = _drawn(bits, key, offset, start + i * step, p.shape[1])
        _keep(p[i], bits[at : at + p.shape[1]], least, scale)
