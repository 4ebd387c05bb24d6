"""Attention without the matrix of scores, and its gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.kernels.cuda import empty, flat, has_tensor_cores, launch, ready
from framework.kernels.floats import wide

__all__ = ["attention", "attention_backward", "fits"]

_WIDEST = 128
_MOST = 1 << 31
_MANY = 256  # blocks that keep a large device busy: two for each multiprocessor
_SLOPES = 4  # rows of a block of `attention_slopes`, a warp each


def fits(q: Any, k: Any, v: Any) -> bool:
    """Whether the kernels take these queries, keys and values (..., heads, length, width).

    Each head of keys may serve a group of the queries' heads.
    """
    if not ready(q, k, v) or q.ndim < 2 or k.shape != v.shape or k.ndim != q.ndim:
        return False
    width = q.shape[-1]
    heads, served = (x.shape[-3] if x.ndim > 2 else 1 for x in (q, k))
    if width > _WIDEST or k.shape[-1] != width or q.shape[:-3] != k.shape[:-3] or heads % served:
        return False
    rows = math.prod(q.shape[:-3]) * heads * max(q.shape[-2], k.shape[-2])
    return rows < _MOST


def _in_rows(x: Any) -> Any:
    """The array, or a copy, if the elements of a row do not lie beside each other."""
    return x if x.shape[-1] == 1 or x.strides[-1] == x.itemsize else flat(x)


def _steps(x: Any) -> list[int]:
    size = x.itemsize
    return [s // size for s in x.strides[:3]]


def _laid_as(x: Any) -> Any:
    """A new array that lies as this one does: its heads beside each other in a position, or not."""
    batch, heads, length, width = x.shape
    if heads > 1 and length > 1 and x.strides[1] < x.strides[2]:
        return empty(x, (batch, length, heads, width)).transpose(0, 2, 1, 3)
    return empty(x, x.shape)


def _masks(mask: Any, q: Any, k: Any) -> list[Any]:
    """What is added, what is seen, and the steps of either."""
    if mask is None:
        return [None, None, 0, 0, 0, 0]
    shape = (*q.shape[:3], k.shape[2])
    given = (1,) * (4 - mask.ndim) + mask.shape
    steps = (0,) * (4 - mask.ndim) + mask.strides
    assert all(a in (1, b) for a, b in zip(given, shape)), (given, shape)
    found = [0 if n == 1 else s // mask.itemsize for n, s in zip(given, steps)]
    return [None, mask, *found] if mask.dtype == np.bool_ else [mask, None, *found]


def _by_cores(q: Any) -> bool:
    return q.itemsize == 2 and has_tensor_cores(q)


def _run(entry: str, q: Any, own: Any, *arguments: Any) -> None:
    """Launch for blocks of rows of ``own``, which are the queries or the keys."""
    cores = _by_cores(q)
    room = 64 if q.shape[-1] <= 64 and (cores or q.itemsize > 2) else 128
    heads, length = own.shape[0] * own.shape[1], own.shape[2]
    rows = 32 if q.itemsize == 8 else 64
    threads = 4 * rows
    if cores:
        threads = 128
        if room == 64:  # a warp has 32 rows: two or four warps
            rows = threads = 128 if heads * (length // 128) >= _MANY else 64
    name = f"{entry}_{'cores' if cores else 'plain'}_{room}"
    launch("attention", name, heads * -(-length // rows), threads, *arguments)


def _sizes(q: Any, k: Any, scale: float, causal: bool) -> list[Any]:
    heads, length, width = q.shape[1:]
    return [heads, heads // k.shape[1], length, k.shape[2], width, float(scale), int(causal)]


def attention(q: Any, k: Any, v: Any, mask: Any, *, scale: float, causal: bool) -> Any:
    """softmax(q kᵀ scale + mask) v, and the logarithms of the rows' sums in the wide type.

    All are (batch, heads, length, width), in whatever order they lie; see the op.
    """
    if not fits(q, k, v) or q.ndim != 4:
        return None
    q, k, v = _in_rows(q), _in_rows(k), _in_rows(v)
    out = _laid_as(q)
    logs = empty(q, q.shape[:3], wide(empty(q, (0,))).dtype)
    _run("attention", q, q, q, k, v, out, logs, *_sizes(q, k, scale, causal), *_steps(q),
         *_steps(k), *_steps(v), *_steps(out), *_masks(mask, q, k))  # fmt: skip
    return out, logs


def attention_backward(
    g: Any, for_logs: Any, q: Any, k: Any, v: Any, mask: Any, out: Any, logs: Any, *,
    scale: float, causal: bool,
) -> Any:  # fmt: skip
    """Gradients of q, k and v, from those of the result and of the logarithms (which may be None).

    Scores are computed again, tile by tile.
    """
    if not fits(q, k, v) or q.ndim != 4 or not ready(q, g, out):
        return None
    g, q, k, v, out = (_in_rows(a) for a in (g, q, k, v, out))
    logs = flat(logs)
    for_logs = None if for_logs is None else flat(for_logs.astype(logs.dtype, copy=False))
    slopes = empty(logs, logs.shape)
    heads, length, width = q.shape[1:]
    launch("attention", "attention_slopes", -(-logs.size // _SLOPES), 32 * _SLOPES, g, out,
           for_logs, slopes, logs.size, heads, length, width, *_steps(g), *_steps(out))  # fmt: skip
    dq, dk, dv = _laid_as(q), _laid_as(k), _laid_as(v)
    given = g, q, k, v, logs, slopes
    sizes = _sizes(q, k, scale, causal)
    steps = [s for a in (g, q, k, v) for s in _steps(a)]
    masks = _masks(mask, q, k)
    _run("attention_for_queries", q, q, *given, dq, *sizes, *steps, *_steps(dq), *masks)
    _run("attention_for_keys", q, k, *given, dk, dv, *sizes, *steps, *_steps(dk), *_steps(dv),
         *masks)  # fmt: skip
    return dq, dk, dv
