"""Normalisation against NumPy, running statistics, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.nn import functional as F

RNG = np.random.default_rng(2)


def randn(*shape: int):
    return RNG.standard_normal(shape)


def standard(x, axes, eps):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def test_layer_norm() -> None:
    x, w, b = randn(2, 3, 4), randn(3, 4), randn(3, 4)
    y = F.layer_norm(*map(torch.tensor, (x,)), (3, 4), torch.tensor(w), torch.tensor(b), 0.1)
    np.testing.assert_allclose(y.numpy(), standard(x, (1, 2), 0.1) * w + b)


def test_rms_norm() -> None:
    x, w = randn(2, 4), randn(4)
    y = F.rms_norm(torch.tensor(x), (4,), torch.tensor(w), 0.1)
    np.testing.assert_allclose(y.numpy(), x / np.sqrt((x * x).mean(1, keepdims=True) + 0.1) * w)
    tiny = torch.full((1, 4), 1e-20)
    assert F.rms_norm(tiny, (4,)).abs().max().item() < 1e-15  # eps is the type's own


def test_group_norm() -> None:
    x, w, b = randn(2, 4, 3), randn(4), randn(4)
    y = F.group_norm(torch.tensor(x), 2, torch.tensor(w), torch.tensor(b), 0.1)
    wanted = standard(x.reshape(2, 2, 6), (2,), 0.1).reshape(x.shape)
    np.testing.assert_allclose(y.numpy(), wanted * w[:, None] + b[:, None])


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (2, 3, 2, 4)])
def test_batch_norm_in_training(shape) -> None:
    x, w, b = randn(*shape), randn(3), randn(3)
    mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    y = F.batch_norm(torch.tensor(x), mean, var, torch.tensor(w), torch.tensor(b), True, 0.3, 0.1)
    axes = (0, *range(2, x.ndim))
    column = (-1, *[1] * (x.ndim - 2))
    wanted = standard(x, axes, 0.1) * w.reshape(column) + b.reshape(column)
    np.testing.assert_allclose(y.numpy(), wanted)
    np.testing.assert_allclose(mean.numpy(), 0.3 * x.mean(axes))
    np.testing.assert_allclose(var.numpy(), 0.7 + 0.3 * x.var(axes, ddof=1))
    assert mean._version == 1


def test_batch_norm_in_evaluation_leaves_the_statistics() -> None:
    x = randn(4, 3)
    mean, var = torch.tensor(randn(3)), torch.tensor(RNG.uniform(0.5, 2, 3))
    y = F.batch_norm(torch.tensor(x), mean, var, eps=0.1)
    np.testing.assert_allclose(y.numpy(), (x - mean.numpy()) / np.sqrt(var.numpy() + 0.1))
    assert mean._version == var._version == 0


def test_instance_norm_is_per_sample() -> None:
    x = randn(2, 3, 5)
    y = F.instance_norm(torch.tensor(x), eps=0.1)
    np.testing.assert_allclose(y.numpy(), standard(x, (2,), 0.1))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision(dtype, tolerance) -> None:
    x = torch.tensor(randn(4, 1000) + 30.0).to(dtype)
    y = F.layer_norm(x, (1000,))
    assert y.dtype is dtype
    wide = F.layer_norm(x.double(), (1000,))
    assert (y.double() - wide).abs().max().item() < tolerance


def test_local_response_norm() -> None:
    x = randn(1, 4, 2)
    y = F.local_response_norm(torch.tensor(x), 3, 0.3, 0.5, 2.0)
    around = np.pad(x * x, ((0, 0), (1, 1), (0, 0)))
    total = around[:, :-2] + around[:, 1:-1] + around[:, 2:]
    np.testing.assert_allclose(y.numpy(), x / np.sqrt(2 + 0.1 * total))


def test_normalize_and_cosine_similarity() -> None:
    x, y = randn(3, 4), randn(3, 4)
    np.testing.assert_allclose(
        F.normalize(torch.tensor(x)).numpy(), x / np.linalg.norm(x, axis=1, keepdims=True)
    )
    assert not F.normalize(torch.zeros(1, 2)).isnan().any()
    cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    np.testing.assert_allclose(F.cosine_similarity(torch.tensor(x), torch.tensor(y)), cosine)


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda x: F.layer_norm(x, (3,)), RuntimeError, "expected input with shape"),
        (lambda x: F.layer_norm(x, (4,), torch.ones(3)), RuntimeError, "Expected weight to be of"),
        (lambda x: F.group_norm(x, 3), RuntimeError, "divisible by num_groups"),
        (lambda x: F.batch_norm(x[:1], None, None, training=True), ValueError, "more than 1 value"),
        (lambda x: F.batch_norm(x, None, None), RuntimeError, "running_mean and running_var"),
        (lambda x: F.batch_norm(x, torch.ones(3), torch.ones(4), training=True), RuntimeError,
         "running_mean should contain 4 elements not 3"),
        (lambda x: F.layer_norm(x.long(), (4,)), NotImplementedError, "not implemented for 'Long'"),
    ],
)  # fmt: skip
def test_errors(call, kind, message) -> None:
    with pytest.raises(kind, match=message):
        call(torch.ones(2, 4))
