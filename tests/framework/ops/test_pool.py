"""Pooling against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import framework as torch
from framework.nn import functional as F

RNG = np.random.default_rng(1)


def windows(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> list[list[int]]:
    """The positions of each window along one dimension; outside of range(n) is padding."""
    room = (n + 2 * p - d * (k - 1) - 1) / s
    out = (math.ceil(room) if ceil_mode else math.floor(room)) + 1
    if ceil_mode and (out - 1) * s >= n + p:
        out -= 1
    return [[i * s - p + j * d for j in range(k)] for i in range(out)]


def plane_max(x, k, s, p, d, ceil_mode):
    rows, cols = (windows(n, k, s, p, d, ceil_mode) for n in x.shape)
    values, index = np.zeros((len(rows), len(cols))), np.zeros((len(rows), len(cols)), int)
    for i, j in itertools.product(range(len(rows)), range(len(cols))):
        inside = [
            (r, c)
            for r, c in itertools.product(rows[i], cols[j])
            if 0 <= r < x.shape[0] and 0 <= c < x.shape[1]
        ]
        r, c = max(inside, key=lambda at: x[at])
        values[i, j], index[i, j] = x[r, c], r * x.shape[1] + c
    return values, index


SETTINGS = [
    (2, 2, 0, 1, False), (3, 2, 1, 1, False), (3, 2, 1, 1, True), (2, 1, 0, 2, False),
    (2, 3, 0, 1, True), (3, 2, 1, 2, True),
]  # fmt: skip


@pytest.mark.parametrize("k, s, p, d, ceil_mode", SETTINGS)
def test_max_pool2d(k, s, p, d, ceil_mode) -> None:
    x = RNG.standard_normal((2, 7, 6))
    values, index = F.max_pool2d(torch.tensor(x), k, s, p, d, ceil_mode, return_indices=True)
    for plane, v, i in zip(x, values.numpy(), index.numpy()):
        wanted = plane_max(plane, k, s, p, d, ceil_mode)
        np.testing.assert_array_equal(v, wanted[0])
        np.testing.assert_array_equal(i, wanted[1])


@pytest.mark.parametrize("k, s, p, d, ceil_mode", [c for c in SETTINGS if c[3] == 1])
@pytest.mark.parametrize("include", [True, False])
def test_avg_pool1d(k, s, p, d, ceil_mode, include) -> None:
    x = RNG.standard_normal((1, 2, 7))
    y = F.avg_pool1d(torch.tensor(x), k, s, p, ceil_mode, include).numpy()
    for at, window in enumerate(windows(7, k, s, p, d, ceil_mode)):
        inside = [i for i in window if 0 <= i < 7]
        count = len([i for i in window if i < 7 + p]) if include else len(inside)
        np.testing.assert_allclose(y[..., at], x[..., inside].sum(-1) / count)


def test_nothing_but_minus_infinity_names_a_real_position() -> None:
    x = torch.full((1, 3, 3), -math.inf, requires_grad=True)
    values, index = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert index.tolist() == [[[0, 1], [3, 4]]]
    values.sum().backward()
    assert x.grad.sum().item() == 4


def test_nan_wins() -> None:
    x = torch.tensor([[1.0, math.nan, 3.0, 2.0]])
    assert math.isnan(F.max_pool1d(x, 2).tolist()[0][0])


def test_overlapping_windows_add_their_gradients() -> None:
    x = torch.tensor([[1.0, 9.0, 2.0, 3.0]], requires_grad=True)
    F.max_pool1d(x, 2, 1).sum().backward()
    assert x.grad.tolist() == [[0.0, 2.0, 0.0, 1.0]]


@pytest.mark.parametrize("out", [1, 2, 3, 5, (2, None)])
def test_adaptive(out) -> None:
    x = RNG.standard_normal((2, 5, 4))
    wide = (out, out) if isinstance(out, int) else (2, 4)
    mean, largest = (
        F.adaptive_avg_pool2d(torch.tensor(x), out),
        F.adaptive_max_pool2d(torch.tensor(x), out),
    )
    for i, j in itertools.product(range(wide[0]), range(wide[1])):
        rows = slice(i * 5 // wide[0], -(-(i + 1) * 5 // wide[0]))
        cols = slice(j * 4 // wide[1], -(-(j + 1) * 4 // wide[1]))
        np.testing.assert_allclose(mean.numpy()[:, i, j], x[:, rows, cols].mean((1, 2)))
        np.testing.assert_allclose(largest.numpy()[:, i, j], x[:, rows, cols].max((1, 2)))


@pytest.mark.parametrize("call", [F.adaptive_avg_pool3d, F.adaptive_max_pool2d])
def test_adaptive_errors(call) -> None:
    """Too few dimensions are PyTorch's kind of error, which depends on how the size is given."""
    with pytest.raises(RuntimeError, match=r"Expected .* tensor, but got"):
        call(torch.ones(2), 2)
    with pytest.raises(ValueError, match="Input dimension should be at least"):
        call(torch.ones(2), (2,) * int(call.__name__[-2]))


def test_integers() -> None:
    x = torch.tensor([[[1, 2], [4, 4]]])
    assert F.max_pool2d(x, 2).tolist() == [[[4]]]
    assert F.avg_pool2d(x, 2).tolist() == [[[2]]]
    with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
        F.max_pool1d(x[0], 2)


@pytest.mark.parametrize("call", [F.max_pool2d, F.avg_pool2d])
@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"kernel_size": 2, "padding": 2}, "at most half of effective kernel size"),
        ({"kernel_size": 9}, r"Given input size: \(1x4x4\). Calculated output size"),
        ({"kernel_size": 2, "stride": 0}, "greater than zero"),
        ({"kernel_size": (1, 2, 3)}, "must either be a single int, or a tuple of two ints"),
    ],
)
def test_errors(call, kwargs, message) -> None:
    with pytest.raises(RuntimeError, match=message):
        call(torch.zeros(1, 4, 4), **kwargs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("kernel, stride, padding", [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 0)])
def test_max_pool_of_many_takes_the_first_of_equals_and_the_last_nan(
    kernel: int, stride: int, padding: int, dtype: type
) -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(-3, 4, (2, 5, 41, 50)).astype(dtype)
    raw.reshape(-1)[::97], raw.reshape(-1)[5], raw.reshape(-1)[7] = np.nan, np.inf, -np.inf
    values, places = F.max_pool2d(
        torch.from_numpy(raw), kernel, stride, padding, return_indices=True
    )
    full = np.pad(raw, [(0, 0), (0, 0), *[(padding, padding)] * 2], constant_values=-np.inf)
    at = np.arange(41 * 50).reshape(41, 50)
    at = np.pad(at, padding, constant_values=-1)
    windows = np.lib.stride_tricks.sliding_window_view(full, (kernel, kernel), (2, 3))
    windows = windows[:, :, ::stride, ::stride].reshape(*values.shape, -1)
    places_of = np.lib.stride_tricks.sliding_window_view(at, (kernel, kernel))
    places_of = places_of[::stride, ::stride].reshape(*values.shape[2:], -1)
    nan = np.isnan(windows)
    last = windows.shape[-1] - 1 - nan[..., ::-1].argmax(-1)
    chosen = np.where(nan.any(-1), last, windows.argmax(-1))
    wanted = np.take_along_axis(windows, chosen[..., None], -1)[..., 0]
    np.testing.assert_array_equal(values.numpy(), wanted)
    named = np.take_along_axis(
        np.broadcast_to(places_of, windows.shape), chosen[..., None], -1
    )[..., 0]  # fmt: skip
    np.testing.assert_array_equal(places.numpy(), named)


@pytest.mark.parametrize("out", [(5, 7), (3, 4), (19, 23)])
def test_nan_and_infinities_stay_in_their_adaptive_windows(out):
    x = torch.rand(1, 1, 19, 23)
    x[0, 0, 2, 3], x[0, 0, 18, 22] = float("nan"), float("inf")
    y = F.adaptive_avg_pool2d(x, out)
    clean = F.adaptive_avg_pool2d(x.nan_to_num(0.0, 0.0), out)
    inside = y.isfinite()
    assert y.isnan().sum() <= 4 and y.isinf().sum() <= 4 and not inside.all()
    assert torch.allclose(y[inside], clean[inside])
    x = torch.rand(1, 1, 19, 23, requires_grad=True)
    g = torch.ones(1, 1, *out)
    g[0, 0, 0, 0] = float("nan")
    F.adaptive_avg_pool2d(x, out).backward(g)
    assert x.grad[0, 0, 0, 0].isnan() and x.grad[0, 0, -1, -1].isfinite()
