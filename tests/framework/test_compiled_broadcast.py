"""Two arrays of different shapes: the compiled kernels against NumPy's own."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled
from framework.kernels.spread import _LEAST, SPREADING, _plan

pytest.importorskip("numba")

_SHAPES = [
    ((257, 131), (131,)), ((257, 131), (257, 1)), ((1, 300), (301, 1)), ((301, 1), (300,)),
    ((3, 5, 47, 53), (1, 5, 1, 1)), ((3, 5, 47, 53), (3, 5, 1, 1)), ((9, 4001), (4001,)),
    ((7, 1, 51), (1, 131, 51)), ((131, 7, 51), (131, 1, 51)), ((5001, 8), (8,)),
    ((5001, 8), (5001, 1)), ((2, 3, 4, 5, 401), (3, 1, 5, 1)), ((5001, 7), (7,)),
    ((3, 20_000), (20_000,)), ((0, 40_000), (40_000,)), ((0, 40_000), (1, 40_000)),
    ((40_000, 1), (1, 0)), ((200, 300), ()), ((200, 300), (1, 1)), ((1,), (200, 300)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", SPREADING, ids=lambda f: f.__name__)
def test_as_numpy_to_the_bit(function, dtype):
    rng = np.random.default_rng(3)
    for shapes in _SHAPES:
        x, y = (rng.standard_normal(s).astype(dtype) for s in shapes)
        for a in (x, y):
            odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42], dtype)
            a.reshape(-1)[:: max(7, a.size // 9)] = rng.choice(odd)
        with np.errstate(all="ignore"):
            for a, b in ((x, y), (y, x)):
                found, wanted = SPREADING[function](a, b), function(a, b)
                assert found.shape == wanted.shape and found.dtype == wanted.dtype
                np.testing.assert_array_equal(found, wanted)
                if function not in (np.maximum, np.minimum):  # of which zero is not defined
                    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def test_other_orders_and_types_are_numpys():
    rng = np.random.default_rng(4)
    x, row = rng.standard_normal((300, 200)).astype(np.float32), np.ones(300, np.float32)
    add = SPREADING[np.add]
    np.testing.assert_array_equal(add(x.T, row), x.T + row)
    np.testing.assert_array_equal(add(x[:, ::2], row[:100]), x[:, ::2] + row[:100])
    assert add(x, np.ones(200, np.float64)).dtype == np.float64
    with pytest.raises(ValueError, match="broadcast"):
        add(x, row)


def test_which_shapes_are_compiled():
    assert _plan((1024, 1000), (1000,)) and _plan((512, 1), (1, 512))
    assert _plan((10, 10), (10,)) is None  # few
    assert _plan((8, 1 << 13), (1 << 13,)) is None  # long lines
    assert _plan((1 << 13, 4), (4,)) is None  # short ones
    assert _plan((_LEAST >> 6, 64), (64,)) and _plan((_LEAST >> 7, 64), (64,)) is None


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tensors_and_their_gradients(count):
    rng = np.random.default_rng(5)
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        a = torch.tensor(rng.standard_normal((301, 211)), requires_grad=True)
        b = torch.tensor(rng.uniform(1, 2, 211), requires_grad=True)
        g = rng.standard_normal((301, 211))
        out = (a / b + b * a - b).view(301, 211) + b
        x, y = torch.autograd.grad(out, [a, b], torch.tensor(g))
        p, q = a.detach().numpy(), b.detach().numpy()
        np.testing.assert_allclose(out.detach().numpy(), p / q + q * p, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(x.numpy(), g / q + g * q, rtol=1e-12)
        np.testing.assert_allclose(y.numpy(), (g * (p - p / q**2)).sum(0), rtol=1e-9, atol=1e-9)
    finally:
        torch.set_num_threads(before)


def test_without_numba_the_same():
    rng = np.random.default_rng(6)
    x, row = (torch.tensor(rng.standard_normal(s)) for s in ((300, 200), (200,)))
    found = x + row
    before = compiled.use(False)
    try:
        assert torch.equal(x + row, found)
    finally:
        compiled.use(before)
