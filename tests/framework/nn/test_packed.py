"""Packed sequences, and recurrent layers over them: every sequence as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.nn.utils import rnn


def close(a, b) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12)


def sequences(*lengths: int) -> list:
    return [torch.randn(n, 3, dtype=torch.float64) for n in lengths]


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("lengths", [(5, 3, 3, 1), (2, 5, 1, 5)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_equals_one_by_one(kind, lengths, bidirectional) -> None:
    torch.manual_seed(0)
    layer = kind(3, 4, 2, bidirectional=bidirectional, dtype=torch.float64)
    xs = sequences(*lengths)
    packed, state = layer(rnn.pack_sequence(xs, enforce_sorted=False))
    for i, (x, out) in enumerate(zip(xs, rnn.unpack_sequence(packed))):
        alone, last = layer(x)
        close(out, alone)
        pairs = zip(state, last) if kind is nn.LSTM else [(state, last)]
        for together, single in pairs:
            close(together[:, i], single)


def test_gradients_flow_to_the_padded_input_and_not_into_padding() -> None:
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    packed = rnn.pack_padded_sequence(x, [4, 2], batch_first=True)
    out, _ = nn.GRU(3, 2, dtype=torch.float64)(packed)
    rnn.pad_packed_sequence(out)[0].sum().backward()
    assert x.grad[0].abs().min() > 0 and x.grad[1, :2].abs().min() > 0
    assert not x.grad[1, 2:].any()


def test_pack_and_pad_are_inverse() -> None:
    x = torch.arange(24.0).view(3, 4, 2)
    packed = rnn.pack_padded_sequence(x, torch.tensor([2, 4, 1]), True, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [3, 2, 1, 1]
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    padded, lengths = rnn.pad_packed_sequence(packed, True, padding_value=-1.0, total_length=5)
    assert lengths.tolist() == [2, 4, 1] and padded.shape == (3, 5, 2)
    close(padded[0, :2], x[0, :2])
    assert (padded[0, 2:] == -1).all() and (padded[2, 1:] == -1).all()
    assert packed.to(torch.float64).data.dtype is torch.float64


def test_refusals() -> None:
    x = torch.zeros(3, 2, 1)
    with pytest.raises(RuntimeError, match="must be sorted in decreasing order"):
        rnn.pack_padded_sequence(x, [1, 2])
    with pytest.raises(RuntimeError, match="has to be greater than 0"):
        rnn.pack_padded_sequence(x, [1, 0])
    with pytest.raises(RuntimeError, match="equal to batch_size"):
        rnn.pack_padded_sequence(x, [1])
    with pytest.raises(ValueError, match="Expected total_length to be at least"):
        rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [3, 1]), total_length=2)


def test_projections() -> None:
    layer = nn.LSTM(3, 4, 2, proj_size=2, bidirectional=True, dtype=torch.float64)
    out, (h, c) = layer(torch.randn(5, 1, 3, dtype=torch.float64))
    assert out.shape == (5, 1, 4) and h.shape == (4, 1, 2) and c.shape == (4, 1, 4)
    close(out[-1, 0, :2], h[2, 0])
    assert layer.weight_hr_l0.shape == (2, 4) and layer.weight_ih_l1.shape == (16, 4)
    for kind in (nn.GRU, nn.RNN):
        with pytest.raises(ValueError, match="only supported for LSTM"):
            kind(3, 4, proj_size=2)
    with pytest.raises(ValueError, match="has to be smaller than hidden_size"):
        nn.LSTM(3, 4, proj_size=4)
