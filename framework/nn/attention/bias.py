"""Causal masks for attention between sequences of different lengths, by name of their corner."""

from __future__ import annotations

import warnings
from enum import IntEnum, auto
from typing import Any

from framework.ops import attention
from framework.ops.creation import ones
from framework.tensor import Tensor

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(IntEnum):
    """Which corner of a mask that is not square its diagonal meets.

    Decides the values of a `CausalBias`, not its shape (L, S) or dtype, bool. ValueError for
    another number.

    >>> from framework.nn.attention.bias import CausalVariant
    >>> CausalVariant.LOWER_RIGHT.name
    'LOWER_RIGHT'
    """

    UPPER_LEFT = auto()
    LOWER_RIGHT = auto()


class CausalBias(Tensor):
    """A causal mask that `scaled_dot_product_attention` takes as ``attn_mask``.

    Shape (L, S), dtype bool. AssertionError for a variant that is none. A lower right one for more
    queries than keys warns: its first rows see nobody.

    Args:
        variant: UPPER_LEFT: position i sees keys up to i; LOWER_RIGHT: the last sees all keys.
        seq_len_q: number of queries, L.
        seq_len_kv: number of keys, S.

    >>> from framework.nn.attention.bias import CausalBias, CausalVariant
    >>> CausalBias(CausalVariant.LOWER_RIGHT, 2, 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """

    def __new__(cls, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> CausalBias:
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant).__name__}")
        offset = seq_len_kv - seq_len_q if variant is CausalVariant.LOWER_RIGHT else 0
        mask = ones(seq_len_q, seq_len_kv).bool().tril(offset)
        return mask.as_subclass(cls)

    def __init__(self, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> None:
        self.variant, self.seq_len_q, self.seq_len_kv = variant, seq_len_q, seq_len_kv
        if seq_len_q > seq_len_kv and variant is CausalVariant.LOWER_RIGHT:
            warnings.warn(
                "Lower right causal bias will produce NaNs in the output when seq_len_q > "
                "seq_len_kv!",
                stacklevel=2,
            )

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == "scaled_dot_product_attention":
            return _attend(*args, **kwargs)
        return super().__torch_function__(func, types, args, kwargs)  # type: ignore[misc]

    def __repr__(self, **options: Any) -> str:
        return repr(self.as_subclass(Tensor))


def _attend(
    query: Any, key: Any, value: Any, attn_mask: CausalBias, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if is_causal:
        raise ValueError("CausalBias should not be used with causal=True")
    mask = attn_mask.as_subclass(Tensor).to(query.device)
    return attention.scaled_dot_product_attention(
        query, key, value, mask, dropout_p, False, scale, enable_gqa
    )


def causal_upper_left(*size: int) -> CausalBias:
    """A mask of (L, S) where query i sees the keys up to i: that of ``is_causal=True``.

    AssertionError for anything but two sizes. Its dtype is bool.

    >>> from framework.nn.attention.bias import causal_upper_left
    >>> causal_upper_left(2, 3)
    tensor([[ True, False, False],
            [ True,  True, False]])
    """
    if len(size) != 2:
        raise AssertionError("causal_upper_left only supports 2D tensors")
    return CausalBias(CausalVariant.UPPER_LEFT, *size)


def causal_lower_right(*size: int) -> CausalBias:
    """A mask of (L, S) where the last query sees all keys, as when keys of the past are kept.

    AssertionError for anything but two sizes. Its dtype is bool.

    >>> import framework as torch
    >>> from framework.nn.attention.bias import causal_lower_right
    >>> q, kv = torch.ones(1, 2, 4), torch.ones(1, 3, 4)
    >>> torch.nn.functional.scaled_dot_product_attention(q, kv, kv, causal_lower_right(2, 3)).shape
    torch.Size([1, 2, 4])
    """
    if len(size) != 2:
        raise AssertionError("causal_lower_right only supports 2D tensors")
    return CausalBias(CausalVariant.LOWER_RIGHT, *size)
