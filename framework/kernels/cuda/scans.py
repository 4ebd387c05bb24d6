"""Running extremes, log-sum-exps and decayed sums, reductions of segments, and the bits' hash."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.kernels.cuda import blocks_for, empty, flat, launch, ready

__all__ = [
    "cummax", "cummin", "decayed_sum", "hash_tensor", "logcumsumexp", "running_max",
    "segment_reduce",
]  # fmt: skip

_NARROW = 32  # columns side by side, below which their lines are laid out as rows
_MOST = (1 << 31) - 1  # blocks
_KINDS = ("sum", "mean", "prod", "max", "min")


def _along(
    entry: str, dim: int, arrays: tuple[Any, ...], outs: tuple[Any, ...], *numbers: int,
    like: Any = None,
) -> Any:  # fmt: skip
    """An entry for rows or columns along a dimension, with new arrays of the types of ``outs``."""
    shape = arrays[0].shape
    dim %= len(shape)
    inner = math.prod(shape[dim + 1 :])
    if 1 < inner < _NARROW:
        turned = tuple([a.swapaxes(dim, -1) for a in arrays])
        found = _along(entry, -1, turned, outs, *numbers, like=like)
        return found and tuple([flat(a.swapaxes(dim, -1)) for a in found])
    arrays = tuple([flat(a) for a in arrays])
    width, outer = shape[dim], math.prod(shape[:dim])
    made = tuple([empty(arrays[0], shape, kind) for kind in outs])
    given = (*arrays, *made) if like is None else (like, *arrays, *made)
    if inner > 1:
        launch("scans", f"{entry}_columns", blocks_for(outer * inner), 256, *given, outer, width,
               inner, *numbers)  # fmt: skip
    elif outer > _MOST:
        return None
    else:
        threads = min(256, -(-width // 128) * 32)
        launch("scans", f"{entry}_rows", outer, threads, *given, width, *numbers)
    return made


# -- extremes -----------------------------------------------------------------------------------


def cummax(a: Any, *, dim: int) -> Any:
    """(values, indices): the largest so far, and where its last copy stands."""
    return _extremes("cummax", a, dim)


def cummin(a: Any, *, dim: int) -> Any:
    """(values, indices): the smallest so far, and where its last copy stands."""
    return _extremes("cummin", a, dim)


def _extremes(name: str, a: Any, dim: int) -> Any:
    if not a.ndim or not a.size:
        return None
    if a.dtype.kind in "iub" and a.dtype != np.uint64:
        like = empty(a, (1,), np.float32)
        if not ready(like):
            return None
        x = a.astype(np.int64, copy=False)
        found = _along(f"{name}_ints", dim, (x,), (np.int64, np.int64), like=like)
        return found and (found[0].astype(a.dtype, copy=False), found[1])
    return _along(name, dim, (a,), (a.dtype, np.int64)) if ready(a) else None


def running_max(a: Any) -> Any:
    """The largest so far of int64 along the last dimension, as ``maximum.accumulate``."""
    return _extremes("cummax", a, -1)[0]


# -- sums ---------------------------------------------------------------------------------------


def logcumsumexp(a: Any, *, dim: int) -> Any:
    """log(cumsum(exp(a))) along a dimension."""
    if not ready(a) or not a.ndim:
        return None
    found = _along("logcumsumexp", dim, (a,), (a.dtype,))
    return found and found[0]


def decayed_sum(g: Any, y: Any, *, dim: int, reverse: bool) -> Any:
    """s[i] = g[i] + s[i±1] exp(y[i] - y[i±1]), for rising y."""
    if not ready(g, y) or not g.ndim or g.shape != y.shape:
        return None
    found = _along("decayed_sum", dim, (g, y), (g.dtype,), int(reverse))
    return found and found[0]


# -- segments -----------------------------------------------------------------------------------


def segment_reduce(a: Any, lengths: Any, *, reduce: str, axis: int, initial: float | None) -> Any:
    """Consecutive segments of a dimension as one element each."""
    if not ready(a) or not lengths.size or lengths.dtype.kind not in "iu":
        return None
    ends = lengths.cumsum(-1).astype(np.int64, copy=False)
    outer, n, inner = math.prod(a.shape[:axis]), a.shape[axis], math.prod(a.shape[axis + 1 :])
    out = empty(a, (*lengths.shape, *a.shape[axis + 1 :]))
    warps = inner < 8  # and else a thread for each column
    blocks = blocks_for(out.size * (32 if warps else 1))
    launch("scans", "segments", blocks, 256, flat(a), flat(ends), out, outer, lengths.shape[-1], n,
           inner, int(warps), _KINDS.index(reduce), int(initial is not None),
           float(initial or 0.0))  # fmt: skip
    return out


# -- bits ---------------------------------------------------------------------------------------


def hash_tensor(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    """The exclusive or of the elements' bits as 64-bit numbers."""
    if not a.size or a.dtype.kind not in "fiubV":
        return None
    like = empty(a, (1,), np.float32)
    rows = [d for d in range(a.ndim) if d not in dim]
    count = math.prod([a.shape[d] for d in rows])
    if not ready(like) or count > _MOST:
        return None
    wide = a.astype(np.float64 if a.dtype.kind in "fV" else np.int64)
    bits = flat(wide.transpose([*rows, *dim]) if a.ndim else wide.reshape(1)).view(np.int64)
    out = empty(a, (count,), np.int64)
    launch("scans", "bits", count, 256, like, bits, out, a.size // count)
    shape = [1 if d in dim else n for d, n in enumerate(a.shape) if keepdim or d not in dim]
    return out.view(np.uint64).reshape(shape)
