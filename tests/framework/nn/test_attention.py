"""Multi-head attention against its formula; the transformer's layers, masks and stacks."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.nn import functional as F


def close(a, b) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-9)


def reference(layer: nn.MultiheadAttention, q, k, v, mask=None):
    """Loops over samples and heads; q, k, v (N, L, E), mask (L, S) to be added."""
    wq, wk, wv = (w.detach().numpy() for w in layer.in_proj_weight.chunk(3))
    bq, bk, bv = (b.detach().numpy() for b in layer.in_proj_bias.chunk(3))
    size, outs, weights = layer.head_dim, [], []
    for qi, ki, vi in zip(q.numpy(), k.numpy(), v.numpy()):
        heads, maps = [], []
        for h in range(layer.num_heads):
            part = slice(h * size, (h + 1) * size)
            a = (qi @ wq.T + bq)[:, part] @ (ki @ wk.T + bk)[:, part].T / math.sqrt(size)
            a = a if mask is None else a + mask
            p = np.exp(a - a.max(-1, keepdims=True))
            p /= p.sum(-1, keepdims=True)
            heads.append(p @ (vi @ wv.T + bv)[:, part])
            maps.append(p)
        out = np.concatenate(heads, -1) @ layer.out_proj.weight.detach().numpy().T
        outs.append(out + layer.out_proj.bias.detach().numpy())
        weights.append(maps)
    return torch.tensor(np.array(outs)), torch.tensor(np.array(weights))


@pytest.mark.parametrize("masked", [False, True])
def test_against_the_formula(masked) -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    nn.init.normal_(layer.in_proj_bias)
    q, k, v = (torch.randn(3, n, 8, dtype=torch.float64) for n in (4, 5, 5))
    hidden = torch.ones(4, 5, dtype=torch.bool).triu(2) if masked else None
    added = np.where(hidden.numpy(), -np.inf, 0) if masked else None
    out, weights = layer(q, k, v, attn_mask=hidden, average_attn_weights=False)
    expected, maps = reference(layer, q, k, v, added)
    close(out, expected)
    close(weights, maps)
    close(layer(q, k, v, attn_mask=hidden)[1], maps.mean(1))
    again, none = layer(q, k, v, attn_mask=hidden, need_weights=False)
    close(again, expected)
    assert none is None


def test_layouts_agree() -> None:
    first = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    second = nn.MultiheadAttention(8, 2, dtype=torch.float64)
    second.load_state_dict(first.state_dict())
    x = torch.randn(3, 4, 8, dtype=torch.float64)
    y = x.transpose(0, 1)
    close(first(x, x, x)[0], second(y, y, y)[0].transpose(0, 1))
    close(first(x[1], x[1], x[1])[0], first(x, x, x)[0][1])


def test_hidden_keys_do_not_matter() -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    x = torch.randn(2, 4, 8, dtype=torch.float64)
    other = x.clone()
    other[1, 2:] = 7.0
    padding = torch.tensor([[False] * 4, [False, False, True, True]])
    close(layer(x, x, x, padding)[0][1, :2], layer(x, other, other, padding)[0][1, :2])


def test_parameters_of_every_kind() -> None:
    layer = nn.MultiheadAttention(8, 2, kdim=3, vdim=5, add_bias_kv=True, bias=False)
    assert [k for k, _ in layer.named_parameters()] == [
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "bias_k", "bias_v", "out_proj.weight",
    ]  # fmt: skip
    with pytest.raises(AssertionError, match="divisible by num_heads"):
        nn.MultiheadAttention(8, 3)
    with pytest.raises(AssertionError, match="only bool and floating types of attn_mask"):
        x = torch.zeros(1, 8)
        nn.MultiheadAttention(8, 2)(x, x, x, attn_mask=torch.zeros(1, 1, dtype=torch.int64))


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer_is_its_parts(norm_first) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", norm_first=norm_first,
                                       batch_first=True, dtype=torch.float64)  # fmt: skip
    x = torch.randn(2, 4, 8, dtype=torch.float64)
    attend = lambda a: layer.self_attn(a, a, a)[0]  # noqa: E731
    feed = lambda a: layer.linear2(F.gelu(layer.linear1(a)))  # noqa: E731
    if norm_first:
        y = x + attend(layer.norm1(x))
        y = y + feed(layer.norm2(y))
    else:
        y = layer.norm1(x + attend(x))
        y = layer.norm2(y + feed(y))
    close(layer(x), y)


def test_causal_decoder_does_not_look_ahead() -> None:
    model = nn.Transformer(8, 2, 1, 2, 16, 0.0, batch_first=True, dtype=torch.float64)
    mask = nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.float64)
    src, tgt = (torch.randn(2, n, 8, dtype=torch.float64) for n in (5, 4))
    changed = tgt.clone()
    changed[:, 3] += 1.0
    a, b = model(src, tgt, tgt_mask=mask), model(src, changed, tgt_mask=mask)
    close(a[:, :3], b[:, :3])
    assert (a[:, 3] - b[:, 3]).abs().max() > 1e-3
    with pytest.raises(RuntimeError, match="batch number of src and tgt"):
        model(src, tgt[:1])


def test_encoder_clones_its_layer_and_zeroes_padding_in_inference() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dtype=torch.float64)
    encoder = nn.TransformerEncoder(copy.deepcopy(layer), 2).eval()
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight
    x = torch.randn(2, 4, 8, dtype=torch.float64)
    padding = torch.tensor([[False] * 4, [False, False, True, True]])
    seen = encoder(x, src_key_padding_mask=padding)
    with torch.no_grad():
        fast = encoder(x, src_key_padding_mask=padding)
    assert seen[1, 2:].abs().max() > 0 and not fast[1, 2:].any()  # as PyTorch's inference path
    close(seen[0], fast[0])
    close(seen[1, :2], fast[1, :2])
    with pytest.warns(UserWarning, match="use_nested_tensor is False because"):
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 1)
