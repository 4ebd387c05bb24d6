"""Attention without the matrix of scores, and its gradients."""

from __future__ import annotations

from typing import Any

from framework.kernels.cuda import empty, empty_like, flat, launch, ready
from framework.kernels.floats import wide

__all__ = ["attention", "attention_backward", "fits"]

_OWN = 8  # rows of a block


def _blocks(x: Any) -> int:
    return len(x) * -(-x.shape[1] // _OWN)


def fits(*arrays: Any) -> bool:
    """Whether the kernels take these queries, keys and values (..., length, width)."""
    width = arrays[0].shape[-1]
    most = 64 if arrays[0].dtype.itemsize == 8 else 128
    return ready(*arrays) and width <= most and all(a.shape[-1] == width for a in arrays)


def attention(q: Any, k: Any, v: Any, *, scale: float, causal: bool) -> Any:
    """softmax(q kᵀ scale) v, and the logarithms of the rows' sums in the wide type.

    All are (batch, length, width).
    """
    if not fits(q, k, v) or k.shape != v.shape:
        return None
    q, k, v = flat(q), flat(k), flat(v)
    out = empty_like(q)
    logs = empty(q, q.shape[:2], wide(empty(q, (0,))).dtype)
    launch("attention", "attention", _blocks(q), 128, q, k, v, out, logs, q.shape[1], k.shape[1],
           q.shape[2], float(scale), int(causal))  # fmt: skip
    return out, logs


def attention_backward(
    g: Any, for_logs: Any, q: Any, k: Any, v: Any, out: Any, logs: Any, *, scale: float,
    causal: bool,
) -> Any:  # fmt: skip
    """Gradients of q, k and v, from those of the result and of the logarithms (which may be None).

    Scores are computed again, tile by tile.
    """
    if not fits(q, k, v, g, out) or k.shape != v.shape:
        return None
    g, q, k, v, out, logs = (flat(a) for a in (g, q, k, v, out, logs))
    for_logs = None if for_logs is None else flat(for_logs.astype(logs.dtype, copy=False))
    slopes = empty(logs, logs.shape)
    rows, width = logs.size, q.shape[2]
    numbers = q.shape[1], k.shape[1], width, float(scale), int(causal)
    launch("attention", "attention_slopes", -(-rows // 4), 128, g, out, for_logs, slopes, rows,
           width)  # fmt: skip
    dq, dk, dv = empty_like(q), empty_like(k), empty_like(v)
    launch("attention", "attention_for_queries", _blocks(q), 128, g, q, k, v, logs, slopes, dq,
           *numbers)  # fmt: skip
    launch("attention", "attention_for_keys", _blocks(k), 128, g, q, k, v, logs, slopes, dk, dv,
           *numbers)  # fmt: skip
    return dq, dk, dv
