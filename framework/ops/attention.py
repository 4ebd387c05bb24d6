"""Scaled dot product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite
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

__all__ = ["scaled_dot_product_attention"]

# -- long sequences on a device -----------------------------------------------------------------

LARGE = 1 << 28  # bytes of scores, from which on they are not kept


def _scores(q: Any, k: Any, scale: float, causal: bool) -> Any:
    xp = module_of(q)
    scores = xp.matmul(q, k.swapaxes(-1, -2)) * q.dtype.type(scale)
    if causal:
        seen = xp.arange(k.shape[1]) <= xp.arange(q.shape[1])[:, None]
        scores = xp.where(seen, scores, q.dtype.type(-np.inf))
    return scores


def _attention_kernel(q: Any, k: Any, v: Any, *, scale: float, causal: bool) -> Any:
    dtype = q.dtype
    q, k, v = wide(q), wide(k), wide(v)
    scores = _scores(q, k, scale, causal)
    top = scores.max(-1, keepdims=True)
    shares = np.exp(scores - top)
    total = shares.sum(-1, keepdims=True)
    out = module_of(q).matmul(shares / total, v).astype(dtype, copy=False)
    return out, (top + np.log(total))[..., 0]


def _attention_backward_kernel(
    g: Any, for_logs: Any, q: Any, k: Any, v: Any, out: Any, logs: Any, *, scale: float,
    causal: bool,
) -> Any:  # fmt: skip
    dtype = q.dtype
    g, q, k, v, out = (wide(a) for a in (g, q, k, v, out))
    shares = np.exp(_scores(q, k, scale, causal) - logs[..., None])
    slopes = (g * out).sum(-1)
    if for_logs is not None:
        slopes = slopes - for_logs
    xp = module_of(q)
    d = shares * (xp.matmul(g, v.swapaxes(-1, -2)) - slopes[..., None]) * q.dtype.type(scale)
    found = (
        xp.matmul(d, k),
        xp.matmul(d.swapaxes(-1, -2), q),
        xp.matmul(shares.swapaxes(-1, -2), g),
    )
    return tuple([a.astype(dtype, copy=False) for a in found])


ATTENTION_BACKWARD = op(
    "attention_backward", _attention_backward_kernel, "grad for_logs q k v out logs"
)


def _attention_grads(
    g: Any, q: Any, k: Any, v: Any, y0: Any, y1: Any, scale: float, causal: bool
) -> tuple[Any, Any, Any]:
    """By tiles; where a graph of it is wanted, with the scores, in differentiable ops."""
    grad, for_logs = g
    if grad is None:
        grad = y0 * 0
    if not modes.grad:
        return apply(ATTENTION_BACKWARD, grad, for_logs, q, k, v, y0, y1, scale=scale,
                     causal=causal)  # fmt: skip
    scores = (q * scale) @ k.transpose(-2, -1)
    if causal:
        scores = scores.masked_fill(~_causal(q, k), -math.inf)
    shares = softmax(scores, -1)
    slopes = (grad * (shares @ v)).sum(-1, keepdim=True)
    if for_logs is not None:
        slopes = slopes - for_logs.unsqueeze(-1)
    d = shares * (grad @ v.transpose(-2, -1) - slopes) * scale
    return d @ k, d.transpose(-2, -1) @ q, shares.transpose(-2, -1) @ grad


ATTENTION = op(
    "attention", _attention_kernel, "q k v", grad=_attention_grads,
    samples=lambda s: [
        ((s(2, 3, 4), s(2, 5, 4), s(2, 5, 4)), {"scale": 0.5, "causal": False}),
        ((s(1, 4, 2), s(1, 4, 2), s(1, 4, 2)), {"scale": 0.7, "causal": True}),
    ],
)  # fmt: skip


def _by_tiles(query: Any, key: Any, value: Any, factor: float, causal: bool) -> Any:
    """Attention by one op that keeps no scores; None where scores are few, or the op is not for it.

    Without it the scores are a matrix for each head, which can be looked at.
    """
    if query._device.type != "cuda" or not own.fits(query._data, key._data, value._data):
        return None
    lead = query.shape[:-2]
    if key.shape != value.shape or key.shape[:-2] != lead:
        return None
    length, count = query.shape[-2], key.shape[-2]
    if math.prod(lead) * length * count * query._data.dtype.itemsize < LARGE:
        return None
    three = [t.reshape(-1, *t.shape[-2:]) for t in (query, key, value)]
    return apply(ATTENTION, *three, scale=factor, causal=causal)[0].reshape(query.shape)


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
    if enable_gqa and not on_host:
        key, value = _repeated(key, query), _repeated(value, query)
    if attn_mask is None and dropout_p == 0.0 and not on_host:
        found = _by_tiles(query, key, value, factor, is_causal)
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

    That is what it is for: ``transpose(1, 2)`` of it can be viewed as all heads side by side.
    """
    if query.ndim != 4 or query.is_contiguous() or not query.transpose(1, 2).is_contiguous():
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
