"""autograd.functional."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.autograd import functional as F


def near(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10)


X = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
Y = torch.tensor([1.5, 0.2, -0.7], dtype=torch.float64)


def two(x, y):
    return (x * y).sin() * x, (x + y.exp()).prod()


def one(x, y):
    return (x**2 * y.exp()).sum()


@pytest.mark.parametrize("vectorize", [False, True])
def test_jacobian_is_func_jacrev(vectorize):
    found = F.jacobian(two, (X, Y), vectorize=vectorize)
    expected = torch.func.jacrev(two, (0, 1))(X, Y)
    for f, e in zip(found, expected, strict=True):
        for a, b in zip(f, e, strict=True):
            near(a, b)
            assert not a.requires_grad
    single = F.jacobian(lambda x: x.exp(), X, vectorize=vectorize)
    near(single, torch.diag(X.exp()))


@pytest.mark.parametrize("mode", ["", "reverse-mode", "forward-mode"])
def test_hessian_is_func_hessian(mode):
    options = {"vectorize": True, "outer_jacobian_strategy": mode} if mode else {}
    found = F.hessian(one, (X, Y), **options)
    expected = torch.func.hessian(one, (0, 1))(X, Y)
    for f, e in zip(found, expected, strict=True):
        for a, b in zip(f, e, strict=True):
            near(a, b)


def test_forward_jacobian():
    found = F.jacobian(two, (X, Y), vectorize=True, strategy="forward-mode")
    near(found[0][1], F.jacobian(two, (X, Y))[0][1])


def test_products():
    out, pushed = F.jvp(lambda x: x.sin(), X, Y)
    near(out, X.sin())
    near(pushed, X.cos() * Y)
    near(F.vjp(lambda x: x.sin(), X, Y)[1], X.cos() * Y)
    cube = lambda x: (x**3).sum()  # noqa: E731
    near(F.hvp(cube, X, Y)[1], 6 * X * Y)
    near(F.vhp(cube, X, Y)[1], 6 * X * Y)
    both = F.vhp(one, (X, Y), (Y, X))[1]
    full = F.hessian(one, (X, Y))
    near(both[0], full[0][0] @ Y + full[0][1] @ X)


def test_create_graph():
    x = X.clone().requires_grad_()
    h = F.hessian(lambda x: (x**4).sum(), x, create_graph=True)
    (g,) = torch.autograd.grad(h.sum(), x)
    near(g, 24 * X)
    assert not F.jacobian(lambda x: x**2, x).requires_grad


def test_refusals_in_pytorchs_words():
    x = torch.ones(2)
    cases = [
        (lambda: F.vjp(lambda x: x * 2, x), "v can only be None if the user-provided function"),
        (lambda: F.jvp(lambda x: x * 2, x), "v can only be None if the input"),
        (lambda: F.jvp(lambda x: x * 2, x, torch.ones(3)), r"v has invalid size: should be"),
        (lambda: F.hessian(lambda x: x, x), "should contain a single element"),
        (lambda: F.hessian(lambda x: (x.sum(), x.sum()), x), "should return a single Tensor"),
        (lambda: F.jacobian(lambda x: x.detach(), x, strict=True), "Output 0 .* does not require"),
        (lambda: F.jacobian(lambda x, y: x, (x, x), strict=True), "independent of input 1"),
        (lambda: F.hessian(lambda x: x.sum(), x, strict=True), "jacobian of the user-provided"),
        (lambda: F.jacobian(lambda x: x, x, strict=True, vectorize=True), "not supported together"),
    ]
    for call, words in cases:
        with pytest.raises(RuntimeError, match=words):
            call()
    with pytest.raises(TypeError, match="must be either a Tensor or a tuple of Tensors"):
        F.vjp(lambda x: x, [x])
    near(F.jacobian(lambda x, y: x * 2, (x, x))[1], torch.zeros(2, 2))
