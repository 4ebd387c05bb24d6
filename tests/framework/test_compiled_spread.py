"""Compiled spreads and running sums, and gradients of what is picked, against the plain ones."""

from __future__ import annotations

import numpy as np
import pytest
from test_compiled import _draw, _same

import framework as torch

pytest.importorskip("numba")

SHAPES = [(64, 65), (4099,), (3, 37, 41), (1, 4097), (4097, 1), (5, 3, 300), (2, 0, 7)]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_spread(plainly, shape, special):
    x = _draw(shape, special=special) + np.float32(7)
    last = (-1,) if len(shape) == 1 else (-1, -2)
    for call in (
        torch.var,
        lambda x: x.var(-1),
        lambda x: x.std(last, unbiased=False, keepdim=True),
        lambda x: torch.var_mean(x, -1, correction=3)[0],
        lambda x: x.var(0),
    ):
        _same(plainly, call, x, tolerance=1e-5)
    _same(plainly, lambda x: x.t().var(1) if x.ndim == 2 else x.var(), x, tolerance=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shapes", [
    ((20, 33), (17, 9)), ((1, 300), (40, 5)), ((3, 8, 7), (5, 6, 9)), ((24, 24), (8, 700)),
])  # fmt: skip
def test_products_of_kronecker(plainly, shapes, dtype):
    """To the bit as NumPy's, with gradients."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(dtype) for s in shapes)
    a[0, 0], b[-1, -1] = np.inf, np.nan

    def run():
        x, y = (torch.tensor(t, requires_grad=True) for t in (a, b))
        out = torch.kron(x, y)
        assert out.is_contiguous()
        out[..., : out.shape[-1] // 2].sum().backward()
        return out.detach().numpy(), x.grad.numpy(), y.grad.numpy()

    found, *slopes = run()
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, np.kron(a, b))
    for mine, other in zip(slopes, plainly(run)[1:], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_norms(plainly, shape, special):
    x = _draw(shape, special=special)
    for dim in (None, -1, 0):
        _same(plainly, lambda x, d=dim: torch.linalg.vector_norm(x, 2, d), x, tolerance=1e-5)


@pytest.mark.filterwarnings("error")
def test_sums_out_of_range_are_infinite_in_silence():
    for shape in ((9000,), (2, 9000)):
        big = torch.full(shape, 3e38)
        for found in (big.sum(-1), big.norm(dim=-1), (big * 0.1).norm(dim=-1)):
            assert bool(found.isinf().all())


def test_second_gradients_of_a_spread(plainly):
    def call(x):
        (g,) = torch.autograd.grad(x.var(-1).square().sum(), x, create_graph=True)
        return g * g

    _same(plainly, call, _draw((70, 65)), tolerance=1e-5)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_running_sums(plainly, shape, special):
    x = _draw(shape, special=special)
    for d in range(len(shape)):
        _same(plainly, lambda x, d=d: x.cumsum(d), x)
    big = torch.full((3, 1 << 20), 0.1).cumsum(-1)
    assert abs(big[:, -1] / 104857.6 - 1).max() < 1e-6


@pytest.mark.parametrize("call", [torch.max, torch.min, torch.median, torch.kthvalue])
def test_gradients_of_what_is_picked(plainly, call):
    extra = (3,) if call is torch.kthvalue else ()
    for shape, d in (((70, 65), 1), ((70, 65), 0), ((4, 31, 40), 1)):
        _same(plainly, lambda x, d=d: call(x, *extra, d)[0], _draw(shape))


def test_a_zero_that_stands_for_all_keeps_its_sign():
    for zero in (0.0, -0.0):
        x = torch.tensor(zero).expand(70, 65)
        kept = x.scatter(0, torch.zeros(1, 65, dtype=torch.int64), torch.ones(1, 65))
        assert kept[0].tolist() == [1.0] * 65
        assert bool((torch.signbit(kept[1:]) == (zero.hex()[0] == "-")).all())


def test_they_do_not_depend_on_the_number_of_threads():
    x, before = torch.tensor(_draw((2001, 103)), requires_grad=True), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            x.grad = None
            (x.var(-1).sum() + x.cumsum(-1).square().sum()).backward()
            found.append(x.grad.clone())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], g) for g in found[1:])


@pytest.mark.parametrize("special", [False, True])
def test_gradients_of_factors_that_are_spread(plainly, special):
    for full, shape in [
        ((70, 65), (70, 1)), ((70, 65), (65,)), ((70, 65), (1, 65)), ((5, 31, 40), (31, 40)),
        ((5, 31, 40), (5, 1, 1)), ((5, 31, 40), (5, 1, 40)), ((5, 31, 40), (31, 1)),
        ((70, 65), ()), ((70, 65), (1, 1)), ((1, 5000), (1, 1)), ((1, 9001), (9001,)),
        ((9001, 1), (1,)), ((0, 65), (1, 65)), ((3, 70_001), (3, 1)),
    ]:  # fmt: skip
        a, b = _draw(full, special=special), _draw(shape, 1)
        _same(plainly, lambda a, b: a * b, a, b, tolerance=1e-5)
        _same(plainly, lambda a, b: b * a.relu(), a, b, tolerance=1e-5)
    _same(plainly, lambda a, b: a.t() * b, _draw((65, 70)), _draw((70, 1), 1), tolerance=1e-5)


def test_second_gradients_of_factors_that_are_spread(plainly):
    def call(a, b):
        grads = torch.autograd.grad((a * b).square().sum(), (a, b), create_graph=True)
        return grads[0] * grads[1]

    _same(plainly, call, _draw((70, 65)), _draw((70, 1), 1), tolerance=1e-5)


def test_a_factor_that_is_spread_inside_of_vmap(plainly):
    def call(a, b):
        return torch.vmap(torch.func.grad(lambda b, a: (a * b).square().sum()))(b, a)

    a, b = torch.tensor(_draw((3, 70, 65))), torch.tensor(_draw((3, 70, 1), 1))
    assert torch.allclose(call(a, b), plainly(lambda: call(a, b)), rtol=1e-4)
