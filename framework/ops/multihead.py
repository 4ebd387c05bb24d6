"""Multi-head attention as one function of its projections' weights."""

from __future__ import annotations

import math
import warnings
from typing import Any

from framework import dtypes
from framework.core.dispatch import composite
from framework.core.registry import function
from framework.ops.attention import scaled_dot_product_attention
from framework.ops.dropout import dropout
from framework.ops.joining import cat
from framework.ops.linear import linear
from framework.ops.padding import pad
from framework.ops.softmax import softmax

__all__ = ["additive_mask", "multi_head_attention_forward"]


def additive_mask(
    mask: Any, name: str, dtype: Any, other: Any = None, other_name: str = ""
) -> Any:  # fmt: skip
    """A mask that is added to the scores: -inf where a boolean one is True.

    Raises:
        AssertionError: ``mask`` is neither boolean nor floating.
    """
    if mask is None:
        return None
    floating = mask.is_floating_point()
    if mask.dtype is not dtypes.bool_ and not floating:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other is not None and other.dtype is not mask.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for "
            "both instead.",
            stacklevel=3,
        )
    if floating:
        return mask
    return mask.new_zeros(mask.shape, dtype=dtype).masked_fill(mask, -math.inf)


def _check_ranks(
    query: Any, key: Any, value: Any, key_padding_mask: Any, attn_mask: Any, num_heads: int
) -> bool:
    """Whether there is a batch; refuses what does not fit together."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            "query should be unbatched 2D or batched 3D tensor but received "
            f"{query.ndim}-D query tensor"
        )
    batched = query.ndim == 3
    kind = "batched (3-D)" if batched else "unbatched (2-D)"
    if key.ndim != query.ndim or value.ndim != query.ndim:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {query.ndim}-D but found "
            f"{key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.ndim != query.ndim - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {query.ndim - 1}-D "
            f"but found {key_padding_mask.ndim}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask.ndim not in (2, 3):
            raise AssertionError(
                f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                f"{attn_mask.ndim}-D tensor instead"
            )
        expected = (num_heads, query.shape[0], key.shape[0])
        if not batched and attn_mask.ndim == 3 and tuple(attn_mask.shape) != expected:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}"
            )
    return batched


def _check_sizes(
    query: Any, key: Any, value: Any, embed_dim: int, num_heads: int, separate: bool
) -> None:
    width = query.shape[-1]
    if width != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {width}")
    if width // num_heads * num_heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if separate:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's "
                f"{value.shape[:2]}"
            )
    elif key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _projected(
    query: Any, key: Any, value: Any, weight: Any, weights: tuple[Any, Any, Any] | None, bias: Any
) -> tuple[Any, Any, Any]:
    """Query, key and value through their input projections; one product for self-attention."""
    biases = (None, None, None) if bias is None else bias.chunk(3)
    if weights is None:
        if weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        if query is key and key is value:
            return linear(query, weight, bias).chunk(3, -1)
        weights = weight.chunk(3)
    for w, name in zip(weights, ("q", "k", "v")):
        if w is None:
            raise AssertionError(
                f"use_separate_proj_weight is True but {name}_proj_weight is None"
            )  # fmt: skip
    q, k, v = [linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]
    return q, k, v


def _pair_mask(mask: Any, heads: int, tgt: int, src: int) -> Any:
    """``attn_mask`` as (1 or batch · heads, tgt, src)."""
    if mask is None:
        return None
    if mask.ndim == 2:
        if tuple(mask.shape) != (tgt, src):
            raise RuntimeError(
                f"The shape of the 2D attn_mask is {mask.shape}, but should be {(tgt, src)}."
            )
        return mask.unsqueeze(0)
    if tuple(mask.shape) != (heads, tgt, src):
        raise RuntimeError(
            f"The shape of the 3D attn_mask is {mask.shape}, but should be {(heads, tgt, src)}."
        )
    return mask


def _extended(x: Any, by: int) -> Any:
    """A mask for keys that were appended: these are always seen."""
    return x if x is None or not by else pad(x, (0, by))


def _static(given: Any, name: str, x: Any, heads: int, width: int) -> Any:
    """A ready-made key or value in place of the projected one."""
    if given is None:
        return x
    for dim, wanted in ((0, heads), (2, width)):
        if given.shape[dim] != wanted:
            raise AssertionError(
                f"expecting {name}.size({dim}) of {wanted}, but got {given.shape[dim]}"
            )
    return given


def _merged(attn_mask: Any, key_mask: Any, batch: int, heads: int, src: int) -> Any:
    """Both masks as one that broadcasts against (batch · heads, tgt, src)."""
    if key_mask is None:
        return attn_mask
    if tuple(key_mask.shape) != (batch, src):
        raise AssertionError(
            f"expecting key_padding_mask shape of {(batch, src)}, but got {key_mask.shape}"
        )
    spread = key_mask.reshape(batch, 1, 1, src).expand(-1, heads, -1, -1)
    spread = spread.reshape(batch * heads, 1, src)
    return spread if attn_mask is None else attn_mask + spread


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    """(output, weights or None) of `nn.MultiheadAttention`, which says what the arguments are.

    Shapes: query (L, N, E) or (L, E), key and value (S, N, ...) or (S, ...); output like query,
    weights (N, L, S), or (N, heads, L, S) unless averaged (Vaswani et al. 2017). Raises:
    AssertionError or RuntimeError for sizes that do not match.

    Args:
        is_causal: ``attn_mask`` is the causal mask; it must be given nevertheless.
        static_k, static_v: (N · heads, S, E / heads), taken in place of the projected ones.

    >>> import framework as torch
    >>> x, eye = torch.ones(3, 1, 4), torch.eye(4)
    >>> output, weights = torch.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 4, 2, torch.cat([eye, eye, eye]), None, None, None, False, 0.0, eye, None
    ... )
    >>> output.shape, weights[0, 0]
    (torch.Size([3, 1, 4]), tensor([0.3333, 0.3333, 0.3333]))
    """
    batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = _with_batch(query, key, value)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    tgt, batch, width = query.shape
    heads = batch * num_heads
    key_padding_mask = additive_mask(
        key_padding_mask, "key_padding_mask", query.dtype, attn_mask, "attn_mask"
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    hinted = is_causal and key_padding_mask is None and not need_weights
    attn_mask = None if hinted else additive_mask(attn_mask, "attn_mask", query.dtype)
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    own = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected(query, key, value, in_proj_weight, own, in_proj_bias)
    attn_mask = _pair_mask(attn_mask, heads, tgt, key.shape[0])

    appended = 0
    if (bias_k is None) != (bias_v is None):
        one, other = ("bias_k", "bias_v") if bias_v is None else ("bias_v", "bias_k")
        raise AssertionError(f"{one} is set but {other} is None")
    if bias_k is not None:
        if static_k is not None or static_v is not None:
            which = "key" if static_k is not None else "value"
            raise AssertionError(f"bias cannot be added to static {which}.")
        k, v = cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])
        appended += 1
    size = width // num_heads
    q, k, v = [x.reshape(x.shape[0], heads, size).transpose(0, 1) for x in (q, k, v)]
    k, v = _static(static_k, "static_k", k, heads, size), _static(
        static_v, "static_v", v, heads, size)  # fmt: skip
    if add_zero_attn:
        zeros = k.new_zeros((heads, 1, size))
        k, v = cat([k, zeros], 1), cat([v, zeros], 1)
        appended += 1
    src = k.shape[1]
    mask = _merged(_extended(attn_mask, appended), _extended(key_padding_mask, appended), batch,
                   num_heads, src)  # fmt: skip
    drop = dropout_p if training else 0.0
    if need_weights:
        mixed, weights = _weighted(q, k, v, mask, drop)
        weights = weights.reshape(batch, num_heads, tgt, src)
        if average_attn_weights:
            weights = weights.mean(1)
    else:
        mixed, weights = _unweighted(q, k, v, mask, drop, hinted, batch, num_heads), None
    mixed = mixed.transpose(0, 1).reshape(tgt * batch, width)
    output = linear(mixed, out_proj_weight, out_proj_bias)
    output = output.reshape(tgt, batch, output.shape[1])
    if not batched:
        output = output.squeeze(1)
        weights = None if weights is None else weights.squeeze(0)
    return output, weights


def _with_batch(*tensors: Any) -> list[Any]:
    """A batch of one in dimension 1; what was one tensor stays one."""
    made: dict[int, Any] = {}
    for x in tensors:
        if id(x) not in made:
            made[id(x)] = x.unsqueeze(1)
    return [made[id(x)] for x in tensors]


def _weighted(q: Any, k: Any, v: Any, mask: Any, drop: float) -> tuple[Any, Any]:
    scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
    if mask is not None:
        scores = scores + mask
    weights = softmax(scores, -1)
    if drop > 0.0:
        weights = dropout(weights, drop)
    return weights @ v, weights


def _unweighted(
    q: Any, k: Any, v: Any, mask: Any, drop: float, is_causal: bool, batch: int, heads: int
) -> Any:
    def split(x: Any) -> Any:
        return x.reshape(batch, heads, *x.shape[1:])

    if mask is not None:  # the unknown size makes PyTorch refuse empty sequences and batches
        known = mask.shape[0] == 1
        mask = mask.unsqueeze(0) if known else mask.reshape(batch, heads, -1, mask.shape[-1])
    mixed = scaled_dot_product_attention(split(q), split(k), split(v), mask, drop, is_causal)
    return mixed.reshape(q.shape[0], q.shape[1], v.shape[-1])
