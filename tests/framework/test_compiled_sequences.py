"""An LSTM over a sequence as one op against its steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.ops import sequences
from framework.trace import recording

pytest.importorskip("numba")


def _run(layer: Any, x: Any, state: Any = None, of: str = "all") -> list[Any]:
    x = torch.from_numpy(x.copy()).requires_grad_()
    given = [torch.from_numpy(a.copy()).requires_grad_() for a in state or ()]
    layer.zero_grad()
    out, (h, c) = layer(x, tuple(given) or None)
    rng = np.random.default_rng(4)
    loss = 0
    for name, part in (("out", out), ("h", h), ("c", c)):
        if of in ("all", name):
            weight = torch.from_numpy(rng.standard_normal(part.shape).astype("f"))
            loss = loss + (part * weight).sum()
    loss.backward()
    found = [out, h, c, x.grad, *[s.grad for s in given], *[p.grad for p in layer.parameters()]]
    return [a.detach().numpy() for a in found if a is not None]


def _both(monkeypatch: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
    """As one op, and step by step."""
    calls: list[int] = []
    known = sequences.LSTM.kernel
    with monkeypatch.context() as patch:
        patch.setattr(sequences.LSTM, "kernel", lambda *a, **k: calls.append(1) or known(*a, **k))
        found = _run(*args, **options)
        assert calls
        patch.setattr("framework.ops.recurrent.lstm_sequence", lambda *args: None)
        calls.clear()
        stepped = _run(*args, **options)
        assert not calls
    return found, stepped


def _same(pair: tuple[Any, Any]) -> None:
    for a, b in zip(*pair, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        scale = np.max(np.abs(b), initial=1, where=np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-6 * scale)


def _drawn(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


SIZES = [
    (7, 33, 5, 5), (2, 8, 3, 65), (1, 9, 4, 128), (50, 1, 3, 31), (40, 7, 2, 32), (129, 17, 1, 1),
    (5, 16, 64, 33), (3, 100, 1, 96),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients(monkeypatch, size, biased) -> None:
    steps, batch, given, width = size
    x, state = _drawn(steps, batch, given), [_drawn(1, batch, width, seed=k) for k in (1, 2)]
    torch.manual_seed(0)
    layer = nn.LSTM(given, width, bias=biased)
    if steps * batch * width * 4 < 4096:
        pytest.skip("stepped anyway")
    for of in ("all", "out", "h", "c"):
        _same(_both(monkeypatch, layer, x, state, of=of))
    _same(_both(monkeypatch, layer, x))


def test_layers_and_directions(monkeypatch) -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(6, 35, num_layers=2, bidirectional=True, batch_first=True)
    _same(_both(monkeypatch, layer, _drawn(12, 9, 6), [_drawn(4, 12, 35, seed=k) for k in (1, 2)]))


def test_memory_in_any_order(monkeypatch) -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(6, 40)
    state = [_drawn(1, 40, 15, seed=k).swapaxes(1, 2) for k in (1, 2)]
    _same(_both(monkeypatch, layer, _drawn(15, 12, 6).swapaxes(0, 1), state))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities(monkeypatch, bad) -> None:
    """They stay with their sequence, and begin at their step."""
    torch.manual_seed(0)
    layer = nn.LSTM(6, 40)
    x = _drawn(12, 15, 6)
    x[4, 3, 2] = bad
    found, stepped = _both(monkeypatch, layer, x)
    for a, b in zip(found[:4], stepped[:4]):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert np.isfinite(found[0][:4]).all() and np.isfinite(np.delete(found[0], 3, 1)).all()


@pytest.mark.parametrize("backwards", [False, True])
def test_second_gradients(backwards) -> None:
    """Of all three results, against numbers, with the kernel's own in float32."""
    from framework.core.dispatch import apply

    rng = np.random.default_rng(0)
    x, h, c, w = (torch.from_numpy(rng.standard_normal(s).astype(np.float32) * 0.5).requires_grad_()
                  for s in [(3, 2, 12), (2, 3), (2, 3), (12, 3)])  # fmt: skip
    inputs = (x, h, c, w)

    def stepped(*inputs: Any) -> tuple[Any, Any]:
        x, h, c, w = inputs
        outs, states = [], []
        for part in reversed(x.unbind(0)) if backwards else x.unbind(0):
            i, f, g, o = (part + h @ w.T).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outs.append(h)
            states.append(c)
        if backwards:
            outs.reverse()
            states.reverse()
        return torch.stack(outs), torch.stack(states)

    def penalty(call: Any) -> list[Any]:
        out, states = call(*inputs)
        loss = (out * out).sum() + (states * states * states).sum()
        grads = torch.autograd.grad(loss, inputs, create_graph=True)
        found = torch.autograd.grad(sum((g * g).sum() for g in grads), inputs)
        return [*grads, *found]

    one = penalty(lambda *inputs: apply(sequences.LSTM, *inputs, backwards=backwards)[:2])
    for a, b in zip(one, penalty(stepped), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_the_gradient_needs_no_kernel(plainly) -> None:
    """Numba may go between forward and backward."""
    torch.manual_seed(0)
    layer, x = nn.LSTM(6, 40), _drawn(12, 15, 6)
    want = _run(layer, x)
    layer.zero_grad()
    out, (h, c) = layer(torch.from_numpy(x))
    rng = np.random.default_rng(4)
    weights = [torch.from_numpy(rng.standard_normal(a.shape).astype("f")) for a in (out, h, c)]
    loss = sum((a * b).sum() for a, b in zip((out, h, c), weights))
    plainly(loss.backward)
    for p, b in zip(layer.parameters(), want[4:], strict=True):
        np.testing.assert_allclose(p.grad.numpy(), b, rtol=1e-4, atol=1e-4)


def test_threads_change_nothing() -> None:
    torch.manual_seed(0)
    layer, x, before = nn.LSTM(64, 128), _drawn(20, 33, 64), torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(_run(layer, x)[:4])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)  # BLAS's threads may differ


def test_a_trace_sees_the_steps() -> None:
    layer, x = nn.LSTM(6, 40), torch.from_numpy(_drawn(12, 15, 6))
    with recording(keep="none") as tape:
        layer(x)
    names = [getattr(event, "name", "") for event in tape.read()]
    assert names.count("lstm_gates") == 12
