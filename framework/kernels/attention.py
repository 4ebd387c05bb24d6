"""Attention on the host without the matrix of scores: a tile of it at a time, forward and backward.

A tile has the scores of some queries for some keys (Dao et al. 2022, FlashAttention): of each row
the largest score and the sum of exponentials so far are kept, and what was added up before is
scaled down when a larger one comes. Backward makes the scores again, from the logarithms of the
rows' sums. Products are BLAS's, the rest is compiled where Numba is there, else NumPy's. Heads
whose keys and values stay in the cache are done at once where that is compiled (`by_heads`).

Arrays are (batch, heads, length, width), of one float type; keys and values may have fewer heads,
each of which serves a group of the queries'. Neither queries nor keys are empty.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.kernels import compiled, products

__all__ = ["Dropout", "attention", "attention_backward", "by_heads"]

_ROWS, _COLUMNS = 256, 512  # of a tile, which stays in the second cache
_SHORT = 512  # length up to which causal attention has tiles of half the rows, to leave more out
_HEADS, _NEAR = 4, 1 << 16  # how many heads, and elements of one, are for `compiled.heads`
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True)
class Dropout:
    """Which shares are dropped: the stream's 32-bit numbers in the order of the whole matrix."""

    p: float
    least: int  # numbers below are dropped
    seed: int
    offset: int

    def factors(self, start: int, step: int, shape: tuple[int, int]) -> Any:
        """For a tile whose first element is number ``start`` of all, rows being ``step`` apart."""
        rows, columns = shape
        first = start // 8
        count = -(-(start + (rows - 1) * step + columns) // 8) - first
        key = np.array([self.seed, 0], np.uint64)
        place = np.array([self.offset + first, 0, 0, 0], np.uint64)
        bits = np.random.Philox(key=key, counter=place).random_raw(4 * count).view(np.uint32)
        begin = start - 8 * first
        kept = np.lib.stride_tricks.as_strided(bits[begin:], shape, (4 * step, 4))
        return kept >= np.uint32(self.least)


def by_heads(q: Any, k: Any, v: Any) -> Any:
    """The compiled kernels of whole heads, for arrays that they can take, or None.

    They need no mask, no dropout, and a few heads, whose keys and values fit into the cache.
    """
    if not all(a.__class__ is np.ndarray and a.dtype is _FLOAT32 and _has_rows(a)
               for a in (q, k, v)):  # fmt: skip
        return None
    heads, count, width = math.prod(k.shape[:-2]), k.shape[-2], max(q.shape[-1], v.shape[-1])
    most = max(q.shape[-2], count) * width
    if heads < _HEADS or most > _NEAR or heads * q.shape[-2] * count < compiled.LARGE:
        return None
    return compiled.family("heads")


def _has_rows(a: Any) -> bool:
    """Whether the elements of a row are beside each other."""
    return bool(a.strides[-1] == a.itemsize)


class _Work:
    """One call: its arrays, and what of a tile is seen and kept."""

    def __init__(
        self, q: Any, k: Any, v: Any, mask: Any, scale: float, causal: bool, drop: Dropout | None,
        *more: Any,
    ) -> None:  # fmt: skip
        self.q, self.k, self.v = q, k, v
        self.batch, self.heads, self.length, self.width = q.shape
        self.count = k.shape[2]
        self.turned = np.ascontiguousarray(k.swapaxes(2, 3))  # BLAS is quicker with it
        self.group = self.heads // k.shape[1]
        self.causal, self.drop = causal, drop
        self.step = _ROWS // 2 if causal and self.length <= _SHORT else _ROWS
        self.scale = q.dtype.type(scale)
        shape = (self.batch, self.heads, self.length, self.count)
        self.mask: Any = None if mask is None else np.broadcast_to(mask, shape)
        self.filled = mask is not None and mask.dtype == np.bool_
        # What no row sees may be left out, unless it is infinite or NaN: 0 times that is NaN.
        self.whole = not all(np.isfinite(a.sum()) for a in (q, k, v, *more))
        self.quick = compiled.family("attention") if q.dtype is _FLOAT32 else None

    def blocks(self) -> int:
        return -(-self.length // self.step)

    def rows(self, i: int) -> slice:
        return slice(i * self.step, min((i + 1) * self.step, self.length))

    def columns(self, rows: slice) -> Iterator[slice]:
        """Of the tiles that these rows see something of."""
        end = min(self.count, rows.stop) if self.causal and not self.whole else self.count
        for j in range(0, end, _COLUMNS):
            yield slice(j, min(j + _COLUMNS, end))

    def limit(self, rows: slice, columns: slice) -> int:
        """How many of these columns the first of the rows sees."""
        return rows.start + 1 - columns.start if self.causal else columns.stop - columns.start

    def scores(self, q: Any, n: int, h: int, rows: slice, columns: slice) -> Any:
        """Of scaled queries; -inf where the mask hides."""
        s = np.matmul(q, self.turned[n, h // self.group, :, columns])
        if self.mask is not None:
            part = self.mask[n, h, rows, columns]
            if not self.filled:
                s += part
            elif self.quick:
                self.quick.hide(s, np.ascontiguousarray(part))
            else:
                np.copyto(s, -np.inf, where=~part)
        if self.causal and not self.quick:
            np.copyto(s, -np.inf, where=self.later(rows, columns))
        return s

    def hidden(self, n: int, h: int, rows: slice, columns: slice, logs: Any) -> Any:
        """Whose scores get no gradient, not even that which NaN in their row would make NaN."""
        shape = len(logs), columns.stop - columns.start
        found = np.broadcast_to((logs == np.inf)[:, None], shape)
        if self.filled:
            found = found | ~self.mask[n, h, rows, columns]
        if self.causal:
            found = found | self.later(rows, columns)
        return found

    def later(self, rows: slice, columns: slice) -> Any:
        """Which columns come after which rows."""
        return np.arange(columns.start, columns.stop) > np.arange(rows.start, rows.stop)[:, None]

    def start(self, n: int, h: int, rows: slice, columns: slice) -> int:
        """The number of a tile's first element in the whole matrix."""
        return ((n * self.heads + h) * self.length + rows.start) * self.count + columns.start

    def random(self, start: int) -> tuple[Any, ...]:
        """What the compiled kernels are told of dropout."""
        d = self.drop
        if d is None:
            return np.uint64(0), np.uint64(0), 0, 0, np.uint32(0), np.float32(1)
        scale = np.float32(1 / (1 - d.p))
        return (np.uint64(d.seed), np.uint64(d.offset), start, self.count, np.uint32(d.least),
                scale)  # fmt: skip

    def kept(self, start: int, s: Any) -> Any:
        assert self.drop is not None
        return self.drop.factors(start, self.count, s.shape) * s.dtype.type(1 / (1 - self.drop.p))

    def blind(self, n: int, h: int, rows: slice) -> Any:
        """Which of the rows see nothing because of the mask; other rows without a share are NaN."""
        if self.mask is None:
            return np.zeros(rows.stop - rows.start, np.bool_)
        part = self.mask[n, h, rows]
        if not self.filled:  # added: a score of -inf is one that is hidden
            return np.ones(len(part), np.bool_)
        if self.causal:
            part = part & ~self.later(rows, slice(0, self.count))
        return ~part.any(-1)


def _shares(s: Any, tops: Any, totals: Any, factors: Any) -> None:
    """The plain form of `compiled.attention.raise_to_shares`, of scores with -inf where hidden."""
    top = np.maximum(tops, s.max(-1))
    shift = np.where(top == -np.inf, 0, top).astype(s.dtype)
    np.exp(np.subtract(s, shift[:, None], out=s), out=s)
    np.exp(tops - shift, out=factors)
    tops[...] = top
    totals *= factors
    totals += s.sum(-1)


def _one_thread(work: _Work) -> Any:
    size = work.batch * work.heads * work.length * work.count * work.width
    return products.one_thread(size) or contextlib.nullcontext()


def attention(
    q: Any, k: Any, v: Any, mask: Any, *, scale: float, causal: bool, drop: Dropout | None
) -> tuple[Any, Any]:
    """softmax(q kᵀ scale + mask) v, and the logarithms of the rows' sums (batch, heads, length).

    Args:
        mask: broadcast to the scores; booleans say what is seen, others are added. Rows that see
            nothing are zero, and the logarithm of their sum is inf.
        drop: shares are dropped before they are multiplied with the values.
    """
    batch, heads, length, _ = q.shape
    if q.strides[1] < q.strides[2]:  # lies as (batch, length, heads, width)
        out = np.empty((batch, length, heads, v.shape[3]), q.dtype).swapaxes(1, 2)
    else:
        out = np.empty((batch, heads, length, v.shape[3]), q.dtype)
    logs = np.empty(q.shape[:3], q.dtype)
    quick = by_heads(q, k, v) if mask is None and drop is None else None
    if quick and quick.forward(q, k, v, scale, causal, out, logs):
        return out, logs
    work = _Work(q, k, v, mask, scale, causal, drop)
    blocks = work.blocks()

    def piece(start: int, stop: int) -> None:
        for number in range(start, stop):
            head, i = divmod(number, blocks)
            n, h = divmod(head, work.heads)
            rows = work.rows(i)
            _forward(work, n, h, rows, out[n, h, rows], logs[n, h, rows])

    with np.errstate(all="ignore"), _one_thread(work):
        compiled.in_parts(piece, work.batch * work.heads * blocks, logs.size * work.count)
    return out, logs


def _forward(work: _Work, n: int, h: int, rows: slice, out: Any, logs: Any) -> None:
    q = work.q[n, h, rows] * work.scale
    size, dtype = len(q), q.dtype
    tops, totals = np.full(size, -np.inf, dtype), np.zeros(size, dtype)
    factors = np.empty(size, dtype)
    total: Any = None
    for columns in work.columns(rows):
        s = work.scores(q, n, h, rows, columns)
        if work.quick:
            work.quick.raise_to_shares(s, work.limit(rows, columns), tops, totals, factors)
        else:
            _shares(s, tops, totals, factors)
        if work.drop is not None:
            start = work.start(n, h, rows, columns)
            if work.quick:
                work.quick.drop(s, *work.random(start))
            else:
                s *= work.kept(start, s)
        found = np.matmul(s, work.v[n, h // work.group, columns])
        if total is None:
            total = found
        else:
            total *= factors[:, None]
            total += found
    nothing = (tops == -np.inf) & (totals == 0)
    if nothing.any():
        blind = work.blind(n, h, rows)
        totals[nothing & ~blind] = np.nan
        totals[nothing & blind] = 1
        tops[nothing & blind] = np.inf
    np.divide(total, totals[:, None], out=out)
    np.add(tops, np.log(totals), out=logs)


def attention_backward(
    g: Any, for_logs: Any, q: Any, k: Any, v: Any, mask: Any, out: Any, logs: Any, *, scale: float,
    causal: bool, drop: Dropout | None,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Gradients of q, k and v, from those of the result and of the logarithms (or None)."""
    quick = by_heads(q, k, v) if mask is None and drop is None else None
    if quick:
        found = tuple([np.empty_like(a) for a in (q, k, v)])
        g = g if _has_rows(g) else np.ascontiguousarray(g)
        if quick.backward(g, for_logs, q, k, v, logs, scale, causal, *found):
            return found
    work = _Work(q, k, v, mask, scale, causal, drop, g)
    slopes = np.einsum("nhie,nhie->nhi", g, out)
    if for_logs is not None:
        slopes = slopes - for_logs
    dq, dk, dv = (np.zeros_like(a) for a in (q, k, v))

    def piece(start: int, stop: int) -> None:
        for number in range(start, stop):
            n, own = divmod(number, k.shape[1])
            for h in range(own * work.group, (own + 1) * work.group):
                for i in range(work.blocks()):
                    rows = work.rows(i)
                    here = n, h, rows
                    _backward(work, *here, g[here], logs[here], slopes[here], dq[here], dk[n, own],
                              dv[n, own])  # fmt: skip

    with np.errstate(all="ignore"), _one_thread(work):
        compiled.in_parts(piece, work.batch * k.shape[1], logs.size * work.count)
    return dq, dk, dv


def _backward(
    work: _Work, n: int, h: int, rows: slice, g: Any, logs: Any, slopes: Any, dq: Any, dk: Any,
    dv: Any,
) -> None:  # fmt: skip
    """Of some rows: their part of the gradients, the keys' and values' being added."""
    q = work.q[n, h, rows] * work.scale
    own = h // work.group
    for columns in work.columns(rows):
        s = work.scores(q, n, h, rows, columns)
        d = np.matmul(g, work.v[n, own, columns].T)
        start = work.start(n, h, rows, columns) if work.drop is not None else 0
        if work.quick:
            limit = work.limit(rows, columns)
            work.quick.slopes_of(s, d, limit, logs, slopes, *work.random(start))
        else:
            np.exp(np.subtract(s, logs[:, None], out=s), out=s)
            kept = None if work.drop is None else work.kept(start, s)
            if kept is not None:
                d *= kept
            d -= slopes[:, None]
            d *= s
            if kept is not None:
                s *= kept
        if work.whole:
            d[work.hidden(n, h, rows, columns, logs)] = 0
        dv[columns] += np.matmul(s.T, g)
        dk[columns] += np.matmul(d.T, q)
        dq += np.matmul(d, work.k[n, own, columns])
    dq *= work.scale
