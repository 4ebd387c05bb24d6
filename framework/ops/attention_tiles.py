"""Attention on the host as one op that keeps no scores.

Where scores are few it is for whom nothing is traced; else the op's parts are ops of their own,
whose results can be looked at.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes, random
from framework.core.dispatch import apply
from framework.core.interpose import stack
from framework.core.modes import modes
from framework.core.registry import op
from framework.device import CPU
from framework.kernels import attention as host
from framework.ops.dropout import DROPOUT, least_kept
from framework.ops.softmax import softmax
from framework.tensor import wrap
from framework.trace import sink

__all__ = ["by_tiles"]

LARGE = 1 << 25  # bytes of scores, from which on they are not kept: from there it is as quick
LARGE_CAUSAL = 1 << 22  # the half that is hidden is left out


def _dropout(p: float, seed: int, offset: int) -> Any:
    return host.Dropout(p, least_kept(p), seed, offset) if p else None


def _kernel(
    q: Any, k: Any, v: Any, mask: Any, *, scale: float, causal: bool, p: float, seed: int,
    offset: int,
) -> Any:  # fmt: skip
    return host.attention(q, k, v, mask, scale=scale, causal=causal,
                          drop=_dropout(p, seed, offset))  # fmt: skip


def _backward_kernel(
    g: Any, for_logs: Any, q: Any, k: Any, v: Any, mask: Any, out: Any, logs: Any, *, scale: float,
    causal: bool, p: float, seed: int, offset: int,
) -> Any:  # fmt: skip
    return host.attention_backward(g, for_logs, q, k, v, mask, out, logs, scale=scale,
                                   causal=causal, drop=_dropout(p, seed, offset))  # fmt: skip


ATTENTION_TILES_BACKWARD = op(
    "attention_tiles_backward", _backward_kernel, "grad for_logs q k v mask out logs"
)


def _grads(g: Any, q: Any, k: Any, v: Any, mask: Any, y0: Any, y1: Any, n: Any) -> Any:
    grad, for_logs = g
    if grad is None:
        grad = y0 * 0
    if not modes.grad:
        found = apply(ATTENTION_TILES_BACKWARD, grad, for_logs, q, k, v, mask, y0, y1, **n.meta)
        return (*found, None)
    return (*_plain_grads(grad, for_logs, q, k, v, mask, **n.meta), None)


def _plain_grads(
    grad: Any, for_logs: Any, q: Any, k: Any, v: Any, mask: Any, *, scale: float, causal: bool,
    p: float, seed: int, offset: int,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """With the scores, in differentiable ops."""
    batch, own = k.shape[:2]
    group = q.shape[1] // own
    k, v = (x.repeat_interleave(group, 1) if group > 1 else x for x in (k, v))
    scores = (q * scale) @ k.transpose(-2, -1)
    seen = np.ones(scores.shape[-2:], np.bool_)
    if causal:
        seen = np.tri(*scores.shape[-2:], dtype=np.bool_)
    if mask is not None:
        if mask.dtype is dtypes.bool_:
            seen = seen & mask._data
        else:
            scores = scores + mask
            seen = seen & (scores._data != -np.inf)
    blind = wrap(np.broadcast_to(~seen.any(-1, keepdims=True), (*scores.shape[:-1], 1)).copy())
    hidden = wrap(~seen) & ~blind
    scores = scores.masked_fill(hidden, -math.inf).masked_fill(blind, 0.0)
    shares = softmax(scores, -1).masked_fill(blind, 0.0)

    def dropped(x: Any) -> Any:
        shape = tuple(x.shape)
        return apply(DROPOUT, x, p=p, shape=shape, seed=seed, offset=offset) if p else x

    for_shares = dropped(grad @ v.transpose(-2, -1))
    slopes = (shares * for_shares).sum(-1, keepdim=True)
    if for_logs is not None:
        slopes = slopes - for_logs.unsqueeze(-1)
    d = shares * (for_shares - slopes) * scale
    found = d @ k, d.transpose(-2, -1) @ q, dropped(shares).transpose(-2, -1) @ grad
    if group == 1:
        return found
    dq, *rest = found
    dk, dv = (x.reshape(batch, own, group, *x.shape[2:]).sum(2) for x in rest)
    return dq, dk, dv


ATTENTION_TILES = op("attention_tiles", _kernel, "q k v mask", grad=_grads)


def _drawn(shape: tuple[int, ...], p: float) -> tuple[int, int]:
    """Seed and place of the random numbers that dropout of the scores would take."""
    if not p:
        return 0, 0
    stream = random.default_generator
    offset = stream.offset
    stream.offset += -(-math.prod(shape) // 8)
    return stream.initial_seed(), offset


def by_tiles(
    query: Any, key: Any, value: Any, mask: Any, factor: float, causal: bool, p: float,
    grouped: bool,
) -> Any:  # fmt: skip
    """Attention by one op; None where scores are few or wanted, or the op is not for it.

    Keys and values may have one head, or with ``grouped`` a part of the query's.
    """
    if query._device is not CPU or not query.shape[-1] or not value.shape[-1] or p >= 1:
        return None
    count, kind = key.shape[-2], query._data.dtype
    scores = (*query.shape[:-1], count)
    if kind.char not in "fd":
        return None
    if math.prod(scores) * kind.itemsize < (LARGE_CAUSAL if causal else LARGE):
        if sink.active is not None or p or mask is not None:
            return None
        if not host.by_heads(query._data, key._data, value._data):
            return None
    if any(layer.apart for layer in stack.layers):
        return None
    heads, own = (x.shape[-3] if x.ndim > 2 else 1 for x in (query, key))
    if (
        key.shape[:-1] != value.shape[:-1] or key.ndim != query.ndim
        or key.shape[-1] != query.shape[-1] or key.shape[:-3] != query.shape[:-3]
        or not (own in (1, heads) or (grouped and own and heads % own == 0))
        or (grouped and query.ndim < 3)
    ):  # fmt: skip
        return None
    if mask is not None and not _fits(mask, scores, kind):
        return None
    seed, offset = _drawn(scores, p)
    three = (query, key, value)
    if query.ndim != 4:
        lead = math.prod(query.shape[:-3])
        three = tuple([
            x.reshape(lead, h, *x.shape[-2:]) for x, h in zip(three, (heads, own, own))
        ])  # fmt: skip
    found = apply(ATTENTION_TILES, *three, mask, scale=factor, causal=causal, p=p, seed=seed,
                  offset=offset)[0]  # fmt: skip
    return found if query.ndim == 4 else found.reshape(*query.shape[:-1], value.shape[-1])


def _fits(mask: Any, scores: tuple[int, ...], kind: Any) -> bool:
    """Whether the op takes this mask; it finds no gradient for one."""
    if (mask.requires_grad and modes.grad) or mask._device is not CPU:
        return False
    if mask.ndim > min(len(scores), 4) or (mask.ndim > 3 and len(scores) > 4):
        return False
    if mask.dtype is not dtypes.bool_ and mask._data.dtype != kind:
        return False
    return all(m in (1, n) for m, n in zip(mask.shape[::-1], scores[::-1]))
