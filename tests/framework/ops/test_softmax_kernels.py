"""Softmax, log-softmax and causal attention against the plain forms in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framework as torch
from framework.nn import functional as F

SHAPES = [
    (0,),
    (1,),
    (17,),
    (5, 0),
    (0, 20),
    (33, 16),
    (7, 15),
    (3, 4, 1003),
    (2, 1 << 14),
    (2, 20000),
]


def _softmax(x: np.ndarray, dim: int) -> np.ndarray:
    e = np.exp(x - x.max(axis=dim, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=dim, keepdims=True)


def _run(function: Any, x: np.ndarray, dim: int, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    leaf = torch.from_numpy(x).requires_grad_()
    y = function(leaf, dim)
    (grad,) = torch.autograd.grad(y, leaf, torch.from_numpy(g))
    return y.detach().numpy(), grad.numpy()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("turned", [False, True])
def test_values_and_gradients(shape: tuple[int, ...], dim: int, turned: bool) -> None:
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype(np.float32) * 5 for _ in range(2))
    if turned:
        x, g = (np.ascontiguousarray(a.T).T for a in (x, g))
    wide, cotangent = x.astype(np.float64), g.astype(np.float64)
    y, grad = _run(torch.softmax, x, dim, g)
    plain = _softmax(wide, dim)
    rtol = 1e-4 if turned else 1e-5  # NumPy adds lines that are no rows up one by one
    np.testing.assert_allclose(y, plain, rtol=rtol, atol=1e-7)
    inner = (cotangent * plain).sum(axis=dim, keepdims=True)
    np.testing.assert_allclose(grad, plain * (cotangent - inner), rtol=1e-4, atol=2e-5)
    y, grad = _run(torch.log_softmax, x, dim, g)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(y, np.log(plain), rtol=rtol, atol=3e-5)
    total = cotangent.sum(axis=dim, keepdims=True)
    scale = max(1.0, abs(total).max(initial=0))
    np.testing.assert_allclose(grad, cotangent - plain * total, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_infinities_and_nan() -> None:
    x = np.zeros((4, 20), np.float32)
    x[0, 3], x[1, 3], x[2, 3], x[3] = -np.inf, np.inf, np.nan, -np.inf
    y = torch.softmax(torch.from_numpy(x), -1).numpy()
    np.testing.assert_allclose(y[0], np.where(np.arange(20) == 3, 0, 1 / 19), rtol=1e-6)
    assert np.isnan(y[1:]).any(axis=1).all()
    assert np.isnan(y[2:]).all()


@pytest.mark.parametrize("rows, columns", [(5, 5), (3, 7), (7, 3), (33, 40), (4, 0), (0, 4)])
def test_causal_attention_is_that_of_a_triangular_mask(rows: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    q, k, v = (
        torch.from_numpy(rng.standard_normal((2, 3, n, 8))).requires_grad_()
        for n in (rows, columns, columns)
    )
    mask = torch.ones(rows, columns, dtype=torch.bool).tril()
    results = []
    for options in ({"is_causal": True}, {"attn_mask": mask}):
        y = F.scaled_dot_product_attention(q, k, v, **options)
        grads = torch.autograd.grad((y * y).sum(), [q, k, v])
        results.append([t.detach().numpy() for t in (y, *grads)])
    for mine, plain in zip(*results):
        np.testing.assert_allclose(mine, plain, rtol=1e-10, atol=1e-12)
