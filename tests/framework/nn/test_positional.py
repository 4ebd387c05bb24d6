"""The top namespace's forms of nn functions compute what `nn.functional` and the modules do."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework import nn

F = nn.functional


def close(a, b) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_norms_and_tables():
    x, w, b = torch.randn(4, 3, 2), torch.rand(3), torch.randn(3)
    mean, var = torch.zeros(3), torch.ones(3)
    close(
        torch.batch_norm(x, w, b, mean, var, False, 0.1, 1e-5, True),
        F.batch_norm(x, mean, var, w, b),
    )
    close(torch.instance_norm(x, w, b, None, None, True, 0.1, 1e-5, True),
          F.instance_norm(x, None, None, w, b))  # fmt: skip
    table, rows = torch.randn(5, 3), torch.tensor([1, 4, 1, 0])
    close(torch.embedding(table, rows), F.embedding(rows, table))
    offsets = torch.tensor([0, 3])
    out, bags, sizes, largest = torch.embedding_bag(table, rows, offsets, False, 2)
    close(out, F.embedding_bag(rows, table, offsets, mode="max"))
    assert bags.tolist() == [0, 0, 0, 1] and sizes.tolist() == [3, 1]
    assert largest.shape == (2, 3)


def test_reductions_are_numbers():
    a, b = torch.randn(3, 4), torch.rand(3, 4)
    for number, name in enumerate(("none", "mean", "sum")):
        close(torch.kl_div(a, b, number), F.kl_div(a, b, reduction=name))
        close(torch.poisson_nll_loss(a, b, True, False, 1e-8, number),
              F.poisson_nll_loss(a, b, reduction=name))  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
@pytest.mark.parametrize("packed", [False, True])
def test_networks(name, kind, packed):
    network = kind(3, 2, 2, bidirectional=True)
    h = torch.randn(4, 2, 2)
    state = (h, torch.randn(4, 2, 2)) if name == "lstm" else h
    weights = list(network.parameters())
    tail = (True, 2, 0.0, False, True)
    if packed:
        rows = nn.utils.rnn.pack_sequence([torch.randn(3, 3), torch.randn(2, 3)])
        expected, _ = network(rows, state)
        got = getattr(torch, name)(rows.data, rows.batch_sizes, state, weights, *tail)
        close(got[0], expected.data)
        return
    x = torch.randn(5, 2, 3)
    expected, last = network(x, state)
    got = getattr(torch, name)(x, state, weights, *tail, False)
    close(got[0], expected)
    for mine, theirs in zip(got[1:], last if name == "lstm" else (last,)):
        close(mine, theirs)


def test_convolution_takes_its_dimensions_from_the_weight():
    x, w = torch.randn(1, 2, 5, 5), torch.randn(3, 2, 3, 3)
    close(torch.convolution(x, w, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1),
          F.conv2d(x, w, stride=2, padding=1))  # fmt: skip
    back = torch.randn(2, 3, 3, 3)
    close(torch.convolution(x, back, None, [2, 2], [0, 0], [1, 1], True, [0, 0], 1),
          F.conv_transpose2d(x, back, stride=2))  # fmt: skip


def test_dropout_in_place():
    x = torch.ones(8)
    assert torch.alpha_dropout_(x, 0.5, False) is x and x.tolist() == [1.0] * 8
    torch.feature_dropout_(x.reshape(1, 8), 1.0, True)
    assert x.tolist() == [0.0] * 8
