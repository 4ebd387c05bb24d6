"""Scaled dot product attention."""

from __future__ import annotations

import math
from threading import get_ident
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.interpose import stack
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.core.saved import all_values
from framework.kernels import module_of, to_device
from framework.kernels.cuda import attention as own
from framework.kernels.floats import type_name, wide
from framework.ops.attention_tiles import by_tiles
from framework.ops.dropout import dropout
from framework.ops.softmax import softmax
from framework.tensor import wrap
from framework.trace import sink

__all__ = ["scaled_dot_product_attention"]

# -- on a device: one op without the scores -----------------------------------------------------

LARGE = 1 << 28  # bytes of scores, from which on they are not kept, whoever looks


def _scores(q: Any, k: Any, mask: Any, scale: float, causal: bool) -> Any:
    xp = module_of(q)
    scores = xp.matmul(q, k.swapaxes(-1, -2)) * q.dtype.type(scale)
    if causal:
        seen = xp.arange(k.shape[-2]) <= xp.arange(q.shape[-2])[:, None]
        scores = xp.where(seen, scores, q.dtype.type(-np.inf))
    if mask is None:
        return scores
    if mask.dtype == np.bool_:
        return xp.where(mask, scores, q.dtype.type(-np.inf))
    return scores + mask.astype(q.dtype, copy=False)


def _served(x: Any, q: Any) -> Any:
    """Keys or values with a head for each of the queries'."""
    group = q.shape[1] // x.shape[1]
    return x if group == 1 else module_of(x).repeat(x, group, 1)


def _attention_kernel(q: Any, k: Any, v: Any, mask: Any, *, scale: float, causal: bool) -> Any:
    dtype = q.dtype
    q, k, v = wide(q), _served(wide(k), q), _served(wide(v), q)
    xp = module_of(q)
    scores = _scores(q, k, mask, scale, causal)
    top = scores.max(-1, keepdims=True)
    blind = (top == -np.inf) & (mask is not None)
    shares = np.exp(scores - xp.where(blind, 0, top))
    total = xp.where(blind, 1, shares.sum(-1, keepdims=True))
    out = xp.matmul(shares / total, v).astype(dtype, copy=False)
    return out, xp.where(blind, -top, top + np.log(total))[..., 0]


def _attention_backward_kernel(
    g: Any, for_logs: Any, q: Any, k: Any, v: Any, mask: Any, out: Any, logs: Any, *,
    scale: float, causal: bool,
) -> Any:  # fmt: skip
    dtype, own = q.dtype, k.shape
    g, q, out = (wide(a) for a in (g, q, out))
    k, v = _served(wide(k), q), _served(wide(v), q)
    shares = np.exp(_scores(q, k, mask, scale, causal) - logs[..., None])
    slopes = (g * out).sum(-1)
    if for_logs is not None:
        slopes = slopes - for_logs
    xp = module_of(q)
    d = shares * (xp.matmul(g, v.swapaxes(-1, -2)) - slopes[..., None]) * q.dtype.type(scale)
    of_keys = xp.matmul(d.swapaxes(-1, -2), q), xp.matmul(shares.swapaxes(-1, -2), g)
    found = [xp.matmul(d, k)]
    found += [a.reshape(*own[:2], -1, *own[2:]).sum(2) for a in of_keys]
    return tuple([a.astype(dtype, copy=False) for a in found])


ATTENTION_BACKWARD = op(
    "attention_backward", _attention_backward_kernel, "grad for_logs q k v mask out logs"
)


def _attention_grads(
    g: Any, q: Any, k: Any, v: Any, mask: Any, y0: Any, y1: Any, scale: float, causal: bool
) -> tuple[Any, ...]:
    """By tiles; where a graph of it is wanted, with the scores, in differentiable ops."""
    grad, for_logs = g
    if grad is None:
        grad = y0 * 0
    if not modes.grad:
        found = apply(ATTENTION_BACKWARD, grad, for_logs, q, k, v, mask, y0, y1, scale=scale,
                      causal=causal)  # fmt: skip
        return (*found, None)
    own = tuple(k.shape)
    group = q.shape[1] // own[1]
    if group > 1:
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    shares = _plain_shares((q * scale) @ k.transpose(-2, -1), q, k, mask, causal)
    slopes = (grad * (shares @ v)).sum(-1, keepdim=True)
    if for_logs is not None:
        slopes = slopes - for_logs.unsqueeze(-1)
    d = shares * (grad @ v.transpose(-2, -1) - slopes) * scale
    dk, dv = d.transpose(-2, -1) @ q, shares.transpose(-2, -1) @ grad
    if group > 1:
        dk, dv = (x.reshape(*own[:2], group, *own[2:]).sum(2) for x in (dk, dv))
    return d @ k, dk, dv, None


def _plain_shares(scores: Any, q: Any, k: Any, mask: Any, causal: bool) -> Any:
    hidden = ~_causal(q, k) if causal else None
    if mask is not None:
        if mask.dtype is dtypes.bool_:
            more = ~mask
        else:
            scores = scores + mask
            more = scores == -math.inf
        hidden = more if hidden is None else hidden | more
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    if mask is None:
        return softmax(scores, -1)
    blind = hidden.all(-1, keepdim=True)  # type: ignore[union-attr]
    return softmax(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)


ATTENTION = op(
    "attention", _attention_kernel, "q k v mask", grad=_attention_grads,
    samples=lambda s: [
        ((s(2, 1, 3, 4), s(2, 1, 5, 4), s(2, 1, 5, 4), None), {"scale": 0.5, "causal": False}),
        ((s(1, 2, 4, 2), s(1, 1, 4, 2), s(1, 1, 4, 2), None), {"scale": 0.7, "causal": True}),
    ],
)  # fmt: skip


def _looked_at() -> bool:
    """Whether somebody may want the scores: a trace keeps values or waits for some, or a layer."""
    recorder = sink.active
    if recorder is not None and recorder.thread == get_ident() and recorder.sees_values():
        return True
    return any(layer.apart for layer in stack.layers)


def _by_tiles(
    query: Any, key: Any, value: Any, mask: Any, factor: float, causal: bool, grouped: bool
) -> Any:
    """Attention by one op that keeps no scores; None where they are wanted, or it is not for it.

    Without it the scores are a matrix for each head, which can be looked at.
    """
    if query._device.type != "cuda" or not own.fits(query._data, key._data, value._data):
        return None
    scores = (*query.shape[:-1], key.shape[-2])
    if query.ndim < 3:
        if grouped:
            return None
    elif key.shape[-3] != query.shape[-3] and not grouped:
        return None
    if mask is not None and not _fits(mask, query, scores):
        return None
    if math.prod(scores) * query._data.dtype.itemsize < LARGE and _looked_at():
        return None
    three, given = [query, key, value], tuple(query.shape)
    if query.ndim != 4:
        lead = math.prod(given[:-3])
        three = [t.reshape(lead, *((1,) * (3 - t.ndim) + tuple(t.shape))[-3:]) for t in three]
    found = apply(ATTENTION, *three, mask, scale=factor, causal=causal)[0]
    return found if query.ndim == 4 else found.reshape(given)


def _fits(mask: Any, query: Any, scores: tuple[int, ...]) -> bool:
    """Whether the op takes this mask; it finds no gradient for one."""
    if (mask.requires_grad and modes.grad) or mask._device != query._device:
        return False
    if mask.ndim > min(len(scores), 4) or (mask.ndim > 3 and len(scores) > 4):
        return False
    if mask.dtype is not dtypes.bool_ and mask.dtype is not query.dtype:
        return False
    return all(m in (1, n) for m, n in zip(mask.shape[::-1], scores[::-1]))


# -- attention ----------------------------------------------------------------------------------


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(query @ keyᵀ * scale + mask) @ value (Vaswani et al. 2017).

    Shapes: query (..., L, E), key (..., S, E), value (..., S, Ev); result (..., L, Ev).
    RuntimeError for sizes or types that do not match. Both a mask and ``is_causal`` hold only where
    PyTorch's kernel for the CPU takes them, else RuntimeError: tensors (N, heads, length, E) of one
    E, and a mask of two or four dimensions that wants no gradient; without dropout.
    Where scores would be large (`attention_tiles`) they are not kept: memory grows with L + S.
    On a CUDA device they are kept only where a trace keeps values, for E = Ev up to 128 without
    dropout.

    Args:
        attn_mask: broadcast to (..., L, S); a boolean one says who takes part, any other is added.
        dropout_p: probability of dropping an attention weight (also outside of training).
        is_causal: position i sees the positions up to i.
        scale: 1 / sqrt(E) unless given.
        enable_gqa: repeat the heads (dimension -3) of key and value to match the query's.

    >>> import framework as torch
    >>> q = torch.ones(1, 2, 4)
    >>> torch.nn.functional.scaled_dot_product_attention(q, q, q).shape
    torch.Size([1, 2, 4])
    """
    _check(query, key, value, attn_mask)
    if is_causal and attn_mask is not None:
        _check_both(query, key, value, attn_mask, dropout_p, enable_gqa)
    width = query.shape[-1]
    factor = (1 / math.sqrt(width) if width else math.inf) if scale is None else scale
    on_host = query._device.type == "cpu"
    if dropout_p == 0.0 and not on_host:
        found = _by_tiles(query, key, value, attn_mask, factor, is_causal, enable_gqa)
        if found is not None:
            return _laid_as(query, found)
    dtype = query.dtype
    if dtype.itemsize == 2:  # 16-bit numbers are computed with in 32 bits, as in PyTorch
        query, key, value = query.float(), key.float(), value.float()
    if on_host:
        found = by_tiles(query, key, value, attn_mask, factor, is_causal, dropout_p, enable_gqa)
        if found is not None:
            return _laid_as(query, found.to(dtype))
    if enable_gqa:
        key, value = _repeated(key, query), _repeated(value, query)
    scores = (query * factor) @ key.transpose(-2, -1)
    hidden = None
    if is_causal:  # every row sees the first position, so that none is blind
        later = ~_causal(query, key)
        scores = scores.masked_fill(later, -math.inf)
    if attn_mask is not None:
        if attn_mask.dtype is dtypes.bool_:
            hidden = ~attn_mask
            scores = scores.masked_fill(hidden, -math.inf)
        else:
            scores = scores + attn_mask
            hidden = scores == -math.inf
        if is_causal:
            hidden = hidden | later
    weights = softmax(scores, -1)
    if hidden is not None:
        blind = hidden.all(-1, keepdim=True)
        if all_values(blind).any():  # a row that sees nobody is zero, not NaN
            weights = softmax(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p, True)
    return _laid_as(query, (weights @ value).to(dtype))


def _laid_as(query: Any, out: Any) -> Any:
    """The result in the order of a query that lies as (batch, position, head, width).

    Also of one that is a part of such a tensor, beside its keys and values. That is what it is for:
    ``transpose(1, 2)`` of it can be viewed as all heads side by side.
    """
    if query.ndim != 4 or query.is_contiguous():
        return out
    strides = query._data.strides
    if strides[1] > strides[2] or out.transpose(1, 2).is_contiguous():
        return out
    return out.transpose(1, 2).contiguous().transpose(1, 2)


def _repeated(x: Any, query: Any) -> Any:
    """Keys or values with as many heads as the query: each serves a group of the query's."""
    if min(x.ndim, query.ndim) < 3:
        raise RuntimeError("enable_gqa needs a dimension of heads: inputs of at least 3 dimensions")
    heads, own = query.shape[-3], x.shape[-3]
    if own == heads:
        return x
    if own == 0 or heads % own:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query, but got "
            f"{own} and {heads}"
        )
    return x.repeat_interleave(heads // own, -3)


def _causal(query: Any, key: Any) -> Any:
    mask = np.tri(query.shape[-2], key.shape[-2], dtype=np.bool_)
    device = query._device
    return wrap(mask if device.type == "cpu" else to_device(mask, device), device)


def _check(query: Any, key: Any, value: Any, attn_mask: Any) -> None:
    if not (query.dtype is key.dtype is value.dtype):
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{query.dtype} key.dtype: {key.dtype} and value.dtype: {value.dtype} instead."
        )
    if query.dtype.category < dtypes.FLOAT:
        raise RuntimeError(f"expected scalar type Float but found {type_name(query._data)}")
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be at least 2 dimensional, but got query.dim: "
            f"{query.ndim}, key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if attn_mask is not None and attn_mask.dtype.category == dtypes.INT:
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {attn_mask.dtype} and query.dtype: {query.dtype} instead."
        )


def _check_both(
    query: Any, key: Any, value: Any, attn_mask: Any, dropout_p: float, enable_gqa: bool
) -> None:
    """Refuse a mask beside ``is_causal`` where PyTorch has no fused kernel for it."""
    all_of = (query, key, value)
    fused = (
        all(x.ndim == 4 and x.shape[-1] == query.shape[-1] for x in all_of)
        and all(x.shape[0] == query.shape[0] and x.stride(-1) == 1 for x in all_of)
        and (enable_gqa or all(x.shape[1] == query.shape[1] for x in all_of))
        and attn_mask.ndim in (2, 4) and not attn_mask.requires_grad and dropout_p == 0.0
    )  # fmt: skip
    if not fused:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True"
        )
