"""Recurrent cells and layers against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework import nn

RNG = np.random.default_rng(6)


def randn(*shape: int):
    return torch.tensor(RNG.standard_normal(shape))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(kind: str, x, state, w_ih, w_hh, b_ih, b_hh):
    """One step of a cell; ``state`` is (h,) or (h, c)."""
    h = state[0]
    a, b = x @ w_ih.T + b_ih, h @ w_hh.T + b_hh
    if kind == "RNN":
        return (np.tanh(a + b),)
    if kind == "LSTM":
        i, f, g, o = np.split(a + b, 4, -1)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (ra, za, na), (rb, zb, nb) = np.split(a, 3, -1), np.split(b, 3, -1)
    z = sigmoid(za + zb)
    n = np.tanh(na + sigmoid(ra + rb) * nb)
    return ((1 - z) * n + z * h,)


def run(kind, layer, x, weights, state):
    outs = []
    for row in x:
        state = step(kind, row, state, *weights)
        outs.append(state[0])
    return np.stack(outs), state


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers(kind, bidirectional) -> None:
    parts, ways = (2 if kind == "LSTM" else 1), (2 if bidirectional else 1)
    net = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=bidirectional).double()
    x = randn(5, 2, 3)
    start = [randn(2 * ways, 2, 4) for _ in range(parts)]
    out, last = net(x, tuple(start) if parts == 2 else start[0])
    below, finals = x.numpy(), []
    for layer in range(2):
        sides = []
        for way in range(ways):
            at = layer * ways + way
            weights = [w.detach().numpy() for w in net.all_weights[at]]
            rows = below[::-1] if way else below
            ys, final = run(kind, layer, rows, weights, tuple(s.numpy()[at] for s in start))
            sides.append(ys[::-1] if way else ys)
            finals.append(final)
        below = np.concatenate(sides, -1)
    np.testing.assert_allclose(out.detach().numpy(), below)
    last = last if parts == 2 else (last,)
    for k, h in enumerate(last):
        np.testing.assert_allclose(h.detach().numpy(), np.stack([f[k] for f in finals]))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_cells_agree_with_layers(kind) -> None:
    cell, net = getattr(nn, kind + "Cell")(3, 4), getattr(nn, kind)(3, 4)
    net.load_state_dict({f"{name}_l0": t for name, t in cell.state_dict().items()})
    x = torch.randn(1, 2, 3)
    out, _last = net(x)
    state = cell(x[0])
    h = state[0] if kind == "LSTM" else state
    np.testing.assert_allclose(out[0].detach(), h.detach(), atol=1e-6)


def test_batch_first_and_unbatched() -> None:
    net = nn.GRU(3, 4, batch_first=True)
    x = torch.randn(2, 5, 3)
    out, h = net(x)
    assert out.shape == (2, 5, 4) and h.shape == (1, 2, 4)
    one, last = net(x[1])
    np.testing.assert_allclose(one.detach(), out[1].detach(), atol=1e-6)
    assert last.shape == (1, 4)


def test_gradients_reach_every_parameter() -> None:
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        net = kind(2, 3, num_layers=2, bidirectional=True)
        net(torch.randn(4, 1, 2))[0].sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_parameter_names() -> None:
    net = nn.LSTM(2, 3, bidirectional=True)
    assert [n for n, _ in net.named_parameters()] == [
        f"{name}_l0{way}"
        for way in ("", "_reverse")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    assert repr(net) == "LSTM(2, 3, bidirectional=True)"


@pytest.mark.parametrize(
    "act, kind, message",
    [
        (lambda: nn.LSTM(3, 4)(torch.zeros(5, 2, 2)), RuntimeError,
         r"input.size\(-1\) must be equal to input_size. Expected 3, got 2"),
        (lambda: nn.GRU(3, 4)(torch.zeros(5)), ValueError, "Expected input to be 2D or 3D, got 1D"),
        (lambda: nn.GRU(3, 4)(torch.zeros(5, 2, 3), torch.zeros(2, 2, 4)), RuntimeError,
         r"Expected hidden size \(1, 2, 4\), got \[2, 2, 4\]"),
        (lambda: nn.RNN(3, 4, nonlinearity="x"), ValueError, "Unknown nonlinearity 'x'"),
        (lambda: nn.RNNCell(3, 4)(torch.zeros(2, 2)), RuntimeError, "inconsistent input_size"),
    ],
)  # fmt: skip
def test_errors(act, kind, message) -> None:
    with pytest.raises(kind, match=message):
        act()
