"""Activations, linear, embedding, dropout, padding and attention against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import framework as torch
from framework.nn import functional as F

RNG = np.random.default_rng(4)


def randn(*shape: int, grad: bool = False):
    return torch.tensor(RNG.standard_normal(shape)).requires_grad_(grad)


X = np.linspace(-4, 4, 33)
ERF = np.vectorize(math.erf)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    "name, formula",
    [
        ("relu", lambda x: np.maximum(x, 0)),
        ("relu6", lambda x: np.clip(x, 0, 6)),
        ("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x)),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("celu", lambda x: np.where(x > 0, x, np.expm1(x))),
        (
            "selu",
            lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
        ),
        ("gelu", lambda x: x / 2 * (1 + ERF(x / math.sqrt(2)))),
        ("silu", lambda x: x * sigmoid(x)),
        ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("softplus", lambda x: np.log1p(np.exp(x))),
        ("logsigmoid", lambda x: np.log(sigmoid(x))),
        ("hardtanh", lambda x: np.clip(x, -1, 1)),
        ("hardswish", lambda x: x * np.clip(x + 3, 0, 6) / 6),
        ("hardsigmoid", lambda x: np.clip(x + 3, 0, 6) / 6),
        ("softsign", lambda x: x / (1 + np.abs(x))),
        ("tanhshrink", lambda x: x - np.tanh(x)),
        ("sigmoid", sigmoid),
        ("tanh", np.tanh),
    ],
)
def test_activation(name, formula) -> None:
    call = getattr(F, name)
    np.testing.assert_allclose(call(torch.tensor(X)).numpy(), formula(X), atol=1e-12)
    half = torch.tensor(X).half()
    assert call(half).dtype is torch.float16
    np.testing.assert_allclose(call(half).float().numpy(), formula(X), atol=4e-3)


@pytest.mark.parametrize("name", ["relu", "elu", "silu", "hardtanh", "leaky_relu"])
def test_in_place_activation(name) -> None:
    x = randn(4, grad=True)
    y = x * 1.0
    out = getattr(F, name)(y, inplace=True)
    assert out is y
    out.sum().backward()
    again = x.detach().requires_grad_()
    getattr(F, name)(again).sum().backward()
    np.testing.assert_array_equal(x.grad, again.grad)


def test_activations_far_out_do_not_overflow() -> None:
    x = torch.tensor([-1000.0, 1000.0], requires_grad=True)
    with np.errstate(over="raise"):
        for call in (F.silu, F.gelu, F.softplus, F.logsigmoid, F.mish, F.elu, F.sigmoid):
            x.grad = None
            y = call(x)
            y.sum().backward()
            assert y.isfinite().all() and x.grad.isfinite().all(), call


def test_gelu_by_tanh() -> None:
    wanted = X / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3)))
    np.testing.assert_allclose(F.gelu(torch.tensor(X), approximate="tanh").numpy(), wanted)


def test_integers_are_refused() -> None:
    with pytest.raises(NotImplementedError, match=r"silu: .* not implemented for 'Long'"):
        F.silu(torch.tensor([1]))


def test_a_gate_along_no_dimension_says_which_there_are() -> None:
    with pytest.raises(IndexError, match=r"range of \[-1, 0\], but got 5"):
        F.glu(torch.zeros(4), 5)


def test_softmax() -> None:
    x = RNG.standard_normal((3, 4))
    e = np.exp(x)
    np.testing.assert_allclose(torch.softmax(torch.tensor(x), 0), e / e.sum(0))
    np.testing.assert_allclose(torch.tensor(x).log_softmax(-1), np.log(e / e.sum(1, keepdims=True)))
    assert F.softmax(torch.tensor([1, 2]), 0, dtype=torch.float64).dtype is torch.float64
    assert F.softmax(torch.tensor(1.0), 0).item() == 1.0
    huge = F.softmax(torch.tensor([1e4, -1e4, -math.inf]), 0)
    assert huge.tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(IndexError, match=r"range of \[-2, 1\], but got 2"):
        F.softmax(torch.tensor(x), 2)
    with pytest.raises(NotImplementedError, match="for 'Long'"):
        F.softmax(torch.tensor([1, 2]), 0)


def test_half_precision_softmax_sums_in_float32() -> None:
    x = torch.zeros(1, 4096, dtype=torch.float16)
    assert F.softmax(x, 1).double().sum().item() == pytest.approx(1.0)


# -- linear ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (0,)])
def test_linear(lead) -> None:
    x, w, b = randn(*lead, 4), randn(5, 4), randn(5)
    np.testing.assert_allclose(F.linear(x, w, b).numpy(), x.numpy() @ w.numpy().T + b.numpy())


def test_linear_errors() -> None:
    message = r"^linear: mat1 and mat2 shapes cannot be multiplied \(64x63 and 64x128\)"
    with pytest.raises(RuntimeError, match=message):
        F.linear(randn(64, 63), randn(128, 64))
    with pytest.raises(RuntimeError, match="same dtype, but got Double and Float"):
        F.linear(randn(2, 3), randn(4, 3).float())


def test_bilinear() -> None:
    a, b, w = randn(2, 3), randn(2, 4), randn(5, 3, 4)
    wanted = np.einsum("ni,kij,nj->nk", a.numpy(), w.numpy(), b.numpy())
    np.testing.assert_allclose(F.bilinear(a, b, w).numpy(), wanted)


# -- embedding ---------------------------------------------------------------------------------


def test_embedding_and_its_gradient() -> None:
    w = randn(5, 2, grad=True)
    y = F.embedding(torch.tensor([[1, 3], [3, 0]]), w, padding_idx=0)
    np.testing.assert_array_equal(y.detach().numpy(), w.detach().numpy()[[[1, 3], [3, 0]]])
    y.sum().backward()
    assert w.grad.tolist() == [[0, 0], [1, 1], [0, 0], [2, 2], [0, 0]]
    w.grad = None
    F.embedding(torch.tensor([3, 3, 1]), w, scale_grad_by_freq=True).sum().backward()
    assert w.grad.tolist() == [[0, 0], [1, 1], [0, 0], [1, 1], [0, 0]]


def test_embedding_max_norm_writes_the_rows_it_uses() -> None:
    w = torch.tensor([[3.0, 4.0], [30.0, 40.0], [0.3, 0.4]])
    F.embedding(torch.tensor([0, 2]), w, max_norm=1.0)
    np.testing.assert_allclose(w.numpy(), [[0.6, 0.8], [30, 40], [0.3, 0.4]], rtol=1e-6)


@pytest.mark.parametrize("index", [[5], [-1]])
def test_embedding_out_of_range(index) -> None:
    with pytest.raises(IndexError, match="index out of range in self"):
        F.embedding(torch.tensor(index), randn(5, 2))


def test_one_hot() -> None:
    assert F.one_hot(torch.tensor([0, 2]), 4).tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    with pytest.raises(RuntimeError, match="smaller than num_classes"):
        F.one_hot(torch.tensor([3]), 3)


# -- dropout -----------------------------------------------------------------------------------


def test_dropout_mask_follows_from_the_generator() -> None:
    torch.manual_seed(5)
    x = torch.ones(1000, requires_grad=True)
    y = F.dropout(x, 0.3)
    z = F.dropout(x, 0.3)
    assert set(np.unique(y.detach().numpy())) == {0.0, np.float32(1 / 0.7)}
    assert 620 < int((y != 0).sum()) < 780
    assert (y != z).any()
    torch.manual_seed(5)
    np.testing.assert_array_equal(F.dropout(x, 0.3).detach(), y.detach())
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.detach())
    assert not y.grad_fn.saved  # two integers, not the mask


def test_dropout_limits() -> None:
    x = torch.ones(5)
    assert F.dropout(x, 0.5, training=False) is x
    assert not F.dropout(x, 1.0).any()
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        F.dropout(x, 1.5)


def test_dropout2d_drops_channels() -> None:
    y = F.dropout2d(torch.ones(4, 50, 3, 3), 0.5)
    per_channel = y.numpy().reshape(4, 50, 9)
    assert (per_channel == per_channel[..., :1]).all()
    assert 60 < (per_channel[..., 0] == 0).sum() < 140


def test_alpha_dropout_keeps_the_moments() -> None:
    torch.manual_seed(0)
    y = F.alpha_dropout(torch.randn(20000), 0.3, training=True)
    assert abs(y.mean().item()) < 0.05 and abs(y.std().item() - 1) < 0.05


# -- padding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode, numpy_mode", [
    ("constant", "constant"), ("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap"),
])  # fmt: skip
def test_pad(mode, numpy_mode) -> None:
    x = randn(2, 3, 4)
    y = F.pad(x, (1, 2, 0, 2), mode)
    np.testing.assert_array_equal(y, np.pad(x.numpy(), ((0, 0), (0, 2), (1, 2)), numpy_mode))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_padding_with_nothing_is_a_copy(mode) -> None:
    x = torch.zeros(2, 3)
    F.pad(x, (0, 0), mode).add_(1)
    assert not x.any()


def test_pad_cuts_off() -> None:
    assert F.pad(torch.arange(4), (-1, 1), value=9).tolist() == [1, 2, 3, 9]
    with pytest.raises(RuntimeError, match="negative output size"):
        F.pad(torch.arange(4), (-3, -3))


# -- attention ---------------------------------------------------------------------------------


def attention(q, k, v, mask):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = np.exp(np.where(mask, scores, -np.inf))
    total = weights.sum(-1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0) @ v


def test_attention() -> None:
    q, k, v = randn(2, 5, 4), randn(2, 6, 4), randn(2, 6, 3)
    arrays = [t.numpy() for t in (q, k, v)]
    every = np.ones((5, 6), bool)
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v), attention(*arrays, every))
    np.testing.assert_allclose(
        F.scaled_dot_product_attention(q, k, v, is_causal=True),
        attention(*arrays, np.tri(5, 6) > 0),
    )
    mask = RNG.random((5, 6)) < 0.5
    mask[2] = False  # this row sees nobody: zero, not NaN
    with np.errstate(invalid="ignore"):
        wanted = attention(*arrays, mask)
        boolean = F.scaled_dot_product_attention(q, k, v, torch.tensor(mask))
        np.testing.assert_allclose(boolean, wanted)
        added = torch.tensor(np.where(mask, 0.0, -np.inf))
        np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v, added), wanted)


def test_attention_with_fewer_key_heads() -> None:
    q, k, v = randn(1, 4, 5, 2), randn(1, 2, 5, 2), randn(1, 2, 5, 2)
    y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    np.testing.assert_allclose(y[:, 1], F.scaled_dot_product_attention(q[:, 1], k[:, 0], v[:, 0]))


def test_every_published_function_is_in_functional() -> None:
    from framework.core.registry import published

    for name, record in published("nn.functional").items():
        assert getattr(F, name) is record.public and name in dir(F), name


# -- more activations --------------------------------------------------------------------------


def test_thresholds_and_shrinkages() -> None:
    x = torch.tensor([-1.0, -0.5, 0.2, 0.5, 2.0, math.nan])
    np.testing.assert_array_equal(
        F.threshold(x, 0.2, 7.0), np.array([7, 7, 7, 0.5, 2, math.nan], np.float32)
    )
    np.testing.assert_array_equal(F.hardshrink(x), np.array([-1, 0, 0, 0, 2, math.nan], np.float32))
    np.testing.assert_array_equal(
        F.softshrink(x), np.array([-0.5, 0, 0, 0, 1.5, math.nan], np.float32)
    )
    assert F.threshold(torch.tensor([1, 5]), 2, 0).tolist() == [0, 5]
    with pytest.raises(RuntimeError, match="lambda must be in range"):
        F.softshrink(x, -1.0)
    with pytest.raises(RuntimeError, match="alpha cannot be 0"):
        F.celu(x, 0.0)


def test_rrelu_draws_slopes_only_in_training() -> None:
    x = -torch.ones(1000)
    assert F.rrelu(x, 0.2, 0.4).unique().tolist() == [pytest.approx(-0.3)]
    torch.manual_seed(1)
    y = F.rrelu(x, 0.2, 0.4, training=True)
    assert -0.4 <= y.min() < -0.39 and -0.21 < y.max() <= -0.2
    x = x.clone()
    torch.manual_seed(1)
    assert F.rrelu_(x, 0.2, 0.4, True) is x and torch.equal(x, y)


@pytest.mark.parametrize(
    "name", ["relu", "relu6", "elu", "celu", "selu", "silu", "mish", "hardtanh", "hardswish",
             "hardsigmoid", "leaky_relu", "rrelu"],
)  # fmt: skip
def test_in_place_activations_have_the_same_gradient(name: str) -> None:
    call = getattr(F, name)
    x = randn(7, grad=True)
    (wanted,) = torch.autograd.grad(call(x).sum(), x)
    y = x * 1
    assert call(y, inplace=True) is y
    np.testing.assert_allclose(y.detach(), call(x).detach())
    np.testing.assert_allclose(torch.autograd.grad(y.sum(), x)[0], wanted)


def test_gumbel_softmax() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.0, math.log(3.0)]).expand(4000, 2).clone().requires_grad_()
    hard = F.gumbel_softmax(logits, hard=True)
    assert abs(hard[:, 1].mean().item() - 0.75) < 0.03
    assert ((hard == 0) | (hard == 1)).all()
    (g,) = torch.autograd.grad(hard[:, 1].sum(), logits)
    assert (g[:, 1] > 0).any()
    np.testing.assert_allclose(F.gumbel_softmax(logits, 0.5).sum(1).detach(), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["gelu", "softplus", "elu", "silu", "hardtanh", "relu6"])
def test_activations_refuse_what_pytorch_refuses(name: str) -> None:
    with pytest.raises((NotImplementedError, RuntimeError)):
        getattr(F, name)(torch.tensor([True]))
    if name != "silu":
        with pytest.raises(NotImplementedError):
            getattr(F, name)(torch.tensor([1 + 1j]))


# -- more dropout ------------------------------------------------------------------------------


def test_channels_are_dropped_as_a_whole() -> None:
    x = torch.ones(50, 8, 3, 3)
    for call in (F.dropout2d, F.dropout3d, F.feature_alpha_dropout):
        y = call(x if call is not F.dropout3d else x.unsqueeze(-1), 0.5, training=True)
        flat = y.reshape(50, 8, -1)
        assert (flat == flat[..., :1]).all() and len(flat[..., 0].unique()) == 2
    with pytest.raises(RuntimeError, match="Expected 2D or 3D input, but received a 1D"):
        F.dropout1d(torch.ones(3))
    with pytest.warns(UserWarning, match="assuming that channel-wise 1D dropout"):
        F.dropout2d(torch.ones(2, 3, 4))


def test_the_gradient_of_hardswish_at_nan_is_nan():
    x = torch.tensor([float("nan"), -4.0, 0.0, 4.0], requires_grad=True)
    F.hardswish(x).sum().backward()
    assert x.grad[0].isnan() and x.grad[1:].tolist() == [0.0, 0.5, 1.0]
