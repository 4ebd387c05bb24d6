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
