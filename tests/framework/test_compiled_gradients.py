"""Gradients of compiled kernels against differences in float64, with cotangents drawn at random.

In float64 each slope along a random line is that of differences; in float32 each element of a
gradient is that of float64. Which kernels were called is looked at.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.kernels import compiled
from framework.nn import functional as F

pytest.importorskip("numba")

_STEP = 1e-6


class _Seen:
    """A family of kernels that says which of them, or of its tables, was asked for."""

    def __init__(self, name: str, kernels: Any, seen: set[str]) -> None:
        self._name, self._kernels, self._seen = name, kernels, seen

    def __getattr__(self, what: str) -> Any:
        found = getattr(self._kernels, what)
        if isinstance(found, dict):
            return _SeenTable(f"{self._name}.{what}", found, self._seen)
        self._seen.add(f"{self._name}.{what}")
        return found


class _SeenTable:
    def __init__(self, name: str, table: dict[str, Any], seen: set[str]) -> None:
        self._name, self._table, self._seen = name, table, seen

    def get(self, key: str) -> Any:
        if key in self._table:
            self._seen.add(f"{self._name}.{key}")
        return self._table.get(key)


@pytest.fixture
def seen(monkeypatch):
    """The names of the kernels that were asked for."""
    names: set[str] = set()
    known = compiled.family

    def family(name: str) -> Any:
        kernels = known(name)
        return kernels and _Seen(name, kernels, names)

    monkeypatch.setattr(compiled, "family", family)
    return names


def _outs(found: Any) -> list[Any]:
    return [found] if isinstance(found, torch.Tensor) else list(found)


def _gradients(call: Any, arrays: Any, weights: Any, dtype: Any) -> list[Any]:
    inputs = [torch.tensor(a.astype(dtype), requires_grad=True) for a in arrays]
    cotangents = [torch.tensor(w.astype(dtype)) for w in weights]
    found = torch.autograd.grad(_outs(call(*inputs)), inputs, cotangents)
    return [g.numpy() for g in found]


def _weights(call: Any, arrays: Any) -> list[Any]:
    rng = np.random.default_rng(7)
    return [rng.standard_normal(tuple(o.shape)) for o in _outs(call(*map(torch.tensor, arrays)))]


def _are_slopes(call: Any, arrays: Any, weights: Any, grads: Any) -> None:
    """Gradients in float64, of each array, against differences along lines in it."""

    def loss(at: Any) -> float:
        with torch.no_grad():
            outs = _outs(call(*[torch.tensor(a) for a in at]))
        return sum(float((o.numpy() * w).sum()) for o, w in zip(outs, weights, strict=True))

    rng = np.random.default_rng(8)
    for k, (a, g) in enumerate(zip(arrays, grads, strict=True)):
        for _ in range(2):
            line = rng.standard_normal(a.shape)
            ends = [[*arrays[:k], a + s * line, *arrays[k + 1 :]] for s in (_STEP, -_STEP)]
            slope = (loss(ends[0]) - loss(ends[1])) / (2 * _STEP)
            assert slope == pytest.approx((line * g).sum(), abs=1e-6 * np.linalg.norm(g), rel=1e-6)


def _are_near(found: Any, wanted: Any) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == np.float32 and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * abs(b).max())


def _apart(shape: tuple[int, ...], seed: int = 0, reach: float = 3.01) -> Any:
    """Numbers of which no two are near each other, nor near a bend of a function below."""
    size = int(np.prod(shape))
    return (
        np.random.default_rng(seed)
        .permutation(np.linspace(-reach, reach - 1e-3, size))
        .reshape(shape)
    )


def _near_one(shape: tuple[int, ...]) -> Any:
    """With either sign, so that products of many neither vanish nor leave the range."""
    rng = np.random.default_rng(4)
    return rng.uniform(0.9, 1.1, shape) * rng.choice([-1.0, 1.0], shape)


_X, _IMAGES, _LINES = (65, 67), (16, 6, 5, 11), (70, 129)
_CHANNELS = [_apart(_IMAGES[1:2], k) for k in (1, 2)]
_COLUMNS = [_apart(_LINES[1:], k) for k in (1, 2)]
_ROWS = [_apart(_X[1:], k) for k in (1, 2)]

# A function, its arrays, and kernels that its gradient has in float32 and in float64.
_CALLS: dict[str, tuple[Any, list[Any], list[str], list[str]]] = {
    "lgamma": (lambda x: torch.lgamma(x + 5), [_apart(_X)], ["gammas.FORWARD.psi"], []),
    "digamma": (lambda x: torch.digamma(x + 5), [_apart(_X)], ["gammas.FORWARD.trigamma"], []),
    "erfinv": (lambda x: torch.erfinv(x / 4), [_apart(_X)], ["gammas.FORWARD.erfinv"], []),
    "distances": (
        lambda x, y: torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist"),
        [_apart(_X), 4 + _apart(_X, 1)], ["distances.between_rows"], ["distances.between_rows"]),
    "erfc": (torch.erfc, [_apart(_X)], [], []),
    "prelu of channels": (
        F.prelu, [_apart(_IMAGES), _CHANNELS[0]], ["pointwise.prelu"], []),
    "flip": (lambda x: x.flip(-1), [_apart(_X)], ["orders.reversed_lines"],
             ["orders.reversed_lines"]),
    "max pooling of lines": (lambda x: F.max_pool1d(x[None], 2), [_apart((65, 140))],
                             ["pool.scatter"], []),
    "remainder": (torch.remainder, [_apart(_X), 5.0 + _apart(_X, 1)],
                  ["arithmetic.floor_divide"], ["arithmetic.floor_divide"]),
    "rsqrt": (lambda x: torch.rsqrt(x + 4), [_apart(_X)],
              ["arithmetic.rsqrt"], ["arithmetic.rsqrt"]),
    "reciprocal": (lambda x: torch.reciprocal(x + 4), [_apart(_X)],
                   ["arithmetic.reciprocal"], ["arithmetic.reciprocal"]),
    "hypot": (torch.hypot, [_apart(_X), _apart(_X, 1)], ["arithmetic.hypot"], []),
    "logaddexp": (torch.logaddexp, [_apart(_X), _apart(_X, 1)], ["arithmetic.logaddexp"], []),
    "nan_to_num": (torch.nan_to_num, [_apart(_X)],
                   ["arithmetic.nan_to_num"], ["arithmetic.nan_to_num"]),
    "Huber loss": (
        lambda a, b: F.huber_loss(a, b, reduction="none", delta=0.7), [_apart(_X), _apart(_X, 1)],
        ["pointwise.smooth_l1_backward"], []),
    "mean of it": (
        lambda a, b: F.huber_loss(a, b, delta=0.7) * 4e3, [_apart(_X), _apart(_X, 1)],
        ["pointwise.smooth_l1_backward"], []),
    "smooth L1 loss": (
        lambda a, b: F.smooth_l1_loss(a, b, reduction="none", beta=0.7),
        [_apart(_X), _apart(_X, 1)], ["pointwise.smooth_l1_backward"], []),
    "softshrink": (lambda x: F.softshrink(x, 0.6), [_apart(_X)],
                   ["pointwise.BACKWARD.softshrink"], []),
    "hardshrink": (lambda x: F.hardshrink(x, 1.5), [_apart(_X)],
                   ["pointwise.BACKWARD.hardshrink"], []),
    "threshold": (lambda x: F.threshold(x, 0.5, -3.0), [_apart(_X)],
                  ["pointwise.BACKWARD.threshold"], []),
    "prelu of one slope": (F.prelu, [_apart(_X), np.array([0.3])], ["pointwise.choose"], []),
    "prelu": (F.prelu, [_apart(_X), _apart(_X[1:], 3)], ["pointwise.choose"], []),
    "batch norm of rows": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [_apart(_LINES), *_COLUMNS],
        ["columns.backward"], ["columns.backward"]),
    "batch norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [_apart(_IMAGES), *_CHANNELS],
        ["channels.backward"], ["channels.backward"]),
    "group norm": (
        lambda x, w, b: F.group_norm(x, 3, w, b), [_apart(_IMAGES), *_CHANNELS],
        ["channels.line_gradient"], ["channels.line_gradient"]),
    "group norm without weights": (
        lambda x: F.group_norm(x, 2), [_apart(_IMAGES)],
        ["channels.moments"], ["channels.moments"]),
    "layer norm": (
        lambda x, w, b: F.layer_norm(x, w.shape, w, b), [_apart(_X), *_ROWS],
        ["rows.backward"], ["rows.backward"]),
    "RMS norm": (lambda x, w: F.rms_norm(x, w.shape, w), [_apart(_X), _ROWS[0]],
                 ["rows.backward"], ["rows.backward"]),
    "cumprod": (lambda x: x.cumprod(-1), [_near_one(_X)],
                ["sums.running_products", "sums.running"],
                ["sums.running_products", "sums.running"]),
    "cumprod down": (lambda x: x.cumprod(0), [_near_one(_X)],
                     ["scans.running_down"], ["scans.running_down"]),
    "cumsum down": (lambda x: x.cumsum(0), [_apart(_X)],
                    ["scans.running_down"], ["scans.running_down"]),
    "prod of rows": (lambda x: x.prod(-1), [_near_one(_X)],
                     ["scans.row_products"], ["scans.row_products"]),
    "prod of all": (torch.prod, [1 + 0.01 * _apart((4099,))],
                    ["scans.row_products"], ["scans.row_products"]),
    "cummax": (lambda x: x.cummax(-1)[0], [_apart(_X)],
               ["scans.running_extremes"], ["scans.running_extremes"]),
    "cummin down": (lambda x: x.cummin(0)[0], [_apart(_X)],
                    ["scans.running_extremes"], ["scans.running_extremes"]),
    "topk": (lambda x: x.topk(5)[0], [_apart(_X)], ["firsts.firsts"], []),
    "the least": (lambda x: x.topk(3, largest=False)[0], [_apart(_X)], ["firsts.firsts"], []),
    "relu": (torch.relu, [_apart(_X)], ["pointwise.BACKWARD.relu"], ["doubles.BACKWARD.relu"]),
    "sigmoid": (torch.sigmoid, [_apart(_X)],
                ["pointwise.BACKWARD.sigmoid"], ["doubles.BACKWARD.sigmoid"]),
    "silu": (F.silu, [_apart(_X)], ["pointwise.BACKWARD.silu"], ["doubles.BACKWARD.silu"]),
    "tanh": (torch.tanh, [_apart(_X)], ["pointwise.BACKWARD.tanh"], ["doubles.BACKWARD.tanh"]),
    "softmax": (lambda x: F.softmax(x, -1), [_apart(_X)],
                ["rows.softmax_backward"], ["doubles.softmax_backward"]),
    "log-softmax": (lambda x: F.log_softmax(x, -1), [_apart(_X)],
                    ["rows.log_softmax_backward"], ["doubles.log_softmax_backward"]),
}  # fmt: skip


@pytest.mark.parametrize("name", _CALLS)
def test_gradients(seen, name):
    call, arrays, single, double = _CALLS[name]
    weights = _weights(call, arrays)
    seen.clear()
    wide = _gradients(call, arrays, weights, np.float64)
    assert seen >= set(double), seen
    _are_slopes(call, arrays, weights, wide)
    seen.clear()
    narrow = _gradients(call, arrays, weights, np.float32)
    assert seen >= set(single), seen
    _are_near(narrow, wide)


_LAYERS = {
    "LSTM": (nn.LSTM, {}, "sequences.lstm_backward"),
    "GRU": (nn.GRU, {}, "recurrences.gru_backward"),
    "tanh": (nn.RNN, {}, "recurrences.rnn_backward"),
    "relu": (nn.RNN, {"nonlinearity": "relu"}, "recurrences.rnn_backward"),
}


@pytest.mark.parametrize("reversed_too", [False, True])
@pytest.mark.parametrize("name", _LAYERS)
def test_gradients_of_layers(seen, name, reversed_too):
    """Of the input, the state and all weights; float64 takes the steps one by one."""
    kind, options, kernel = _LAYERS[name]
    torch.manual_seed(0)
    layer = kind(5, 33, bidirectional=reversed_too, **options)
    layers = {np.dtype(np.float32): layer, np.dtype(np.float64): copy.deepcopy(layer).double()}
    names = [n for n, _ in layer.named_parameters()]
    states = [_apart((1 + reversed_too, 9, 33), k, 1.0) for k in range(1 + (name == "LSTM"))]
    arrays = [_apart((16, 9, 5)), *states]
    arrays += [p.detach().double().numpy() for _, p in layer.named_parameters()]

    def call(x: Any, *others: Any) -> list[Any]:
        given, weights = others[: len(states)], others[len(states) :]
        found, last = torch.func.functional_call(
            layers[np.dtype(x.detach().numpy().dtype)], dict(zip(names, weights, strict=True)),
            (x, given if name == "LSTM" else given[0]),
        )  # fmt: skip
        return [found, *_outs(last)]

    weights = _weights(call, arrays)
    seen.clear()
    wide = _gradients(call, arrays, weights, np.float64)
    assert kernel not in seen
    _are_slopes(call, arrays, weights, wide)
    narrow = _gradients(call, arrays, weights, np.float32)
    assert kernel in seen, seen
    _are_near(narrow, wide)
