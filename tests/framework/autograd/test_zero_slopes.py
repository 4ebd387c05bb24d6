"""Second gradients that are zero: PyTorch gives zeros, and so do we, not None."""

from __future__ import annotations

import pytest

import framework as torch
from framework.autograd import grad

F = torch.nn.functional


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


UNARY = {
    "relu": F.relu, "relu_": lambda x: F.relu_(x * 1), "relu6": F.relu6, "abs": torch.abs,
    "leaky_relu": F.leaky_relu, "hardtanh": F.hardtanh, "threshold": lambda x: F.threshold(x, 0, 1),
    "hardshrink": F.hardshrink, "softshrink": F.softshrink,
    "prelu": lambda x: F.prelu(x, torch.tensor([0.25], dtype=torch.float64)),
    "rrelu": lambda x: F.rrelu(x, training=True), "rrelu_eval": F.rrelu,
    "max_pool1d": lambda x: F.max_pool1d(x, 2), "avg_pool1d": lambda x: F.avg_pool1d(x, 2),
    "max_pool2d": lambda x: F.max_pool2d(x[None], 2), "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "max_pool3d": lambda x: F.max_pool3d(x[None], 2),
    "avg_pool3d": lambda x: F.avg_pool3d(x[None], 2),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x, 2),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 2),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x, 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x[None], 2),
    "fractional_max_pool2d": lambda x: F.fractional_max_pool2d(x, 2, output_size=2),
    "nll_loss": lambda x: F.nll_loss(x[0], torch.tensor([0, 1, 2, 3])),
    "reflect": lambda x: F.pad(x, (1, 1), mode="reflect"),
    "replicate": lambda x: F.pad(x, (1, 1), mode="replicate"),
    "area": lambda x: F.interpolate(x, 3, mode="area"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_the_gradient_is_a_function_of_the_input_with_slope_zero(name):
    x = draw(2, 4, 4)
    y = UNARY[name](x)
    (g,) = grad(y.sum(), x, create_graph=True)
    assert g.requires_grad
    (second,) = grad(g.sum(), x, create_graph=True)
    assert second.tolist() == torch.zeros_like(x).tolist()


@pytest.mark.parametrize("name", UNARY)
def test_what_comes_in_still_has_its_own_gradient(name):
    x = draw(2, 4, 4)
    torch.manual_seed(1)
    y = UNARY[name](x)
    v = torch.ones_like(y).requires_grad_()
    (g,) = grad(y, x, v, create_graph=True)
    w = torch.randn_like(g)
    over_v, over_x = grad(g, (v, x), w)
    torch.manual_seed(1)
    _, tangent = torch.func.jvp(UNARY[name], (x.detach(),), (w,))
    assert torch.allclose(over_v, tangent)
    assert not over_x.any()


def test_without_create_graph_nothing_is_added():
    x = draw(2, 4, 4)
    (g,) = grad(F.relu(x).sum(), x)
    assert not g.requires_grad


def test_nothing_is_added_where_the_input_wants_no_gradient():
    w = draw(1)
    (g,) = grad(F.prelu(torch.ones(2, dtype=torch.float64), w).sum(), w, create_graph=True)
    assert not g.requires_grad


def test_a_gradient_penalty_gives_zeros_for_biases():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.LeakyReLU(0.2), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(8, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1),
    )  # fmt: skip
    x = torch.randn(4, 1, 6, 6, requires_grad=True)
    (g,) = grad(net(x).sum(), x, create_graph=True)
    penalty = g.pow(2).sum((1, 2, 3)).mean()
    params = list(net.parameters())
    found = grad(penalty, params[:-1], retain_graph=True)
    assert found[0].any() and found[2].any()
    assert not found[1].any() and not found[3].any()
    with pytest.raises(RuntimeError, match="index 0 appears to not have been used in the graph"):
        grad(penalty, params[-1:], retain_graph=True)  # nor in PyTorch
    penalty.backward()
    assert params[1].grad.tolist() == [0, 0]
    assert params[-1].grad is None


@pytest.mark.parametrize("layer", ["conv", "conv_transpose", "batch_norm", "layer_norm"])
def test_the_gradients_of_a_layer_that_pytorch_finds_together_have_all_a_history(layer):
    x, w, b = draw(2, 3, 4), draw(3, 3, 2), draw(3)
    if layer == "conv":
        y = F.conv1d(x, w, b)
    elif layer == "conv_transpose":
        y = F.conv_transpose1d(x, w, b)
    elif layer == "batch_norm":
        w = draw(3)
        y = F.batch_norm(x, None, None, w, b, training=True)
    else:
        w, b = draw(4), draw(4)
        y = F.layer_norm(x, (4,), w, b)
    grads = grad(y.sum(), (x, w, b), create_graph=True)
    assert all(g.requires_grad for g in grads)
    alone = grad(grads[2].sum(), (x, w, b), allow_unused=True, retain_graph=True)
    assert alone == (None, None, None)
    grad(grads, (x, w, b), [torch.ones_like(g) for g in grads], allow_unused=True)


def test_inside_of_vmap():
    x = draw(3, 4)
    y = F.relu(x * 2)
    rows = torch.eye(4, dtype=torch.float64)[:, None].expand(4, 3, 4)
    (g,) = grad(y, x, rows, is_grads_batched=True, create_graph=True)
    (second,) = grad(g.sum(), x)
    assert second.tolist() == torch.zeros_like(x).tolist()


def test_in_forward_mode():
    x, t = draw(3, 4).detach(), draw(3, 4).detach()
    gradient = torch.func.grad(lambda x: F.relu(x).pow(3).sum())
    _, tangent = torch.func.jvp(gradient, (x,), (t,))
    assert torch.allclose(tangent, 6 * F.relu(x) * t)


def test_hessians():
    x = draw(3).detach()
    assert not torch.func.hessian(lambda x: F.relu(x).sum())(x).any()
    found = torch.autograd.functional.hessian(lambda x: F.leaky_relu(x).sum(), x, strict=True)
    assert not found.any()
