"""In-place arithmetic on large arrays in one pass, against the same out of place."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled
from framework.nn import Parameter

pytest.importorskip("numba")

# The method's name, how many other tensors it takes, what follows, keywords.
_CALLS = [
    ("add", 1, (), {}), ("add", 1, (), {"alpha": -0.3}), ("add", 1, (), {"alpha": 2}),
    ("add", 0, (1.7,), {}), ("add", 0, (2,), {"alpha": 3}), ("sub", 1, (), {}),
    ("sub", 1, (), {"alpha": 0.3}), ("sub", 0, (1.7,), {}), ("mul", 1, (), {}),
    ("mul", 0, (0.3,), {}), ("mul", 0, (float("inf"),), {}), ("div", 1, (), {}),
    ("div", 0, (3,), {}), ("div", 1, (), {"rounding_mode": "floor"}), ("addcmul", 2, (), {}),
    ("addcmul", 2, (), {"value": 0.3}), ("addcdiv", 2, (), {"value": -0.7}),
    ("lerp", 1, (0.3,), {}), ("lerp", 1, (0.9,), {}),
]  # fmt: skip


def _numbers(rng, shape, dtype):
    a = rng.standard_normal(shape).astype(dtype)
    flat = a.reshape(-1)
    if flat.size:
        flat[:: max(1, flat.size // 40)] = np.nan
        flat[1 :: max(1, flat.size // 30)] = -np.inf
        flat[2 :: max(1, flat.size // 20)] = 0
    return a


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "many", "more", "options"), _CALLS)
def test_as_out_of_place_to_the_bit(name, many, more, options, dtype):
    rng = np.random.default_rng(1)
    for shape in ((4096,), (71, 173), (300_001,), (0, 5), (5, 3)):
        x, *others = [torch.tensor(_numbers(rng, shape, dtype)) for _ in range(many + 1)]
        wanted = getattr(x, name)(*others, *more, **options)
        same, version = x, x._version
        assert getattr(x, f"{name}_")(*others, *more, **options) is same
        np.testing.assert_array_equal(x.numpy(), wanted.numpy())
        assert x._version == version + 1


def test_other_shapes_types_and_orders_are_written_the_plain_way():
    rng = np.random.default_rng(2)
    a = rng.standard_normal((90, 90)).astype(np.float32)
    row, turned = torch.tensor(a[0].copy()), torch.tensor(a).t()
    x = torch.tensor(a)
    np.testing.assert_array_equal(x.clone().add_(row).numpy(), a + a[0])
    np.testing.assert_array_equal(
        x.clone()
        .mul_(
            turned,
        )
        .numpy(),
        a * a.T,
    )
    np.testing.assert_array_equal(x.clone().t().mul_(x).numpy(), a.T * a)
    np.testing.assert_allclose(x.clone().add_(x.double()).numpy(), a + a)
    with pytest.raises(RuntimeError, match="single memory location"):
        torch.zeros(1).expand(5000).add_(torch.ones(5000))
    with pytest.raises(RuntimeError):
        x.clone().add_(torch.ones(91, 90))
    with pytest.raises(RuntimeError):
        torch.arange(5000).add_(torch.ones(5000))
    one = torch.tensor(0.3)
    np.testing.assert_array_equal(x.clone().mul_(one).numpy(), a * np.float32(0.3))
    y = torch.tensor(a)
    assert torch.equal(y.copy_(row), row.expand(90, 90)) and torch.equal(y.copy_(turned), turned)
    np.testing.assert_array_equal(torch.zeros(90, 90).copy_(x.double()).numpy(), a)


def test_gradients_follow_where_one_is_wanted():
    rng = np.random.default_rng(3)
    a, b, g = (rng.standard_normal(5000) for _ in range(3))
    x, y = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    out = (x * 2).mul_(y).add_(x, alpha=0.5)
    out.backward(torch.tensor(g))
    np.testing.assert_allclose(x.grad.numpy(), g * (2 * b + 0.5))
    np.testing.assert_allclose(y.grad.numpy(), g * 2 * a)
    plain = torch.tensor(b)
    assert plain.mul_(y).requires_grad  # one that wanted none takes the other's history


def test_writes_are_announced():
    x = torch.ones(5000, requires_grad=True)
    y = x * 2
    z = y * y
    with torch.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        z.sum().backward()
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        y = x * 2
        z = y * y
        with torch.no_grad():
            y.mul_(3)
        z.sum().backward()
    assert torch.equal(x.grad, torch.full((5000,), 8.0))
    with torch.inference_mode():
        inferred = torch.ones(5000)
    with pytest.raises(RuntimeError, match=r"[Ii]nference"):
        inferred.mul_(2)
    assert torch.equal(inferred, torch.ones(5000))


def test_parameters_are_updated_and_leaves_refused():
    p = Parameter(torch.ones(5000))
    with torch.no_grad():
        assert torch.equal(p.mul_(3).sub_(torch.ones(5000)), torch.full((5000,), 2.0))
    with pytest.raises(RuntimeError, match="leaf Variable"):
        p.mul_(2)


def test_traced_the_same():
    from framework import trace

    rng = np.random.default_rng(4)
    x, y = (torch.tensor(rng.standard_normal(5000).astype(np.float32)) for _ in range(2))
    quiet = x.clone().add_(y, alpha=0.3).addcdiv_(y, y + 9, value=0.1)
    with trace.recording(keep="all"):
        traced = x.clone().add_(y, alpha=0.3).addcdiv_(y, y + 9, value=0.1)
    assert torch.equal(quiet, traced)
    before = compiled.use(False)
    try:
        plain = x.clone().add_(y, alpha=0.3).addcdiv_(y, y + 9, value=0.1)
    finally:
        compiled.use(before)
    assert torch.equal(quiet, plain)
