"""GRUs and plain recurrent layers over a sequence as one op, against their steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.core.dispatch import apply
from framework.ops import recurrences
from framework.trace import recording

pytest.importorskip("numba")

_LAYERS = {
    "gru": lambda *sizes, **options: nn.GRU(*sizes, **options),
    "tanh": lambda *sizes, **options: nn.RNN(*sizes, **options),
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
}
_SIZES = [
    (7, 33, 5, 35), (2, 8, 3, 265), (50, 1, 3, 131), (40, 7, 2, 32), (829, 5, 1, 1),
    (5, 16, 64, 73),
    (3, 100, 1, 96),
]  # fmt: skip


def _drawn(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _run(layer: Any, x: Any, state: Any = None, of: str = "all") -> list[Any]:
    x = torch.from_numpy(x.copy()).requires_grad_()
    given = None if state is None else torch.from_numpy(state.copy()).requires_grad_()
    layer.zero_grad()
    out, h = layer(x, given)
    loss = 0
    for name, part in (("out", out), ("h", h)):
        if of in ("all", name):
            loss = loss + (part * torch.from_numpy(_drawn(*part.shape, seed=5))).sum()
    loss.backward()
    found = [out, h, x.grad, *([given.grad] if given is not None else [])]
    return [a.detach().numpy() for a in [*found, *[p.grad for p in layer.parameters()]]]


def _both(monkeypatch: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
    calls: list[int] = []
    with monkeypatch.context() as patch:
        for op in (recurrences.GRU, recurrences.RNN):
            known = op.kernel
            patch.setattr(op, "kernel", lambda *a, k=known, **o: calls.append(1) or k(*a, **o))
        found = _run(*args, **options)
        assert calls
        patch.setattr("framework.ops.recurrent._at_once", lambda *args: None)
        calls.clear()
        stepped = _run(*args, **options)
        assert not calls
    return found, stepped


def _same(pair: tuple[Any, Any]) -> None:
    for a, b in zip(*pair, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        scale = np.max(np.abs(b), initial=1, where=np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-6 * scale)


@pytest.mark.parametrize("kind", _LAYERS)
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients(monkeypatch, kind, biased) -> None:
    for steps, batch, given, width in _SIZES:
        torch.manual_seed(0)
        layer = _LAYERS[kind](given, width, bias=biased)
        x, state = _drawn(steps, batch, given), _drawn(1, batch, width, seed=1)
        for of in ("all", "out", "h"):
            _same(_both(monkeypatch, layer, x, state, of=of))
        _same(_both(monkeypatch, layer, x))


@pytest.mark.parametrize("kind", _LAYERS)
def test_layers_and_directions(monkeypatch, kind) -> None:
    torch.manual_seed(0)
    layer = _LAYERS[kind](6, 45, num_layers=2, bidirectional=True, batch_first=True)
    _same(_both(monkeypatch, layer, _drawn(12, 9, 6), _drawn(4, 12, 45, seed=1)))


@pytest.mark.parametrize("kind", _LAYERS)
def test_memory_in_any_order(monkeypatch, kind) -> None:
    torch.manual_seed(0)
    layer, state = _LAYERS[kind](6, 40), _drawn(1, 40, 15, seed=1).swapaxes(1, 2)
    _same(_both(monkeypatch, layer, _drawn(15, 12, 6).swapaxes(0, 1), state))


@pytest.mark.parametrize("kind", _LAYERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities(monkeypatch, kind, bad) -> None:
    """They stay with their sequence, and begin at their step."""
    torch.manual_seed(0)
    layer, x = _LAYERS[kind](6, 40), _drawn(12, 15, 6)
    x[4, 3, 2] = bad
    found, stepped = _both(monkeypatch, layer, x)
    for a, b in zip(found[:3], stepped[:3]):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert np.isfinite(found[0][:4]).all() and np.isfinite(np.delete(found[0], 3, 1)).all()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", _LAYERS)
def test_second_gradients(kind, backwards) -> None:
    """Against those of the steps, with the kernel's own results in float32."""
    rng, parts = np.random.default_rng(0), 3 if kind == "gru" else 1
    shapes = [(3, 2, 3 * parts), (2, 3), (3 * parts, 3), (3 * parts,)]
    inputs = [torch.from_numpy(rng.standard_normal(s).astype(np.float32) * 0.5) for s in shapes]
    inputs = [a.requires_grad_() for a in (inputs if kind == "gru" else inputs[:3])]

    def stepped(x: Any, h: Any, w: Any, b: Any = None) -> Any:
        outs = []
        for part in reversed(x.unbind(0)) if backwards else x.unbind(0):
            s = h @ w.T
            if kind == "gru":
                (xr, xz, xn), (sr, sz, sn) = part.chunk(3, -1), (s + b).chunk(3, -1)
                z, n = (xz + sz).sigmoid(), (xn + (xr + sr).sigmoid() * sn).tanh()
                h = (1 - z) * n + z * h
            else:
                h = (part + s).tanh() if kind == "tanh" else (part + s).relu()
            outs.append(h)
        return torch.stack(outs[::-1] if backwards else outs)

    def whole(*inputs: Any) -> Any:
        if kind == "gru":
            return apply(recurrences.GRU, *inputs, backwards=backwards)[0]
        return apply(recurrences.RNN, *inputs, rectifies=kind == "relu", backwards=backwards)

    def penalty(call: Any) -> list[Any]:
        out = call(*inputs)
        weights = torch.from_numpy(_drawn(*out.shape, seed=3))
        grads = torch.autograd.grad((out * out * weights).sum(), inputs, create_graph=True)
        found = torch.autograd.grad(sum((g * g).sum() for g in grads), inputs)
        return [*grads, *found]

    for a, b in zip(penalty(whole), penalty(stepped), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", _LAYERS)
def test_the_gradient_needs_no_kernel(plainly, kind) -> None:
    """Numba may go between forward and backward."""
    torch.manual_seed(0)
    layer, x = _LAYERS[kind](6, 40), _drawn(12, 15, 6)
    want = _run(layer, x, of="out")
    layer.zero_grad()
    out, _ = layer(torch.from_numpy(x))
    loss = (out * torch.from_numpy(_drawn(*out.shape, seed=5))).sum()
    plainly(loss.backward)
    for p, b in zip(layer.parameters(), want[3:], strict=True):
        np.testing.assert_allclose(p.grad.numpy(), b, rtol=1e-4, atol=1e-4)


def test_a_trace_sees_the_steps() -> None:
    layer, x = nn.GRU(6, 40), torch.from_numpy(_drawn(12, 15, 6))
    with recording(keep="none") as tape:
        layer(x)
    names = [getattr(event, "name", "") for event in tape.read()]
    assert names.count("gru_gates") == 12
