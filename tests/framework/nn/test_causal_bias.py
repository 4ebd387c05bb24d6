"""Causal masks of `nn.attention.bias` in scaled dot product attention."""

from __future__ import annotations

import pytest

import framework as torch
from framework.nn import functional as F
from framework.nn.attention.bias import (
    CausalBias,
    CausalVariant,
    causal_lower_right,
    causal_upper_left,
)


def _inputs():
    torch.manual_seed(0)
    return torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 4)


def test_the_upper_left_one_is_is_causal():
    q, k, v = _inputs()
    mine = F.scaled_dot_product_attention(q, k, v, attn_mask=causal_upper_left(3, 5))
    assert type(mine) is torch.Tensor
    assert torch.allclose(mine, F.scaled_dot_product_attention(q, k, v, is_causal=True))


def test_the_lower_right_one_sees_all_keys_last():
    q, k, v = _inputs()
    q.requires_grad_()
    mask = torch.ones(3, 5).tril(2).bool()
    mine = F.scaled_dot_product_attention(q, k, v, causal_lower_right(3, 5))
    assert torch.allclose(mine, F.scaled_dot_product_attention(q, k, v, mask))
    mine.sum().backward()
    assert q.grad is not None


def test_refusals_and_the_warning():
    q, k, v = _inputs()
    with pytest.raises(ValueError, match="causal=True"):
        F.scaled_dot_product_attention(q, k, v, causal_upper_left(3, 5), is_causal=True)
    with pytest.raises(AssertionError, match="CausalVariant, got int"):
        CausalBias(1, 2, 3)
    with pytest.raises(AssertionError, match="2D"):
        causal_lower_right(1, 2, 3)
    with pytest.warns(UserWarning, match="NaNs"):
        CausalBias(CausalVariant.LOWER_RIGHT, 3, 2)
