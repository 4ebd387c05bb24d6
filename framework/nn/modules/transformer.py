"""The transformer of "Attention is all you need" (Vaswani et al. 2017) and its parts."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

from framework.core.modes import modes
from framework.nn import functional as F
from framework.nn import init
from framework.nn.modules.activation import GELU, ReLU
from framework.nn.modules.attention import MultiheadAttention, additive_mask
from framework.nn.modules.container import ModuleList
from framework.nn.modules.dropout import Dropout
from framework.nn.modules.linear import Linear
from framework.nn.modules.module import Module
from framework.nn.modules.normalization import LayerNorm
from framework.ops.creation import full
from framework.ops.diagonals import triu

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer",
]  # fmt: skip


class _Layer(Module):
    """What encoder and decoder layers share."""

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Any = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        made = {"device": device, "dtype": dtype}
        for name in self._attentions:
            part: Module = MultiheadAttention(
                d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **made
            )
            self.add_module(name, part)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **made)
        self.norm_first = norm_first
        count = len(self._attentions) + 1
        for i in range(1, count + 1):
            part = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
            self.add_module(f"norm{i}", part)
        for i in range(1, count + 1):
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = act = _get_activation_fn(activation)
        if count == 2:
            gelu = act is F.gelu or isinstance(act, GELU)
            relu = act is F.relu or isinstance(act, ReLU)
            self.activation_relu_or_gelu = 1 if relu else 2 if gelu else 0

    _attentions: tuple[str, ...] = ("self_attn",)

    def _feed_forward(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _sa_block(self, x: Any, mask: Any, padding: Any, is_causal: bool = False) -> Any:
        x = self.self_attn(
            x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False,
            is_causal=is_causal,
        )[0]  # fmt: skip
        return self.dropout1(x)


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward net, each with a residual connection and a norm.

    (S, N, d_model) to the same, (N, S, d_model) with ``batch_first``, or (S, d_model). Called with
    ``src``, ``src_mask`` (S, S) and ``src_key_padding_mask`` (N, S), as `MultiheadAttention` has
    them.

    Args:
        dim_feedforward: the hidden size of the feed-forward net.
        activation: a function, or "relu" or "gelu" (RuntimeError for other names).
        norm_first: normalise before each part instead of after it.

    AssertionError if ``nhead`` does not divide ``d_model`` and for another width, RuntimeError for
    a mask of another shape. Dtypes: float types, the weights'. Vaswani et al., "Attention is all
    you need", 2017; ``norm_first`` as in Xiong et al., "On layer normalization in the transformer
    architecture", 2020.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> layer(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:  # fmt: skip
        padding = additive_mask(
            src_key_padding_mask, "src_key_padding_mask", src.dtype, src_mask, "src_mask"
        )
        mask = additive_mask(src_mask, "src_mask", src.dtype)
        x = src
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), mask, padding, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._sa_block(x, mask, padding, is_causal))
        return self.norm2(x + self._ff_block(x))

    def _ff_block(self, x: Any) -> Any:
        return self.dropout2(self._feed_forward(x))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's result ("memory"), and a feed-forward net.

    ``tgt`` (T, N, d_model) and ``memory`` (S, N, d_model) to (T, N, d_model); masks for both,
    ``tgt_mask`` (T, T) and ``memory_mask`` (T, S), and key padding masks (N, T) and (N, S).
    Arguments and errors as of `TransformerEncoderLayer`. AssertionError for another width of
    ``tgt``, RuntimeError for batches that differ. Dtypes: float types, the weights'.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.TransformerDecoderLayer(8, 2, 16)
    >>> layer(torch.zeros(4, 3, 8), torch.zeros(5, 3, 8)).shape
    torch.Size([4, 3, 8])
    """

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self, tgt: Any, memory: Any, tgt_mask: Any = None, memory_mask: Any = None,
        tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        x = tgt
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        across = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), *across)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, *across))
        return self.norm3(x + self._ff_block(x))

    def _mha_block(
        self, x: Any, mem: Any, mask: Any, padding: Any, is_causal: bool = False
    ) -> Any:  # fmt: skip
        x = self.multihead_attn(
            x, mem, mem, attn_mask=mask, key_padding_mask=padding, need_weights=False,
            is_causal=is_causal,
        )[0]  # fmt: skip
        return self.dropout2(x)

    def _ff_block(self, x: Any) -> Any:
        return self.dropout3(self._feed_forward(x))


class TransformerEncoder(Module):
    """``num_layers`` copies of an encoder layer, and a norm at the end if one is given.

    All start with the same values. Shapes and masks (``mask``) as of `TransformerEncoderLayer`;
    whether the mask is the causal one is looked up unless ``is_causal`` says so.
    ``enable_nested_tensor`` says that padded places may become 0 in evaluation, as in PyTorch's
    inference path; it warns if ``encoder_layer`` is not fit for that. AssertionError for another
    width, RuntimeError for a mask of another shape, TypeError for a layer that is no module.
    Dtypes: float types, the layers'.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> nn.TransformerEncoder(layer, num_layers=2)(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self, encoder_layer: Any, num_layers: int, norm: Module | None = None,
        enable_nested_tensor: bool = True, mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        problem = _why_not_nested(encoder_layer)
        self.use_nested_tensor = enable_nested_tensor and not problem
        if enable_nested_tensor and problem:
            warnings.warn(
                "enable_nested_tensor is True, but self.use_nested_tensor is False because "
                f"{problem}",
                stacklevel=2,
            )

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None,
        is_causal: bool | None = None,
    ) -> Any:  # fmt: skip
        padding = additive_mask(
            src_key_padding_mask, "src_key_padding_mask", src.dtype, mask, "mask"
        )
        mask = additive_mask(mask, "mask", src.dtype)
        batch_first = self.layers[0].self_attn.batch_first
        causal = _is_causal(mask, is_causal, _length(src, batch_first))
        output = src
        for layer in self.layers:
            output = layer(
                output, src_mask=mask, is_causal=causal, src_key_padding_mask=padding
            )  # fmt: skip
        if self._leaves_padding_out(src, mask, padding):
            # PyTorch's inference path computes without the padding and puts zeros there.
            output = output.masked_fill((padding == -math.inf).unsqueeze(-1), 0.0)
        return output if self.norm is None else self.norm(output)

    def _leaves_padding_out(self, src: Any, mask: Any, padding: Any) -> bool:
        first = self.layers[0]
        if not self.use_nested_tensor or first.training or src.ndim != 3:
            return False
        if padding is None or mask is not None:
            return False
        from framework.backends import mha

        if not mha.get_fastpath_enabled():
            return False
        used = (src, *first.parameters())
        if modes.grad and any(t.requires_grad for t in used):
            return False
        seen = (padding != -math.inf).long()
        return not self.mask_check or bool((seen.diff(dim=1) <= 0).all())  # padding at the end


def _why_not_nested(layer: Any) -> str:
    """Why PyTorch's inference path for padded batches would not be used; "" if it would."""
    name = "encoder_layer"
    if not isinstance(layer, TransformerEncoderLayer):
        return f"{name} was not TransformerEncoderLayer"
    attention = layer.self_attn
    if layer.norm_first:
        return f"{name}.norm_first was True"
    if not attention.batch_first:
        return (
            f"{name}.self_attn.batch_first was not True(use batch_first for better inference "
            "performance)"
        )
    if not attention._qkv_same_embed_dim:
        return f"{name}.self_attn._qkv_same_embed_dim was not True"
    if attention.in_proj_bias is None:
        return f"{name}.self_attn was passed bias=False"
    if not layer.activation_relu_or_gelu:
        return f"{name}.activation_relu_or_gelu was not True"
    if layer.norm1.eps != layer.norm2.eps:
        return f"{name}.norm1.eps was not equal to {name}.norm2.eps"
    if attention.num_heads % 2:
        return f"{name}.self_attn.num_heads is odd"
    return ""


class TransformerDecoder(Module):
    """``num_layers`` copies of a decoder layer, and a norm at the end if one is given.

    All start with the same values. Shapes and masks as of `TransformerDecoderLayer`. AssertionError
    for another width of ``tgt``, RuntimeError for batches that differ. Dtypes: float types, the
    layers'.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> nn.TransformerDecoder(layer, 2)(torch.zeros(3, 4, 8), torch.zeros(3, 5, 8)).shape
    torch.Size([3, 4, 8])
    """

    def __init__(self, decoder_layer: Any, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self, tgt: Any, memory: Any, tgt_mask: Any = None, memory_mask: Any = None,
        tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        length = _length(tgt, self.layers[0].self_attn.batch_first)
        causal = _is_causal(tgt_mask, tgt_is_causal, length)
        output = tgt
        for layer in self.layers:
            output = layer(
                output, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """Encoder and decoder together: (S, N, d_model), (T, N, d_model) to (T, N, d_model).

    Called with (src, tgt) and masks as `TransformerEncoder` and `TransformerDecoder` have them.
    With ``batch_first`` the batch comes first; N may be missing. Weights of two dimensions start as
    `nn.init.xavier_uniform_` has them. ``custom_encoder`` and ``custom_decoder`` take the places of
    the stacks made here. RuntimeError for batch or feature sizes that differ, AssertionError if
    ``nhead`` does not divide ``d_model``. Dtypes: float types, the weights'.

    >>> import framework as torch
    >>> from framework import nn
    >>> model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> model(torch.zeros(3, 5, 8), torch.zeros(3, 4, 8)).shape
    torch.Size([3, 4, 8])
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6,
        num_decoder_layers: int = 6, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Any = F.relu, custom_encoder: Any = None, custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        made = {"device": device, "dtype": dtype}
        layer = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
            norm_first, bias, device, dtype,
        )  # fmt: skip
        if custom_encoder is None:
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
            one = TransformerEncoderLayer(*layer)
            custom_encoder = TransformerEncoder(one, num_encoder_layers, norm)
        self.encoder = custom_encoder
        if custom_decoder is None:
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
            other = TransformerDecoderLayer(*layer)
            custom_decoder = TransformerDecoder(other, num_decoder_layers, norm)
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self, src: Any, tgt: Any, src_mask: Any = None, tgt_mask: Any = None,
        memory_mask: Any = None, src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
        """(sz, sz) with -inf above the diagonal and 0 elsewhere.

        RuntimeError for a negative size.

        >>> from framework import nn
        >>> nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return triu(full((sz, sz), -math.inf, dtype=dtype, device=device), 1)

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)


def _get_clones(module: Module, N: int) -> ModuleList:
    return ModuleList([copy.deepcopy(module) for _ in range(N)])


def _get_activation_fn(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {given}")
    return F.relu if given == "relu" else F.gelu


def _length(x: Any, batch_first: bool) -> int:
    return x.shape[1 if batch_first and x.ndim == 3 else 0]


def _is_causal(mask: Any, told: bool | None, size: int) -> bool:
    """Whether ``mask`` is the causal one: as told, else by looking."""
    if told is not None or mask is None:
        return told is True
    causal = Transformer.generate_square_subsequent_mask(size, mask.device, mask.dtype)
    return mask.shape == causal.shape and bool((mask == causal).all())
