"""Fast kernels against the plain form: odd and zero sizes, parts of arrays, NaN and infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

import framework as torch
from framework.kernels import quick

F = torch.nn.functional
SHAPES = [(), (0,), (3, 0), (7,), (4099,), (129, 67), (3, 5, 1013), (1 << 16,), ((1 << 16) + 5,)]
ODD = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-30, -1e-30, 3e38, -3e38, 14.1, -14.1, 88.8, -88.8]


def _numbers(shape: tuple[int, ...], dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    values = np.asarray(np.random.default_rng(seed).standard_normal(shape) * 4, dtype)
    count = min(len(ODD), values.size)
    values.reshape(-1)[:count] = np.asarray(ODD[:count], np.float64).astype(dtype)
    return values


def _same_bits(mine: np.ndarray, plain: np.ndarray) -> None:
    assert mine.dtype == plain.dtype and mine.shape == plain.shape
    assert np.ascontiguousarray(mine).tobytes() == np.ascontiguousarray(plain).tobytes()


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.int32, np.int64, np.int16, np.uint8, np.float16]
)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_blend_is_where_to_the_bit(shape: tuple[int, ...], dtype: Any) -> None:
    a, b = _numbers(shape, dtype), _numbers(shape, dtype, 1)[...]
    b = b[..., ::-1] if b.ndim else b
    condition = np.asarray(np.random.default_rng(2).random(shape) < 0.5)
    zero, some = np.zeros((), dtype), np.asarray(3, dtype)
    for x, y in ((a, b), (a, zero), (zero, b), (a, some), (some, b), (zero, some), (some, zero)):
        _same_bits(quick.blend(condition, x, y), np.where(condition, x, y))
    if len(shape) > 1:
        _same_bits(quick.blend(condition.T, a.T, b.T), np.where(condition.T, a.T, b.T))
        _same_bits(quick.blend(condition, a, b[:1]), np.where(condition, a, b[:1]))
        for x, y in ((a, b), (a, zero), (zero, b), (a, some), (some, b), (a, b[:1])):
            for part in (condition[:1], condition[0], condition[..., :1]):
                _same_bits(quick.blend(part, x, y), np.where(part, x, y))


def test_blend_keeps_the_sign_of_zero_and_negative_zero_as_a_choice() -> None:
    condition = np.arange(5000) % 3 == 0
    a = np.full(5000, -0.0, np.float32)
    minus = np.asarray(-0.0, np.float32)
    _same_bits(quick.blend(condition, a, minus), a)
    _same_bits(quick.blend(condition, minus, a), a)


# name: (ours, the plain one in float64, its derivative in float64)
def _normal(x: Any) -> Any:
    return special.ndtr(x)


def _density(x: Any) -> Any:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


FUNCTIONS: dict[str, Any] = {
    "gelu": (F.gelu, lambda x: x * _normal(x), lambda x: _normal(x) + x * _density(x)),
    "sigmoid": (torch.sigmoid, special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "silu": (
        F.silu, lambda x: x * special.expit(x),
        lambda x: special.expit(x) * (1 + x * special.expit(-x)),
    ),
    "relu": (torch.relu, lambda x: np.maximum(x, 0), lambda x: np.where(x <= 0, 0.0, 1.0)),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_and_their_gradients_have_the_precision_of_float32(
    name: str, shape: tuple[int, ...]
) -> None:
    ours, value, slope = FUNCTIONS[name]
    raw = _numbers(shape)
    raw[~np.isfinite(raw) | (abs(raw) > 80)] = 0.25
    x = torch.from_numpy(raw).requires_grad_()
    y = ours(x)
    (g,) = torch.autograd.grad(y, x, torch.full(shape, 2.0))
    wide = raw.astype(np.float64)
    np.testing.assert_allclose(y.detach().numpy(), value(wide), rtol=4e-6, atol=1e-11)
    np.testing.assert_allclose(g.numpy(), 2 * slope(wide), rtol=4e-6, atol=3e-7)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_odd_numbers_give_in_many_what_they_give_alone(name: str) -> None:
    ours = FUNCTIONS[name][0]
    many = torch.from_numpy(_numbers((5000,))).requires_grad_()
    few = many.detach()[: len(ODD)].clone().requires_grad_()
    a, b = ours(many), ours(few)
    for mine, plain in (
        (a.detach()[: len(ODD)], b.detach()),
        (torch.autograd.grad(a.sum(), many)[0][: len(ODD)], torch.autograd.grad(b.sum(), few)[0]),
    ):
        np.testing.assert_allclose(mine.numpy(), plain.numpy(), rtol=3e-6, atol=1e-7)


def test_parts_of_arrays_are_taken_as_they_lie() -> None:
    raw = _numbers((130, 90))[13:]
    raw[~np.isfinite(raw)] = 1.0
    x = torch.from_numpy(raw)
    for function in (F.gelu, torch.sigmoid, F.silu, torch.relu):
        for part in (x.t(), x[::2], x[:, 3:-2]):
            whole = function(part.contiguous()).numpy()
            np.testing.assert_allclose(function(part).numpy(), whole, rtol=1e-5, atol=1e-8)
