"""Multi-head attention, and how its masks are brought into one form."""

from __future__ import annotations

from typing import Any

from framework.nn import functional as F
from framework.nn import init
from framework.nn.modules.factories import empty
from framework.nn.modules.linear import NonDynamicallyQuantizableLinear
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter
from framework.ops.multihead import additive_mask

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """softmax(Q Kᵀ / sqrt(head_dim)) V in several heads, between learnt projections.

    Shapes: query (L, N, E), key (S, N, kdim), value (S, N, vdim), with ``batch_first`` (N, L, E)
    and so on, without a batch (L, E); output like the query; weights (N, L, S) or, unless averaged,
    (N, heads, L, S). The projections' weights start as `nn.init.xavier_uniform_` has them, but for
    ``out_proj``, a `Linear`; biases at 0. Vaswani et al., "Attention is all you need", 2017.

    Args:
        dropout: of the attention weights, in training.
        add_bias_kv: append a learnt key and value to the sequences.
        add_zero_attn: append a key and value of zeros.

    Errors: ValueError for sizes that are not positive, AssertionError if ``num_heads`` does not
    divide ``embed_dim``; in a call AssertionError for a query of another width or number of
    dimensions, keys and values that differ in their shapes, and a ``key_padding_mask`` that is not
    (N, S); RuntimeError for batches that differ and an ``attn_mask`` of another shape. Dtypes:
    float types, the weights' (RuntimeError for another); masks are bool or float.

    >>> import framework as torch
    >>> from framework import nn
    >>> attention = nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = torch.zeros(3, 5, 8)
    >>> output, weights = attention(x, x, x)
    >>> output.shape, weights.shape
    (torch.Size([3, 5, 8]), torch.Size([3, 5, 5]))
    """

    bias_k: Any
    bias_v: Any

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
        vdim: int | None = None, batch_first: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        made = {"device": device, "dtype": dtype}
        shapes: dict[str, tuple[int, ...]] = {}
        if self._qkv_same_embed_dim:
            shapes["in_proj_weight"] = (3 * embed_dim, embed_dim)
        else:
            shapes["q_proj_weight"] = (embed_dim, embed_dim)
            shapes["k_proj_weight"] = (embed_dim, self.kdim)
            shapes["v_proj_weight"] = (embed_dim, self.vdim)
        for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_weight"):
            made_here = Parameter(empty(shapes[name], **made)) if name in shapes else None
            self.register_parameter(name, made_here)
        bias_here = Parameter(empty(3 * embed_dim, **made)) if bias else None
        self.register_parameter("in_proj_bias", bias_here)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **made)
        self.bias_k = self.bias_v = None
        if add_bias_kv:
            self.bias_k = Parameter(empty((1, 1, embed_dim), **made))
            self.bias_v = Parameter(empty((1, 1, embed_dim), **made))
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = getattr(self, name)
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self, query: Any, key: Any, value: Any, key_padding_mask: Any = None,
        need_weights: bool = True, attn_mask: Any = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """(output, weights or None).

        Args:
            key_padding_mask: (N, S): True (or -inf) for keys that nobody shall see.
            need_weights: False: None instead of the weights.
            attn_mask: (L, S) or (N · heads, L, S): True for pairs that shall not meet, or numbers
                to be added to the scores.
            average_attn_weights: the weights' mean over the heads, instead of all of them.
            is_causal: ``attn_mask`` is the causal mask (only a hint).

        >>> import framework as torch
        >>> attention, x = torch.nn.MultiheadAttention(4, 1), torch.zeros(2, 1, 4)
        >>> future = torch.ones(2, 2, dtype=torch.bool).triu(1)
        >>> attention(x, x, x, attn_mask=future)[1].detach()
        tensor([[[1.0000, 0.0000],
                 [0.5000, 0.5000]]])
        """
        key_padding_mask = additive_mask(
            key_padding_mask, "key_padding_mask", query.dtype, attn_mask, "attn_mask"
        )
        attn_mask = additive_mask(attn_mask, "attn_mask", query.dtype)
        turned = self.batch_first and query.ndim == 3
        if turned:
            query, key, value = _turned(query, key, value)
        own: dict[str, Any] = {}
        if not self._qkv_same_embed_dim:
            own = {
                "use_separate_proj_weight": True, "q_proj_weight": self.q_proj_weight,
                "k_proj_weight": self.k_proj_weight, "v_proj_weight": self.v_proj_weight,
            }  # fmt: skip
        output, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight,
            self.in_proj_bias, self.bias_k, self.bias_v, self.add_zero_attn, self.dropout,
            self.out_proj.weight, self.out_proj.bias, training=self.training,
            key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
            average_attn_weights=average_attn_weights, is_causal=is_causal, **own,
        )  # fmt: skip
        return (output.transpose(1, 0) if turned else output), weights

    def merge_masks(
        self, attn_mask: Any, key_padding_mask: Any, query: Any
    ) -> tuple[Any, int | None]:
        """Both masks as one of shape (N, heads, L, L), and its kind in PyTorch's numbers.

        0: ``attn_mask`` alone, 1: ``key_padding_mask`` alone, 2: both.

        >>> import framework as torch
        >>> from framework import nn
        >>> mask, padding, query = torch.zeros(5, 5), torch.zeros(3, 5), torch.zeros(3, 5, 8)
        >>> merged, kind = nn.MultiheadAttention(8, 2).merge_masks(mask, padding, query)
        >>> merged.shape, kind
        (torch.Size([3, 2, 5, 5]), 2)
        """
        merged, kind = None, None
        if key_padding_mask is not None:
            merged, kind = key_padding_mask, 1
        if attn_mask is not None:
            n, length = query.shape[:2]
            if attn_mask.ndim == 3:
                expanded = attn_mask.view(n, -1, length, length)
            else:
                expanded = attn_mask.view(1, 1, length, length).expand(
                    n, self.num_heads, -1, -1
                )  # fmt: skip
            merged, kind = expanded, 0
            if key_padding_mask is not None:
                padding = key_padding_mask.view(n, 1, 1, length)
                merged, kind = expanded + padding.expand(-1, self.num_heads, -1, -1), 2
        return merged, kind


def _turned(query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
    """(N, L, E) to (L, N, E); what was one tensor stays one."""
    made: dict[int, Any] = {}
    for x in (query, key, value):
        if id(x) not in made:
            made[id(x)] = x.transpose(1, 0)
    return made[id(query)], made[id(key)], made[id(value)]
